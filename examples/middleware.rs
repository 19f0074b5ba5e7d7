//! Code around running, code around sending, and an observer.
//!
//! Run with `cargo run --example middleware`. You should see:
//!
//! ```text
//! sending greet for acme
//!   [outer] greet begins
//!   [inner] greet for tenant acme
//! hello Ada
//!   [inner] greet: done
//!   [outer] greet ended
//! an unpaid tenant: task `greet` was refused: tenant `umbrella` has not paid
//! published 1, started 1, finished 1
//! ```

#![allow(missing_docs, clippy::print_stdout)]

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use taskq::{
    BoxFuture, Event, KiqError, Message, Middleware, Next, Observer, Outcome, SendMiddleware, SendNext, prelude::*,
};

#[task(name = "greet")]
async fn greet(name: &str) {
    println!("hello {name}");
}

/// Around every run. The first one added is outermost.
struct Outer;

impl Middleware for Outer {
    fn call<'a>(&'a self, ctx: &'a TaskContext, next: Next<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            println!("  [outer] {} begins", ctx.task_name());
            let outcome = next.run(ctx).await;
            println!("  [outer] {} ended", ctx.task_name());
            outcome
        })
    }
}

/// A function will do as well.
fn inner<'a>(ctx: &'a TaskContext, next: Next<'a>) -> BoxFuture<'a, Outcome> {
    Box::pin(async move {
        let tenant = ctx.labels().get("tenant").map_or("nobody", String::as_str);
        println!("  [inner] {} for tenant {tenant}", ctx.task_name());
        let outcome = next.run(ctx).await;
        println!("  [inner] {}: {}", ctx.task_name(), if outcome.is_done() { "done" } else { "not done" });
        outcome
    })
}

/// Around every submission: it may change the message, or refuse it.
struct Tenancy;

impl SendMiddleware for Tenancy {
    fn call<'a>(&'a self, message: Message, next: SendNext<'a>) -> BoxFuture<'a, Result<(), KiqError>> {
        Box::pin(async move {
            let tenant = message.labels.get("tenant").cloned().unwrap_or_default();
            if tenant == "umbrella" {
                return Err(KiqError::refused(&*message.task, format!("tenant `{tenant}` has not paid")));
            }
            println!("sending {} for {tenant}", message.task);
            next.run(message).await
        })
    }
}

/// Hears of everything, and must not stand in the way.
#[derive(Clone, Default)]
struct Counts(Arc<[AtomicU32; 3]>);

impl Observer for Counts {
    fn on(&self, event: &Event<'_>) {
        let which = match event {
            Event::Published { .. } => 0,
            Event::Started { .. } => 1,
            Event::Finished { .. } => 2,
            _ => return,
        };
        self.0[which].fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> taskq::Result<()> {
    let counts = Counts::default();
    let broker = InMemoryBroker::new();
    let app = broker.clone().with_middleware(Outer).with_middleware(inner);
    let app = app.with_send_middleware(Tenancy).with_observer(counts.clone());

    greet.kiq("Ada").label("tenant", "acme").on(&app).await?.wait_result().await?.into_value()?;
    if let Err(refused) = greet.kiq("Wesker").label("tenant", "umbrella").on(&app).await {
        println!("an unpaid tenant: {refused}");
    }
    broker.wait_idle().await;
    let [published, started, finished] = [0, 1, 2].map(|which| counts.0[which].load(Ordering::SeqCst));
    println!("published {published}, started {started}, finished {finished}");
    Ok(())
}
