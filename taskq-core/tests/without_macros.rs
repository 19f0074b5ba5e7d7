//! Everything works without the macro: a task written by hand, from `kiq` to its result.

#![allow(clippy::panic)]

use serde::{Deserialize, Serialize};
use std::time::Duration;
use taskq_core::{
    Backoff, BoxError, BrokerExt, Call, FailureKind, InMemoryBroker, Run, Task, TaskConfig, TaskContext, TaskStatus,
};

struct Divide;

#[derive(Serialize, Deserialize)]
struct DivideArgs {
    dividend: i64,
    divisor: i64,
}

impl Task for Divide {
    type Args = DivideArgs;
    type Output = i64;
    type Returns = i64;
    const NAME: &'static str = "math.divide";
    const CONFIG: TaskConfig = TaskConfig::new().retry(2).backoff(Backoff::fixed(Duration::from_secs(1800)));
}

impl Run for Divide {
    async fn run(ctx: TaskContext, args: DivideArgs) -> Result<i64, BoxError> {
        if args.divisor == 0 && ctx.is_last_attempt() {
            panic!("division by zero");
        }
        args.dividend.checked_div(args.divisor).ok_or_else(|| "not yet".into())
    }
}

fn divide(dividend: i64, divisor: i64) -> Call<Divide> {
    Call::new(DivideArgs { dividend, divisor })
}

#[tokio::test]
async fn a_task_written_by_hand_gives_its_result() {
    let app = InMemoryBroker::new().register::<Divide>();
    let handle = divide(12, 4).kiq().on(&app).await.unwrap();
    assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap(), 3);
    assert_eq!(handle.status().await.unwrap(), TaskStatus::Done);
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_backoff_passes_at_once_when_time_is_paused() {
    let broker = InMemoryBroker::new();
    let app = broker.clone().register::<Divide>();
    let began = tokio::time::Instant::now();
    let handle = divide(1, 0).kiq().on(&app).await.unwrap();
    let result = handle.wait_result().await.unwrap();
    assert_eq!(result.attempts(), 3);
    let failure = result.into_value().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Panic);
    assert!(failure.message.contains("division by zero") && failure.message.contains("without_macros.rs"), "{failure}");
    assert!(began.elapsed() >= Duration::from_secs(1800), "{:?}", began.elapsed());
    broker.wait_idle().await;
    let letters = broker.dead_letters("taskq");
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].attempts, 3);
    assert!(letters[0].last_failed.unwrap().0 - letters[0].first_failed.unwrap().0 >= 1_800_000);
}
