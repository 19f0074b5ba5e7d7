//! The broker as applications see it.

use crate::{config::Config, engine::Engine, error::again};
use std::{
    fmt,
    num::NonZeroU16,
    sync::{Arc, OnceLock},
    time::Duration,
};
use taskq_core::{BoxFuture, Broker, BrokerError, Capabilities, Consumer, Publish, QueueInfo, QueueSpec};

/// The variable that [`AmqpBroker::from_env`] reads.
const URL_VARIABLE: &str = "TASKQ_AMQP_URL";

/// RabbitMQ.
///
/// A cheap clone of one shared thing: all clones use the same two connections, one to publish and one to consume. They
/// are made when they are first needed, and made again whenever they break. Building a broker does no I/O and never
/// fails: a URL that cannot be used is an error of `startup`, or of the first call.
///
/// ```no_run
/// use taskq::AmqpBroker;
/// use taskq::{BrokerExt, QueueSpec};
///
/// let app = AmqpBroker::new("amqp://guest:guest@localhost:5672/%2f")
///     .host("amqp://guest:guest@second.example:5672/%2f")
///     .name("shop")
///     .with_queue(QueueSpec::new("mail"));
/// ```
///
/// The connections live on threads of their own, so that the broker outlives the runtime it was first used in, and
/// user code that blocks does not stop heartbeats. When the last clone and the last consumer are dropped, the
/// connections are closed in the background; [`Broker::close`] does it in order.
///
/// # TLS
///
/// With the feature `tls`, an `amqps://` URL connects by TLS (port 5671 unless told otherwise), and the server must show a
/// certificate for the host name in the URL from an authority that is trusted: one that the system trusts or, where the
/// environment variable `SSL_CERT_FILE` (one PEM file) or `SSL_CERT_DIR` (directories of them) is set, one from there
/// instead. A private authority is given in that way. They are read at every connection. A certificate that is not
/// trusted is [`BrokerError::Unreachable`], whose source says what is wrong with it: it may be renewed, so trying goes on.
/// Certificates of clients are not supported.
#[derive(Clone)]
pub struct AmqpBroker {
    shared: Arc<Shared>,
}

struct Shared {
    config: Config,
    /// Started when first used. What was wrong with the configuration stays wrong.
    engine: OnceLock<Arc<Engine>>,
}

impl AmqpBroker {
    /// A broker at this URL: `amqp://user:password@host:port/vhost`. The default virtual host `/` is written `%2f`.
    ///
    /// `?heartbeat=`, `?frame_max=`, `?channel_max=` and `?auth_mechanism=` are understood. `amqps://` needs the feature
    /// `tls`.
    ///
    /// ```
    /// # use taskq::{Broker, BrokerError, QueueSpec};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use taskq::AmqpBroker;
    ///
    /// let broker = AmqpBroker::new("localhost:5672"); // not a URL: the first use says so
    /// let error = broker.declare(&QueueSpec::new("mail")).await.unwrap_err();
    /// assert!(matches!(error, BrokerError::Address { .. }));
    /// # }
    /// ```
    pub fn new(url: impl Into<String>) -> Self {
        AmqpBroker::of(Config::new(vec![url.into()]))
    }

    /// A broker at the URL in the environment variable `TASKQ_AMQP_URL`. If it is not set, the first use says so with
    /// [`BrokerError::Address`].
    ///
    /// ```
    /// use taskq::AmqpBroker;
    /// use taskq::{App, BrokerExt};
    ///
    /// fn broker() -> App {
    ///     AmqpBroker::from_env().into_app()
    /// }
    /// ```
    pub fn from_env() -> Self {
        AmqpBroker::from_env_var(URL_VARIABLE)
    }

    /// A broker at the URL in this environment variable. If it is not set, the first use says so with
    /// [`BrokerError::Address`].
    ///
    /// ```
    /// # use taskq::{Broker, QueueSpec};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use taskq::AmqpBroker;
    ///
    /// let broker = AmqpBroker::from_env_var("SHOP_RABBITMQ_URL");
    /// let error = broker.declare(&QueueSpec::new("mail")).await.unwrap_err();
    /// assert!(error.to_string().contains("SHOP_RABBITMQ_URL is not set"));
    /// # }
    /// ```
    pub fn from_env_var(name: impl AsRef<str>) -> Self {
        AmqpBroker::of(Config::from_env_var(name.as_ref()))
    }

    fn of(config: Config) -> Self {
        AmqpBroker { shared: Arc::new(Shared { config, engine: OnceLock::new() }) }
    }

    fn with(self, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = self.shared.config.clone();
        change(&mut config);
        AmqpBroker::of(config)
    }

    /// One more server of the same cluster. They are tried in random order, and one that answers is enough.
    ///
    /// ```
    /// use taskq::AmqpBroker;
    ///
    /// let broker = AmqpBroker::new("amqp://shop:secret@one.example").host("amqp://shop:secret@two.example:5673");
    /// let shown = format!("{broker:?}"); // hosts, and no passwords
    /// assert!(shown.contains("one.example:5672") && shown.contains("two.example:5673"), "{shown}");
    /// assert!(!shown.contains("secret"));
    /// ```
    pub fn host(self, url: impl Into<String>) -> Self {
        self.with(|config| config.add(url.into()))
    }

    /// More servers of the same cluster. They are tried in random order, and one that answers is enough.
    ///
    /// ```
    /// use taskq::AmqpBroker;
    ///
    /// let urls = "amqp://one.example,amqp://two.example,amqp://three.example"; // from a configuration, say
    /// let mut urls = urls.split(',');
    /// let broker = AmqpBroker::new(urls.next().unwrap()).hosts(urls);
    /// assert!(format!("{broker:?}").contains("three.example:5672"));
    /// ```
    pub fn hosts<U: Into<String>>(self, urls: impl IntoIterator<Item = U>) -> Self {
        self.with(|config| urls.into_iter().for_each(|url| config.add(url.into())))
    }

    /// What the server shows as the name of the connections: `taskq/<name>/<host>/<process>/<pub or con>`. By default
    /// the program's name.
    ///
    /// ```
    /// use taskq::AmqpBroker;
    ///
    /// // `rabbitmqctl list_connections client_properties` shows `taskq/shop/web-1/4242/pub`.
    /// let broker = AmqpBroker::new("amqp://localhost").name("shop");
    /// ```
    pub fn name(self, name: impl Into<String>) -> Self {
        self.with(|config| config.app = Some(name.into()))
    }

    /// How often each side shows that it is there, in whole seconds from 1; 7 s by default. A peer that says nothing for
    /// two to three heartbeats is taken for dead. One in the URL counts more.
    ///
    /// ```
    /// use std::time::Duration;
    /// use taskq::AmqpBroker;
    ///
    /// // Over a line where packets are lost for long: an end is noticed after one to one and a half minutes.
    /// let broker = AmqpBroker::new("amqp://rabbit.example").heartbeat(Duration::from_secs(30));
    /// ```
    pub fn heartbeat(self, interval: Duration) -> Self {
        self.with(|config| config.heartbeat = interval)
    }

    fn engine(&self) -> Result<Arc<Engine>, BrokerError> {
        if let Some(engine) = self.shared.engine.get() {
            return Ok(engine.clone());
        }
        // Of two that are started at the same time one is dropped again, before it has connected.
        let engine = Arc::new(Engine::start(&self.shared.config)?);
        Ok(self.shared.engine.get_or_init(|| engine).clone())
    }
}

impl fmt::Debug for AmqpBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpBroker").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl Default for AmqpBroker {
    /// The same as [`AmqpBroker::from_env`].
    fn default() -> Self {
        AmqpBroker::from_env()
    }
}

impl Broker for AmqpBroker {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none().with_delay().with_priorities()
    }

    fn declare<'a>(&'a self, queue: &'a QueueSpec) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move { self.engine()?.declare(queue.clone()).await })
    }

    fn prepare_delays(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async move { self.engine()?.prepare_delays().await })
    }

    fn publish(&self, message: Publish) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async move { self.engine()?.publish(message).await })
    }

    fn publish_many(&self, messages: Vec<Publish>) -> BoxFuture<'_, Vec<Result<(), BrokerError>>> {
        Box::pin(async move {
            match self.engine() {
                Ok(engine) => engine.publish_many(messages).await,
                Err(error) => messages.iter().map(|_| Err(again(&error))).collect(),
            }
        })
    }

    fn consume<'a>(
        &'a self,
        queue: &'a QueueSpec,
        prefetch: NonZeroU16,
    ) -> BoxFuture<'a, Result<Consumer, BrokerError>> {
        Box::pin(async move { self.engine()?.consume(queue.name().to_owned(), prefetch).await })
    }

    fn inspect<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<QueueInfo, BrokerError>> {
        Box::pin(async move { self.engine()?.inspect(queue.to_owned()).await })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async move { self.engine()?.close().await })
    }
}
