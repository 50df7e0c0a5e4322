//! Linux's own walls around CPython.
//!
//! A program sees a root of its own, no other process, no network, and may make about two hundred
//! system calls. The walls are independent: each stops by itself most of what another stops, and
//! [`escape`](crate::escape) shows for every attempt which.
//!
//! | wall | what it takes away |
//! |---|---|
//! | user namespace, throw-away user | any right over what is outside |
//! | mount namespace | every file but the system's, read only |
//! | process, network, message and name namespaces | other processes, every network, shared memory |
//! | Landlock | writing outside `/mnt/data` and `/tmp`, TCP, signals and abstract sockets |
//! | seccomp | sockets of any family, and most of the kernel |
//! | limits, quotas, the warden's eye, a control group | more than a fair share |
//!
//! Three processes stand between host and program: the builder, which is the host's child, the
//! warden, the first process inside, and the interpreter. The warden ends when the host does, and
//! the kernel then ends all that is inside with it.

mod calls;
mod exchange;
mod groups;
mod init;
mod lockdown;
mod python;
mod room;
mod session;
mod sys;
mod warden;
mod wire;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;

use docent_core::{
    Error, Execution, ProgramEnd, Result, Sandbox, SandboxLimits, SandboxSpec, Session,
};
use serde::{Deserialize, Serialize};

use groups::Groups;
pub use init::serve_init;
use python::Interpreter;
use session::LinuxSession;
use wire::Plan;

/// What the driver and matplotlib's backend are called inside.
const DRIVER: &str = "/opt/docent/driver.py";
const FIGURES: &str = "/opt/docent/docent_figures.py";

/// The accounts of a room.
const ACCOUNTS: &str = "sandbox:x:1000:1000::/tmp:/bin/sh\n";

/// Why a user namespace is refused, and what helps.
const WHY_NO_USER_NAMESPACE: &str = "unprivileged user namespaces are off: an AppArmor profile with \"userns,\" for this program \
     allows them (Ubuntu 24.04 and later), as does \"sysctl user.max_user_namespaces\" above 0; a \
     container needs a seccomp profile that lets unshare through";

/// The walls, each of which can be taken away to show that what it stops is then possible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layers {
    /// A root of its own; without it, all of the host's files.
    pub files: bool,
    /// Processes of its own.
    pub processes: bool,
    /// No network.
    pub network: bool,
    /// Shared memory and message queues of its own.
    pub messages: bool,
    /// A host's name of its own.
    pub hostname: bool,
    /// Landlock.
    pub landlock: bool,
    /// The list of system calls.
    pub calls: bool,
    /// What each process may have.
    pub limits: bool,
    /// Sizes of `/mnt/data` and `/tmp`.
    pub quotas: bool,
    /// The warden's eye on memory, and a control group where there is one.
    pub memory: bool,
    /// No capability, not even in its own namespace.
    pub capabilities: bool,
    /// A user that nobody else is, where the host is root.
    pub throw_away_user: bool,
}

impl Default for Layers {
    fn default() -> Self {
        Self {
            files: true,
            processes: true,
            network: true,
            messages: true,
            hostname: true,
            landlock: true,
            calls: true,
            limits: true,
            quotas: true,
            memory: true,
            capabilities: true,
            throw_away_user: true,
        }
    }
}

/// What a [`LinuxSandbox`] is made from.
#[derive(Clone, Debug)]
pub struct LinuxOptions {
    /// A program that calls [`serve_init`], as a rule the running one.
    pub init: PathBuf,
    /// Its arguments for that.
    pub init_arguments: Vec<String>,
    /// The interpreter; an environment that [`setup`](crate::setup) made, or `python3`.
    pub python: PathBuf,
    /// The walls. All of them, but in tests.
    pub layers: Layers,
}

impl LinuxOptions {
    /// The `python3` that is found first, behind all walls.
    pub fn new(init: impl Into<PathBuf>, init_arguments: Vec<String>) -> Self {
        Self {
            init: init.into(),
            init_arguments,
            python: "python3".into(),
            layers: Layers::default(),
        }
    }
}

/// CPython behind Linux's own walls: see the [module](self).
#[derive(Debug)]
pub struct LinuxSandbox {
    options: LinuxOptions,
    interpreter: Interpreter,
    groups: Groups,
    spec: SandboxSpec,
    lacking: Vec<String>,
}

impl LinuxSandbox {
    /// Finds the interpreter and tries the walls: one session is built, runs a program, and must
    /// withstand two others.
    ///
    /// # Errors
    /// [`Unavailable`](docent_core::ErrorKind::Unavailable) if this machine cannot build the
    /// sandbox, or it does not hold, with the reason and what helps.
    pub fn open(options: LinuxOptions) -> Result<Self> {
        let mut sandbox = Self::untried(options)?;
        sandbox.lacking = sandbox.prove()?;
        if !sandbox.groups.can_be_made() {
            sandbox.lacking.push("no control group can be made; memory is watched instead".into());
        }
        for lacking in &sandbox.lacking {
            tracing::info!(lacking, "the sandbox stands without one of its walls");
        }
        Ok(sandbox)
    }

    /// What this machine lacks of the walls, in words; the others stand. `docs/security.md` says
    /// which attempts each of them stops.
    pub fn lacking(&self) -> &[String] {
        &self.lacking
    }

    /// The same without trying the walls, which a test that takes one away would fail at.
    pub fn untried(options: LinuxOptions) -> Result<Self> {
        let interpreter = Interpreter::ask(&options.python)?;
        let spec = SandboxSpec {
            name: "linux".into(),
            language: format!("Python {}", interpreter.version),
            packages: interpreter.packages.clone(),
        };
        Ok(Self { options, interpreter, groups: Groups::find(), spec, lacking: Vec::new() })
    }

    /// Runs a program and two that try to get out; gives what this kernel lacks.
    ///
    /// The accounts are a file that every host has and every room has its own of: what would be
    /// made for a trial, in a temporary folder, would not be seen even without the wall.
    fn prove(&self) -> Result<Vec<String>> {
        let mut session = self.begin(&SandboxLimits::default())?;
        let mut run = |program: &str| session.run(program, &mut |_| ControlFlow::Continue(()));
        let sum = run("1 + 1")?;
        if sum.value.as_deref() != Some("2") {
            return Err(Error::unavailable(format!("the sandbox cannot add: {sum:?}")));
        }
        let accounts = run(&format!("open('/etc/passwd').read() == {ACCOUNTS:?}"))?;
        if accounts.value.as_deref() != Some("True") {
            return Err(does_not_hold("the host's files", &accounts));
        }
        let socket = run("import socket\nsocket.socket()")?;
        match &socket.end {
            ProgramEnd::Raised { traceback } if traceback.contains("PermissionError") => {}
            _ => return Err(does_not_hold("a socket", &socket)),
        }
        Ok(std::mem::take(&mut session.lacking))
    }

    fn begin(&self, limits: &SandboxLimits) -> Result<LinuxSession> {
        let span = tracing::info_span!("sandbox.open");
        let _entered = span.enter();
        let group = self.groups.make(limits, self.options.layers.memory);
        let plan = self.plan(limits, group.doors())?;
        let mut init = Command::new(&self.options.init);
        init.args(&self.options.init_arguments).env_clear().current_dir("/");
        LinuxSession::open(&mut init, &plan, limits, group)
    }

    fn plan(&self, limits: &SandboxLimits, cgroup: Vec<PathBuf>) -> Result<Plan> {
        let interpreter = &self.interpreter;
        let fonts = interpreter.fonts();
        Ok(Plan {
            throw_away_id: self.throw_away_id()?,
            cgroup,
            shown: interpreter.folders.clone(),
            written: written(),
            command: [interpreter.program.clone()]
                .into_iter()
                .chain(["-I", "-B", "-u", "-X", "utf8", DRIVER].map(PathBuf::from))
                .collect(),
            environment: environment(interpreter, fonts.as_deref()),
            memory_bytes: limits.memory_bytes,
            data_bytes: limits.data_bytes,
            files: limits.files,
            processes: limits.processes,
            layers: self.options.layers.clone(),
        })
    }

    /// A number that is no user's, new for each session: root in here is nobody out there.
    fn throw_away_id(&self) -> Result<Option<u32>> {
        if !rustix::process::geteuid().is_root() || !self.options.layers.throw_away_user {
            return Ok(None);
        }
        let mut random = [0; 4];
        getrandom::fill(&mut random)
            .map_err(|error| Error::unavailable(format!("no randomness: {error}")))?;
        // Above what distributions give to users and containers.
        const FIRST: u32 = 0x5000_0000;
        Ok(Some(FIRST | u32::from_ne_bytes(random) >> 4))
    }
}

impl Sandbox for LinuxSandbox {
    fn spec(&self) -> &SandboxSpec {
        &self.spec
    }

    fn open(&self, limits: &SandboxLimits) -> Result<Box<dyn Session>> {
        Ok(Box::new(self.begin(limits)?))
    }
}

fn does_not_hold(what: &str, execution: &Execution) -> Error {
    let end = &execution.end;
    Error::unavailable(format!(
        "the sandbox does not hold on this machine: a program could reach {what} ({end:?})"
    ))
}

/// The files that are made for the room.
fn written() -> Vec<(PathBuf, String)> {
    let files = [
        (DRIVER, include_str!("linux/driver.py")),
        (FIGURES, include_str!("linux/docent_figures.py")),
        ("/etc/passwd", ACCOUNTS),
        ("/etc/group", "sandbox:x:1000:\n"),
        ("/etc/hosts", "127.0.0.1 localhost\n"),
    ];
    files.map(|(path, text)| (path.into(), text.to_owned())).into()
}

fn environment(interpreter: &Interpreter, fonts: Option<&Path>) -> Vec<(String, String)> {
    let bin = interpreter.program.parent().unwrap_or(Path::new("/usr/bin"));
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
    let mut environment = vec![
        ("PATH", path),
        ("HOME", "/tmp".into()),
        ("LANG", "C.UTF-8".into()),
        ("MPLBACKEND", "module://docent_figures".into()),
        ("MPLCONFIGDIR", "/tmp/.matplotlib".into()),
        // Threads of theirs count as processes.
        ("OPENBLAS_NUM_THREADS", "2".into()),
        ("OMP_NUM_THREADS", "2".into()),
    ];
    if let Some(fonts) = fonts {
        environment.push(("MATPLOTLIBRC", fonts.join("matplotlibrc").display().to_string()));
        environment.push(("DOCENT_FONT_CACHE", fonts.display().to_string()));
    }
    environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
