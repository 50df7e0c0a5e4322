//! Reembedding as far as it goes without weights: refusals, and what they say.

use crate::support::{Home, Ran};

#[test]
fn without_weights_reembed_fails_and_nothing_changes() {
    let home = Home::new();
    home.write("a.md", "The alpha valve opens at 80 degrees.");
    home.done(&["add", "a.md"]);
    let ran = Ran::of(&mut home.with_embedder(&["reembed", "--offline"]));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("nothing is fetched offline"), "{ran:?}");
    let ran = Ran::of(&mut home.with_embedder(&["reembed", "--embedder", "nonsense", "--offline"]));
    assert!(ran.stderr.contains("no model is called 'nonsense'"), "{ran:?}");
    assert!(home.done(&["search", "valve"]).stdout.contains("alpha valve"));
}

#[test]
fn going_back_and_pruning_say_what_there_is() {
    let home = Home::new();
    home.write("a.md", "The alpha valve opens at 80 degrees.");
    home.done(&["add", "a.md"]);
    let ran = Ran::of(&mut home.with_embedder(&["reembed", "--rollback", "--offline"]));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("no earlier vectors of vs_"), "{ran:?}");
    let ran = Ran::of(&mut home.with_embedder(&["reembed", "--all", "--prune", "--offline"]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("0 vectors dropped"), "{ran:?}");
}

#[test]
fn what_makes_no_sense_is_code_2_and_an_unknown_store_is_named() {
    let home = Home::new();
    home.write("a.md", "The alpha valve opens at 80 degrees.");
    home.done(&["add", "a.md"]);
    let cases: [&[&str]; 5] = [
        &["reembed"],
        &["reembed", "--yes", "--dry-run"],
        &["reembed", "--rollback", "--prune"],
        &["reembed", "--min-overlap", "2"],
        &["reembed", "vs_1", "--all"],
    ];
    for case in cases {
        // Words alone were chosen, and there is nothing to embed with.
        assert_eq!(home.run(case).code, Some(2), "{case:?}");
    }
    let ran = Ran::of(&mut home.with_embedder(&["reembed", "vs_nope", "--rollback"]));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("there is no vector store vs_nope"), "{ran:?}");
}
