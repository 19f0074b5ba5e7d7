//! What real clients and real servers make of the proxy's faults. On the servers that all tests share.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use futures_util::StreamExt;
use lapin::{
    Consumer, Event,
    options::{BasicAckOptions, BasicConsumeOptions},
    types::FieldTable,
};
use support::hangs;
use taskq_faults::{
    proxy::{Injection, Line, Method, Proxy, Rule, Way, Who},
    rabbit::Client,
    shared::{amqp_url, redis_url},
    wait::{ended, eventually},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A proxy, a publisher and a consumer behind it, and one that is not, with a queue that goes with it.
struct Behind {
    proxy: Proxy,
    publisher: Client,
    consumer: Client,
    witness: Client,
    queue: String,
}

impl Behind {
    async fn new() -> Behind {
        let proxy = Proxy::amqp(&amqp_url()).unwrap();
        let publisher = Client::named(&proxy.url(), "faults/test/host/1/pub").await;
        let consumer = Client::named(&proxy.url(), "faults/test/host/1/con").await;
        let witness = Client::named(&amqp_url(), "faults/witness").await;
        let queue = witness.declare_shared().await;
        Behind { proxy, publisher, consumer, witness, queue }
    }

    async fn consume(&self) -> Consumer {
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let queue = self.queue.as_str();
        ended(self.consumer.channel.basic_consume(queue.into(), "".into(), options, arguments)).await.unwrap()
    }

    async fn end(self) {
        self.witness.delete(&self.queue).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_confirm_leaves_the_message_in_its_queue_and_its_publisher_waiting() {
    let behind = Behind::new().await;
    assert!(ended(behind.publisher.publish(&behind.queue, "one")).await.unwrap());
    let lost = behind.proxy.add(Rule::lost_confirms().of(Who::Publishers));
    let mut publish = Box::pin(behind.publisher.publish(&behind.queue, "two"));
    assert!(hangs(&mut publish).await);
    assert_eq!(lost.hits(), 1);
    assert_eq!(behind.proxy.reset(Who::Publishers), 1);
    assert!(ended(publish).await.is_err());
    assert_eq!(behind.witness.look_into(&behind.queue).await, ["one", "two"]);
    behind.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_whose_line_is_cut_before_it_does_not_arrive() {
    let behind = Behind::new().await;
    behind.proxy.add(Rule::cut_before(Method::BASIC_PUBLISH, Way::ToServer).skip(1).times(1));
    assert!(ended(behind.publisher.publish(&behind.queue, "one")).await.unwrap());
    assert!(ended(behind.publisher.publish(&behind.queue, "two")).await.is_err());
    assert_eq!(behind.witness.look_into(&behind.queue).await, ["one"]);
    behind.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_ack_brings_the_message_back() {
    let behind = Behind::new().await;
    let mut consumer = behind.consume().await;
    behind.publisher.publish(&behind.queue, "one").await.unwrap();
    let lost = behind.proxy.add(Rule::lost_acks());
    let delivery = ended(consumer.next()).await.unwrap().unwrap();
    delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
    eventually("the ack is lost", async || lost.hits() == 1).await;
    behind.proxy.cut(Who::Consumers);
    eventually("it is there again", async || behind.witness.look_into(&behind.queue).await == ["one"]).await;
    behind.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_blocked_and_unblocked_without_an_alarm() {
    let behind = Behind::new().await;
    let mut events = behind.publisher.connection.events_listener();
    let blocked = Injection::Blocked("low on memory".into());
    assert_eq!(behind.proxy.inject(Who::Publishers, &blocked), 1);
    let event = ended(events.next()).await.unwrap();
    assert!(matches!(&event, Event::ConnectionBlocked(reason) if reason.as_str() == "low on memory"), "{event:?}");
    assert_eq!(behind.proxy.inject(Who::Publishers, &Injection::Unblocked), 1);
    let event = ended(events.next()).await.unwrap();
    assert!(matches!(event, Event::ConnectionUnblocked), "{event:?}");
    behind.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_consumer_is_none_at_the_server_either() {
    let behind = Behind::new().await;
    let mut consumer = behind.consume().await;
    assert_eq!(behind.proxy.inject(Who::Consumers, &Injection::Cancel), 1);
    assert!(ended(consumer.next()).await.is_none_or(|delivery| delivery.is_err()));
    behind.publisher.publish(&behind.queue, "one").await.unwrap();
    eventually("it stays in its queue", async || behind.witness.look_into(&behind.queue).await == ["one"]).await;
    assert!(behind.consumer.channel.status().connected());
    behind.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_is_answered_with_406_and_the_message_comes_back() {
    let behind = Behind::new().await;
    let mut consumer = behind.consume().await;
    behind.publisher.publish(&behind.queue, "one").await.unwrap();
    let text = "PRECONDITION_FAILED - unknown delivery tag 1";
    behind.proxy.add(Rule::close_channel(Method::BASIC_ACK, 406, text).of(Who::Consumers).times(1));
    let delivery = ended(consumer.next()).await.unwrap().unwrap();
    let _ = delivery.acker.ack(BasicAckOptions::default()).await;
    eventually("the channel is closed", async || !behind.consumer.channel.status().connected()).await;
    eventually("it is there again", async || behind.witness.look_into(&behind.queue).await == ["one"]).await;
    let next = ended(behind.consumer.connection.create_channel()).await;
    assert!(next.is_ok(), "the connection goes on: {next:?}");
    behind.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_whose_channels_are_closed_opens_another() {
    let behind = Behind::new().await;
    let closing = Injection::CloseChannels { code: 404, text: "NOT_FOUND".into() };
    assert_eq!(behind.proxy.inject(Who::Publishers, &closing), 1);
    eventually("the channel is closed", async || !behind.publisher.channel.status().connected()).await;
    assert!(ended(behind.publisher.connection.create_channel()).await.is_ok());
    behind.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_role_is_stalled_while_the_other_goes_on() {
    let behind = Behind::new().await;
    let mut consumer = behind.consume().await;
    behind.proxy.lines(Who::Publishers, Line::Stall);
    let mut publish = Box::pin(behind.publisher.publish(&behind.queue, "stalled"));
    assert!(hangs(&mut publish).await);
    behind.witness.publish(&behind.queue, "passes").await.unwrap();
    assert_eq!(ended(consumer.next()).await.unwrap().unwrap().data, b"passes");
    behind.proxy.heal();
    assert!(ended(publish).await.unwrap());
    behind.end().await;
}

#[tokio::test]
async fn redis_has_done_what_it_was_asked_though_its_reply_was_lost() {
    let proxy = Proxy::redis(&redis_url()).unwrap();
    let key = format!("taskq-faults-test-{}", std::process::id());
    let lost = proxy.lose_reply("SET");
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    client.write_all(format!("SET {key} done PX 60000\r\n").as_bytes()).await.unwrap();
    let mut buffer = [0; 64];
    assert_eq!(ended(client.read(&mut buffer)).await.unwrap(), 0);
    assert!(lost.has_happened());
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    client.write_all(format!("GETDEL {key}\r\n").as_bytes()).await.unwrap();
    let read = ended(client.read(&mut buffer)).await.unwrap();
    assert_eq!(&buffer[..read], b"$4\r\ndone\r\n");
}
