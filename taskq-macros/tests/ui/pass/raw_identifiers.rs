//! Keywords as names travel without their `r#`.
use taskq_core::{Task, prelude::*};
use taskq_macros::task;

#[task(crate = taskq_core)]
async fn r#match(r#type: u32, r#fn: &str) -> u32 {
    let _ = r#fn;
    r#type
}

#[task(crate = taskq_core)]
fn r#loop(r#type: u32) -> u32 {
    if r#type == 0 { 0 } else { r#loop(r#type - 1) }
}

fn main() {
    drop((r#match.kiq(1, "x"), r#loop.kiq(1)));
    assert!(<r#match as Task>::NAME.ends_with("::match"));
    let args: <r#match as Task>::Args = serde_json::from_str(r#"{"type": 1, "fn": "x"}"#).unwrap();
    assert_eq!(serde_json::to_string(&args).unwrap(), r#"{"type":1,"fn":"x"}"#);
    assert_eq!(r#loop::inner(3), 0);
}
