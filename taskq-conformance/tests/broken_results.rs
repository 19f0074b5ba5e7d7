//! The suite for result backends can pass and can fail: for every case there is a way to break a backend that it notices.

#![allow(clippy::unwrap_used)]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use taskq_conformance::{NotPassed, RESULTS_CASES, ResultsHarness, check_results};
use taskq_core::{
    Bid, BoxFuture, ClaimAnswer, End, InMemoryResults, Mark, ResultBackend, ResultError, ResultRecord, Step, TaskId,
    defaults::CLAIM_LEASE,
};

/// One way to break the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The number of runs is not kept.
    ForgetsAttempts,
    /// The causes of a failure are not kept.
    ForgetsCauses,
    /// Values are cut at 64 KiB.
    CutsValues,
    /// Every id has a record.
    Invents,
    /// What is kept is kept much longer than asked for.
    KeepsLonger,
    /// Whoever stores second is told that nothing was there.
    ConcealsTheFirst,
    /// Every record is of round 0.
    ForgetsRounds,
    /// Of many that are stored together the first is left out.
    LosesOneOfMany,
    /// Answers to many come in another order.
    MixesAnswers,
    /// Ids that differ in case alone are one.
    MixesIds,
    /// A wait ends before anything is stored.
    EndsWaitsEarly,
    /// A wait does not end.
    NeverEndsWaits,
    /// A wait takes a record of any round.
    WaitsForAnyRound,
    /// Steps are not noted.
    NotesNothing,
    /// `Queued` replaces other steps.
    NotesWhateverComes,
    /// It says that it does not track.
    DoesNotTrack,
    /// Whoever asks may run.
    ClaimsForAll,
    /// Even the owner of a claim is told that somebody has it.
    DeniesTheOwner,
    /// What is given back stays taken.
    KeepsWhatIsGivenBack,
    /// That a run was carried out is not noted.
    ForgetsWhatWasDone,
    /// Anybody may note that a run was carried out.
    NotesForAnybody,
    /// Attempts are claimed each by itself.
    SeparatesAttempts,
    /// A claim does not look for a record.
    ClaimsWhatHasEnded,
    /// A second submission is taken for a repetition.
    TakesNoNewSubmission,
    /// A mark is not kept.
    ForgetsMarks,
    /// A mark never ends.
    KeepsMarks,
    /// A mark keeps the message itself away too.
    TakesOriginalsForCopies,
    /// A suspect is blamed for what it has claimed and not begun.
    BlamesWhatHasNotBegun,
    /// A look is a claim.
    ClaimsByLooking,
    /// It keeps no claims.
    DoesNotClaim,
}

struct Broken {
    results: InMemoryResults,
    fault: Fault,
    last_step: Mutex<Option<Step>>,
    last_owner: Mutex<Arc<str>>,
}

impl Broken {
    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn id(&self, id: &TaskId) -> TaskId {
        if self.is(Fault::MixesIds) { TaskId::from(id.as_str().to_lowercase()) } else { id.clone() }
    }

    fn ttl(&self, ttl: Duration) -> Duration {
        if self.is(Fault::KeepsLonger) { ttl * 1000 } else { ttl }
    }

    fn spoiled(&self, mut record: ResultRecord) -> ResultRecord {
        match (self.fault, &mut record.end) {
            (Fault::ForgetsAttempts, _) => record.attempts = 0,
            (Fault::ForgetsRounds, _) => record.round = 0,
            (Fault::ForgetsCauses, End::Failed(failure)) => failure.chain.clear(),
            (Fault::CutsValues, End::Done(value)) => value.truncate(64 * 1024),
            _ => {}
        }
        record
    }
}

fn invented() -> ResultRecord {
    ResultRecord::new(End::Cancelled, "invented")
}

impl ResultBackend for Broken {
    fn store<'a>(
        &'a self,
        id: &'a TaskId,
        record: &'a ResultRecord,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>> {
        Box::pin(async move {
            let before = self.results.store(&self.id(id), &self.spoiled(record.clone()), self.ttl(ttl)).await?;
            Ok(before.filter(|_| !self.is(Fault::ConcealsTheFirst)))
        })
    }

    fn store_many<'a>(
        &'a self,
        records: &'a [(TaskId, ResultRecord, Duration)],
    ) -> BoxFuture<'a, Vec<Result<Option<ResultRecord>, ResultError>>> {
        Box::pin(async move {
            let mut answers = Vec::new();
            for (number, (id, record, ttl)) in records.iter().enumerate() {
                let is_lost = self.is(Fault::LosesOneOfMany) && number == 0;
                answers.push(if is_lost { Ok(None) } else { self.store(id, record, *ttl).await });
            }
            if self.is(Fault::MixesAnswers) {
                answers.reverse();
            }
            answers
        })
    }

    fn fetch<'a>(&'a self, id: &'a TaskId) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>> {
        Box::pin(async move {
            let found = self.results.fetch(&self.id(id)).await?;
            Ok(found.or_else(|| self.is(Fault::Invents).then(invented)))
        })
    }

    fn wait<'a>(&'a self, id: &'a TaskId, round: u32) -> BoxFuture<'a, Result<ResultRecord, ResultError>> {
        Box::pin(async move {
            match self.fault {
                Fault::EndsWaitsEarly => Ok(invented()),
                Fault::NeverEndsWaits => std::future::pending().await,
                Fault::WaitsForAnyRound => self.results.wait(&self.id(id), 0).await,
                _ => self.results.wait(&self.id(id), round).await,
            }
        })
    }

    fn tracks(&self) -> bool {
        !self.is(Fault::DoesNotTrack)
    }

    fn track<'a>(&'a self, id: &'a TaskId, step: Step, ttl: Duration) -> BoxFuture<'a, Result<(), ResultError>> {
        *self.last_step.lock().unwrap() = Some(step);
        Box::pin(async move {
            if self.is(Fault::NotesNothing) {
                return Ok(());
            }
            self.results.track(id, step, self.ttl(ttl)).await
        })
    }

    fn step<'a>(&'a self, id: &'a TaskId) -> BoxFuture<'a, Result<Option<Step>, ResultError>> {
        if self.is(Fault::NotesWhateverComes) {
            let last = *self.last_step.lock().unwrap();
            return Box::pin(async move { Ok(last) });
        }
        self.results.step(id)
    }

    fn claim<'a>(&'a self, bid: &'a Bid) -> BoxFuture<'a, Result<Option<ClaimAnswer>, ResultError>> {
        let mut bid = bid.clone();
        let is_again = std::mem::replace(&mut *self.last_owner.lock().unwrap(), bid.owner.clone()) == bid.owner;
        match self.fault {
            Fault::DoesNotClaim => return Box::pin(async { Ok(None) }),
            Fault::DeniesTheOwner if is_again => {
                return Box::pin(async { Ok(Some(ClaimAnswer::Elsewhere { lease: CLAIM_LEASE })) });
            }
            Fault::SeparatesAttempts => bid.run.task = format!("{}-{}", bid.run.task, bid.run.attempt).as_str().into(),
            Fault::TakesNoNewSubmission => bid.check = false,
            Fault::TakesOriginalsForCopies => bid.original = false,
            Fault::ClaimsByLooking => bid.look = false,
            // It is nobody's any more: whoever has it cannot give it back.
            Fault::KeepsWhatIsGivenBack => bid.owner = format!("{}'s ghost", bid.owner).into(),
            _ => {}
        }
        let knows_nothing = self.is(Fault::ClaimsForAll) || self.is(Fault::ClaimsWhatHasEnded);
        let results = if knows_nothing { InMemoryResults::new() } else { self.results.clone() };
        Box::pin(async move {
            let answer = results.claim(&bid).await?;
            if self.is(Fault::KeepsWhatIsGivenBack) {
                // Claimed once more by the same owner, so that the first claim is void.
                std::mem::forget(results.claim(&bid).await?);
            }
            if let (Fault::BlamesWhatHasNotBegun, Some(ClaimAnswer::Run(claim))) = (self.fault, &answer) {
                claim.begin().await?;
            }
            Ok(answer)
        })
    }

    fn mark<'a>(&'a self, id: &'a TaskId) -> BoxFuture<'a, Result<Option<Mark>, ResultError>> {
        let results = if self.is(Fault::ForgetsMarks) { InMemoryResults::new() } else { self.results.clone() };
        Box::pin(async move {
            if self.is(Fault::KeepsMarks) {
                std::mem::forget(results.mark(id).await?);
            }
            results.mark(id).await
        })
    }

    fn carried_out<'a>(&'a self, bid: &'a Bid, ended: bool, ttl: Duration) -> BoxFuture<'a, Result<(), ResultError>> {
        let mut bid = bid.clone();
        if self.is(Fault::NotesForAnybody) {
            bid.owner = self.last_owner.lock().unwrap().clone();
        }
        Box::pin(async move {
            match self.fault {
                Fault::ForgetsWhatWasDone => Ok(()),
                _ => self.results.carried_out(&bid, ended, ttl).await,
            }
        })
    }
}

struct Spoiling(InMemoryResults, Fault);

impl Spoiling {
    fn with(fault: Fault) -> Self {
        Spoiling(InMemoryResults::new(), fault)
    }
}

impl ResultsHarness for Spoiling {
    type Results = Broken;

    async fn connect(&self) -> Broken {
        Broken {
            results: self.0.clone(),
            fault: self.1,
            last_step: Mutex::default(),
            last_owner: Mutex::new("".into()),
        }
    }
}

/// Which faults each case notices.
const NOTICED: &[(&str, &[Fault])] = &[
    ("store::a_stored_record_is_fetched_as_it_was", &[Fault::ForgetsAttempts]),
    ("store::nothing_is_fetched_where_nothing_was_stored", &[Fault::Invents]),
    ("store::a_record_is_gone_after_its_time_to_live", &[Fault::KeepsLonger]),
    ("store::the_first_record_of_a_round_wins_and_is_returned", &[Fault::ConcealsTheFirst]),
    ("store::a_higher_round_replaces_a_lower_one", &[Fault::ForgetsRounds]),
    ("store::a_lower_round_is_not_taken", &[Fault::ConcealsTheFirst]),
    (
        "store::what_is_stored_together_fares_as_it_would_alone",
        &[Fault::ConcealsTheFirst, Fault::MixesAnswers, Fault::LosesOneOfMany],
    ),
    ("store::of_many_that_store_at_once_exactly_one_wins", &[Fault::ConcealsTheFirst]),
    ("store::every_kind_of_end_comes_back_whole", &[Fault::ForgetsCauses, Fault::NeverEndsWaits]),
    ("store::an_empty_value_and_one_of_a_mebibyte_come_back_whole", &[Fault::CutsValues]),
    ("store::any_id_that_may_be_used_can_be_used", &[Fault::MixesIds]),
    ("wait::a_wait_ends_when_the_record_is_stored", &[Fault::NeverEndsWaits, Fault::EndsWaitsEarly]),
    ("wait::a_wait_ends_when_another_connection_stores", &[Fault::NeverEndsWaits, Fault::ForgetsAttempts]),
    ("wait::a_wait_for_what_is_there_ends_at_once", &[Fault::NeverEndsWaits, Fault::EndsWaitsEarly]),
    ("wait::a_wait_for_a_higher_round_is_not_ended_by_an_older_record", &[Fault::WaitsForAnyRound]),
    ("wait::a_wait_is_ended_by_a_higher_round_than_it_asked_for", &[Fault::ForgetsRounds]),
    ("wait::a_hundred_waits_for_one_task_all_end", &[Fault::NeverEndsWaits, Fault::EndsWaitsEarly]),
    ("wait::a_hundred_waits_for_a_hundred_tasks_all_end", &[Fault::NeverEndsWaits, Fault::EndsWaitsEarly]),
    ("wait::a_dropped_wait_does_not_disturb_the_others", &[Fault::NeverEndsWaits]),
    ("wait::a_record_stored_while_the_wait_begins_is_not_missed", &[Fault::NeverEndsWaits, Fault::EndsWaitsEarly]),
    ("steps::steps_are_noted_as_they_come", &[Fault::NotesNothing]),
    ("steps::queued_never_replaces_another_step", &[Fault::NotesWhateverComes]),
    ("steps::a_step_is_gone_after_its_time_to_live", &[Fault::KeepsLonger]),
    ("claims::of_many_that_claim_at_once_exactly_one_runs", &[Fault::ClaimsForAll]),
    ("claims::the_owner_of_a_claim_may_ask_again", &[Fault::DeniesTheOwner, Fault::ClaimsForAll]),
    ("claims::a_claim_that_is_given_back_is_free", &[Fault::KeepsWhatIsGivenBack]),
    ("claims::a_claim_that_is_held_outlasts_its_lease", &[Fault::ClaimsForAll]),
    (
        "claims::a_mark_keeps_copies_away_until_its_run_ends",
        &[Fault::ForgetsMarks, Fault::KeepsMarks, Fault::TakesOriginalsForCopies],
    ),
    ("claims::a_look_tells_of_claims_and_ends_and_claims_nothing", &[Fault::ClaimsByLooking, Fault::ClaimsForAll]),
    ("claims::what_was_carried_out_is_not_run_again", &[Fault::ForgetsWhatWasDone]),
    ("claims::a_run_without_a_claim_can_be_noted_as_carried_out", &[Fault::ForgetsWhatWasDone]),
    ("claims::nothing_is_noted_while_another_holds_the_claim", &[Fault::NotesForAnybody]),
    ("claims::an_attempt_waits_for_the_one_before_it", &[Fault::SeparatesAttempts, Fault::ClaimsForAll]),
    ("claims::an_ended_task_answers_with_its_record", &[Fault::ClaimsWhatHasEnded]),
    ("claims::what_follows_an_end_is_left_to_the_holder_of_the_claim", &[Fault::ClaimsForAll]),
    ("claims::a_chosen_id_is_free_again_when_its_end_is_forgotten", &[Fault::TakesNoNewSubmission]),
    ("claims::starts_that_end_without_a_word_are_counted", &[Fault::ClaimsForAll, Fault::BlamesWhatHasNotBegun]),
];

#[tokio::test(start_paused = true)]
async fn every_case_passes_without_a_fault_and_notices_each_of_its_own() {
    let named: Vec<&str> = NOTICED.iter().map(|(case, _)| *case).collect();
    assert_eq!(named, RESULTS_CASES, "each case is here once, in the order of the suite");
    for (case, faults) in NOTICED {
        assert_eq!(check_results(Spoiling::with(Fault::None), case).await, Ok(()), "{case}");
        for fault in *faults {
            let end = check_results(Spoiling::with(*fault), case).await;
            assert!(matches!(end, Err(NotPassed::Broken(_))), "{case} with {fault:?}: {end:?}");
        }
    }
}

#[tokio::test]
async fn a_left_out_case_says_why() {
    for case in RESULTS_CASES.iter().filter(|case| case.starts_with("steps::")) {
        let end = check_results(Spoiling::with(Fault::DoesNotTrack), case).await;
        assert_eq!(end, Err(NotPassed::LeftOut("this result backend does not track".into())));
    }
    for case in RESULTS_CASES.iter().filter(|case| case.starts_with("claims::")) {
        let end = check_results(Spoiling::with(Fault::DoesNotClaim), case).await;
        assert_eq!(end, Err(NotPassed::LeftOut("this result backend keeps no claims".into())));
    }
}
