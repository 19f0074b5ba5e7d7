//! The floor beside taskq, on the wire: a floor that says less, or says it in fewer bytes, makes weak ratios.

use super::{
    envelope::{Envelopes, argument, route},
    line::{confirming, connect},
    publish::confirmed,
    results::Results,
    waits::Waits,
};
use crate::{
    args::Args,
    ours::{
        app::{self, app},
        publish::kiq,
    },
    protocol::{Kind, Place, Task},
    setting::Setting,
    stage::Stage,
};
use clap::Parser;
use lapin::{BasicProperties, Connection, message::BasicGetMessage, options::BasicGetOptions, types::AMQPValue};
use redis::Client;
use std::time::Duration;
use taskq::ResultRecord;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
};

async fn setting() -> Setting {
    Setting::new(&Args::parse_from(["taskq-load", "--quick"])).await.unwrap()
}

/// The next message of the place's queue, once it is there.
async fn next(connection: &Connection, place: &Place) -> BasicGetMessage {
    let channel = connection.create_channel().await.unwrap();
    for _ in 0..200 {
        let queue = place.queues[0].as_str().into();
        if let Some(message) = channel.basic_get(queue, BasicGetOptions { no_ack: true }).await.unwrap() {
            return message;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no message came");
}

/// All that must be the same: what differs from message to message by its length only.
fn comparable(properties: &BasicProperties) -> (BasicProperties, Vec<(String, String)>) {
    let lengths = [properties.message_id(), properties.correlation_id()]
        .map(|text| ("an id".to_owned(), text.as_ref().unwrap().as_str().len().to_string()));
    let headers = properties.headers().clone().unwrap();
    let headers = headers.inner().iter().filter(|(name, _)| !name.as_str().starts_with("x-")).map(|(name, value)| {
        let value = match (name.as_str(), value) {
            ("traceparent", AMQPValue::LongString(text)) => format!("{} bytes", text.as_bytes().len()),
            ("taskq-eta", AMQPValue::LongLongInt(_)) => "an instant".to_owned(),
            (_, value) => format!("{value:?}"),
        };
        (name.to_string(), value)
    });
    let rest = properties.clone().with_message_id("".into()).with_correlation_id("".into()).with_timestamp(0);
    (rest.with_headers(lapin::types::FieldTable::default()), lengths.into_iter().chain(headers).collect())
}

/// What the routing key says.
fn ticks_and_queue(message: &BasicGetMessage) -> (u64, String) {
    let words: Vec<&str> = message.routing_key.as_str().split('.').collect();
    let (queue, bits) = words.split_last().unwrap();
    (bits.iter().fold(0, |ticks, bit| ticks * 2 + bit.parse::<u64>().unwrap()), (*queue).to_owned())
}

async fn check_publish(task: Task, text: usize, delay_millis: u64) {
    let setting = setting().await;
    let stage = Stage::set_with(&setting, Kind::Quorum, 1, text).await.unwrap();
    let place = &stage.place;
    let (app, connection) = (app(place, app::Results::Kept), connect(place).await.unwrap());
    app.startup().await.unwrap();
    if delay_millis > 0 {
        // Its levels are declared with the first one.
        kiq(&app, task, 0, "", Duration::from_millis(1)).await.unwrap();
        next(&connection, place).await;
    }
    kiq(&app, task, 300, &"x".repeat(text), Duration::from_millis(delay_millis)).await.unwrap();
    let ours = next(&connection, place).await;

    let channel = confirming(&connection).await.unwrap();
    let (properties, _) = Envelopes::new(place, task, delay_millis).next();
    let body = Envelopes::new(place, task, delay_millis).body(300);
    confirmed(&channel, &route(&place.queues[0], delay_millis), body, properties).await.unwrap();
    let floor = next(&connection, place).await;

    assert_eq!(ours.data, floor.data);
    assert_eq!(argument(&floor.data), 300);
    assert_eq!(comparable(&ours.properties), comparable(&floor.properties));
    assert_eq!(ours.exchange, floor.exchange);
    let (ours, floor) = (ticks_and_queue(&ours), ticks_and_queue(&floor));
    assert_eq!(ours.1, floor.1);
    // What passed before it was published counts.
    assert!(ours.0 <= floor.0 && floor.0 == delay_millis / 100, "{ours:?} {floor:?}");
    app.shutdown().await.unwrap();
    setting.clean().await.unwrap();
}

#[tokio::test]
async fn the_floor_publishes_what_taskq_publishes() {
    for (task, text) in
        [(Task::Kept, 0), (Task::Kept, 100), (Task::Kept, 70_000), (Task::Forgotten, 0), (Task::Fails, 0)]
    {
        check_publish(task, text, 0).await;
    }
}

#[tokio::test]
async fn the_floor_delays_as_taskq_delays() {
    check_publish(Task::Kept, 0, 1_600).await;
}

/// Hears all that a Redis is told about these keys.
struct Monitor {
    lines: Lines<BufReader<TcpStream>>,
    prefix: String,
}

impl Monitor {
    async fn start(place: &Place) -> Self {
        let address = Client::open(place.redis.as_str()).unwrap().get_connection_info().addr().to_string();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"MONITOR\r\n").await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        assert_eq!(lines.next_line().await.unwrap().unwrap(), "+OK");
        Monitor { lines, prefix: place.prefix.clone() }
    }

    /// The next command, without what differs from task to task.
    async fn next(&mut self) -> String {
        loop {
            let line = self.lines.next_line().await.unwrap().unwrap();
            let Some((_, command)) = line.split_once("] ") else { continue };
            if !command.contains(&self.prefix) || command.contains("SUBSCRIBE") {
                continue;
            }
            // A quotation mark in a word has a backslash before it; a space, such as one in a record, has not.
            let words = command.trim_matches('"').split("\" \"").map(|word| self.shape_of(word));
            return words.collect::<Vec<_>>().join(" ");
        }
    }

    /// An id stands for all ids, and any other long text, such as a record, for all of them.
    fn shape_of(&self, word: &str) -> String {
        let word = word.replace(&self.prefix, "prefix");
        let is_of_id = |c: char| c.is_ascii_hexdigit();
        match word.as_str() {
            text if text.len() == 32 && text.chars().all(is_of_id) => "id".into(),
            text if text.starts_with("prefix:{") => format!("prefix:{{id}}{}", text.rsplit('}').next().unwrap()),
            text if text.starts_with("prefix:wake:") => "prefix:wake:process".into(),
            text if text.len() > 40 => "record".into(),
            text => text.into(),
        }
    }

    async fn all(&mut self, count: usize) -> Vec<String> {
        let mut commands = Vec::new();
        for _ in 0..count {
            commands.push(self.next().await);
        }
        commands
    }
}

#[tokio::test]
async fn the_floor_tells_redis_what_taskq_tells_it() {
    let setting = setting().await;
    let stage = Stage::set(&setting, Kind::Quorum).await.unwrap();
    let place = &stage.place;
    let mut monitor = Monitor::start(place).await;

    let app = app(place, app::Results::Kept);
    app.startup().await.unwrap();
    let handle = app.kiq_many([crate::ours::tasks::kept(300)]).await.unwrap().remove(0);
    let waiting = tokio::spawn(async move { handle.wait_result().await });
    let mut ours = monitor.all(3).await;
    app.worker().run_until(waiting).await.unwrap();
    ours.extend(monitor.all(4).await);

    let (mut results, waits) = (Results::connect(place).await.unwrap(), Waits::listen(place).await.unwrap());
    let id = "0123456789abcdef0123456789abcdef";
    let wait = waits.enter(id).await.unwrap();
    results.store_all(&[id]).await.unwrap();
    wait.ended().await.unwrap();
    let floor = monitor.all(7).await;

    assert_eq!(ours, floor);
    assert!(floor[3].starts_with("SET prefix:{id}:r record NX PX"), "{floor:?}");
    app.shutdown().await.unwrap();
    setting.clean().await.unwrap();
}

#[tokio::test]
async fn the_floor_stores_a_record_of_the_same_size() {
    let setting = setting().await;
    let stage = Stage::set(&setting, Kind::Quorum).await.unwrap();
    let place = &stage.place;
    let app = app(place, app::Results::Kept);
    app.startup().await.unwrap();
    let handle = app.kiq_many([crate::ours::tasks::kept(300)]).await.unwrap().remove(0);
    let mut ours: Option<ResultRecord> = None;
    app.worker().run_until(async { ours = Some(handle.wait_result().await.unwrap().record().clone()) }).await.unwrap();
    let floor = Results::connect(place).await.unwrap();
    let (ours, floor) = (ours.unwrap().encode().len(), floor.record().len());
    assert!(ours.abs_diff(floor) <= 32, "{ours} and {floor} bytes");
    app.shutdown().await.unwrap();
    setting.clean().await.unwrap();
}
