//! Storing and fetching: who wins, and what comes back.

use super::{ResultsHarness, TTL, done, ended, fetched, kept, of_round};
use crate::{CaseResult, NotPassed};
use bytes::Bytes;
use futures_util::future::join_all;
use taskq_core::{ContentType, End, FailureKind, ResultBackend, TaskFailure, TaskId, UnixMillis};
use tokio::time::sleep;

/// What was stored is what is fetched, by the same connection and by another one.
pub(crate) async fn a_stored_record_is_fetched_as_it_was(harness: &impl ResultsHarness) -> CaseResult {
    let (one, other) = (harness.connect().await, harness.connect().await);
    let (id, record) = (TaskId::new(), done("value"));
    kept(&one, &id, &record).await?;
    ensure_eq!(fetched(&one, &id).await?, Some(record.clone()));
    ensure_eq!(fetched(&other, &id).await?, Some(record));
    Ok(())
}

/// An id without a record gives `None`, and no error.
pub(crate) async fn nothing_is_fetched_where_nothing_was_stored(harness: &impl ResultsHarness) -> CaseResult {
    let results = harness.connect().await;
    ensure_eq!(fetched(&results, &TaskId::new()).await?, None);
    ensure_eq!(results.step(&TaskId::new()).await?, None);
    Ok(())
}

/// A record is there at first and gone after its time to live; then its id is free again.
pub(crate) async fn a_record_is_gone_after_its_time_to_live(harness: &impl ResultsHarness) -> CaseResult {
    let results = harness.connect().await;
    let (short, long) = (TaskId::new(), TaskId::new());
    kept(&results, &long, &done("long")).await?;
    let ttl = harness.shortest_ttl();
    ensure_eq!(results.store(&short, &done("short"), ttl).await?, None);
    sleep(ttl + ttl).await;
    ensure_eq!(fetched(&results, &short).await?, None);
    ensure!(fetched(&results, &long).await?.is_some(), "a record with time left is gone");
    kept(&results, &short, &done("again")).await
}

/// A second record of the same round is not taken; the caller learns of the first.
pub(crate) async fn the_first_record_of_a_round_wins_and_is_returned(harness: &impl ResultsHarness) -> CaseResult {
    let (one, other) = (harness.connect().await, harness.connect().await);
    for round in [0, 3] {
        let (id, first) = (TaskId::new(), of_round(round, "first"));
        kept(&one, &id, &first).await?;
        let before = other.store(&id, &of_round(round, "second"), TTL).await?;
        ensure_eq!(before, Some(first.clone()));
        ensure_eq!(fetched(&one, &id).await?, Some(first));
    }
    Ok(())
}

/// A replay from the dead letters has a higher round: its end replaces the older one.
pub(crate) async fn a_higher_round_replaces_a_lower_one(harness: &impl ResultsHarness) -> CaseResult {
    let results = harness.connect().await;
    let id = TaskId::new();
    for record in [of_round(0, "zero"), of_round(1, "one"), of_round(12, "twelve")] {
        kept(&results, &id, &record).await?;
        ensure_eq!(fetched(&results, &id).await?, Some(record));
    }
    Ok(())
}

/// A late end of an older round changes nothing; the caller learns of the newer one.
pub(crate) async fn a_lower_round_is_not_taken(harness: &impl ResultsHarness) -> CaseResult {
    let results = harness.connect().await;
    let (id, newer) = (TaskId::new(), of_round(2, "newer"));
    kept(&results, &id, &newer).await?;
    for older in [of_round(1, "older"), of_round(0, "oldest")] {
        let before = results.store(&id, &older, TTL).await?;
        ensure_eq!(before, Some(newer.clone()));
    }
    ensure_eq!(fetched(&results, &id).await?, Some(newer));
    Ok(())
}

/// Of records that are stored together each is kept or not as if it had come alone, those of one id in their order, and the
/// answers are in the order of the records.
pub(crate) async fn what_is_stored_together_fares_as_it_would_alone(harness: &impl ResultsHarness) -> CaseResult {
    let (one, other) = (harness.connect().await, harness.connect().await);
    ensure!(one.store_many(&[]).await.is_empty(), "an answer to nothing");
    let (taken, twice, replaced) = (TaskId::new(), TaskId::new(), TaskId::new());
    let (kept_before, first, newer) = (of_round(1, "taken"), of_round(0, "first"), of_round(1, "newer"));
    kept(&other, &taken, &kept_before).await?;
    kept(&other, &replaced, &of_round(0, "older")).await?;
    let mut records: Vec<_> = (0..300).map(|_| (TaskId::new(), done("free"), TTL)).collect();
    records.insert(10, (taken.clone(), of_round(0, "late"), TTL));
    records.insert(20, (twice.clone(), first.clone(), TTL));
    records.insert(30, (replaced.clone(), newer.clone(), TTL));
    records.insert(40, (twice.clone(), of_round(0, "second"), TTL));
    let answers: Vec<_> = one.store_many(&records).await.into_iter().collect::<Result<_, _>>()?;
    ensure_eq!(answers.len(), records.len());
    for (at, answer) in answers.iter().enumerate() {
        let earlier = match at {
            10 => Some(&kept_before),
            40 => Some(&first),
            _ => None,
        };
        ensure_eq!(answer.as_ref(), earlier);
    }
    for (id, record) in [(&taken, kept_before), (&twice, first), (&replaced, newer)] {
        ensure_eq!(fetched(&other, id).await?, Some(record));
    }
    for (id, record, _) in records.iter().filter(|(id, ..)| ![&taken, &twice, &replaced].contains(&id)) {
        ensure_eq!(fetched(&other, id).await?, Some(record.clone()));
    }
    Ok(())
}

/// Many ends of one round at once: one is kept, and all others learn which.
pub(crate) async fn of_many_that_store_at_once_exactly_one_wins(harness: &impl ResultsHarness) -> CaseResult {
    let (one, other) = (harness.connect().await, harness.connect().await);
    for round in [0, 1] {
        let id = TaskId::new();
        let mut records = Vec::new();
        for n in 0..20 {
            let mut record = done(vec![n]);
            record.round = round;
            records.push(record);
        }
        let stores = records.iter().enumerate().map(|(n, record)| {
            let results = if n % 2 == 0 { &one } else { &other };
            results.store(&id, record, TTL)
        });
        let outcomes = join_all(stores).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        let winner = fetched(&one, &id).await?;
        ensure!(winner.is_some(), "of 20 records none was kept");
        ensure_eq!(outcomes.iter().filter(|outcome| outcome.is_none()).count(), 1, "how many are told that they won");
        let told = outcomes.iter().flatten().all(|before| Some(before) == winner.as_ref());
        ensure!(told, "those that lost are not told who won: {winner:?} is kept; {outcomes:?}");
    }
    Ok(())
}

/// Values, failures with their chain, and the ends without a run; times, encoding and worker too.
pub(crate) async fn every_kind_of_end_comes_back_whole(harness: &impl ResultsHarness) -> CaseResult {
    let results = harness.connect().await;
    let mut failure = TaskFailure::new(FailureKind::Timeout, "took too long: \"é\"\n", 3);
    failure.chain = vec!["outer".into(), String::new(), "inner".into()];
    let ends = [
        End::Done(Bytes::from_static(b"{}")),
        End::Failed(failure.clone()),
        End::Discarded(failure),
        End::Cancelled,
        End::Expired,
    ];
    for end in ends {
        let mut record = done("");
        record.end = end;
        record.content_type = ContentType::Json;
        record.started = UnixMillis(1_700_000_000_001);
        record.finished = UnixMillis(1_700_000_000_999);
        let id = TaskId::new();
        kept(&results, &id, &record).await?;
        ensure_eq!(fetched(&results, &id).await?, Some(record.clone()));
        ensure_eq!(ended(results.wait(&id, 0)).await?, record);
    }
    Ok(())
}

/// The smallest and the largest value that a result may have by default, of bytes of every kind.
pub(crate) async fn an_empty_value_and_one_of_a_mebibyte_come_back_whole(harness: &impl ResultsHarness) -> CaseResult {
    let results = harness.connect().await;
    let large: Vec<u8> = (0..1024 * 1024).map(|n: u32| (n % 251) as u8).collect();
    for value in [Vec::new(), large] {
        let (id, record) = (TaskId::new(), done(value));
        kept(&results, &id, &record).await?;
        let found = ended(results.wait(&id, 0)).await?;
        ensure!(found == record, "a value came back changed");
    }
    Ok(())
}

/// Ids of a caller's own: dots, spaces, signs of every kind, 128 bytes, and none taken for another.
pub(crate) async fn any_id_that_may_be_used_can_be_used(harness: &impl ResultsHarness) -> CaseResult {
    let results = harness.connect().await;
    let unique = TaskId::new();
    let shapes = ["a.b.c", "two words", " edges ", "größe-日本-🦀", "*?[^]\\", "%20:#\"'$(x)", "A", "a"];
    let mut ids: Vec<TaskId> = shapes.iter().map(|shape| TaskId::from(format!("{unique}{shape}"))).collect();
    ids.push(TaskId::from(format!("{unique}{}", "x".repeat(128 - 32))));
    for (n, id) in ids.iter().enumerate() {
        id.check().map_err(NotPassed::Broken)?;
        kept(&results, id, &done(vec![n as u8])).await?;
    }
    for (n, id) in ids.iter().enumerate() {
        let record = ended(results.wait(id, 0)).await?;
        ensure_eq!(record.end, End::Done(Bytes::from(vec![n as u8])), "id {id:?}");
    }
    Ok(())
}
