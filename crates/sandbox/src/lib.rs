//! Where a stranger's program runs.
//!
//! A [`Sandbox`](docent_core::Sandbox) here is a boundary or it is not there: each backend tries
//! itself where it is made and is refused, with the reason, if it cannot keep its promises.

#![warn(missing_docs)]

pub mod conformance;
pub mod escape;

#[cfg(target_os = "linux")]
pub mod linux;

pub mod setup;

#[cfg(feature = "wasm")]
pub mod wasm;
