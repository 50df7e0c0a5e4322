//! The real `docent serve`: killed, crowded, and fed more than it should be.
//!
//! The model is a small endpoint in this process; all else is as users have it.
#![cfg(target_os = "linux")]

mod client;
mod ledger;
mod process;
mod story;
mod verify;

mod cycles;
mod load;
mod overhead;
mod points;
mod uploads;
#[path = "../shared/upstream.rs"]
mod upstream;
