//! Rules and injections, frame by frame.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use support::{
    fake::{Ends, Fake, hears, rest, says},
    hangs,
};
use taskq_faults::{
    proxy::{Injection, Line, Method, Rule, Way, Who},
    wait::ended,
};
use tokio::io::AsyncReadExt;

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [[kind].as_slice(), &channel.to_be_bytes(), &size, payload, &[0xCE]].concat()
}

fn method(channel: u16, class: u16, number: u16, arguments: &[u8]) -> Vec<u8> {
    frame(1, channel, &[&class.to_be_bytes(), &number.to_be_bytes(), arguments].concat())
}

fn short(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

fn long(text: &[u8]) -> Vec<u8> {
    [&u32::try_from(text.len()).unwrap().to_be_bytes(), text].concat()
}

/// The method and the message that it brings, in two parts.
fn with_message(method: Vec<u8>, channel: u16, body: &str) -> Vec<u8> {
    let header = [&60_u16.to_be_bytes(), &[0; 2], (body.len() as u64).to_be_bytes().as_slice(), &[0; 2]].concat();
    let (one, other) = body.as_bytes().split_at(body.len() / 2);
    [method, frame(2, channel, &header), frame(3, channel, one), frame(3, channel, other)].concat()
}

fn publish(body: &str) -> Vec<u8> {
    with_message(method(1, 60, 40, &[vec![0; 2], short(""), short("queue"), vec![1]].concat()), 1, body)
}

fn deliver(consumer: &str, tag: u64, body: &str) -> Vec<u8> {
    let arguments = [short(consumer), tag.to_be_bytes().to_vec(), vec![0], short(""), short("queue")];
    with_message(method(1, 60, 60, &arguments.concat()), 1, body)
}

fn ack(tag: u64) -> Vec<u8> {
    method(1, 60, 80, &[tag.to_be_bytes().as_slice(), &[0]].concat())
}

fn start_ok(name: &str) -> Vec<u8> {
    let table = [short("connection_name"), vec![b'S'], long(name.as_bytes())].concat();
    method(0, 10, 11, &[long(&table), short("PLAIN"), long(b"\0a\0b"), short("en_US")].concat())
}

/// A connection of this name with channel 1, on which `consumer` consumes.
async fn connect(fake: &Fake, name: &str) -> Ends {
    let mut ends = fake.connect().await;
    let Ends { client, server } = &mut ends;
    for (from_client, bytes) in [
        (true, b"AMQP\x00\x00\x09\x01".to_vec()),
        (true, start_ok(name)),
        (false, method(0, 10, 41, &[0])),
        (true, method(1, 20, 10, &[0])),
        (false, method(1, 20, 11, &[0; 4])),
        (false, method(1, 60, 21, &short("consumer"))),
    ] {
        let (from, to) = if from_client { (&mut *client, &mut *server) } else { (&mut *server, &mut *client) };
        says(from, &bytes).await;
        hears(to, &bytes).await;
    }
    ends
}

#[tokio::test]
async fn a_swallowed_confirm_does_not_arrive_and_the_others_do() {
    let fake = Fake::amqp().await;
    let Ends { mut client, mut server } = connect(&fake, "taskq/app/host/1/pub").await;
    let lost = fake.proxy.add(Rule::lost_confirms().skip(1).times(2));
    says(&mut server, &[ack(1), ack(2), ack(3), ack(4)].concat()).await;
    hears(&mut client, &[ack(1), ack(4)].concat()).await;
    assert_eq!((lost.hits(), fake.proxy.counters().frames_swallowed), (2, 2));
    says(&mut client, &ack(5)).await;
    hears(&mut server, &ack(5)).await;
}

#[tokio::test]
async fn a_rule_is_for_one_role_and_ends() {
    let fake = Fake::amqp().await;
    let mut publisher = connect(&fake, "taskq/app/host/1/pub").await;
    let mut consumer = connect(&fake, "taskq/app/host/1/con").await;
    let lost = fake.proxy.add(Rule::lost_acks().of(Who::Consumers));
    says(&mut publisher.client, &ack(1)).await;
    hears(&mut publisher.server, &ack(1)).await;
    says(&mut consumer.client, &ack(1)).await;
    assert!(hangs(consumer.server.read(&mut [0; 8])).await);
    lost.end();
    says(&mut consumer.client, &ack(2)).await;
    hears(&mut consumer.server, &ack(2)).await;
    assert_eq!(lost.hits(), 1);
    assert_eq!((fake.proxy.open(Who::Publishers), fake.proxy.open(Who::Named("/1/".into()))), (1, 2));
}

#[tokio::test]
async fn a_line_is_stalled_for_one_role_and_cut_for_the_other() {
    let fake = Fake::amqp().await;
    let mut publisher = connect(&fake, "taskq/app/host/1/pub").await;
    let mut consumer = connect(&fake, "taskq/app/host/1/con").await;
    fake.proxy.line(Who::Publishers, Way::ToServer, Line::Stall);
    says(&mut publisher.client, &ack(1)).await;
    says(&mut consumer.client, &ack(1)).await;
    hears(&mut consumer.server, &ack(1)).await;
    assert_eq!(fake.proxy.cut(Who::Consumers), 1);
    assert_eq!(rest(&mut consumer.client).await.unwrap(), b"");
    assert!(hangs(publisher.server.read(&mut [0; 8])).await);
    fake.proxy.heal();
    hears(&mut publisher.server, &ack(1)).await;
}

#[tokio::test]
async fn a_publish_is_swallowed_with_its_message() {
    let fake = Fake::amqp().await;
    let Ends { mut client, mut server } = connect(&fake, "").await;
    let lost = fake.proxy.add(Rule::swallow(Method::BASIC_PUBLISH, Way::ToServer).skip(1).times(1));
    for part in [publish("one"), publish("two"), publish("three"), publish("")].concat().chunks(5) {
        says(&mut client, part).await;
    }
    hears(&mut server, &[publish("one"), publish("three"), publish("")].concat()).await;
    assert_eq!((lost.hits(), fake.proxy.counters().frames_swallowed), (1, 4));
}

#[tokio::test]
async fn held_acks_arrive_together_when_their_rule_ends_unless_their_channel_has() {
    let fake = Fake::amqp().await;
    let Ends { mut client, mut server } = connect(&fake, "").await;
    let held = fake.proxy.add(Rule::held_acks());
    says(&mut client, &[ack(1), publish("overtakes"), ack(2)].concat()).await;
    hears(&mut server, &publish("overtakes")).await;
    assert!(hangs(server.read(&mut [0; 8])).await);
    held.end();
    hears(&mut server, &[ack(1), ack(2)].concat()).await;

    fake.proxy.add(Rule::held_acks());
    let close = method(1, 20, 40, &[0; 7]);
    says(&mut client, &[ack(3), close.clone()].concat()).await;
    hears(&mut server, &close).await;
    fake.proxy.heal();
    assert!(hangs(server.read(&mut [0; 8])).await, "it would be an ack of the next channel");
}

#[tokio::test]
async fn what_is_held_does_not_come_between_a_publish_and_its_message() {
    let fake = Fake::amqp().await;
    let Ends { mut client, mut server } = connect(&fake, "").await;
    let held = fake.proxy.add(Rule::held_acks());
    let publish = publish("whole");
    let (start, end) = publish.split_at(40);
    says(&mut client, &[&ack(1), start].concat()).await;
    // The method and the header have passed, the body has not.
    let mut first = [0; 20];
    ended(server.read_exact(&mut first)).await.unwrap();
    assert_eq!(first, publish[..20]);
    held.end();
    says(&mut client, end).await;
    hears(&mut server, &[&publish[20..], &ack(1)].concat()).await;
}

#[tokio::test]
async fn a_message_is_held_and_duplicated_as_a_whole() {
    let fake = Fake::amqp().await;
    let Ends { mut client, mut server } = connect(&fake, "").await;
    let held = fake.proxy.add(Rule::hold(Method::BASIC_DELIVER, Way::ToClient).times(1));
    says(&mut server, &[deliver("consumer", 1, "one"), deliver("consumer", 2, "two")].concat()).await;
    hears(&mut client, &deliver("consumer", 2, "two")).await;
    held.end();
    hears(&mut client, &deliver("consumer", 1, "one")).await;
    fake.proxy.add(Rule::duplicate(Method::BASIC_DELIVER, Way::ToClient));
    fake.proxy.add(Rule::duplicate(Method::BASIC_ACK, Way::ToServer));
    let third = deliver("consumer", 3, "three");
    says(&mut server, &third).await;
    hears(&mut client, &[third.clone(), third].concat()).await;
    says(&mut client, &ack(3)).await;
    hears(&mut server, &[ack(3), ack(3)].concat()).await;
}

#[tokio::test]
async fn a_line_is_cut_before_inside_and_after_a_frame() {
    let fake = Fake::amqp().await;
    let whole = publish("message");
    for (rule, arrives) in [
        (Rule::cut_before(Method::BASIC_PUBLISH, Way::ToServer), 0),
        (Rule::cut_inside(Method::ANY, Way::ToServer), method(1, 60, 40, &[0; 10]).len() / 2),
        (Rule::cut_after(Method::BASIC_PUBLISH, Way::ToServer), whole.len()),
    ] {
        let Ends { mut client, mut server } = connect(&fake, "").await;
        let cut = fake.proxy.add(rule.times(1));
        says(&mut client, &[whole.clone(), ack(1)].concat()).await;
        assert_eq!(rest(&mut server).await.unwrap(), whole[..arrives]);
        assert_eq!(rest(&mut client).await.unwrap(), b"");
        assert_eq!(cut.hits(), 1);
    }
}

#[tokio::test]
async fn a_client_is_told_that_it_is_blocked() {
    let fake = Fake::amqp().await;
    let Ends { mut client, server: _server } = connect(&fake, "taskq/app/host/1/pub").await;
    let mut unfinished = fake.connect().await;
    says(&mut unfinished.client, b"AMQP\x00\x00\x09\x01").await;
    assert_eq!(fake.proxy.inject(Who::All, &Injection::Blocked("low on memory".into())), 1);
    assert_eq!(fake.proxy.inject(Who::Publishers, &Injection::Unblocked), 1);
    assert_eq!(fake.proxy.inject(Who::Consumers, &Injection::Unblocked), 0);
    hears(&mut client, &[method(0, 10, 60, &short("low on memory")), method(0, 10, 61, &[])].concat()).await;
}

#[tokio::test]
async fn a_cancelled_consumer_is_cancelled_at_the_server_and_what_was_on_its_way_goes_back() {
    let fake = Fake::amqp().await;
    let Ends { mut client, mut server } = connect(&fake, "").await;
    assert_eq!(fake.proxy.inject(Who::All, &Injection::Cancel), 1);
    let cancel = method(1, 60, 30, &[short("consumer"), vec![1]].concat());
    hears(&mut client, &cancel).await;
    hears(&mut server, &cancel).await;
    says(&mut server, &[deliver("consumer", 7, "late"), deliver("other", 8, "in time")].concat()).await;
    hears(&mut client, &deliver("other", 8, "in time")).await;
    hears(&mut server, &method(1, 60, 90, &[7_u64.to_be_bytes().as_slice(), &[1]].concat())).await;
    assert_eq!(fake.proxy.inject(Who::All, &Injection::Cancel), 0, "there is none any more");
    let again = method(1, 60, 21, &short("consumer"));
    says(&mut server, &[again.clone(), deliver("consumer", 9, "again")].concat()).await;
    hears(&mut client, &[again, deliver("consumer", 9, "again")].concat()).await;
}

fn channel_close(code: u16, text: &str) -> Vec<u8> {
    method(1, 20, 40, &[code.to_be_bytes().to_vec(), short(text), vec![0; 4]].concat())
}

/// What both sides say to a closed channel until they know.
async fn both_sides_agree(Ends { client, server }: &mut Ends) {
    let (close_ok, open) = (method(1, 20, 41, &[]), method(1, 20, 10, &[0]));
    says(client, &[ack(8), publish("too late"), close_ok.clone(), open.clone()].concat()).await;
    hears(server, &open).await;
    let open_ok = method(1, 20, 11, &[0; 4]);
    says(server, &[deliver("consumer", 9, "too late"), close_ok, open_ok.clone()].concat()).await;
    hears(client, &open_ok).await;
}

#[tokio::test]
async fn a_channel_is_closed_for_both_sides() {
    let fake = Fake::amqp().await;
    let mut ends = connect(&fake, "").await;
    let injection = Injection::CloseChannels { code: 406, text: "unknown delivery tag".into() };
    assert_eq!(fake.proxy.inject(Who::All, &injection), 1);
    hears(&mut ends.client, &channel_close(406, "unknown delivery tag")).await;
    hears(&mut ends.server, &channel_close(200, "")).await;
    both_sides_agree(&mut ends).await;
    says(&mut ends.client, &ack(1)).await;
    hears(&mut ends.server, &ack(1)).await;
}

#[tokio::test]
async fn a_channel_is_closed_in_answer_to_a_frame() {
    let fake = Fake::amqp().await;
    let mut ends = connect(&fake, "").await;
    fake.proxy.add(Rule::close_channel(Method::BASIC_ACK, 406, "no").skip(1).times(1));
    says(&mut ends.client, &[ack(1), ack(2), ack(3)].concat()).await;
    hears(&mut ends.server, &[ack(1), channel_close(200, "")].concat()).await;
    hears(&mut ends.client, &channel_close(406, "no")).await;
    both_sides_agree(&mut ends).await;
}

#[tokio::test]
async fn both_sides_may_close_a_channel_at_the_same_time() {
    let fake = Fake::amqp().await;
    let Ends { mut client, mut server } = connect(&fake, "").await;
    fake.proxy.inject(Who::All, &Injection::CloseChannels { code: 406, text: "no".into() });
    hears(&mut client, &channel_close(406, "no")).await;
    hears(&mut server, &channel_close(200, "")).await;
    says(&mut client, &channel_close(200, "bye")).await;
    hears(&mut client, &method(1, 20, 41, &[])).await;
    assert!(hangs(server.read(&mut [0; 8])).await);
}

#[tokio::test]
async fn what_is_not_amqp_passes() {
    let fake = Fake::amqp().await;
    let Ends { mut client, mut server } = fake.connect().await;
    says(&mut client, b"GET / HTTP/1.1\r\n").await;
    hears(&mut server, b"GET / HTTP/1.1\r\n").await;
    says(&mut server, b"AMQP\x00\x00\x09\x01").await;
    hears(&mut client, b"AMQP\x00\x00\x09\x01").await;
}
