//! One vector out of many.

use docent_core::Pooling;

use crate::manifest::EmbedderManifest;

/// The vector that stands for a window, from its token vectors (row-major, at least one, each of
/// `dims` numbers).
pub(super) fn pool(rows: &[f32], dims: usize, settings: &EmbedderManifest) -> Vec<f32> {
    let mut vector = match settings.pooling {
        Pooling::Mean => mean(rows, dims),
        Pooling::Cls => rows[..dims].to_vec(),
        _ => rows[rows.len() - dims..].to_vec(),
    };
    vector.truncate(settings.dims);
    // Cut off, it is shorter than the model made it.
    if settings.normalize || settings.dims < dims {
        normalize(&mut vector);
    }
    vector
}

fn mean(rows: &[f32], dims: usize) -> Vec<f32> {
    let mut sums = vec![0.0; dims];
    for row in rows.chunks_exact(dims) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    let count = (rows.len() / dims) as f32;
    sums.iter_mut().for_each(|sum| *sum /= count);
    sums
}

/// Scales `vector` to length 1; a vector of zeros stays.
pub(super) fn normalize(vector: &mut [f32]) {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
}
