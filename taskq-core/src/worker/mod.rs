//! stub
use crate::app::App;
/// stub
#[derive(Debug)]
pub struct Worker {
    app: App,
}
impl Worker {
    pub(crate) fn new(app: App) -> Self {
        Worker { app }
    }
}
/// stub
#[derive(Default)]
pub(crate) struct Embedded;
impl Embedded {
    pub(crate) fn stop(&self) {}
}
impl App {
    pub(crate) fn run_embedded(&self) {}
}
