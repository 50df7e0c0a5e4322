//! Processors without VNNI: products are computed in f32.

use std::ops::Range;

use super::linear::Place;
use super::packed::Codes;

/// That this processor has the instructions, which none of these has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Vnni {}

impl Vnni {
    pub(super) fn detect() -> Option<Self> {
        None
    }
}

/// Rows in 8 bits, of which there are none.
#[derive(Debug, Default)]
pub(super) struct Activations;

impl Activations {
    pub(super) fn pack(&mut self, vnni: Vnni, _: &[f32], _: usize) {
        match vnni {}
    }
}

/// Never called, as there is no [`Vnni`].
pub(super) fn multiply(vnni: Vnni, _: &Activations, _: &Codes, _: Range<usize>, _: &mut Place<'_>) {
    match vnni {}
}
