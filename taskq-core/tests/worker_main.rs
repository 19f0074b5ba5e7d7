//! What `worker::main!` accepts as the thing that gives its app.
#![cfg(feature = "worker-main")]

use std::sync::{Arc, LazyLock};
use taskq_core::{
    App, BoxError, BrokerExt, InMemoryBroker,
    worker::main::{FromAsyncFn as _, FromFn as _, FromShared as _, FromSharedResult as _, Probe},
};

/// As the macro expands.
macro_rules! resolve {
    ($app:path) => {
        (&&&&&Probe(&$app)).resolve().await
    };
}

mod given {
    use super::{App, Arc, BoxError, BrokerExt, InMemoryBroker, LazyLock};

    pub(super) fn app() -> App {
        InMemoryBroker::new().with_default_queue("given")
    }
    pub(super) fn broker() -> InMemoryBroker {
        InMemoryBroker::new()
    }
    pub(super) fn shared_broker() -> Arc<InMemoryBroker> {
        Arc::new(InMemoryBroker::new())
    }
    pub(super) fn result() -> Result<App, BoxError> {
        Err("no settings".into())
    }
    pub(super) async fn async_app() -> App {
        tokio::task::yield_now().await;
        app()
    }
    pub(super) async fn async_result() -> Result<InMemoryBroker, std::io::Error> {
        // Not `Send`: this future stays on the worker's first thread.
        let local = std::rc::Rc::new(());
        tokio::task::yield_now().await;
        drop(local);
        Ok(broker())
    }
    pub(super) static APP: LazyLock<App> = LazyLock::new(app);
    pub(super) static BROKER: LazyLock<Arc<InMemoryBroker>> = LazyLock::new(shared_broker);
    pub(super) static RESULT: LazyLock<Result<App, std::io::Error>> =
        LazyLock::new(|| Err(std::io::Error::other("no settings")));
}

#[tokio::test]
async fn a_function_an_async_function_or_a_static_gives_the_app() {
    for app in [resolve!(given::app), resolve!(given::async_app), resolve!(given::APP)] {
        assert_eq!(app.unwrap().default_queue(), "given");
    }
}

#[tokio::test]
async fn a_broker_alone_or_in_an_arc_is_enough() {
    for app in [
        resolve!(given::broker),
        resolve!(given::shared_broker),
        resolve!(given::async_result),
        resolve!(given::BROKER),
    ] {
        assert_eq!(app.unwrap().default_queue(), "taskq");
    }
}

#[tokio::test]
async fn an_error_of_the_function_or_the_static_is_kept() {
    for app in [resolve!(given::result), resolve!(given::RESULT)] {
        assert_eq!(app.unwrap_err().to_string(), "no settings");
    }
}
