//! `add.kiq(1, 2)`: one trait per number of arguments, on every function that gives a call.

use crate::{call::IntoKiq, kiq::Kiq, task::Task};

macro_rules! arity {
    ($($name:ident($($arg:ident: $type:ident),*);)*) => {
        $(
            /// Gives `.kiq(..)` to tasks of this many arguments.
            pub trait $name<$($type),*>: Sized {
                /// The task.
                type Task: Task;

                /// Hands the task to the broker when the returned [`Kiq`] is awaited; options come before that.
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
    Kiq0();
    Kiq1(a: A1);
    Kiq2(a: A1, b: A2);
    Kiq3(a: A1, b: A2, c: A3);
    Kiq4(a: A1, b: A2, c: A3, d: A4);
    Kiq5(a: A1, b: A2, c: A3, d: A4, e: A5);
    Kiq6(a: A1, b: A2, c: A3, d: A4, e: A5, f: A6);
    Kiq7(a: A1, b: A2, c: A3, d: A4, e: A5, f: A6, g: A7);
    Kiq8(a: A1, b: A2, c: A3, d: A4, e: A5, f: A6, g: A7, h: A8);
    Kiq9(a: A1, b: A2, c: A3, d: A4, e: A5, f: A6, g: A7, h: A8, i: A9);
    Kiq10(a: A1, b: A2, c: A3, d: A4, e: A5, f: A6, g: A7, h: A8, i: A9, j: A10);
    Kiq11(a: A1, b: A2, c: A3, d: A4, e: A5, f: A6, g: A7, h: A8, i: A9, j: A10, k: A11);
    Kiq12(a: A1, b: A2, c: A3, d: A4, e: A5, f: A6, g: A7, h: A8, i: A9, j: A10, k: A11, l: A12);
    Kiq13(a: A1, b: A2, c: A3, d: A4, e: A5, f: A6, g: A7, h: A8, i: A9, j: A10, k: A11, l: A12, m: A13);
    Kiq14(a: A1, b: A2, c: A3, d: A4, e: A5, f: A6, g: A7, h: A8, i: A9, j: A10, k: A11, l: A12, m: A13, n: A14);
    Kiq15(a: A1, b: A2, c: A3, d: A4, e: A5, f: A6, g: A7, h: A8, i: A9, j: A10, k: A11, l: A12, m: A13, n: A14, o: A15);
    Kiq16(a: A1, b: A2, c: A3, d: A4, e: A5, f: A6, g: A7, h: A8, i: A9, j: A10, k: A11, l: A12, m: A13, n: A14, o: A15, p: A16);
}
