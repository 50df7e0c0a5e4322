//! Whether a difference between two pipelines is more than chance.
//!
//! Both were asked the same queries, so differences are paired. The permutation test flips their
//! signs (Smucker, Allan and Carterette, "A comparison of statistical significance tests for
//! information retrieval evaluation", CIKM 2007); intervals are percentiles of the bootstrap of
//! means (Efron and Tibshirani, 1993); several comparisons are corrected by Holm (1979). All draws
//! come from a seed, so that the same scores give the same verdict.

/// How many times chance is asked.
pub const ROUNDS: usize = 10_000;

/// An interval that holds the mean with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// The arithmetic mean; 0 of nothing.
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// The 95 % percentile bootstrap interval of the mean of `values`.
pub fn bootstrap(values: &[f64], rounds: usize, seed: u64) -> Interval {
    if values.is_empty() || rounds == 0 {
        let mean = mean(values);
        return Interval { low: mean, high: mean };
    }
    let mut random = Random(seed);
    let mut means: Vec<f64> = (0..rounds)
        .map(|_| {
            let draws = (0..values.len()).map(|_| values[random.below(values.len())]);
            draws.sum::<f64>() / values.len() as f64
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    interval_of(&means, 0.0)
}

/// The 95 % percentile bootstrap interval of the mean of the means of `strata`, each drawn from
/// itself alone. A stratum of nothing counts as 0.
pub fn bootstrap_strata(strata: &[Vec<f64>], rounds: usize, seed: u64) -> Interval {
    let weighted = weighted(strata);
    let mut random = Random(seed);
    let mut means: Vec<f64> = (0..rounds)
        .map(|_| {
            let strata = weighted.iter();
            strata
                .map(|values| {
                    let draws = (0..values.len()).map(|_| values[random.below(values.len())]);
                    draws.sum::<f64>()
                })
                .sum()
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    interval_of(&means, weighted.iter().flatten().sum())
}

/// [`permutation`] for the mean of the means of `strata`: signs flip query by query as before, and
/// each query weighs what it adds to that mean.
pub fn permutation_strata(strata: &[Vec<f64>], rounds: usize, seed: u64) -> f64 {
    permutation(&weighted(strata).concat(), rounds, seed)
}

/// What each value adds to the mean of the means.
fn weighted(strata: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let weigh = |values: &Vec<f64>| {
        let share = 1.0 / (values.len() * strata.len()) as f64;
        values.iter().map(|value| value * share).collect()
    };
    strata.iter().map(weigh).collect()
}

/// The 95 % in the middle of the sorted `means`; of none, `otherwise`.
fn interval_of(means: &[f64], otherwise: f64) -> Interval {
    let at = |share: f64| {
        let last = means.len().saturating_sub(1) as f64;
        means.get((last * share).round() as usize).copied().unwrap_or(otherwise)
    };
    Interval { low: at(0.025), high: at(0.975) }
}

/// The two-sided p-value of the mean of paired `differences` under sign flips.
///
/// It counts the observed arrangement among the draws, so it is never 0: with `rounds` draws the
/// smallest possible is 1 / (rounds + 1).
pub fn permutation(differences: &[f64], rounds: usize, seed: u64) -> f64 {
    let observed = differences.iter().sum::<f64>().abs();
    // What floating-point sums of the same numbers in another order may differ by.
    let tolerance = 1e-12 * differences.iter().map(|it| it.abs()).sum::<f64>();
    let mut random = Random(seed);
    let as_extreme = (0..rounds)
        .filter(|_| {
            let flipped = differences.iter().map(|it| if random.coin() { *it } else { -*it });
            flipped.sum::<f64>().abs() >= observed - tolerance
        })
        .count();
    (as_extreme + 1) as f64 / (rounds + 1) as f64
}

/// Holm's step-down correction: the p-values as they are after asking several questions at once,
/// in the order given.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut corrected = vec![0.0; p_values.len()];
    let mut floor: f64 = 0.0;
    for (rank, &at) in order.iter().enumerate() {
        let factor = (p_values.len() - rank) as f64;
        floor = floor.max((p_values[at] * factor).min(1.0));
        corrected[at] = floor;
    }
    corrected
}

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): eight lines that give the same numbers on
/// every machine and in every version, which crates of random numbers do not promise.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn coin(&mut self) -> bool {
        self.next() >> 63 == 0
    }

    /// The values in the order of chance (Fisher and Yates, as Durstenfeld has it).
    pub(crate) fn shuffle<T>(&mut self, values: &mut [T]) {
        for at in (1..values.len()).rev() {
            values.swap(at, self.below(at + 1));
        }
    }

    /// Below `bound`; the bias of a multiplication is under 2^-32 for any number of queries.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_difference_is_chance() {
        assert_eq!(permutation(&[0.0; 20], 1000, 1), 1.0);
        let balanced: Vec<f64> = (0..50).map(|i| if i % 2 == 0 { 0.1 } else { -0.1 }).collect();
        assert!(permutation(&balanced, 2000, 1) > 0.5);
    }

    #[test]
    fn a_steady_difference_is_not() {
        assert!(permutation(&[0.01; 30], 10_000, 1) < 0.001);
    }

    /// All 2^6 arrangements by hand: only the observed one and its mirror are as extreme.
    #[test]
    fn the_p_value_is_the_share_of_arrangements() {
        let p = permutation(&[0.1, 0.2, 0.3, 0.15, 0.25, 0.05], 100_000, 7);
        assert!((p - 2.0 / 64.0).abs() < 0.003, "{p}");
    }

    #[test]
    fn the_interval_holds_the_mean_and_narrows() {
        let few: Vec<f64> = (0..20).map(|i| f64::from(i) / 20.0).collect();
        let many: Vec<f64> = few.iter().cycle().take(2000).copied().collect();
        let (wide, narrow) = (bootstrap(&few, 2000, 3), bootstrap(&many, 2000, 3));
        for interval in [wide, narrow] {
            assert!(interval.low < mean(&few) && mean(&few) < interval.high, "{interval:?}");
        }
        // The error of a mean falls with the root of the number.
        let ratio = (wide.high - wide.low) / (narrow.high - narrow.low);
        assert!((8.0..12.5).contains(&ratio), "{ratio}");
        assert_eq!(bootstrap(&[], 10, 1), Interval { low: 0.0, high: 0.0 });
    }

    #[test]
    fn the_same_seed_gives_the_same_verdict() {
        let values = [0.1, 0.5, -0.2, 0.3];
        assert_eq!(bootstrap(&values, 500, 9), bootstrap(&values, 500, 9));
        assert_eq!(permutation(&values, 500, 9), permutation(&values, 500, 9));
    }

    #[test]
    fn every_stratum_weighs_the_same() {
        // A large set without a difference does not hide a small one with it.
        let strata = [vec![0.2, 0.3, 0.1, 0.2, 0.2, 0.25, 0.15, 0.2], vec![0.0; 1000]];
        let interval = bootstrap_strata(&strata, 2000, 5);
        assert!(interval.low < 0.1 && 0.1 < interval.high && interval.low > 0.05, "{interval:?}");
        assert!(permutation_strata(&strata, 5000, 5) < 0.02);
        assert!(permutation(&strata.concat(), 5000, 5) < 0.02);
        // One that falls as far as the other rises leaves nothing.
        let against = [vec![0.1; 20], vec![-0.1; 200]];
        let interval = bootstrap_strata(&against, 500, 5);
        assert!(interval.low.abs() < 1e-9 && interval.high.abs() < 1e-9, "{interval:?}");
        // One stratum is the plain case.
        let alone = [vec![0.1, -0.2, 0.4, 0.3]];
        let (mine, plain) = (bootstrap_strata(&alone, 500, 9), bootstrap(&alone[0], 500, 9));
        assert!((mine.low - plain.low).abs() < 1e-9 && (mine.high - plain.high).abs() < 1e-9);
        assert!((permutation_strata(&alone, 500, 9) - permutation(&alone[0], 500, 9)).abs() < 1e-9);
        assert_eq!(bootstrap_strata(&[], 10, 1), Interval { low: 0.0, high: 0.0 });
        assert_eq!(bootstrap_strata(&[vec![], vec![]], 10, 1), Interval { low: 0.0, high: 0.0 });
    }

    /// The example of Holm's paper in numbers: each p by what is left to ask, never falling.
    #[test]
    fn holm_by_hand() {
        let corrected = holm(&[0.01, 0.04, 0.03, 0.005]);
        let expected = [0.03, 0.06, 0.06, 0.02];
        for (got, want) in corrected.iter().zip(expected) {
            assert!((got - want).abs() < 1e-12, "{corrected:?}");
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
