//! A worker process: the library's own command line around our app.

use crate::{cast, journal, journal::Journal};
use std::io;
use taskq::prelude::*;

/// What has to be in place before the worker's own main function begins.
///
/// # Errors
/// The kernel refuses.
pub fn prepare() -> io::Result<()> {
    cast::end_with_parent()?;
    // An abort is planned here, and its core would only fill the disk.
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(rustix::process::Resource::Core, none)?;
    journal::install();
    Ok(())
}

/// The app of this process.
///
/// # Errors
/// The environment does not say where the servers are.
pub fn app() -> io::Result<App> {
    Ok(cast::app_of_process()?.with_observer(Journal))
}
