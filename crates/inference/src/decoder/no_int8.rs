//! Processors without VNNI: products are computed in f32.

use std::ops::Range;

use super::linear::Place;
use super::packed::Codes;

/// Whether this processor has the instructions.
pub(super) fn available() -> bool {
    false
}

/// Rows in 8 bits, of which there are none.
#[derive(Debug, Default)]
pub(super) struct Activations;

impl Activations {
    pub(super) fn pack(&mut self, _: &[f32], _: usize) {}
}

/// Never called where it is not [`available`].
pub(super) fn multiply(_: &Activations, _: &Codes, _: Range<usize>, _: &mut Place<'_>) {}
