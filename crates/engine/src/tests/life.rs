use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use docent_core::*;

use super::support::*;
use crate::*;

#[test]
fn events_come_in_the_contracts_order() {
    let library = Library::new(Profile::Tools, [Turn::Say(vec!["a", "b"])]);
    let events = run_to_end(&library.open(), "Hello?");
    assert_eq!(
        names(&events),
        [
            "thread.run.created",
            "thread.run.queued",
            "thread.run.in_progress",
            "thread.run.step.created",
            "thread.run.step.in_progress",
            "thread.message.created",
            "thread.message.in_progress",
            "thread.message.delta",
            "thread.message.completed",
            "thread.run.step.completed",
            "thread.run.completed",
        ]
    );
}

#[test]
fn snapshots_grow_with_their_deltas() {
    let library = Library::new(Profile::Tools, [Turn::Say(vec!["He", "llo", "!"])]);
    let events = run_to_end(&library.open(), "Hello?");
    let texts: Vec<String> = events
        .iter()
        .filter_map(|event| match event {
            RunEvent::MessageDelta { message, .. } => Some(message.text()),
            _ => None,
        })
        .collect();
    assert_eq!(texts, ["He", "Hello", "Hello!"]);
}

#[test]
fn a_clients_function_is_called_and_answered() {
    let calls = vec![("weather", r#"{"city":"Bonn"}"#), ("weather", "no JSON")];
    let library = Library::new(Profile::Tools, [Turn::Call("Let me see.", calls)]);
    let engine = library.open();
    let events = run_to_end(&engine, "What is the weather?");
    let run = last_run(&events).clone();
    assert_eq!(run.status, RunStatus::RequiresAction);
    let pending: Vec<&str> = run.required_calls.iter().map(|c| c.arguments.as_str()).collect();
    assert_eq!(pending, [r#"{"city":"Bonn"}"#, "no JSON"]);

    library.then(Turn::Say(vec!["Sunny."]));
    let output = |call: &ToolCall| SubmittedOutput { call: call.id, output: "sunny".into() };
    let outputs: Vec<_> = run.required_calls.iter().rev().map(output).collect();
    let events: Vec<_> = engine.resume_run(run.id, outputs.clone()).unwrap().collect();
    assert_eq!(
        names(&events)[..4],
        [
            "thread.run.step.completed",
            "thread.run.queued",
            "thread.run.in_progress",
            "thread.run.step.created"
        ]
    );
    let run = last_run(&events);
    assert_eq!(run.status, RunStatus::Completed);
    assert_eq!(run.usage.unwrap().total_tokens(), 30);

    // The model saw what it had said, its calls, and their outputs.
    let asked = library.asked().pop().unwrap().messages;
    let seen: Vec<(Role, &str, usize)> =
        asked.iter().map(|m| (m.role, m.content.as_str(), m.tool_calls.len())).collect();
    assert_eq!(
        seen[2..],
        [(Role::Assistant, "Let me see.", 2), (Role::Tool, "sunny", 0), (Role::Tool, "sunny", 0),]
    );
    let error = engine.submit_tool_outputs(run.id, outputs).unwrap_err();
    assert_eq!(error.message(), "Runs in status \"completed\" do not accept tool outputs.");
}

#[test]
fn outputs_must_match_the_pending_calls_exactly() {
    let calls = vec![("weather", "{}"), ("weather", "{}")];
    let library = Library::new(Profile::Tools, [Turn::Call("", calls)]);
    let engine = library.open();
    let run = last_run(&run_to_end(&engine, "Weather?")).clone();
    let ids: Vec<CallId> = run.required_calls.iter().map(|call| call.id).collect();
    let output = |call| SubmittedOutput { call, output: String::new() };
    let stranger: CallId = "call_zzzzzzzzzzzzzzzzzzzzzzzz".parse().unwrap();
    for wrong in [vec![ids[0]], vec![ids[0], ids[0]], vec![ids[0], ids[1], stranger], vec![]] {
        let outputs = wrong.iter().copied().map(output).collect();
        let error = engine.submit_tool_outputs(run.id, outputs).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let given: Vec<String> = wrong.iter().map(|id| format!("'{id}'")).collect();
        assert_eq!(
            error.message(),
            format!(
                "Expected tool outputs for call_ids ['{}', '{}'], got [{}]",
                ids[0],
                ids[1],
                given.join(", ")
            )
        );
    }
    assert_eq!(engine.run(run.id).unwrap().status, RunStatus::RequiresAction);
}

#[test]
fn a_registered_tool_is_called_by_the_engine() {
    let mut library = Library::new(
        Profile::Tools,
        [
            Turn::Call("", vec![("weather", r#"{"city":"Bonn"}"#), ("nothing", "{}")]),
            Turn::Say(vec!["Sunny."]),
        ],
    );
    let weather = Weather::new(true);
    library.tools.push(weather.clone());
    let engine = library.open();
    let run = last_run(&run_to_end(&engine, "Weather?")).clone();
    assert_eq!(run.status, RunStatus::Completed);
    assert_eq!(*weather.calls.lock().unwrap(), [r#"{"city":"Bonn"}"#]);
    let asked = library.asked().pop().unwrap().messages;
    let outputs: Vec<&str> =
        asked.iter().filter(|m| m.role == Role::Tool).map(|m| m.content.as_str()).collect();
    assert_eq!(outputs, ["sunny", "error: there is no tool 'nothing'"]);
    assert_eq!(engine.run_steps(run.id).unwrap().len(), 2);
}

#[test]
fn a_tool_that_panics_is_an_output_for_the_model() {
    let turns = [Turn::Call("", vec![("weather", "{}")]), Turn::Say(vec!["Sorry."])];
    let mut library = Library::new(Profile::Tools, turns);
    library.tools.push(Weather::new(false));
    let run = last_run(&run_to_end(&library.open(), "Weather?")).clone();
    assert_eq!(run.status, RunStatus::Completed);
    let asked = library.asked().pop().unwrap().messages;
    assert_eq!(asked.last().unwrap().content, "error: tool weather panicked: it hails");
}

#[test]
fn a_model_that_only_calls_tools_is_stopped() {
    let call = Turn::Call("", vec![("weather", "{}")]);
    let mut library = Library::new(Profile::Tools, vec![call; 4]);
    library.tools.push(Weather::new(true));
    library.options.max_tool_turns = 2;
    let run = last_run(&run_to_end(&library.open(), "Weather?")).clone();
    assert_eq!(run.status, RunStatus::Failed);
    assert!(run.last_error.unwrap().message.contains("without an answer"));
    // The third turn was offered no tools.
    assert!(library.asked()[2].tools.is_empty());
}

#[test]
fn tools_are_offered_as_the_run_chooses() {
    let turns = [Turn::Call("", vec![("file_search", "pump")]), Turn::Say(vec!["Yes."])];
    let library = Library::new(Profile::Tools, turns);
    let engine = library.open();
    let (assistant, thread) = ask(&engine, "Hello?");
    let named = ToolChoice::Named("file_search".into());
    let new = NewRun { tool_choice: named.clone(), ..NewRun::new(assistant.id) };
    engine.start_run(thread.id, new).unwrap().for_each(drop);
    library.then(Turn::Say(vec!["No."]));
    let new = NewRun { tool_choice: ToolChoice::None, ..NewRun::new(assistant.id) };
    engine.start_run(thread.id, new).unwrap().for_each(drop);
    let asked = library.asked();
    assert_eq!(asked[0].tools, ["file_search", "weather"]);
    assert_eq!(asked[0].tool_choice, named);
    assert_eq!(asked[1].tool_choice, ToolChoice::Auto);
    assert!(asked[2].tools.is_empty());
    assert_eq!(*library.shelf.queries.lock().unwrap(), ["pump"]);
}

#[test]
fn a_basic_model_gets_passages_and_no_search() {
    let library = Library::new(Profile::Basic, [Turn::Say(vec!["It stops."])]);
    let engine = library.open();
    let run = last_run(&run_to_end(&engine, "When does the pump stop?")).clone();
    let asked = library.asked().remove(0);
    assert_eq!((asked.passages, asked.tools), (2, vec!["weather".to_owned()]));
    assert!(asked.messages[0].content.contains("[2] (filter.pdf, p. 7)\nClean the filter"));
    // The search is not told as turns besides.
    assert_eq!(asked.messages.len(), 2);
    assert_eq!(asked.messages[1].content, "When does the pump stop?");
    assert_eq!(*library.shelf.queries.lock().unwrap(), ["When does the pump stop?"]);
    let steps = engine.run_steps(run.id).unwrap();
    assert!(matches!(&steps[0].details, StepDetails::ToolCalls { calls } if calls.len() == 1));
    assert_eq!(steps[0].context.unwrap().passages, 2);
}

#[test]
fn a_basic_model_decides_on_functions_once_and_the_step_says_so() {
    let library = Library::new(
        Profile::Basic,
        [Turn::Call("", vec![("weather", "{}")]), Turn::Say(vec!["It rains."])],
    );
    let engine = library.open();
    let run = last_run(&run_to_end(&engine, "Does it rain?")).clone();
    assert_eq!(run.status, RunStatus::RequiresAction);
    let output = |call: &ToolCall| SubmittedOutput { call: call.id, output: "rain".into() };
    let outputs: Vec<_> = run.required_calls.iter().map(output).collect();
    let events: Vec<_> = engine.resume_run(run.id, outputs).unwrap().collect();
    assert_eq!(last_run(&events).status, RunStatus::Completed);
    let asked = library.asked();
    assert_eq!((asked[0].tools.len(), asked[1].tools.len()), (1, 0));
    // The passages and what the function said, each once.
    let roles: Vec<Role> = asked[1].messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool]);
    assert_eq!(asked[1].messages[3].content, "rain");
    let steps = engine.run_steps(run.id).unwrap();
    let noted: Vec<bool> = steps.iter().map(|step| step.metadata.contains_key("note")).collect();
    assert_eq!(noted, [false, true, false]);
}

#[test]
fn passages_that_do_not_fit_are_left_out_and_said_so() {
    let mut library = Library::new(Profile::Basic, [Turn::Say(vec!["Hm."])]);
    let long = "word ".repeat(500);
    library.shelf = Arc::new(Shelf {
        found: (1..=4).map(|n| passage(n, "long.txt", 1, &long)).collect(),
        ..Shelf::default()
    });
    let engine = library.open();
    let run = last_run(&run_to_end(&engine, "What?")).clone();
    assert_eq!(run.status, RunStatus::Completed, "{:?}", run.last_error);
    let context = engine.run_steps(run.id).unwrap()[0].context.unwrap();
    assert_eq!((context.passages, context.passages_dropped), (1, 3));
}

#[test]
fn the_oldest_messages_are_left_out_and_said_so() {
    let library = Library::new(Profile::Tools, [Turn::Say(vec!["Yes."])]);
    let engine = library.open();
    let (assistant, thread) = ask(&engine, "the very first");
    for number in 0..9 {
        let text = format!("{number} {}", "word ".repeat(200));
        engine.add_message(thread.id, NewMessage::user(text)).unwrap();
    }
    let run = engine.start_run(thread.id, NewRun::new(assistant.id)).unwrap();
    let run = last_run(&run.collect::<Vec<_>>()).clone();
    let context = engine.run_steps(run.id).unwrap()[0].context.unwrap();
    assert_eq!((context.messages, context.messages_dropped, context.tools), (9, 1, 2));
    assert!(context.prompt_tokens <= context.budget_tokens);
    let asked = library.asked().remove(0).messages;
    assert_eq!(asked[1].content, "the very first");
    assert!(asked[2].content.starts_with("1 ") && asked[9].content.starts_with("8 "));
    let messages = engine.messages(thread.id, &PageRequest::all()).unwrap().data;
    assert_eq!(context.first_dropped, Some(messages[1].id));
    assert_eq!(context.last_dropped, Some(messages[1].id));
}

#[test]
fn a_message_is_counted_once_however_many_runs_show_it() {
    let library = Library::new(Profile::Tools, [Turn::Say(vec!["Yes."]), Turn::Say(vec!["No."])]);
    let engine = library.open();
    let (assistant, thread) = ask(&engine, "one");
    for number in 0..60 {
        engine.add_message(thread.id, NewMessage::user(format!("word {number}"))).unwrap();
    }
    let counts = [(); 2].map(|()| {
        let before = library.model.counted.load(SeqCst);
        told(engine.start_run(thread.id, NewRun::new(assistant.id)).unwrap());
        library.model.counted.load(SeqCst) - before
    });
    // The second run has the first one's answer to count, and no more.
    assert!(counts[0] > 60 && counts[1] == 1, "{counts:?}");
}

#[test]
fn a_message_that_was_deleted_is_not_said_to_be_left_out() {
    let library = Library::new(Profile::Tools, [Turn::Say(vec!["Yes."])]);
    let engine = library.open();
    let (assistant, thread) = ask(&engine, "one");
    let two = engine.add_message(thread.id, NewMessage::user("two")).unwrap();
    engine.add_message(thread.id, NewMessage::user("three")).unwrap();
    engine.delete_message(two.id).unwrap();
    let run = engine.start_run(thread.id, NewRun::new(assistant.id)).unwrap();
    let run = last_run(&run.collect::<Vec<_>>()).clone();
    let context = engine.run_steps(run.id).unwrap()[0].context.unwrap();
    assert_eq!((context.messages, context.messages_dropped), (2, 0));
}

#[test]
fn a_run_that_asks_for_its_last_messages_is_shown_those() {
    let library = Library::new(Profile::Tools, [Turn::Say(vec!["Yes."])]);
    let engine = library.open();
    let (assistant, thread) = ask(&engine, "one");
    for text in ["two", "three", "four"] {
        engine.add_message(thread.id, NewMessage::user(text)).unwrap();
    }
    let truncation = Truncation::LastMessages(2);
    let run = NewRun { truncation, ..NewRun::new(assistant.id) };
    let run = last_run(&told(engine.start_run(thread.id, run).unwrap())).clone();
    let asked = library.asked().remove(0).messages;
    let texts: Vec<&str> = asked[1..].iter().map(|message| message.content.as_str()).collect();
    assert_eq!(texts, ["three", "four"]);
    let context = engine.run_steps(run.id).unwrap()[0].context.unwrap();
    assert_eq!((context.messages, context.messages_dropped), (2, 2));
}

#[test]
fn a_message_too_long_for_the_model_fails_the_run_with_its_size() {
    let library = Library::new(Profile::Tools, []);
    let run = last_run(&run_to_end(&library.open(), &"word ".repeat(3000))).clone();
    assert_eq!(run.status, RunStatus::Failed);
    let error = run.last_error.unwrap();
    assert_eq!(error.code, RunErrorCode::InvalidPrompt);
    assert!(error.message.contains("3006 tokens"), "{}", error.message);
}

#[test]
fn a_busy_thread_takes_no_message_and_no_second_run() {
    let library = Library::new(Profile::Tools, [Turn::Babble("I")]);
    let engine = library.open();
    let (assistant, thread) = ask(&engine, "Hello?");
    let run = engine.create_run(thread.id, NewRun::new(assistant.id)).unwrap();
    let error = engine.add_message(thread.id, NewMessage::user("and?")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        error.message(),
        format!("Can't add messages to {} while a run {} is active.", thread.id, run.id)
    );
    let error = engine.create_run(thread.id, NewRun::new(assistant.id)).unwrap_err();
    assert_eq!(
        error.message(),
        format!("Thread {} already has an active run {}.", thread.id, run.id)
    );
    assert!(engine.delete_thread(thread.id).is_err());
    assert_eq!(engine.cancel_run(run.id).unwrap().status, RunStatus::Cancelling);
    engine.follow(run.id).unwrap().for_each(drop);
    engine.add_message(thread.id, NewMessage::user("and?")).unwrap();
}

#[test]
fn a_run_is_cancelled_while_its_model_speaks() {
    let library = Library::new(Profile::Tools, [Turn::Babble("I say")]);
    let engine = library.open();
    let (assistant, thread) = ask(&engine, "Hello?");
    let stream = engine.start_run(thread.id, NewRun::new(assistant.id)).unwrap();
    let mut events = Vec::new();
    for event in stream {
        if let RunEvent::MessageDelta { .. } = &event
            && events.iter().all(|event| !matches!(event, RunEvent::MessageDelta { .. }))
        {
            let RunEvent::RunCreated(run) = &events[0] else { panic!() };
            engine.cancel_run(run.id).unwrap();
        }
        events.push(event);
    }
    let ending = names(&events);
    assert_eq!(
        ending[ending.len() - 4..],
        [
            "thread.run.cancelling",
            "thread.message.incomplete",
            "thread.run.step.cancelled",
            "thread.run.cancelled"
        ]
    );
    let run = last_run(&events);
    let message = engine.messages(run.thread, &PageRequest::default()).unwrap().data.remove(0);
    assert_eq!(message.incomplete_reason, Some(MessageIncomplete::RunCancelled));
    assert!(message.text().starts_with("I say"));
    let error = engine.cancel_run(run.id).unwrap_err();
    assert_eq!(error.message(), "Cannot cancel run with status 'cancelled'.");
}

#[test]
fn a_run_that_waits_for_the_client_can_be_cancelled_and_can_expire() {
    let call = Turn::Call("", vec![("weather", "{}")]);
    let library = Library::new(Profile::Tools, vec![call; 2]);
    let engine = library.open();
    let run = last_run(&run_to_end(&engine, "Weather?")).clone();
    engine.cancel_run(run.id).unwrap();
    let done = |wanted| move |engine: &Engine, id| engine.run(id).unwrap().status == wanted;
    wait_until("the cancel", || done(RunStatus::Cancelled)(&engine, run.id));
    assert_eq!(engine.run_steps(run.id).unwrap()[0].status, StepStatus::Cancelled);

    let run = last_run(&run_to_end(&engine, "Weather?")).clone();
    library.clock.advance(Duration::from_secs(600));
    wait_until("the expiry", || done(RunStatus::Expired)(&engine, run.id));
    assert_eq!(engine.run_steps(run.id).unwrap()[0].status, StepStatus::Expired);
    assert_eq!(engine.thread(run.thread).unwrap().active_run, None);
}

#[test]
fn a_run_expires_while_its_model_speaks() {
    let library = Library::new(Profile::Tools, [Turn::Babble("well")]);
    let engine = library.open();
    let (assistant, thread) = ask(&engine, "Hello?");
    let stream = engine.start_run(thread.id, NewRun::new(assistant.id)).unwrap();
    let events: Vec<_> = stream
        .inspect(|event| {
            if event.name() == "thread.message.created" {
                library.clock.advance(Duration::from_secs(601));
            }
        })
        .collect();
    let run = last_run(&events);
    assert_eq!(run.status, RunStatus::Expired);
    let message = engine.messages(run.thread, &PageRequest::default()).unwrap().data.remove(0);
    assert_eq!(message.incomplete_reason, Some(MessageIncomplete::RunExpired));
}

#[test]
fn a_model_that_panics_fails_the_run_and_no_other() {
    let turns = [Turn::Panic(vec!["I th"]), Turn::Say(vec!["Fine."])];
    let library = Library::new(Profile::Tools, turns);
    let engine = library.open();
    let events = run_to_end(&engine, "Hello?");
    let run = last_run(&events);
    assert_eq!(run.status, RunStatus::Failed);
    let error = run.last_error.clone().unwrap();
    assert_eq!(error.message, "chat model scripted panicked: the weights caught fire");
    let message = engine.messages(run.thread, &PageRequest::default()).unwrap().data.remove(0);
    assert_eq!((message.status, message.text()), (MessageStatus::Incomplete, "I th".into()));
    assert_eq!(last_run(&run_to_end(&engine, "Hello?")).status, RunStatus::Completed);
}

#[test]
fn errors_have_the_contracts_codes() {
    for (kind, code) in [
        (ErrorKind::Overloaded, RunErrorCode::RateLimitExceeded),
        (ErrorKind::Unavailable, RunErrorCode::ServerError),
        (ErrorKind::Invalid, RunErrorCode::InvalidPrompt),
    ] {
        let library = Library::new(Profile::Tools, [Turn::Fail(vec![], kind)]);
        let run = last_run(&run_to_end(&library.open(), "Hello?")).clone();
        assert_eq!(run.last_error.unwrap().code, code);
    }
    let library = Library::new(Profile::Tools, []);
    let engine = library.open();
    let (assistant, thread) = ask(&engine, "Hello?");
    let new = NewRun { model: Some("missing".into()), ..NewRun::new(assistant.id) };
    let events: Vec<_> = engine.start_run(thread.id, new).unwrap().collect();
    assert_eq!(
        last_run(&events).last_error.clone().unwrap().message,
        "there is no model 'missing'"
    );
}

#[test]
fn limits_of_tokens_make_a_run_incomplete() {
    let call = Turn::Call("", vec![("file_search", "pump")]);
    let library = Library::new(Profile::Tools, [call]);
    let engine = library.open();
    let (assistant, thread) = ask(&engine, "Hello?");
    let new = NewRun { max_completion_tokens: Some(5), ..NewRun::new(assistant.id) };
    let events: Vec<_> = engine.start_run(thread.id, new).unwrap().collect();
    let run = last_run(&events);
    assert_eq!(run.status, RunStatus::Incomplete);
    assert_eq!(run.incomplete_reason, Some(RunIncomplete::MaxCompletionTokens));

    let new = NewRun { max_prompt_tokens: Some(4), ..NewRun::new(assistant.id) };
    let events: Vec<_> = engine.start_run(thread.id, new).unwrap().collect();
    let reason = last_run(&events).incomplete_reason;
    assert_eq!(reason, Some(RunIncomplete::MaxPromptTokens));
}

#[test]
fn twenty_threads_run_at_once() {
    let library = Library::new(Profile::Tools, vec![Turn::Babble("I"); 20]);
    let engine = library.open();
    let begun: Vec<(RunId, RunStream)> = (0..20)
        .map(|number| {
            let (assistant, thread) = ask(&engine, &format!("Question {number}?"));
            let run = engine.create_run(thread.id, NewRun::new(assistant.id)).unwrap();
            (run.id, engine.follow(run.id).unwrap())
        })
        .collect();
    let at_work = || {
        let status = |id: &RunId| engine.run(*id).unwrap().status;
        begun.iter().all(|(id, _)| status(id) == RunStatus::InProgress)
    };
    wait_until("all at work", at_work);
    for (id, _) in &begun {
        engine.cancel_run(*id).unwrap();
    }
    for (id, stream) in begun {
        let events: Vec<_> = stream.collect();
        assert_eq!(last_run(&events).status, RunStatus::Cancelled);
        assert_eq!(last_run(&events).id, id);
        assert_eq!(events[0].name(), "thread.run.created");
    }
}

#[test]
fn more_runs_than_workers_wait_their_turn() {
    let mut library = Library::new(Profile::Tools, vec![Turn::Say(vec!["Yes."]); 12]);
    library.options.workers = 2;
    let engine = library.open();
    let streams: Vec<RunStream> = (0..12)
        .map(|_| {
            let (assistant, thread) = ask(&engine, "Hello?");
            engine.start_run(thread.id, NewRun::new(assistant.id)).unwrap()
        })
        .collect();
    for stream in streams {
        assert_eq!(last_run(&stream.collect::<Vec<_>>()).status, RunStatus::Completed);
    }
}

#[test]
fn a_run_is_told_again_in_the_same_order() {
    let call = Turn::Call("", vec![("file_search", r#"{"queries":["pump"]}"#)]);
    let library = Library::new(Profile::Tools, [call, Turn::Say(vec!["Ye", "s."])]);
    let engine = library.open();
    let events = run_to_end(&engine, "Hello?");
    let again: Vec<_> = engine.follow(last_run(&events).id).unwrap().collect();
    assert_eq!(names(&again), names(&events));
    assert_eq!(again.last(), events.last());
}

#[test]
fn messages_come_a_page_at_a_time() {
    let library = Library::new(Profile::Tools, []);
    let engine = library.open();
    let thread = engine.create_thread(NewThread::default()).unwrap().id;
    let ids: Vec<MessageId> = (0..7)
        .map(|n| engine.add_message(thread, NewMessage::user(n.to_string())).unwrap().id)
        .collect();
    let list = |request: PageRequest<MessageId>| {
        let page = engine.messages(thread, &request).unwrap();
        let texts: Vec<String> = page.data.iter().map(Message::text).collect();
        (texts.concat(), page.has_more)
    };
    let newest = PageRequest { limit: 3, ..PageRequest::default() };
    let oldest = PageRequest { order: Order::Oldest, ..newest };
    let is = |text: &str, more| (text.to_owned(), more);
    assert_eq!(list(newest), is("654", true));
    assert_eq!(list(PageRequest { after: Some(ids[4]), ..newest }), is("321", true));
    assert_eq!(list(PageRequest { after: Some(ids[3]), ..newest }), is("210", false));
    assert_eq!(list(PageRequest { before: Some(ids[3]), ..newest }), is("654", false));
    assert_eq!(list(PageRequest { before: Some(ids[2]), ..newest }), is("543", true));
    assert_eq!(list(PageRequest { before: Some(ids[5]), ..oldest }), is("234", true));
    assert_eq!(list(PageRequest { before: Some(ids[2]), ..oldest }), is("01", false));
    let between = PageRequest { after: Some(ids[0]), before: Some(ids[3]), ..oldest };
    assert_eq!(list(between), is("12", false));
    assert_eq!(list(PageRequest { limit: 0, ..newest }), is("", true));
}

#[test]
fn what_is_not_there_is_named_in_the_contracts_words() {
    let library = Library::new(Profile::Tools, []);
    let engine = library.open();
    let raw = "zzzzzzzzzzzzzzzzzzzzzzzz";
    let thread: ThreadId = format!("thread_{raw}").parse().unwrap();
    let assistant: AssistantId = format!("asst_{raw}").parse().unwrap();
    let error = engine.create_run(thread, NewRun::new(assistant)).unwrap_err();
    assert_eq!(error.message(), format!("No thread found with id '{thread}'."));
    let error = engine.delete_assistant(assistant).unwrap_err();
    assert_eq!(error.message(), format!("No assistant found with id '{assistant}'."));
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_deleted_thread_leaves_nothing_behind() {
    let library = Library::new(Profile::Tools, [Turn::Say(vec!["Yes."])]);
    let engine = library.open();
    let run = last_run(&run_to_end(&engine, "Hello?")).clone();
    engine.delete_thread(run.thread).unwrap();
    assert!(engine.run(run.id).is_err());
    let read = library.store.read().unwrap();
    for table in ["threads", "messages", "message_places", "runs", "thread_runs", "run_steps"] {
        let table: Table<String, serde_json::Value> = Table::new(table);
        assert_eq!(table.all(read.as_ref(), "").unwrap(), [], "{table:?}");
    }
}
