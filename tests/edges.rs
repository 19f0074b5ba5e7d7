//! Sizes and names at their limits, and just past them.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::{
    Arc, Condvar, Mutex,
    atomic::{AtomicUsize, Ordering},
};
use support::Stage;
use taskq::{BoxError, KiqError, Run, Task, TaskConfig, TaskStatus, WorkerError, prelude::*};
use taskq_faults::wait::eventually;

const NAME_OF_300_BYTES: &str = match std::str::from_utf8(&[b'n'; 300]) {
    Ok(name) => name,
    Err(_) => "",
};
const NAME_OF_255_BYTES: &str = match std::str::from_utf8(&[b'n'; 255]) {
    Ok(name) => name,
    Err(_) => "",
};

/// A task without the macro, for each name.
macro_rules! named {
    ($type:ident, $name:expr) => {
        struct $type;

        impl Task for $type {
            type Args = u8;
            type Output = u8;
            type Returns = u8;
            const NAME: &'static str = $name;
            const CONFIG: TaskConfig = TaskConfig::new();
        }

        impl Run for $type {
            async fn run(_: TaskContext, args: u8) -> Result<u8, BoxError> {
                Ok(args)
            }
        }
    };
}

named!(TooLong, NAME_OF_300_BYTES);
named!(Longest, NAME_OF_255_BYTES);
named!(Odd, "a.b.# * {braces} \"quotes\" ünïcode");
named!(Empty, "");
named!(Control, "line\nbreak");

#[task]
async fn measure(bytes: Vec<u8>) -> usize {
    bytes.len()
}

#[task]
async fn label(ctx: TaskContext, name: String) -> Option<String> {
    ctx.labels().get(&name).cloned()
}

/// Counts the plain functions that run at once, and holds them until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar, AtomicUsize, AtomicUsize)>);

impl Gate {
    fn inside(&self) -> usize {
        self.0.2.load(Ordering::SeqCst)
    }

    fn most(&self) -> usize {
        self.0.3.load(Ordering::SeqCst)
    }

    fn pass(&self) {
        let (open, opened, inside, most) = &*self.0;
        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        drop(opened.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
        inside.fetch_sub(1, Ordering::SeqCst);
    }

    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

#[task]
fn block(gate: State<Gate>) {
    gate.pass();
}

#[task]
async fn quick() -> u8 {
    1
}

#[task(expires = "400ms")]
async fn perishable() -> u8 {
    1
}

#[task(retry = 3, backoff = "fixed(600ms)")]
async fn fail() -> Result<(), String> {
    Err("no".into())
}

fn app_of(stage: &Stage) -> App {
    stage.app().with_state(Gate::default()).register::<Longest>().register::<Odd>()
}

async fn names_of_tasks_at_their_limit_work_and_past_it_are_refused(stage: Stage) {
    let app = stage.start(app_of(&stage)).await;
    let longest = taskq::Call::<Longest>::new(7).kiq().on(&app).await.unwrap();
    assert_eq!(longest.wait_result().await.unwrap().into_value().unwrap(), 7);
    let odd = taskq::Call::<Odd>::new(8).kiq().on(&app).await.unwrap();
    assert_eq!(odd.wait_result().await.unwrap().into_value().unwrap(), 8);
    let refused = [
        taskq::Call::<TooLong>::new(1).kiq().on(&app).await.unwrap_err(),
        taskq::Call::<Empty>::new(1).kiq().on(&app).await.unwrap_err(),
        taskq::Call::<Control>::new(1).kiq().on(&app).await.unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(error, KiqError::Invalid { option: "name", .. }), "{error}");
    }
    for app in [
        stage.app().register::<TooLong>().with_state(Gate::default()),
        stage.app().register::<Empty>().with_state(Gate::default()),
        stage.app().register::<Control>().with_state(Gate::default()),
    ] {
        let error = app.startup().await.unwrap_err();
        assert!(matches!(error, WorkerError::Invalid { .. }), "{error}");
    }
}

async fn bodies_of_exactly_a_mebibyte_work_and_one_byte_more_is_refused(stage: Stage) {
    let app = stage.start(app_of(&stage)).await;
    let past = |length: usize| measure.kiq(vec![1; length]);
    let KiqError::TooLarge { size, limit, .. } = past(1 << 20).on(&app).await.unwrap_err() else {
        panic!("a mebibyte of numbers and its frame do not fit");
    };
    let fits = (1 << 20) - (size - limit);
    for delay in ["0s", "100ms"] {
        let handle = past(fits).delay(delay).on(&app).await.unwrap();
        assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap(), fits);
    }
    let error = past(fits + 1).on(&app).await.unwrap_err();
    assert!(matches!(error, KiqError::TooLarge { size: 1_048_577, .. }), "{error}");
}

async fn labels_at_their_limit_arrive_as_they_were_given(stage: Stage) {
    let app = stage.start(app_of(&stage)).await;
    let longest = "l".repeat(255);
    let large = "v".repeat(30 * 1024);
    for (name, value) in
        [("ünïcode", "Grüße\n\t"), ("empty", ""), (&*longest, "x"), ("large", &*large), ("a.b#*{}", "1")]
    {
        let handle = label.kiq(name.to_owned()).label(name, value).on(&app).await.unwrap();
        assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap().as_deref(), Some(value), "{name}");
    }
}

async fn ids_of_the_callers_own_may_look_like_anything_that_is_allowed(stage: Stage) {
    let app = stage.start(app_of(&stage)).await;
    let filler = "i".repeat(128 - 40);
    for odd in ["a.b", "#", "* ?", "ünï", "a:b:r", &filler] {
        let id = format!("{odd}{}", taskq::TaskId::new());
        let handle = quick.kiq().task_id(&id).on(&app).await.unwrap();
        assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap(), 1, "{id}");
        assert_eq!(TaskHandle::<u8>::attach(&app, &id).status().await.unwrap(), TaskStatus::Done);
    }
}

async fn a_task_that_expires_before_its_delay_is_over_is_refused(stage: Stage) {
    let app = stage.start(app_of(&stage)).await;
    for (kiq, limits) in [
        (perishable.kiq().delay("700ms"), ["400ms", "700ms"]),
        (perishable.kiq().delay("1h").expires("10m"), ["10m", "1h"]),
        (perishable.kiq().delay("2m").expires("2m"), ["2m", "2m"]),
    ] {
        let error = kiq.on(&app).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, KiqError::Invalid { option: "expires", .. }), "{text}");
        assert!(limits.iter().all(|limit| text.contains(limit)), "{text}");
    }
}

async fn a_task_that_expires_before_its_retry_is_due_is_not_run_again(stage: Stage) {
    let app = stage.start(app_of(&stage)).await;
    let in_time = perishable.kiq().delay("700ms").expires("1h").on(&app).await.unwrap();
    let failing = fail.kiq().expires("250ms").on(&app).await.unwrap();
    assert!(in_time.wait_result().await.unwrap().is_ok());
    let result = failing.wait_result().await.unwrap();
    assert_eq!((result.status(), result.attempts()), (TaskStatus::Expired, 1));
}

on_both! {
    names_of_tasks_at_their_limit_work_and_past_it_are_refused,
    bodies_of_exactly_a_mebibyte_work_and_one_byte_more_is_refused,
    labels_at_their_limit_arrive_as_they_were_given,
    ids_of_the_callers_own_may_look_like_anything_that_is_allowed,
    a_task_that_expires_before_its_delay_is_over_is_refused,
    a_task_that_expires_before_its_retry_is_due_is_not_run_again,
}

async fn no_more_plain_functions_run_at_once_than_there_are_cores(stage: Stage) {
    let cores = std::thread::available_parallelism().unwrap().get();
    let gate = Gate::default();
    let app = stage.start(stage.app().with_state(gate.clone())).await;
    let blocking = app.kiq_many((0..3 * cores).map(|_| block())).await.unwrap();
    eventually("every core is taken", || async { gate.inside() == cores }).await;
    for _ in 0..20 {
        assert_eq!(quick.kiq().on(&app).await.unwrap().wait_result().await.unwrap().into_value().unwrap(), 1);
    }
    gate.open();
    for handle in blocking {
        assert!(handle.wait_result().await.unwrap().is_ok());
    }
    assert_eq!(gate.most(), cores);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_plain_functions_run_at_once_than_there_are_cores_in_memory() {
    support::play(Stage::memory(), no_more_plain_functions_run_at_once_than_there_are_cores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_plain_functions_run_at_once_than_there_are_cores_on_rabbitmq() {
    support::play(Stage::rabbitmq(), no_more_plain_functions_run_at_once_than_there_are_cores).await;
}
