//! Questions that lean on the ones before them.

use docent::{
    AskOptions, Call, EngineOptions, Library, QueryRewriting, QueryWriter, RunEvent, SearchReport,
    StepDetails,
};

use crate::support::{Home, add_all};

/// Many things that cost something, of which the conversation is about one.
fn price_lists(home: &Home, library: &Library) {
    let mut paths = vec![
        home.write(
            "pump.txt",
            "The heat pump Aurora costs 4,100 euro. Its price includes a filter.",
        ),
        home.write("warranty.txt", "The warranty of the heat pump Aurora is seven years."),
    ];
    for at in 0..40 {
        let text = format!("What does it cost? Item {at} costs {at}0 euro, and it costs no more.");
        paths.push(home.write(&format!("item{at}.txt"), &text));
    }
    add_all(library, &paths);
}

/// Asks both questions in one thread; the second answer, and how it was searched for.
fn ask_twice(library: &Library, first: &str, second: &str) -> (String, SearchReport) {
    let answer = library.ask(first, AskOptions::default()).unwrap().finish().unwrap();
    let options = AskOptions { thread: Some(answer.thread), ..AskOptions::default() };
    let (mut text, mut report) = (String::new(), None);
    for event in library.ask(second, options).unwrap().events {
        match event {
            RunEvent::Message(message) => text = message.text(),
            RunEvent::Step(step) => {
                if let StepDetails::ToolCalls { calls } = &step.details {
                    let of = |call: &Call| match call {
                        Call::FileSearch { report, .. } => report.clone(),
                        _ => None,
                    };
                    report = calls.iter().find_map(|call| of(&call.call)).or(report);
                }
            }
            _ => {}
        }
    }
    (text, report.expect("it was searched for"))
}

const FIRST: &str = "What is the warranty of the heat pump Aurora?";
const SECOND: &str = "And what does it cost?";

#[test]
fn a_second_question_is_found_with_the_words_of_the_first_and_not_without() {
    let home = Home::new();
    let library = home.open();
    price_lists(&home, &library);
    let (answer, report) = ask_twice(&library, FIRST, SECOND);
    assert!(answer.contains("4,100 euro"), "{answer}");
    assert_eq!(report.written_by, QueryWriter::Rules);
    assert_eq!(report.queries[0].query, format!("{FIRST} {SECOND}"));
    assert!(report.queries[0].hits.iter().any(|hit| hit.given));
    drop(library);

    let options =
        EngineOptions { query_rewriting: QueryRewriting::Off, ..EngineOptions::default() };
    let builder = Library::builder(home.library()).without_embedder().engine(options);
    let (answer, report) = ask_twice(&builder.open().unwrap(), FIRST, SECOND);
    assert!(!answer.contains("4,100 euro"), "{answer}");
    assert_eq!(report.queries[0].query, SECOND);
}
