//! A connection for commands, to a server or to a cluster of them.

use crate::{address::Address, trouble::Trouble};
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, Pipeline, RedisError, RedisFuture, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use std::{io, time::Duration};

/// How long connecting may take, the handshake included.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// How long a request may take, its whole reply included, before its connection counts as dead.
pub(crate) const RESPONSE_LIMIT: Duration = Duration::from_secs(4);
/// Pipelines that wait to be written; past it callers wait too.
const WRITE_BUFFER: usize = 1_000;

/// Cheap to clone; all clones are one connection.
#[derive(Clone)]
pub(crate) enum Connection {
    Server(MultiplexedConnection),
    #[cfg(feature = "cluster")]
    Cluster(redis::cluster_async::ClusterConnection),
}

impl Connection {
    /// # Errors
    /// [`Trouble::Refused`] if the server does not want this user, [`Trouble::Away`] for all else.
    pub(crate) async fn open(address: &Address) -> Result<Self, Trouble> {
        #[cfg(feature = "tls")]
        choose_crypto();
        #[cfg(feature = "cluster")]
        if let Some(nodes) = address.nodes() {
            return crate::cluster::connect(nodes).await.map(Connection::Cluster);
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_LIMIT))
            .set_response_timeout(Some(RESPONSE_LIMIT))
            .set_pipeline_buffer_size(WRITE_BUFFER);
        let client = address.bare_client().map_err(unusable)?;
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connecting.await.map_err(|error| Trouble::Away(advised(error, address)))?;
        let greeting = address.handshake();
        let greeted: Result<Value, RedisError> = greeting.query_async(&mut connection).await;
        greeted.map_err(|error| Trouble::of_handshake(advised(error, address)))?;
        Ok(Connection::Server(connection))
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Connection::Server(server) => server.req_packed_command(cmd),
            #[cfg(feature = "cluster")]
            Connection::Cluster(cluster) => cluster.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Connection::Server(server) => server.req_packed_commands(commands, offset, count),
            #[cfg(feature = "cluster")]
            Connection::Cluster(cluster) => cluster.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Connection::Server(server) => server.get_db(),
            #[cfg(feature = "cluster")]
            Connection::Cluster(cluster) => cluster.get_db(),
        }
    }
}

/// Why there is no connection, and what to do about it where a private authority or TLS on one side alone is likely.
fn advised(error: RedisError, address: &Address) -> RedisError {
    let hung_up = error.is_connection_dropped() && !error.is_connection_refusal();
    let advice = match address.server() {
        ConnectionAddr::TcpTls { .. } if error.to_string().contains("invalid peer certificate") => {
            "an authority of one's own is trusted if `SSL_CERT_FILE` names its certificate"
        }
        ConnectionAddr::Tcp(..) if hung_up => "a port with TLS wants a `rediss://` URL",
        _ => return error,
    };
    io::Error::other(format!("{error}; {advice}")).into()
}

pub(crate) fn unusable(error: RedisError) -> Trouble {
    Trouble::Refused(error.category().to_owned())
}

/// With more than one provider compiled in, rustls wants to be told which; an application's own choice stands.
#[cfg(feature = "tls")]
pub(crate) fn choose_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
