//! Embeds the texts of a file and prints how long it took, as JSON.
//!
//! `benches/peers/embedding.py` runs this and ONNX Runtime in turn; alone it says little, because
//! a machine is never twice the same.
//!
//! ```text
//! embed --model-dir DIRECTORY --texts FILE.json [--window TOKENS] [--role query] [--alone]
//! ```
//!
//! The directory is called as the model is. `--alone` embeds each text by itself, as queries come.

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use docent_core::{Embedder, InputRole};
use docent_inference::{BertEmbedder, BertOptions, Catalog};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (mut model_dir, mut texts, mut options) = (None, None, BertOptions::default());
    let (mut role, mut alone) = (InputRole::Passage, false);
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{name} needs a value"));
        match &*name {
            "--model-dir" => model_dir = Some(PathBuf::from(value()?)),
            "--texts" => texts = Some(value()?),
            "--window" => options.window_tokens = Some(value()?.parse()?),
            "--role" if value()? == "query" => role = InputRole::Query,
            "--alone" => alone = true,
            _ => {}
        }
    }
    // cargo bench and cargo test call us without arguments.
    let Some(texts) = texts else {
        eprintln!("run benches/peers/embedding.py, which runs this beside ONNX Runtime");
        return Ok(());
    };
    let texts: Vec<String> = serde_json::from_slice(&fs_err::read(texts)?)?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let model_dir: PathBuf = model_dir.ok_or("--model-dir is missing")?.canonicalize()?;
    let (Some(cache), Some(name)) = (model_dir.parent(), model_dir.file_name()) else {
        return Err("--model-dir is no directory of a model".into());
    };
    let catalog = Catalog::builtin().with_cache_dir(cache);
    let files = catalog.locate(&name.to_string_lossy()).ok_or("it has not the model's files")?;
    let embedder = BertEmbedder::load_with(&files, &options)?;
    embedder.embed(&texts[..texts.len().min(4)], role)?;
    let (begun, cpu_begun) = (Instant::now(), cpu_seconds());
    let together = if alone { 1 } else { texts.len().max(1) };
    let vectors = texts.chunks(together).map(|texts| embedder.embed(texts, role));
    let vectors = vectors.collect::<Result<Vec<_>, _>>()?.concat();
    let seconds = begun.elapsed().as_secs_f64();
    let cpu_seconds = cpu_seconds().zip(cpu_begun).map(|(now, then)| now - then);
    let report = serde_json::json!({
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "tokens": embedder.count_tokens(&texts, role)?.iter().sum::<usize>(),
        "vectors": vectors.iter().map(|vector| vector.first()).collect::<Vec<_>>(),
        "rss_mb": memory_mb("VmRSS:"),
        "peak_rss_mb": memory_mb("VmHWM:"),
    });
    #[expect(clippy::print_stdout, reason = "the report is what this program is for")]
    {
        println!("{report}");
    }
    Ok(())
}

/// Processor time of all threads so far, on Linux, to a hundredth of a second. On a machine
/// that is busy with other work it says more than the clock on the wall.
fn cpu_seconds() -> Option<f64> {
    let stat = fs_err::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses, which may hold spaces.
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(ticks as f64 / 100.0)
}

/// Megabytes of memory by the name Linux gives them: `VmRSS` held now, `VmHWM` held at most.
fn memory_mb(name: &str) -> Option<u64> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}
