//! The processes of an attempt, as the host sees them: which there are, what memory they have, and
//! which are left.
//!
//! Whoever loses its parent becomes this process's child, as long as there is a watch, so that
//! nobody leaves its sight by leaving its parent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Watches all that descends from this process.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Those that were there before.
    before: BTreeSet<Process>,
    seen: BTreeSet<Process>,
    over_since: Option<Instant>,
    longest_over: Duration,
}

/// A process: its number and when it began, since numbers are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Process {
    number: u32,
    start: u64,
}

impl Watch {
    /// Forgets what it saw; what is there now is no attempt's.
    pub(super) fn begin(&mut self) {
        adopt_orphans(true);
        self.before = descendants(&table());
        self.seen.clear();
        self.over_since = None;
        self.longest_over = Duration::ZERO;
    }

    /// Looks who is there.
    pub(super) fn look(&mut self) {
        self.seen.extend(descendants(&table()).difference(&self.before));
    }

    /// Looks whether together they have more memory than `most`.
    pub(super) fn weigh(&mut self, most: u64) {
        if self.seen.iter().map(|process| memory(process.number)).sum::<u64>() <= most {
            self.over_since = None;
            return;
        }
        let since = *self.over_since.get_or_insert_with(Instant::now);
        self.longest_over = self.longest_over.max(since.elapsed());
    }

    /// How long they had more memory than they may.
    pub(super) fn longest_over(&self) -> Duration {
        self.longest_over
    }

    /// Ends those that are left, so that they are in nobody's way.
    pub(super) fn end_all(&mut self) {
        self.seen.iter().copied().for_each(end);
        self.left(Duration::from_secs(1));
    }

    /// Those that are left, a moment after they should be gone.
    pub(super) fn left(&mut self, moment: Duration) -> Vec<String> {
        let end = Instant::now() + moment;
        loop {
            // Those whose parents ended have come to this process meanwhile.
            self.look();
            bury(&self.seen);
            let living = table();
            let left = self.seen.iter().filter(|process| living.contains_key(process));
            let left: Vec<String> = left.map(|process| name(process.number)).collect();
            if left.is_empty() || Instant::now() > end {
                return left;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        adopt_orphans(false);
    }
}

#[cfg(target_os = "linux")]
fn adopt_orphans(adopt: bool) {
    let adopter = adopt.then(rustix::process::getpid);
    // Where it is refused, those that leave their parent are seen only if they are looked at in
    // time.
    let _ = rustix::process::set_child_subreaper(adopter);
}

#[cfg(not(target_os = "linux"))]
fn adopt_orphans(_adopt: bool) {}

/// Takes note of the end of those that became this process's children. Sessions are over by now,
/// so nobody else waits for them.
#[cfg(target_os = "linux")]
fn bury(seen: &BTreeSet<Process>) {
    for process in seen {
        let pid = i32::try_from(process.number).ok().and_then(rustix::process::Pid::from_raw);
        if row(process.number)
            .is_some_and(|(now, parent)| now == *process && parent == std::process::id())
        {
            let _ = rustix::process::waitpid(pid, rustix::process::WaitOptions::NOHANG);
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn bury(_seen: &BTreeSet<Process>) {}

/// Ends a process, if it is still the one that was seen.
#[cfg(target_os = "linux")]
fn end(process: Process) {
    let pid = i32::try_from(process.number).ok().and_then(rustix::process::Pid::from_raw);
    if let (Some(pid), true) = (pid, row(process.number).is_some_and(|(now, _)| now == process)) {
        // It may have gone by itself meanwhile.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

#[cfg(not(target_os = "linux"))]
fn end(_process: Process) {}

/// All processes and the numbers of their parents.
fn table() -> BTreeMap<Process, u32> {
    let entries = fs_err::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(row).collect()
}

fn row(number: u32) -> Option<(Process, u32)> {
    let stat = fs_err::read_to_string(format!("/proc/{number}/stat")).ok()?;
    // The name before it may have parentheses and spaces.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let start = fields.get(19)?.parse().ok()?;
    Some((Process { number, start }, fields.get(1)?.parse().ok()?))
}

fn descendants(table: &BTreeMap<Process, u32>) -> BTreeSet<Process> {
    let mut found = BTreeSet::new();
    let mut parents = BTreeSet::from([std::process::id()]);
    loop {
        let more = table.iter().filter(|(process, parent)| {
            parents.contains(parent) && !parents.contains(&process.number)
        });
        let more: Vec<Process> = more.map(|(process, _)| *process).collect();
        if more.is_empty() {
            return found;
        }
        parents.extend(more.iter().map(|process| process.number));
        found.extend(more);
    }
}

/// The memory of a process; what it shares with others is divided among them.
fn memory(number: u32) -> u64 {
    let rollup = fs_err::read_to_string(format!("/proc/{number}/smaps_rollup")).unwrap_or_default();
    let own = rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB"));
    own.and_then(|kib| kib.trim().parse::<u64>().ok()).unwrap_or(0) << 10
}

fn name(number: u32) -> String {
    let words = fs_err::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&words).replace('\0', " ");
    format!("process {number} {}", words.chars().take(60).collect::<String>())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::super::Host;
    use super::*;

    #[test]
    fn a_process_that_left_its_parent_is_known() {
        // It keeps others from beginning processes meanwhile.
        let mut host = Host::new().unwrap();
        let watch = &mut host.watch;
        // The shell ends soon, and its child with nobody to wait for it.
        let mut shell = Command::new("sh").args(["-c", "sleep 30 & sleep 0.5"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(200));
        watch.look();
        shell.wait().unwrap();
        let left = watch.left(Duration::from_millis(100)).join(" ");
        assert!(left.contains("sleep 30"), "{left}");
        watch.end_all();
        assert_eq!(watch.left(Duration::from_secs(5)), Vec::<String>::new());
    }
}
