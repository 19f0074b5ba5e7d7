//! W3C trace context: which trace a task belongs to, carried from its producer.

use std::fmt;

/// A `traceparent`: <https://www.w3.org/TR/trace-context/>.
///
/// ```
/// use taskq::TraceContext;
/// let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let parent = TraceContext::parse(text).unwrap();
/// assert_eq!(parent.to_string(), text);
/// assert_eq!(parent.child().trace_id(), parent.trace_id());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    // Bytes: every message has one, and this takes less room in it than numbers or a text do.
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

impl TraceContext {
    /// The root of a new trace, which is sampled.
    ///
    /// ```
    /// use taskq::TraceContext;
    /// let (ours, theirs) = (TraceContext::fresh(), TraceContext::fresh());
    /// assert_ne!(ours.trace_id(), theirs.trace_id());
    /// assert!(ours.to_string().ends_with("-01")); // sampled
    /// ```
    pub fn fresh() -> Self {
        TraceContext { trace: fastrand::u128(1..).to_be_bytes(), span: new_span(), flags: 1 }
    }

    /// A new span of the same trace, sampled if this one is.
    ///
    /// ```
    /// use taskq::TraceContext;
    /// let parent = TraceContext::fresh();
    /// let child = parent.child();
    /// assert_eq!(child.trace_id(), parent.trace_id());
    /// assert_ne!(child, parent);
    /// ```
    pub fn child(self) -> Self {
        TraceContext { span: new_span(), ..self }
    }

    /// The context that this header holds, if it is a valid one.
    ///
    /// ```
    /// use taskq::TraceContext;
    /// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    /// assert!(TraceContext::parse(header).is_some());
    /// assert!(TraceContext::parse(&header.to_uppercase()).is_none());
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let [version] = read_hex(version)?;
        if version == 0xff || version == 0 && parts.next().is_some() {
            return None;
        }
        let (trace, span, [flags]) = (read_hex(trace)?, read_hex(span)?, read_hex(flags)?);
        (trace != [0; 16] && span != [0; 8]).then_some(TraceContext { trace, span, flags })
    }

    /// The trace's id as 32 hexadecimal digits.
    ///
    /// ```
    /// use taskq::TraceContext;
    /// let context = TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
    /// assert_eq!(context.trace_id(), "0af7651916cd43dd8448eb211c80319c"); // as a log line has it
    /// ```
    pub fn trace_id(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.trace))
    }
}

fn new_span() -> [u8; 8] {
    fastrand::u64(1..).to_be_bytes()
}

/// Exactly so many bytes, in small letters.
fn read_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(digits[0])? << 4 | digit(digits[1])?;
    }
    Some(bytes)
}

fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    }
}

fn write_hex(text: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (digits, byte) in text.chunks_exact_mut(2).zip(bytes) {
        digits.copy_from_slice(&[byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]));
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut text[3..35], &self.trace);
        write_hex(&mut text[36..52], &self.span);
        write_hex(&mut text[53..], &[self.flags]);
        f.write_str(str::from_utf8(&text).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_headers_are_refused() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(TraceContext::parse(good).is_some());
        assert!(TraceContext::parse(&good.replace("00-0", "01-0").replace("-01", "-01-more")).is_some());
        for bad in ["", "00", &good.to_uppercase(), &good.replace("00-", "ff-"), &good[1..], &format!("{good}-x")] {
            assert!(TraceContext::parse(bad).is_none(), "{bad}");
        }
        assert!(TraceContext::parse("00-00000000000000000000000000000000-b7ad6b7169203331-01").is_none());
    }
}
