//! How a path becomes an app, whatever it names: method lookup tries one reference level after the other, and the first
//! trait that fits wins.

use crate::{app::App, app::IntoApp, error::BoxError};
use std::{fmt, ops::Deref, pin::Pin};

/// Gives the app. Runs on the worker's first thread, so it need not be `Send`.
pub type AppFuture = Pin<Box<dyn Future<Output = Result<App, BoxError>>>>;

/// What a path names: a function or a static.
pub struct Probe<T>(pub T);

impl<T> fmt::Debug for Probe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}

/// An `async fn`.
pub trait FromAsyncFn {
    /// Calls it.
    fn resolve(&self) -> AppFuture;
}

impl<F, Given> FromAsyncFn for &&&&Probe<&'static F>
where
    F: Fn() -> Given,
    Given: Future<Output: IntoApp> + 'static,
{
    fn resolve(&self) -> AppFuture {
        let given = (self.0)();
        Box::pin(async move { given.await.try_into_app() })
    }
}

/// A plain `fn`.
pub trait FromFn {
    /// Calls it.
    fn resolve(&self) -> AppFuture;
}

impl<F, Given> FromFn for &&&Probe<&'static F>
where
    F: Fn() -> Given,
    Given: IntoApp,
{
    fn resolve(&self) -> AppFuture {
        ready((self.0)().try_into_app())
    }
}

/// A static `LazyLock`, or whatever else gives a shared value.
pub trait FromShared {
    /// Clones the value.
    fn resolve(&self) -> AppFuture;
}

impl<S> FromShared for &&Probe<&'static S>
where
    S: Deref<Target: IntoApp + Clone>,
{
    fn resolve(&self) -> AppFuture {
        ready(self.0.deref().clone().try_into_app())
    }
}

/// A static `LazyLock` of a `Result` whose error cannot be cloned.
pub trait FromSharedResult {
    /// Clones the value, or the error's text.
    fn resolve(&self) -> AppFuture;
}

impl<S, Given, E> FromSharedResult for &Probe<&'static S>
where
    S: Deref<Target = Result<Given, E>>,
    Given: IntoApp + Clone,
    E: fmt::Display,
{
    fn resolve(&self) -> AppFuture {
        ready(match self.0.deref() {
            Ok(given) => given.clone().try_into_app(),
            Err(error) => Err(error.to_string().into()),
        })
    }
}

/// Anything else: does not compile, and says why.
pub trait FromElse {
    /// The type that was named.
    type Named;

    /// Never called.
    fn resolve(&self) -> AppFuture
    where
        Self::Named: GivesApp;
}

impl<T> FromElse for Probe<&'static T> {
    type Named = T;

    fn resolve(&self) -> AppFuture
    where
        T: GivesApp,
    {
        self.0.give()
    }
}

/// Implemented by nothing: what is named here by the compiler is not an app, nor gives one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not give the app of a worker",
    label = "neither an app nor a broker",
    note = "name a `fn()` or `async fn()` without parameters, or a `static` `LazyLock`",
    note = "it gives an `App`, a broker such as `AmqpBroker`, an `Arc` of one, or a `Result` of these"
)]
pub trait GivesApp {
    /// The app.
    fn give(&self) -> AppFuture;
}

fn ready(app: Result<App, BoxError>) -> AppFuture {
    Box::pin(std::future::ready(app))
}
