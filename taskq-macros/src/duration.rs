//! Durations as text.

use proc_macro2::TokenStream;
use quote::quote;
use std::time::Duration;

/// The duration that the text says.
///
/// # Errors
/// It says none; the error shows how to write one.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| format!("`{text}` is not a duration; write for example \"300ms\", \"5s\" or \"1h 30m\""))
}

/// The code of a duration.
pub(crate) fn tokens(duration: Duration) -> TokenStream {
    let (seconds, nanoseconds) = (duration.as_secs(), duration.subsec_nanos());
    quote!(::core::time::Duration::new(#seconds, #nanoseconds))
}
