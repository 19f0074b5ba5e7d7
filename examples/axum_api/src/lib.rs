//! A web API that hands work to taskq: POST answers with the task's id at once, GET tells its status and, in the end,
//! its result.
//!
//! ```text
//! $ cargo run -p axum_api                              # everything in this process
//! $ curl -d '{"text": "to be or not to be"}' -H 'content-type: application/json' localhost:3000/summaries
//! {"id":"0199..."}
//! $ curl localhost:3000/summaries/0199...
//! {"status":"done","summary":{"words":6,"distinct":4}}
//! ```

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, time::Duration};
use taskq::{AmqpBroker, App, BrokerExt, InMemoryBroker, KiqError, RedisResults, ResultError, TaskHandle, TaskStatus};

/// What is asked for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Text {
    /// The text.
    pub text: String,
}

/// What comes of it.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Summary {
    /// Words in the text.
    pub words: usize,
    /// Different words in the text.
    pub distinct: usize,
}

/// Summarises a text, slowly.
#[taskq::task(retry = 2, timeout = "1m")]
pub async fn summarise(text: &str) -> Summary {
    tokio::time::sleep(Duration::from_millis(200)).await;
    let words: Vec<&str> = text.split_whitespace().collect();
    Summary { words: words.len(), distinct: words.iter().collect::<HashSet<_>>().len() }
}

/// The app: in this process alone, or on RabbitMQ and Redis if `TASKQ_AMQP_URL` is set.
pub fn app() -> App {
    match std::env::var("TASKQ_AMQP_URL") {
        Ok(url) => AmqpBroker::new(url).with_result_backend(RedisResults::from_env()),
        Err(_) => InMemoryBroker::new().into_app(),
    }
    .with_tracking()
}

/// The routes. The app travels in axum's own state: a server runs its handlers on tasks of its own, where no scope
/// reaches.
pub fn routes(app: App) -> Router {
    Router::new().route("/summaries", post(submit)).route("/summaries/{id}", get(show)).with_state(app)
}

#[derive(Serialize)]
struct Submitted {
    id: String,
}

#[derive(Serialize)]
struct Standing {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

type Refusal = (StatusCode, String);

async fn submit(State(app): State<App>, Json(text): Json<Text>) -> Result<(StatusCode, Json<Submitted>), Refusal> {
    let handle = summarise(&text.text).kiq().on(&app).within("2s").await.map_err(refuse)?;
    Ok((StatusCode::ACCEPTED, Json(Submitted { id: handle.id().to_string() })))
}

/// A full queue is the client's to wait for; the rest is ours.
fn refuse(error: KiqError) -> Refusal {
    let status = match &error {
        KiqError::QueueFull { .. } => StatusCode::TOO_MANY_REQUESTS,
        KiqError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        error if error.is_retryable() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, error.to_string())
}

async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Standing>, Refusal> {
    let unavailable = |error: ResultError| (StatusCode::SERVICE_UNAVAILABLE, error.to_string());
    let handle = TaskHandle::<Summary>::attach(&app, id);
    let status = handle.status().await.map_err(unavailable)?;
    if !status.is_final() {
        return Ok(Json(Standing { status: name_of(status), summary: None, error: None }));
    }
    let (summary, error) = match handle.wait_result().await.map_err(unavailable)?.into_value() {
        Ok(summary) => (Some(summary), None),
        Err(failure) => (None, Some(failure.to_string())),
    };
    Ok(Json(Standing { status: name_of(status), summary, error }))
}

fn name_of(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Queued => "queued",
        TaskStatus::Running => "running",
        TaskStatus::Retrying { .. } => "retrying",
        TaskStatus::Done => "done",
        TaskStatus::Failed => "failed",
        TaskStatus::Discarded => "discarded",
        TaskStatus::Cancelled => "cancelled",
        TaskStatus::Expired => "expired",
        // Not yet seen by anyone, or never submitted.
        _ => "pending",
    }
}
