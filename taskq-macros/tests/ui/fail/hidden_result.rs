use taskq_macros::task;

type ApiResult<T> = Result<T, String>;

#[task(crate = taskq_core)]
async fn get(url: &str) -> ApiResult<String> {
    Err(url.to_owned())
}

fn main() {}
