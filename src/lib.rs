#![doc = include_str!("../README.md")]

pub use taskq_core::*;
