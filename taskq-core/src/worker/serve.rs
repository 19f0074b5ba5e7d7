//! A worker at work: its queues are consumed until it is told to stop, then in stages what runs ends.

use super::{
    Worker,
    alarms::Alarms,
    ending::Endings,
    flow::Flow,
    plan::{QueuePlan, WorkerPlan},
    process::Processor,
    receive,
    running::Running,
    store::StoreWatch,
};
use crate::{
    clock::from_now,
    delivery::Consumer,
    error::{BrokerError, WorkerError},
    queue::QueueKind,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Time that verdicts get to be carried out after the runs themselves were interrupted.
const SETTLE_GRACE: Duration = Duration::from_secs(5);

impl Worker {
    /// Until `stop` is cancelled and what runs has ended.
    pub(super) async fn run(
        &self,
        plan: &WorkerPlan,
        stop: CancellationToken,
        now: CancellationToken,
    ) -> Result<(), WorkerError> {
        let interrupt = CancellationToken::new();
        let _interrupt_on_drop = interrupt.clone().drop_guard();
        let stop = stop.child_token();
        let _stop_on_drop = stop.clone().drop_guard();
        let (runs, loops) = (TaskTracker::new(), TaskTracker::new());
        let processor = Arc::new(self.processor(plan, &runs, &interrupt));
        for queue in &plan.queues {
            let consumer = self.consume(queue).await?;
            let receiver = receive::Receiver::new(consumer, queue, processor.clone(), runs.clone());
            loops.spawn(receiver.run(stop.clone()));
        }
        if !self.embedded {
            let queues: Vec<_> = plan.queues.iter().map(|q| format!("{}:{}", q.spec.name(), q.concurrency)).collect();
            tracing::info!(queues = queues.join(","), "ready: consuming");
        }
        loops.close();
        runs.close();
        tokio::select! {
            () = loops.wait() => {}
            () = stop.cancelled() => {}
        }
        let abandoned = self.finish(&loops, &runs, &interrupt, &now).await;
        match abandoned {
            0 if stop.is_cancelled() => Ok(()),
            0 => Err(BrokerError::Closed.into()),
            in_flight => Err(WorkerError::Abandoned { in_flight }),
        }
    }

    fn processor(&self, plan: &WorkerPlan, runs: &TaskTracker, interrupt: &CancellationToken) -> Processor {
        let results = self.app.results().filter(|results| results.stores_together());
        let least = plan.queues.iter().map(|queue| queue.concurrency).min().unwrap_or_default();
        Processor {
            app: self.app.clone(),
            endings: results.map(|results| Endings::new(results.clone(), runs.clone(), Flow::new(least))),
            task_timeout: self.task_timeout,
            running: Running::default(),
            store: StoreWatch::default(),
            suspects: Arc::new(Semaphore::new(1)),
            quarantine: Arc::default(),
            blocking: self.app.cores(),
            alarms: Alarms::new(interrupt.clone()),
            interrupt: interrupt.clone(),
            name: plan.name.as_str().into(),
        }
    }

    async fn consume(&self, queue: &QueuePlan) -> Result<Consumer, BrokerError> {
        let broker = self.app.broker();
        if self.app.queues().contains(&queue.spec) {
            return broker.consume(&queue.spec, queue.prefetch).await;
        }
        let is_others = queue.spec.kind() == QueueKind::Existing;
        if !is_others {
            broker.declare(&queue.spec).await?;
        }
        let consumer = broker.consume(&queue.spec, queue.prefetch).await?;
        if is_others {
            // Now known to be there: its retries and its dead letters need their ways too.
            broker.declare(&queue.spec).await?;
        }
        Ok(consumer)
    }

    /// Waits for running tasks, interrupts what is left, and says how many those were.
    async fn finish(
        &self,
        loops: &TaskTracker,
        runs: &TaskTracker,
        interrupt: &CancellationToken,
        now: &CancellationToken,
    ) -> usize {
        let deadline = from_now(self.shutdown_timeout);
        // A run that blocks its thread may hold up a loop there.
        let all = async {
            loops.wait().await;
            runs.wait().await;
        };
        tokio::select! {
            () = all => return 0,
            () = tokio::time::sleep_until(deadline) => {}
            () = now.cancelled() => {}
        }
        let in_flight = runs.len();
        tracing::warn!(in_flight, "the shutdown timeout has ended: running tasks are given back");
        interrupt.cancel();
        if tokio::time::timeout(SETTLE_GRACE, runs.wait()).await.is_err() {
            tracing::error!(
                in_flight = runs.len(),
                "some tasks could not even be given back: the broker will do so when it sees us gone"
            );
        }
        in_flight
    }
}
