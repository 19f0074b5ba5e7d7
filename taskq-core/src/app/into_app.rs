//! What a `broker()` function may give.

use super::App;
use crate::{broker::Broker, error::BoxError};

/// An app, any broker, or a `Result` of these.
///
/// ```
/// use taskq::{InMemoryBroker, IntoApp};
/// assert!(InMemoryBroker::new().try_into_app().is_ok());
/// assert!(Err::<InMemoryBroker, _>("no configuration").try_into_app().is_err());
/// ```
pub trait IntoApp {
    /// The app.
    ///
    /// ```
    /// use std::env;
    /// use taskq::{BoxError, IntoApp, prelude::*};
    ///
    /// fn broker() -> Result<InMemoryBroker, env::VarError> {
    ///     let capacity = env::var("MAIL_CAPACITY")?;
    ///     Ok(InMemoryBroker::new().capacity(capacity.parse().unwrap_or(1_000)))
    /// }
    ///
    /// let no_app: BoxError = broker().try_into_app().unwrap_err();
    /// assert_eq!(no_app.to_string(), "environment variable not found");
    /// ```
    ///
    /// # Errors
    /// The function's own error.
    fn try_into_app(self) -> Result<App, BoxError>;
}

impl IntoApp for App {
    fn try_into_app(self) -> Result<App, BoxError> {
        Ok(self)
    }
}

impl IntoApp for &App {
    fn try_into_app(self) -> Result<App, BoxError> {
        Ok(self.clone())
    }
}

impl IntoApp for std::sync::Arc<App> {
    fn try_into_app(self) -> Result<App, BoxError> {
        Ok((*self).clone())
    }
}

impl<B: Broker> IntoApp for B {
    fn try_into_app(self) -> Result<App, BoxError> {
        Ok(App::new(self))
    }
}

impl<T: IntoApp, E: Into<BoxError>> IntoApp for Result<T, E> {
    fn try_into_app(self) -> Result<App, BoxError> {
        self.map_err(Into::into)?.try_into_app()
    }
}
