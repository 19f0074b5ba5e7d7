//! The core of taskq: tasks, messages, the contracts of brokers and result backends, the in-memory broker, the worker.
//!
//! Applications depend on the `taskq` crate, which re-exports this one beside `#[task]`, `AmqpBroker` and `RedisResults`.
//! This crate knows no network: a broker or a result backend of one's own builds on it alone.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> taskq::Result<()> {
//! use serde::{Deserialize, Serialize};
//! use taskq::{BoxError, BrokerExt, Call, InMemoryBroker, Run, Task, TaskConfig, TaskContext};
//!
//! struct Add; // this and the two `impl`s are what `#[task]` writes
//!
//! #[derive(Serialize, Deserialize)]
//! struct AddArgs { a: i64, b: i64 }
//!
//! impl Task for Add {
//!     type Args = AddArgs;
//!     type Output = i64;
//!     type Returns = i64;
//!     const NAME: &'static str = "add";
//!     const CONFIG: TaskConfig = TaskConfig::new().retry(3);
//! }
//!
//! impl Run for Add {
//!     async fn run(_: TaskContext, args: AddArgs) -> Result<i64, BoxError> {
//!         Ok(args.a + args.b)
//!     }
//! }
//!
//! let app = InMemoryBroker::new().register::<Add>();
//! let handle = Call::<Add>::new(AddArgs { a: 2, b: 3 }).kiq().on(&app).await?;
//! assert_eq!(handle.wait_result().await?.into_value()?, 5);
//! # Ok(()) }
//! ```

mod app;
mod arity;
mod backoff;
mod broker;
mod call;
mod claims;
mod clock;
mod codec;
mod context;
mod dead_letters;
pub mod defaults;
mod delivery;
mod error;
mod failure;
mod handle;
mod handler;
mod id;
mod kiq;
mod memory;
mod message;
mod middleware;
mod observer;
mod outcome;
mod panic;
mod queue;
mod record;
mod registry;
mod results;
mod retry;
mod span;
mod spill;
mod state;
mod status;
mod submit;
mod task;
mod trace;
pub mod wire;
pub mod worker;

pub use app::{App, BrokerExt, InApp, IntoApp, spawn};
pub use backoff::Backoff;
pub use broker::{Broker, Capabilities, Origin, Publish, QueueInfo};
pub use call::{Call, IntoKiq};
pub use claims::{Bid, Claim, ClaimAnswer, Hold, Mark, RunId};
pub use clock::UnixMillis;
pub use context::{FromContext, TaskContext};
pub use dead_letters::{DeadLetter, DeadLetters};
pub use delivery::{Consumer, Delivery, DeliverySource, Line, Settle, Settlement, Unsettled};
pub use error::{BoxError, BrokerError, Error, KiqError, KiqManyError, Result, ResultError, TaskError, WorkerError};
pub use failure::{FailureKind, TaskFailure};
pub use handle::{TaskHandle, TaskResult, WaitResult};
pub use id::TaskId;
pub use kiq::Kiq;
pub use memory::{InMemoryBroker, InMemoryResults};
pub use message::{Content, ContentType, Epitaph, Foreign, Labels, Message};
pub use middleware::{Middleware, Next, SendMiddleware, SendNext};
pub use observer::{Event, Observer};
pub use outcome::{Outcome, Verdict, WaitFor};
pub use panic::Panic;
pub use queue::{QueueKind, QueueSpec};
pub use record::{End, ResultRecord};
pub use results::ResultBackend;
pub use span::IntoSpan;
pub use state::{State, StateMap};
pub use status::{Step, TaskStatus};
pub use task::{Ack, Direct, Exec, Run, SourceLocation, Task, TaskConfig, TaskDef};
pub use trace::TraceContext;
pub use worker::Worker;

/// A boxed future, as the object-safe traits return it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use taskq::BoxFuture;
///
/// fn length(text: &str) -> BoxFuture<'_, usize> {
///     Box::pin(async move { text.len() })
/// }
///
/// assert_eq!(length("hello").await, 5);
/// # }
/// ```
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What most files of an application need: `use taskq::prelude::*;`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use taskq::prelude::*;
/// let app = InMemoryBroker::new().with_queue(QueueSpec::new("mail")).with_state(7_u32);
/// app.scope(async { assert_eq!(App::current().unwrap().default_queue(), "taskq") }).await;
/// # }
/// ```
pub mod prelude {
    pub use crate::arity::prelude::*;
    pub use crate::{
        App, Broker as _, BrokerExt as _, Call, InApp as _, InMemoryBroker, IntoKiq as _, QueueSpec, State,
        TaskContext, TaskError, TaskHandle,
    };
}

/// What the expansion of `#[task]` names. Not for use by hand: it may change in any release.
#[doc(hidden)]
pub mod __private {
    pub use crate::private::*;
}
mod private;

/// What `cargo xtask bench --micro` measures of the inside. Not for use: a program that is built as usual does not have it.
#[cfg(taskq_bench)]
#[doc(hidden)]
pub mod __bench {
    pub use crate::bench::*;
}
#[cfg(taskq_bench)]
mod bench;
