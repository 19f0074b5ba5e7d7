//! Tasks that `#[task]` made, called here and run by the in-memory broker's worker.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};
use taskq_core::{
    Ack, Backoff, BoxError, BrokerExt, Call, Error, Exec, FailureKind, FromContext, InMemoryBroker, Task, TaskConfig,
    TaskDef, TaskError, TaskStatus, prelude::*,
};
use taskq_macros::task;

/// What the tasks of this file take from the app.
#[derive(Debug, Default)]
struct Counter(AtomicU32);

impl Counter {
    fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

struct Tenant(String);

impl FromContext for Tenant {
    async fn from_context(ctx: &TaskContext) -> Result<Self, BoxError> {
        Ok(Tenant(ctx.labels().get("tenant").ok_or("the label `tenant` is missing")?.clone()))
    }
}

fn app() -> App {
    InMemoryBroker::new().with_state(Counter::default())
}

/// Adds two numbers.
#[task(retry = 3, timeout = "300s", crate = taskq_core)]
pub async fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[task(crate = taskq_core)]
fn fib(n: u32) -> u64 {
    if n < 2 { u64::from(n) } else { fib(n - 1) + fib(n - 2) }
}

#[task(crate = taskq_core)]
async fn count_down(n: u32) -> u32 {
    if n == 0 { 0 } else { count_down(n - 1).await + 1 }
}

#[task(crate = taskq_core)]
async fn parse(text: &str) -> Result<i64, std::num::ParseIntError> {
    text.parse()
}

#[task(crate = taskq_core)]
async fn describe(
    name: &str,
    tags: &[String],
    path: &Path,
    bytes: &[u8],
    more: Vec<u8>,
    map: HashMap<String, Option<bool>>,
    r#type: Option<u8>,
) -> String {
    format!("{name} {tags:?} {path:?} {bytes:?} {more:?} {map:?} {type:?}", type = r#type)
}

#[task(crate = taskq_core)]
async fn numbered(
    State(counter): State<Counter>,
    #[inject] Tenant(tenant): Tenant,
    ctx: TaskContext,
    mut n: u32,
) -> String {
    n += counter.next();
    format!("{tenant} {n} {}", ctx.attempt())
}

#[task(crate = taskq_core)]
fn thread_name(ctx: TaskContext, counter: State<Counter>, prefix: &str) -> Result<String, BoxError> {
    let name = thread::current().name().ok_or("a thread without a name")?.to_owned();
    Ok(format!("{prefix} {name} {} {}", ctx.attempt(), counter.next()))
}

#[task(crate = taskq_core)]
fn hands_over(n: i64) -> bool {
    // The worker's app is the current one on the blocking pool too.
    App::current().is_some() && n == 1
}

#[task(name = "greet", crate = taskq_core)]
async fn greet(
    name: &str,
    #[arg(default)] times: u8,
    #[arg(default = "hello")] greeting: &str,
    #[arg(default = vec![1, 2])] marks: Vec<u8>,
) -> String {
    format!("{greeting} {name} {times} {marks:?}")
}

/// `greet` as an older sender knows it.
struct OldGreet;

#[derive(serde::Serialize, serde::Deserialize)]
struct OldGreetArgs {
    gone: u8,
    name: String,
}

impl Task for OldGreet {
    type Args = OldGreetArgs;
    type Output = String;
    type Returns = String;
    const NAME: &'static str = "greet";
    const CONFIG: TaskConfig = TaskConfig::new();
}

#[derive(Debug, PartialEq)]
enum Trouble {
    Passing,
    Lasting,
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Trouble {}

impl Trouble {
    fn is_passing(&self) -> bool {
        *self == Trouble::Passing
    }
}

#[task(retry = 5, backoff = "fixed(1h)", retry_on = Trouble::is_passing, crate = taskq_core)]
async fn flaky(ctx: TaskContext, passing: u32, lasting: bool) -> Result<u32, Trouble> {
    match ctx.attempt() {
        attempt if attempt <= passing => Err(Trouble::Passing),
        _ if lasting => Err(Trouble::Lasting),
        attempt => Ok(attempt),
    }
}

#[task(retry = 5, retry_on = Trouble::is_passing, crate = taskq_core)]
fn flaky_plain(lasting: bool) -> Result<u32, Trouble> {
    if lasting { Err(Trouble::Lasting) } else { Ok(1) }
}

type Outcome<T> = Result<T, String>;

#[task(fallible, crate = taskq_core)]
async fn renamed(fails: bool) -> Outcome<u8> {
    if fails { Err("it failed".into()) } else { Ok(7) }
}

#[task(
    name = "all",
    queue = "mail",
    retry = 1,
    timeout = "1m 500ms",
    backoff = "list(1s, 5s)",
    expires = "1h",
    ack = "on_receive",
    result_ttl = "2h",
    store_result = true,
    dead_letter = false,
    track,
    crate = taskq_core
)]
fn all() {}

#[tokio::test]
async fn a_plain_call_runs_here() {
    assert_eq!(add(1, 2).await, 3);
    assert_eq!(fib(10).await, 55);
    assert_eq!(count_down(3).await, 3);
    assert_eq!(parse("12").await, Ok(12));
    assert!(parse("x").await.is_err());
    assert_eq!(tokio::spawn(add(2, 3)).await.unwrap(), 5);
    let calls: Vec<Call<add>> = (0..3).map(|i| add(i, i)).collect();
    let mut sum = 0;
    for call in calls {
        sum += call.await;
    }
    assert_eq!(sum, 6);
}

#[tokio::test]
async fn the_function_itself_can_be_called_without_an_app() {
    assert_eq!(add::inner(1, 2).await, 3);
    assert_eq!(fib::inner(12), 144);
    let app = app();
    let (state, tenant) = (State::new(Counter::default()), Tenant("acme".into()));
    assert_eq!(numbered::inner(state, tenant, TaskContext::detached(&app), 1).await, "acme 2 1");
}

#[tokio::test]
async fn a_kiq_runs_the_function_in_the_worker() -> Result<(), Error> {
    app()
        .scope(async {
            assert_eq!(add.kiq(1, 2).await?.wait_result().await?.into_value()?, 3);
            assert_eq!(add(3, 4).kiq().await?.wait_result().await?.into_value()?, 7);
            assert_eq!(fib.kiq(10).await?.wait_result().await?.into_value()?, 55);
            assert_eq!(count_down.kiq(3).await?.wait_result().await?.into_value()?, 3);
            assert_eq!(parse.kiq("12").await?.wait_result().await?.into_value()?, 12);
            let failure = parse.kiq("x").await?.wait_result().await?.into_value().unwrap_err();
            assert!(failure.message.contains("invalid digit"), "{failure:?}");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn borrowed_arguments_are_owned_on_the_way() -> Result<(), Error> {
    let (name, tags, path) = (String::from("name"), vec![String::from("tag")], PathBuf::from("/path"));
    let map = HashMap::from([("key".to_owned(), Some(true))]);
    let call = || describe(&name, &tags, &path, &[0, 200, 255], vec![128; 3], map.clone(), None);
    let here = call().await;
    assert_eq!(here, r#"name ["tag"] "/path" [0, 200, 255] [128, 128, 128] {"key": Some(true)} None"#);
    for app in [app(), app().with_json()] {
        let there = call().kiq().on(&app).await?.wait_result().await?.into_value()?;
        assert_eq!(there, here);
        app.shutdown().await?;
    }
    Ok(())
}

#[test]
fn arguments_travel_by_name_without_raw_marks() {
    let body = r#"{"more":[1],"bytes":[2],"name":"n","tags":[],"path":"/p","map":{},"type":4}"#;
    let args: <describe as Task>::Args = serde_json::from_str(body).unwrap();
    let again = serde_json::to_value(&args).unwrap();
    assert_eq!(again, serde_json::from_str::<serde_json::Value>(body).unwrap());
}

#[task(crate = taskq_core)]
async fn bytes(a: Vec<u8>, b: &[u8], #[arg(default)] c: Vec<u8>) -> usize {
    a.len() + b.len() + c.len()
}

#[test]
fn byte_strings_cost_a_byte_per_byte() {
    let list = vec![255; 1000];
    let args: <bytes as Task>::Args =
        serde_json::from_value(serde_json::json!({ "a": list, "b": list, "c": list })).unwrap();
    let size = rmp_serde::to_vec_named(&args).unwrap().len();
    assert!((3000..3050).contains(&size), "{size}");
}

#[tokio::test]
async fn injected_parameters_come_from_the_worker() -> Result<(), Error> {
    app()
        .scope(async {
            let handle = numbered.kiq(40).label("tenant", "acme").await?;
            assert_eq!(handle.wait_result().await?.into_value()?, "acme 41 1");
            let failure = numbered.kiq(40).await?.wait_result().await?.into_value().unwrap_err();
            assert!(failure.message.contains("the label `tenant` is missing"), "{failure:?}");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_plain_function_leaves_the_threads_of_the_runtime() -> Result<(), Error> {
    app()
        .scope(async {
            let here = thread::current().name().map(str::to_owned).unwrap_or_default();
            let there = thread_name.kiq("on").await?.wait_result().await?.into_value()?;
            assert!(there.starts_with("on ") && there.ends_with(" 1 1"), "{there}");
            assert!(!there.contains(&here), "{there} is {here}");
            assert!(hands_over.kiq(1).await?.wait_result().await?.into_value()?);
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_message_of_an_older_sender_gets_the_defaults() -> Result<(), Error> {
    for app in [app(), app().with_json()] {
        let old = Call::<OldGreet>::new(OldGreetArgs { gone: 1, name: "Ann".into() });
        let value = old.kiq().on(&app).await?.wait_result().await?.into_value()?;
        assert_eq!(value, "hello Ann 0 [1, 2]");
        let value = greet.kiq("Bob", 2, "good day", vec![]).on(&app).await?.wait_result().await?.into_value()?;
        assert_eq!(value, "good day Bob 2 []");
        app.shutdown().await?;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn only_errors_that_retry_on_names_are_retried() -> Result<(), Error> {
    app()
        .scope(async {
            let result = flaky.kiq(3, false).await?.wait_result().timeout("10h").await?;
            assert_eq!((result.attempts(), result.into_value()?), (4, 4));
            let result = flaky.kiq(1, true).await?.wait_result().timeout("10h").await?;
            assert_eq!(result.attempts(), 2);
            let failure = result.into_value().unwrap_err();
            assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Permanent, "Lasting"));
            let result = flaky_plain.kiq(true).await?.wait_result().timeout("10h").await?;
            assert_eq!((result.attempts(), result.is_err()), (1, true));
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_result_under_another_name_is_a_result() -> Result<(), Error> {
    app()
        .scope(async {
            assert_eq!(renamed.kiq(false).await?.wait_result().await?.into_value()?, 7);
            let failure = renamed.kiq(true).await?.wait_result().await?.into_value().unwrap_err();
            assert_eq!(failure.message, "it failed");
            Ok(())
        })
        .await
}

#[test]
fn every_attribute_reaches_the_configuration() {
    static DELAYS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
    let seconds = Duration::from_secs;
    let expected = TaskConfig::new()
        .retry(1)
        .timeout(Duration::from_millis(60_500))
        .backoff(Backoff::list(&DELAYS))
        .queue("mail")
        .expires(seconds(3600))
        .ack(Ack::OnReceive)
        .result_ttl(seconds(7200))
        .store_result(true)
        .dead_letter(false)
        .track(true)
        .blocking();
    assert_eq!(all::CONFIG, expected);
    assert_eq!((all::NAME, all::CONFIG.exec), ("all", Exec::Blocking));
    assert_eq!(add::CONFIG, TaskConfig::new().retry(3).timeout(seconds(300)));
    assert_eq!(add::NAME, concat!(module_path!(), "::add"));
}

#[test]
fn tasks_register_themselves_with_their_location() {
    let found =
        taskq_core::__private::inventory::iter::<TaskDef>.into_iter().find(|def| def.name == add::NAME).unwrap();
    assert!(found.location.file.ends_with("tests/run.rs"), "{}", found.location);
    let line = include_str!("run.rs").lines().position(|line| line.starts_with("#[task(retry = 3")).unwrap();
    assert_eq!(found.location.line as usize, line + 1);
}

#[tokio::test]
async fn a_missing_state_stops_the_start_and_says_which_task_wants_it() {
    let error = InMemoryBroker::new().into_app().worker().run_until(async {}).await.unwrap_err().to_string();
    assert!(error.contains("Counter") && error.contains("with_state") && error.contains("tests/run.rs"), "{error}");
}

#[tokio::test]
async fn task_errors_keep_their_marks() -> Result<(), Error> {
    app()
        .scope(async {
            let result = discarded.kiq().await?.wait_result().await?;
            assert_eq!((result.status(), result.attempts()), (TaskStatus::Discarded, 1));
            Ok(())
        })
        .await
}

#[task(retry = 3, crate = taskq_core)]
async fn discarded() -> Result<(), TaskError> {
    Err(TaskError::discard("not wanted"))
}
