//! What speaks against running a delivery without asking anybody.

use crate::message::Message;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The broker has given the message to nobody before, and no other of its run was sent.
    None,
    /// Its publisher sent it again because it heard no confirm. The first copy is in no doubt: it may be running, and leaves
    /// no trace until it has a mark or an end.
    Copy,
    /// It may have run before or be running elsewhere, and whoever runs it has claimed it.
    Doubled,
}

impl Doubt {
    pub(super) fn about(message: &Message, redelivered: bool) -> Doubt {
        // One that was put off has an eta. What passes the delay levels may come twice by itself.
        let is_first = message.attempt == 1 && message.round == 0 && message.eta.is_none();
        match message {
            _ if !is_first => Doubt::Doubled,
            Message { republished: true, .. } => Doubt::Copy,
            Message { check: true, .. } => Doubt::Doubled,
            _ if redelivered => Doubt::Doubled,
            _ => Doubt::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::UnixMillis, message::ContentType};

    fn about(redelivered: bool, change: impl FnOnce(&mut Message)) -> Doubt {
        let mut message = Message::new("t".into(), "t", ContentType::Json, bytes::Bytes::new());
        change(&mut message);
        Doubt::about(&message, redelivered)
    }

    #[test]
    fn only_a_first_delivery_of_a_message_that_was_sent_once_is_free_of_doubt() {
        assert_eq!(about(false, |_| {}), Doubt::None);
        assert_eq!(about(true, |_| {}), Doubt::Doubled);
        assert_eq!(about(false, |message| message.republished = true), Doubt::Copy);
        assert_eq!(about(true, |message| message.republished = true), Doubt::Copy);
        let changes: [fn(&mut Message); 4] = [
            |message| message.check = true,
            |message| message.attempt = 2,
            |message| message.round = 1,
            |message| message.eta = Some(UnixMillis(1)),
        ];
        for change in changes {
            assert_eq!(about(false, change), Doubt::Doubled);
        }
    }

    #[test]
    fn a_copy_that_was_put_off_is_not_put_off_again() {
        let put_off = |message: &mut Message| (message.republished, message.eta) = (true, Some(UnixMillis(1)));
        assert_eq!(about(false, put_off), Doubt::Doubled);
    }
}
