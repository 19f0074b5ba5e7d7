//! stub
use crate::app::App;
/// stub
#[derive(Debug)]
pub struct DeadLetter;
/// stub
#[derive(Debug)]
pub struct DeadLetters {
    app: App,
    queue: String,
}
impl DeadLetters {
    pub(crate) fn new(app: App, queue: String) -> Self {
        DeadLetters { app, queue }
    }
}
