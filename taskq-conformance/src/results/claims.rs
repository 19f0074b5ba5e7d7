//! Claims: a run that may be running elsewhere, or may have run before, is run by one worker only.

use super::{ResultsHarness, TTL, done, kept};
use crate::{CaseResult, NotPassed};
use std::{sync::Arc, time::Duration};
use taskq_core::{
    Bid, Claim, ClaimAnswer, Mark, ResultBackend, RunId, TaskId,
    defaults::{CLAIM_LEASE, SILENT_ENDS},
};
use tokio::time::{Instant, sleep};

/// Only one of many that ask at once is told to run.
pub(crate) async fn of_many_that_claim_at_once_exactly_one_runs(harness: &impl ResultsHarness) -> CaseResult {
    let (one, other) = (harness.connect().await, harness.connect().await);
    let run = run(1);
    needs_claims(&one).await?;
    let bids: Vec<_> = (0..20).map(|number| bid(&run, &format!("worker-{number}"))).collect();
    let asking = bids.iter().enumerate().map(|(at, bid)| if at % 2 == 0 { one.claim(bid) } else { other.claim(bid) });
    let mut claims = Vec::new();
    for answer in futures_util::future::join_all(asking).await {
        match answer? {
            Some(ClaimAnswer::Run(claim)) => claims.push(claim),
            Some(ClaimAnswer::Elsewhere { lease }) => {
                ensure!(!lease.is_zero() && lease <= CLAIM_LEASE, "the claim holds for {lease:?} more");
            }
            answer => return unexpected(answer),
        }
    }
    ensure_eq!(claims.len(), 1, "workers that may run it");
    Ok(())
}

/// Whoever has a claim and asks again, because the answer was lost, is given it.
pub(crate) async fn the_owner_of_a_claim_may_ask_again(harness: &impl ResultsHarness) -> CaseResult {
    let results = harness.connect().await;
    needs_claims(&results).await?;
    let bid = bid(&run(1), "worker");
    let first = claimed(&results, &bid).await?;
    let second = claimed(&results, &bid).await?;
    drop(first);
    ensure!(!second.is_lost(), "a claim was lost to its own owner");
    match results.claim(&self::bid(&bid.run, "rival")).await? {
        Some(ClaimAnswer::Elsewhere { .. }) => Ok(()),
        answer => unexpected(answer),
    }
}

/// What is given back counts for nothing: the next worker runs it like any other.
pub(crate) async fn a_claim_that_is_given_back_is_free(harness: &impl ResultsHarness) -> CaseResult {
    let results = harness.connect().await;
    needs_claims(&results).await?;
    let run = run(1);
    for number in 0..=SILENT_ENDS {
        let claim = claimed(&results, &bid(&run, &format!("worker-{number}"))).await?;
        claim.give_back().await?;
    }
    Ok(())
}

/// A claim that lives is renewed: nobody is given the run long after its lease.
pub(crate) async fn a_claim_that_is_held_outlasts_its_lease(harness: &impl ResultsHarness) -> CaseResult {
    let (one, other) = (harness.connect().await, harness.connect().await);
    needs_claims(&one).await?;
    let run = run(1);
    let claim = claimed(&one, &bid(&run, "holder")).await?;
    let end = Instant::now() + CLAIM_LEASE + CLAIM_LEASE / 2;
    while Instant::now() < end {
        match other.claim(&bid(&run, "rival")).await? {
            Some(ClaimAnswer::Elsewhere { .. }) => sleep(CLAIM_LEASE / 5).await,
            answer => return unexpected(answer),
        }
    }
    ensure!(!claim.is_lost(), "a claim that was renewed was lost");
    Ok(())
}

/// A mark keeps copies of a message away while its run goes on, be it in another process, and says nothing to others.
pub(crate) async fn a_mark_keeps_copies_away_until_its_run_ends(harness: &impl ResultsHarness) -> CaseResult {
    let (one, other) = (harness.connect().await, harness.connect().await);
    needs_claims(&one).await?;
    let run = run(1);
    let (first, second) = (marked(&one, &run.task).await?, marked(&one, &run.task).await?);
    drop(first);
    match other.claim(&bid(&run, "copy")).await? {
        Some(ClaimAnswer::Elsewhere { lease }) => ensure!(!lease.is_zero(), "a mark that holds for no time"),
        answer => return unexpected(answer),
    }
    let mut original = bid(&run, "next");
    original.original = true;
    claimed(&other, &original).await?.give_back().await?;
    drop(second);
    match free(&other, &bid(&run, "copy")).await? {
        ClaimAnswer::Run(_) => Ok(()),
        answer => unexpected(Some(answer)),
    }
}

/// A run that needs no claim can look whether anybody has one, and claims nothing by it.
pub(crate) async fn a_look_tells_of_claims_and_ends_and_claims_nothing(harness: &impl ResultsHarness) -> CaseResult {
    let results = harness.connect().await;
    needs_claims(&results).await?;
    let run = run(1);
    let mut look = bid(&run, "late");
    look.look = true;
    for _ in 0..2 {
        match results.claim(&look).await? {
            Some(ClaimAnswer::Free) => {}
            answer => return unexpected(answer),
        }
    }
    let claim = claimed(&results, &bid(&run, "copy")).await?;
    match results.claim(&look).await? {
        Some(ClaimAnswer::Elsewhere { .. }) => {}
        answer => return unexpected(answer),
    }
    claim.give_back().await?;
    kept(&results, &run.task, &done("value")).await?;
    match results.claim(&look).await? {
        Some(ClaimAnswer::Ended(_)) => Ok(()),
        answer => unexpected(answer),
    }
}

/// A run whose verdict was carried out is not run again, nor is an attempt before it; the next one is.
pub(crate) async fn what_was_carried_out_is_not_run_again(harness: &impl ResultsHarness) -> CaseResult {
    let (one, other) = (harness.connect().await, harness.connect().await);
    needs_claims(&one).await?;
    let task = TaskId::new();
    let run = |attempt| RunId { task: task.clone(), round: 0, attempt };
    let second = bid(&run(2), "worker");
    let claim = claimed(&one, &second).await?;
    one.carried_out(&second, false, TTL).await?;
    drop(claim);
    for attempt in [1, 2] {
        match other.claim(&bid(&run(attempt), "rival")).await? {
            Some(ClaimAnswer::CarriedOut) => {}
            answer => return unexpected(answer),
        }
    }
    drop(claimed(&other, &bid(&run(3), "rival")).await?);
    Ok(())
}

/// A note without a claim, of a healthy first run that failed, counts as much.
pub(crate) async fn a_run_without_a_claim_can_be_noted_as_carried_out(harness: &impl ResultsHarness) -> CaseResult {
    let results = harness.connect().await;
    needs_claims(&results).await?;
    let run = run(1);
    results.carried_out(&bid(&run, ""), false, TTL).await?;
    match results.claim(&bid(&run, "worker")).await? {
        Some(ClaimAnswer::CarriedOut) => Ok(()),
        answer => unexpected(answer),
    }
}

/// A worker that has lost its run to another cannot note anything about it.
pub(crate) async fn nothing_is_noted_while_another_holds_the_claim(harness: &impl ResultsHarness) -> CaseResult {
    let results = harness.connect().await;
    needs_claims(&results).await?;
    let run = run(1);
    let holder = bid(&run, "holder");
    let claim = claimed(&results, &holder).await?;
    results.carried_out(&bid(&run, "rival"), true, TTL).await?;
    results.carried_out(&bid(&run, ""), true, TTL).await?;
    drop((claimed(&results, &holder).await?, claim));
    Ok(())
}

/// The attempt after it waits until a run has ended.
pub(crate) async fn an_attempt_waits_for_the_one_before_it(harness: &impl ResultsHarness) -> CaseResult {
    let results = harness.connect().await;
    needs_claims(&results).await?;
    let first = run(1);
    let second = RunId { attempt: 2, ..first.clone() };
    let claim = claimed(&results, &bid(&first, "worker")).await?;
    match results.claim(&bid(&second, "rival")).await? {
        Some(ClaimAnswer::Elsewhere { .. }) => {}
        answer => return unexpected(answer),
    }
    claim.give_back().await?;
    drop(claimed(&results, &bid(&second, "rival")).await?);
    Ok(())
}

/// A task that has ended is not claimed; its record is the answer, of its round or a higher one only.
pub(crate) async fn an_ended_task_answers_with_its_record(harness: &impl ResultsHarness) -> CaseResult {
    let results = harness.connect().await;
    needs_claims(&results).await?;
    let first = run(1);
    let record = done("value");
    kept(&results, &first.task, &record).await?;
    match results.claim(&bid(&first, "worker")).await? {
        Some(ClaimAnswer::Ended(found)) => ensure_eq!(*found, record),
        answer => return unexpected(answer),
    }
    let replayed = RunId { round: 1, ..first };
    drop(claimed(&results, &bid(&replayed, "worker")).await?);
    Ok(())
}

/// While the worker that recorded an end holds its claim, it does what follows that end, and nobody else.
pub(crate) async fn what_follows_an_end_is_left_to_the_holder_of_the_claim(
    harness: &impl ResultsHarness,
) -> CaseResult {
    let results = harness.connect().await;
    needs_claims(&results).await?;
    let run = run(1);
    let claim = claimed(&results, &bid(&run, "holder")).await?;
    kept(&results, &run.task, &done("value")).await?;
    match results.claim(&bid(&run, "rival")).await? {
        Some(ClaimAnswer::Elsewhere { .. }) => {}
        answer => return unexpected(answer),
    }
    ensure!(claim.is_held().await?, "a claim was lost to a rival that may not have it");
    claim.give_back().await?;
    match results.claim(&bid(&run, "rival")).await? {
        Some(ClaimAnswer::Ended(_)) => Ok(()),
        answer => unexpected(answer),
    }
}

/// After its last end has been forgotten, an id of the caller's choice may be submitted anew.
pub(crate) async fn a_chosen_id_is_free_again_when_its_end_is_forgotten(harness: &impl ResultsHarness) -> CaseResult {
    let results = harness.connect().await;
    needs_claims(&results).await?;
    let run = run(1);
    let mut bid = bid(&run, "worker");
    bid.check = true;
    drop(claimed(&results, &bid).await?);
    results.carried_out(&bid, true, TTL).await?;
    drop(claimed(&results, &bid).await?);
    Ok(())
}

/// A start that ends without a word makes its run a suspect, which runs alone; after the last such end it runs no more.
pub(crate) async fn starts_that_end_without_a_word_are_counted(harness: &impl ResultsHarness) -> CaseResult {
    let results = harness.connect().await;
    needs_claims(&results).await?;
    let run = run(1);
    drop(claimed(&results, &bid(&run, "worker-0")).await?);
    for number in 1..SILENT_ENDS {
        let mut next = bid(&run, &format!("worker-{number}"));
        match free(&results, &next).await? {
            ClaimAnswer::Suspect { silent } => {
                ensure_eq!(silent, number);
                next.alone = true;
            }
            answer => return unexpected(Some(answer)),
        }
        // Ended by somebody else before it began: that is not the task's fault.
        drop(claimed(&results, &next).await?);
        next.owner = format!("{}, again", next.owner).into();
        let claim = match free(&results, &next).await? {
            ClaimAnswer::Run(claim) => claim,
            answer => return unexpected(Some(answer)),
        };
        ensure!(claim.begin().await?, "a claim was lost before it began");
        drop(claim);
    }
    let mut last = bid(&run, "last");
    last.alone = true;
    match free(&results, &last).await? {
        ClaimAnswer::Poison { silent } => ensure_eq!(silent, SILENT_ENDS),
        answer => return unexpected(Some(answer)),
    }
    Ok(())
}

fn run(attempt: u32) -> RunId {
    RunId { task: TaskId::new(), round: 0, attempt }
}

fn bid(run: &RunId, owner: &str) -> Bid {
    Bid::new(run.clone(), Arc::from(owner))
}

async fn claimed(results: &impl ResultBackend, bid: &Bid) -> CaseResult<Claim> {
    match results.claim(bid).await? {
        Some(ClaimAnswer::Run(claim)) => Ok(claim),
        answer => unexpected(answer),
    }
}

async fn marked(results: &impl ResultBackend, task: &TaskId) -> CaseResult<Mark> {
    match results.mark(task).await? {
        Some(mark) => Ok(mark),
        None => Err(NotPassed::Broken("a backend that keeps claims keeps no marks".into())),
    }
}

/// The answer once the claim before has ended.
async fn free(results: &impl ResultBackend, bid: &Bid) -> CaseResult<ClaimAnswer> {
    let end = Instant::now() + 4 * CLAIM_LEASE;
    loop {
        match results.claim(bid).await? {
            Some(ClaimAnswer::Elsewhere { .. }) if Instant::now() < end => sleep(Duration::from_millis(50)).await,
            Some(answer) => return Ok(answer),
            None => return unexpected(None),
        }
    }
}

fn unexpected<T>(answer: Option<ClaimAnswer>) -> CaseResult<T> {
    Err(NotPassed::Broken(format!("the answer to a bid was {answer:?}")))
}

async fn needs_claims(results: &impl ResultBackend) -> CaseResult {
    match results.claim(&bid(&run(1), "anyone")).await? {
        Some(_) => Ok(()),
        None => Err(NotPassed::LeftOut("this result backend keeps no claims".into())),
    }
}
