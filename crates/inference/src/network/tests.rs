use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::manifest::Manifest;

/// A tiny network of `tests/fixtures/families`.
pub(crate) fn family(name: &str, kind: &str, architecture: &str) -> ModelFiles {
    let dir = family_dir(name);
    let roles = [
        (FileRole::Weights, "model.safetensors"),
        (FileRole::Config, "config.json"),
        (FileRole::Tokenizer, "tokenizer.json"),
    ];
    let paths: BTreeMap<FileRole, PathBuf> = roles
        .into_iter()
        .map(|(role, file)| (role, dir.join(file)))
        .filter(|(_, path)| path.exists())
        .collect();
    let mut text = format!(
        "name = \"{name}\"\nkind = \"{kind}\"\narchitecture = \"{architecture}\"\n\
         dtype = \"f32\"\nlicense = \"MIT\"\nmax_tokens = 32\n"
    );
    if kind == "embedder" {
        text += "[embedder]\ndims = 16\nwindow_tokens = 32\npooling = \"mean\"\nnormalize = true\n";
    }
    for (role, path) in &paths {
        let file = path.file_name().unwrap().to_str().unwrap();
        text += &format!("[[unpinned_files]]\nrole = \"{role}\"\nname = \"{file}\"\n");
    }
    ModelFiles::new(Arc::new(Manifest::parse(&text, name).unwrap()), paths)
}

pub(crate) fn family_dir(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/families").join(name)
}

/// See `tests/fixtures/families_reference.py`.
#[test]
fn token_vectors_are_those_of_transformers() {
    for (name, architecture) in [
        ("bert", "bert"),
        ("xlm-roberta", "bert"),
        ("modernbert", "modernbert"),
        ("nomic-bert", "nomic-bert"),
        ("qwen3", "qwen3"),
    ] {
        let text = fs_err::read(family_dir(name).join("reference.json")).unwrap();
        let references: Vec<(Vec<u32>, Vec<f32>)> = serde_json::from_slice(&text).unwrap();
        let runner = Runner::new(load(&family(name, "embedder", architecture)).unwrap());
        let windows: Vec<Window<'_>> =
            references.iter().map(|(ids, _)| Window::of_text(ids)).collect();
        let ours = runner.run(&windows, |rows| Ok(rows.to_vec())).unwrap();
        for (ours, (ids, theirs)) in ours.iter().zip(&references) {
            assert_eq!(ours.len(), theirs.len(), "{name}");
            let worst = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{name}: off by {worst} for {} tokens", ids.len());
        }
    }
}

#[test]
fn what_a_network_cannot_take_is_refused() {
    for (name, architecture) in [("xlm-roberta", "bert"), ("qwen3", "qwen3")] {
        let network = load(&family(name, "embedder", architecture)).unwrap();
        let long = vec![3; network.max_window() + 1];
        for ids in [&[][..], &long, &[3, 40, 2]] {
            let error =
                network.forward(&[Window::of_text(ids)], &mut Scratch::default()).unwrap_err();
            assert_eq!(error.kind(), docent_core::ErrorKind::Invalid, "{name}: {error}");
        }
    }
    let error = load(&family("bert", "embedder", "gpt")).unwrap_err();
    assert!(error.message().contains("'gpt'") && error.message().contains("qwen3"), "{error}");
    let error = load(&family("bert", "embedder", "qwen3")).unwrap_err();
    assert!(error.message().contains("no configuration of this family"), "{error}");
    let error = load(&family("modernbert", "embedder", "bert")).unwrap_err();
    assert!(error.message().contains("no BERT configuration"), "{error}");
}
