//! The guest's memory, behind checks.

use super::Result;
use crate::wasm::errno::Errno;

/// How many buffers one call may name, as on Linux.
const BUFFERS: u32 = 1024;

/// The memory of a guest: everything outside it is a fault of the guest's, never of ours.
#[derive(Debug)]
pub(in crate::wasm) struct GuestMemory<'a>(pub(in crate::wasm) &'a mut [u8]);

impl GuestMemory<'_> {
    pub(in crate::wasm) fn bytes(&self, at: u32, len: u32) -> Result<&[u8]> {
        self.0.get(at as usize..).and_then(|it| it.get(..len as usize)).ok_or(Errno::Fault)
    }

    pub(in crate::wasm) fn bytes_mut(&mut self, at: u32, len: u32) -> Result<&mut [u8]> {
        self.0.get_mut(at as usize..).and_then(|it| it.get_mut(..len as usize)).ok_or(Errno::Fault)
    }

    pub(in crate::wasm) fn text(&self, at: u32, len: u32) -> Result<&str> {
        std::str::from_utf8(self.bytes(at, len)?).map_err(|_| Errno::IllegalBytes)
    }

    pub(in crate::wasm) fn write(&mut self, at: u32, bytes: &[u8]) -> Result {
        let len = u32::try_from(bytes.len()).map_err(|_| Errno::Fault)?;
        self.bytes_mut(at, len)?.copy_from_slice(bytes);
        Ok(())
    }

    pub(in crate::wasm) fn write_u32(&mut self, at: u32, value: u32) -> Result {
        self.write(at, &value.to_le_bytes())
    }

    pub(in crate::wasm) fn write_u64(&mut self, at: u32, value: u64) -> Result {
        self.write(at, &value.to_le_bytes())
    }

    pub(in crate::wasm) fn read_u32(&self, at: u32) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(at)?))
    }

    pub(in crate::wasm) fn array<const N: usize>(&self, at: u32) -> Result<[u8; N]> {
        let bytes = self.0.get(at as usize..).and_then(|it| it.get(..N)).ok_or(Errno::Fault)?;
        bytes.try_into().map_err(|_| Errno::Fault)
    }

    /// The buffers of a list, each where it begins and how long it is.
    pub(in crate::wasm) fn buffers(&self, list: u32, count: u32) -> Result<Vec<(u32, u32)>> {
        if count > BUFFERS {
            return Err(Errno::Invalid);
        }
        let buffer = |index: u32| {
            let at = list.checked_add(index * 8).ok_or(Errno::Fault)?;
            let [a, b, c, d, e, f, g, h] = self.array(at)?;
            Ok((u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])))
        };
        (0..count).map(buffer).collect()
    }
}
