//! Sleeping: the one call in which a guest waits.

use std::thread;
use std::time::{Duration, Instant};

use wasmtime::Caller;

use super::artifact::SIGNALS;
use super::errno::Errno;
use super::guest::{State, Stopped};
use super::wasi::{Call, GuestMemory};
use super::watch::Step;

/// How often a sleeper looks at its watch.
const NAP: Duration = Duration::from_millis(10);
/// How many things one call may wait for.
const SUBSCRIPTIONS: u32 = 64;
const SUBSCRIPTION_BYTES: u32 = 48;
const EVENT_BYTES: u32 = 32;
const CLOCK: u8 = 0;
const IS_ABSOLUTE: u16 = 1;

/// What a guest waits for.
#[derive(Clone, Copy, Debug)]
struct Subscription {
    word: u64,
    kind: u8,
    /// How long, if it is a clock's. A stream or a file is ready at once.
    wait: Option<Duration>,
}

pub(super) fn poll_oneoff(
    mut caller: Caller<'_, State>,
    list: u32,
    events: u32,
    count: u32,
    out: u32,
) -> wasmtime::Result<i32> {
    let subscriptions = match Call::new(&mut caller).and_then(|call| read(&call, list, count)) {
        Ok(subscriptions) => subscriptions,
        Err(errno) => return Ok(errno.code()),
    };
    let start = Instant::now();
    let shortest = subscriptions.iter().map(|it| it.wait.unwrap_or_default()).min();
    let woken = sleep(&mut caller, start, shortest.unwrap_or_default())?;
    let passed = start.elapsed();
    let mut ready = subscriptions;
    ready.retain(|it| woken == Woken::Early || it.wait.is_none_or(|wait| wait <= passed));
    let written = Call::new(&mut caller).and_then(|mut call| write(&mut call, &ready, events, out));
    Ok(written.map_or_else(Errno::code, |()| 0))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    InTime,
    /// By an interruption. The C library takes any error of this call for another one, so the
    /// sleeper is told that its time has come; Python then looks whether there was a signal.
    Early,
}

/// Waits, but not longer than the program may run.
fn sleep(
    caller: &mut Caller<'_, State>,
    start: Instant,
    wait: Duration,
) -> wasmtime::Result<Woken> {
    loop {
        match caller.data_mut().watch.step(Instant::now()) {
            Step::Kill => return Err(Stopped::Killed.into()),
            Step::Interrupt => with_memory(caller, |memory| SIGNALS.interrupt(memory)),
            Step::Continue => {}
        }
        // It may have come before the guest got here.
        let mut is_interrupted = false;
        with_memory(caller, |memory| is_interrupted = SIGNALS.are_pending(memory));
        if is_interrupted {
            return Ok(Woken::Early);
        }
        let Some(left) = wait.checked_sub(start.elapsed()).filter(|it| !it.is_zero()) else {
            return Ok(Woken::InTime);
        };
        thread::sleep(left.min(NAP));
    }
}

fn with_memory(caller: &mut Caller<'_, State>, act: impl FnOnce(&mut GuestMemory<'_>)) {
    if let Some(memory) = caller.data().memory {
        act(&mut GuestMemory(memory.data_mut(caller)));
    }
}

fn read(call: &Call<'_>, list: u32, count: u32) -> Result<Vec<Subscription>, Errno> {
    if !(1..=SUBSCRIPTIONS).contains(&count) {
        return Err(Errno::Invalid);
    }
    (0..count)
        .map(|index| {
            let at = list.checked_add(index * SUBSCRIPTION_BYTES).ok_or(Errno::Fault)?;
            subscription(call, call.memory().array(at)?)
        })
        .collect()
}

fn subscription(
    call: &Call<'_>,
    bytes: [u8; SUBSCRIPTION_BYTES as usize],
) -> Result<Subscription, Errno> {
    let [a, b, c, d, e, f, g, h, kind, ..] = bytes;
    let word = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    if kind != CLOCK {
        return Ok(Subscription { word, kind, wait: None });
    }
    let number = |from: usize, len: usize| {
        bytes[from..from + len].iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let clock = u32::try_from(number(16, 4)).map_err(|_| Errno::Invalid)?;
    let time = number(24, 8);
    let is_absolute = number(40, 2) & u64::from(IS_ABSOLUTE) != 0;
    let passed = call.time(clock)?;
    let wait = if is_absolute { time.saturating_sub(passed) } else { time };
    Ok(Subscription { word, kind, wait: Some(Duration::from_nanos(wait)) })
}

fn write(call: &mut Call<'_>, ready: &[Subscription], events: u32, out: u32) -> Result<(), Errno> {
    let mut at = events;
    for subscription in ready {
        let mut event = [0; EVENT_BYTES as usize];
        event[..8].copy_from_slice(&subscription.word.to_le_bytes());
        event[10] = subscription.kind;
        call.memory_mut().write(at, &event)?;
        at = at.checked_add(EVENT_BYTES).ok_or(Errno::Fault)?;
    }
    call.memory_mut().write_u32(out, u32::try_from(ready.len()).map_err(|_| Errno::Invalid)?)
}
