//! Result records as they lie in stores: what an older release wrote is read for ever, byte by byte as it was.
//!
//! A file here is never changed. A new version of the record gets files of its own beside these.

use bytes::Bytes;
use taskq_core::{ContentType, End, FailureKind, ResultRecord, TaskFailure, UnixMillis};

fn record(end: End) -> ResultRecord {
    let mut record = ResultRecord::new(end, "chat.process");
    record.round = 1;
    record.attempts = 3;
    record.started = UnixMillis(1_790_000_000_123);
    record.finished = UnixMillis(1_790_000_004_567);
    record.worker = "web-7/4242".into();
    record
}

fn failure(kind: FailureKind) -> TaskFailure {
    let mut failure = TaskFailure::new(kind, "the model did not answer", 3);
    failure.chain = vec!["connection reset".into(), "os error 104".into()];
    failure
}

fn golden() -> Vec<(&'static str, &'static [u8], ResultRecord)> {
    let mut json = record(End::Done(Bytes::from_static(b"{\"answer\":42}")));
    json.content_type = ContentType::Json;
    let mut first_round = record(End::Done(Bytes::new()));
    first_round.round = 0;
    vec![
        (
            "done",
            include_bytes!("golden/result-v1-done.bin"),
            record(End::Done(Bytes::from_static(&[0xff, 0x00, 0x2a]))),
        ),
        ("done-json", include_bytes!("golden/result-v1-done-json.bin"), json),
        ("done-empty", include_bytes!("golden/result-v1-done-empty.bin"), first_round),
        ("failed", include_bytes!("golden/result-v1-failed.bin"), record(End::Failed(failure(FailureKind::Error)))),
        (
            "discarded",
            include_bytes!("golden/result-v1-discarded.bin"),
            record(End::Discarded(failure(FailureKind::Discarded))),
        ),
        ("cancelled", include_bytes!("golden/result-v1-cancelled.bin"), record(End::Cancelled)),
        ("expired", include_bytes!("golden/result-v1-expired.bin"), record(End::Expired)),
    ]
}

#[test]
fn records_of_the_first_version_are_read() {
    for (name, bytes, record) in golden() {
        assert_eq!(ResultRecord::decode(bytes).unwrap(), record, "result-v1-{name}.bin");
    }
}

#[test]
fn records_are_written_as_the_first_version_wrote_them() {
    for (name, bytes, record) in golden() {
        assert_eq!(record.encode(), bytes, "result-v1-{name}.bin");
    }
}

#[test]
fn fields_that_a_later_release_adds_are_passed_over() {
    for (name, bytes, record) in golden() {
        let mut longer = bytes.to_vec();
        // The record is a short map: its first byte holds the number of fields.
        assert_eq!(longer[0] & 0xf0, 0x80, "result-v1-{name}.bin is a map");
        longer[0] += 1;
        longer.extend(b"\xa7history\x93\x01\x02\xa1x");
        assert_eq!(ResultRecord::decode(&longer).unwrap(), record, "result-v1-{name}.bin");
    }
}

#[test]
fn a_record_of_a_newer_version_is_refused_by_name() {
    let (_, bytes, _) = golden().remove(0);
    let version = bytes.windows(3).position(|window| window == b"\xa1v\x01").unwrap() + 2;
    let mut newer = bytes.to_vec();
    newer[version] = 2;
    let error = ResultRecord::decode(&newer).unwrap_err();
    assert_eq!(error.to_string(), "the record has version 2; this release reads up to 1");
}

#[test]
fn bytes_that_are_no_record_are_refused() {
    let (_, bytes, _) = golden().remove(0);
    assert!(ResultRecord::decode(b"").is_err());
    assert!(ResultRecord::decode(b"plain text").is_err());
    assert!(ResultRecord::decode(&bytes[..bytes.len() - 1]).is_err());
}
