//! What `cargo xtask bench --micro` measures of this crate. Nothing is done here that is not done elsewhere.

use crate::{
    App, BoxError, BoxFuture, ContentType, Message, Middleware, Next, Outcome, TaskConfig, TaskContext, TaskDef,
    Verdict, WorkerError, codec, registry, retry,
};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use std::{future::poll_fn, sync::Arc};

/// The value as bytes.
///
/// # Errors
/// It cannot be serialised.
pub fn encode(content_type: ContentType, value: &impl Serialize) -> Result<Bytes, BoxError> {
    codec::encode(content_type, value)
}

/// The value that all of these bytes hold.
///
/// # Errors
/// They hold another one.
pub fn decode<T: DeserializeOwned>(content_type: ContentType, bytes: &[u8]) -> Result<T, BoxError> {
    codec::decode(content_type, bytes)
}

/// The tasks of a program.
#[derive(Debug)]
pub struct Registry(registry::Registry);

impl Registry {
    /// These, and all that `#[task]` defined.
    ///
    /// # Errors
    /// Two have one name.
    pub fn build(by_hand: &[TaskDef]) -> Result<Self, WorkerError> {
        registry::Registry::build(by_hand).map(Registry)
    }

    /// The task of this name.
    pub fn get(&self, name: &str) -> Option<&TaskDef> {
        self.0.get(name).map(|def| &**def)
    }
}

/// What a run of this message is given.
pub fn context(app: &App, message: Message) -> TaskContext {
    TaskContext::outside(app, message)
}

/// The task itself: decode, run, encode.
pub fn run(def: &TaskDef, ctx: &TaskContext) -> BoxFuture<'static, Outcome> {
    let (mut handler, ctx) = ((def.call)(ctx), ctx.clone());
    Box::pin(poll_fn(move |cx| handler.as_mut().poll_in(&ctx, cx)))
}

/// The onion around a handler.
pub fn onion<'a>(
    middleware: &'a [Arc<dyn Middleware>],
    handler: &'a (dyn Fn(&'a TaskContext) -> BoxFuture<'a, Outcome> + Send + Sync),
    ctx: &'a TaskContext,
) -> BoxFuture<'a, Outcome> {
    Next::new(middleware, handler).run(ctx)
}

/// What follows a run.
pub fn decide(outcome: &Outcome, message: &Message, config: &TaskConfig, draw: f64) -> Verdict {
    retry::decide(outcome, message, config, draw)
}
