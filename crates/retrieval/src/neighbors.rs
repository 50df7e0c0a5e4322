//! The best candidates say what an answer looks like.
//!
//! Passages that answer the same question are alike (the cluster hypothesis; Jardine and van
//! Rijsbergen, 1971), so a candidate close to the very best ones rises. It is Rocchio's relevance
//! feedback with nobody asked, over the vectors of the candidates alone: a few hundred products,
//! no model and no second search. docs/quality.md says what it gains.

use docent_core::CosineScale;

use crate::fusion::Fused;

/// How much the neighbors say beside the query itself. With more, a wrong first candidate draws
/// others of its kind after it: a loss where one passage alone answers.
const SHARE: f32 = 0.2;

/// Cosines between passages are spread less than words and cosines with the query together.
const STRETCH: f32 = 1.5;

/// Looks at `fused` again by how like each candidate is to the first `count`. `directions` has
/// each candidate's vector; one without keeps its place.
pub(crate) fn rerank(
    fused: &mut Fused,
    directions: &[Option<Vec<f32>>],
    cosines: CosineScale,
    count: usize,
) {
    let weighted = weights(fused, directions, count);
    if weighted.is_empty() {
        return;
    }
    for (candidate, direction) in fused.candidates.iter_mut().zip(directions) {
        let Some(direction) = direction else { continue };
        let alike: f32 = weighted.iter().map(|(weight, best)| weight * dot(best, direction)).sum();
        let relevance = (alike - cosines.unrelated) / cosines.spread;
        candidate.neighbors = Some(alike);
        candidate.relevance = (1.0 - SHARE) * candidate.relevance + SHARE * STRETCH * relevance;
    }
    fused.sort();
}

/// The vectors of the first `count` candidates, and how sure each is to be right beside the others:
/// their relevance by softmax.
fn weights<'a>(
    fused: &Fused,
    directions: &'a [Option<Vec<f32>>],
    count: usize,
) -> Vec<(f32, &'a [f32])> {
    let first = fused.candidates.iter().zip(directions).take(count);
    let known: Vec<(f32, &[f32])> = first
        .filter_map(|(candidate, direction)| Some((candidate.relevance, direction.as_deref()?)))
        .collect();
    let Some(best) = known.first().map(|(relevance, _)| *relevance) else { return known };
    let parts = known.iter().map(|(relevance, _)| (relevance - best).exp());
    let sum: f32 = parts.clone().sum();
    parts.zip(&known).map(|(part, (_, direction))| (part / sum, *direction)).collect()
}

/// In lanes, which the compiler adds side by side; a single sum it would have to add one by one.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let mut lanes = [0.0; 16];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..16 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use docent_core::ChunkId;

    use super::*;
    use crate::fusion::Candidate;

    fn fused(relevances: &[f32]) -> Fused {
        let store = "vs_0123456789abcdefghijABCD".parse().unwrap();
        let candidate = |(at, &relevance): (usize, &f32)| Candidate {
            relevance,
            ..Candidate::new(store, ChunkId(at as u64))
        };
        Fused::new(relevances.iter().enumerate().map(candidate).collect())
    }

    fn order(fused: &Fused) -> Vec<u64> {
        fused.candidates.iter().map(|candidate| candidate.chunk.0).collect()
    }

    #[test]
    fn a_candidate_like_the_best_passes_one_that_is_not() {
        let mut fused = fused(&[20.0, 10.0, 9.9]);
        let directions = [vec![1.0, 0.0], vec![0.0, 1.0], vec![0.8, 0.6]].map(Some);
        rerank(&mut fused, &directions, CosineScale::default(), 1);
        assert_eq!(order(&fused), [0, 2, 1]);
        assert_eq!(fused.candidates[1].neighbors, Some(0.8));
    }

    #[test]
    fn without_vectors_nothing_changes() {
        let mut fused = fused(&[3.0, 2.0]);
        rerank(&mut fused, &[None, None], CosineScale::default(), 3);
        assert_eq!(order(&fused), [0, 1]);
        assert_eq!(fused.candidates[0].relevance, 3.0);
    }
}
