//! All that an argument may be.
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};
use taskq_core::{Task, prelude::*};
use taskq_macros::task;

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct User {
    name: String,
}

pub mod status {
    /// An argument of this name is the sender's, for it has no type parameter.
    #[derive(serde::Serialize, serde::Deserialize)]
    pub enum State {
        On,
    }

    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct Generic<T>(pub T);
}

#[task(crate = taskq_core)]
pub async fn borrowed(name: &str, tags: &[String], path: &Path, user: &User, list: &Vec<u8>, bytes: &[u8]) -> usize {
    tokio::task::yield_now().await;
    name.len() + tags.len() + path.as_os_str().len() + user.name.len() + list.len() + bytes.len()
}

#[task(crate = taskq_core)]
pub fn borrowed_plain(name: &str, tags: &[String]) -> usize {
    name.len() + tags.len()
}

#[task(crate = taskq_core)]
pub async fn owned(map: HashMap<String, Vec<Option<u8>>>, path: PathBuf, shared: Arc<str>, pair: (i64, [u8; 4]), unit: ()) {
    drop((map, path, shared, pair, unit));
}

#[task(crate = taskq_core)]
pub async fn changed(mut text: String, mut n: u8) -> String {
    n += 1;
    text.push_str(&n.to_string());
    text
}

#[task(crate = taskq_core)]
pub fn changed_plain(mut n: u8) -> u8 {
    n += 1;
    n
}

#[task(crate = taskq_core)]
pub async fn state(state: status::State, #[arg] generic: status::Generic<u8>) {
    drop((state, generic));
}

#[task(crate = taskq_core)]
pub async fn optional(a: u8, #[arg(default)] b: Option<String>, #[arg(default = 40 + 2)] c: u64, #[arg(default = "eu")] region: &str) -> u64 {
    drop(b);
    c + u64::from(a) + region.len() as u64
}

#[task(crate = taskq_core)]
#[allow(clippy::too_many_arguments)]
pub async fn sixteen(
    a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8, m: u8, n: u8, o: u8, p: u8,
) -> u8 {
    a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + p
}

/// Parameters that are called as the macro's own variables are, or as the function is.
#[task(crate = taskq_core)]
pub async fn context(context: u8, arguments: u8, argument0: u8, state: u8, __tq: u8, injected0: State<u8>) -> u8 {
    context + arguments + argument0 + state + __tq + *injected0
}

#[task(crate = taskq_core)]
pub fn same(same: u8, parameter1: u8) -> u8 {
    same + parameter1
}

fn decoded<T: Task>(_: impl Fn() -> Call<T>, json: &str) -> String {
    serde_json::to_string(&serde_json::from_str::<T::Args>(json).unwrap()).unwrap()
}

fn main() {
    let (name, tags, path) = (String::from("x"), vec![String::from("t")], PathBuf::from("/p"));
    let user = User { name: name.clone() };
    drop(borrowed.kiq(&name, &tags, &path, &user, &vec![1], &[1, 2]));
    drop((borrowed_plain.kiq(&name, &tags), changed.kiq("x".into(), 1), changed_plain.kiq(1)));
    drop(owned.kiq(HashMap::new(), path, "x".into(), (1, [0; 4]), ()));
    drop(state.kiq(status::State::On, status::Generic(1)));
    drop(sixteen.kiq(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16));
    drop((context.kiq(1, 2, 3, 4, 5), same.kiq(1, 2)));
    assert_eq!(same::inner(1, 2), 3);
    let all = || optional(1, None, 2, "us");
    assert_eq!(decoded(all, r#"{"a": 7}"#), r#"{"a":7,"b":null,"c":42,"region":"eu"}"#);
    assert_eq!(decoded(all, r#"{"c": 1, "new": [], "a": 7}"#), r#"{"a":7,"b":null,"c":1,"region":"eu"}"#);
}
