//! Durations as values or as text.

use std::time::Duration;

/// A length of time: a [`Duration`], or text such as `"5s"`, `"300ms"`, `"1h 30m"`.
///
/// ```
/// use taskq::IntoSpan;
/// assert_eq!("5m".into_span().unwrap(), std::time::Duration::from_secs(300));
/// assert!("5 apples".into_span().unwrap_err().contains("not a duration"));
/// ```
pub trait IntoSpan {
    /// The length of time.
    ///
    /// ```
    /// use std::time::Duration;
    /// use taskq::IntoSpan;
    /// assert_eq!("1h 30m".into_span(), Ok(Duration::from_secs(5_400)));
    /// assert_eq!(Duration::from_millis(300).into_span(), Ok(Duration::from_millis(300)));
    /// ```
    ///
    /// # Errors
    /// The text is not a duration; the error says how to write one.
    fn into_span(self) -> Result<Duration, String>;
}

impl IntoSpan for Duration {
    fn into_span(self) -> Result<Duration, String> {
        Ok(self)
    }
}

impl IntoSpan for &str {
    fn into_span(self) -> Result<Duration, String> {
        humantime::parse_duration(self)
            .map_err(|_| format!("`{self}` is not a duration; write for example \"5s\" or \"1h 30m\""))
    }
}

impl IntoSpan for String {
    fn into_span(self) -> Result<Duration, String> {
        self.as_str().into_span()
    }
}
