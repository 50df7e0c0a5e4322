//! Who works on which run: claims, leases, and runs whose worker is gone.
//!
//! A waiting run has a row in `run_queue`, a run at work one in `run_leases`, and every run that
//! has not ended one in `run_deadlines`. Whatever must happen to a run that nobody works on (it
//! was cancelled, it expired, its worker died) happens by putting it back in the queue: claiming
//! is the one place that decides what to do with it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use docent_core::{Result, Run, RunId, RunStatus, Scan, Write};

use super::ending::{Ending, Unfinished, end_run};
use super::events::RunEvent;
use super::live::{LiveRun, Stop};
use super::machine::{Input, transition};
use crate::engine::{Inner, Sharing};
use crate::tables::{EPOCH, Lease, RUN_DEADLINES, RUN_LEASES, RUN_QUEUE, RUNS};

/// A run that is ours to work on.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) run: Run,
    pub(crate) live: Arc<LiveRun>,
}

/// Begins a new epoch and puts back in the queue what earlier ones left behind.
pub(crate) fn begin_epoch(inner: &mut Inner) -> Result<()> {
    let mut write = inner.store.write()?;
    let key = "epoch".to_owned();
    inner.epoch = EPOCH.get(write.as_ref(), &key)?.unwrap_or(0) + 1;
    EPOCH.put(write.as_mut(), &key, &inner.epoch)?;
    let now = inner.clock.now();
    for (run, lease) in RUN_LEASES.all(write.as_ref(), "")? {
        if inner.options.sharing == Sharing::Exclusive || lease.until <= now {
            requeue(write.as_mut(), run)?;
        }
    }
    write.commit()
}

fn requeue(write: &mut (impl Write + ?Sized), run: RunId) -> Result<()> {
    RUN_LEASES.delete(write, &run)?;
    RUN_QUEUE.put(write, &run, &())
}

/// The next run that waits, now ours; none when no run waits.
pub(crate) fn claim(inner: &Inner) -> Result<Option<Claimed>> {
    loop {
        if !anything_waits(inner)? {
            return Ok(None);
        }
        let mut write = inner.store.write()?;
        let first = Scan { limit: 1, ..Scan::default() };
        let Some((id, ())) = RUN_QUEUE.scan(write.as_ref(), first)?.pop() else {
            return Ok(None);
        };
        RUN_QUEUE.delete(write.as_mut(), &id)?;
        let taken = match RUNS.get(write.as_ref(), &id)? {
            Some(run) if !run.status.is_terminal() => take(inner, write.as_mut(), run)?,
            _ => None,
        };
        write.commit()?;
        let Some((live, events, ours)) = taken else { continue };
        inner.live.publish(&live, events);
        if let Some(run) = ours {
            live.working.store(true, Ordering::SeqCst);
            docent_core::crash_point("run.after-claim");
            return Ok(Some(Claimed { run, live }));
        }
    }
}

/// Whether a claim is worth a transaction.
pub(crate) fn anything_waits(inner: &Inner) -> Result<bool> {
    let first = Scan { limit: 1, ..Scan::default() };
    Ok(!RUN_QUEUE.scan(inner.store.read()?.as_ref(), first)?.is_empty())
}

type Taken = (Arc<LiveRun>, Vec<RunEvent>, Option<Run>);

/// Decides what a run from the queue needs: to be ended, to be worked on, or nothing.
fn take(inner: &Inner, write: &mut dyn Write, mut run: Run) -> Result<Option<Taken>> {
    let now = inner.clock.now();
    let ending = match run.status {
        _ if run.expires_at <= now => Some(Ending::Expired),
        RunStatus::Cancelling => Some(Ending::Cancelled),
        RunStatus::RequiresAction => return Ok(None),
        _ => None,
    };
    // Attached before the claim is committed; see `LiveRuns::follow`.
    let live = inner.live.attach(run.id, &*write)?;
    if let Some(ending) = ending {
        let events = end_run(write, now, run, ending, &Unfinished::default())?;
        return Ok(Some((live, events, None)));
    }
    let before = run.status;
    run.status = transition(run.status, Input::Claim)?;
    run.started_at.get_or_insert(now);
    RUNS.put(write, &run.id, &run)?;
    let until = now.plus(inner.options.lease);
    RUN_LEASES.put(write, &run.id, &Lease { epoch: inner.epoch, until })?;
    let events = match before {
        RunStatus::Queued => vec![RunEvent::Run(Arc::new(run.clone()))],
        _ => Vec::new(),
    };
    Ok(Some((live, events, Some(run))))
}

/// Puts a run that is ours back in the queue for the next opening of the engine.
pub(crate) fn park(inner: &Inner, run: RunId) -> Result<()> {
    let mut write = inner.store.write()?;
    if holds(inner, write.as_ref(), run)? {
        requeue(write.as_mut(), run)?;
        write.commit()?;
    }
    Ok(())
}

/// Whether `run` is still ours.
pub(crate) fn holds(
    inner: &Inner,
    read: &(impl docent_core::Read + ?Sized),
    run: RunId,
) -> Result<bool> {
    Ok(RUN_LEASES.get(read, &run)?.is_some_and(|lease| lease.epoch == inner.epoch))
}

/// What the keeper does at each tick: renews our leases, and puts in the queue what nobody works
/// on. Says whether any run is still going on.
pub(crate) fn keep(inner: &Inner) -> Result<bool> {
    let (overdue, any) = overdue(inner)?;
    let (renewed, mut left) = sort_leases(inner)?;
    for run in overdue {
        match working(inner, run) {
            Some(live) => live.stop(Stop::Expire),
            None => left.push(run),
        }
    }
    if !renewed.is_empty() || !left.is_empty() {
        rewrite_leases(inner, &renewed, &left)?;
    }
    Ok(any)
}

/// The run's channel, if a worker of ours is on it.
fn working(inner: &Inner, run: RunId) -> Option<Arc<LiveRun>> {
    inner.live.get(run).filter(|live| live.working.load(Ordering::SeqCst))
}

/// Some runs whose time is over, and whether there are any runs at all.
fn overdue(inner: &Inner) -> Result<(Vec<RunId>, bool)> {
    let now = inner.clock.now();
    let first = Scan { limit: 64, ..Scan::default() };
    let deadlines = RUN_DEADLINES.scan(inner.store.read()?.as_ref(), first)?;
    let any = !deadlines.is_empty();
    let due = deadlines.into_iter().take_while(|((deadline, _), ())| *deadline <= now);
    Ok((due.map(|((_, run), ())| run).collect(), any))
}

/// Which leases of ours are to be renewed, and which runs were left by their workers.
fn sort_leases(inner: &Inner) -> Result<(Vec<RunId>, Vec<RunId>)> {
    let now = inner.clock.now();
    let soon = now.plus(inner.options.lease / 2);
    let (mut renewed, mut left) = (Vec::new(), Vec::new());
    for (run, lease) in RUN_LEASES.all(inner.store.read()?.as_ref(), "")? {
        if lease.epoch == inner.epoch && working(inner, run).is_some() {
            if lease.until <= soon {
                renewed.push(run);
            }
        } else if lease.until <= now {
            left.push(run);
        }
    }
    Ok((renewed, left))
}

fn rewrite_leases(inner: &Inner, renewed: &[RunId], left: &[RunId]) -> Result<()> {
    let mut write = inner.store.write()?;
    let until = inner.clock.now().plus(inner.options.lease);
    for run in renewed {
        // It may have ended since we looked.
        if holds(inner, write.as_ref(), *run)? {
            RUN_LEASES.put(write.as_mut(), run, &Lease { epoch: inner.epoch, until })?;
        }
    }
    for run in left {
        if RUNS.get(write.as_ref(), run)?.is_some_and(|run| !run.status.is_terminal()) {
            requeue(write.as_mut(), *run)?;
        }
    }
    write.commit()
}
