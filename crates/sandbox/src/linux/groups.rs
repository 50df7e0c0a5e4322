//! Control groups, where this process may make them: the kernel's own bound on memory and
//! processes. Elsewhere the warden's eye and the limits of each process must do.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use docent_core::SandboxLimits;
use rustix::fs::Access;

/// What the warden and the builder need beside the program.
const SPARE_BYTES: u64 = 32 << 20;

/// Where groups can be made.
#[derive(Debug)]
pub(super) struct Groups {
    /// The group of this process in each hierarchy that is used.
    parents: Vec<(PathBuf, Version)>,
    leavings: Arc<Leavings>,
}

/// Groups of sessions that are gone which the kernel had not let go of in time: a busy machine
/// takes its time to bury the last process.
#[derive(Debug, Default)]
struct Leavings(Mutex<Vec<PathBuf>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// One hierarchy a controller: this one has memory.
    One,
    /// One hierarchy for all.
    Two,
}

impl Groups {
    /// Those of this machine; none where they cannot be made.
    pub(super) fn find() -> Self {
        let own = fs_err::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let parents = own.lines().filter_map(parent).collect();
        let found = Self { parents, leavings: Arc::default() };
        found.sweep();
        found
    }

    /// Whether this user may make any.
    pub(super) fn can_be_made(&self) -> bool {
        let is_ours = |folder: &PathBuf| rustix::fs::access(folder, Access::WRITE_OK).is_ok();
        self.parents.iter().any(|(folder, _)| is_ours(folder))
    }

    /// Removes the groups that a killed process left.
    fn sweep(&self) {
        for (parent, _) in &self.parents {
            for entry in fs_err::read_dir(parent).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let owner =
                    name.to_str().and_then(|it| it.strip_prefix("docent-")?.split('-').next());
                if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
                    // It may be another user's, or in use by what it has killed.
                    let _ = fs_err::remove_dir(entry.path());
                }
            }
        }
    }

    /// Makes a group for one session in each hierarchy where that can be done.
    pub(super) fn make(&self, limits: &SandboxLimits, wanted: bool) -> Group {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("docent-{}-{number}", std::process::id());
        let mut folders = Vec::new();
        for (parent, version) in self.parents.iter().filter(|_| wanted) {
            let folder = parent.join(&name);
            match fs_err::create_dir(&folder).and_then(|()| set(&folder, *version, limits)) {
                Ok(()) => folders.push(folder),
                Err(error) => {
                    tracing::debug!(%error, "no control group");
                    let _ = fs_err::remove_dir(&folder);
                }
            }
        }
        self.leavings.clear(Duration::ZERO);
        Group { folders, leavings: self.leavings.clone() }
    }
}

impl Leavings {
    fn add(&self, folders: Vec<PathBuf>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(folders);
    }

    /// Removes what can be removed, and tries the rest again for as long as `patience` lasts.
    fn clear(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut left = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        loop {
            left.retain(|folder| match fs_err::remove_dir(folder) {
                Err(error) => error.kind() != io::ErrorKind::NotFound,
                Ok(()) => false,
            });
            if left.is_empty() || Instant::now() >= until {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.add(left);
    }
}

impl Drop for Leavings {
    fn drop(&mut self) {
        self.clear(Duration::from_secs(2));
        for folder in self.0.get_mut().unwrap_or_else(PoisonError::into_inner) {
            tracing::warn!(folder = %folder.display(), "a control group is left to the next start");
        }
    }
}

/// The group that a line of `/proc/self/cgroup` names, if it is of use.
fn parent(line: &str) -> Option<(PathBuf, Version)> {
    let mut fields = line.splitn(3, ':');
    let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let path = path.trim_start_matches('/');
    let root = Path::new("/sys/fs/cgroup");
    let (folder, version) = match controllers {
        "" => (root.join(path), Version::Two),
        "memory" => (root.join("memory").join(path), Version::One),
        _ => return None,
    };
    // Anybody can make a folder with such a file in it, but not one that the kernel minds.
    let magic = match version {
        Version::One => libc::CGROUP_SUPER_MAGIC,
        Version::Two => libc::CGROUP2_SUPER_MAGIC,
    };
    let found = rustix::fs::statfs(&folder).ok()?;
    (found.f_type == magic).then_some((folder, version))
}

fn set(folder: &Path, version: Version, limits: &SandboxLimits) -> io::Result<()> {
    // Files lie in memory and count.
    let files = limits.data_bytes + limits.data_bytes / 2;
    let memory = (limits.memory_bytes + files + SPARE_BYTES).to_string();
    match version {
        Version::One => fs_err::write(folder.join("memory.limit_in_bytes"), &memory),
        Version::Two => {
            fs_err::write(folder.join("memory.max"), &memory)?;
            fs_err::write(folder.join("pids.max"), (limits.processes + 2).to_string())
        }
    }
}

/// The groups of one session.
#[derive(Debug)]
pub(super) struct Group {
    folders: Vec<PathBuf>,
    leavings: Arc<Leavings>,
}

impl Group {
    /// The files that take a process into them.
    pub(super) fn doors(&self) -> Vec<PathBuf> {
        self.folders.iter().map(|folder| folder.join("cgroup.procs")).collect()
    }

    /// Whether the kernel ended a process of it for want of memory.
    pub(super) fn ran_out(&self) -> bool {
        let files = ["memory.events", "memory.oom_control"];
        let texts = self.folders.iter().flat_map(|folder| files.map(|file| folder.join(file)));
        texts.filter_map(|file| fs_err::read_to_string(file).ok()).any(|text| {
            let counts = text.lines().filter_map(|line| line.strip_prefix("oom_kill "));
            counts.into_iter().any(|count| count.trim() != "0")
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.leavings.add(std::mem::take(&mut self.folders));
        self.leavings.clear(Duration::from_millis(20));
    }
}
