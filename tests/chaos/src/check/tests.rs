//! For each rule a history that breaks it, and one beside it that does not.

use super::{
    Breach, Floors,
    scene::{QUICK, Scene},
};
use crate::{
    ledger::{Decision, Event, How},
    plan::{Kind, Plan, Queue},
    run::{leftovers::Ended, servers::Depth},
};
use taskq::FailureKind;

const NONE: [Breach; 0] = [];
const FREE: Floors = Floors { confirmed: 0, faults: 0, kinds: 0 };

fn plan(kind: Kind) -> Plan {
    Plan { kind, ..QUICK }
}

fn failed(kind: FailureKind, attempts: u32) -> Ended {
    Ended::Failed { kind, attempts }
}

#[test]
fn a_task_that_ran_once_is_in_order() {
    assert_eq!(Scene::new().sent(1, "a", QUICK).ran(5, "worker-0.1", "a").breaches(), NONE);
}

#[test]
fn a_confirmed_task_without_an_end_is_lost() {
    assert_eq!(Scene::new().sent(1, "a", QUICK).breaches(), [Breach::Lost]);
    // Its publisher was killed before it heard: it may be there or not.
    assert_eq!(Scene::new().submit(1, "a", QUICK).breaches(), NONE);
    // But once it ran, it has to end.
    assert_eq!(Scene::new().submit(1, "a", QUICK).start(5, "worker-0.1", "a", 1).breaches(), [Breach::Lost]);
}

#[test]
fn a_failure_without_a_dead_letter_is_lost() {
    let scene = || Scene::new().sent(1, "a", plan(Kind::Malformed)).recorded("a", failed(FailureKind::Undecodable, 0));
    assert_eq!(scene().breaches(), [Breach::Lost]);
    assert_eq!(scene().letter("a").breaches(), NONE);
}

#[test]
fn a_task_that_was_confirmed_for_no_queue_is_lost() {
    let nowhere = Plan { queue: Queue::Nowhere, ..plan(Kind::Nowhere) };
    let refused = |error: &str| Event::Refused { tag: "a".into(), error: error.into() };
    assert_eq!(Scene::new().sent(1, "a", nowhere).breaches(), [Breach::Lost]);
    let scene = Scene::new().submit(1, "a", nowhere).line(2, "publisher-0.1", refused("unknown queue"));
    assert_eq!(scene.breaches(), NONE);
}

#[test]
fn an_end_must_be_the_tasks_own() {
    let scene = || Scene::new().sent(1, "a", QUICK).ran(5, "worker-0.1", "a");
    let other = Ended::Done { attempts: 1, value: "b".into() };
    assert_eq!(scene().recorded("a", other).breaches(), [Breach::WrongEnd]);
    let late = Ended::Done { attempts: 2, value: "a".into() };
    assert_eq!(scene().recorded("a", late).breaches(), [Breach::WrongEnd]);
    assert_eq!(scene().letter("a").breaches(), [Breach::WrongEnd]);
    assert_eq!(scene().recorded("a", failed(FailureKind::Error, 1)).letter("a").breaches(), [Breach::WrongEnd]);
}

#[test]
fn a_task_is_called_deadly_only_after_three_silent_ends() {
    let lost = || failed(FailureKind::WorkerLost, 1);
    let mut scene = Scene::new().sent(1, "a", QUICK).recorded("a", lost()).letter("a");
    for at in [10, 20, 30] {
        let worker = format!("worker-2.{at}");
        scene = scene.start(at, &worker, "a", 1).line(at + 5, "chaos", Event::Kill { name: worker.clone() });
    }
    assert_eq!(scene.breaches(), NONE);
    // The third one was killed before it heard that it may begin; one that began and ended is no such end.
    let about = |at, begins: bool| {
        let mut scene = Scene::new().sent(1, "a", QUICK).recorded("a", lost()).letter("a");
        for (worker, at) in [("worker-2.1", 1), ("worker-2.2", 5)] {
            scene = scene.start(at, worker, "a", 1).line(at + 2, "chaos", Event::Kill { name: worker.into() });
        }
        let scene = scene.line(at, "worker-2.3", Event::AboutToBegin { id: "id-a".into() });
        let scene = if begins { scene.ran(at + 1, "worker-2.3", "a") } else { scene };
        scene.line(at + 5, "chaos", Event::Kill { name: "worker-2.3".into() })
    };
    assert_eq!(about(20, false).breaches(), NONE);
    assert!(about(20, true).breaches().contains(&Breach::WrongEnd));
    // Nor is a claim after which it was put off.
    let put_off = about(20, false).settled(22, "worker-2.3", "a", 1, Decision::Other);
    assert_eq!(put_off.breaches(), [Breach::WrongEnd]);
    let scene = Scene::new().sent(1, "a", QUICK).start(10, "worker-2.1", "a", 1).recorded("a", lost()).letter("a");
    assert_eq!(scene.breaches(), [Breach::WrongEnd]);
}

#[test]
fn what_was_refused_must_not_run() {
    let refused = || Event::Refused { tag: "a".into(), error: "blocked".into() };
    let scene = || Scene::new().submit(1, "a", QUICK).line(2, "publisher-0.1", refused());
    assert_eq!(scene().breaches(), NONE);
    assert_eq!(scene().ran(5, "worker-0.1", "a").breaches(), [Breach::Invented]);
    // The second try was refused, and the first one may have been taken.
    let unknown = Event::Unknown { tag: "a".into(), error: "no confirm".into() };
    let scene =
        Scene::new().submit(1, "a", QUICK).line(2, "publisher-0.1", unknown).line(3, "publisher-0.1", refused());
    assert_eq!(scene.ran(5, "worker-0.1", "a").breaches(), NONE);
}

#[test]
fn what_nobody_sent_must_not_run() {
    assert_eq!(Scene::new().ran(5, "worker-0.1", "a").breaches(), [Breach::Invented]);
}

#[test]
fn there_are_no_more_attempts_than_asked_for() {
    let scene = |attempt| {
        let scene = Scene::new().sent(1, "a", plan(Kind::Panics)).start(5, "worker-0.1", "a", attempt);
        scene.end(6, "worker-0.1", "a", attempt, How::Panicked).recorded("a", failed(FailureKind::Panic, 2)).letter("a")
    };
    assert_eq!(scene(2).breaches(), NONE);
    assert_eq!(scene(3).breaches(), [Breach::TooManyAttempts]);
}

#[test]
fn a_delayed_task_is_not_early() {
    let scene = |at| Scene::new().sent(0, "a", plan(Kind::Delayed { millis: 100 })).ran(at, "worker-0.1", "a");
    assert_eq!(scene(100).breaches(), NONE);
    assert_eq!(scene(90).breaches(), [Breach::TooEarly]);
}

/// Begins at 10 in worker-0.1 and at 100 in worker-1.1.
fn begun_twice() -> Scene {
    Scene::new().sent(1, "a", QUICK).start(10, "worker-0.1", "a", 1).ran(100, "worker-1.1", "a")
}

#[test]
fn a_second_start_needs_a_cause_in_the_life_of_the_first() {
    assert_eq!(begun_twice().breaches(), [Breach::DuplicatedWithoutCause]);
    let kill = |name: &str| Event::Kill { name: name.into() };
    assert_eq!(begun_twice().line(50, "chaos", kill("worker-0.1")).breaches(), NONE);
    // Not that of another process, nor of this one at another time.
    for (at, name) in [(50, "worker-1.1"), (50, "worker-0.2"), (5, "worker-0.1"), (101, "worker-0.1")] {
        let breaches = begun_twice().line(at, "chaos", kill(name)).breaches();
        assert!(breaches.contains(&Breach::DuplicatedWithoutCause), "{name} at {at}");
    }
    // That something was spoiled explains nothing.
    let fault = Event::FaultBegan { fault: 1, kind: "broker killed".into(), target: "node 0".into(), in_flight: 99 };
    assert_eq!(begun_twice().line(5, "chaos", fault).breaches(), [Breach::DuplicatedWithoutCause]);
}

#[test]
fn a_lost_connection_of_the_first_worker_is_a_cause() {
    let lost = |role: &str| Event::LostConnection { connection: format!("taskq/app/host/1/{role}") };
    assert_eq!(begun_twice().line(50, "worker-0.1", lost("con")).breaches(), NONE);
    assert_eq!(begun_twice().line(50, "worker-0.1", lost("pub")).breaches(), [Breach::DuplicatedWithoutCause]);
    assert_eq!(begun_twice().line(50, "worker-1.1", lost("con")).breaches(), [Breach::DuplicatedWithoutCause]);
    let ended = Event::ConnectionEnded { name: "worker-0.1".into(), reason: "closed".into() };
    assert_eq!(begun_twice().line(50, "rabbitmq-0", ended).breaches(), NONE);
}

#[test]
fn what_came_by_a_connection_that_the_broker_had_ended_was_given_to_somebody_else() {
    let ended = |reason: &str| Event::ConnectionEnded { name: "worker-0.1".into(), reason: reason.into() };
    let heard = || Event::LostConsumer { error: String::new() };
    let scene = begun_twice().line(5, "rabbitmq-0", ended("closed"));
    assert_eq!(scene.line(400, "worker-0.1", heard()).breaches(), NONE);
    // Not once it has heard of that, nor of a connection that was only cut off from a part of the cluster.
    let scene = begun_twice().line(5, "rabbitmq-0", ended("closed")).line(7, "worker-0.1", heard());
    assert_eq!(scene.breaches(), [Breach::DuplicatedWithoutCause]);
    let scene = begun_twice().line(5, "rabbitmq-0", ended(crate::ledger::CUT_OFF));
    assert_eq!(scene.breaches(), [Breach::DuplicatedWithoutCause]);
    // It may begin after another one has ended it, too.
    let scene = Scene::new().sent(1, "a", QUICK).ran(10, "worker-1.1", "a").start(100, "worker-0.1", "a", 1);
    let scene = scene.line(5, "rabbitmq-0", ended("closed")).line(400, "worker-0.1", heard());
    assert_eq!(scene.breaches(), NONE);
}

#[test]
fn a_claim_is_lost_by_one_that_missed_its_renewal_and_gave_way() {
    let missed = || Event::NotRenewed { id: "id-a".into() };
    let gave_way = || Event::TakenOver { id: "id-a".into() };
    let scene = begun_twice().line(50, "worker-0.1", missed()).line(500, "worker-0.1", gave_way());
    assert_eq!(scene.breaches(), NONE);
    assert_eq!(begun_twice().line(50, "worker-0.1", missed()).breaches(), [Breach::DuplicatedWithoutCause]);
    assert_eq!(begun_twice().line(500, "worker-0.1", gave_way()).breaches(), [Breach::DuplicatedWithoutCause]);
}

#[test]
fn one_that_stands_still_until_it_is_killed_has_lost_its_claims_on_the_way() {
    let frozen = |at| begun_twice().line(at, "chaos", Event::Frozen { name: "worker-0.1".into() });
    let killed = |scene: Scene| scene.line(50_000, "chaos", Event::Kill { name: "worker-0.1".into() });
    let scene = Scene::new().sent(1, "a", QUICK).start(10, "worker-0.1", "a", 1).ran(9_000, "worker-2.1", "a");
    let scene = scene.line(20, "chaos", Event::Frozen { name: "worker-0.1".into() });
    assert_eq!(killed(scene).breaches(), NONE);
    // Not for long enough.
    assert_eq!(killed(frozen(50)).breaches(), [Breach::DuplicatedWithoutCause]);
}

#[test]
fn a_second_start_before_the_first_fault_has_no_excuse() {
    let calm = || {
        let faults = Event::Phase { phase: crate::ledger::Phase::Faults };
        let scene = Scene::new().sent(1, "a", QUICK).line(30_000, "chaos", faults);
        scene.start(10, "worker-0.1", "a", 1).ran(100, "worker-1.1", "a")
    };
    let killed = calm().line(50, "chaos", Event::Kill { name: "worker-0.1".into() });
    assert_eq!(killed.breaches(), [Breach::DuplicatedWithoutCause]);
    // But a task that ends its process is no fault.
    let aborted = calm().line(50, "worker-0.1", Event::Abort { tag: "b".into() });
    assert_eq!(aborted.breaches(), NONE);
}

#[test]
fn nothing_runs_after_its_end_was_recorded_whatever_happened_to_the_worker() {
    let killed = || Event::Kill { name: "worker-0.1".into() };
    let ran_again = |at| Scene::new().sent(1, "a", QUICK).ran(10, "worker-0.1", "a").ran(at, "worker-1.1", "a");
    assert_eq!(ran_again(200).line(50, "chaos", killed()).breaches(), [Breach::RanAfterItsEnd]);
    // Just after its end it may: the store had granted the claim before it took the record.
    assert_eq!(ran_again(60).line(50, "chaos", killed()).breaches(), NONE);
    // A retry is no end: its acknowledgement may be lost.
    let scene = Scene::new().sent(1, "a", plan(Kind::Flaky { failures: 1 })).start(10, "worker-0.1", "a", 1);
    let scene = scene.end(20, "worker-0.1", "a", 1, How::Failed).settled(21, "worker-0.1", "a", 1, Decision::Retry);
    let scene = scene.start(90, "worker-1.1", "a", 2).end(91, "worker-1.1", "a", 2, How::Done);
    assert_eq!(scene.recorded("a", Ended::Done { attempts: 2, value: "a".into() }).breaches(), NONE);
}

/// The first worker loses its connection, and goes on beside the second one for so long.
fn beside(millis: u64) -> Scene {
    let lost = Event::LostConnection { connection: "taskq/app/host/1/con".into() };
    let scene = Scene::new().sent(1, "a", plan(Kind::Nap { millis })).start(10, "worker-0.1", "a", 1);
    let scene = scene.line(50, "worker-0.1", lost).start(100, "worker-1.1", "a", 1);
    let scene = scene.end(100 + millis, "worker-0.1", "a", 1, How::Dropped);
    let scene = scene.end(100 + 2 * millis, "worker-1.1", "a", 1, How::Done);
    scene.recorded("a", Ended::Done { attempts: 1, value: "a".into() })
}

#[test]
fn two_runs_of_one_task_do_not_go_on_together_for_longer_than_a_claim_lasts() {
    assert_eq!(beside(1_000).breaches(), NONE);
    assert_eq!(beside(9_000).breaches(), [Breach::Overlapping]);
    let frozen = |event: fn(String) -> Event| event("worker-0.1".into());
    let scene = beside(9_000).line(20, "chaos", frozen(|name| Event::Frozen { name }));
    assert_eq!(scene.line(9_000, "chaos", frozen(|name| Event::Thawed { name })).breaches(), NONE);
}

fn serial() -> Plan {
    Plan { queue: Queue::Serial, ..QUICK }
}

#[test]
fn the_serial_queue_runs_one_after_the_other_and_in_order() {
    let scene = || Scene::new().sent(1, "a", serial()).sent(3, "b", serial());
    assert_eq!(scene().ran(10, "worker-0.1", "a").ran(30, "worker-0.1", "b").breaches(), NONE);
    assert_eq!(scene().ran(30, "worker-0.1", "a").ran(10, "worker-0.1", "b").breaches(), [Breach::OutOfOrder]);
    let put_off = Event::Settled { id: "id-a".into(), attempt: 1, acked: true };
    let late = scene().line(5, "worker-0.1", put_off);
    assert_eq!(late.ran(30, "worker-0.1", "a").ran(10, "worker-0.1", "b").breaches(), NONE);
    assert_eq!(scene().ran(10, "worker-0.1", "a").ran(15, "worker-0.1", "b").breaches(), [Breach::SerialOverlapping]);
}

#[test]
fn a_waiter_is_told_soon_after_the_end() {
    let gave_up = || Event::NotHeard { tag: "a".into(), error: "timeout".into() };
    let scene = || Scene::new().sent(1, "a", QUICK).ran(5, "worker-0.1", "a");
    assert_eq!(scene().line(1_000, "publisher-0.1", gave_up()).breaches(), NONE);
    assert_eq!(scene().line(40_000, "publisher-0.1", gave_up()).breaches(), [Breach::NotHeard]);
}

#[test]
fn servers_are_left_as_they_should_be() {
    let depth = |queue: &str, ready, unacked, leaving| Depth { queue: queue.into(), ready, unacked, leaving };
    let left = |depths| {
        let mut scene = Scene::new();
        scene.left.depths = depths;
        scene.breaches()
    };
    assert_eq!(left(vec![depth("q", 0, 0, 0), depth("q.dead", 7, 0, 0)]), NONE);
    for not_empty in [depth("q", 1, 0, 0), depth("q", 0, 1, 0), depth("q", 0, 0, 1), depth("q.dead", 0, 1, 0)] {
        assert_eq!(left(vec![not_empty]), [Breach::NotDrained]);
    }
    assert_eq!(left(vec![]), [Breach::NotDrained], "nothing was looked at");
    let mut scene = Scene::new();
    scene.left.unknown_acks.push("unknown delivery tag 7".into());
    scene.left.keys_without_ttl.push("taskq:{a}:r".into());
    assert_eq!(scene.breaches(), [Breach::UnknownAck, Breach::KeyWithoutTtl]);
}

#[test]
fn a_run_counts_only_if_enough_happened() {
    let fault = |fault, in_flight| Event::FaultBegan { fault, kind: format!("{fault}"), target: "x".into(), in_flight };
    let scene = |in_flight| {
        let scene = Scene::new().sent(1, "a", QUICK).ran(5, "worker-0.1", "a");
        scene.line(10, "chaos", fault(1, 50)).line(11, "chaos", fault(2, in_flight))
    };
    let floors = Floors { confirmed: 1, faults: 2, kinds: 2 };
    assert!(scene(50).verdict(&floors).holds());
    assert!(!scene(49).verdict(&floors).counts(), "a fault that hits nothing shows nothing");
    assert!(!scene(50).verdict(&Floors { confirmed: 2, ..floors }).holds());
    assert!(!scene(50).verdict(&Floors { kinds: 3, ..floors }).holds());
    let failed = scene(50).line(12, "chaos", Event::FaultFailed { fault: 2, error: "no".into() });
    assert!(!failed.verdict(&floors).holds());
    assert_eq!(Floors::of(90, false).confirmed, 15_000);
    assert!(scene(50).verdict(&FREE).holds());
}
