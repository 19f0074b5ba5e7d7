//! A line to a RabbitMQ that loses every acknowledgement of one side, and can be cut.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    sync::watch,
};

/// `basic.ack`, which is a worker's word on a delivery, and the server's on a publish.
const ACK: [u8; 4] = [0, 60, 0, 80];
const METHOD: u8 = 1;
/// What a client says first is not a frame.
const PROTOCOL_HEADER: usize = 8;

#[derive(Clone)]
pub struct Lossy {
    address: SocketAddr,
    of_clients: Arc<Loss>,
    of_server: Arc<Loss>,
    cuts: watch::Sender<u64>,
}

/// What becomes of one side's acknowledgements.
#[derive(Default)]
struct Loss {
    is_on: AtomicBool,
    lost: AtomicU64,
}

impl Loss {
    fn takes(&self, kind: u8, payload: &[u8]) -> bool {
        let takes = self.is_on.load(Ordering::SeqCst) && kind == METHOD && payload.starts_with(&ACK);
        self.lost.fetch_add(u64::from(takes), Ordering::SeqCst);
        takes
    }
}

impl Lossy {
    /// A line to the server of `url`, and the URL that leads to the line.
    pub async fn before(url: &str) -> (Lossy, String) {
        let (user, rest) = url.rsplit_once('@').expect("a URL with a user");
        let (target, path) = rest.split_once('/').unwrap_or((rest, ""));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let lossy =
            Lossy { address, of_clients: Arc::default(), of_server: Arc::default(), cuts: watch::Sender::new(0) };
        tokio::spawn(lossy.clone().serve(listener, target.to_owned()));
        (lossy, format!("{user}@{address}/{path}"))
    }

    /// From now on no ack of a worker arrives.
    pub fn lose_acks(&self) {
        self.of_clients.is_on.store(true, Ordering::SeqCst);
    }

    pub fn lost_acks(&self) -> u64 {
        self.of_clients.lost.load(Ordering::SeqCst)
    }

    /// From now on no publisher is told that its message arrived.
    pub fn lose_confirms(&self) {
        self.of_server.is_on.store(true, Ordering::SeqCst);
    }

    pub fn lost_confirms(&self) -> u64 {
        self.of_server.lost.load(Ordering::SeqCst)
    }

    /// Ends all connections without a word; the next ones lose nothing.
    pub fn cut(&self) {
        self.of_clients.is_on.store(false, Ordering::SeqCst);
        self.of_server.is_on.store(false, Ordering::SeqCst);
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    async fn serve(self, listener: TcpListener, target: String) {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let (line, mut cuts, target) = (self.clone(), self.cuts.subscribe(), target.clone());
            tokio::spawn(async move {
                let Ok(server) = TcpStream::connect(&target).await else { return };
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let there = async {
                    let mut header = [0; PROTOCOL_HEADER];
                    from_client.read_exact(&mut header).await?;
                    to_server.write_all(&header).await?;
                    pass(&mut from_client, &mut to_server, &line.of_clients).await
                };
                // However it ends, both sides are let go.
                tokio::select! {
                    _ = there => {}
                    _ = pass(&mut from_server, &mut to_client, &line.of_server) => {}
                    _ = cuts.changed() => {}
                }
            });
        }
    }
}

async fn pass(from: &mut tcp::OwnedReadHalf, to: &mut tcp::OwnedWriteHalf, loss: &Loss) -> io::Result<()> {
    loop {
        let mut frame = vec![0; 7];
        from.read_exact(&mut frame).await?;
        let size = u32::from_be_bytes([frame[3], frame[4], frame[5], frame[6]]) as usize;
        // One more: the mark at a frame's end.
        frame.resize(7 + size + 1, 0);
        from.read_exact(&mut frame[7..]).await?;
        if !loss.takes(frame[0], &frame[7..]) {
            to.write_all(&frame).await?;
        }
    }
}
