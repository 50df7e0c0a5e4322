//! The host's side: what a program would like to reach, and how it is seen that it did.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use docent_core::{Error, Result, SandboxLimits};
use serde_json::{Value, json};

use super::processes::Watch;

/// Files of the system whose content a program would know if it read it.
const SYSTEM_FILES: &[&str] =
    &["/etc/passwd", "/etc/shadow", "/etc/hostname", "/etc/machine-id", "/etc/sudoers"];

/// Folders of the system whose names a program would know if it listed them. What is in `/etc`,
/// `/usr` and the like is every system's.
const SYSTEM_FOLDERS: &[&str] = &["/root", "/home", "/var/log", "/run", "/sys"];

/// Variables that a program may have as the host has them.
const COMMON_VARIABLES: &[&str] =
    &["PATH", "HOME", "LANG", "TZ", "TERM", "SHELL", "USER", "LOGNAME", "PWD", "TMPDIR", "SHLVL"];

/// What stands outside to be reached: a file, listeners, a process, an open descriptor, the
/// environment. It ends with its value.
///
/// The environment is the process's own: a test that wants to be sure gives itself a variable
/// before it begins.
#[derive(Debug)]
pub struct Host {
    folder: PathBuf,
    secret: String,
    tcp: TcpListener,
    tcp6: Option<TcpListener>,
    udp: UdpSocket,
    #[cfg(unix)]
    unix: std::os::unix::net::UnixListener,
    #[cfg(target_os = "linux")]
    by_name: std::os::unix::net::UnixListener,
    /// Open, and told to stay so in the programs that the host starts.
    _open: fs_err::File,
    victim: Option<Victim>,
    /// Under which shared memory would be seen; another for each attempt.
    ipc_key: u32,
    before: Traces,
    pub(super) watch: Watch,
    /// Released last: two hosts would take each other's processes for an attempt's.
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

#[derive(Debug)]
struct Victim {
    child: Child,
    word: String,
}

/// What an attempt could leave behind.
#[derive(Debug, Default, PartialEq, Eq)]
struct Traces {
    mounts: BTreeSet<String>,
    shared: BTreeSet<String>,
    hostname: String,
    folder: BTreeSet<String>,
}

impl Host {
    /// Sets it up: a folder with a file in it, open to everybody, and listeners on loopback. It
    /// waits until there is no other in this process.
    ///
    /// # Errors
    /// If the machine has no place for it.
    pub fn new() -> Result<Self> {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let secret = format!("docent-escape-{:016x}", random()?);
        let folder = place().join(&secret[..24]);
        fs_err::create_dir(&folder)?;
        fs_err::write(folder.join("canary"), &secret)?;
        let open = fs_err::File::open(folder.join("canary"))?;
        open_to_everybody(&folder, &open)?;
        let mut host = Self {
            tcp: listening(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?)?,
            tcp6: TcpListener::bind("[::1]:0").and_then(listening).ok(),
            udp: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?,
            #[cfg(unix)]
            unix: door(&folder)?,
            #[cfg(target_os = "linux")]
            by_name: door_by_name(&secret)?,
            _open: open,
            victim: None,
            ipc_key: 0,
            before: Traces::default(),
            watch: Watch::default(),
            _alone: alone,
            folder,
            secret,
        };
        host.udp.set_nonblocking(true)?;
        host.renew()?;
        Ok(host)
    }

    /// Makes everything as it was before an attempt.
    pub(super) fn renew(&mut self) -> Result<()> {
        if self.victim.as_mut().is_none_or(|victim| victim.harm().is_some()) {
            self.victim = Victim::new()?;
        }
        fs_err::write(self.folder.join("canary"), &self.secret)?;
        self.visitors();
        self.ipc_key = (random()? & 0x7fff_ffff) as u32 | 1;
        self.before = self.traces();
        self.watch.begin();
        Ok(())
    }

    /// What the programs know of it, as `HOST` of the prelude.
    pub(super) fn described(&self, limits: &SandboxLimits) -> Value {
        let port = |listener: &TcpListener| listener.local_addr().map_or(0, |at| at.port());
        json!({
            "secret": self.secret,
            "folder": self.folder,
            "canary": self.folder.join("canary"),
            "contents": self.contents(),
            "folders": self.listings(),
            "tcp": port(&self.tcp),
            "tcp6": self.tcp6.as_ref().map(port),
            "udp": self.udp.local_addr().map_or(0, |at| at.port()),
            "unix": cfg!(unix).then(|| self.folder.join("door")),
            "abstract": cfg!(target_os = "linux").then_some(&self.secret),
            "addresses": addresses(),
            "pid": std::process::id(),
            "group": group(),
            "victim": self.victim.as_ref().map_or(1 << 22, |victim| victim.child.id()),
            "victim_word": self.victim.as_ref().map_or("", |victim| &victim.word),
            "ipc_key": self.ipc_key,
            "hostname": self.before.hostname,
            "environment": environment(),
            "open_file": identity(&self.folder.join("canary")),
            "memory": limits.memory_bytes,
            "data": limits.data_bytes,
            "files": limits.files,
            "processes": limits.processes,
        })
    }

    /// Whether bytes that came out of a session are the host's own.
    pub(super) fn is_ours(&self, bytes: &[u8]) -> bool {
        let accounts = fs_err::read("/etc/passwd").unwrap_or_default();
        let contains = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        contains(self.secret.as_bytes()) || (!accounts.is_empty() && bytes.starts_with(&accounts))
    }

    /// What the host saw of an attempt.
    pub(super) fn harm(&mut self) -> Vec<String> {
        let mut seen = self.visitors();
        seen.extend(self.victim.as_mut().and_then(Victim::harm));
        match fs_err::read_to_string(self.folder.join("canary")) {
            Ok(content) if content == self.secret => {}
            other => seen.push(format!("the host's file was changed: {other:?}")),
        }
        let after = self.traces();
        if after.hostname != self.before.hostname {
            seen.push(format!("the host's name is {}", after.hostname));
        }
        for (what, now, before) in [
            ("mount", &after.mounts, &self.before.mounts),
            ("shared memory", &after.shared, &self.before.shared),
            ("file", &after.folder, &self.before.folder),
        ] {
            seen.extend(now.difference(before).map(|name| format!("a {what} is left: {name}")));
            seen.extend(before.difference(now).map(|name| format!("a {what} is gone: {name}")));
        }
        seen
    }

    /// Who came to the listeners since they were asked last.
    fn visitors(&self) -> Vec<String> {
        let mut seen = vec![];
        while self.tcp.accept().is_ok() {
            seen.push("somebody came to the host's port".to_owned());
        }
        while self.tcp6.as_ref().is_some_and(|tcp| tcp.accept().is_ok()) {
            seen.push("somebody came to the host's port by IPv6".to_owned());
        }
        while self.udp.recv_from(&mut [0; 512]).is_ok() {
            seen.push("the host was sent a datagram".to_owned());
        }
        #[cfg(unix)]
        while self.unix.accept().is_ok() {
            seen.push("somebody came to the host's door in a folder".to_owned());
        }
        #[cfg(target_os = "linux")]
        while self.by_name.accept().is_ok() {
            seen.push("somebody came to the host's door by name".to_owned());
        }
        seen
    }

    fn contents(&self) -> BTreeMap<String, u32> {
        let canary = self.folder.join("canary").to_string_lossy().into_owned();
        let paths = SYSTEM_FILES.iter().map(|&path| path.to_owned()).chain([canary]);
        let read = paths.filter_map(|path| Some((path.clone(), fs_err::read(path).ok()?)));
        read.map(|(path, bytes)| (path, checksum(&bytes[..bytes.len().min(4096)]))).collect()
    }

    fn listings(&self) -> BTreeMap<String, BTreeSet<String>> {
        let ours = self.folder.to_string_lossy().into_owned();
        let folders = SYSTEM_FOLDERS.iter().map(|&folder| folder.to_owned()).chain([ours]);
        folders.map(|folder| (folder.clone(), names(&folder))).collect()
    }

    fn traces(&self) -> Traces {
        let read = |path: &str| fs_err::read_to_string(path).unwrap_or_default();
        let mounts = read("/proc/self/mountinfo").lines().map(str::to_owned).collect();
        let key = self.ipc_key.to_string();
        let of_key = |line: &str| line.split_whitespace().next() == Some(&*key);
        let mut shared: BTreeSet<String> =
            names("/dev/shm").union(&names("/dev/mqueue")).cloned().collect();
        for kind in ["shm", "sem", "msg"] {
            let rows = read(&format!("/proc/sysvipc/{kind}"));
            shared.extend(rows.lines().filter(|line| of_key(line)).map(|_| kind.to_owned()));
        }
        let hostname = read("/proc/sys/kernel/hostname").trim().to_owned();
        Traces { mounts, shared, hostname, folder: names(&self.folder.to_string_lossy()) }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = fs_err::remove_dir_all(&self.folder);
    }
}

impl Victim {
    /// A process that does nothing, where there is a program for it.
    fn new() -> Result<Option<Self>> {
        let word = format!("{}", 100_000 + (random()? & 0xffff));
        let mut sleep = Command::new("sleep");
        let quiet = sleep.arg(&word).stdin(Stdio::null()).stdout(Stdio::null());
        Ok(quiet.spawn().ok().map(|child| Self { child, word }))
    }

    /// What was done to it.
    fn harm(&mut self) -> Option<String> {
        if let Ok(Some(how)) = self.child.try_wait() {
            return Some(format!("the host's process was ended: {how}"));
        }
        let stat = fs_err::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        let state = stat.rsplit(") ").next()?.chars().next()?;
        matches!(state, 'T' | 't').then(|| "the host's process was stopped".to_owned())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the folder is: not in `/tmp`, of which a sandbox has its own.
fn place() -> PathBuf {
    let kept = PathBuf::from("/var/tmp");
    if kept.is_dir() { kept } else { std::env::temp_dir() }
}

fn random() -> Result<u64> {
    getrandom::u64().map_err(|source| Error::unavailable("no random numbers").with_source(source))
}

fn listening(listener: TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(unix)]
fn door(folder: &std::path::Path) -> Result<std::os::unix::net::UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("door");
    let door = std::os::unix::net::UnixListener::bind(&path)?;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    door.set_nonblocking(true)?;
    Ok(door)
}

#[cfg(target_os = "linux")]
fn door_by_name(name: &str) -> Result<std::os::unix::net::UnixListener> {
    use std::os::linux::net::SocketAddrExt;
    let name = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    let door = std::os::unix::net::UnixListener::bind_addr(&name)?;
    door.set_nonblocking(true)?;
    Ok(door)
}

/// Lets everybody in, so that only walls keep a program out, and leaves the file open to the
/// programs that the host starts.
fn open_to_everybody(folder: &std::path::Path, _open: &fs_err::File) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for (path, mode) in [(folder.to_owned(), 0o777), (folder.join("canary"), 0o666)] {
            fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        }
    }
    #[cfg(target_os = "linux")]
    rustix::io::fcntl_setfd(_open, rustix::io::FdFlags::empty()).map_err(io::Error::from)?;
    Ok(())
}

fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs_err::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).take(1000).collect()
}

/// The host's own addresses, as the way out has them. Nothing is sent.
fn addresses() -> Vec<String> {
    let way_out = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    way_out.into_iter().map(|address| address.ip().to_string()).collect()
}

/// What the host has in its environment and others have not.
fn environment() -> BTreeMap<String, String> {
    let telling = |(name, value): &(String, String)| {
        value.len() >= 6 && !COMMON_VARIABLES.contains(&name.as_str()) && !name.starts_with("LC_")
    };
    let text = |variable: (std::ffi::OsString, std::ffi::OsString)| {
        Some((variable.0.into_string().ok()?, variable.1.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).filter(telling).collect()
}

#[cfg(target_os = "linux")]
fn group() -> i32 {
    rustix::process::getpgrp().as_raw_nonzero().get()
}

#[cfg(not(target_os = "linux"))]
fn group() -> i32 {
    1 << 22
}

/// By what a file is known, whatever its name.
#[cfg(unix)]
fn identity(path: &std::path::Path) -> [u64; 2] {
    use std::os::unix::fs::MetadataExt;
    fs_err::metadata(path).map_or([0; 2], |found| [found.dev(), found.ino()])
}

#[cfg(not(unix))]
fn identity(_path: &std::path::Path) -> [u64; 2] {
    [0; 2]
}

/// The CRC-32 of Python's `zlib`: programs are told what a file would be without being told it.
fn checksum(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
    !bytes.iter().fold(!0, |sum, &byte| (0..8).fold(sum ^ u32::from(byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_zlibs() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_host_sees_who_comes_and_what_changes() {
        let mut host = Host::new().unwrap();
        assert_eq!(host.harm(), Vec::<String>::new());
        let _line = std::net::TcpStream::connect(host.tcp.local_addr().unwrap()).unwrap();
        fs_err::write(host.folder.join("left"), "").unwrap();
        fs_err::write(host.folder.join("canary"), "").unwrap();
        let victim = host.victim.as_mut().unwrap();
        victim.child.kill().unwrap();
        victim.child.wait().unwrap();
        let harm = host.harm().join("; ");
        for part in ["host's port", "process was ended", "file was changed", "file is left: left"] {
            assert!(harm.contains(part), "{part} in {harm}");
        }
        host.renew().unwrap();
        assert_eq!(host.harm(), Vec::<String>::new());
    }
}
