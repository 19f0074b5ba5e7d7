//! A line to a server that can be cut, slowed down, and made to swallow what clients say.

use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    sync::watch,
};

#[derive(Clone)]
pub struct Relay {
    address: SocketAddr,
    swallows: watch::Sender<bool>,
    slowness: watch::Sender<Duration>,
    cuts: watch::Sender<u64>,
}

impl Relay {
    /// A relay to `target`, host and port.
    pub async fn to(target: impl Into<String>) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (swallows, slowness, cuts) =
            (watch::Sender::new(false), watch::Sender::new(Duration::ZERO), watch::Sender::new(0));
        let relay = Relay { address, swallows, slowness, cuts };
        tokio::spawn(relay.clone().serve(listener, target.into()));
        relay
    }

    /// The same URL, by way of the relay.
    pub async fn before(url: &str) -> (Relay, String) {
        let (user, rest) = url.rsplit_once('@').expect("a URL with a user");
        let (target, path) = rest.split_once('/').unwrap_or((rest, ""));
        let relay = Relay::to(target).await;
        let url = format!("{user}@{}/{path}", relay.address);
        (relay, url)
    }

    /// Where clients find it, host and port.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Ends all connections, as a network would: without a word.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// From now on nothing that clients say arrives; what the server says does.
    pub fn swallow(&self) {
        self.swallows.send_replace(true);
    }

    /// From now on everything takes this long, each way.
    pub fn slow(&self, each_way: Duration) {
        self.slowness.send_replace(each_way);
    }

    async fn serve(self, listener: TcpListener, target: String) {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let (target, swallows, mut cuts) = (target.clone(), self.swallows.subscribe(), self.cuts.subscribe());
            let (there, back) = (self.slowness.subscribe(), self.slowness.subscribe());
            tokio::spawn(async move {
                let Ok(server) = TcpStream::connect(&target).await else { return };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::select! {
                    () = pass(from_client, to_server, Some(swallows), there) => {}
                    () = pass(from_server, to_client, None, back) => {}
                    _ = cuts.changed() => {}
                }
            });
        }
    }
}

async fn pass(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    swallows: Option<watch::Receiver<bool>>,
    slowness: watch::Receiver<Duration>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if swallows.as_ref().is_some_and(|swallows| *swallows.borrow()) {
            continue;
        }
        let slowness = *slowness.borrow();
        if !slowness.is_zero() {
            tokio::time::sleep(slowness).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
