//! `add.kiq(1, 2)`: one trait per number of arguments, on every function that gives a call.

use crate::{call::IntoKiq, kiq::Kiq, task::Task};

macro_rules! arity {
    ($($count:literal $name:ident($($arg:ident: $type:ident),*);)*) => {
        $(
            /// Gives `.kiq(..)` to tasks of this many arguments. In the prelude, without its name.
            ///
            /// ```
            /// use taskq::prelude::*;
            /// # use taskq::{Kiq, Task, TaskConfig};
            /// # struct Count;
            /// # impl Task for Count { type Args = Vec<u8>; type Output = usize; type Returns = usize; const NAME: &'static str = "count"; const CONFIG: TaskConfig = TaskConfig::new(); }
            #[doc = concat!("# fn count(", stringify!($($arg: u8),*), ") -> Call<Count> { Call::new(vec![", stringify!($($arg),*), "]) }", $(" let ", stringify!($arg), " = 7;",)*)]
            /// // `count` is what `#[task]` makes of a function of these arguments.
            #[doc = concat!("let kiq: Kiq<Count> = count.kiq(", stringify!($($arg),*), ");")]
            /// # drop(kiq);
            /// ```
            pub trait $name<$($type),*>: Sized {
                /// The task.
                type Task: Task;

                /// Hands the task to the broker when the returned [`Kiq`] is awaited; options come before that.
                ///
                /// ```
                /// # #[tokio::main(flavor = "current_thread")]
                /// # async fn main() -> taskq::Result<()> {
                /// use taskq::prelude::*;
                /// # use taskq::{BoxError, BoxFuture, Run, Task, TaskConfig};
                /// # struct Count;
                /// # impl Task for Count { type Args = Vec<u8>; type Output = usize; type Returns = usize; const NAME: &'static str = "count"; const CONFIG: TaskConfig = TaskConfig::new(); }
                /// # impl Run for Count { async fn run(_: TaskContext, args: Vec<u8>) -> Result<usize, BoxError> { Ok(args.len()) } }
                #[doc = concat!("# fn count(", stringify!($($arg: u8),*), ") -> Call<Count> { Call::new(vec![", stringify!($($arg),*), "]) }", $(" let ", stringify!($arg), " = 7;",)*)]
                /// let app = InMemoryBroker::new().register::<Count>();
                #[doc = concat!("let handle = count.kiq(", stringify!($($arg),*), ").label(\"tenant\", \"acme\").on(&app).await?;")]
                #[doc = concat!("assert_eq!(handle.wait_result().await?.into_value()?, ", stringify!($count), ");")]
                /// # Ok(()) }
                /// ```
                #[allow(clippy::too_many_arguments)]
                fn kiq(self, $($arg: $type),*) -> Kiq<Self::Task>;
            }

            #[diagnostic::do_not_recommend]
            impl<Function, Called: IntoKiq, $($type),*> $name<$($type),*> for Function
            where
                Function: FnOnce($($type),*) -> Called,
            {
                type Task = Called::Task;

                fn kiq(self, $($arg: $type),*) -> Kiq<Called::Task> {
                    self($($arg),*).into_kiq()
                }
            }
        )*

        /// The traits behind `.kiq(..)`, without their names.
        #[allow(unreachable_pub)]
        pub mod prelude {
            $(pub use super::$name as _;)*
        }
    };
}

arity! {
    0 Kiq0();
    1 Kiq1(a: A1);
    2 Kiq2(a: A1, b: A2);
    3 Kiq3(a: A1, b: A2, c: A3);
    4 Kiq4(a: A1, b: A2, c: A3, d: A4);
    5 Kiq5(a: A1, b: A2, c: A3, d: A4, e: A5);
    6 Kiq6(a: A1, b: A2, c: A3, d: A4, e: A5, f: A6);
    7 Kiq7(a: A1, b: A2, c: A3, d: A4, e: A5, f: A6, g: A7);
    8 Kiq8(a: A1, b: A2, c: A3, d: A4, e: A5, f: A6, g: A7, h: A8);
    9 Kiq9(a: A1, b: A2, c: A3, d: A4, e: A5, f: A6, g: A7, h: A8, i: A9);
    10 Kiq10(a: A1, b: A2, c: A3, d: A4, e: A5, f: A6, g: A7, h: A8, i: A9, j: A10);
    11 Kiq11(a: A1, b: A2, c: A3, d: A4, e: A5, f: A6, g: A7, h: A8, i: A9, j: A10, k: A11);
    12 Kiq12(a: A1, b: A2, c: A3, d: A4, e: A5, f: A6, g: A7, h: A8, i: A9, j: A10, k: A11, l: A12);
    13 Kiq13(a: A1, b: A2, c: A3, d: A4, e: A5, f: A6, g: A7, h: A8, i: A9, j: A10, k: A11, l: A12, m: A13);
    14 Kiq14(a: A1, b: A2, c: A3, d: A4, e: A5, f: A6, g: A7, h: A8, i: A9, j: A10, k: A11, l: A12, m: A13, n: A14);
    15 Kiq15(a: A1, b: A2, c: A3, d: A4, e: A5, f: A6, g: A7, h: A8, i: A9, j: A10, k: A11, l: A12, m: A13, n: A14, o: A15);
    16 Kiq16(a: A1, b: A2, c: A3, d: A4, e: A5, f: A6, g: A7, h: A8, i: A9, j: A10, k: A11, l: A12, m: A13, n: A14, o: A15, p: A16);
}
