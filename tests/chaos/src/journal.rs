//! What the library itself tells in a worker process, as lines of the ledger: its events, and its log.

use crate::{
    ledger::{Decision, Event},
    tasks,
};
use std::fmt::{self, Write};
use taskq::{Observer, Settlement, Verdict};
use tracing::{Level, Metadata, Subscriber, field::Field, field::Visit};
use tracing_subscriber::{
    Layer,
    filter::filter_fn,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
    util::SubscriberInitExt,
};

/// Notes what workers decide and what they tell the broker.
pub(crate) struct Journal;

impl Observer for Journal {
    fn on(&self, event: &taskq::Event<'_>) {
        let line = match event {
            taskq::Event::Finished { message, verdict, .. } => {
                let verdict = match verdict {
                    Verdict::Finish(_) => Decision::Finished,
                    Verdict::DeadLetter(_) => Decision::DeadLetter,
                    Verdict::Retry { .. } => Decision::Retry,
                    Verdict::GiveBack => Decision::GivenBack,
                    _ => Decision::Other,
                };
                Event::Decided { id: message.id.to_string(), attempt: message.attempt, verdict }
            }
            taskq::Event::Settled { message: Some(message), settlement, .. } => Event::Settled {
                id: message.id.to_string(),
                attempt: message.attempt,
                acked: *settlement == Settlement::Ack,
            },
            _ => return,
        };
        note(line);
    }
}

fn note(event: Event) {
    if let Ok(ledger) = tasks::ledger() {
        ledger.note(event);
    }
}

/// Notes what the log says about connections and claims; the log itself goes to stderr.
pub(crate) fn install() {
    let log = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(std::io::stderr);
    let quiet = |metadata: &Metadata<'_>| *metadata.level() <= Level::WARN && !metadata.target().starts_with("lapin");
    // A second subscriber in one process would be a mistake of this program.
    let _ = tracing_subscriber::registry()
        .with(Notes.with_filter(filter_fn(is_of_interest)))
        .with(log.with_filter(filter_fn(quiet)))
        .try_init();
}

fn is_of_interest(metadata: &Metadata<'_>) -> bool {
    // Claims are tied to their task by the span of its run.
    let is_claim = metadata.target().starts_with("taskq_redis_results::claims");
    metadata.is_span() || is_claim || *metadata.level() <= Level::WARN && metadata.target().starts_with("taskq")
}

struct Notes;

/// The id of the task whose run a span is.
struct TaskSpan(String);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Notes {
    fn on_new_span(&self, attributes: &tracing::span::Attributes<'_>, id: &tracing::span::Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let (Some(span), Some(task)) = (context.span(id), fields.get("task.id")) {
            span.extensions_mut().insert(TaskSpan(task.to_owned()));
        }
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let task = fields.get("task.id").map(str::to_owned).or_else(|| {
            let spans = context.event_scope(event)?;
            spans.into_iter().find_map(|span| span.extensions().get::<TaskSpan>().map(|task| task.0.clone()))
        });
        if let Some(line) = line_of(&fields, task) {
            note(line);
        }
    }
}

/// The texts of the library that the checker relies on. A run without any of them in spite of cut lines does not pass.
fn line_of(fields: &Fields, task: Option<String>) -> Option<Event> {
    let field = |name: &str| fields.get(name).unwrap_or_default().to_owned();
    let message = fields.get("message")?;
    let says = |text: &str| message.starts_with(text);
    if says("lost the connection to the broker") {
        return Some(Event::LostConnection { connection: field("connection") });
    }
    if says("lost the consumer") {
        return Some(Event::LostConsumer { error: field("error") });
    }
    if says("a claim could not be renewed") {
        return Some(Event::NotRenewed { id: task? });
    }
    if says("a suspect is about to begin") || says("a run is about to be claimed") {
        return Some(Event::AboutToBegin { id: task? });
    }
    if says("the run was lost with its connection") || says("another worker has taken the run over") {
        return Some(Event::TakenOver { id: task? });
    }
    None
}

#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str())
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        self.0.push((field.name(), text));
    }
}
