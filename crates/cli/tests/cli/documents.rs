//! Listing, removing and checking what is in the library.

use fs_err as fs;

use crate::support::Home;

fn twins() -> Home {
    let home = Home::new();
    home.write("one/notes.md", "The first notes speak of valves.");
    home.write("two/notes.md", "The second notes speak of pumps.");
    home.write("other.md", "The other file speaks of pipes.");
    home.done(&["add", "."]);
    home
}

fn names(home: &Home) -> Vec<String> {
    let rows = home.json(&["ls", "--json"]);
    let name = |row: &serde_json::Value| row["path"].as_str().unwrap().to_owned();
    let mut names: Vec<String> = rows.as_array().unwrap().iter().map(name).collect();
    names.sort();
    names
}

#[test]
fn ls_tells_each_document() {
    let home = twins();
    let text = home.done(&["ls"]).stdout;
    assert!(text.contains("one/notes.md") && text.contains("3 documents, 3 chunks"), "{text}");
    let rows = home.json(&["ls", "--json"]);
    let row = &rows[0];
    assert!(row["file_id"].as_str().unwrap().starts_with("file-"), "{rows}");
    assert_eq!((row["status"].as_str(), row["chunks"].as_u64()), (Some("ready"), Some(1)));
}

#[test]
fn rm_takes_a_name_a_path_or_an_id() {
    let home = twins();
    assert!(home.done(&["rm", "other.md"]).stdout.contains("removed other.md"));
    let found = home.json(&["search", "pipes", "--json"]);
    assert_eq!(found["hits"].as_array().unwrap().len(), 0, "{found}");
    home.done(&["rm", "one/notes.md"]);
    let rows = home.json(&["ls", "--json"]);
    assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
    home.done(&["rm", rows[0]["file_id"].as_str().unwrap()]);
    assert!(names(&home).is_empty());
}

#[test]
fn an_ambiguous_or_unknown_name_removes_nothing() {
    let home = twins();
    let before = names(&home);
    let ran = home.run(&["rm", "other.md", "notes.md"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("one/notes.md") && ran.stderr.contains("two/notes.md"), "{ran:?}");
    let ran = home.run(&["rm", "gone.md"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("gone.md"), "{ran:?}");
    assert_eq!(names(&home), before);
}

#[test]
fn a_document_whose_file_is_gone_can_be_removed_by_its_path() {
    let home = twins();
    fs::remove_file(home.work().join("one/notes.md")).unwrap();
    home.done(&["rm", "one/notes.md"]);
    assert_eq!(names(&home).len(), 2);
}

#[test]
fn a_removed_document_can_be_added_again() {
    let home = twins();
    home.done(&["rm", "other.md"]);
    assert!(home.done(&["add", "other.md"]).stdout.contains("1 added"));
}

#[test]
fn doctor_finds_nothing_wrong_and_sees_what_is() {
    let home = twins();
    assert_eq!(home.done(&["doctor"]).stdout, "all is well\n");
    assert_eq!(home.json(&["doctor", "--json"]), serde_json::json!([]));
    // A blob that nobody mentions.
    let hash = "ab".repeat(32);
    let folder = home.library().join("blobs/ab");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(&hash[2..]), "stray").unwrap();
    let ran = home.run(&["doctor"]);
    assert!(ran.code == Some(1) && ran.stdout.contains("wrong"), "{ran:?}");
    assert!(ran.stderr.contains("--repair"), "{ran:?}");
    home.done(&["doctor", "--repair"]);
    assert_eq!(home.done(&["doctor"]).stdout, "all is well\n");
}

#[test]
fn deleting_the_indexes_loses_only_time() {
    let home = twins();
    let before = home.json(&["search", "speak", "--json"]);
    fs::remove_dir_all(home.library().join("indexes")).unwrap();
    let after = home.json(&["search", "speak", "--json"]);
    assert_eq!(before["hits"], after["hits"]);
}
