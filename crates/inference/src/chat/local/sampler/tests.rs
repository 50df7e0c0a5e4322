use docent_core::ErrorKind;
use proptest::prelude::*;

use super::*;

const WARM: Choice =
    Choice { temperature: 1.0, top_p: 1.0, top_k: 0, min_p: 0.0, repetition_penalty: 1.0 };

fn drawn(choice: Choice, logits: &[f32], seed: u64, count: usize) -> Vec<u32> {
    let mut sampler = Sampler::new(choice, Some(seed));
    (0..count).map(|_| sampler.choose(logits).unwrap()).collect()
}

/// The tokens that come at all.
fn kinds(choice: Choice, logits: &[f32]) -> Vec<u32> {
    let mut kinds = drawn(choice, logits, 7, 4000);
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

#[test]
fn cold_takes_the_likeliest_and_among_equals_the_lowest_id() {
    let mut sampler = Sampler::new(Choice::default(), None);
    assert_eq!(sampler.choose(&[0.5, 2.0, 2.0, -1.0]).unwrap(), 1);
    assert_eq!(sampler.choose(&[f32::NEG_INFINITY, -3.0, -3.0]).unwrap(), 1);
    assert_eq!(sampler.choose(&[f32::NEG_INFINITY, f32::INFINITY]).unwrap(), 1);
}

#[test]
fn scores_that_are_no_numbers_are_an_error() {
    for choice in [Choice::default(), WARM] {
        let mut sampler = Sampler::new(choice, Some(1));
        for logits in [&[0.0, f32::NAN][..], &[f32::NEG_INFINITY; 3], &[]] {
            assert_eq!(sampler.choose(logits).unwrap_err().kind(), ErrorKind::Internal);
        }
        assert_eq!(sampler.choose(&[0.0, f32::INFINITY]).unwrap(), 1);
    }
}

/// The numbers themselves: a change here changes every seeded answer.
#[test]
fn a_seed_draws_the_same_tokens_on_every_machine_and_for_ever() {
    let logits: Vec<f32> = (0..50).map(|token| (token % 7) as f32 * 0.5).collect();
    assert_eq!(drawn(WARM, &logits, 42, 8), FROM_SEED_42);
    assert_ne!(drawn(WARM, &logits, 43, 8), FROM_SEED_42);
}

const FROM_SEED_42: [u32; 8] = [32, 20, 34, 41, 6, 38, 27, 3];

#[test]
fn shares_are_those_of_the_softmax() {
    let logits = [1.0f32, 0.0, -1.0];
    let drawn = drawn(WARM, &logits, 3, 20_000);
    let total: f64 = logits.iter().map(|score| f64::from(*score).exp()).sum();
    for (token, score) in (0u32..).zip(logits) {
        let share = drawn.iter().filter(|other| **other == token).count() as f64 / 20_000.0;
        assert!((share - f64::from(score).exp() / total).abs() < 0.02, "{token}: {share}");
    }
}

#[test]
fn each_limit_leaves_out_what_it_should() {
    // Shares of 0.53, 0.32, 0.12, 0.03.
    let logits = [2.0, 1.5, 0.5, -1.0];
    assert_eq!(kinds(WARM, &logits), [0, 1, 2, 3]);
    assert_eq!(kinds(Choice { top_k: 2, ..WARM }, &logits), [0, 1]);
    assert_eq!(kinds(Choice { top_p: 0.6, ..WARM }, &logits), [0, 1]);
    assert_eq!(kinds(Choice { top_p: 0.5, ..WARM }, &logits), [0]);
    assert_eq!(kinds(Choice { min_p: 0.2, ..WARM }, &logits), [0, 1, 2]);
    assert_eq!(kinds(Choice { min_p: 2.0, ..WARM }, &logits), [0]);
    assert_eq!(kinds(Choice { top_p: 0.0, ..WARM }, &logits), [0]);
    assert_eq!(kinds(Choice { temperature: 0.1, ..WARM }, &[2.0, -2.0]), [0]);
}

#[test]
fn what_was_said_lately_is_less_likely_once_and_what_was_said_long_ago_is_not() {
    let mut sampler = Sampler::new(Choice { repetition_penalty: 2.0, ..WARM }, Some(1));
    for token in [0, 0, 1] {
        sampler.said(token);
    }
    let mut logits = [2.0, -2.0, 2.0];
    sampler.penalize(&mut logits);
    assert_eq!(logits, [1.0, -4.0, 2.0]);
    for _ in 0..PENALTY_WINDOW {
        sampler.said(2);
    }
    let mut logits = [2.0, -2.0, 2.0];
    sampler.penalize(&mut logits);
    assert_eq!(logits, [2.0, -2.0, 1.0]);
}

proptest! {
    #[test]
    fn a_token_that_is_ruled_out_never_comes(
        scores in prop::collection::vec(prop_oneof![Just(f32::NEG_INFINITY), -50f32..50.0], 1..40),
        temperature in 0f32..3.0, top_p in 0f32..1.0, top_k in 0usize..9, min_p in 0f32..1.0,
        seed: u64,
    ) {
        prop_assume!(scores.iter().any(|score| score.is_finite()));
        let choice = Choice { temperature, top_p, top_k, min_p, repetition_penalty: 1.0 };
        for token in drawn(choice, &scores, seed, 5) {
            prop_assert!(scores[token as usize].is_finite());
        }
    }
}
