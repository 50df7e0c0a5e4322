//! Rotary positions (Su et al. 2021): pairs of a head's dimensions turn with the token's place.

use docent_core::{Error, Result};

use super::shape::Shape;

/// How fast each pair turns, in radians a token.
#[derive(Debug)]
pub(super) struct Rope {
    speeds: Vec<f32>,
    /// What sine and cosine are multiplied by.
    factor: f32,
    in_pairs: bool,
}

/// Sines and cosines of some rows' places.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// `[row][pair]`
    values: Vec<(f32, f32)>,
}

impl Rope {
    /// For layers whose base is `base`. `slower` divides each pair's speed.
    ///
    /// # Errors
    /// [`Corrupt`](docent_core::ErrorKind::Corrupt) if `slower` is not one number a pair.
    pub(super) fn new(
        shape: &Shape,
        base: f32,
        stretch: f32,
        slower: Option<&[f32]>,
        factor: f32,
    ) -> Result<Self> {
        let pairs = shape.turning / 2;
        if slower.is_some_and(|slower| slower.len() != pairs) {
            return Err(Error::corrupt("its factors of positions do not fit its heads"));
        }
        let speed = |pair: usize| {
            let trained = f64::from(base).powf(-2.0 * pair as f64 / shape.turning as f64);
            let slower = slower.map_or(1.0, |slower| f64::from(slower[pair]));
            (trained / slower / f64::from(stretch)) as f32
        };
        Ok(Self {
            speeds: (0..pairs).map(speed).collect(),
            factor,
            in_pairs: shape.turns_in_pairs(),
        })
    }

    /// Fills `turns` for the places of some rows.
    pub(super) fn turns(&self, places: impl Iterator<Item = usize>, turns: &mut Turns) {
        turns.values.clear();
        for place in places {
            turns.values.extend(self.speeds.iter().map(|speed| {
                // In f64: an angle of thousands of turns keeps its digits.
                let (sin, cos) = (place as f64 * f64::from(*speed)).sin_cos();
                (sin as f32 * self.factor, cos as f32 * self.factor)
            }));
        }
    }

    /// Turns one head's vector of the `row`th place.
    pub(super) fn turn(&self, turns: &Turns, row: usize, head: &mut [f32]) {
        let pairs = self.speeds.len();
        let turns = &turns.values[row * pairs..][..pairs];
        if self.in_pairs {
            for (pair, &(sin, cos)) in head.chunks_exact_mut(2).zip(turns) {
                (pair[0], pair[1]) = (pair[0] * cos - pair[1] * sin, pair[0] * sin + pair[1] * cos);
            }
        } else {
            let (first, second) = head[..2 * pairs].split_at_mut(pairs);
            for ((a, b), &(sin, cos)) in first.iter_mut().zip(second).zip(turns) {
                (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
            }
        }
    }
}
