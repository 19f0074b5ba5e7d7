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
        // Each part has its place, whatever later versions add behind them.
        let (head, more) = text.as_bytes().split_first_chunk::<55>()?;
        let [version] = read_hex(&head[..2])?;
        let is_formed = [2, 35, 52].iter().all(|&at| head[at] == b'-') && matches!(more.first(), None | Some(b'-'));
        if !is_formed || version == 0xff || version == 0 && !more.is_empty() {
            return None;
        }
        let (trace, span, [flags]) = (read_hex(&head[3..35])?, read_hex(&head[36..52])?, read_hex(&head[53..])?);
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
fn read_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let mut seen = 0;
    for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let (high, low) = (VALUES[usize::from(digits[0])], VALUES[usize::from(digits[1])]);
        *byte = high << 4 | low;
        seen |= high | low;
    }
    (text.len() == 2 * N && seen != NO_DIGIT).then_some(bytes)
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Stays what it is, whatever digits are added to it.
const NO_DIGIT: u8 = 0xff;

/// What each letter is worth: every message that is read has 52 of them.
static VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut digit = 0;
    while digit < DIGITS.len() {
        values[DIGITS[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
};

fn write_hex(text: &mut [u8], bytes: &[u8]) {
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
