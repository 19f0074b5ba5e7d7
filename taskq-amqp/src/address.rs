//! Where the servers are: URLs as the user gave them, checked, and never shown with their secrets.

use lapin::uri::{AMQPScheme, AMQPUri};
use std::time::Duration;
use taskq_core::BrokerError;

/// RabbitMQ's usual frame size. Without a limit of ours a server that sets none would make lapin size its buffers for
/// frames of 4 GiB.
const FRAME_MAX: u32 = 128 * 1024;

/// One server.
#[derive(Clone)]
pub(crate) struct Address {
    uri: AMQPUri,
}

impl Address {
    /// Reads a URL of the form `amqp://user:password@host:port/vhost`.
    pub(crate) fn parse(url: &str, heartbeat: Duration) -> Result<Address, BrokerError> {
        let mut uri = parse(url).map_err(|reason| BrokerError::Address { reason })?;
        if uri.scheme == AMQPScheme::AMQPS && !cfg!(feature = "tls") {
            let reason = "it starts with `amqps`, which needs the feature `tls`".to_owned();
            return Err(BrokerError::Address { reason });
        }
        let heartbeat = u16::try_from(heartbeat.as_secs().max(1)).unwrap_or(u16::MAX);
        uri.query.heartbeat.get_or_insert(heartbeat);
        uri.query.frame_max.get_or_insert(FRAME_MAX);
        Ok(Address { uri })
    }

    pub(crate) fn uri(&self) -> &AMQPUri {
        &self.uri
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.uri.scheme == AMQPScheme::AMQPS
    }

    /// Host and port, without secrets.
    pub(crate) fn shown(&self) -> String {
        format!("{}:{}", self.uri.authority.host, self.uri.authority.port)
    }
}

/// Every reason is in our own words or about one number: the parser's may repeat the URL, password included.
fn parse(url: &str) -> Result<AMQPUri, String> {
    const FORM: &str = "it must look like `amqp://user:password@host:5672/vhost`";
    let scheme = url.split("://").next().unwrap_or_default();
    if !matches!(scheme, "amqp" | "amqps") {
        return Err(format!("it starts with neither `amqp://` nor `amqps://`; {FORM}"));
    }
    let after_user = url.rsplit_once('@').map_or(url.trim_start_matches(scheme).trim_start_matches("://"), |at| at.1);
    if after_user.starts_with('[') {
        // lapin takes a literal for no host at all and connects to localhost instead.
        return Err("an IPv6 address in place of a host name is not understood; give it a name".to_owned());
    }
    if after_user.is_empty() || after_user.starts_with(['/', ':', '?']) {
        return Err(format!("it names no host; {FORM}"));
    }
    url.parse::<AMQPUri>().map_err(|reason| match reason.contains(url) {
        true => FORM.to_owned(),
        false => format!("{reason}; {FORM}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEARTBEAT: Duration = Duration::from_secs(7);

    #[test]
    fn what_the_url_leaves_open_is_filled_in() {
        let address = Address::parse("amqp://me:secret@rabbit.example:5673/%2f", HEARTBEAT).unwrap();
        assert_eq!(address.shown(), "rabbit.example:5673");
        assert_eq!(address.uri().query.heartbeat, Some(7));
        assert_eq!(address.uri().query.frame_max, Some(FRAME_MAX));
        let own = Address::parse("amqp://localhost/%2f?heartbeat=30&frame_max=8192", HEARTBEAT).unwrap();
        assert_eq!((own.uri().query.heartbeat, own.uri().query.frame_max), (Some(30), Some(8192)));
    }

    #[test]
    fn bad_urls_are_refused_without_showing_the_password() {
        for bad in [
            "",
            "localhost",
            "http://me:secret@localhost",
            "amqp:me:secret@localhost",
            "amqp://me:secret@localhost:port/%2f",
            "amqp://me:secret@[::1]:5672/%2f",
            "amqp://me:secret@/%2f",
            "amqp://me:secret@localhost/%2f?heartbeat=x",
        ] {
            let Err(BrokerError::Address { reason }) = Address::parse(bad, HEARTBEAT) else { panic!("{bad}") };
            assert!(!reason.contains("secret"), "{reason}");
        }
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn an_encrypted_address_needs_the_feature() {
        let error = Address::parse("amqps://localhost", HEARTBEAT).err().unwrap().to_string();
        assert!(error.contains("feature `tls`"), "{error}");
    }
}
