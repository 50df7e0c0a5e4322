//! A chat model's endpoint, as a server in this process: it answers like OpenAI's, by a script.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// Threads here hold a request and an answer of a few kilobytes.
const STACK_BYTES: usize = 256 << 10;

/// What was asked: the request's head and its body.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) body: Value,
}

/// A delta, and how long it is in coming.
pub(crate) type Piece = (Duration, Value);

/// The endpoint. It serves until the process ends, any number of connections at a time, each for
/// as many requests as the client likes.
#[derive(Debug)]
pub(crate) struct Upstream {
    base_url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Upstream {
    /// An endpoint that answers a request with what `answer` says to it.
    pub(crate) fn new(answer: impl Fn(&Asked) -> Vec<Piece> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, heard) = (Arc::new(answer), asked.clone());
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let (answer, heard) = (answer.clone(), heard.clone());
                let thread = thread::Builder::new().stack_size(STACK_BYTES);
                // A client that goes away ends its connection, nothing else.
                thread.spawn(move || drop(serve(connection, &*answer, &heard))).unwrap();
            }
        });
        Self { base_url, asked }
    }

    /// Where it is, as `base_url` of a remote model.
    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Every request so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    connection: TcpStream,
    answer: &dyn Fn(&Asked) -> Vec<Piece>,
    heard: &Mutex<Vec<Asked>>,
) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut writer = connection;
    while let Some(asked) = read(&mut reader)? {
        let pieces = answer(&asked);
        heard.lock().unwrap().push(asked);
        write(&mut writer, &pieces)?;
    }
    Ok(())
}

/// The next request; none when the client has closed the connection.
fn read(reader: &mut impl BufRead) -> io::Result<Option<Asked>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
    });
    let mut body = vec![0; length.expect("a request says how long it is")];
    reader.read_exact(&mut body)?;
    Ok(Some(Asked { head, body: serde_json::from_slice(&body).unwrap() }))
}

fn write(writer: &mut impl Write, pieces: &[Piece]) -> io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                transfer-encoding: chunked\r\n\r\n";
    writer.write_all(head.as_bytes())?;
    let calls = pieces.iter().any(|(_, delta)| !delta["tool_calls"].is_null());
    for (pause, delta) in pieces {
        if !pause.is_zero() {
            thread::sleep(*pause);
        }
        event(writer, &json!({ "choices": [{ "index": 0, "delta": delta }] }).to_string())?;
    }
    let finish = if calls { "tool_calls" } else { "stop" };
    let end = json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": finish }] });
    event(writer, &end.to_string())?;
    event(writer, "[DONE]")?;
    writer.write_all(b"0\r\n\r\n")
}

fn event(writer: &mut impl Write, data: &str) -> io::Result<()> {
    let event = format!("data: {data}\n\n");
    writer.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes())
}
