//! A panic of somebody who has a delivery in hand. One test alone: it is the first panic of its process.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::{
    sync::{Arc, mpsc},
    thread,
};
use taskq::{ContentType, Delivery, Message, Settle, Settlement, TaskId};

struct Told(mpsc::Sender<(u64, Settlement)>);

impl Settle for Told {
    fn settle(&self, tag: u64, settlement: Settlement) {
        self.0.send((tag, settlement)).unwrap();
    }
}

#[test]
fn a_delivery_in_the_hands_of_one_who_panics_goes_back() {
    let (sender, told) = mpsc::channel();
    let message = Message::new(TaskId::new(), "mail.send", ContentType::Json, "{}".into());
    let delivery = Delivery::new(message.into(), false, 7, Arc::new(Told(sender)));
    let panicked = thread::spawn(move || {
        let _in_hand = delivery;
        panic!("with a delivery in hand");
    });
    assert!(panicked.join().is_err());
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [(7, Settlement::Requeue)]);
}
