//! A line to the test server that can be cut, held, and made to answer nothing.

use super::{amqp_url, amqp_url_at};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What the relay does with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything on.
    Open,
    /// Passes on what clients say, and none of what the server answers.
    Mute,
    /// Ends connections as soon as they are made.
    Drop,
    /// Accepts connections and says nothing on them.
    Silent,
}

#[derive(Clone)]
pub struct Relay {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    cuts: watch::Sender<u64>,
    accepted: Arc<AtomicUsize>,
}

impl Relay {
    /// A relay to the test server.
    pub async fn start() -> Relay {
        let url = amqp_url();
        let target = url.rsplit_once('@').unwrap().1.split_once('/').unwrap().0.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = Relay {
            address: listener.local_addr().unwrap(),
            mode: watch::Sender::new(Mode::Open),
            cuts: watch::Sender::new(0),
            accepted: Arc::default(),
        };
        tokio::spawn(relay.clone().serve(listener, target));
        relay
    }

    /// The same on a thread of its own, for tests that block theirs.
    pub fn start_apart() -> Relay {
        let (relay, started) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                relay.send(Relay::start().await).unwrap();
                std::future::pending::<()>().await;
            });
        });
        started.recv().unwrap()
    }

    pub fn url(&self) -> String {
        amqp_url_at(&self.address.to_string())
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Ends all connections, as a network would: without a word.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Connections since the start.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    async fn serve(self, listener: TcpListener, target: String) {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            self.accepted.fetch_add(1, Ordering::SeqCst);
            let (target, mode, mut cuts) = (target.clone(), self.mode.subscribe(), self.cuts.subscribe());
            cuts.mark_unchanged();
            tokio::spawn(async move {
                tokio::select! {
                    () = pass(client, target, mode) => {}
                    _ = cuts.changed() => {}
                }
            });
        }
    }
}

async fn pass(mut client: TcpStream, target: String, mut mode: watch::Receiver<Mode>) {
    let now = *mode.borrow_and_update();
    match now {
        Mode::Drop => return,
        Mode::Silent => return std::future::pending().await,
        Mode::Open | Mode::Mute => {}
    }
    let Ok(mut server) = TcpStream::connect(&target).await else { return };
    loop {
        let now = *mode.borrow_and_update();
        tokio::select! {
            _ = async {
                match now {
                    Mode::Mute => only_to_server(&mut client, &mut server).await,
                    _ => copy_bidirectional(&mut client, &mut server).await.map(drop),
                }
            } => return,
            _ = mode.changed() => {}
        }
    }
}

async fn only_to_server(client: &mut TcpStream, server: &mut TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match client.read(&mut buffer).await? {
            0 => return Ok(()),
            read => server.write_all(&buffer[..read]).await?,
        }
    }
}
