//! kojin and rusty-celery, each as publisher and as worker: `taskq-peers kojin|rusty-celery submit N|work`.

mod kojin;
mod rusty_celery;

use std::{env, error::Error, future::Future, time::Instant};

/// Callers at once; as many as those of the other peers that can have several.
const CALLERS: u64 = 100;

/// Tasks that run at once, and deliveries that are held.
const CONCURRENCY: u16 = 100;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["kojin", "submit", tasks] => kojin::submit(tasks.parse()?).await,
        ["kojin", "work"] => kojin::work().await,
        ["rusty-celery", "submit", tasks] => rusty_celery::submit(tasks.parse()?).await,
        ["rusty-celery", "work"] => rusty_celery::work().await,
        _ => Err("it takes kojin or rusty-celery, and `submit N` or `work`".into()),
    }
}

fn setting(name: &str) -> Result<String> {
    env::var(name).map_err(|_| format!("{name} is not set; `run` sets it").into())
}

/// Many callers, each of whom submits its share one after the other. Tells how long all took.
async fn submitted<F>(tasks: u64, submit: impl Fn() -> F + Clone + Send + 'static) -> Result<()>
where
    F: Future<Output = Result<()>> + Send,
{
    let began = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let submit = submit.clone();
            let share = tasks / CALLERS + u64::from(caller < tasks % CALLERS);
            tokio::spawn(async move {
                for _ in 0..share {
                    submit().await?;
                }
                Result::Ok(())
            })
        })
        .collect();
    for caller in callers {
        caller.await??;
    }
    println!("{}", began.elapsed().as_secs_f64());
    Ok(())
}
