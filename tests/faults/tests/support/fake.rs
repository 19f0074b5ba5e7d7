//! A server that does what the test says, and a client of it by way of a proxy.

use taskq_faults::{proxy::Proxy, wait::ended};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A server, and a proxy before it.
pub struct Fake {
    listener: TcpListener,
    pub proxy: Proxy,
}

/// Both ends of a line through the proxy.
pub struct Ends {
    pub client: TcpStream,
    pub server: TcpStream,
}

impl Fake {
    /// Behind a proxy that understands nothing.
    pub async fn opaque() -> Fake {
        Fake::behind("redis", Proxy::redis).await
    }

    /// Behind a proxy that understands AMQP.
    pub async fn amqp() -> Fake {
        Fake::behind("amqp", Proxy::amqp).await
    }

    async fn behind(scheme: &str, proxy: impl Fn(&str) -> taskq_faults::Result<Proxy>) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = proxy(&format!("{scheme}://{}", listener.local_addr().unwrap())).unwrap();
        Fake { listener, proxy }
    }

    pub async fn connect(&self) -> Ends {
        let client = TcpStream::connect(self.proxy.address()).await.unwrap();
        let (server, _) = ended(self.listener.accept()).await.unwrap();
        Ends { client, server }
    }

    /// A client that nobody answers, be it that nobody ever will.
    pub async fn client(&self) -> TcpStream {
        TcpStream::connect(self.proxy.address()).await.unwrap()
    }
}

/// Reads exactly these bytes.
pub async fn hears(stream: &mut TcpStream, wanted: &[u8]) {
    let mut heard = vec![0; wanted.len()];
    ended(stream.read_exact(&mut heard)).await.unwrap();
    assert_eq!(heard, wanted);
}

pub async fn says(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
}

/// Everything up to the end; the error says that it was a reset.
pub async fn rest(stream: &mut TcpStream) -> Result<Vec<u8>, std::io::ErrorKind> {
    let mut rest = Vec::new();
    match ended(stream.read_to_end(&mut rest)).await {
        Ok(_) => Ok(rest),
        Err(error) => Err(error.kind()),
    }
}
