//! The floor plan of `docs/ARCHITECTURE.md`, enforced: an arrow that points up or sideways fails.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each crate and the ones it may name, bottom floor first.
const PLAN: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("ingest", &["core"]),
    ("store", &["core"]),
    ("inference", &["core"]),
    ("sandbox", &["core"]),
    ("retrieval", &["core", "ingest", "store"]),
    ("engine", &["core", "retrieval", "store"]),
    ("eval", &["core", "retrieval"]),
    ("server", &["core", "engine"]),
    ("cli", &["docent", "server", "eval"]),
];

/// What the façade may name: everything but the command.
const FACADE: &[&str] = &["core", "ingest", "store", "inference", "sandbox", "retrieval", "engine"];

/// Files that may hold unsafe code, each with its own reason inside.
const UNSAFE_FILES: &[&str] = &[
    "crates/inference/src/bert/int8.rs",
    "crates/inference/src/decoder/int8.rs",
    "crates/retrieval/src/exact/dot.rs",
    "crates/sandbox/src/linux/sys.rs",
    "crates/sandbox/src/wasm/compiled/mapped.rs",
];

#[test]
fn every_crate_names_only_rooms_below_it() {
    let mut seen = BTreeSet::new();
    for folder in entries(&root().join("crates")) {
        let room = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let planned = PLAN.iter().find(|(name, _)| *name == room);
        let (_, allowed) =
            planned.unwrap_or_else(|| panic!("crates/{room} has no place in the floor plan"));
        let manifest = manifest(&folder.join("Cargo.toml"));
        assert_eq!(manifest["package"]["name"].as_str(), Some(&*format!("docent-{room}")));
        for section in ["dependencies", "build-dependencies"] {
            assert_within(&room, &rooms_named(&manifest, section), allowed);
        }
        seen.insert(room);
    }
    let planned: BTreeSet<String> = PLAN.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(seen, planned, "a crate of the plan is missing");
}

#[test]
fn the_facade_names_everything_but_the_command() {
    let manifest = manifest(&root().join("Cargo.toml"));
    assert_within("docent", &rooms_named(&manifest, "dependencies"), FACADE);
}

#[test]
fn no_async_runtime_is_below_the_server() {
    let lock = manifest(&root().join("Cargo.lock"));
    let below = packages_below(&lock, "docent");
    assert!(below.contains("docent-engine") && !below.contains("docent-server"));
    for runtime in ["tokio", "async-std", "smol", "reqwest", "openssl"] {
        assert!(!below.contains(runtime), "{runtime} came below the server");
    }
    for (file, text) in sources() {
        let may = file.starts_with("crates/server/");
        assert!(may || !text.contains("async fn "), "{file} has an async fn");
    }
}

/// Everything that the package `top` needs, and itself. The lock names a package `name` or, where
/// there are several of that name, `name version`.
fn packages_below(lock: &toml::Table, top: &str) -> BTreeSet<String> {
    let packages = lock["package"].as_array().expect("a lock file lists packages");
    let name = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
    let mut below = BTreeSet::new();
    let mut waiting = vec![top.to_owned()];
    while let Some(next) = waiting.pop() {
        let same = packages.iter().filter(|it| it["name"].as_str() == Some(&*next));
        let needs = same.filter_map(|it| it.get("dependencies")?.as_array()).flatten();
        if below.insert(next.clone()) {
            waiting.extend(needs.filter_map(toml::Value::as_str).map(name));
        }
    }
    below
}

#[test]
fn unsafe_code_stays_in_the_named_files() {
    let holds_unsafe = |text: &str| {
        text.lines().any(|line| {
            let code = line.trim_start();
            !code.starts_with("//") && (code.contains("unsafe {") || code.contains("unsafe fn"))
        })
    };
    let found: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| holds_unsafe(text))
        .map(|(file, _)| file)
        .collect();
    assert_eq!(found, UNSAFE_FILES);
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn manifest(path: &Path) -> toml::Table {
    let text = fs_err::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    text.parse().unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// The rooms that a manifest names under `section`.
fn rooms_named(manifest: &toml::Table, section: &str) -> BTreeSet<String> {
    let Some(dependencies) = manifest.get(section).and_then(toml::Value::as_table) else {
        return BTreeSet::new();
    };
    let room = |name: &String| match name.as_str() {
        "docent" => Some("docent".to_owned()),
        other => other.strip_prefix("docent-").map(str::to_owned),
    };
    dependencies.keys().filter_map(room).collect()
}

#[track_caller]
fn assert_within(who: &str, named: &BTreeSet<String>, allowed: &[&str]) {
    for room in named {
        assert!(
            allowed.contains(&room.as_str()),
            "{who} names {room}, but the floor plan allows only {allowed:?}"
        );
    }
}

/// Our own Rust files under `src/` and `crates/*/src`, sorted: path from the root, and text.
fn sources() -> Vec<(String, String)> {
    let mut folders = vec![root().join("src")];
    folders.extend(entries(&root().join("crates")).into_iter().map(|room| room.join("src")));
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
                files.push((name, fs_err::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    entries.map(|entry| entry.unwrap().path()).collect()
}
