//! The two processes between the host and a program: the builder, which puts up the walls, and the
//! warden, the first process inside them.
//!
//! The host begins the builder as a program of its own (a process of many threads cannot split
//! itself safely), with the program's channel as its input, the pipe for what is printed as its
//! output and the [channel](super::wire) to the host as its errors.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use rustix::process::{DumpableBehavior, Pid, Signal, WaitOptions};
use rustix::thread::{Gid, Uid, UnshareFlags};

use super::sys::{self, Forked};
use super::warden::Warden;
use super::wire::{Channel, Plan, Reply};
use super::{lockdown, room};

/// Who a program is, inside.
const INSIDE_ID: u32 = 1000;

/// Builds a sandbox and keeps watch in it, if this process was begun for that: the whole of a
/// program that is given to [`LinuxSandbox`](super::LinuxSandbox). Call it first, in a process of
/// one thread that has opened nothing: all but its standard streams is closed.
///
/// It ends with the sandbox.
pub fn serve_init() -> ExitCode {
    if let Err(error) = sys::close_inherited() {
        eprintln!("what the host has open cannot be closed: {error}");
        return ExitCode::FAILURE;
    }
    let Ok(channel) = rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), 3) else {
        return ExitCode::FAILURE;
    };
    let channel = Channel::new(channel);
    let Ok(Some((plan, _))) = channel.receive::<Plan>() else {
        eprintln!("this is begun by Docent, for itself");
        return ExitCode::FAILURE;
    };
    match build(&plan, &channel) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stopped { stage, error }) => {
            // The host may be gone, and then nobody wants to know.
            let _ = channel.send(&Reply::Failed(format!("{stage}: {error}")), None);
            ExitCode::FAILURE
        }
    }
}

/// Where the building stopped.
struct Stopped {
    stage: &'static str,
    error: io::Error,
}

fn stage<T, E: Into<io::Error>>(stage: &'static str, result: Result<T, E>) -> Result<T, Stopped> {
    result.map_err(|error| Stopped { stage, error: error.into() })
}

fn build(plan: &Plan, channel: &Channel) -> Result<(), Stopped> {
    // A terminal's Ctrl-C is for the host.
    stage("a session of its own", rustix::process::setsid())?;
    for group in &plan.cgroup {
        stage("the control group", fs_err::write(group, "0"))?;
    }
    let mut shown = None;
    if let Some(id) = plan.throw_away_id {
        // A root that may not mount, in a container, may once it is somebody else.
        shown = room::take_hold(plan).ok();
        stage("a throw-away user", become_user(id))?;
    }
    stage("a user namespace", new_user_namespace())?;
    stage("namespaces", sys::unshare(namespaces(plan)))?;
    let shown = match shown {
        Some(shown) => shown,
        None => stage("what the host shows", room::take_hold(plan))?,
    };
    match stage("a process namespace", sys::fork())? {
        Forked::Parent(warden) => wait_for(warden),
        Forked::Child => {
            stage("the parent's end", end_with_parent())?;
            let folders = stage("the room", room::enter(plan, &shown))?;
            drop(shown);
            if plan.layers.hostname {
                stage("a host's name", rustix::system::sethostname(b"sandbox"))?;
            }
            let lacking = stage("the lock", lockdown::lock(plan))?;
            let program = stage("the interpreter", begin(plan))?;
            stage("the channel", channel.send(&Reply::Ready(lacking), None))?;
            stage("the watch", watch(plan, channel, program, folders))
        }
    }
}

/// Becomes a user that nobody else is.
fn become_user(id: u32) -> io::Result<()> {
    rustix::thread::set_thread_groups(&[])?;
    let (user, group) = (Uid::from_raw(id), Gid::from_raw(id));
    rustix::thread::set_thread_res_gid(group, group, group)?;
    rustix::thread::set_thread_res_uid(user, user, user)?;
    // Changing the user made `/proc/self` root's, and the next step writes there.
    Ok(rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)?)
}

fn new_user_namespace() -> io::Result<()> {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    sys::unshare(UnshareFlags::NEWUSER).map_err(|error| {
        io::Error::new(error.kind(), format!("{error}; {}", super::WHY_NO_USER_NAMESPACE))
    })?;
    fs_err::write("/proc/self/setgroups", "deny")?;
    fs_err::write("/proc/self/uid_map", format!("{INSIDE_ID} {} 1", user.as_raw()))?;
    fs_err::write("/proc/self/gid_map", format!("{INSIDE_ID} {} 1", group.as_raw()))
}

fn namespaces(plan: &Plan) -> UnshareFlags {
    let layers = &plan.layers;
    let mut flags = UnshareFlags::NEWNS | UnshareFlags::NEWCGROUP;
    flags.set(UnshareFlags::NEWPID, layers.processes);
    flags.set(UnshareFlags::NEWNET, layers.network);
    flags.set(UnshareFlags::NEWIPC, layers.messages);
    flags.set(UnshareFlags::NEWUTS, layers.hostname);
    flags
}

/// The builder's last work: its end tells the host that the warden and everything inside is gone.
fn wait_for(warden: Pid) -> Result<(), Stopped> {
    loop {
        match rustix::process::waitpid(Some(warden), WaitOptions::empty()) {
            Err(rustix::io::Errno::INTR) => {}
            _ => return Ok(()),
        }
    }
}

fn end_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Begins the interpreter, with the channel as its input and both its outputs in one pipe.
fn begin(plan: &Plan) -> io::Result<Child> {
    let [program, arguments @ ..] = plan.command.as_slice() else {
        return Err(io::Error::other("no program was named"));
    };
    let output = rustix::io::fcntl_dupfd_cloexec(std::io::stdout(), 3)?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(plan.environment.iter().cloned());
    command.current_dir(data_folder()).stderr(Stdio::from(output)).process_group(0);
    let child = command
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.display())))?;
    release_outputs()?;
    Ok(child)
}

/// The warden keeps no end of what is the program's, so that its end can be seen.
fn release_outputs() -> io::Result<()> {
    let null: OwnedFd = fs_err::File::open("/dev/null")?.into_parts().0.into();
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(())
}

fn data_folder() -> &'static Path {
    Path::new(docent_core::SANDBOX_DATA)
}

fn watch(plan: &Plan, channel: &Channel, program: Child, folders: [OwnedFd; 2]) -> io::Result<()> {
    Warden::new(plan, channel, program, folders)?.watch()
}
