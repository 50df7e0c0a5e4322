//! What the command says about itself, and about a command line it does not understand.

use insta::assert_snapshot;

use crate::support::Home;

#[test]
fn every_command_explains_itself_with_examples() {
    let home = Home::new();
    let commands = [
        "add", "search", "ask", "ls", "rm", "doctor", "reembed", "models", "serve", "keys",
        "export", "import", "sandbox", "eval",
    ];
    assert_snapshot!("help", home.done(&["--help"]).stdout);
    for command in commands {
        let help = home.done(&[command, "--help"]).stdout;
        assert!(help.contains("Examples:"), "{command}: {help}");
        assert_snapshot!(format!("help_{command}"), help);
    }
}

#[test]
fn a_wrong_command_line_is_code_2() {
    let home = Home::new();
    home.write("a.md", "a");
    let cases: [&[&str]; 8] = [
        &["frobnicate"],
        &["add"],
        &["search"],
        &["search", "x", "--limit", "0"],
        &["ask", "x", "--thread", "nonsense"],
        &["add", "a.md", "-"],
        &["ask", "--add", "-", "x"],
        &["models", "pull"],
    ];
    for case in cases {
        let ran = home.run(case);
        assert_eq!(ran.code, Some(2), "{case:?}: {ran:?}");
        assert!(ran.stdout.is_empty(), "{case:?}: {ran:?}");
    }
    assert!(!home.library().exists());
}

#[test]
fn no_library_is_an_error_with_the_way_out_and_none_is_made() {
    let home = Home::new();
    for case in [&["search", "x"][..], &["ask", "x"], &["ls"], &["rm", "x"], &["doctor"]] {
        let ran = home.run(case);
        assert_eq!(ran.code, Some(1), "{case:?}: {ran:?}");
        assert!(ran.stdout.is_empty(), "{case:?}: {ran:?}");
        let stderr = home.neutral(&ran.stderr);
        assert_eq!(
            stderr,
            "error: there is no library at HOME/library; make one with \"docent add PATH\", or \
             name another with --library\n"
        );
    }
    assert!(!home.library().exists());
}

#[test]
fn a_configuration_that_is_wrong_is_named_with_its_key() {
    let home = Home::new();
    let cases = [
        ("vector_index = \"fast\"", "vector_index"),
        ("late_interaction = \"sometimes\"", "late_interaction"),
        ("embeder = \"x\"", "unknown key `embeder`"),
        ("[models.a]\nbackend = \"cloud\"", "models.\"a\""),
        ("[models", "docent.toml"),
    ];
    for (text, says) in cases {
        home.write("docent.toml", text);
        let ran = home.run(&["models", "list"]);
        assert_eq!(ran.code, Some(1), "{text}: {ran:?}");
        assert!(ran.stderr.contains("docent.toml") && ran.stderr.contains(says), "{ran:?}");
    }
    let ran = home.run(&["models", "list", "--config", "gone.toml"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("gone.toml"), "{ran:?}");
}
