//! The `#[task]` attribute of taskq. Applications take it from the `taskq` crate.
//!
//! One expansion goes through these steps: `function` reads the annotated item, `attributes` reads what stands in
//! `#[task(..)]`, `signature` finds out what each parameter and the return type are, `expand` writes the code. What is
//! wrong is collected on the way, so that one build shows all of it.

mod attributes;
mod backoff;
mod duration;
mod errors;
mod expand;
mod function;
mod names;
mod parameter;
mod signature;
mod spelling;
mod types;

/// Makes a task of a function: `add(1, 2).await` still runs it here, `add.kiq(1, 2).await` hands it to the broker.
///
/// ```
/// # extern crate taskq_core as taskq;
/// # use taskq_macros::task;
/// # fn main() {
/// use taskq::prelude::*;
///
/// /// Adds two numbers.
/// #[task(retry = 3, timeout = "300s")]
/// pub async fn add(a: i64, b: i64) -> i64 {
///     a + b
/// }
///
/// #[task(name = "mail.send", queue = "mail", retry = 5, backoff = "exp(1s, max = 60s)")]
/// pub async fn send(ctx: TaskContext, greeting: State<String>, to: &str) -> Result<usize, std::io::Error> {
///     println!("attempt {}: {} {to}", ctx.attempt(), *greeting);
///     Ok(to.len())
/// }
/// # }
/// ```
///
/// The function becomes one that gives a `Call`: a value that runs the function when it is awaited, and that can be
/// handed to the broker instead. Beside it stands a type of the same name, with the function as it was:
/// `add::inner(1, 2)`. A plain `fn` works too; workers run it on the blocking pool.
///
/// # Parameters
///
/// | parameter | where it comes from |
/// |---|---|
/// | `TaskContext`, `State<T>` | the worker |
/// | `#[inject]` on any type that implements `FromContext` | the worker |
/// | all others: owned types, or `&str`, `&[T]`, `&T`, which are owned on the way | the sender |
/// | `#[arg]` | the sender, whatever the type is called |
/// | `#[arg(default)]`, `#[arg(default = expr)]` | the sender; left out by an older one, this value |
///
/// Arguments travel by name: adding one with a default, or moving one, breaks no message that is on its way.
///
/// # Attributes
///
/// | attribute | value | default |
/// |---|---|---|
/// | `retry` | further runs after the first: `3` | `0` |
/// | `timeout` | limit of one run: `"300s"` | `"25m"` |
/// | `backoff` | time between runs: `"exp(1s, x2, max = 60s)"`, `"fixed(5s)"`, `"list(1s, 5s, 30s)"` | `"exp(1s, x2, max = 1h)"` |
/// | `retry_on` | path of a `fn(&E) -> bool`: errors that it is false for are not retried | all are retried |
/// | `name` | the name on the wire | the path of the function |
/// | `queue` | the queue | the app's default queue |
/// | `expires` | not to be run later than this after its submission: `"1h"` | never |
/// | `ack` | `"on_done"`, or `"on_receive"` for at most one run | `"on_done"` |
/// | `result_ttl` | how long the result is kept: `"1h"` | as the app says |
/// | `store_result` | whether a result is kept: `true`, `false` | `true` |
/// | `dead_letter` | whether giving up leaves a dead letter: `true`, `false` | `true` |
/// | `track` | whether its steps are written to the result backend: a flag, or `true`, `false` | `false` |
/// | `marker` | another name for the type beside the function: `AddTask` | the function's name |
/// | `fallible` | whether the return type is a `Result`: a flag, or `true`, `false` | whether it is called `Result` |
/// | `crate` | the path of taskq | `::taskq` |
///
/// Durations are text with units (`"300ms"`, `"5s"`, `"1h 30m"`), checked when the program is compiled.
///
/// # Errors
///
/// A task returns a value or a `Result<T, E>`, where `E` is anything that turns into a boxed error: an error type,
/// `String`, `anyhow::Error`, `TaskError`.
#[proc_macro_attribute]
pub fn task(attributes: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand::task(attributes.into(), item.into()).into()
}
