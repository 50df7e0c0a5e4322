//! What a process gives up for good before a stranger's program begins in it.

use std::io;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets};

use super::calls;
use super::wire::Plan;

/// Locks this process and everything it begins from now on.
///
/// The warden is locked as well: it needs no more than the program does, and what it cannot do
/// nobody can make it do. Gives what this kernel lacks, in words.
pub(super) fn lock(plan: &Plan) -> io::Result<Vec<String>> {
    let mut lacking = Vec::new();
    let layers = &plan.layers;
    if layers.limits {
        limit(plan)?;
    }
    if layers.capabilities {
        drop_capabilities()?;
    } else {
        keep_capabilities()?;
    }
    // Whoever may look into the warden could speak for it.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // Without it neither of the next two is allowed; nothing is gained by having it alone.
    rustix::thread::set_no_new_privs(true)?;
    if layers.landlock {
        lacking.extend(restrict_files()?);
    }
    if layers.calls {
        calls::restrict()?;
    }
    Ok(lacking)
}

/// Eight times the memory a session may have: libraries reserve much that they never touch, and
/// what is touched is watched.
const ADDRESSES_PER_BYTE: u64 = 8;

fn limit(plan: &Plan) -> io::Result<()> {
    const TWO_HOURS: u64 = 2 * 60 * 60;
    let limits = [
        (Resource::As, plan.memory_bytes.saturating_mul(ADDRESSES_PER_BYTE)),
        // The warden and its parent count too.
        (Resource::Nproc, plan.processes + 2),
        (Resource::Fsize, plan.data_bytes),
        (Resource::Nofile, 512),
        (Resource::Cpu, TWO_HOURS),
        (Resource::Core, 0),
        (Resource::Memlock, 64 << 10),
        (Resource::Msgqueue, 0),
        (Resource::Sigpending, 256),
        (Resource::Nice, 0),
        (Resource::Rtprio, 0),
    ];
    for (resource, most) in limits {
        // A host that has less already cannot give more.
        let most = rustix::process::getrlimit(resource).maximum.map_or(most, |own| own.min(most));
        rustix::process::setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

fn drop_capabilities() -> io::Result<()> {
    for capability in CapabilitySet::all().iter() {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // One that this kernel does not know yet.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    rustix::thread::clear_ambient_capability_set()?;
    // Not even root of this namespace would have any.
    rustix::thread::set_capabilities_secure_bits(
        CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::NO_SETUID_FIXUP
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED,
    )
    .or_else(|error| if error == rustix::io::Errno::PERM { Ok(()) } else { Err(error) })?;
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    Ok(rustix::thread::set_capabilities(None, sets)?)
}

/// Has the program keep what this process may do in its namespace, which beginning it would end.
fn keep_capabilities() -> io::Result<()> {
    let own = rustix::thread::capabilities(None)?;
    let sets = CapabilitySets { inheritable: own.permitted, ..own };
    rustix::thread::set_capabilities(None, sets)?;
    for capability in own.permitted.iter() {
        rustix::thread::configure_capability_in_ambient_set(capability, true)?;
    }
    Ok(())
}

/// Landlock, as far as this kernel has it: no writing but in two folders, no TCP, no signals and no
/// abstract sockets beyond the sandbox. <https://docs.kernel.org/userspace-api/landlock.html>
fn restrict_files() -> io::Result<Option<String>> {
    let newest = ABI::V6;
    let all = AccessFs::from_all(newest);
    let nodes = AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSock | AccessFs::MakeFifo;
    let rules = [
        ("/", AccessFs::from_read(newest)),
        ("/dev", AccessFs::ReadFile | AccessFs::WriteFile),
        ("/mnt/data", all & !nodes & !BitFlags::from(AccessFs::Execute)),
        ("/tmp", all & !nodes & !BitFlags::from(AccessFs::Execute)),
    ];
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)
        .and_then(|set| set.handle_access(AccessNet::from_all(newest)))
        .and_then(|set| set.scope(Scope::from_all(newest)))
        .and_then(|set| set.create())
        .map_err(io::Error::other)?;
    let ruleset = rules.iter().try_fold(ruleset, |set, (path, access)| {
        let path = PathFd::new(path).map_err(io::Error::other)?;
        set.add_rule(PathBeneath::new(path, *access)).map_err(io::Error::other)
    })?;
    let enforced = ruleset.restrict_self().map_err(io::Error::other)?.ruleset;
    Ok(match enforced {
        RulesetStatus::FullyEnforced => None,
        RulesetStatus::PartiallyEnforced => {
            Some("this kernel has an older Landlock; Linux 6.12 has all of it".into())
        }
        RulesetStatus::NotEnforced => Some("this kernel has no Landlock".into()),
    })
}
