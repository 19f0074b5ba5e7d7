//! What a server could say, and does not.

use super::{
    Way,
    connection::{Connection, Order},
    talk::Consumer,
};
use crate::amqp::frame::{Frame, short_text};

/// Something that a proxy says to a client in the server's place. Server and client agree on it afterwards: what ends for
/// the client is ended at the server too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Injection {
    /// `connection.blocked`, for this reason: the client should not publish. The server goes on reading.
    Blocked(String),
    /// `connection.unblocked`.
    Unblocked,
    /// `basic.cancel` to all consumers, as when their queue is deleted or has moved. What was on its way to them goes
    /// back to the queue.
    Cancel,
    /// `channel.close` of all channels, as with 406.
    CloseChannels {
        /// Why, as a number.
        code: u16,
        /// Why, for people.
        text: String,
    },
}

impl Connection {
    /// Whether there was anything to say it to.
    pub(super) fn inject(&self, injection: &Injection) -> bool {
        let (is_open, channels, consumers) = {
            let talk = self.talk();
            (talk.is_open(), talk.channels(), talk.consumers())
        };
        match injection {
            Injection::Blocked(reason) => {
                is_open && self.says(Frame::method(0, 10, 60, &short_text(reason.as_bytes())))
            }
            Injection::Unblocked => is_open && self.says(Frame::method(0, 10, 61, &[])),
            Injection::Cancel => {
                consumers.iter().for_each(|consumer| self.cancels(consumer));
                !consumers.is_empty()
            }
            Injection::CloseChannels { code, text } => {
                for channel in &channels {
                    self.order(Way::ToClient, Order::Say(vec![channel_close(*channel, *code, text)]));
                    self.order(Way::ToServer, Order::Say(vec![leave(*channel)]));
                }
                !channels.is_empty()
            }
        }
    }

    fn says(&self, frame: Frame) -> bool {
        self.order(Way::ToClient, Order::Say(vec![frame]))
    }

    fn cancels(&self, consumer: &Consumer) {
        let cancel = cancel(consumer);
        self.order(Way::ToClient, Order::Say(vec![cancel.clone()]));
        self.order(Way::ToServer, Order::Say(vec![cancel]));
    }
}

/// Without an answer, as servers say it.
fn cancel(consumer: &Consumer) -> Frame {
    Frame::method(consumer.channel, 60, 30, &[short_text(&consumer.tag), vec![1]].concat())
}

/// What a server says that closes a channel.
pub(super) fn channel_close(channel: u16, code: u16, text: &str) -> Frame {
    let arguments = [code.to_be_bytes().to_vec(), short_text(text.as_bytes()), vec![0; 4]];
    Frame::method(channel, 20, 40, &arguments.concat())
}

/// What a client says that is done with a channel.
pub(super) fn leave(channel: u16) -> Frame {
    channel_close(channel, 200, "")
}

pub(super) fn channel_close_ok(channel: u16) -> Frame {
    Frame::method(channel, 20, 41, &[])
}

/// Gives a delivery back to its queue.
pub(super) fn requeue(channel: u16, delivery: u64) -> Frame {
    Frame::method(channel, 60, 90, &[delivery.to_be_bytes().as_slice(), &[1]].concat())
}
