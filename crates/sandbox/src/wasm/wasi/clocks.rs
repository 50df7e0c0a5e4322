//! Arguments, environment, time, chance, and what is not supported.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Call, GuestMemory, Result};
use crate::wasm::errno::Errno;

const REALTIME: u32 = 0;
/// Monotonic, and the time of the process and of the thread, which are as good as that.
const OTHERS: std::ops::RangeInclusive<u32> = 1..=3;

/// Nanoseconds since 1970.
pub(in crate::wasm) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

impl Call<'_> {
    pub(super) fn args_get(&mut self, list: u32, text: u32) -> Result {
        write_strings(&mut self.memory, &self.wasi.arguments, list, text)
    }

    pub(super) fn args_sizes_get(&mut self, count: u32, bytes: u32) -> Result {
        write_sizes(&mut self.memory, &self.wasi.arguments, count, bytes)
    }

    pub(super) fn environ_get(&mut self, list: u32, text: u32) -> Result {
        write_strings(&mut self.memory, &self.wasi.environment, list, text)
    }

    pub(super) fn environ_sizes_get(&mut self, count: u32, bytes: u32) -> Result {
        write_sizes(&mut self.memory, &self.wasi.environment, count, bytes)
    }

    pub(super) fn clock_res_get(&mut self, clock: u32, out: u32) -> Result {
        self.time(clock)?;
        self.memory.write_u64(out, 1000)
    }

    pub(super) fn clock_time_get(&mut self, clock: u32, _precision: u64, out: u32) -> Result {
        let time = self.time(clock)?;
        self.memory.write_u64(out, time)
    }

    /// What a clock shows, in nanoseconds.
    pub(in crate::wasm) fn time(&self, clock: u32) -> Result<u64> {
        match clock {
            REALTIME => Ok(now()),
            clock if OTHERS.contains(&clock) => {
                u64::try_from(self.wasi.started.elapsed().as_nanos()).map_err(|_| Errno::Invalid)
            }
            _ => Err(Errno::Invalid),
        }
    }

    pub(super) fn random_get(&mut self, buffer: u32, len: u32) -> Result {
        let buffer = self.memory.bytes_mut(buffer, len)?;
        getrandom::fill(buffer).map_err(|_| Errno::NotSupported)
    }

    pub(super) fn sched_yield(&mut self) -> Result {
        Ok(())
    }

    pub(super) fn sock_accept(&mut self, _: u32, _: u32, _: u32) -> Result {
        Err(Errno::NotSupported)
    }

    pub(super) fn sock_recv(&mut self, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32) -> Result {
        Err(Errno::NotSupported)
    }

    pub(super) fn sock_send(&mut self, _: u32, _: u32, _: u32, _: u32, _: u32) -> Result {
        Err(Errno::NotSupported)
    }

    pub(super) fn sock_shutdown(&mut self, _: u32, _: u32) -> Result {
        Err(Errno::NotSupported)
    }
}

fn write_sizes(memory: &mut GuestMemory<'_>, list: &[String], count: u32, bytes: u32) -> Result {
    let total: usize = list.iter().map(|it| it.len() + 1).sum();
    memory.write_u32(count, u32::try_from(list.len()).map_err(|_| Errno::TooLarge)?)?;
    memory.write_u32(bytes, u32::try_from(total).map_err(|_| Errno::TooLarge)?)
}

/// Writes the strings one after the other, each with a NUL, and where each begins.
fn write_strings(memory: &mut GuestMemory<'_>, list: &[String], at: u32, text: u32) -> Result {
    let (mut at, mut text) = (at, text);
    for string in list {
        memory.write_u32(at, text)?;
        memory.write(text, string.as_bytes())?;
        let len = u32::try_from(string.len()).map_err(|_| Errno::TooLarge)?;
        let end = text.checked_add(len).ok_or(Errno::Fault)?;
        memory.write(end, &[0])?;
        text = end.checked_add(1).ok_or(Errno::Fault)?;
        at = at.checked_add(4).ok_or(Errno::Fault)?;
    }
    Ok(())
}
