//! Finds the word that was meant.

/// The end of an error message about `word`: what was meant, or all that there is.
pub(crate) fn hint(word: &str, known: &[&str]) -> String {
    let nearest = known.iter().map(|known| (distance(word, known), known)).min();
    match nearest {
        Some((distance, known)) if distance <= 1 + word.len() / 3 => format!("did you mean `{known}`?"),
        _ if known.len() == 1 => format!("there is only `{}`", known.concat()),
        _ => format!("there are: {}", known.join(", ")),
    }
}

/// The number of letters to add, remove or replace.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(&b) {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = *cell;
            left = replaced.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_single_letters() {
        for (a, b, expected) in
            [("", "abc", 3), ("retry", "retry", 0), ("retries", "retry", 3), ("tmeout", "timeout", 1)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_gets_the_list() {
        assert_eq!(hint("retries", &["timeout", "retry"]), "did you mean `retry`?");
        assert_eq!(hint("colour", &["timeout", "retry"]), "there are: timeout, retry");
    }
}
