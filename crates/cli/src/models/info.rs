//! `docent models info`: what a model is, what it needs, and how fast it was here.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use docent::Profile;
use docent::inference::gguf::{GgufHeader, GgufInfo};
use docent::inference::{LocalConfig, Manifest, RemoteConfig};
use indicatif::HumanBytes;
use serde::Serialize;

use super::kept::{self, KeptBench};
use super::known::Known;
use super::size;
use crate::console::{BOLD, DIM, plain, write_json};
use crate::outcome::Outcome;
use crate::setup::Setup;

pub(super) fn run(name: &str, json: bool, setup: &Setup) -> Result<Outcome> {
    let info = Info::of(name, setup)?;
    if json {
        write_json(&info)?;
    } else {
        info.write(setup)?;
    }
    Ok(Outcome::Done)
}

/// What is told of a model; what does not apply or is not known is not there.
#[derive(Default, Serialize)]
struct Info {
    name: String,
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<Profile>,
    /// Whether somebody chose the profile, or it follows from the model.
    profile_is_configured: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    here: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    gguf: Option<GgufInfo>,
    /// How long a conversation may be as it is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    context_tokens: Option<u64>,
    /// What a conversation of that length needs, weights included.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedder: Option<Embedder>,
    #[serde(skip_serializing_if = "Option::is_none")]
    license: Option<String>,
    sources: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    measured: Option<KeptBench>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Serialize)]
struct Embedder {
    dims: usize,
    window_tokens: usize,
    query_prefix: String,
    passage_prefix: String,
}

impl Info {
    fn of(name: &str, setup: &Setup) -> Result<Self> {
        let mut info = match Known::find(name, setup)? {
            Known::Extractive => Self::extractive(),
            Known::Remote(remote) => Self::remote(remote),
            Known::Other(manifest) => {
                let here = setup.catalog.locate(&manifest.name).is_some();
                Self { here, ..Self::other(manifest) }
            }
            Known::Gguf { path, manifest, config } => {
                let mut info = manifest.map(Self::other).unwrap_or_default();
                info.read(path.as_deref(), config)?;
                info
            }
        };
        info.name = name.to_owned();
        info.measured = kept::read(name, setup);
        Ok(info)
    }

    fn extractive() -> Self {
        Self {
            kind: "chat, extractive: the passages' own sentences, no weights".into(),
            profile: Some(Profile::Basic),
            here: true,
            ..Self::default()
        }
    }

    fn remote(remote: &RemoteConfig) -> Self {
        Self {
            kind: "chat, remote".into(),
            profile: Some(remote.profile),
            profile_is_configured: true,
            context_tokens: Some(remote.context_tokens as u64),
            sources: vec![remote.base_url.clone()],
            ..Self::default()
        }
    }

    /// What the manifest knows.
    fn other(manifest: &Manifest) -> Self {
        let embedder = manifest.embedder.as_ref().map(|embedder| Embedder {
            dims: embedder.dims,
            window_tokens: embedder.window_tokens,
            query_prefix: embedder.query_prefix.clone(),
            passage_prefix: embedder.passage_prefix.clone(),
        });
        Self {
            kind: format!("{}, {} in {}", manifest.kind, manifest.architecture, manifest.dtype),
            bytes: size(manifest),
            context_tokens: Some(manifest.max_tokens as u64),
            embedder,
            license: Some(manifest.license.clone()),
            sources: manifest.sources.iter().map(ToString::to_string).collect(),
            ..Self::default()
        }
    }

    /// What the file says.
    fn read(&mut self, path: Option<&Path>, config: Option<&LocalConfig>) -> Result<()> {
        let profile = config.and_then(|config| config.profile);
        self.profile = Some(profile.unwrap_or(Profile::Basic));
        self.profile_is_configured = profile.is_some();
        let Some(path) = path else { return Ok(()) };
        let header = GgufHeader::read(path)?;
        let gguf = GgufInfo::of(&header);
        let refused = header.check_chat_model().err();
        self.kind = "chat, local".into();
        self.here = true;
        self.file = Some(path.display().to_string());
        self.bytes = Some(gguf.file_bytes);
        let trained = gguf.context_tokens;
        let wanted = config.and_then(|config| config.context_tokens);
        let taken = wanted.unwrap_or(LocalConfig::USUAL_CONTEXT_TOKENS) as u64;
        self.context_tokens = Some(trained.map_or(taken, |trained| trained.min(taken)));
        self.memory_bytes = self.context_tokens.map(|tokens| gguf.memory.bytes_for(tokens));
        self.license = self.license.take().or_else(|| gguf.license.clone());
        self.note = refused
            .map(|error| format!("it does not run here: {error}"))
            .or_else(|| small_model_note(&gguf));
        self.gguf = Some(gguf);
        Ok(())
    }

    fn write(&self, setup: &Setup) -> Result<()> {
        let mut out = setup.console.out();
        writeln!(out, "{BOLD}{}{BOLD:#}", plain::line(&self.name))?;
        for (what, text) in self.lines() {
            writeln!(out, "  {DIM}{what:<11}{DIM:#} {}", plain::line(&text))?;
        }
        if let Some(note) = &self.note {
            writeln!(out, "\n{}", plain::lines(note))?;
        }
        Ok(())
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![("kind", self.kind.clone())];
        let mut say = |what, text: Option<String>| lines.extend(text.map(|text| (what, text)));
        say("file", self.file.clone());
        let here = if self.here { "" } else { ", not on this machine" };
        say("size", self.bytes.map(|bytes| format!("{}{here}", HumanBytes(bytes))));
        if let Some(gguf) = &self.gguf {
            gguf_lines(gguf).into_iter().for_each(|(what, text)| say(what, Some(text)));
        }
        let trained = self.gguf.as_ref().and_then(|gguf| gguf.context_tokens);
        let trained = trained.filter(|trained| Some(*trained) != self.context_tokens);
        let trained = trained.map_or(String::new(), |tokens| {
            format!(" of the {tokens} it was trained for (context_tokens)")
        });
        say("context", self.context_tokens.map(|tokens| format!("{tokens} tokens{trained}")));
        say("memory", self.memory());
        say("profile", self.profile.map(|profile| self.profile_line(profile)));
        say("vectors", self.embedder.as_ref().map(embedder_line));
        say("license", self.license.clone());
        say("source", (!self.sources.is_empty()).then(|| self.sources.join(", then ")));
        say("measured", self.measured.as_ref().map(KeptBench::line));
        lines
    }

    fn memory(&self) -> Option<String> {
        let memory = self.gguf.as_ref()?.memory;
        let tokens = self.context_tokens?;
        let cache = memory.cache_bytes_per_token.saturating_mul(tokens);
        Some(format!(
            "{} of weights as they are kept, and {} for a conversation of {tokens} tokens",
            HumanBytes(memory.weights_bytes),
            HumanBytes(cache)
        ))
    }

    fn profile_line(&self, profile: Profile) -> String {
        let what = match profile {
            Profile::Basic => "basic: the engine searches and cites, the model answers",
            _ => "tools: the model decides when to call which tool",
        };
        let whose = if self.profile_is_configured { "configured" } else { "unless configured" };
        format!("{what} ({whose})")
    }
}

fn gguf_lines(gguf: &GgufInfo) -> Vec<(&'static str, String)> {
    let known = |number: Option<u64>| number.map_or("?".to_owned(), |number| number.to_string());
    let shares = gguf.quantization.iter();
    let shares = shares.map(|share| format!("{} {}", share.kind, count(share.parameters)));
    let template = match gguf.chat_template {
        None => "none of its own".to_owned(),
        Some(template) => {
            let has = |takes| if takes { "a place" } else { "no place" };
            format!(
                "{} for instructions, {} for tools",
                has(template.system_role),
                has(template.tools)
            )
        }
    };
    let pre = gguf.pre_tokenizer.as_ref().map_or(String::new(), |pre| format!(" ({pre})"));
    vec![
        ("family", format!("{}, {} parameters", gguf.architecture, count(gguf.parameters))),
        ("numbers", shares.collect::<Vec<_>>().join(", ")),
        (
            "layers",
            format!(
                "{} of {} heads, {} for keys and values",
                known(gguf.layers),
                known(gguf.heads),
                known(gguf.kv_heads)
            ),
        ),
        (
            "vocabulary",
            format!(
                "{} tokens, {}{pre}",
                known(gguf.vocabulary),
                gguf.tokenizer.as_deref().unwrap_or("no tokenizer")
            ),
        ),
        ("template", template),
    ]
}

fn embedder_line(embedder: &Embedder) -> String {
    format!("{} numbers for at most {} tokens", embedder.dims, embedder.window_tokens)
}

/// A number as people say it: 135 M.
pub(super) fn count(number: u64) -> String {
    match number {
        0..10_000 => number.to_string(),
        10_000..1_000_000 => format!("{} K", number / 1_000),
        1_000_000..1_000_000_000 => format!("{} M", number / 1_000_000),
        _ => format!("{:.1} B", number as f64 / 1e9),
    }
}

/// What its user should know of a model this small.
pub(super) fn small_model_note(info: &GgufInfo) -> Option<String> {
    info.is_too_small_for_tools().then(|| {
        "With fewer than a billion parameters it is too weak to choose tools by itself: asked 20 \
         questions that need a tool or none, a model of 135 M and one of 0.5 B were right 6 times \
         each by their own templates. So it is used as basic: the engine searches for it."
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_as_people_say_them() {
        let said = [9_999, 35_136, 134_515_008, 7_600_000_000].map(count);
        assert_eq!(said, ["9999", "35 K", "134 M", "7.6 B"]);
    }
}
