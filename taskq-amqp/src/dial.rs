//! Making connections: one attempt at one server, with a limit on every part of it.

use crate::{address::Address, error::Failure, session::Events};
use async_rs::{TokioRuntime, traits::Reactor};
use deadpool_lapin::{Hook, Manager, Object, Pool, PoolError};
use lapin::{AsyncTcpStream, Connection, ConnectionProperties, tcp::OwnedTLSConfig, uri::AMQPScheme};
use std::{
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::timeout;

/// For all of the handshake. RabbitMQ gives up on a silent client after as long.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// For the TCP connection alone.
const TCP: Duration = Duration::from_secs(5);

/// Makes connections to one server.
pub(crate) enum Dialer {
    /// Publishers: a pool that each connection is taken out of for good. It cannot let go of the socket of a handshake that
    /// takes too long, so a server that was silent is asked as for consumers until it speaks.
    Pooled { address: Address, name: String, pool: Pool, events: Slot<Events>, was_silent: AtomicBool },
    /// Consumers: a connector that lets go of the socket when the handshake takes too long.
    Direct { address: Address, name: String },
}

/// Where a callback leaves what it made.
pub(crate) type Slot<T> = Arc<Mutex<Option<T>>>;

fn put<T>(slot: &Slot<T>, value: T) {
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
}

fn take<T>(slot: &Slot<T>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Dialer {
    /// Must be called inside the runtime that the connections are to live on.
    pub(crate) fn pooled(address: Address, name: String) -> Result<Dialer, Failure> {
        let events: Slot<Events> = Slot::default();
        let named = name.clone();
        let manager =
            Manager::new(address.uri().to_string(), move || properties(&named), TokioRuntime::tokio_current());
        let made = events.clone();
        let listen = Hook::sync_fn(move |connection: &mut Connection, _| {
            put(&made, Box::pin(connection.events_listener()));
            Ok(())
        });
        let pool = Pool::builder(manager)
            .max_size(1)
            .create_timeout(Some(HANDSHAKE))
            .runtime(deadpool_lapin::Runtime::Tokio1)
            .post_create(listen)
            .build();
        match pool {
            Ok(pool) => Ok(Dialer::Pooled { address, name, pool, events, was_silent: AtomicBool::new(false) }),
            Err(error) => Err(Failure::Unreachable { address: address.shown(), reason: error.to_string() }),
        }
    }

    pub(crate) fn direct(address: Address, name: String) -> Dialer {
        Dialer::Direct { address, name }
    }

    pub(crate) fn address(&self) -> &Address {
        match self {
            Dialer::Pooled { address, .. } | Dialer::Direct { address, .. } => address,
        }
    }

    /// One attempt.
    pub(crate) async fn dial(&self) -> Result<(Connection, Events), Failure> {
        match self {
            Dialer::Pooled { pool, events, was_silent, .. } if !was_silent.load(Ordering::Relaxed) => {
                let pooled = pool.get().await;
                was_silent.store(matches!(pooled, Err(PoolError::Timeout(_))), Ordering::Relaxed);
                let connection = Object::take(pooled.map_err(|error| self.pool_failure(error))?);
                let events = take(events).unwrap_or_else(|| Box::pin(connection.events_listener()));
                Ok((connection, events))
            }
            Dialer::Pooled { address, name, was_silent, .. } => {
                let connected = dial_direct(address, name).await?;
                was_silent.store(false, Ordering::Relaxed);
                Ok(connected)
            }
            Dialer::Direct { address, name } => dial_direct(address, name).await,
        }
    }

    fn pool_failure(&self, error: PoolError) -> Failure {
        let address = self.address();
        match error {
            PoolError::Backend(error) => Failure::of(address, &error),
            PoolError::Timeout(_) => silent(address.shown()),
            error => Failure::Unreachable { address: address.shown(), reason: error.to_string() },
        }
    }
}

fn silent(address: String) -> Failure {
    Failure::Unreachable { address, reason: format!("the server was silent for {HANDSHAKE:?}") }
}

fn properties(name: &str) -> ConnectionProperties {
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    if cfg!(taskq_bug = "auto_recovery") { properties.enable_auto_recover() } else { properties }
}

async fn dial_direct(address: &Address, name: &str) -> Result<(Connection, Events), Failure> {
    let connection = connect(address, name).await?;
    let events = Box::pin(connection.events_listener());
    Ok((connection, events))
}

/// Connects. lapin's own thread goes on with a handshake that nobody waits for any more, so the socket is shut down.
async fn connect(address: &Address, name: &str) -> Result<Connection, Failure> {
    let socket: Slot<TcpStream> = Slot::default();
    let opened = socket.clone();
    let open = async move |uri: lapin::uri::AMQPUri, runtime: TokioRuntime| {
        let host = (uri.authority.host.clone(), uri.authority.port);
        let stream = tcp(&runtime, host, &opened).await?;
        Ok(match uri.scheme {
            AMQPScheme::AMQP => stream,
            AMQPScheme::AMQPS => stream.into_tls(&uri.authority.host, OwnedTLSConfig::default().as_ref()).await?,
        })
    };
    let connecting =
        Connection::connector(address.uri().clone(), TokioRuntime::tokio_current(), open, properties(name));
    match timeout(HANDSHAKE, connecting).await {
        Ok(connected) => connected.map_err(|error| Failure::of(address, &error)),
        Err(_) => {
            if let Some(socket) = take(&socket) {
                // Whether it was still open does not matter.
                let _ = socket.shutdown(Shutdown::Both);
            }
            Err(silent(address.shown()))
        }
    }
}

async fn tcp(
    runtime: &TokioRuntime,
    host: (String, u16),
    opened: &Slot<TcpStream>,
) -> std::io::Result<AsyncTcpStream<<TokioRuntime as Reactor>::TcpStream>> {
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host(host).await?.collect();
    let stream = timeout(TCP, runtime.tcp_connect(&addresses[..])).await??;
    put(opened, second_handle(stream.get_ref())?);
    Ok(AsyncTcpStream::Plain(stream))
}

#[cfg(unix)]
fn second_handle(stream: &tokio::net::TcpStream) -> std::io::Result<TcpStream> {
    use std::os::fd::AsFd;
    stream.as_fd().try_clone_to_owned().map(TcpStream::from)
}

#[cfg(windows)]
fn second_handle(stream: &tokio::net::TcpStream) -> std::io::Result<TcpStream> {
    use std::os::windows::io::AsSocket;
    stream.as_socket().try_clone_to_owned().map(TcpStream::from)
}
