//! One connection through the proxy.

use super::{Way, pump::Pump, shared::Shared, talk::Talk, trap::Trap};
use crate::amqp::frame::Frame;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        watch,
    },
    time::timeout,
};

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Both sockets are closed.
    Close,
    /// Both sockets are reset.
    Reset,
    /// The client's socket is closed; the server may finish what it was asked.
    LostReply,
}

/// What one way of a connection is to do.
#[derive(Debug)]
pub(super) enum Order {
    /// Frames of one channel that follow each other.
    Say(Vec<Frame>),
    CutAfter(u64),
    HalfClose,
}

#[derive(Debug)]
pub(super) struct Connection {
    talk: Mutex<Talk>,
    end: watch::Sender<Option<End>>,
    orders: [UnboundedSender<Order>; 2],
    /// Its request has been passed on.
    trap: Mutex<Option<Arc<Trap>>>,
}

/// What the two ways are told.
type Orders = [UnboundedReceiver<Order>; 2];

impl Connection {
    fn new() -> (Arc<Connection>, Orders) {
        let (to_server, orders_to_server) = unbounded_channel();
        let (to_client, orders_to_client) = unbounded_channel();
        let connection = Connection {
            talk: Mutex::default(),
            end: watch::Sender::new(None),
            orders: [to_server, to_client],
            trap: Mutex::default(),
        };
        (Arc::new(connection), [orders_to_server, orders_to_client])
    }

    pub(super) fn talk(&self) -> MutexGuard<'_, Talk> {
        self.talk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn end(&self, end: End) -> bool {
        self.end.send_replace(Some(end)).is_none()
    }

    pub(super) fn order(&self, way: Way, order: Order) -> bool {
        self.orders[way.index()].send(order).is_ok()
    }

    pub(super) fn awaits_reply(&self, trap: Arc<Trap>) {
        *self.trap.lock().unwrap_or_else(PoisonError::into_inner) = Some(trap);
    }

    /// Whether what the server says now is a reply that is to be lost.
    pub(super) fn loses_reply(&self) -> bool {
        let trap = self.trap.lock().unwrap_or_else(PoisonError::into_inner).take();
        trap.inspect(|trap| trap.spring()).is_some()
    }

    async fn ended(&self) -> End {
        let mut end = self.end.subscribe();
        match end.wait_for(Option::is_some).await {
            Ok(end) => end.unwrap_or(End::Close),
            Err(_) => End::Close,
        }
    }
}

/// Leads a client to the server, until one of them or the proxy ends it.
pub(super) async fn lead(shared: Arc<Shared>, mut client: TcpStream) {
    let (connection, orders) = Connection::new();
    let _entry = shared.enter(&connection);
    let server = tokio::select! {
        server = TcpStream::connect(shared.target.host_and_port()) => server,
        end = connection.ended() => return finish(end, client, None).await,
    };
    let Ok(mut server) = server else { return };
    // Small frames should not wait for each other.
    let _ = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let [to_server_orders, to_client_orders] = orders;
        let there = Pump::new(Way::ToServer, &shared, &connection, (from_client, to_server), to_server_orders);
        let back = Pump::new(Way::ToClient, &shared, &connection, (from_server, to_client), to_client_orders);
        tokio::select! {
            ended = async { tokio::try_join!(there.run(), back.run()) } => ended.err().unwrap_or(End::Close),
            end = connection.ended() => end,
        }
    };
    finish(end, client, Some(server)).await;
}

/// Accepts a client and says nothing to it.
pub(super) async fn keep_silent(shared: Arc<Shared>, client: TcpStream) {
    let (connection, _orders) = Connection::new();
    let _entry = shared.enter(&connection);
    let end = connection.ended().await;
    finish(end, client, None).await;
}

async fn finish(end: End, client: TcpStream, server: Option<TcpStream>) {
    match end {
        End::Close => {}
        End::Reset => {
            for socket in [Some(client), server].into_iter().flatten() {
                // A socket that has ended already cannot be reset.
                let _ = socket.set_zero_linger();
            }
        }
        End::LostReply => {
            drop(client);
            let Some(mut server) = server else { return };
            let _ = server.shutdown().await;
            let mut buffer = [0; 4096];
            let rest = async { while matches!(server.read(&mut buffer).await, Ok(1..)) {} };
            let _ = timeout(Duration::from_secs(5), rest).await;
        }
    }
}
