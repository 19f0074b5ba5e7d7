//! What a run leaves in the log: alone in its process, because tracing remembers per process, not per test, whether
//! anybody listens.

#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
};
use taskq::prelude::*;

#[task(retry = 1, backoff = "fixed(100ms)")]
async fn second_time_lucky(ctx: TaskContext) -> Result<u32, String> {
    if ctx.attempt() == 1 { Err("no".into()) } else { Ok(ctx.attempt()) }
}

/// Remembers the fields of spans and the texts of events.
#[derive(Clone, Default)]
struct Capture(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Capture {
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        _: &tracing::span::Id,
        _: tracing_subscriber::layer::Context<'_, S>,
    ) {
        let mut fields = Fields(attributes.metadata().name().to_owned());
        attributes.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        let mut fields = Fields(format!("{}", event.metadata().level()));
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }
}

struct Fields(String);

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

#[test]
fn a_run_has_one_span_with_fixed_field_names_and_one_line_at_its_end() {
    use tracing_subscriber::layer::SubscriberExt;
    let capture = Capture::default();
    let subscriber = tracing_subscriber::registry().with(capture.clone());
    tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let app = InMemoryBroker::new().into_app();
            let handle = second_time_lucky.kiq().on(&app).await.unwrap();
            assert!(handle.wait_result().await.unwrap().is_ok());
        });
    });
    let lines = capture.0.lock().unwrap().clone();
    let spans: Vec<_> = lines.iter().filter(|line| line.starts_with("task ")).collect();
    assert_eq!(spans.len(), 2, "{lines:#?}");
    for field in ["task.id=", "task.name=spans::second_time_lucky", "queue=\"taskq\"", "attempt=2", "trace_id="] {
        assert!(spans[1].contains(field), "{field} is not in {}", spans[1]);
    }
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!((count("task submitted"), count("task started")), (1, 2), "{lines:#?}");
    assert_eq!((count("it will run again"), count("task done")), (1, 1), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("WARN") && line.contains("it will run again")), "{lines:#?}");
}
