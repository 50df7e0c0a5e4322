//! `docent export` and `docent import`: between libraries, and from what others saved.

use std::path::{Path, PathBuf};

use fs_err as fs;
use serde_json::{Value, json};

use crate::keys::Serving;
use crate::support::{Home, handbook};

fn fixture(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    path.to_str().unwrap().to_owned()
}

/// Every model's name is answered without weights.
fn with_any_model() -> Home {
    let home = Home::new();
    home.write("docent.toml", "[models.\"*\"]\nbackend = \"extractive\"\n");
    home
}

fn get(server: &Serving, path: &str) -> Value {
    let (status, body) = server.ask("GET", path, None, "");
    assert_eq!(status, 200, "{path}: {body}");
    body
}

/// The texts of a thread's messages, oldest first.
fn texts(server: &Serving, thread: &str) -> Vec<String> {
    let list = get(server, &format!("/v1/threads/{thread}/messages?order=asc"));
    let text = |message: &Value| {
        let parts = message["content"].as_array().unwrap();
        let text = parts.iter().find_map(|part| part["text"]["value"].as_str());
        text.unwrap_or_default().to_owned()
    };
    list["data"].as_array().unwrap().iter().map(text).collect()
}

#[test]
fn a_library_moves_by_its_export() {
    let (old, new) = (Home::new(), Home::new());
    old.done(&["add", handbook().to_str().unwrap()]);
    old.done(&["ask", "How long is one window of an embedding model?"]);
    let ran = old.done(&["export", "whole.jsonl"]);
    assert!(ran.stdout.is_empty() && ran.stderr.contains("1 assistant"), "{ran:?}");
    let whole = old.work().join("whole.jsonl");
    assert!(!old.work().join("whole.jsonl.part").exists());
    let whole = whole.to_str().unwrap();
    let ran = new.done(&["import", whole]);
    assert!(ran.stdout.contains("vector store file"), "{ran:?}");
    let search = ["search", "one window of an embedding model", "--json"];
    assert_eq!(new.json(&search)["hits"], old.json(&search)["hits"]);
    assert_eq!(new.json(&["ls", "--json"]), old.json(&["ls", "--json"]));
    // The same lines, but for the first, which says when.
    let again = new.done(&["export"]).stdout;
    let lines = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&again), lines(&fs::read_to_string(whole).unwrap()));
    new.done(&["import", whole]);
    assert_eq!(lines(&new.done(&["export"]).stdout), lines(&again));
    assert_eq!(new.done(&["doctor"]).stdout, "all is well\n");
    assert_eq!(new.json(&["ls", "--json"]), old.json(&["ls", "--json"]));
}

#[test]
fn a_file_that_was_cut_off_or_damaged_is_refused_by_line() {
    let home = Home::new();
    home.write("a.md", "The valve opens at 80 degrees.");
    home.done(&["add", "a.md"]);
    let whole = home.done(&["export"]).stdout;
    let lines: Vec<&str> = whole.lines().collect();
    let last = lines.len() - 1;
    let broken = |at: usize, line: &str| {
        let mut lines = lines.clone();
        lines[at] = line;
        lines.join("\n")
    };
    let piece = lines.iter().position(|line| line.starts_with("{\"type\":\"bytes\"")).unwrap();
    let other =
        r#"{"type":"bytes","object":{"base64":"VGhlIHZhbHZlIG9wZW5zIGF0IDkwIGRlZ3JlZXMu"}}"#;
    let cases = [
        (lines[..last].join("\n"), "cut off"),
        (lines[..piece].join("\n"), "more bytes of a file"),
        (broken(piece, "nonsense"), "line 3: "),
        (broken(piece, other), "SHA-256"),
        (broken(last, r#"{"type":"end","object":{"counts":{"thread":4}}}"#), "4 lines of thread"),
        (
            broken(
                0,
                r#"{"type":"docent_library","object":{"format":9,"docent":"9.9","created_at":0,"counts":{}}}"#,
            ),
            "format 9",
        ),
    ];
    for (text, says) in cases {
        let fresh = Home::new();
        fresh.write("broken.jsonl", &text);
        let ran = fresh.run(&["import", "broken.jsonl"]);
        assert_eq!(ran.code, Some(1), "{says}: {ran:?}");
        assert!(
            ran.stderr.contains(says) && ran.stderr.contains("broken.jsonl"),
            "{says}: {ran:?}"
        );
        // Whatever went wrong, the whole file sets it right.
        fresh.write("whole.jsonl", &whole);
        fresh.done(&["import", "whole.jsonl"]);
        assert_eq!(fresh.done(&["doctor"]).stdout, "all is well\n", "{says}");
    }
}

#[test]
fn an_object_with_other_content_is_refused_by_name() {
    let home = Home::new();
    home.write("a.md", "The valve opens at 80 degrees.");
    home.done(&["add", "a.md"]);
    let whole = home.done(&["export"]).stdout;
    home.write("other.jsonl", whole.replace("\"filename\":\"a.md\"", "\"filename\":\"b.md\""));
    let ran = home.run(&["import", "other.jsonl"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("file-") && ran.stderr.contains("other content"), "{ran:?}");
}

#[test]
fn threads_saved_from_openai_go_on_here() {
    let home = with_any_model();
    let ran = home.done(&["import", &fixture("openai")]);
    let stdout = ran.stdout.clone();
    assert!(stdout.contains("1 citations point at 1 files"), "{stdout}");
    assert!(stdout.contains("1 objects of the kind 'model'"), "{stdout}");
    assert!(stdout.contains("1 places of files in vector stores are left out"), "{stdout}");
    // Again, in another order: nothing changes.
    let before = home.done(&["export"]).stdout;
    let objects = fixture("openai/more/objects.jsonl");
    home.done(&["import", &objects, &fixture("openai/messages.json")]);
    let lines = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&home.done(&["export"]).stdout), lines(&before));
    assert_eq!(home.done(&["doctor"]).stdout, "all is well\n");

    let server = Serving::begin(&home);
    let thread = "thread_zMhTH0RtT7QFkHXQZeEMUMOh";
    let assistant = "asst_psmawyqIV5HrDiwxYAesO4ia";
    let run = "run_pKbeI1F2KDaLVCpwRRBR8PXt";
    assert_eq!(get(&server, &format!("/v1/threads/{thread}"))["metadata"]["username"], "wzr");
    let said = texts(&server, thread);
    assert_eq!(said[..3], ["你好", "有什么可以帮您?", "你是谁?"]);
    assert!(said[3].starts_with("我是瓜瓜") && said[4].contains("70B"), "{said:?}");
    let newest = get(&server, &format!("/v1/threads/{thread}/messages?limit=1"));
    let message = &newest["data"][0];
    assert_eq!(
        (&message["status"], &message["created_at"]),
        (&json!("completed"), &json!(1727163000))
    );
    let citation = &message["content"][0]["text"]["annotations"][0];
    assert_eq!(citation["file_citation"]["file_id"], "file-1UtRqFPoJcJrcVNfOc5dL6Pk");
    assert_eq!((&citation["start_index"], &citation["end_index"]), (&json!(26), &json!(38)));
    // Printed twice, when it was queued and when it was done.
    let shown = get(&server, &format!("/v1/threads/{thread}/runs/{run}"));
    assert_eq!(
        (&shown["status"], &shown["usage"]["total_tokens"]),
        (&json!("completed"), &json!(120))
    );
    let steps = get(&server, &format!("/v1/threads/{thread}/runs/{run}/steps"));
    assert_eq!(steps["data"][0]["id"], "step_0TrkT9Hrn3RCmyYCnFo4MZVq");
    assert_eq!(
        get(&server, &format!("/v1/assistants/{assistant}"))["tools"][1]["function"]["name"],
        "course_info"
    );

    go_on(&server, thread, assistant);
    // The run that waited for its client does not lock its thread.
    let waited = "thread_RWfx9UJ02xTLIfcLQjaxKGeq";
    let runs = get(&server, &format!("/v1/threads/{waited}/runs"));
    assert_eq!(runs["data"][0]["status"], "expired");
    assert!(runs["data"][0]["last_error"]["message"].as_str().unwrap().contains("requires_action"));
    go_on(&server, waited, assistant);
}

/// The thread takes a message and a run, which ends well.
#[track_caller]
fn go_on(server: &Serving, thread: &str, assistant: &str) {
    let before = texts(server, thread).len();
    let question = json!({ "role": "user", "content": "Llama?" }).to_string();
    let path = format!("/v1/threads/{thread}/messages");
    assert_eq!(server.ask("POST", &path, None, &question).0, 200);
    let body = json!({ "assistant_id": assistant }).to_string();
    let (status, run) = server.ask("POST", &format!("/v1/threads/{thread}/runs"), None, &body);
    assert_eq!(status, 200, "{run}");
    let path = format!("/v1/threads/{thread}/runs/{}", run["id"].as_str().unwrap());
    let ended = (0..500).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        let run = get(server, &path);
        (run["completed_at"] != Value::Null || run["failed_at"] != Value::Null).then_some(run)
    });
    assert_eq!(ended.as_ref().map(|run| &run["status"]), Some(&json!("completed")), "{ended:?}");
    assert_eq!(texts(server, thread).len(), before + 2);
}

#[test]
fn threads_saved_from_azure_keep_what_can_be_kept_and_say_the_rest() {
    let home = with_any_model();
    let ran = home.done(&["import", &fixture("azure/thread.json")]);
    for says in [
        "assistant-NuWhVYYJZ1ISb2eqo4gC7Gnh is called file-",
        "1 citations point at 1 files",
        "1 attachments point at 1 files",
        "1 images stay in their messages",
    ] {
        assert!(ran.stdout.contains(says), "{says}: {ran:?}");
    }
    let again = home.done(&["import", &fixture("azure/thread.json")]).stdout;
    assert!(again.contains("There before"), "{again}");
    let server = Serving::begin(&home);
    let thread = "thread_AzUr3AzUr3AzUr3AzUr3AzUr";
    assert_eq!(get(&server, &format!("/v1/threads/{thread}"))["created_at"], 1720000000);
    assert_eq!(texts(&server, thread)[0], "Plot the data.");
    let list = get(&server, &format!("/v1/threads/{thread}/messages?order=asc"));
    let image = &list["data"][1]["content"][0]["image_file"]["file_id"];
    let path = &list["data"][1]["content"][1]["text"]["annotations"][0]["file_path"]["file_id"];
    assert!(image == path && image.as_str().unwrap().starts_with("file-"), "{list}");
    let (_, made) = server.ask("POST", "/v1/assistants", None, r#"{"model":"gpt-4o"}"#);
    go_on(&server, thread, made["id"].as_str().unwrap());
}

#[test]
fn messages_that_come_later_find_their_place() {
    let home = Home::new();
    let message = |id: char, at: u64| {
        json!({ "id": format!("msg_00000000000000000000000{id}"), "object": "thread.message",
            "created_at": at, "thread_id": "thread_000000000000000000000000", "role": "user",
            "content": [{ "type": "text", "text": { "value": id.to_string(), "annotations": [] } }] })
    };
    let page = |messages: &[Value]| json!({ "object": "list", "data": messages }).to_string();
    home.write("newer.json", page(&[message('d', 9), message('c', 5)]));
    home.write("older.json", page(&[message('c', 5), message('b', 4), message('a', 4)]));
    home.done(&["import", "newer.json"]);
    home.done(&["import", "older.json"]);
    let server = Serving::begin(&home);
    assert_eq!(texts(&server, "thread_000000000000000000000000"), ["a", "b", "c", "d"]);
}

#[test]
fn what_is_no_dump_says_where() {
    let home = Home::new();
    home.write("torn.json", "{\"object\": \"thread\", ");
    home.write("odd.json", r#"{"object":"thread","id":"thread_000000000000000000000000"}"#);
    home.write("none.json", "[1, {\"a\": []}]");
    let ran = home.run(&["import", "torn.json"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("torn.json is no JSON"), "{ran:?}");
    let ran = home.run(&["import", "odd.json"]);
    assert!(ran.stderr.contains("odd.json: thread thread_0"), "{ran:?}");
    assert!(ran.code == Some(1) && ran.stderr.contains("'created_at' should be there"), "{ran:?}");
    assert_eq!(home.done(&["import", "none.json"]).stdout, "nothing was found to import\n");
}
