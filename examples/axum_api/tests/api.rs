//! A client of the API, from the submission to the result.
#![allow(clippy::unwrap_used)]

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use taskq::prelude::*;
use tower::ServiceExt;

async fn ask(routes: &Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = routes.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::String(String::from_utf8_lossy(&body).into_owned())))
}

fn post(text: &str) -> Request<Body> {
    let body = Body::from(json!({ "text": text }).to_string());
    Request::post("/summaries").header("content-type", "application/json").body(body).unwrap()
}

fn get(id: &str) -> Request<Body> {
    Request::get(format!("/summaries/{id}")).body(Body::empty()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_submission_answers_at_once_and_its_result_can_be_fetched_later() {
    let broker = InMemoryBroker::new();
    let routes = axum_api::routes(broker.clone().with_tracking());
    let (status, answer) = ask(&routes, post("to be or not to be")).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let id = answer["id"].as_str().unwrap();
    let (_, standing) = ask(&routes, get(id)).await;
    assert!(matches!(standing["status"].as_str().unwrap(), "queued" | "running"), "{standing}");
    broker.wait_idle().await;
    let (status, standing) = ask(&routes, get(id)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(standing, json!({ "status": "done", "summary": { "words": 6, "distinct": 4 } }));
    assert_eq!(ask(&routes, get("never-heard-of")).await.1, json!({ "status": "pending" }));
}

#[tokio::test]
async fn a_full_queue_is_said_to_the_client() {
    let routes = axum_api::routes(InMemoryBroker::new().capacity(1).without_worker().into_app());
    assert_eq!(ask(&routes, post("one")).await.0, StatusCode::ACCEPTED);
    tokio::time::pause();
    assert_eq!(ask(&routes, post("two")).await.0, StatusCode::TOO_MANY_REQUESTS);
}
