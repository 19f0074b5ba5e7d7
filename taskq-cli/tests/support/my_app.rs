//! A user's crate, without the macro: the shortest that has a task and several apps.

use std::{future::pending, io::Write, sync::LazyLock};
use taskq::{
    App, BoxError, BoxFuture, Broker, BrokerError, BrokerExt, Call, Capabilities, Consumer, InMemoryBroker, Publish,
    QueueInfo, QueueSpec, Run, Task, TaskConfig, TaskContext,
};

pub struct Endless;

impl Task for Endless {
    type Args = ();
    type Output = ();
    type Returns = ();
    const NAME: &'static str = "my_app::endless";
    const CONFIG: TaskConfig = TaskConfig::new().queue("long").retry(2);
}

impl Run for Endless {
    async fn run(_: TaskContext, (): ()) -> Result<(), BoxError> {
        eprintln!("endless runs");
        pending().await
    }
}

pub fn broker() -> App {
    let place = std::env::current_dir().unwrap();
    // In one piece: several processes write to the same place.
    let line = format!("greeting={:?} place={}\n", std::env::var("GREETING").ok(), place.display());
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    InMemoryBroker::new().without_worker().with_queue(QueueSpec::new("short")).register::<Endless>()
}

pub static SHARED: LazyLock<App> = LazyLock::new(broker);

/// Has something to do from the start.
pub async fn busy() -> Result<App, BoxError> {
    let app = broker();
    let work = app.clone();
    tokio::spawn(async move { Call::<Endless>::new(()).kiq().on(&work).await });
    Ok(app)
}

pub fn away() -> App {
    Answers(|| BrokerError::Unreachable { address: "rabbit.example:5672".into(), source: Some("refused".into()) }).into_app()
}

pub fn denied() -> App {
    let denied = || BrokerError::Denied { address: "rabbit.example:5672".into(), reason: "bad login".into() };
    Answers(denied).into_app()
}

pub fn not_an_app() -> String {
    String::new()
}

/// A broker that says no.
struct Answers(fn() -> BrokerError);

impl Broker for Answers {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none().with_delay()
    }
    fn declare<'a>(&'a self, _: &'a QueueSpec) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async { Err((self.0)()) })
    }
    fn publish(&self, _: Publish) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async { Err((self.0)()) })
    }
    fn consume<'a>(
        &'a self,
        _: &'a QueueSpec,
        _: std::num::NonZeroU16,
    ) -> BoxFuture<'a, Result<Consumer, BrokerError>> {
        Box::pin(async { Err((self.0)()) })
    }
    fn inspect<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<QueueInfo, BrokerError>> {
        Box::pin(async { Err((self.0)()) })
    }
    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async { Ok(()) })
    }
}
