//! Where a stranger's program runs.
//!
//! A [`Sandbox`](docent_core::Sandbox) here is a boundary or it is not there: each backend tries
//! itself where it is made and is refused, with the reason, if it cannot keep its promises.
//!
//! | to | take |
//! |---|---|
//! | run CPython behind Linux's own walls | [`linux::LinuxSandbox`] |
//! | do so on any system, in WebAssembly | `wasm::WasmSandbox`, with the feature `wasm` |
//! | give programs pandas and matplotlib | [`setup`] |
//! | hold a sandbox of your own to the promises, and against programs that try to get out | [`conformance`], [`escape`] |
//!
//! On Linux a program is its own init: the sandbox begins it once more, and it says so first.
//!
//! ```no_run
//! # #[cfg(target_os = "linux")]
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     use docent_core::{Sandbox, SandboxLimits};
//!     use docent_sandbox::linux::{LinuxOptions, LinuxSandbox, serve_init};
//!     use std::ops::ControlFlow;
//!
//!     if std::env::args().nth(1).as_deref() == Some("__sandbox") {
//!         serve_init();
//!         return Ok(());
//!     }
//!     let options = LinuxOptions::new(std::env::current_exe()?, vec!["__sandbox".into()]);
//!     let mut session = LinuxSandbox::open(options)?.open(&SandboxLimits::default())?;
//!     session.run("x = 6", &mut |_| ControlFlow::Continue(()))?;
//!     let execution = session.run("x * 7", &mut |_| ControlFlow::Continue(()))?;
//!     assert_eq!(execution.value.as_deref(), Some("42"));
//!     Ok(())
//! }
//! # #[cfg(not(target_os = "linux"))]
//! # fn main() {}
//! ```

#![warn(missing_docs)]

pub mod conformance;
pub mod escape;

#[cfg(target_os = "linux")]
pub mod linux;

pub mod setup;

#[cfg(feature = "wasm")]
pub mod wasm;
