// Tasks for the examples of the documentation, which include this file unseen: this crate has no `#[task]`.

struct Add;

impl taskq::Task for Add {
    type Args = (i64, i64);
    type Output = i64;
    type Returns = Result<i64, String>;
    const NAME: &'static str = "add";
    const CONFIG: taskq::TaskConfig = taskq::TaskConfig::new();
}

impl taskq::Run for Add {
    fn run(
        _: taskq::TaskContext,
        (a, b): (i64, i64),
    ) -> taskq::BoxFuture<'static, Result<i64, taskq::BoxError>> {
        Box::pin(async move { a.checked_add(b).ok_or_else(|| "the sum is too large".into()) })
    }
}

/// The sum, or an error when it is too large.
fn add(a: i64, b: i64) -> taskq::Call<Add> {
    taskq::Call::new((a, b))
}

struct Nap;

impl taskq::Task for Nap {
    type Args = (u64,);
    type Output = ();
    type Returns = ();
    const NAME: &'static str = "nap";
    const CONFIG: taskq::TaskConfig = taskq::TaskConfig::new();
}

impl taskq::Run for Nap {
    fn run(
        _: taskq::TaskContext,
        (seconds,): (u64,),
    ) -> taskq::BoxFuture<'static, Result<(), taskq::BoxError>> {
        Box::pin(async move {
            tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
            Ok(())
        })
    }
}

/// Takes this long.
fn nap(seconds: u64) -> taskq::Call<Nap> {
    taskq::Call::new((seconds,))
}
