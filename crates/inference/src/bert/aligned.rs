//! Numbers that begin at a cache line.

use std::ops::{Deref, DerefMut};

/// A cache line of x86 and most ARM processors, in numbers.
const LINE: usize = 64 / size_of::<f32>();

/// A buffer whose first number begins a cache line. A 64-byte load that straddles two lines
/// costs two loads, and every load of an unaligned panel would.
#[derive(Debug, Default)]
pub(crate) struct AlignedBuffer {
    data: Vec<f32>,
    start: usize,
    len: usize,
}

impl AlignedBuffer {
    pub(crate) fn zeros(len: usize) -> Self {
        let mut buffer = Self::default();
        buffer.resize(len);
        buffer
    }

    /// Makes it `len` long. What it holds is then whatever it held before, or 0.
    pub(crate) fn resize(&mut self, len: usize) {
        if self.start + len > self.data.len() {
            // Not `resize`: the old numbers need not move along.
            self.data = vec![0.0; len + LINE];
            self.start = self.data.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        }
        self.len = len;
    }
}

impl Deref for AlignedBuffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.data[self.start..self.start + self.len]
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.data[self.start..self.start + self.len]
    }
}
