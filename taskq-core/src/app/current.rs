//! Which app a `kiq` goes to: the scope's, else the process's.

use super::App;
use crate::context::TaskContext;
use std::{
    future::Future,
    sync::{PoisonError, RwLock},
};

tokio::task_local! {
    static CURRENT: Current;
}

static PROCESS_DEFAULT: RwLock<Option<App>> = RwLock::new(None);

/// What a submission from here belongs to.
#[derive(Clone)]
pub(crate) enum Current {
    App(App),
    /// The task that is running here.
    Task(TaskContext),
}

impl Current {
    pub(crate) fn get() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    pub(crate) fn app(&self) -> &App {
        match self {
            Current::App(app) => app,
            Current::Task(ctx) => ctx.app(),
        }
    }

    pub(crate) fn task(&self) -> Option<&TaskContext> {
        match self {
            Current::App(_) => None,
            Current::Task(ctx) => Some(ctx),
        }
    }

    /// Runs plain code as the task of `ctx`.
    pub(crate) fn within_task<R>(ctx: &TaskContext, body: impl FnOnce() -> R) -> R {
        CURRENT.sync_scope(Current::Task(ctx.clone()), body)
    }
}

impl App {
    /// Runs `body` with this app as the one that `kiq` goes to. Does not reach behind `tokio::spawn`: use
    /// [`spawn`] there, or [`InApp::in_app`]. Resolves to what `body` does; dropping the future drops `body`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use taskq::{App, BrokerExt, InMemoryBroker};
    /// let app = InMemoryBroker::new().into_app();
    /// app.scope(async { assert!(App::current().is_some()) }).await;
    /// # }
    /// ```
    pub fn scope<F: Future>(&self, body: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(Current::App(self.clone()), body)
    }

    /// The app that a `kiq` here would go to: the scope's, else the process's.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// assert!(App::current().is_none(), "nothing has started in this process");
    /// let app = InMemoryBroker::new().with_default_queue("mail");
    /// let queue = app.scope(async { App::current().unwrap().default_queue().to_owned() }).await;
    /// assert_eq!(queue, "mail");
    /// # Ok(()) }
    /// ```
    pub fn current() -> Option<App> {
        Current::get().map(|current| current.app().clone()).or_else(App::process_default)
    }

    /// Makes this the app of the process, in place of the first one that started. It is so until it is shut down, or
    /// until another one is made the default.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// let (first, second) = (InMemoryBroker::new().into_app(), InMemoryBroker::new().with_default_queue("mail"));
    /// first.startup().await?;
    /// second.make_default();
    /// assert_eq!(App::current().unwrap().default_queue(), "mail");
    /// # Ok(()) }
    /// ```
    pub fn make_default(&self) {
        *PROCESS_DEFAULT.write().unwrap_or_else(PoisonError::into_inner) = Some(self.clone());
    }

    pub(super) fn make_default_if_first(&self) {
        PROCESS_DEFAULT.write().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| self.clone());
    }

    pub(crate) fn process_default() -> Option<App> {
        PROCESS_DEFAULT.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets go of the process default if it is this app.
    pub(super) fn unmake_default(&self) {
        let mut default = PROCESS_DEFAULT.write().unwrap_or_else(PoisonError::into_inner);
        if default.as_ref().is_some_and(|app| std::sync::Arc::ptr_eq(&app.live, &self.live)) {
            *default = None;
        }
    }
}

/// `tokio::spawn` that takes the app (and the running task) along.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # use taskq::{App, BrokerExt, InMemoryBroker};
/// # let app = InMemoryBroker::new().into_app();
/// app.scope(async {
///     let behind = taskq::spawn(async { App::current().is_some() });
///     assert!(behind.await.unwrap());
/// }).await;
/// # }
/// ```
///
/// # Panics
/// Outside a tokio runtime, as `tokio::spawn` does.
pub fn spawn<F>(body: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    match Current::get() {
        Some(current) => tokio::spawn(CURRENT.scope(current, body)),
        None => tokio::spawn(body),
    }
}

/// Gives every future `.in_app(&app)`. In the prelude.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use taskq::{App, BrokerExt, InApp, InMemoryBroker};
/// let app = InMemoryBroker::new().into_app();
/// assert!(tokio::spawn(async { App::current().is_some() }.in_app(&app)).await.unwrap());
/// # }
/// ```
pub trait InApp: Future + Sized {
    /// Runs this future with `app` as the one that `kiq` goes to; for futures that are spawned elsewhere. Resolves to
    /// what this future does; dropping it drops this future.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// use tokio::task::JoinSet;
    /// # use taskq::{BoxError, Call, Run, Task, TaskConfig, TaskContext};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
    /// # fn ping() -> Call<Ping> { Call::new(()) }
    /// let app = InMemoryBroker::new().register::<Ping>();
    /// let mut sending = JoinSet::new();
    /// for _ in 0..3 {
    ///     sending.spawn(ping.kiq().in_app(&app));
    /// }
    /// assert!(sending.join_all().await.iter().all(Result::is_ok));
    /// # Ok(()) }
    /// ```
    fn in_app(self, app: &App) -> impl Future<Output = Self::Output> + use<Self> {
        app.scope(self)
    }
}

impl<F: Future> InApp for F {}
