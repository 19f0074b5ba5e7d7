//! Where Redis is: read from a URL once, kept without its text, shown without its secrets.

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, io::tcp::TcpSettings};
use std::fmt;

/// How a URL is to be written; shown wherever one could not be used.
const FORM: &str = "write it as `redis://[user:password@]host[:port][/database]`";

/// A server, or some nodes of a cluster, and the user to be there.
#[derive(Clone)]
pub(crate) struct Address {
    first: ConnectionInfo,
    #[cfg(feature = "cluster")]
    nodes: Option<Vec<ConnectionInfo>>,
}

impl Address {
    /// # Errors
    /// What is wrong with the URL, without any part of it: there may be a password anywhere in it.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        if url.starts_with("rediss:") && !cfg!(feature = "tls") {
            return Err("a `rediss://` URL needs the feature `tls`".into());
        }
        let unusable = |error: redis::RedisError| {
            let reason = error.detail().unwrap_or_default().to_owned();
            let reason = if reason.is_empty() { error.to_string() } else { reason };
            format!("the Redis URL cannot be used ({reason}); {FORM}")
        };
        let info = url.into_connection_info().map_err(unusable)?;
        let first = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        Ok(Address {
            first,
            #[cfg(feature = "cluster")]
            nodes: None,
        })
    }

    /// # Errors
    /// There is no URL, or one of them is unusable.
    #[cfg(feature = "cluster")]
    pub(crate) fn cluster<U: AsRef<str>>(urls: impl IntoIterator<Item = U>) -> Result<Self, String> {
        let nodes: Result<Vec<_>, String> =
            urls.into_iter().map(|url| Address::parse(url.as_ref()).map(|address| address.first)).collect();
        let nodes = nodes?;
        let first = nodes.first().cloned().ok_or("a cluster needs the URL of one of its nodes at least")?;
        Ok(Address { first, nodes: Some(nodes) })
    }

    /// The nodes to ask for the others, if this is a cluster.
    #[cfg(feature = "cluster")]
    pub(crate) fn nodes(&self) -> Option<&[ConnectionInfo]> {
        self.nodes.as_deref()
    }

    /// Host and port, and whether by TLS.
    pub(crate) fn server(&self) -> &ConnectionAddr {
        self.first.addr()
    }

    pub(crate) fn is_cluster(&self) -> bool {
        #[cfg(feature = "cluster")]
        return self.nodes.is_some();
        #[cfg(not(feature = "cluster"))]
        return false;
    }

    /// # Errors
    /// The variable is missing or unusable; the text names it.
    pub(crate) fn from_env(variable: &str) -> Result<Self, String> {
        let url =
            std::env::var(variable).map_err(|_| format!("the environment variable `{variable}` is not set; {FORM}"))?;
        Address::parse(&url).map_err(|reason| format!("`{variable}`: {reason}"))
    }

    /// A client that does all of the handshake.
    pub(crate) fn client(&self) -> Result<Client, redis::RedisError> {
        Client::open(self.first.clone())
    }

    /// A client that leaves user and database to [`Address::handshake`], whose replies tell more than its own.
    pub(crate) fn bare_client(&self) -> Result<Client, redis::RedisError> {
        Client::open(self.first.clone().set_redis_settings(RedisConnectionInfo::default()))
    }

    /// What is said first on a connection of [`Address::bare_client`].
    pub(crate) fn handshake(&self) -> redis::Pipeline {
        let settings = self.first.redis_settings();
        let mut handshake = redis::pipe();
        if let Some(password) = settings.password() {
            let auth = handshake.cmd("AUTH");
            if let Some(user) = settings.username() {
                auth.arg(user);
            }
            auth.arg(password);
        }
        if settings.db() != 0 {
            handshake.cmd("SELECT").arg(settings.db());
        }
        // The only command that a server which wants a password refuses without one.
        handshake.cmd("PING");
        handshake
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.addr().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_host_and_port_alone() {
        let address = Address::parse("redis://me:s3cret@example.com:7000/2").unwrap();
        assert_eq!(address.to_string(), "example.com:7000");
    }

    #[test]
    fn an_unusable_url_is_refused_without_being_shown() {
        for url in
            ["", "s3cret", "redis://", "http://me:s3cret@host", "redis://me:s3cret@host:port", "redis://s3cret@host/x"]
        {
            let reason = Address::parse(url).map(|address| address.to_string()).unwrap_err();
            assert!(!reason.contains("s3cret"), "{reason}");
            assert!(reason.contains("redis://[user:password@]host"), "{reason}");
        }
    }

    #[test]
    fn a_missing_variable_is_named() {
        let reason = Address::from_env("TASKQ_TEST_NEVER_SET").map(|_| ()).unwrap_err();
        assert!(reason.contains("TASKQ_TEST_NEVER_SET"), "{reason}");
    }
}
