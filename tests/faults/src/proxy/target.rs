//! The server's URL.

use crate::{Failure, Result};
use std::net::SocketAddr;

/// A URL, taken apart around host and port.
#[derive(Debug)]
pub(super) struct Target {
    /// Scheme and user, up to the host.
    before: String,
    host_and_port: String,
    /// What follows the port.
    after: String,
}

impl Target {
    pub(super) fn parse(url: &str) -> Result<Target> {
        // Not the URL itself, which may hold a password.
        let wrong = || Failure::new("a proxy needs a URL with scheme and host");
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let (authority, after) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(user, host)| (user, host));
        if host.is_empty() {
            return Err(wrong());
        }
        let port = if scheme.starts_with("redis") { 6379 } else { 5672 };
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let host_and_port = if has_port { host.to_owned() } else { format!("{host}:{port}") };
        let at = if user.is_empty() { "" } else { "@" };
        Ok(Target { before: format!("{scheme}://{user}{at}"), host_and_port, after: after.to_owned() })
    }

    pub(super) fn host_and_port(&self) -> &str {
        &self.host_and_port
    }

    pub(super) fn url_by(&self, address: SocketAddr) -> String {
        format!("{}{address}{}", self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_by_the_proxy_differs_in_host_and_port_alone() {
        let by: SocketAddr = "127.0.0.1:9".parse().unwrap();
        for (url, host_and_port, by_proxy) in [
            ("amqp://me:s@host:5673/%2f", "host:5673", "amqp://me:s@127.0.0.1:9/%2f"),
            ("amqp://host", "host:5672", "amqp://127.0.0.1:9"),
            ("redis://:pass@host/1", "host:6379", "redis://:pass@127.0.0.1:9/1"),
            ("redis://[::1]:7000", "[::1]:7000", "redis://127.0.0.1:9"),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!((target.host_and_port(), &*target.url_by(by)), (host_and_port, by_proxy));
        }
        for url in ["", "host", "amqp://", "amqp://me:s3cret@/"] {
            let error = Target::parse(url).unwrap_err();
            assert!(!error.to_string().contains("s3cret"));
        }
    }
}
