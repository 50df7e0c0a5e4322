//! Against a scripted server on loopback: one script a connection, in order.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use docent_core::{
    CallId, ChatMessage, FinishReason, IdSource, ResponseFormat, Role, Sampling, SequentialIds,
    ToolCall, ToolChoice, ToolRequest, ToolSpec, Usage,
};
use serde_json::{Value, json};

use super::*;

enum Act {
    Send(Vec<u8>),
    Pause(u64),
    /// Waits until the client closes the connection.
    ExpectClose,
}

struct Server {
    base_url: String,
    requests: Receiver<(String, Value)>,
    thread: JoinHandle<()>,
}

impl Server {
    fn start(scripts: Vec<Vec<Act>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}/v1/", listener.local_addr().unwrap());
        let (sender, requests) = channel();
        let thread = std::thread::spawn(move || {
            for script in scripts {
                let (mut connection, _) = listener.accept().unwrap();
                sender.send(read_request(&mut connection)).unwrap();
                for act in script {
                    play(act, &mut connection);
                }
            }
        });
        Self { base_url, requests, thread }
    }

    fn config(&self) -> RemoteConfig {
        RemoteConfig { max_retries: 2, ..RemoteConfig::new(self.base_url.clone()) }
    }

    fn model(&self, change: impl FnOnce(&mut RemoteConfig)) -> Remote {
        let mut config = self.config();
        change(&mut config);
        Remote { first_pause: Duration::from_millis(2), ..Remote::new("test", config).unwrap() }
    }

    /// The requests it got, once every script was played.
    fn finish(self) -> Vec<(String, Value)> {
        self.thread.join().unwrap();
        self.requests.try_iter().collect()
    }
}

fn play(act: Act, connection: &mut TcpStream) {
    match act {
        Act::Send(bytes) => connection.write_all(&bytes).unwrap(),
        Act::Pause(millis) => std::thread::sleep(Duration::from_millis(millis)),
        Act::ExpectClose => {
            connection.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let read = connection.read(&mut [0; 16]);
            assert!(!matches!(&read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock));
        }
    }
}

fn read_request(connection: &mut TcpStream) -> (String, Value) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length = connection.read(&mut buffer).unwrap();
        bytes.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if let Ok(body) = serde_json::from_str(body) {
            return (head.to_owned(), body);
        }
        assert!(length > 0, "the request broke off");
    }
}

fn ok(body: &str) -> Vec<Act> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    vec![Act::Send(format!("{head}{body}").into_bytes())]
}

fn refusal(status: &str, headers: &str, body: &str) -> Vec<Act> {
    let length = body.len();
    vec![Act::Send(
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}")
            .into_bytes(),
    )]
}

fn text_event(text: &str) -> String {
    format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": text}}]}))
}

const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn whole(text: &str) -> Vec<Act> {
    ok(&(text_event(text) + STOP + DONE))
}

fn request(messages: &[ChatMessage]) -> ChatRequest<'_> {
    ChatRequest { model: "asked-for", messages, ..ChatRequest::default() }
}

/// The reply and the pieces of text, without the empty ones.
fn chat(model: &Remote, request: &ChatRequest<'_>) -> (Result<ChatReply>, Vec<String>) {
    let mut pieces = Vec::new();
    let reply = model.chat(request, &mut |delta| {
        match delta {
            ChatDelta::Text(text) if text.is_empty() => {}
            ChatDelta::Text(text) => pieces.push(text),
            other => pieces.push(format!("{other:?}")),
        }
        ControlFlow::Continue(())
    });
    (reply, pieces)
}

fn ask(model: &Remote) -> (Result<ChatReply>, Vec<String>) {
    chat(model, &request(&[ChatMessage::new(Role::User, "why?")]))
}

#[test]
fn a_stream_cut_anywhere_is_put_together() {
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\n";
    let body =
        format!(": hello\r\n\r\n{}{}{STOP}{usage}{DONE}", text_event("因为 [1"), text_event("]."));
    let mut acts = vec![Act::Send(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec(),
    )];
    // Chunks of five bytes: inside characters, line ends and JSON.
    for chunk in body.as_bytes().chunks(5) {
        let framed = [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat();
        acts.push(Act::Send(framed));
    }
    acts.push(Act::Send(b"0\r\n\r\n".to_vec()));
    let server = Server::start(vec![acts]);
    let (reply, pieces) = ask(&server.model(|_| ()));
    let reply = reply.unwrap();
    assert_eq!(pieces, ["因为 [1", "]."]);
    assert_eq!((reply.text.as_str(), reply.finish), ("因为 [1].", FinishReason::Stop));
    assert_eq!(reply.usage, Usage { prompt_tokens: 7, completion_tokens: 3 });
    server.finish();
}

#[test]
fn the_request_says_all_that_was_asked() {
    let server = Server::start(vec![whole("ok")]);
    let mut model = server.model(|_| ());
    model.key = Some(Key::new("sk-secret", "ANY").unwrap());
    let id = CallId::new(SequentialIds::default().next_id());
    let call = ToolCall { id, name: "look".into(), arguments: "{}".into() };
    let messages = [
        ChatMessage::new(Role::System, "be brief"),
        ChatMessage { tool_calls: vec![call], ..ChatMessage::new(Role::Assistant, "") },
        ChatMessage { tool_call_id: Some(id), ..ChatMessage::new(Role::Tool, "seen") },
    ];
    let schema = json!({"type": "object"});
    let tools =
        [ToolSpec { name: "look".into(), description: "looks".into(), parameters: schema.clone() }];
    let stop = vec!["END".to_owned()];
    let sampling = Sampling {
        temperature: Some(0.7),
        top_p: Some(0.9),
        max_tokens: Some(99),
        stop,
        seed: Some(5),
    };
    let asked = ChatRequest {
        tools: &tools,
        tool_choice: ToolChoice::Named("look".into()),
        sampling,
        response_format: ResponseFormat::JsonSchema {
            name: "s".into(),
            description: Some("d".into()),
            schema: schema.clone(),
            strict: true,
        },
        parallel_tool_calls: Some(false),
        reasoning_effort: Some("low"),
        ..request(&messages)
    };
    chat(&model, &asked).0.unwrap();
    let (head, body) = server.finish().remove(0);
    assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("authorization: bearer sk-secret"), "{head}");
    let call_id = id.to_string();
    let function = json!({"name": "look", "arguments": "{}"});
    assert_eq!(
        body,
        json!({
            "model": "asked-for",
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "assistant", "content": null,
                 "tool_calls": [{"id": call_id, "type": "function", "function": function}]},
                {"role": "tool", "content": "seen", "tool_call_id": call_id},
            ],
            "stream": true,
            "stream_options": {"include_usage": true},
            "tools": [{"type": "function",
                       "function": {"name": "look", "description": "looks", "parameters": schema}}],
            "tool_choice": {"type": "function", "function": {"name": "look"}},
            "parallel_tool_calls": false, "reasoning_effort": "low",
            "temperature": 0.7, "top_p": 0.9, "max_tokens": 99, "stop": ["END"], "seed": 5,
            "response_format": {"type": "json_schema",
                                "json_schema": {"name": "s", "description": "d",
                                                "schema": schema, "strict": true}},
        })
    );
}

#[test]
fn parallel_tool_calls_are_told_apart_by_index() {
    let piece = |call: Value| {
        format!("data: {}\n\n", json!({"choices": [{"delta": {"tool_calls": [call]}}]}))
    };
    let body = [
        piece(json!({"index": 3, "id": "a", "function": {"name": "first", "arguments": ""}})),
        piece(
            json!({"index": 7, "id": "b", "function": {"name": "second", "arguments": "{\"x\""}}),
        ),
        piece(json!({"index": 3, "function": {"arguments": "{}"}})),
        piece(json!({"index": 7, "function": {"name": null, "arguments": ":1}"}})),
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}],\"usage\":null}\n\n"
            .into(),
    ]
    .concat();
    let server = Server::start(vec![ok(&body)]);
    let (reply, pieces) = ask(&server.model(|_| ()));
    let reply = reply.unwrap();
    let wanted = [("first", "{}"), ("second", "{\"x\":1}")]
        .map(|(name, arguments)| ToolRequest { name: name.into(), arguments: arguments.into() });
    assert_eq!((reply.tool_calls.as_slice(), reply.finish), (&wanted[..], FinishReason::ToolCalls));
    assert_eq!(pieces[0], "ToolCall { index: 0, name: \"first\" }");
    assert_eq!(pieces[3], "ToolArguments { index: 0, fragment: \"{}\" }");
    assert!(reply.usage.completion_tokens > 0, "estimated where the endpoint is silent");
    server.finish();
}

#[test]
fn a_busy_endpoint_is_asked_again_after_the_pause_it_names() {
    let busy = refusal("429 Too Many Requests", "retry-after-ms: 120\r\n", "slow down");
    let server = Server::start(vec![busy, whole("now")]);
    let started = Instant::now();
    assert_eq!(ask(&server.model(|_| ())).0.unwrap().text, "now");
    assert!(started.elapsed() >= Duration::from_millis(120));
    assert_eq!(server.finish().len(), 2);
}

#[test]
fn a_pause_beyond_the_deadline_is_not_waited_for() {
    let server = Server::start(vec![refusal("429 Busy", "retry-after: 3600\r\n", "")]);
    let error = ask(&server.model(|_| ())).0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert!(error.to_string().contains("3600 seconds"), "{error}");
    server.finish();
}

#[test]
fn an_endpoint_that_stays_broken_is_given_up() {
    let broken =
        || refusal("500 Internal Server Error", "", "{\"error\":{\"message\":\"no memory\"}}");
    let server = Server::start(vec![broken(), broken(), broken()]);
    let error = ask(&server.model(|_| ())).0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().starts_with("after 3 tries: http://127.0.0.1:"), "{error}");
    assert!(error.to_string().ends_with("answered 500: no memory"), "{error}");
    assert_eq!(server.finish().len(), 3);
}

#[test]
fn nothing_is_repeated_once_an_answer_began() {
    let cut = ok(&text_event("half an"));
    let broken = ok(&(text_event("half an") + "data: {\"choices\": [\n\n"));
    let failed = ok(&(text_event("half an") + "data: {\"error\":{\"message\":\"crashed\"}}\n\n"));
    for (script, says) in [(cut, "before the answer"), (broken, "no JSON"), (failed, "crashed")] {
        let server = Server::start(vec![script]);
        let (reply, pieces) = ask(&server.model(|_| ()));
        let error = reply.unwrap_err();
        assert_eq!((pieces, error.kind()), (vec!["half an".to_owned()], ErrorKind::Unavailable));
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(server.finish().len(), 1);
    }
}

#[test]
fn what_breaks_before_the_answer_is_repeated() {
    let broken = ok("data: {\"choices\": [\n\n");
    let server = Server::start(vec![vec![], broken, whole("third time")]);
    assert_eq!(ask(&server.model(|_| ())).0.unwrap().text, "third time");
    assert_eq!(server.finish().len(), 3);
}

#[test]
fn a_finished_answer_needs_no_done() {
    let server = Server::start(vec![ok(&(text_event("all") + STOP))]);
    assert_eq!(ask(&server.model(|_| ())).0.unwrap().text, "all");
    server.finish();
}

#[test]
fn an_answer_in_one_piece_is_taken_too() {
    let body = json!({
        "choices": [{"message": {"role": "assistant", "content": "whole"}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    });
    let server = Server::start(vec![refusal(
        "200 OK",
        "content-type: application/json\r\n",
        &body.to_string(),
    )]);
    let (reply, pieces) = ask(&server.model(|_| ()));
    let reply = reply.unwrap();
    assert_eq!((reply.text.as_str(), reply.finish), ("whole", FinishReason::Length));
    assert_eq!(pieces, ["whole"]);
    server.finish();
}

#[test]
fn silence_before_and_within_an_answer_has_its_limits() {
    let mut silent = ok("");
    silent.extend([Act::Send(b": still thinking\n\n".to_vec()), Act::ExpectClose]);
    let mut stalled = ok(&text_event("so far"));
    stalled.push(Act::ExpectClose);
    for (script, setting) in
        [(silent, "first_token_timeout_seconds"), (stalled, "idle_timeout_seconds")]
    {
        let server = Server::start(vec![script]);
        let model = server.model(|config| {
            config.first_token_timeout = Duration::from_millis(300);
            config.idle_timeout = Duration::from_millis(300);
        });
        let error = ask(&model).0.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains(setting), "{error}");
        server.finish();
    }
}

#[test]
fn a_slow_trickle_ends_at_the_total_limit() {
    let mut trickle = ok("");
    for _ in 0..6 {
        trickle.extend([Act::Send(text_event("x").into_bytes()), Act::Pause(100)]);
    }
    let server = Server::start(vec![trickle]);
    let model = server.model(|config| config.total_timeout = Duration::from_millis(250));
    let error = ask(&model).0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.to_string().contains("total_timeout")
            || error.to_string().contains("timeout: global"),
        "{error}"
    );
    drop(server.requests);
}

#[test]
fn breaking_off_closes_the_connection() {
    let mut endless = ok(&text_event("on and"));
    endless.push(Act::ExpectClose);
    let silent = vec![Act::ExpectClose];
    for (script, expected) in [(endless, "on and"), (silent, "")] {
        let server = Server::start(vec![script]);
        let messages = [ChatMessage::new(Role::User, "why?")];
        let reply = server.model(|_| ()).chat(&request(&messages), &mut |_| ControlFlow::Break(()));
        let reply = reply.unwrap();
        assert_eq!((reply.text.as_str(), reply.finish), (expected, FinishReason::Cancelled));
        server.finish();
    }
}

#[test]
fn a_prompt_that_is_too_long_can_never_work() {
    let body = json!({"error": {"message": "too many tokens", "code": "context_length_exceeded"}});
    let server = Server::start(vec![refusal("400 Bad Request", "", &body.to_string())]);
    assert_eq!(ask(&server.model(|_| ())).0.unwrap_err().kind(), ErrorKind::Invalid);
    server.finish();
}

#[test]
fn the_newer_name_of_the_limit_is_learned() {
    let body = json!({"error": {"message": "use 'max_completion_tokens' instead."}}).to_string();
    let server = Server::start(vec![refusal("400 Bad Request", "", &body), whole("a"), whole("b")]);
    let model = server.model(|_| ());
    let messages = [ChatMessage::new(Role::User, "why?")];
    let sampling = Sampling { max_tokens: Some(9), ..Sampling::default() };
    let asked = ChatRequest { sampling, ..request(&messages) };
    assert_eq!(chat(&model, &asked).0.unwrap().text, "a");
    assert_eq!(chat(&model, &asked).0.unwrap().text, "b");
    let bodies: Vec<Value> = server.finish().into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies[0]["max_tokens"], 9);
    assert_eq!(
        (&bodies[1]["max_completion_tokens"], &bodies[2]["max_completion_tokens"]),
        (&json!(9), &json!(9))
    );
}

#[test]
fn an_endpoint_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let config =
        RemoteConfig { max_retries: 1, ..RemoteConfig::new(format!("http://me:pw@{address}/v1")) };
    let model =
        Remote { first_pause: Duration::from_millis(1), ..Remote::new("m", config).unwrap() };
    let error = ask(&model).0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let named = format!("after 2 tries: http://{address}/v1/chat/completions cannot be reached");
    assert!(error.to_string().starts_with(&named), "{error}");
}

#[test]
fn the_key_is_shown_nowhere() {
    let body = "{\"error\":{\"message\":\"bad key sk-secret\"}}";
    let server = Server::start(vec![refusal("401 Unauthorized", "", body)]);
    let mut model = server.model(|_| ());
    model.key = Some(Key::new("sk-secret", "ANY").unwrap());
    assert!(!format!("{model:?}").contains("sk-secret"));
    let error = ask(&model).0.unwrap_err();
    assert!(!format!("{error:?}{error:#}").contains("sk-secret"), "{error}");
    assert!(error.to_string().contains("bad key [key]; check the key and api_key_env"), "{error}");
    server.finish();
}

#[test]
fn a_missing_key_names_its_variable() {
    let config = RemoteConfig {
        api_key_env: Some("DOCENT_TEST_NO_SUCH_KEY".into()),
        ..RemoteConfig::new("http://localhost/v1")
    };
    let error = Remote::new("m", config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("DOCENT_TEST_NO_SUCH_KEY"), "{error}");
    assert_eq!(Key::new("a\nb", "X").err().map(|error| error.kind()), Some(ErrorKind::Invalid));
}

/// A server that answers as many requests on a connection as it is told, then closes it, and says
/// on which connection each came.
fn keeping_alive(answers: Vec<usize>) -> (String, Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    let (sender, connections) = channel();
    std::thread::spawn(move || {
        for (number, answers) in answers.into_iter().enumerate() {
            let (mut connection, _) = listener.accept().unwrap();
            for _ in 0..answers {
                read_request(&mut connection);
                sender.send(number).unwrap();
                let body = text_event("Yes.") + STOP + DONE;
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
                let length = body.len();
                write!(connection, "{head}content-length: {length}\r\n\r\n{body}").unwrap();
            }
        }
    });
    (base_url, connections)
}

#[test]
fn a_connection_is_used_again_and_a_closed_one_is_not_missed() {
    let (base_url, connections) = keeping_alive(vec![2, 1]);
    // A pause would show: it is longer than the test may take.
    let config = RemoteConfig { max_retries: 0, ..RemoteConfig::new(base_url) };
    let model = Remote::new("test", config).unwrap();
    for _ in 0..3 {
        assert_eq!(ask(&model).0.unwrap().text, "Yes.");
    }
    assert_eq!(connections.try_iter().collect::<Vec<_>>(), [0, 0, 1]);
}

#[test]
fn a_connection_of_a_call_that_was_broken_off_is_not_used_again() {
    let (base_url, connections) = keeping_alive(vec![1, 1]);
    let model = Remote::new("test", RemoteConfig::new(base_url)).unwrap();
    let broken = model
        .chat(&request(&[ChatMessage::new(Role::User, "Go?")]), &mut |_| ControlFlow::Break(()));
    assert_eq!(broken.unwrap().finish, FinishReason::Cancelled);
    assert_eq!(ask(&model).0.unwrap().text, "Yes.");
    assert_eq!(connections.try_iter().collect::<Vec<_>>(), [0, 1]);
}
