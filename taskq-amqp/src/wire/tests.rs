use super::*;
use proptest::prelude::*;
use std::fmt::Write as _;
use taskq_core::Labels;

/// Properties as a golden file shows them: sorted, one a line, headers with their types.
fn shown(properties: &BasicProperties) -> String {
    let text = |property: &Option<ShortString>| property.as_ref().map(ToString::to_string);
    let known = [
        ("content_encoding", text(properties.content_encoding())),
        ("content_type", text(properties.content_type())),
        ("correlation_id", text(properties.correlation_id())),
        ("delivery_mode", properties.delivery_mode().map(|mode| mode.to_string())),
        ("message_id", text(properties.message_id())),
        ("priority", properties.priority().map(|priority| priority.to_string())),
        ("timestamp", properties.timestamp().map(|seconds| seconds.to_string())),
        ("type", text(properties.kind())),
    ];
    let mut lines = String::new();
    for (name, value) in known {
        value.into_iter().for_each(|value| writeln!(lines, "{name}: {value}").unwrap());
    }
    for (name, value) in properties.headers().iter().flatten() {
        let value = match value {
            AMQPValue::LongLongInt(number) => format!("int {number}"),
            AMQPValue::Boolean(is_set) => format!("bool {is_set}"),
            AMQPValue::LongString(text) => format!("text {text}"),
            other => panic!("{other:?}"),
        };
        writeln!(lines, "header {name}: {value}").unwrap();
    }
    lines
}

fn read(golden: &str) -> BasicProperties {
    let mut properties = BasicProperties::default();
    let mut headers = FieldTable::default();
    for line in golden.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        let short = || ShortString::from(value);
        properties = match name {
            "content_type" => properties.with_content_type(short()),
            "correlation_id" => properties.with_correlation_id(short()),
            "delivery_mode" => properties.with_delivery_mode(value.parse().unwrap()),
            "message_id" => properties.with_message_id(short()),
            "priority" => properties.with_priority(value.parse().unwrap()),
            "timestamp" => properties.with_timestamp(value.parse().unwrap()),
            "type" => properties.with_type(short()),
            header => {
                let value = match value.split_once(' ').unwrap() {
                    ("int", number) => AMQPValue::LongLongInt(number.parse().unwrap()),
                    ("bool", is_set) => AMQPValue::Boolean(is_set == "true"),
                    (_, text) => AMQPValue::LongString(text.into()),
                };
                headers.insert(header.strip_prefix("header ").unwrap().into(), value);
                properties
            }
        };
    }
    properties.with_headers(headers)
}

fn plain() -> Message {
    let mut message = Message::new("0192f0c1".into(), "add", ContentType::Json, Bytes::from_static(b"{}"));
    message.created = UnixMillis(1_790_000_000_000);
    message
}

fn elaborate() -> Message {
    let mut message =
        Message::new("order-17".into(), "mail.welcome", ContentType::MessagePack, Bytes::from_static(b"{}"));
    message.attempt = 3;
    message.retry = 7;
    message.round = 2;
    message.check = true;
    message.track = true;
    message.priority = Some(5);
    message.created = UnixMillis(1_790_000_000_000);
    message.eta = Some(UnixMillis(1_790_000_001_234));
    message.expires = Some(UnixMillis(1_790_000_009_999));
    message.first_failed = Some(UnixMillis(1_789_999_999_000));
    message.unknown = 4;
    message.root = "order-1".into();
    message.traceparent = TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    message.labels = Labels::from([("tenant".to_owned(), "acme & søn".to_owned())]);
    message
}

fn letter() -> (Foreign, Epitaph) {
    let headers =
        [("their-header", "1"), ("amqp.type", "theirs")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let foreign = Foreign {
        reason: "it has no header `taskq-v`: it is not a message of taskq".into(),
        id: Some("their-17".into()),
        content_type: Some("application/x-theirs".into()),
        headers: headers.into(),
        body: Bytes::from_static(&[0xff, 0]),
    };
    let mut failure = TaskFailure::new(FailureKind::Undecodable, "no envelope", 0);
    failure.chain = vec!["because".into(), "of \"that\"".into()];
    let (first_failed, last_failed) = (UnixMillis(1_790_000_000_000), UnixMillis(1_790_000_000_001));
    (foreign, Epitaph { failure, queue: "mail".into(), first_failed, last_failed })
}

/// What it is written as, and what that is read as.
fn round_trip(content: &Content, epitaph: Option<&Epitaph>) -> (BasicProperties, (Content, Option<Box<Epitaph>>)) {
    let written = properties(content, epitaph, content.id().unwrap()).unwrap();
    let read = super::content(&written, content.body().clone());
    (written, read)
}

#[test]
fn the_mapping_is_what_the_golden_files_of_this_version_say() {
    let (foreign, epitaph) = letter();
    for (golden, content, epitaph) in [
        (include_str!("golden/v1-plain.txt"), Content::from(plain()), None),
        (include_str!("golden/v1-task.txt"), Content::from(elaborate()), None),
        (include_str!("golden/v1-letter.txt"), Content::from(foreign), Some(Box::new(epitaph))),
    ] {
        let (written, _) = round_trip(&content, epitaph.as_deref());
        assert_eq!(shown(&written), golden);
        let read = super::content(&read(golden), content.body().clone());
        assert_eq!(read, (content, epitaph));
    }
}

/// The golden message with one thing changed.
fn changed(change: impl FnOnce(BasicProperties, &mut BTreeMap<ShortString, AMQPValue>) -> BasicProperties) -> Content {
    let golden = read(include_str!("golden/v1-plain.txt"));
    let mut headers = golden.headers().as_ref().unwrap().inner().clone();
    let properties = change(golden, &mut headers).with_headers(headers.into());
    content(&properties, Bytes::from_static(b"{}")).0
}

fn reason(content: &Content) -> &str {
    match content {
        Content::Foreign(foreign) => &foreign.reason,
        Content::Task(message) => panic!("it was read: {message:?}"),
    }
}

#[test]
fn what_cannot_be_read_says_why_and_keeps_its_id_if_there_is_one() {
    let text = |text: &str| AMQPValue::LongString(text.into());
    let newer = changed(|golden, headers| {
        headers.insert("taskq-v".into(), AMQPValue::LongLongInt(2));
        golden
    });
    assert_eq!(reason(&newer), "it has format version 2, and this worker reads up to 1");
    assert_eq!(newer.id(), Some(&"0192f0c1".into()));
    let damaged = changed(|golden, headers| {
        headers.insert("taskq-attempt".into(), text("two"));
        golden
    });
    assert_eq!(reason(&damaged), "header `taskq-attempt` is not a number: two");
    let negative = changed(|golden, headers| {
        headers.insert("taskq-eta".into(), AMQPValue::LongInt(-1));
        golden
    });
    assert_eq!(reason(&negative), "header `taskq-eta` is not a number: -1");
    let typed = changed(|golden, _| golden.with_content_type("text/plain".into()));
    assert_eq!(reason(&typed), "its content type `text/plain` is unknown");
    let encoded = changed(|golden, _| golden.with_content_encoding("gzip".into()));
    assert_eq!(reason(&encoded), "its content encoding `gzip` is unknown");
    let unnamed = changed(|golden, _| golden.with_message_id("a{b".into()));
    assert!(reason(&unnamed).starts_with("its message id contains"), "{}", reason(&unnamed));
    assert_eq!(unnamed.id(), None);
    let nothing = content(&BasicProperties::default(), Bytes::new()).0;
    assert!(reason(&nothing).starts_with("it has no header `taskq-v`"));
}

#[test]
fn what_a_server_adds_is_left_out() {
    let content = changed(|golden, headers| {
        for name in ["x-death", "x-first-death-queue", "x-delivery-count", "CC", "BCC"] {
            headers.insert(name.into(), AMQPValue::LongString("from the server".into()));
        }
        headers.insert("mine".into(), AMQPValue::LongInt(5));
        golden
    });
    let Content::Task(message) = content else { panic!("{content:?}") };
    assert_eq!(message.labels, Labels::from([("mine".to_owned(), "5".to_owned())]));
}

#[test]
fn numbers_of_all_widths_are_read() {
    for value in [
        AMQPValue::ShortShortInt(3),
        AMQPValue::ShortShortUInt(3),
        AMQPValue::ShortInt(3),
        AMQPValue::ShortUInt(3),
        AMQPValue::LongInt(3),
        AMQPValue::LongUInt(3),
        AMQPValue::LongLongInt(3),
        AMQPValue::LongString("3".into()),
    ] {
        let content = changed(|golden, headers| {
            headers.insert("taskq-attempt".into(), value);
            golden
        });
        let Content::Task(message) = content else { panic!("{content:?}") };
        assert_eq!(message.attempt, 3);
    }
}

#[test]
fn a_message_of_a_newer_version_comes_through_an_older_worker_unharmed() {
    let newer = changed(|golden, headers| {
        headers.insert("taskq-v".into(), AMQPValue::LongLongInt(2));
        golden.with_priority(3)
    });
    let Content::Foreign(foreign) = &newer else { panic!("{newer:?}") };
    assert_eq!(foreign.headers["amqp.type"], "add");
    let (written, (read, _)) = round_trip(&newer, None);
    assert_eq!(read, newer);
    assert_eq!(written.kind().as_ref().unwrap().as_str(), "add");
    assert_eq!((*written.priority(), *written.timestamp()), (Some(3), Some(1_790_000_000)));
}

#[test]
fn headers_that_would_not_fit_a_frame_are_left_out() {
    let (mut foreign, _) = letter();
    foreign.headers.insert("large".into(), "x".repeat(200_000));
    let (written, _) = round_trip(&foreign.into(), None);
    assert!(!written.headers().as_ref().unwrap().contains_key("large"));
    assert!(written.headers().as_ref().unwrap().contains_key("their-header"));
}

#[test]
fn names_that_amqp_has_no_room_for_are_errors() {
    let mut message = plain();
    message.labels.insert("x".repeat(256), String::new());
    let error = properties(&message.into(), None, &"id".into()).unwrap_err();
    assert!(matches!(error, BrokerError::Unsupported { .. }), "{error:?}");
    let mut message = plain();
    message.task = "x".repeat(256).into();
    assert!(properties(&message.into(), None, &"id".into()).is_err());
}

prop_compose! {
    fn messages()(
        (id, task, root) in ("[a-zA-Z0-9 ü/-]{1,60}", "[a-z.:]{1,100}", "[a-z0-9]{1,32}"),
        (attempt, retry, round, unknown) in (1u32.., any::<u32>(), any::<u32>(), any::<u32>()),
        (check, republished, track, is_json) in any::<(bool, bool, bool, bool)>(),
        priority in any::<Option<u8>>(),
        seconds in 0u64..10_000_000_000,
        instants in any::<[Option<u32>; 3]>(),
        traceparent in prop::option::of("00-[0-9a-f]{31}[1-9a-f]-[0-9a-f]{15}[1-9a-f]-[0-9a-f]{2}"),
        labels in prop::collection::btree_map("[a-wyzß][a-z_ß-]{0,40}", ".*", 0..5),
        body in prop::collection::vec(any::<u8>(), 0..50),
    ) -> Message {
        let content_type = if is_json { ContentType::Json } else { ContentType::MessagePack };
        let mut message = Message::new(id.into(), task, content_type, body.into());
        (message.attempt, message.retry, message.round, message.unknown) = (attempt, retry, round, unknown);
        (message.check, message.republished, message.track) = (check, republished, track);
        message.priority = priority;
        message.created = UnixMillis(seconds * 1000);
        let [eta, expires, first_failed] = instants.map(|instant| instant.map(|millis| UnixMillis(millis.into())));
        (message.eta, message.expires, message.first_failed) = (eta, expires, first_failed);
        message.root = root.into();
        message.traceparent = traceparent.as_deref().and_then(TraceContext::parse);
        message.labels = labels;
        message.labels.remove("traceparent");
        message
    }
}

prop_compose! {
    fn epitaphs()(
        kind in prop::sample::select(vec![FailureKind::Error, FailureKind::Panic, FailureKind::UnknownTask]),
        (error, chain) in (".{0,100}", prop::collection::vec(".{0,50}", 0..8)),
        (attempts, queue) in (any::<u32>(), "[a-z.]{1,50}"),
        (first, last) in any::<(u32, u32)>(),
    ) -> Epitaph {
        let mut failure = TaskFailure::new(kind, error, attempts);
        failure.chain = chain;
        Epitaph { failure, queue, first_failed: UnixMillis(first.into()), last_failed: UnixMillis(last.into()) }
    }
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_as_it_was(message in messages(), epitaph in prop::option::of(epitaphs().prop_map(Box::new))) {
        let content = Content::from(message);
        let (_, read) = round_trip(&content, epitaph.as_deref());
        prop_assert_eq!(read, (content, epitaph));
    }

    #[test]
    fn no_garbage_breaks_the_reading(
        kind in prop::option::of(".{0,60}"),
        id in prop::option::of(".{0,60}"),
        headers in prop::collection::btree_map("(taskq-[a-z-]{1,15}|[a-z-]{1,20})", (".{0,20}", any::<i64>(), any::<bool>()), 0..8),
    ) {
        let headers: BTreeMap<ShortString, AMQPValue> = headers.into_iter().map(|(name, (text, number, is_text))| {
            let value = if is_text { AMQPValue::LongString(text.into()) } else { AMQPValue::LongLongInt(number) };
            (name.into(), value)
        }).collect();
        let mut properties = BasicProperties::default().with_headers(headers.into());
        properties = kind.map_or(properties.clone(), |kind| properties.with_type(kind.into()));
        properties = id.map_or(properties.clone(), |id| properties.with_message_id(id.into()));
        let (content, epitaph) = content(&properties, Bytes::new());
        let id = content.id().cloned().unwrap_or_default();
        prop_assert!(super::properties(&content, epitaph.as_deref(), &id).is_ok());
    }
}
