//! What a client does: everything whose loss would be noticed, and a ledger of what it was told.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Client, Gone, Told, form, id};
use crate::ledger::{End, Ledger};
use crate::process::{MODEL, Served};
use crate::upstream::{Asked, Piece};

/// When a test may kill the server from outside, because a client sees the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Half of a file was sent.
    MidUpload,
    /// A run was made; its model takes its time.
    Queued,
    /// The first words of an answer were seen.
    MidStream,
    /// A run asks for outputs.
    RequiresAction,
    /// A run was asked to stop.
    Cancelling,
}

/// What the model says: it repeats the newest message, asks for two functions if it begins with
/// "call", and tells what they gave. "slowly" in it makes it take its time.
pub(crate) fn model(asked: &Asked) -> Vec<Piece> {
    let messages = asked.body["messages"].as_array().unwrap();
    let outputs = messages.iter().rev().take_while(|it| it["role"] == "tool");
    let mut outputs: Vec<&str> = outputs.map(|it| it["content"].as_str().unwrap()).collect();
    outputs.reverse();
    let newest = messages.last().unwrap()["content"].as_str().unwrap_or_default();
    if !outputs.is_empty() {
        return spoken(&outputs_told(&outputs), Duration::ZERO);
    }
    if newest.starts_with("call") && asked.body["tools"].is_array() {
        return calls();
    }
    let slow = newest.contains("slowly");
    spoken(&heard(newest), if slow { Duration::from_millis(15) } else { Duration::ZERO })
}

/// The model's answer to `text`.
pub(crate) fn heard(text: &str) -> String {
    format!("I have heard this from you: {text} And that is all.")
}

fn outputs_told(outputs: &[&str]) -> String {
    format!("They gave {}.", outputs.join(" and "))
}

/// An answer in words.
pub(crate) fn spoken(text: &str, pause: Duration) -> Vec<Piece> {
    text.split_inclusive(' ').map(|word| (pause, json!({ "content": word }))).collect()
}

fn calls() -> Vec<Piece> {
    let call = |index: usize, name: &str| {
        let function = json!({ "name": name, "arguments": "{\"x\":1}" });
        let call = json!({ "index": index, "id": format!("call_{index}"), "type": "function",
            "function": function });
        (Duration::ZERO, json!({ "tool_calls": [call] }))
    };
    vec![call(0, "f"), call(1, "g")]
}

/// One client of one server.
pub(crate) struct Story<'a> {
    client: Client,
    address: String,
    /// Stands in everything it writes, so that nothing can be taken for another's.
    name: String,
    pub(crate) ledger: Ledger,
    on_moment: &'a (dyn Fn(Moment) + Sync),
    texts: usize,
}

impl<'a> Story<'a> {
    pub(crate) fn new(
        served: &Served,
        name: String,
        on_moment: &'a (dyn Fn(Moment) + Sync),
    ) -> Self {
        let (client, address) = (served.client(), served.address().to_owned());
        Self { client, address, name, ledger: Ledger::default(), on_moment, texts: 0 }
    }

    /// All of it, beginning with chapter `first`.
    pub(crate) fn tell(&mut self, first: u64) -> Told<()> {
        let assistant = self.assistant()?;
        for chapter in first..first + 7 {
            match chapter % 7 {
                0 => self.files()?,
                1 => self.streams(&assistant)?,
                2 => self.polls(&assistant)?,
                3 => self.calls_functions(&assistant)?,
                4 => self.cancels(&assistant)?,
                5 => self.uploads_slowly()?,
                _ => self.deletes(&assistant)?,
            }
        }
        Ok(())
    }

    fn text(&mut self, what: &str) -> String {
        self.texts += 1;
        format!("{what} {}x{}.", self.name, self.texts)
    }

    fn made(&mut self, parent: &str, body: &Value) -> Told<String> {
        let made = self.client.post(parent, body)?.ok();
        let path = format!("{parent}/{}", id(&made));
        self.ledger.keep(&path, &made);
        Ok(path)
    }

    fn assistant(&mut self) -> Told<String> {
        let function = |name: &str| json!({ "type": "function", "function": { "name": name } });
        let path = self.made(
            "/assistants",
            &json!({ "model": MODEL, "name": self.name, "instructions": "Repeat.",
                "tools": [function("f"), function("g")] }),
        )?;
        self.rename(&path)?;
        Ok(path)
    }

    fn rename(&mut self, path: &str) -> Told<()> {
        let name = self.text("renamed");
        self.ledger.changing(path, &name);
        let renamed = self.client.post(path, &json!({ "name": name }))?.ok();
        self.ledger.keep(path, &renamed);
        Ok(())
    }

    fn file(&mut self) -> Told<String> {
        let content = self.text("The marker is");
        let made = self.client.upload("文件.md", &content)?.ok();
        let path = format!("/files/{}", id(&made));
        self.ledger.keep_file(&path, &made, &content);
        Ok(path)
    }

    /// Files enter a vector store, alone and as a batch that is called off.
    fn files(&mut self) -> Told<()> {
        let files: Vec<String> = (0..4).map(|_| self.file()).collect::<Told<_>>()?;
        let ids: Vec<&str> = files.iter().map(|path| last(path)).collect();
        let store = self.made("/vector_stores", &json!({ "name": self.name }))?;
        self.rename(&store)?;
        let entry = json!({ "file_id": ids[0], "attributes": { "of": self.name } });
        self.made(&format!("{store}/files"), &entry)?;
        let batch = json!({ "file_ids": ids[1..3] });
        let batch = self.made(&format!("{store}/file_batches"), &batch)?;
        // It may be done already, and then cannot be called off.
        self.client.post(&format!("{batch}/cancel"), &json!({}))?;
        self.made(&format!("{store}/files"), &json!({ "file_id": ids[3] }))?;
        self.delete(&format!("{store}/files/{}", ids[3]))?;
        self.delete(&files[3])
    }

    /// A file of which the first half comes long before the second.
    fn uploads_slowly(&mut self) -> Told<()> {
        let content = self.text("The marker is").repeat(4000);
        let body = form("slow.md", &content);
        let head = format!(
            "POST /v1/files HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n\
             content-type: multipart/form-data; boundary=XX\r\n\r\n",
            self.address,
            body.len()
        );
        let (first, second) = body.split_at(body.len() / 2);
        let upload = || -> std::io::Result<String> {
            let mut connection = TcpStream::connect(&self.address)?;
            connection.write_all(head.as_bytes())?;
            connection.write_all(first.as_bytes())?;
            (self.on_moment)(Moment::MidUpload);
            connection.write_all(second.as_bytes())?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = upload().map_err(|_| Gone)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(Gone)?;
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        let made: Value = serde_json::from_str(body).map_err(|_| Gone)?;
        self.ledger.keep_file(&format!("/files/{}", id(&made)), &made, &content);
        Ok(())
    }

    fn thread(&mut self, text: &str) -> Told<String> {
        let message = json!({ "role": "user", "content": text });
        self.made("/threads", &json!({ "messages": [message], "metadata": { "of": self.name } }))
    }

    /// A run, streamed to its end.
    fn streams(&mut self, assistant: &str) -> Told<()> {
        let thread = self.thread("Hello.")?;
        let file = self.file()?;
        let text = self.text("slowly");
        let tools = json!([{ "type": "file_search" }]);
        let attached = json!([{ "file_id": last(&file), "tools": tools }]);
        let message = json!({ "role": "user", "content": text, "attachments": attached });
        self.made(&format!("{thread}/messages"), &message)?;
        let body = json!({ "assistant_id": last(assistant), "stream": true, "tools": [] });
        let mut seen = false;
        for (name, data) in self.client.stream(&format!("{thread}/runs"), &body)? {
            match name.as_str() {
                "thread.run.created" => {
                    let run = format!("{thread}/runs/{}", id(&data));
                    self.ledger.keep(&run, &data);
                    self.ledger.must_end(&run, End::Answer(heard(&text)));
                }
                "thread.message.delta" if !std::mem::replace(&mut seen, true) => {
                    (self.on_moment)(Moment::MidStream);
                }
                "thread.message.completed" => {
                    self.ledger.keep(&format!("{thread}/messages/{}", id(&data)), &data);
                }
                "done" => return Ok(()),
                _ => {}
            }
        }
        Err(Gone)
    }

    fn run(&mut self, thread: &str, assistant: &str, end: End) -> Told<String> {
        let body = json!({ "assistant_id": last(assistant), "metadata": { "of": self.name } });
        let run = self.made(&format!("{thread}/runs"), &body)?;
        self.ledger.must_end(&run, end);
        Ok(run)
    }

    /// Two runs, one after the other, asked for until they end.
    fn polls(&mut self, assistant: &str) -> Told<()> {
        let text = self.text("Now");
        let thread = self.thread(&text)?;
        let run = self.run(&thread, assistant, End::Answer(heard(&text)))?;
        self.client.settled(&run)?;
        let text = self.text("slowly then");
        let message = json!({ "role": "user", "content": text });
        self.made(&format!("{thread}/messages"), &message)?;
        let run = self.run(&thread, assistant, End::Answer(heard(&text)))?;
        (self.on_moment)(Moment::Queued);
        self.client.settled(&run).map(drop)
    }

    fn calls_functions(&mut self, assistant: &str) -> Told<()> {
        let text = self.text("call");
        let thread = self.thread(&text)?;
        let (f, g) = (self.text("f"), self.text("g"));
        let answer = outputs_told(&[&f, &g]);
        let run = self.run(&thread, assistant, End::Waits(answer.clone()))?;
        let waiting = self.client.settled(&run)?;
        (self.on_moment)(Moment::RequiresAction);
        self.ledger.may_end(&run, End::Answer(answer.clone()));
        self.client.post(&format!("{run}/submit_tool_outputs"), &outputs(&waiting, [&f, &g]))?.ok();
        self.ledger.must_end(&run, End::Answer(answer));
        self.client.settled(&run).map(drop)
    }

    fn cancels(&mut self, assistant: &str) -> Told<()> {
        let text = self.text("slowly");
        let thread = self.thread(&text)?;
        let run = self.run(&thread, assistant, End::Answer(heard(&text)))?;
        self.ledger.may_end(&run, End::Cancelled);
        let cancelled = self.client.post(&format!("{run}/cancel"), &json!({}))?;
        if cancelled.status == 200 {
            self.ledger.must_end(&run, End::Cancelled);
            (self.on_moment)(Moment::Cancelling);
        }
        self.client.settled(&run).map(drop)
    }

    /// One of everything is made and deleted again.
    fn deletes(&mut self, assistant: &str) -> Told<()> {
        let text = self.text("Goodbye");
        let thread = self.thread(&text)?;
        let run = self.run(&thread, assistant, End::Answer(heard(&text)))?;
        self.client.settled(&run)?;
        let said = self.made(
            &format!("{thread}/messages"),
            &json!({ "role": "user",
            "content": "Or not." }),
        )?;
        self.delete(&said)?;
        self.delete(&thread)?;
        let second = self.assistant()?;
        self.delete(&second)?;
        let file = self.file()?;
        let store = self.made("/vector_stores", &json!({ "file_ids": [last(&file)] }))?;
        self.delete(&store)?;
        self.delete(&file)
    }

    fn delete(&mut self, path: &str) -> Told<()> {
        self.ledger.deleting(path);
        self.client.delete(path)?.ok();
        self.ledger.deleted(path);
        Ok(())
    }
}

/// The outputs of a run's two functions.
pub(crate) fn outputs(waiting: &Value, given: [&str; 2]) -> Value {
    let calls = &waiting["required_action"]["submit_tool_outputs"]["tool_calls"];
    let calls = calls.as_array().unwrap_or_else(|| panic!("no calls in {waiting}"));
    let outputs = calls.iter().zip(given);
    let outputs = outputs.map(|(call, text)| json!({ "tool_call_id": id(call), "output": text }));
    json!({ "tool_outputs": outputs.collect::<Vec<_>>() })
}

/// The id at a path's end.
pub(crate) fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}
