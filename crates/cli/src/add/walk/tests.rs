use super::*;

/// A folder with `files` in it, and a path that stands for a library elsewhere.
fn folder(files: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, *file).unwrap();
    }
    dir
}

fn search(dir: &Path, paths: &[&str]) -> (Vec<String>, Vec<String>) {
    search_beside(dir, paths, "no library")
}

/// The candidates and what was left out, as paths from `dir`.
fn search_beside(dir: &Path, paths: &[&str], library: &str) -> (Vec<String>, Vec<String>) {
    let paths: Vec<PathBuf> = paths.iter().map(|path| dir.join(path)).collect();
    let finds = find(&paths, &dir.join(library));
    let short = |path: &Path| path.strip_prefix(dir).unwrap().display().to_string();
    let taken = finds.candidates.iter().map(|it| short(&it.path)).collect();
    let left_out = finds.left_out.iter();
    (taken, left_out.map(|it| format!("{}: {}", short(&it.path), it.reason)).collect())
}

#[test]
fn a_folder_leaves_out_what_is_hidden_or_ignored_and_counts_it() {
    let dir =
        folder(&["d/a.md", "d/.env", "d/.git/x", "d/b/c.md", "d/b/skip.log", "d/b/skip2.log"]);
    fs::write(dir.path().join("d/.gitignore"), "*.log\n").unwrap();
    let (taken, left_out) = search(dir.path(), &["d"]);
    assert_eq!(taken, ["d/a.md", "d/b/c.md"]);
    assert_eq!(left_out, ["d: 3 hidden, 2 named by .gitignore or .ignore"]);
}

#[test]
fn a_hidden_or_ignored_file_that_is_named_is_taken() {
    let dir = folder(&["d/.env", "d/x.log"]);
    fs::write(dir.path().join("d/.gitignore"), "*.log\n").unwrap();
    assert_eq!(search(dir.path(), &["d/.env", "d/x.log"]).0, ["d/.env", "d/x.log"]);
}

#[test]
fn a_file_reached_twice_is_there_once_and_counts_as_named() {
    let dir = folder(&["d/a.md"]);
    let paths = [dir.path().join("d"), dir.path().join("d/a.md")];
    let finds = find(&paths, Path::new("/nowhere"));
    assert_eq!(finds.candidates.len(), 1);
    assert_eq!(finds.candidates[0].naming, Naming::Named);
}

#[test]
fn globs_are_expanded_as_a_shell_would() {
    let dir = folder(&["n/a.md", "n/b.txt", "n/s/c.md", "n/s/d/e.md", "n/.h.md"]);
    let cases: [(&str, &[&str]); 7] = [
        ("n/*.md", &["n/a.md"]),
        ("n/**/*.md", &["n/a.md", "n/s/c.md", "n/s/d/e.md"]),
        ("n/*/c.md", &["n/s/c.md"]),
        ("n/?.{md,txt}", &["n/a.md", "n/b.txt"]),
        ("n/[ab].*", &["n/a.md", "n/b.txt"]),
        ("n/.*.md", &["n/.h.md"]),
        // A folder that matches is searched.
        ("n/s*", &["n/s/c.md", "n/s/d/e.md"]),
    ];
    for (pattern, expected) in cases {
        let (taken, left_out) = search(dir.path(), &[pattern]);
        assert_eq!(taken, expected, "{pattern}");
        assert!(left_out.is_empty(), "{pattern}: {left_out:?}");
    }
}

#[test]
fn what_leads_to_no_file_is_named_with_the_reason() {
    let dir = folder(&["a.md"]);
    let (taken, left_out) = search(dir.path(), &["gone.pdf", "*.pdf", "x[.md"]);
    assert!(taken.is_empty());
    assert_eq!(left_out[..2], ["gone.pdf: does not exist", "*.pdf: matches no file"]);
    assert!(left_out[2].starts_with("x[.md: unclosed"), "{left_out:?}");
}

#[test]
fn the_library_is_never_added_to_itself() {
    let dir = folder(&["d/a.md", "d/lib/state.sqlite", "d/lib/VERSION"]);
    let (taken, left_out) = search_beside(dir.path(), &["d"], "d/lib");
    assert_eq!(taken, ["d/a.md"]);
    assert_eq!(left_out, ["d: 1 holding the library itself"]);
    let (taken, left_out) = search_beside(dir.path(), &["d/lib"], "d/lib");
    assert!(taken.is_empty());
    assert_eq!(left_out, ["d/lib: is the library itself"]);
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_back_is_reported_and_not_followed() {
    let dir = folder(&["d/a.md", "elsewhere/b.md"]);
    let link = |to: &str, at: &str| {
        std::os::unix::fs::symlink(dir.path().join(to), dir.path().join(at)).unwrap();
    };
    link("d", "d/loop");
    link("elsewhere", "d/out");
    link("gone", "d/broken");
    let (taken, left_out) = search(dir.path(), &["d"]);
    assert_eq!(taken, ["d/a.md", "d/out/b.md"]);
    assert_eq!(left_out.len(), 2, "{left_out:?}");
    assert!(left_out.iter().any(|it| it.starts_with("d/loop: is a link back to")), "{left_out:?}");
    assert!(left_out.iter().any(|it| it == "d/broken: does not exist"), "{left_out:?}");
}
