//! What compiles, and what the compiler says to what does not.
//!
//! The messages are goldens: after a change on purpose, `TRYBUILD=overwrite cargo test -p taskq-macros --test ui` writes
//! them anew.

#[test]
fn everything_that_is_allowed_compiles() {
    trybuild::TestCases::new().pass("tests/ui/pass/*.rs");
}

#[test]
fn every_misuse_has_a_message_of_its_own() {
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}
