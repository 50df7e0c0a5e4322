//! The life of a document: added, unchanged, changed, removed.

use docent::{Added, Library, SearchOptions};

use crate::support::{Home, add_all, ask, process};

#[track_caller]
fn found(library: &Library, query: &str) -> Vec<String> {
    let result = library.search(query, &SearchOptions::default()).unwrap();
    result.hits.into_iter().map(|hit| hit.chunk.chunk.text).collect()
}

#[test]
fn an_unchanged_document_is_recognised_even_when_only_touched() {
    let home = Home::new();
    let library = home.open();
    let path = home.write("notes.txt", "The boiler was serviced in May.");
    let Added::New(file) = library.add(&path).unwrap() else { panic!("it was not there before") };
    process(&library);
    assert_eq!(library.add(&path).unwrap(), Added::Unchanged(file));

    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    fs_err::File::open(&path).unwrap().file().set_modified(later).unwrap();
    assert_eq!(library.add(&path).unwrap(), Added::Unchanged(file));
    assert_eq!(library.collections().pending().unwrap(), 0);
}

#[test]
fn a_changed_document_replaces_its_older_version() {
    let home = Home::new();
    let library = home.open();
    let path = home.write("notes.txt", "The boiler was serviced in May.");
    add_all(&library, std::slice::from_ref(&path));

    home.write("notes.txt", "The boiler was replaced in October instead.");
    let Added::Changed(_) = library.add(&path).unwrap() else { panic!("its content changed") };
    assert!(!found(&library, "boiler").is_empty(), "the old version is found until the new is in");
    process(&library);

    let texts = found(&library, "boiler");
    assert_eq!(texts.len(), 1);
    assert!(texts[0].contains("October"));
    assert_eq!(library.documents().unwrap().len(), 1);
}

#[test]
fn a_removed_document_is_gone_at_once_and_can_come_back() {
    let home = Home::new();
    let library = home.open();
    let path = home.write("notes.txt", "The boiler was serviced in May.");
    let file = library.add(&path).unwrap().file();
    process(&library);
    assert!(library.remove(file).unwrap());
    assert!(found(&library, "boiler").is_empty());
    assert!(!library.remove(file).unwrap());

    assert!(matches!(library.add(&path).unwrap(), Added::New(_)));
    process(&library);
    assert_eq!(found(&library, "boiler").len(), 1);
}

/// PDF writers and input methods leave radicals (U+2F00 on, U+2E80 on) where characters are meant.
/// They look the same, and so must they be found and answered, whichever side has them.
#[test]
fn a_question_with_radicals_finds_the_passage_with_characters_and_the_other_way_around() {
    let home = Home::new();
    let library = home.open();
    let mut paths = vec![
        home.write("course.txt", "AI大模型全栈工程师适合有编程经验、想转行做应用的人。"),
        home.write("wind.txt", "⻛⼒发电机的叶⽚⻓度是五⼗⽶。"),
    ];
    for at in 0..30 {
        let text = format!("第{at}课:工程师怎样与人合作,大家适合在哪里学习编程,哪些模型够用。");
        paths.push(home.write(&format!("lesson{at}.txt"), &text));
    }
    add_all(&library, &paths);
    let first = |query: &str| found(&library, query).into_iter().next().unwrap_or_default();
    assert!(first("AI⼤模型全栈⼯程师适合哪些人").starts_with("AI大模型全栈"));
    assert!(first("风力发电机叶片长度").starts_with("风力发电机"));

    let answer = ask(&library, "AI⼤模型全栈⼯程师适合哪些人");
    assert!(answer.text().contains("想转行做应用的人"), "{}", answer.text());
    let cited: Vec<_> = answer.citations().map(|it| it.quote.clone()).collect();
    assert!(cited.iter().any(|quote| quote.contains("大模型全栈工程师")), "{cited:?}");
}
