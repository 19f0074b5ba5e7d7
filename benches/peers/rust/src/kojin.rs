//! kojin on RabbitMQ, with results in Redis.

use crate::{CONCURRENCY, Result, setting, submitted};
use async_trait::async_trait;
use kojin::{
    AmqpBroker, AmqpConfig, Broker, KojinBuilder, RedisConfig, RedisResultBackend, Task, TaskContext, TaskMessage,
    TaskResult,
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Noop {}

#[async_trait]
impl Task for Noop {
    const NAME: &'static str = "noop";
    type Output = ();

    async fn run(&self, _: &TaskContext) -> TaskResult<()> {
        Ok(())
    }
}

fn config(queue: &str) -> Result<AmqpConfig> {
    let mut config = AmqpConfig::new(setting("PEERS_AMQP")?).with_prefetch_count(CONCURRENCY);
    config.exchange = format!("{queue}.direct");
    config.dlx_exchange = format!("{queue}.dlx");
    config.delayed_exchange = format!("{queue}.delayed");
    Ok(config)
}

pub(crate) async fn submit(tasks: u64) -> Result<()> {
    let queue = setting("PEERS_QUEUE")?;
    // A broker that knows the queue declares it, and consumes from it: it may not be there when the tasks come.
    drop(AmqpBroker::new(config(&queue)?, std::slice::from_ref(&queue)).await?);
    let broker = AmqpBroker::new(config(&queue)?, &[]).await?;
    submitted(tasks, move || {
        let (broker, queue) = (broker.clone(), queue.clone());
        async move { Ok(broker.enqueue(TaskMessage::new(Noop::NAME, queue, serde_json::json!({}))).await?) }
    })
    .await
}

pub(crate) async fn work() -> Result<()> {
    let queue = setting("PEERS_QUEUE")?;
    let queues = vec![queue.clone()];
    let redis =
        RedisConfig::new(setting("PEERS_REDIS")?).with_pool_size(CONCURRENCY.into()).with_prefix(queue.as_str());
    let results = RedisResultBackend::new(redis).await?;
    let worker = KojinBuilder::new(AmqpBroker::new(config(&queue)?, &queues).await?)
        .register_task::<Noop>()
        .concurrency(CONCURRENCY.into())
        .queues(queues)
        .result_backend(results)
        .build();
    worker.run().await;
    Ok(())
}
