//! A session as the host sees it: the walls' builder is its child, and three channels lead inside.

use std::io::{self, Read as _};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use docent_core::{
    Error, Execution, ProgramEnd, Result, SandboxFile, SandboxLimits, SandboxPath, Session,
    SessionLoss,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FileType;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, PidfdFlags};

use super::exchange::{Exchange, random_name};
use super::groups::Group;
use super::wire::{Channel, Ended, Folder, Place, Plan, Reply, Request};

/// How long a sandbox may take to stand, on a machine that has other things to do.
const BUILDING: Duration = Duration::from_secs(20);

/// How long the warden may take to answer.
const ANSWERING: Duration = Duration::from_secs(10);

/// How long everything inside may take to be gone.
const ENDING: Duration = Duration::from_secs(5);

/// The longest figure that is fetched.
const FIGURE_BYTES: u64 = 16 << 20;

/// How many files are listed.
const FILES_LISTED: usize = 1000;

/// What a file is called that is being put, with a name that programs cannot guess behind it.
const UNFINISHED: &str = ".docent-";

/// A session: see [`Session`].
#[derive(Debug)]
pub(super) struct LinuxSession {
    /// What leads inside; none once the session is lost.
    inside: Option<Inside>,
    limits: SandboxLimits,
    loss: Option<SessionLoss>,
    /// Walls that this kernel lacks, in words.
    pub(super) lacking: Vec<String>,
}

/// What leads inside. Dropping it ends everything there.
#[derive(Debug)]
pub(super) struct Inside {
    /// To the warden. Its end is the sandbox's; none while it is being closed.
    channel: Option<Channel>,
    /// To the driver of the interpreter.
    pub(super) driver: UnixStream,
    /// What programs print.
    pub(super) output: OwnedFd,
    builder: Child,
    /// Removed after everything in it is gone, so it is the last field.
    group: Group,
}

impl LinuxSession {
    /// Builds a sandbox by `plan`, with `init` as its first process.
    pub(super) fn open(
        init: &mut Command,
        plan: &Plan,
        limits: &SandboxLimits,
        group: Group,
    ) -> Result<Self> {
        let failed = |error: io::Error| Error::unavailable(format!("no sandbox: {error}"));
        let inside = Inside::begin(init, group).map_err(failed)?;
        inside.channel().and_then(|channel| channel.send(plan, None)).map_err(failed)?;
        let lacking = match inside.reply(BUILDING).map_err(failed)? {
            (Reply::Ready(lacking), _) => lacking,
            (Reply::Failed(why), _) => {
                return Err(Error::unavailable(format!("no sandbox could be built: {why}")));
            }
            (other, _) => return Err(Error::internal(format!("a new sandbox said {other:?}"))),
        };
        let (inside, limits) = (Some(inside), limits.clone());
        let mut session = Self { inside, limits, loss: None, lacking };
        session.greet()?;
        Ok(session)
    }

    /// Waits for the interpreter to say that it is ready.
    fn greet(&mut self) -> Result<()> {
        let limits = SandboxLimits { time: BUILDING, ..self.limits.clone() };
        let Some(inside) = &self.inside else { return Err(lost(None)) };
        let mut exchange = Exchange::greeting(inside, &limits);
        match exchange.finish(&mut |_| ControlFlow::Continue(())) {
            Ok(_) => Ok(()),
            Err(loss) => {
                let (told, _) = exchange.logs();
                self.lose(loss.clone());
                let told = told.trim();
                let told = if told.is_empty() { String::new() } else { format!(": {told}") };
                Err(Error::unavailable(format!("the interpreter did not begin: {loss}{told}")))
            }
        }
    }

    fn inside(&self) -> Result<&Inside> {
        self.inside.as_ref().ok_or_else(|| lost(self.loss.as_ref()))
    }

    /// Ends the session, and remembers why.
    fn lose(&mut self, loss: SessionLoss) {
        self.inside = None;
        self.loss = Some(loss);
    }

    /// What the warden answers. One that does not is taken for broken.
    fn ask(&mut self, request: &Request) -> Result<(Reply, Option<OwnedFd>)> {
        let inside = self.inside()?;
        let sent = inside.channel().and_then(|channel| channel.send(request, None));
        match sent.and_then(|()| inside.reply(ANSWERING)) {
            Ok((Reply::Ended(ended), _)) => {
                let loss = inside.loss(ended);
                self.lose(loss);
                Err(lost(self.loss.as_ref()))
            }
            Ok(answer) => Ok(answer),
            Err(error) => {
                self.lose(SessionLoss::Crashed(error.to_string()));
                Err(lost(self.loss.as_ref()))
            }
        }
    }

    /// A regular file inside, to read or to write.
    fn file(&mut self, request: &Request, path: &str) -> Result<fs_err::File> {
        match self.ask(request)? {
            (Reply::Opened, Some(file)) => {
                // The warden looked as well; this side trusts nobody from inside.
                let kind = rustix::fs::fstat(&file)
                    .map(|found| FileType::from_raw_mode(found.st_mode))
                    .map_err(|error| Error::internal(format!("{path}: {error}")))?;
                if kind != FileType::RegularFile {
                    return Err(not_there(path));
                }
                Ok(fs_err::File::from_parts(file.into(), path))
            }
            (Reply::Refused(number), _) => Err(refused(path, number)),
            (other, _) => {
                Err(Error::internal(format!("asked for {path}, a sandbox said {other:?}")))
            }
        }
    }

    /// The pictures that the program left, and what to say of those that cannot be fetched.
    fn figures(&mut self, names: &[String]) -> (Vec<Vec<u8>>, String) {
        let mut images = Vec::new();
        let mut told = String::new();
        for name in names {
            let path = format!(".figures/{name}");
            let place = Place { folder: Folder::Temporary, path };
            match self.bytes(place, FIGURE_BYTES) {
                Ok(bytes) if bytes.starts_with(b"\x89PNG\r\n\x1a\n") => images.push(bytes),
                Ok(_) => told.push_str(&format!("\nfigure {name} is no PNG and was left out")),
                Err(error) => told.push_str(&format!("\nfigure {name} was left out: {error}")),
            }
        }
        (images, told)
    }

    fn bytes(&mut self, place: Place, max_bytes: u64) -> Result<Vec<u8>> {
        let path = place.path.clone();
        let file = self.file(&Request::Open(place), &path)?;
        let mut bytes = Vec::new();
        // One byte more tells a file that is too long, even one that grows meanwhile.
        file.take(max_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| Error::internal(format!("reading {path} failed: {error}")))?;
        if bytes.len() as u64 > max_bytes {
            return Err(Error::invalid(format!("{path} is longer than {max_bytes} bytes")));
        }
        Ok(bytes)
    }

    /// Does what gives no file.
    fn act(&mut self, request: &Request, path: &SandboxPath) -> Result<()> {
        match self.ask(request)? {
            (Reply::Done(0), _) => Ok(()),
            (Reply::Done(number), _) => Err(refused(path.as_str(), number)),
            (other, _) => Err(Error::internal(format!("a sandbox said {other:?} of {path}"))),
        }
    }

    /// Copies at most `most` bytes into a new file.
    fn write(&mut self, place: Place, bytes: &mut dyn io::Read, most: u64) -> Result<u64> {
        let path = place.path.clone();
        let no_room = |why: &str| {
            Error::unavailable(format!(
                "{path} does not fit into the sandbox, whose files may hold {most} bytes: {why}"
            ))
        };
        let mut file = self.file(&Request::Create(place), &path)?;
        match io::copy(&mut bytes.take(most.saturating_add(1)), &mut file) {
            Ok(length) if length > most => Err(no_room("it is longer")),
            Ok(length) => Ok(length),
            Err(error) => Err(no_room(&error.to_string())),
        }
    }
}

impl Session for LinuxSession {
    fn put(&mut self, path: &SandboxPath, bytes: &mut dyn io::Read) -> Result<u64> {
        let place = |path: &str| Place { folder: Folder::Data, path: path.to_owned() };
        // Written beside and moved, so that what has the name is whole, whatever it was before.
        let folder = path.as_str().strip_suffix(path.name()).unwrap_or_default();
        let beside = place(&format!("{folder}{UNFINISHED}{}", random_name()?));
        let put = self.write(beside.clone(), bytes, self.limits.data_bytes).and_then(|length| {
            self.act(&Request::Move(beside.clone(), place(path.as_str())), path)?;
            Ok(length)
        });
        if put.is_err() && self.inside.is_some() {
            self.ask(&Request::Remove(beside))?;
        }
        put
    }

    fn run(
        &mut self,
        program: &str,
        on_output: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Execution> {
        let limits = self.limits.clone();
        let mut exchange = Exchange::program(self.inside()?, &limits, program)?;
        let answer = exchange.finish(on_output);
        let (mut logs, dropped_bytes) = exchange.logs();
        let answer = match answer {
            Ok(answer) => answer,
            Err(loss) => {
                self.lose(loss.clone());
                let end = ProgramEnd::Lost(loss);
                return Ok(Execution { end, logs, dropped_bytes, value: None, images: Vec::new() });
            }
        };
        let (images, told) = self.figures(&answer.figures);
        logs.push_str(&told);
        // Fetching the figures may have shown that it is over.
        let end = self.loss.clone().map_or(answer.end, ProgramEnd::Lost);
        Ok(Execution { end, logs, dropped_bytes, value: answer.value, images })
    }

    fn read(&mut self, path: &SandboxPath, max_bytes: u64) -> Result<Vec<u8>> {
        self.bytes(Place { folder: Folder::Data, path: path.as_str().to_owned() }, max_bytes)
    }

    fn files(&mut self) -> Result<Vec<SandboxFile>> {
        let (Reply::Files(files), _) = self.ask(&Request::List(FILES_LISTED))? else {
            return Err(Error::internal("a sandbox did not list its files"));
        };
        // A name that is no path of ours cannot be asked for either.
        let files = files
            .into_iter()
            .filter_map(|(path, bytes)| Some(SandboxFile { path: path.parse().ok()?, bytes }));
        Ok(files.collect())
    }
}

impl Inside {
    fn begin(init: &mut Command, group: Group) -> io::Result<Self> {
        let (driver, theirs) = UnixStream::pair()?;
        driver.set_nonblocking(true)?;
        let (output, printed) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        rustix::fs::fcntl_setfl(&output, rustix::fs::OFlags::NONBLOCK)?;
        let (channel, warden) = Channel::pair()?;
        init.stdin(Stdio::from(OwnedFd::from(theirs)));
        init.stdout(Stdio::from(printed)).stderr(Stdio::from(warden));
        let builder = init.spawn();
        // The command keeps its ends of the channels until it is given others.
        init.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { channel: Some(channel), driver, output, builder: builder?, group })
    }

    pub(super) fn channel(&self) -> io::Result<&Channel> {
        self.channel.as_ref().ok_or_else(|| io::Error::other("the sandbox is closed"))
    }

    pub(super) fn interrupt(&self) {
        // If it cannot be told, the grace ends it.
        let _ = self.channel().and_then(|channel| channel.send(&Request::Interrupt, None));
    }

    /// What the warden says next.
    fn reply(&self, patience: Duration) -> io::Result<(Reply, Option<OwnedFd>)> {
        let channel = self.channel()?;
        wait_readable(PollFd::new(channel, PollFlags::IN), patience)?;
        channel.receive()?.ok_or_else(|| io::Error::other("the sandbox went away"))
    }

    /// What a program's end means.
    pub(super) fn loss(&self, ended: Ended) -> SessionLoss {
        if self.group.ran_out() {
            return SessionLoss::OutOfMemory;
        }
        match ended {
            Ended::OutOfMemory => SessionLoss::OutOfMemory,
            Ended::Exited(code) => SessionLoss::Crashed(format!("it exited with status {code}")),
            Ended::Signalled(number) => SessionLoss::Crashed(format!("signal {number}")),
        }
    }

    /// Hears that an interruption was passed on, or else why the sandbox is over.
    pub(super) fn hear(&self) -> Result<(), SessionLoss> {
        Err(match self.reply(ENDING) {
            Ok((Reply::Done(_), _)) => return Ok(()),
            Ok((Reply::Ended(ended), _)) => self.loss(ended),
            // The group tells whether the kernel ended the warden as well.
            _ if self.group.ran_out() => SessionLoss::OutOfMemory,
            Ok((other, _)) => SessionLoss::Crashed(format!("the warden said {other:?}")),
            Err(error) => SessionLoss::Crashed(error.to_string()),
        })
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        // The warden ends when the channel does, and takes everything inside with it.
        self.channel = None;
        let pid = Pid::from_child(&self.builder);
        let gone = rustix::process::pidfd_open(pid, PidfdFlags::empty())
            .map_err(io::Error::from)
            .and_then(|builder| wait_readable(PollFd::new(&builder, PollFlags::IN), ENDING));
        if let Err(error) = gone {
            tracing::warn!(%error, "a sandbox did not end by itself and is killed");
            let _ = self.builder.kill();
        }
        let _ = self.builder.wait();
    }
}

/// Waits until there is something to read.
fn wait_readable(what: PollFd<'_>, patience: Duration) -> io::Result<()> {
    let until = Instant::now() + patience;
    let mut waited = [what];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match poll(&mut waited, Some(&timespec(left))) {
            Ok(0) => return Err(io::Error::new(io::ErrorKind::TimedOut, "the sandbox is silent")),
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

pub(super) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

fn lost(loss: Option<&SessionLoss>) -> Error {
    let why = loss.map_or("it is closed".to_owned(), |loss| loss.to_string());
    Error::conflict(format!("the session is lost: {why}; open another"))
}

fn not_there(path: &str) -> Error {
    Error::not_found(format!("there is no file {path} in the sandbox"))
}

/// An error number from inside. Links, pipes and folders are no files, so they are not there.
fn refused(path: &str, number: i32) -> Error {
    let error = io::Error::from_raw_os_error(number);
    match number {
        libc::ENOSPC | libc::EDQUOT | libc::ENFILE | libc::EMFILE | libc::ENOMEM => {
            Error::unavailable(format!("{path} cannot be made in the sandbox: {error}"))
        }
        _ => Error::not_found(format!("there is no file {path} in the sandbox: {error}")),
    }
}
