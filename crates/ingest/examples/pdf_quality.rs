//! How well, how fast and in how much memory PDFs are read, by each parser and by both.
//!
//! ```text
//! cargo run --release -p docent-ingest --example pdf_quality -- DIR
//! cargo run --release -p docent-ingest --example pdf_quality -- both FILE.pdf > text
//! ```
//!
//! `DIR` holds PDFs; one that has a `.txt` of the same name is scored against it: recall of words,
//! and F1 of words and of word triples (which see order). Each file is read in a process of its
//! own, so a crash is a line in the table. `docs/pdf.md` has the results.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use docent_ingest::pdf::{Parsers, PdfExtractor};
use docent_ingest::{Document, Extractor, Limits, clean};

type Failure = Box<dyn std::error::Error>;

const PARSERS: [(&str, Parsers); 3] =
    [("primary", Parsers::Primary), ("second", Parsers::Second), ("both", Parsers::Both)];

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.as_slice() {
        [dir] => table(Path::new(dir)),
        [parsers, file] => read(parsers, Path::new(file)),
        _ => Err("usage: pdf_quality DIR | pdf_quality primary|second|both FILE".into()),
    }
}

/// Prints the text of one file, pages ending in form feeds, and what it took to standard error.
fn read(parsers: &str, file: &Path) -> Result<(), Failure> {
    let (_, parsers) =
        PARSERS.into_iter().find(|(name, _)| *name == parsers).ok_or("which parser?")?;
    let bytes = fs_err::read(file)?;
    let begun = cpu_seconds();
    let extracted = PdfExtractor { parsers }.extract(&bytes, &Limits::default());
    let took = cpu_seconds() - begun;
    let document = extracted.map_err(|error| error.message)?;
    print(&document);
    let lowest = document.pages.iter().map(|page| page.quality).fold(1.0, f32::min);
    let pages = document.pages.len();
    for warning in &document.warnings {
        eprintln!("page {:?}: {}", warning.page, warning.message);
    }
    eprintln!("\n{pages} {took:.4} {} {lowest:.2} {}", peak_megabytes(), document.warnings.len());
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a program for people")]
fn print(document: &Document) {
    let clean = clean(document);
    let starts = clean.map.page_starts();
    for (at, (start, _)) in starts.iter().enumerate() {
        let end = starts.get(at + 1).map_or(clean.text.len(), |(next, _)| *next);
        println!("{}\u{c}", &clean.text[*start..end]);
    }
}

fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn peak_megabytes() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() / 1024
}

#[expect(clippy::print_stdout, reason = "a program for people")]
fn table(dir: &Path) -> Result<(), Failure> {
    let mut files: Vec<PathBuf> = fs_err::read_dir(dir)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|suffix| suffix == "pdf"));
    files.sort();
    println!(
        "| file | parsers | pages | pages/s | peak MB | worst page | warnings | recall | F1 | triples F1 |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for file in &files {
        for (name, _) in PARSERS {
            println!("{}", row(file, name)?);
        }
    }
    Ok(())
}

fn row(file: &Path, parsers: &str) -> Result<String, Failure> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let output = Command::new(std::env::current_exe()?).arg(parsers).arg(file).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or_default();
    if !output.status.success() {
        return Ok(format!("| {name} | {parsers} | {last} |"));
    }
    let mut took = last.split(' ');
    let mut next = || took.next().unwrap_or("?");
    let (pages, seconds, peak, lowest, warnings) = (next(), next(), next(), next(), next());
    let speed = pages.parse::<f64>()? / seconds.parse::<f64>()?.max(1e-4);
    let scores = match fs_err::read_to_string(file.with_extension("txt")) {
        Ok(reference) => scores(&String::from_utf8_lossy(&output.stdout), &reference),
        Err(_) => "| |".to_owned(),
    };
    Ok(format!(
        "| {name} | {parsers} | {pages} | {speed:.0} | {peak} | {lowest} | {warnings} | {scores} |"
    ))
}

fn scores(text: &str, reference: &str) -> String {
    let (words, expected) = (words(text), words(reference));
    let triples =
        |words: &[String]| words.windows(3).map(|three| three.join(" ")).collect::<Vec<_>>();
    let (recall, f1) = overlap(&words, &expected);
    let (_, triples_f1) = overlap(&triples(&words), &triples(&expected));
    format!("{recall:.4} | {f1:.4} | {triples_f1:.4}")
}

/// Recall and F1 of two bags.
fn overlap(found: &[String], expected: &[String]) -> (f64, f64) {
    let mut counts = HashMap::<&str, i64>::new();
    expected.iter().for_each(|word| *counts.entry(word).or_default() += 1);
    let common = found
        .iter()
        .filter(|word| {
            let count = counts.entry(word).or_default();
            *count -= 1;
            *count >= 0
        })
        .count() as f64;
    let recall = common / expected.len().max(1) as f64;
    let precision = common / found.len().max(1) as f64;
    (recall, 2.0 * precision * recall / (precision + recall).max(f64::MIN_POSITIVE))
}

/// Lower-case words; characters of scripts without spaces count one by one.
fn words(text: &str) -> Vec<String> {
    use unicode_normalization::UnicodeNormalization;
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.nfkc().flat_map(char::to_lowercase) {
        let is_single = matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}');
        if (is_single || !c.is_alphanumeric() && c != '_') && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if is_single {
            words.push(c.into());
        } else if c.is_alphanumeric() || c == '_' {
            word.push(c);
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}
