//! Measurements, kept where models are for `docent models info`.

use std::path::PathBuf;

use anyhow::Result;
use docent::Timestamp;
use docent::inference::bench::{Measured, MeasuredPrompt};
use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::setup::Setup;

/// What `docent models bench` found, when and where.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptBench {
    pub(super) model: String,
    /// Seconds since 1970.
    pub(super) at: u64,
    pub(super) cpu: String,
    pub(super) threads: usize,
    /// How busy the machine was before; none where that is not known.
    pub(super) load: Option<f64>,
    #[serde(flatten)]
    pub(super) measured: Measured,
}

impl KeptBench {
    pub(super) fn new(model: &str, load: Option<f64>, measured: Measured, at: Timestamp) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { model: model.to_owned(), at: at.seconds(), cpu: cpu(), threads, load, measured }
    }

    /// In one line.
    pub(super) fn line(&self) -> String {
        let read = |prompt: &MeasuredPrompt| {
            let rate = prompt.prefill_tokens_per_second.median;
            format!("{rate:.0} tokens/s read ({} at a time)", prompt.prompt_tokens)
        };
        let mut parts: Vec<String> = self.measured.prompts.iter().map(read).collect();
        let written = self.measured.decode_tokens_per_second;
        parts.extend(written.map(|rate| format!("{:.1} tokens/s written", rate.median)));
        format!("{}, on {} threads of {}", parts.join(", "), self.threads, self.cpu)
    }
}

/// What was measured of the model, if it was.
pub(super) fn read(name: &str, setup: &Setup) -> Option<KeptBench> {
    let bytes = fs::read(place(name, setup)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Keeps what was measured, in the place of what was before.
pub(super) fn keep(bench: &KeptBench, setup: &Setup) -> Result<()> {
    let Some(place) = place(&bench.model, setup) else { return Ok(()) };
    let staged = place.with_extension("part");
    if let Some(dir) = place.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(&staged, serde_json::to_vec_pretty(bench)?)?;
    Ok(fs::rename(staged, place)?)
}

/// None for a name that is no file name: such a model is measured and not remembered.
fn place(name: &str, setup: &Setup) -> Option<PathBuf> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_name = !name.is_empty() && !name.starts_with('.') && name.chars().all(fits);
    is_name.then(|| setup.catalog.cache_dir().join(name).join("measured.json"))
}

fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

/// How many threads are at work on this machine, on the average of a minute.
pub(super) fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}
