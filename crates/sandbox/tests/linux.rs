//! The Linux sandbox as root and as an ordinary user: its promises, and that nothing is left of it.
//!
//! This test has a `main` of its own because it is also the program the sandbox begins, the host
//! that is killed, and itself as another user.

#[cfg(target_os = "linux")]
#[path = "linux/escapes.rs"]
mod escapes;
#[cfg(target_os = "linux")]
#[path = "linux/left.rs"]
mod left;
#[cfg(target_os = "linux")]
#[path = "linux/suite.rs"]
mod suite;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    suite::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
