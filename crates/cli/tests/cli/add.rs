//! Adding: what comes in, what does not, and what it costs to do it again.

use fs_err as fs;

use crate::support::{Home, Ran, handbook};

#[test]
fn a_folder_comes_in_and_adding_it_again_does_nothing() {
    let home = Home::new();
    home.write("docs/a.md", "# Alpha\n\nThe alpha valve opens at 80 degrees.");
    home.write("docs/deep/b.txt", "The beta valve opens at 90 degrees.");
    home.write("docs/.hidden", "not this");
    let first = home.done(&["add", "docs"]);
    assert!(first.stdout.contains("docs/a.md"), "{first:?}");
    assert!(first.stdout.contains("1 hidden"), "{first:?}");
    assert!(first.stdout.contains("2 added, 1 skipped; 2 pages, 2 chunks"), "{first:?}");
    let again = home.done(&["add", "docs"]);
    assert!(again.stdout.contains("2 unchanged, 1 skipped; 0 pages, 0 chunks"), "{again:?}");
    assert!(!again.stdout.contains("docs/a.md"), "{again:?}");
}

#[test]
fn a_changed_file_replaces_its_old_version() {
    let home = Home::new();
    home.write("a.md", "The old valve opens at eighty degrees.");
    home.done(&["add", "a.md"]);
    home.write("a.md", "The new valve opens at ninety degrees, says the revision.");
    let ran = home.done(&["add", "a.md"]);
    assert!(ran.stdout.contains("1 updated"), "{ran:?}");
    let found = home.json(&["search", "eighty", "--json"]);
    assert_eq!(found["hits"].as_array().unwrap().len(), 0, "{found}");
    assert_eq!(home.json(&["ls", "--json"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_touched_file_is_unchanged() {
    let home = Home::new();
    let path = home.write("a.md", "The valve opens.");
    home.done(&["add", "a.md"]);
    fs::write(&path, "The valve opens.").unwrap();
    assert!(home.done(&["add", "a.md"]).stdout.contains("1 unchanged"));
}

#[test]
fn each_bad_file_has_its_reason_and_the_others_come_in() {
    let home = Home::new();
    let pdf = fs::read(handbook()).unwrap();
    home.write("in/good.md", "The good file speaks of valves.");
    home.write("in/really-a-pdf.txt", &pdf);
    home.write("in/empty.pdf", "");
    home.write("in/truncated.pdf", &pdf[..900]);
    home.write("in/picture.md", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06");
    home.write("in/zeros.txt", vec![0; 5000]);
    home.write("in/control.md", "The bell \u{7} rings, \u{1b}[31m red.");
    home.write("in/invalid.txt", b"The caf\xe9 and the na\xefve valve opened at eighty degrees.");
    let ran = home.done(&["add", "in"]);
    let rows = home.json(&["ls", "--json"]);
    let status = |name: &str| {
        let rows = rows.as_array().unwrap();
        let row = rows.iter().find(|row| row["file"] == name);
        let row = row.unwrap_or_else(|| panic!("{name} is not in {rows:?}"));
        (row["status"].as_str().unwrap(), row["reason"].as_str().unwrap_or_default())
    };
    assert_eq!(status("good.md"), ("ready", ""));
    assert_eq!(status("really-a-pdf.txt").0, "ready");
    for (name, says) in [
        ("empty.pdf", "the file is empty"),
        ("truncated.pdf", ""),
        ("picture.md", "PNG"),
        ("zeros.txt", ""),
    ] {
        let (found, reason) = status(name);
        assert_eq!(found, "failed", "{name}: {reason}");
        assert!(!reason.is_empty() && reason.contains(says), "{name}: {reason}");
        assert!(ran.stdout.contains(name), "{ran:?}");
    }
    assert_eq!(status("control.md").0, "ready");
    assert_eq!(status("invalid.txt").0, "ready");
    assert!(!ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}'), "{ran:?}");
}

#[test]
fn a_named_file_that_cannot_be_added_is_code_3() {
    let home = Home::new();
    home.write("good.md", "The good file speaks of valves.");
    home.write("empty.pdf", "");
    for named in ["empty.pdf", "gone.pdf", "*.docx"] {
        let ran = home.run(&["add", "good.md", named]);
        assert_eq!(ran.code, Some(3), "{named}: {ran:?}");
        assert!(ran.stdout.contains(named), "{named}: {ran:?}");
        assert!(home.done(&["ls"]).stdout.contains("good.md"), "{named}");
    }
    // Found in a folder or by a glob, it is only told.
    home.done(&["add", "."]);
    home.done(&["add", "*.pdf"]);
    // And it stays failed when it is named again.
    assert_eq!(home.run(&["add", "empty.pdf"]).code, Some(3));
}

#[test]
fn a_mistyped_path_makes_no_library() {
    let home = Home::new();
    let ran = home.run(&["add", "gone.pdf"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stdout.contains("does not exist"), "{ran:?}");
    assert!(!home.library().exists());
}

#[test]
fn file_names_cannot_reach_the_terminal() {
    let home = Home::new();
    home.write("a\u{1b}]0;owned\u{7}.md", "The valve\u{1b}[2J opens at 80 degrees.");
    home.write("b\u{1b}[31m.pdf", "");
    let outputs = [
        home.done(&["add", "."]),
        home.done(&["ls"]),
        home.done(&["search", "valve", "--explain"]),
        home.done(&["ask", "When does the valve open?"]),
        home.done(&["rm", "a\u{1b}]0;owned\u{7}.md"]),
    ];
    for ran in outputs {
        assert!(!ran.stdout.contains(['\u{1b}', '\u{7}']), "{ran:?}");
        assert!(!ran.stderr.contains(['\u{1b}', '\u{7}']), "{ran:?}");
    }
}

#[test]
fn without_weights_and_offline_words_still_find() {
    let home = Home::new();
    home.write("a.md", "The alpha valve opens at 80 degrees.");
    let ran = Ran::of(&mut home.with_embedder(&["add", "a.md", "--offline"]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("warning: searching by words alone"), "{ran:?}");
    assert!(ran.stderr.contains("docent models pull multilingual-e5-small-q4"), "{ran:?}");
    let ran =
        Ran::of(home.with_embedder(&["search", "valve", "--json"]).env("DOCENT_OFFLINE", "1"));
    assert!(ran.stdout.contains("alpha valve"), "{ran:?}");
}

#[test]
fn quiet_says_nothing_but_results() {
    let home = Home::new();
    home.write("a.md", "The alpha valve opens at 80 degrees.");
    let ran = Ran::of(&mut home.with_embedder(&["add", "a.md", "--offline", "--quiet"]));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
}
