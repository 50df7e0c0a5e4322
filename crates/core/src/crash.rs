//! Named points at which a test cuts the power.

/// Ends the process at once, without unwinding, when the environment variable `DOCENT_CRASH_AT`
/// names this point (`name`, or `name:3` for the third time it is passed).
///
/// Crash tests run in debug builds; a release build has no such points.
pub fn crash_point(name: &str) {
    #[cfg(debug_assertions)]
    armed::pass(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static TARGET: OnceLock<Option<(String, u32)>> = OnceLock::new();
    static PASSED: AtomicU32 = AtomicU32::new(0);

    pub(super) fn pass(name: &str) {
        let Some((target, times)) = TARGET.get_or_init(read_target) else { return };
        if name == target && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *times {
            std::process::abort();
        }
    }

    fn read_target() -> Option<(String, u32)> {
        let text = std::env::var("DOCENT_CRASH_AT").ok()?;
        match text.split_once(':') {
            Some((name, times)) => Some((name.to_owned(), times.parse().ok()?)),
            None => Some((text, 1)),
        }
    }
}
