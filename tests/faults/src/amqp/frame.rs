//! Frames: taking a stream apart, and making frames of our own.

/// What a client says first.
pub(crate) const PROTOCOL: [u8; 8] = *b"AMQP\x00\x00\x09\x01";

const HEAD: usize = 7;
const END: u8 = 0xCE;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Method {
        class: u16,
        method: u16,
    },
    /// What comes before the body of a message: how long the body is.
    ContentHeader {
        body: u64,
    },
    Body,
    Heartbeat,
    Unknown,
}

/// One frame, as it was on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    bytes: Vec<u8>,
}

impl Frame {
    pub(crate) fn method(channel: u16, class: u16, method: u16, arguments: &[u8]) -> Frame {
        let mut payload = Vec::with_capacity(4 + arguments.len());
        payload.extend(class.to_be_bytes());
        payload.extend(method.to_be_bytes());
        payload.extend(arguments);
        Frame::new(1, channel, &payload)
    }

    fn new(kind: u8, channel: u16, payload: &[u8]) -> Frame {
        let mut bytes = vec![kind];
        bytes.extend(channel.to_be_bytes());
        bytes.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(payload);
        bytes.push(END);
        Frame { bytes }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn channel(&self) -> u16 {
        u16::from_be_bytes([self.bytes[1], self.bytes[2]])
    }

    pub(crate) fn kind(&self) -> Kind {
        let payload = self.payload();
        let short = |at: usize| payload.get(at..at + 2).map(|two| u16::from_be_bytes([two[0], two[1]]));
        match self.bytes[0] {
            1 => match (short(0), short(2)) {
                (Some(class), Some(method)) => Kind::Method { class, method },
                _ => Kind::Unknown,
            },
            2 => match payload.get(4..12).and_then(|eight| eight.try_into().ok()) {
                Some(eight) => Kind::ContentHeader { body: u64::from_be_bytes(eight) },
                None => Kind::Unknown,
            },
            3 => Kind::Body,
            8 => Kind::Heartbeat,
            _ => Kind::Unknown,
        }
    }

    /// What follows a method's numbers.
    pub(crate) fn arguments(&self) -> Reader<'_> {
        Reader { left: self.payload().get(4..).unwrap_or_default() }
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[HEAD..self.bytes.len() - 1]
    }
}

/// Takes a stream of frames apart.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    taken: usize,
}

/// The stream is not one of frames.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoFrame;

impl Frames {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend(bytes);
    }

    /// The next whole frame.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, NoFrame> {
        let waiting = &self.bytes[self.taken..];
        // What a server says to a client of another version.
        if waiting.starts_with(b"AMQP") {
            return Err(NoFrame);
        }
        let Some(size) = waiting.get(3..HEAD).and_then(|four| four.try_into().ok()) else { return Ok(None) };
        let length = HEAD + u32::from_be_bytes(size) as usize + 1;
        match waiting.get(length - 1) {
            None => Ok(None),
            Some(&END) => {
                let bytes = waiting[..length].to_vec();
                self.taken += length;
                Ok(Some(Frame { bytes }))
            }
            Some(_) => Err(NoFrame),
        }
    }

    /// What a client says before its first frame, once it is there.
    pub(crate) fn protocol(&mut self) -> Result<Option<Vec<u8>>, NoFrame> {
        let waiting = &self.bytes[self.taken..];
        let known = waiting.len().min(4);
        if waiting[..known] != PROTOCOL[..known] {
            return Err(NoFrame);
        }
        let protocol = waiting.get(..PROTOCOL.len()).map(<[u8]>::to_vec);
        self.taken += protocol.as_ref().map_or(0, Vec::len);
        Ok(protocol)
    }

    /// Whatever is there, frame or not.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let rest = self.bytes.split_off(self.taken);
        self.bytes.clear();
        self.taken = 0;
        rest
    }
}

/// Reads the arguments of a method.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.left.split_at_checked(count)?;
        self.left = left;
        Some(taken)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|one| one[0])
    }

    pub(crate) fn long(&mut self) -> Option<u32> {
        self.take(4).map(|four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
    }

    pub(crate) fn long_long(&mut self) -> Option<u64> {
        self.take(8).and_then(|eight| eight.try_into().ok()).map(u64::from_be_bytes)
    }

    pub(crate) fn short_text(&mut self) -> Option<&'a [u8]> {
        let length = self.byte()?;
        self.take(length.into())
    }

    pub(crate) fn long_text(&mut self) -> Option<&'a [u8]> {
        let length = self.long()?;
        self.take(length as usize)
    }

    /// The text under `key` in a table that comes next. Only tables of texts, truths and tables are understood, which
    /// is what clients say of themselves; anything else ends the search.
    pub(crate) fn text_in_table(&mut self, key: &[u8]) -> Option<&'a [u8]> {
        let mut table = Reader { left: self.long_text()? };
        while let Some(name) = table.short_text() {
            match table.byte()? {
                b'S' if name == key => return table.long_text(),
                b'S' | b'F' => drop(table.long_text()?),
                b't' => drop(table.byte()?),
                b'I' => drop(table.long()?),
                _ => return None,
            }
        }
        None
    }
}

/// A text of at most 255 bytes, as AMQP writes it.
pub(crate) fn short_text(text: &[u8]) -> Vec<u8> {
    let text = &text[..text.len().min(255)];
    let mut bytes = vec![u8::try_from(text.len()).unwrap_or(u8::MAX)];
    bytes.extend(text);
    bytes
}

/// A longer text, as AMQP writes it.
pub(crate) fn long_text(text: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes().to_vec();
    bytes.extend(text);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_taken_apart_wherever_it_was_split() {
        let first = Frame::method(7, 60, 80, &[0, 0, 0, 0, 0, 0, 0, 9, 0]);
        let second = Frame::new(8, 0, &[]);
        let stream = [first.bytes(), second.bytes()].concat();
        let mut frames = Frames::default();
        let mut seen = Vec::new();
        for byte in stream {
            frames.push(&[byte]);
            seen.extend(frames.next().unwrap());
        }
        assert_eq!(seen, [first, second]);
        assert_eq!((seen[0].channel(), seen[0].kind()), (7, Kind::Method { class: 60, method: 80 }));
        assert_eq!(seen[1].kind(), Kind::Heartbeat);
    }

    #[test]
    fn what_is_no_frame_is_passed_on_as_it_is() {
        let mut frames = Frames::default();
        frames.push(&[1, 0, 0, 0, 0, 0, 1, b'x', b'y']);
        assert_eq!(frames.next(), Err(NoFrame));
        assert_eq!(frames.rest().len(), 9);
        // A server's answer to a client that speaks another version.
        frames.push(&PROTOCOL);
        assert_eq!(frames.next(), Err(NoFrame));
    }

    #[test]
    fn a_text_is_found_among_what_a_client_says_of_itself() {
        let inner = [short_text(b"consumer_cancel_notify"), vec![b't', 1]].concat();
        let table = [
            [short_text(b"product"), vec![b'S'], long_text(b"lapin")].concat(),
            [short_text(b"capabilities"), vec![b'F'], long_text(&inner)].concat(),
            [short_text(b"connection_name"), vec![b'S'], long_text(b"taskq/app/host/1/pub")].concat(),
        ]
        .concat();
        let frame = Frame::method(0, 10, 11, &long_text(&table));
        assert_eq!(frame.arguments().text_in_table(b"connection_name"), Some(b"taskq/app/host/1/pub".as_slice()));
        assert_eq!(frame.arguments().text_in_table(b"nothing"), None);
    }
}
