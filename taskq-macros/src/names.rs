//! What a task and a queue may be called: the rules of taskq-core, checked when the program is compiled.

/// Longest task name, in bytes.
const MAX_TASK_NAME: usize = 255;
/// Longest queue name, in bytes.
const MAX_QUEUE_NAME: usize = 199;

/// Whether a task may have this name.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_task_name(name: &str) -> Result<(), String> {
    match name.len() {
        1..=MAX_TASK_NAME if !name.contains(char::is_control) => Ok(()),
        1..=MAX_TASK_NAME => Err(format!("the task's name {name:?} contains a control character")),
        size => Err(format!("the task's name has {size} bytes; 1 to {MAX_TASK_NAME} are allowed")),
    }
}

/// Whether a queue may have this name.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_queue_name(name: &str) -> Result<(), String> {
    let wrong = |reason: String| Err(format!("the queue's name {reason}"));
    if name.is_empty() || name.len() > MAX_QUEUE_NAME {
        return wrong(format!("has {} bytes; 1 to {MAX_QUEUE_NAME} are allowed", name.len()));
    }
    if let Some(c) = name.chars().find(|c| c.is_control() || matches!(c, '*' | '#')) {
        return wrong(format!("contains {c:?}; control characters, `*` and `#` are not allowed"));
    }
    if name.split('.').any(str::is_empty) {
        return wrong("has an empty word before, between or after its dots".into());
    }
    if name.starts_with("taskq.v") || name.starts_with("amq.") {
        return wrong("starts with `taskq.v` or `amq.`, which are reserved".into());
    }
    if name.ends_with(".dead") {
        return wrong("ends with `.dead`, which is kept for dead letters".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskq_core::{QueueSpec, defaults};

    #[test]
    fn queue_names_are_judged_as_core_judges_them() {
        let lengths = [198, 199, 200].map(|length| "x".repeat(length));
        let names = [
            "",
            ".a",
            "a.",
            "a..b",
            "a*",
            "a.#",
            "taskq.v1.x",
            "amq.gen",
            "mail.dead",
            "a\nb",
            "taskq",
            "a.b",
            "ünïcode",
            "with space",
            "dead",
            "amq",
            "taskq.x",
        ];
        for name in names.into_iter().chain(lengths.iter().map(String::as_str)) {
            let core = QueueSpec::new(name).check().map_err(|reason| format!("the queue's name {reason}"));
            assert_eq!(check_queue_name(name), core, "{name:?}");
        }
    }

    #[test]
    fn task_names_have_the_length_that_core_allows() {
        assert_eq!(MAX_TASK_NAME, defaults::MAX_TASK_NAME);
        assert_eq!(check_task_name(&"x".repeat(255)), Ok(()));
        for bad in ["", "a\tb", "x".repeat(256).as_str()] {
            assert!(check_task_name(bad).is_err(), "{bad:?}");
        }
    }
}
