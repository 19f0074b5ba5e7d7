//! One way of one connection.

use super::{
    Line, Way,
    connection::{Connection, End, Order},
    outbox::Outbox,
    shared::{Protocol, Shared},
    sieve::{Sieve, Sifted},
    state::State,
    trap::Trap,
};
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{ReadHalf, WriteHalf},
    sync::{mpsc::UnboundedReceiver, watch},
};

pub(super) struct Pump<'a> {
    way: Way,
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    orders: UnboundedReceiver<Order>,
    state: watch::Receiver<State>,
    /// `None` where nothing is understood.
    sieve: Option<Sieve>,
    outbox: Outbox,
    stage: Stage,
    /// Bytes were lost: what follows would make no sense to the receiver.
    is_torn: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// The sender has ended, and so will the line when all is passed on.
    Ended,
    /// The line is to be closed when all is passed on, though the sender goes on.
    HalfClosing,
    HalfClosed,
    /// The connection ends when all is passed on.
    Last,
}

impl<'a> Pump<'a> {
    pub(super) fn new(
        way: Way,
        shared: &Arc<Shared>,
        connection: &Arc<Connection>,
        (from, to): (ReadHalf<'a>, WriteHalf<'a>),
        orders: UnboundedReceiver<Order>,
    ) -> Pump<'a> {
        let is_amqp = shared.protocol == Protocol::Amqp;
        Pump {
            way,
            shared: shared.clone(),
            connection: connection.clone(),
            from,
            to,
            orders,
            state: shared.state.subscribe(),
            sieve: is_amqp.then(|| Sieve::new(way, shared.clone(), connection.clone())),
            outbox: Outbox::new(),
            stage: Stage::Open,
            is_torn: false,
        }
    }

    /// Passes on what comes until it ends; the error says how both ways are to end.
    pub(super) async fn run(mut self) -> Result<(), End> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            self.state.mark_unchanged();
            let line = self.line();
            if self.is_over(line).await? {
                return Ok(());
            }
            let moves = line != Line::Stall;
            let writes = moves && line != Line::Swallow && !self.outbox.is_empty();
            let reads = moves && self.outbox.has_room() && !matches!(self.stage, Stage::Ended | Stage::Last);
            tokio::select! {
                // What a test has ordered comes before what follows on the wire.
                biased;
                Some(order) = self.orders.recv() => self.obey(order),
                Ok(()) = self.state.changed() => {}
                written = self.outbox.write(&mut self.to, line), if writes => {
                    let written = written.map_err(|_| End::Reset)?;
                    self.shared.counters.passed(self.way, written.bytes);
                    if let Some(trap) = written.trap {
                        self.connection.awaits_reply(trap);
                    }
                }
                read = self.from.read(&mut buffer), if reads => match read {
                    Ok(0) => self.stage = Stage::Ended,
                    Ok(read) => self.take(&buffer[..read])?,
                    Err(_) => return Err(End::Reset),
                },
            }
        }
    }

    fn line(&self) -> Line {
        self.state.borrow().line(self.connection.talk().name(), self.way)
    }

    /// Whether this way has ended.
    async fn is_over(&mut self, line: Line) -> Result<bool, End> {
        if self.outbox.is_spent() {
            return Err(End::Close);
        }
        if line == Line::Swallow {
            return Ok(false);
        }
        if self.is_torn {
            return Err(End::Reset);
        }
        if !self.outbox.is_empty() || line == Line::Stall {
            return Ok(false);
        }
        match self.stage {
            Stage::Open | Stage::HalfClosed => Ok(false),
            Stage::Last => Err(End::Close),
            Stage::Ended => {
                // It may be closed already.
                let _ = self.to.shutdown().await;
                Ok(true)
            }
            Stage::HalfClosing => {
                let _ = self.to.shutdown().await;
                self.stage = Stage::HalfClosed;
                Ok(false)
            }
        }
    }

    fn obey(&mut self, order: Order) {
        let line = self.line();
        match (order, &mut self.sieve) {
            (Order::Say(frames), Some(sieve)) => {
                let bytes = sieve.say(frames);
                self.outbox.push(bytes, line, None);
            }
            (Order::Say(_), None) => {}
            (Order::CutAfter(bytes), _) => self.outbox.limit(bytes),
            (Order::HalfClose, _) => self.stage = Stage::HalfClosing,
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), End> {
        let line = self.line();
        if line == Line::Swallow {
            self.is_torn = true;
            self.outbox.clear();
            return Ok(());
        }
        if matches!(self.stage, Stage::HalfClosing | Stage::HalfClosed) {
            return Ok(());
        }
        match &mut self.sieve {
            Some(sieve) => {
                let Sifted { bytes, ends } = sieve.sift(bytes);
                self.outbox.push(bytes, line, None);
                if ends {
                    self.stage = Stage::Last;
                }
            }
            None => {
                let trap = self.trap(bytes)?;
                self.outbox.push(bytes.to_vec(), line, trap);
            }
        }
        Ok(())
    }

    /// The trap that this request falls into; or this is the reply that is to be lost.
    fn trap(&self, bytes: &[u8]) -> Result<Option<Arc<Trap>>, End> {
        match self.way {
            Way::ToServer => Ok(self.shared.trap(bytes)),
            Way::ToClient if self.connection.loses_reply() => Err(End::LostReply),
            Way::ToClient => Ok(None),
        }
    }
}
