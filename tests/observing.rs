//! Middleware, observers, spans and trace context.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use support::{Log, Stage};
use taskq::{
    BoxFuture, Event, FailureKind, KiqError, Message, Middleware, Next, Observer, Outcome, SendMiddleware, SendNext,
    TraceContext, Verdict, prelude::*,
};
use taskq_faults::wait::eventually;

#[task(retry = 1, backoff = "fixed(100ms)")]
async fn second_time_lucky(ctx: TaskContext) -> Result<u32, String> {
    if ctx.attempt() == 1 { Err("no".into()) } else { Ok(ctx.attempt()) }
}

#[task(timeout = "200ms")]
async fn hang() {
    std::future::pending::<()>().await;
}

#[task]
#[allow(clippy::panic)]
async fn explode() {
    panic!("boom");
}

#[task]
async fn trace_of(ctx: TaskContext) -> (String, String) {
    (ctx.message().traceparent.map(|trace| trace.to_string()).unwrap_or_default(), ctx.message().root.to_string())
}

#[task]
async fn trace_of_child(ctx: TaskContext) -> ((String, String), (String, String)) {
    let handle = trace_of.kiq().await.unwrap();
    let own =
        (ctx.message().traceparent.map(|trace| trace.to_string()).unwrap_or_default(), ctx.message().root.to_string());
    (own, handle.wait_result().await.unwrap().into_value().unwrap())
}

/// Notes what it sees, before and after.
struct Notes {
    name: &'static str,
    log: Log,
}

impl Middleware for Notes {
    fn call<'a>(&'a self, ctx: &'a TaskContext, next: Next<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            self.log.note(format!("{} {} begins", self.name, ctx.attempt()));
            let outcome = next.run(ctx).await;
            let what = match &outcome {
                Outcome::Done(_) => "done",
                Outcome::Failed(_) => "failed",
                Outcome::TimedOut(_) => "timed out",
                Outcome::Panicked(_) => "panicked",
                _ => "something else",
            };
            self.log.note(format!("{} {what}", self.name));
            outcome
        })
    }
}

impl SendMiddleware for Notes {
    fn call<'a>(&'a self, mut message: Message, next: SendNext<'a>) -> BoxFuture<'a, Result<(), KiqError>> {
        self.log.note(format!("{} sends", self.name));
        message.labels.insert(self.name.into(), "was here".into());
        next.run(message)
    }
}

async fn the_first_middleware_is_outermost_and_sees_every_outcome(stage: Stage) {
    let log = Log::default();
    let notes = |name| Notes { name, log: log.clone() };
    let app = stage.start(stage.app().with_middleware(notes("outer")).with_middleware(notes("inner"))).await;
    assert!(second_time_lucky.kiq().on(&app).await.unwrap().wait_result().await.unwrap().is_ok());
    let run = |attempt, what| {
        [
            format!("outer {attempt} begins"),
            format!("inner {attempt} begins"),
            format!("inner {what}"),
            format!("outer {what}"),
        ]
    };
    assert_eq!(log.texts(), [run(1, "failed"), run(2, "done")].concat());
    assert!(hang.kiq().on(&app).await.unwrap().wait_result().await.unwrap().is_err());
    assert!(explode.kiq().on(&app).await.unwrap().wait_result().await.unwrap().is_err());
    assert_eq!((log.count("outer timed out"), log.count("outer panicked")), (1, 1));
}

async fn send_middleware_may_change_a_message_or_refuse_it(stage: Stage) {
    let log = Log::default();
    let app = stage.app().with_send_middleware(Notes { name: "outer", log: log.clone() });
    fn typed<F>(f: F) -> F
    where
        F: for<'a> Fn(Message, SendNext<'a>) -> BoxFuture<'a, Result<(), KiqError>> + Send + Sync + 'static,
    {
        f
    }
    let app = app.with_send_middleware(typed(|message, next| match message.labels.contains_key("forbidden") {
        true => Box::pin(async move { Err(KiqError::refused(&*message.task, "forbidden")) }),
        false => next.run(message),
    }));
    let app = stage.start(app).await;
    let error = explode.kiq().label("forbidden", "yes").on(&app).await.unwrap_err();
    assert!(matches!(error, KiqError::Refused { .. }), "{error}");
    assert!(trace_of.kiq().on(&app).await.unwrap().wait_result().await.unwrap().is_ok());
    assert_eq!(log.count("outer sends"), 2);
}

#[tokio::test]
async fn a_send_middleware_that_changes_the_id_or_the_priority_is_refused() {
    struct Meddler(fn(&mut Message));
    impl SendMiddleware for Meddler {
        fn call<'a>(&'a self, mut message: Message, next: SendNext<'a>) -> BoxFuture<'a, Result<(), KiqError>> {
            self.0(&mut message);
            next.run(message)
        }
    }
    let app = InMemoryBroker::new().with_send_middleware(Meddler(|message| message.id = "mine".into()));
    let error = explode.kiq().on(&app).await.unwrap_err();
    assert!(matches!(error, KiqError::Invalid { option: "task_id", .. }), "{error}");
    let app = InMemoryBroker::new().with_send_middleware(Meddler(|message| message.priority = Some(3)));
    let error = explode.kiq().on(&app).await.unwrap_err();
    assert!(matches!(error, KiqError::Unsupported { .. }), "{error}");
}

/// Notes events by their kind.
#[derive(Clone)]
struct Events(Arc<Mutex<Vec<String>>>);

impl Observer for Events {
    #[allow(clippy::panic)]
    fn on(&self, event: &Event<'_>) {
        let text = match event {
            Event::Published { .. } => "published".to_owned(),
            Event::Started { message, .. } => format!("started {}", message.attempt),
            Event::Finished { verdict: Verdict::Retry { .. }, .. } => "finished: retry".to_owned(),
            Event::Finished { outcome: Outcome::Done(_), .. } => "finished: done".to_owned(),
            Event::Settled { settlement, .. } => format!("settled: {settlement:?}"),
            _ => panic!("a panic in an observer stays there"),
        };
        self.0.lock().unwrap().push(text);
    }
}

async fn an_observer_hears_of_every_step(stage: Stage) {
    let events = Events(Arc::default());
    let app = stage.start(stage.app().with_observer(events.clone())).await;
    assert!(second_time_lucky.kiq().on(&app).await.unwrap().wait_result().await.unwrap().is_ok());
    let wanted =
        ["published", "started 1", "finished: retry", "settled: Ack", "started 2", "finished: done", "settled: Ack"];
    eventually("all has been settled", || async { events.0.lock().unwrap().len() == wanted.len() }).await;
    let mut seen = events.0.lock().unwrap().clone();
    // The confirm of a publish may come after the run began.
    seen.sort();
    let mut wanted = wanted.map(str::to_owned).to_vec();
    wanted.sort();
    assert_eq!(seen, wanted);
    let failure = explode.kiq().on(&app).await.unwrap().wait_result().await.unwrap().into_value().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Panic, "the observer's own panic changes nothing");
}

async fn the_trace_of_the_producer_goes_along(stage: Stage) {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let app = stage.start(stage.app()).await;
    let (own, child) = trace_of_child.kiq().on(&app).await.unwrap().wait_result().await.unwrap().into_value().unwrap();
    let id = |text: &str| TraceContext::parse(text).unwrap().trace_id();
    assert_eq!(id(&own.0), id(&child.0), "a task that a task submits belongs to its trace");
    assert_ne!(own.0, child.0);
    assert_eq!(own.1, child.1, "and to the same root");
    let other = stage.app().with_trace_context(move || Some(trace.to_owned()));
    let handle = trace_of.kiq().on(&other).await.unwrap();
    assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap().0, trace);
}

on_both! {
    the_first_middleware_is_outermost_and_sees_every_outcome,
    send_middleware_may_change_a_message_or_refuse_it,
    an_observer_hears_of_every_step,
    the_trace_of_the_producer_goes_along,
}

#[tokio::test(start_paused = true)]
async fn a_middleware_that_hangs_does_not_hang_the_worker() {
    struct Hangs;
    impl Middleware for Hangs {
        fn call<'a>(&'a self, _: &'a TaskContext, _: Next<'a>) -> BoxFuture<'a, Outcome> {
            Box::pin(std::future::pending())
        }
    }
    let app = InMemoryBroker::new().with_middleware(Hangs);
    let began = tokio::time::Instant::now();
    let failure = hang.kiq().on(&app).await.unwrap().wait_result().await.unwrap().into_value().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert!(began.elapsed() >= Duration::from_millis(5200), "{:?}", began.elapsed());
}
