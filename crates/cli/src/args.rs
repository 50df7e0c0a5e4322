//! The command line: what can be typed, and the help for it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Ask your own documents, on your own machine: PDFs in, cited answers out.
#[derive(Debug, Parser)]
#[command(
    name = "docent",
    version,
    arg_required_else_help = true,
    infer_long_args = false,
    after_help = "\
Examples:
  docent add ~/papers report.pdf \"notes/**/*.md\"
  docent ask \"How long is the warranty period?\"
  docent search \"warranty period\" --explain

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a file you named could not be added, 130 Ctrl-C."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The library directory [default: docent/library in your data directory]
    #[arg(long, global = true, value_name = "DIR", env = "DOCENT_LIBRARY", hide_env_values = true)]
    pub(crate) library: Option<PathBuf>,
    /// The configuration [default: docent.toml here, else in the library, else built in]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Say nothing but results and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Tell on stderr what is going on inside
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// Fetch nothing, as with DOCENT_OFFLINE=1
    #[arg(long, global = true)]
    pub(crate) offline: bool,
    /// Search by words only: use no embedding model
    #[arg(long, global = true)]
    pub(crate) no_embedder: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Add(Add),
    Search(Search),
    Ask(Ask),
    Ls(Ls),
    Rm(Rm),
    Doctor(Doctor),
    Reembed(Reembed),
    #[command(subcommand)]
    Models(Models),
    Serve(Serve),
    #[command(subcommand)]
    Keys(Keys),
    Export(Export),
    Import(Import),
    #[command(subcommand)]
    Sandbox(Sandbox),
    #[command(subcommand)]
    Eval(Eval),
    /// Reads documents for another docent; see `docent_ingest::ProcessGuard`.
    #[command(name = "__extract", hide = true)]
    Extract,
    /// Builds a sandbox for another docent; see `docent_sandbox::linux`.
    #[command(name = "__sandbox", hide = true)]
    BuildSandbox,
}

/// Add documents: PDF, office files, CSV, EPUB, HTML, Markdown, text, code
///
/// Folders are searched for files; hidden files and files that a .gitignore names are left out. A
/// file that has not changed since it was last added costs nothing. What could not be read is
/// listed with the reason, and everything else is added.
///
/// Files are told by their content: PDF, DOCX, PPTX, XLSX, XLSB, XLS, ODS, CSV, TSV, JSON Lines,
/// EPUB, HTML, Markdown, plain text, source code.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent add report.pdf
  docent add ~/papers \"notes/**/*.md\"
  docent add --library ./library docs

Ctrl-C is safe: what was added stays, and the same command goes on with the rest.")]
pub(crate) struct Add {
    /// Files, folders or globs
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
}

/// Find passages, best first, without a chat model
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent search \"warranty period\"
  docent search \"warranty period\" --limit 3 --explain
  docent search \"warranty period\" --json | jq -r '.hits[].file'")]
pub(crate) struct Search {
    /// What to look for
    pub(crate) query: String,
    /// At most this many passages
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u16).range(1..=50))]
    pub(crate) limit: u16,
    /// Show where every score comes from, and why a candidate was dropped
    #[arg(long)]
    pub(crate) explain: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Ask a question; the answer cites file and page
///
/// The answer comes as it is made, followed by its sources. The thread it belongs to is named at
/// the end: pass it to go on with the conversation.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent ask \"How long is the warranty period?\"
  docent ask --thread thread_... \"And for batteries?\"
  docent ask --explain \"What is the warranty, and what does it cost?\"
  docent ask --add report.pdf \"What does the report conclude?\"
  docent ask --model gpt-4o \"Compare both offers.\"    (a name in docent.toml)")]
pub(crate) struct Ask {
    /// The question
    pub(crate) question: String,
    /// The chat model, as docent.toml names it [default: default, which quotes and needs no
    /// download]
    #[arg(long, short, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// The conversation to go on with
    #[arg(long, short, value_name = "ID")]
    pub(crate) thread: Option<String>,
    /// Add this file, folder or glob first; may be given several times
    #[arg(long, value_name = "PATH")]
    pub(crate) add: Vec<PathBuf>,
    /// Show what was searched for in place of the question, and what each query found
    #[arg(long)]
    pub(crate) explain: bool,
    /// Print JSON, once the answer is complete
    #[arg(long)]
    pub(crate) json: bool,
}

/// List the documents in the library
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent ls
  docent ls --json | jq -r '.[] | select(.status == \"failed\") | .path'")]
pub(crate) struct Ls {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Take documents out of the library; the files themselves stay where they are
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent rm report.pdf
  docent rm ~/papers/report.pdf
  docent rm file-...    (an id, as \"docent ls\" prints it)")]
pub(crate) struct Rm {
    /// A document's name, path or id
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<String>,
}

/// Check every promise about what is stored
///
/// Without --repair nothing is changed. Exit code 1 means that something is wrong still.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent doctor
  docent doctor --repair")]
pub(crate) struct Doctor {
    /// Mend what can be mended
    #[arg(long)]
    pub(crate) repair: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Give documents that are in vectors by another embedder
///
/// The new vectors are made beside the old ones, which are searched until the new are complete.
/// Then the two are compared, and the new ones are searched from there on unless they find less.
/// The old ones are kept, and going back takes no time, until they are pruned.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent reembed --embedder all-MiniLM-L6-v2
  docent reembed --embedder all-MiniLM-L6-v2 --dry-run
  docent reembed --queries judged.jsonl --min-overlap 0.3
  docent reembed --rollback
  docent reembed --all --prune

Ctrl-C is safe: the vectors made so far are kept, and the same command goes on. Exit code 1 means
that the new vectors find less, and the old ones are searched still.")]
pub(crate) struct Reembed {
    /// Vector stores [default: the one that documents are added to]
    #[arg(value_name = "STORE")]
    pub(crate) stores: Vec<String>,
    /// Every vector store
    #[arg(long, conflicts_with = "stores")]
    pub(crate) all: bool,
    /// The new embedder, as "docent models list" prints it [default: what a new library gets]
    #[arg(long, value_name = "NAME")]
    pub(crate) embedder: Option<String>,
    /// Make the new vectors and compare, and go on searching the old
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// Have the new vectors searched whatever the comparison says
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Refuse if less than this part of the first ten hits stays the same, 0 to 1
    #[arg(long, value_name = "PART", value_parser = part)]
    pub(crate) min_overlap: Option<f64>,
    /// Compare by these questions: lines like {"query": "…", "file": "manual.pdf"}
    #[arg(long, value_name = "FILE")]
    pub(crate) queries: Option<PathBuf>,
    /// Compare by excerpts of about so many passages
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "queries",
          value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) sample: u16,
    /// Go back to the vectors that were searched before
    #[arg(long, conflicts_with_all = ["prune", "embedder", "dry_run", "yes", "min_overlap",
          "queries", "json"])]
    pub(crate) rollback: bool,
    /// Drop vectors that are kept to go back to, or were not finished
    #[arg(long, conflicts_with_all = ["embedder", "dry_run", "yes", "min_overlap", "queries",
          "json"])]
    pub(crate) prune: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A part of a whole.
fn part(text: &str) -> Result<f64, String> {
    let inside = |part: &f64| (0.0..=1.0).contains(part);
    text.parse().ok().filter(inside).ok_or_else(|| "it is a number from 0 to 1".to_owned())
}

/// See, fetch, add, check and measure models
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  docent models list
  docent models pull all-MiniLM-L6-v2
  docent models path all-MiniLM-L6-v2    (where its files belong)
  docent models add ~/Downloads/Qwen2.5-1.5B-Instruct-Q4_K_M.gguf --name qwen
  docent models info qwen
  docent models bench qwen
  docent models verify")]
pub(crate) enum Models {
    /// List the models there are, and which are on this machine
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Fetch models; each file is checked against its SHA-256 before it is used
    Pull {
        /// Names, as "docent models list" prints them
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Add a GGUF chat model of your own: it is tried, copied and then a model like the others
    ///
    /// Its header is read first and the model loaded once, so that what cannot run is refused with
    /// the reason before anything is copied. Ctrl-C leaves nothing behind.
    Add {
        /// The GGUF file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// What to call it [default: the file's name]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Tell what a model is, what it can be trusted with, what memory it needs, how fast it was
    Info {
        /// A name of "docent models list" or of docent.toml, or a path that ends in .gguf
        #[arg(value_name = "NAME")]
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Measure how fast a chat model reads and writes on this machine
    ///
    /// Prompts of 256 and 2,048 tokens are read, once new and once with a prefix that was read
    /// before, and 64 tokens written. A model of 135 M takes some minutes on two busy cores. What was
    /// measured is kept for "docent models info". Ctrl-C is safe.
    Bench {
        /// A name of "docent models list" or of docent.toml, or a path that ends in .gguf
        #[arg(value_name = "NAME")]
        name: String,
        /// How often each is measured
        #[arg(long, value_name = "N", default_value_t = 3,
              value_parser = clap::value_parser!(u16).range(1..=100))]
        runs: u16,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print where a model's files belong, or where all models are kept
    Path {
        /// A name, as "docent models list" prints it
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// Hash the files of models anew; without a name, of all that are on this machine
    Verify {
        /// Names, as "docent models list" prints them
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
}

/// Serve the Assistants API to programs written for OpenAI's clients
///
/// Point a client at it with base_url="http://127.0.0.1:8080/v1". Make keys with "docent keys
/// create", or set DOCENT_API_KEY (several, separated by commas), to ask clients for one; without
/// any only this machine is listened to.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent serve
  docent serve --listen 127.0.0.1:9000 --library ./library --config docent.toml
  DOCENT_API_KEY=sk-local-... docent serve --listen 0.0.0.0:8080

Ctrl-C stops it: answers are finished, and runs that go on are taken up at the next start.")]
pub(crate) struct Serve {
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
}

/// Set up and try the sandbox that runs the code interpreter's programs
///
/// Programs that models write run behind walls: they see no file but their own, no network and no
/// other process. Python's standard library is enough to begin with; "docent sandbox setup" adds
/// numpy, pandas, matplotlib and openpyxl. docs/security.md says what the walls stop.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  docent sandbox setup
  docent sandbox check
  docent sandbox setup --python python3.13
  docent sandbox setup --wasm        (for systems other than Linux)

Environment: DOCENT_SANDBOX is the folder that the packages are kept in.")]
pub(crate) enum Sandbox {
    /// Make the environment that programs run in: pinned packages, by your own Python and pip
    Setup {
        /// The Python to make it with, 3.11 or later
        #[arg(long, value_name = "PROGRAM", default_value = "python3")]
        python: PathBuf,
        /// Fetch and compile the Python of WebAssembly instead; takes minutes and 700 MB
        #[arg(long, conflicts_with = "python")]
        wasm: bool,
    },
    /// Build a sandbox, run a program in it and try to get out; say what is missing
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Make, list and revoke the API keys that "docent serve" asks for
///
/// Each key opens one project. Projects see nothing of each other: each is a library of its own, in
/// LIBRARY/projects/NAME, but for the project "default", which is the library itself. A server that
/// is running takes a new key, and refuses a revoked one, at once.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  docent keys create
  docent keys create --project team-a --name \"CI of team A\"
  docent keys list
  docent keys revoke key_...    (or the first characters of the key)
  docent ls --library LIBRARY/projects/team-a    (any command works on a project)")]
pub(crate) enum Keys {
    /// Make a key and print it, this once
    Create {
        /// The project it opens, made at its first request
        #[arg(long, value_name = "NAME", default_value = docent::store::DEFAULT_PROJECT)]
        project: String,
        /// Whose it is, to tell it from others
        #[arg(long, value_name = "LABEL")]
        name: Option<String>,
    },
    /// List the keys, oldest first, without what they open
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a key back; requests with it are refused from now on
    Revoke {
        /// Its id, its first characters as "docent keys list" prints them, or the key
        #[arg(value_name = "KEY")]
        key: String,
    },
}

/// Write the whole library as lines of JSON
///
/// Everything that cannot be made again, under the ids it has: assistants, threads, messages, runs,
/// steps, files with their bytes, vector stores. "docent import" reads it into this or another
/// library.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent export library.jsonl
  docent export | gzip > library.jsonl.gz
  docent export --library LIBRARY/projects/team-a team-a.jsonl")]
pub(crate) struct Export {
    /// Where to; - is standard output
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
}

/// Read what "docent export" wrote, or what was saved from OpenAI's or Azure's Assistants API
///
/// Saved objects may be JSON or lines of JSON as the clients print them, alone or in lists, in any
/// order and number of files; folders are searched for .json and .jsonl. Ids, times, order and
/// metadata are kept. What is in the library already is passed over, so that an import may be
/// repeated; an object that is there with other content ends it. Runs that were active come in as
/// expired.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent import library.jsonl
  gunzip < library.jsonl.gz | docent import -
  docent import threads.jsonl assistants.json
  docent import ~/openai-dump

Ctrl-C is safe: what was read stays, and the same command goes on with the rest.")]
pub(crate) struct Import {
    /// Files or folders; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}

/// Measure how good retrieval is, on judged collections
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  docent eval run --dataset beir/scifact
  docent eval run --dataset beir/scifact --pipeline bm25 --pipeline dense --pipeline default
  docent eval run --dataset beir/scifact --json > before.json
  docent eval run --dataset beir/scifact --baseline before.json --fail-on \"ndcg@10 < -0.01\"
  docent eval generate ~/papers --out papers-judged
  docent eval run --dataset papers-judged --html report.html")]
pub(crate) enum Eval {
    Run(EvalRun),
    Generate(EvalGenerate),
}

/// Ask a data set's queries and compare what is found with what people judged relevant
///
/// A data set is a directory in BEIR's layout: corpus.jsonl, queries.jsonl, and qrels.tsv or
/// qrels/test.tsv. Its documents are read and embedded once, by the same journey as yours, and kept
/// in the cache directory; Ctrl-C is safe, and the same command goes on. Results are kept there
/// too, and asking the very same again reads them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent eval run --dataset beir/scifact --pipeline bm25 --pipeline default --html report.html
  docent eval run --dataset beir/scifact --pipeline grid.toml --split tune
  docent eval run --dataset beir/scifact --pipeline chosen.toml --split held-out
  docent eval run --dataset beir/scifact --dataset beir/cacm --pipeline bm25 --pipeline dense \\
    --pipeline default --against bm25,dense
  docent eval run --dataset beir/scifact --show-misses 10

A grid makes a pipeline of every combination of its lists:
  [grid]
  mode = [\"words\", \"hybrid\"]
  candidates = [50, 100, 200]")]
pub(crate) struct EvalRun {
    /// The directory of the data set; with several, their average is judged too
    #[arg(long, value_name = "DIR", required = true)]
    pub(crate) dataset: Vec<PathBuf>,
    /// The judgments, where the usual ones are not meant
    #[arg(long, value_name = "FILE")]
    pub(crate) qrels: Option<PathBuf>,
    /// Ask all queries, the half to choose settings with, or the half that is held out to check
    /// the choice; a query's half is decided by its id alone
    #[arg(long, value_name = "PART", value_enum, default_value_t = EvalSplit::All)]
    pub(crate) split: EvalSplit,
    /// bm25, dense, default, or a TOML file with [[pipeline]] tables (name, mode = "hybrid",
    /// "words" or "vectors", candidates, rerank) or a [grid]; may be given several times, and all
    /// are compared with the first
    #[arg(long, value_name = "NAME|FILE", default_value = "default")]
    pub(crate) pipeline: Vec<String>,
    /// Compare with the best of these pipelines, chosen for each data set and metric, instead of
    /// with the first
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with = "baseline")]
    pub(crate) against: Vec<String>,
    /// What to measure, such as ndcg@10, recall@100, mrr@10, map@100, hit_rate@5
    #[arg(long, value_name = "METRIC", value_delimiter = ',')]
    pub(crate) metrics: Vec<String>,
    /// The JSON of an earlier run, to compare with
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// End with exit code 1 if a difference to the baseline is such, as "ndcg@10 < -0.01"
    #[arg(long, value_name = "CONDITION", requires = "baseline")]
    pub(crate) fail_on: Option<String>,
    /// Measure again what was measured before
    #[arg(long)]
    pub(crate) fresh: bool,
    /// List the N queries that each pipeline answers worst
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) show_misses: usize,
    /// Print JSON, or write it to a file: of one pipeline on one data set its report, else
    /// {"runs": […], "comparisons": […], "averages": […]}
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true,
          default_missing_value = "-")]
    pub(crate) json: Option<PathBuf>,
    /// Write Markdown to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Write one page of HTML with plots, which needs nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// Which queries are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EvalSplit {
    All,
    Tune,
    HeldOut,
}

/// Make a data set of your own documents, from their headings and rare phrases
///
/// Nobody judges it: what a query was taken from counts as relevant. It tells whether what stands
/// in your documents is found by its own words, in English, Chinese or both, and whether a change
/// loses any of it. It does not tell how questions in other words fare; its README.md says more.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  docent eval generate ~/papers --out papers-judged
  docent eval generate manual.pdf --out manual-judged --queries 500
  docent eval generate --library ./library --out library-judged    (the documents in a library)")]
pub(crate) struct EvalGenerate {
    /// Files, folders or globs [default: the documents in the library]
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// The directory to write, new or empty
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// At most this many queries
    #[arg(long, value_name = "N", default_value_t = 200,
          value_parser = clap::value_parser!(u16).range(10..=10_000))]
    pub(crate) queries: u16,
    /// Another seed takes other phrases; the same one makes the same set
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}
