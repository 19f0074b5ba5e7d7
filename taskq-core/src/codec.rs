//! Values to bytes and back. Arguments are maps by name, so that fields can be added and moved.

use crate::{error::BoxError, message::ContentType};
use bytes::Bytes;
use rmp_serde::decode::Error;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::cell::Cell;

/// The value as bytes.
pub(crate) fn encode(content_type: ContentType, value: &impl Serialize) -> Result<Bytes, BoxError> {
    let mut bytes = SCRATCH.try_with(Cell::take).unwrap_or_default();
    bytes.clear();
    match content_type {
        ContentType::MessagePack => {
            value.serialize(&mut rmp_serde::Serializer::new(&mut bytes).with_struct_map())?;
        }
        ContentType::Json => serde_json::to_writer(&mut bytes, value)?,
    }
    if bytes.len() > SMALL {
        return Ok(bytes.into());
    }
    let exact = Bytes::copy_from_slice(&bytes);
    let _ = SCRATCH.try_with(|scratch| scratch.set(bytes));
    Ok(exact)
}

/// A value of so many bytes at most is copied, which costs less than room that grows with it.
const SMALL: usize = 4096;

thread_local! {
    /// Where small values are written. A value that encodes another one meanwhile finds none here.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The value that all of these bytes hold.
pub(crate) fn decode<T: DeserializeOwned>(content_type: ContentType, bytes: &[u8]) -> Result<T, BoxError> {
    match content_type {
        ContentType::MessagePack => {
            let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
            let value = T::deserialize(&mut reader)?;
            // Looks at one byte, whatever follows it: at the end there is none.
            match bool::deserialize(&mut reader) {
                Err(Error::InvalidMarkerRead(_)) => Ok(value),
                _ => Err("more bytes follow the end of the value".into()),
            }
        }
        ContentType::Json => Ok(serde_json::from_slice(bytes)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Serialize, Deserialize, Debug, PartialEq, Default)]
    struct New {
        b: String,
        #[serde(default)]
        c: u8,
        a: i64,
    }
    #[derive(Serialize)]
    struct Old {
        a: i64,
        b: String,
        gone: bool,
    }

    #[test]
    fn fields_may_move_come_and_go() {
        for content_type in [ContentType::MessagePack, ContentType::Json] {
            let bytes = encode(content_type, &Old { a: 1, b: "x".into(), gone: true }).unwrap();
            assert_eq!(decode::<New>(content_type, &bytes).unwrap(), New { a: 1, b: "x".into(), c: 0 });
        }
    }

    #[test]
    fn bytes_after_the_value_are_refused() {
        let values = [ContentType::MessagePack, ContentType::Json].map(|of| (of, encode(of, &"seven").unwrap()));
        let refused =
            |more: &[u8]| values.iter().all(|(of, value)| decode::<String>(*of, &[&**value, more].concat()).is_err());
        assert!((0..=255).filter(|byte| !b" \t\r\n".contains(byte)).all(|byte| refused(&[byte])));
        for more in [&[0x92, 1][..], &[0x82, 1, 2], &[0xdc, 0, 5], &[0xdd, 0, 0, 0, 1], &[0xd9, 9], &[0xcd, 1]] {
            assert!(refused(more), "{more:x?}");
        }
    }
}
