//! Rows that change no more, shared with a graph over them.

use std::fmt;
use std::sync::Arc;

use super::dot::Kernel;
use super::rows::{BLOCK_ROWS, Block, Rows, quantize};

/// The full blocks of a matrix. Cloning shares them.
#[derive(Clone)]
pub(crate) struct Sealed {
    blocks: Arc<[Arc<Block>]>,
    stride: usize,
    generation: u64,
    kernel: Kernel,
}

/// A point is a row's number in four bytes; a query is its scale in four bytes, then its codes.
const POINT_BYTES: usize = 4;

impl Sealed {
    pub(super) fn new(rows: &Rows, generation: u64) -> Self {
        let blocks = rows.full_blocks().into();
        Self { blocks, stride: rows.stride, generation, kernel: Kernel::detect() }
    }

    pub(crate) fn rows(&self) -> usize {
        self.blocks.len() * BLOCK_ROWS
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Row `number` as a point.
    pub(crate) fn point(number: usize) -> [i8; POINT_BYTES] {
        (number as u32).to_le_bytes().map(u8::cast_signed)
    }

    /// `vector` as a query.
    pub(crate) fn query(&self, vector: &[f32]) -> Vec<i8> {
        let mut packed = vec![0; POINT_BYTES + self.stride];
        let scale = quantize(vector, &mut packed[POINT_BYTES..]);
        packed[..POINT_BYTES].copy_from_slice(&scale.to_le_bytes().map(u8::cast_signed));
        packed
    }

    /// The cosine of two points, or of a query and a point.
    pub(crate) fn cosine(&self, a: &[i8], b: &[i8]) -> f32 {
        let (a_scale, a_codes) = self.unpack(a);
        let (b_scale, b_codes) = self.unpack(b);
        self.kernel.dot(a_codes, b_codes) as f32 * a_scale * b_scale
    }

    fn unpack<'a>(&'a self, packed: &'a [i8]) -> (f32, &'a [i8]) {
        let mut head = [0; POINT_BYTES];
        head.iter_mut().zip(packed).for_each(|(to, from)| *to = from.cast_unsigned());
        if packed.len() > POINT_BYTES {
            return (f32::from_le_bytes(head), &packed[POINT_BYTES..]);
        }
        let number = u32::from_le_bytes(head) as usize;
        let block = &self.blocks[number / BLOCK_ROWS];
        let at = number % BLOCK_ROWS;
        (block.scales[at], &block.codes[at * self.stride..(at + 1) * self.stride])
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} rows)", self.rows())
    }
}
