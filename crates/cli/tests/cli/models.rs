//! Models: listed, located, and an error with the way out when one is not here.

use crate::support::{Home, Ran};

#[test]
fn the_catalog_is_listed() {
    let home = Home::new();
    let text = home.done(&["models", "list"]).stdout;
    assert!(text.contains("all-MiniLM-L6-v2") && text.contains("no"), "{text}");
    let rows = home.json(&["models", "list", "--json"]);
    let rows = rows.as_array().unwrap();
    let row = rows.iter().find(|row| row["name"] == "all-MiniLM-L6-v2").unwrap();
    assert_eq!((row["kind"].as_str(), row["here"].as_bool()), (Some("embedder"), Some(false)));
}

#[test]
fn path_says_where_files_belong() {
    let home = Home::new();
    let path = home.done(&["models", "path", "all-MiniLM-L6-v2"]).stdout;
    assert_eq!(home.neutral(&path), "HOME/models/all-MiniLM-L6-v2\n");
    assert_eq!(home.neutral(&home.done(&["models", "path"]).stdout), "HOME/models\n");
}

#[test]
fn an_unknown_name_is_told_the_known_ones() {
    let home = Home::new();
    for command in ["pull", "path", "verify"] {
        let ran = home.run(&["models", command, "gpt-5"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("gpt-5"), "{ran:?}");
    }
}

#[test]
fn offline_fetches_nothing_and_says_where_files_belong() {
    let home = Home::new();
    let ran = home.run(&["models", "pull", "all-MiniLM-L6-v2", "--offline"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(home.neutral(&ran.stderr).contains("HOME/models/all-MiniLM-L6-v2"), "{ran:?}");
    let pull = &mut home.docent(&["models", "pull", "all-MiniLM-L6-v2"]);
    assert_eq!(Ran::of(pull.env("DOCENT_OFFLINE", "1")).code, Some(1));
    assert!(home.done(&["models", "verify"]).stderr.contains("no model is on this machine"));
}
