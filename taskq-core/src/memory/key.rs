//! What values are found by.

use crate::id::TaskId;
use uuid::Uuid;

/// A task's id, as quick to find as a number where taskq made it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Key {
    Made(u128),
    Chosen(TaskId),
}

impl Key {
    pub(super) fn of(id: &TaskId) -> Key {
        let text = id.as_str().as_bytes();
        // The same number in other letters, or with hyphens, is another id.
        let is_as_made = text.len() == 32 && !text.iter().any(u8::is_ascii_uppercase);
        let made = is_as_made.then(|| Uuid::try_parse_ascii(text).ok()).flatten();
        made.map_or_else(|| Key::Chosen(id.clone()), |made| Key::Made(made.as_u128()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_where_their_texts_are() {
        let made = TaskId::new();
        let others = [
            made.as_str().to_uppercase(),
            format!("{}-{}", &made.as_str()[..8], &made.as_str()[8..]),
            "order-17".into(),
        ];
        assert_eq!(Key::of(&made), Key::of(&TaskId::from(made.as_str())));
        for other in others {
            let other = TaskId::from(other);
            assert_ne!(Key::of(&made), Key::of(&other), "{other}");
            assert_eq!(Key::of(&other), Key::of(&other.clone()));
        }
    }
}
