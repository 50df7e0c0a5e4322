//! A library gets another embedder from the command line, by real weights: what is found before,
//! after and after going back, and a kill in the middle.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use docent::inference::Catalog;
use docent::store::SqliteStore;
use docent::{Encoding, Scan, Store, TableSpec};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Home, Ran};

const OLD: &str = "all-MiniLM-L6-v2";
const NEW: &str = "multilingual-e5-small-q4";

const DOCUMENTS: [(&str, &str); 5] = [
    ("ferry.md", "The last ferry across the fjord leaves at nine in the evening."),
    ("mill.md", "The old mill grinds barley and rye for the bakers of the valley."),
    ("owls.md", "Owls hunt mice over the snow and hear them under it."),
    ("valve.md", "The alpha valve opens at 80 degrees and closes at 60."),
    ("museum.md", "Children under twelve enter the museum for free on Sundays."),
];

/// When does the last ferry leave?
const CHINESE: &str = "最后一班渡轮几点开？";

/// A home whose library is built by the old embedder, both models being on this machine.
struct Site {
    home: Home,
    models: PathBuf,
}

impl Site {
    /// None, and says so, where the weights are not.
    fn new() -> Option<Self> {
        let models = models()?;
        let home = Home::new();
        home.write("docent.toml", format!("embedder = \"{OLD}\"\n"));
        Some(Self { home, models })
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.home.with_embedder(&[args, &["--offline"]].concat());
        command.env("DOCENT_MODELS", &self.models);
        command
    }

    #[track_caller]
    fn done(&self, args: &[&str]) -> Ran {
        let ran = Ran::of(&mut self.command(args));
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
        ran
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        let ran = self.done(args);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }

    /// The document that answers best, if one does.
    #[track_caller]
    fn first(&self, question: &str) -> Option<String> {
        let found = self.json(&["search", question, "--json"]);
        found["hits"][0]["file"].as_str().map(str::to_owned)
    }

    /// How many vectors are in the store, by whichever embedder.
    fn vectors(&self) -> usize {
        let path = self.home.library().join("state.sqlite");
        let store = SqliteStore::open(path).unwrap();
        let table = TableSpec { name: "embeddings", encoding: Encoding::Bytes };
        store.read().unwrap().scan(table, Scan::default()).unwrap().len()
    }
}

#[test]
fn another_embedder_finds_across_languages_and_going_back_ends_that() {
    let Some(site) = Site::new() else { return };
    for (name, text) in DOCUMENTS {
        site.home.write(&format!("docs/{name}"), text);
    }
    site.done(&["add", "docs"]);
    assert_eq!(site.first(CHINESE), None);
    assert_eq!(site.first("When do ships stop crossing?").as_deref(), Some("ferry.md"));

    let report = site.json(&["reembed", "--embedder", NEW, "--json"]);
    let report = &report[0];
    assert_eq!((report["from"].as_str(), report["to"].as_str()), (Some(OLD), Some(NEW)));
    assert_eq!((report["chunks"].as_u64(), report["made"].as_u64()), (Some(5), Some(5)));
    assert_eq!(report["flipped"], true, "{report}");
    assert_eq!(site.first(CHINESE).as_deref(), Some("ferry.md"));
    assert_eq!(site.vectors(), 10);

    let ran = site.done(&["reembed", "--rollback"]);
    assert!(ran.stderr.contains(&format!("the vectors of {OLD} again")), "{ran:?}");
    assert_eq!(site.first(CHINESE), None);
    assert_eq!(site.first("When do ships stop crossing?").as_deref(), Some("ferry.md"));

    // Forward again costs nothing; then the old vectors go, and with them the way back.
    site.done(&["reembed", "--rollback"]);
    assert_eq!(site.first(CHINESE).as_deref(), Some("ferry.md"));
    let ran = site.done(&["reembed", "--prune"]);
    assert!(ran.stderr.contains("5 vectors dropped"), "{ran:?}");
    let ran = Ran::of(&mut site.command(&["reembed", "--rollback"]));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(site.first(CHINESE).as_deref(), Some("ferry.md"));
    assert_eq!(site.done(&["doctor"]).stdout, "all is well\n");
}

#[test]
fn a_killed_reembed_goes_on_and_embeds_nothing_again() {
    let Some(site) = Site::new() else { return };
    let passages = 384;
    for number in 0..passages {
        site.home.write(&format!("docs/{number}.md"), passage(number));
    }
    site.done(&["add", "docs"]);
    assert_eq!(site.vectors(), passages);

    let reembed = ["reembed", "--embedder", NEW, "--json"];
    let mut child = begin(&mut site.command(&reembed));
    wait_for_vectors(&site.home.library(), &mut child);
    // It stands still meanwhile, or a fast machine is done before it is killed.
    kill_process(Pid::from_child(&child), Signal::STOP).unwrap();
    let second = Ran::of(&mut site.command(&reembed));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.stderr.contains("is in use by"), "{second:?}");

    let made = site.vectors() - passages;
    assert!((1..passages).contains(&made), "{made} of {passages} vectors were made");
    // The old vectors are searched as before.
    assert_eq!(site.first("Which report tells of harbor 77?").as_deref(), Some("77.md"));
    assert_eq!(site.done(&["doctor"]).stdout, "all is well\n");

    let report = site.json(&reembed);
    assert_eq!(report[0]["chunks"], passages, "{report}");
    assert_eq!(report[0]["made"], passages - made, "{report}");
    assert_eq!(report[0]["flipped"], true, "{report}");
    assert_eq!(site.vectors(), 2 * passages);
    assert_eq!(site.done(&["doctor"]).stdout, "all is well\n");
}

/// Long enough that a batch of such takes a while.
fn passage(number: usize) -> String {
    let line = format!("Report {number} tells of harbor {number}, its boats and its people. ");
    line.repeat(4)
}

fn begin(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Until the second batch of vectors is committed. The store is the command's own, so this looks at
/// its log from outside: a batch adds 95 KB, and all that comes before the first adds 30.
fn wait_for_vectors(library: &Path, child: &mut Child) {
    let begun = Instant::now();
    let log = library.join("state.sqlite-wal");
    while fs_err::metadata(&log).map_or(0, |log| log.len()) < 160_000 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
        assert!(begun.elapsed() < Duration::from_secs(600), "it makes no vectors");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Where the weights of both embedders are, if they are on this machine; says so if not. `.ci/run`
/// sets `DOCENT_TEST_MODELS=required`, and then they must be.
fn models() -> Option<PathBuf> {
    let catalog = Catalog::builtin();
    for name in [OLD, NEW] {
        if catalog.locate(name).is_none() {
            let required = std::env::var("DOCENT_TEST_MODELS").is_ok_and(|it| it == "required");
            assert!(!required, "{name} is not in {}", catalog.cache_dir().display());
            eprintln!("SKIPPED: {name} is not here; run \"docent models pull {name}\"");
            return None;
        }
    }
    Some(catalog.cache_dir().to_owned())
}
