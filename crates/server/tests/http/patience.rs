//! Clients that take their time, or send more than anybody reads.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use docent_inference::chat::Scripted;
use docent_server::Patience;
use serde_json::json;

use crate::support::{Api, Setup};

const SHORT: Duration = Duration::from_millis(300);

/// Longer than a machine with much to do takes for anything here.
const LONG: Duration = Duration::from_secs(60);

fn api(patience: Patience) -> Api {
    Api::with(Arc::new(Scripted::new([])), Setup { patience, ..Setup::default() })
}

fn connect(api: &Api) -> TcpStream {
    let url = api.url("");
    let connection = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    connection.set_read_timeout(Some(LONG / 2)).unwrap();
    connection
}

/// All that is answered until the server closes the connection.
#[track_caller]
fn rest(mut connection: TcpStream) -> String {
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_head_that_does_not_end_is_not_waited_for() {
    let api = api(Patience { head: SHORT, body: LONG });
    let begun = Instant::now();
    let mut connection = connect(&api);
    connection.write_all(b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx-").unwrap();
    let answer = rest(connection);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(begun.elapsed() >= SHORT, "closed after {:?}", begun.elapsed());
    // One that says nothing at all is not, either.
    assert_eq!(rest(connect(&api)), "");
    // Nor does a model's time count: a head is all that must come soon.
    api.get("/v1/models").ok();
}

#[test]
fn a_head_without_bounds_is_refused() {
    let api = api(Patience::default());
    let mut connection = connect(&api);
    let long = "x".repeat(100_000);
    let head = format!("GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx-long: {long}\r\n\r\n");
    // It may close the door before all of it is sent.
    let _ = connection.write_all(head.as_bytes());
    let mut status = [0; 12];
    connection.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 431");
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let api = api(Patience { head: LONG, body: SHORT });
    let mut connection = connect(&api);
    let head = "POST /v1/threads HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                content-length: 10\r\ncontent-type: application/json\r\n\r\n{";
    connection.write_all(head.as_bytes()).unwrap();
    assert!(rest(connection).starts_with("HTTP/1.1 408"));
    assert_eq!(api.get("/v1/threads").ok()["data"], json!([]));
}

#[test]
fn an_upload_that_trickles_is_broken_off_and_leaves_nothing() {
    let api = api(Patience { head: LONG, body: SHORT });
    let mut connection = connect(&api);
    let head = "POST /v1/files HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                content-length: 100000\r\ncontent-type: multipart/form-data; boundary=XX\r\n\r\n\
                --XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
    connection.write_all(head.as_bytes()).unwrap();
    let begun = Instant::now();
    // No pause is as long as its limit, and yet it is not let go on for ever.
    while begun.elapsed() < LONG && connection.write_all(b"x").is_ok() {
        connection.set_nonblocking(true).unwrap();
        let answered = connection.peek(&mut [0]).is_ok();
        connection.set_nonblocking(false).unwrap();
        if answered {
            break;
        }
        std::thread::sleep(SHORT / 6);
    }
    assert!(rest(connection).starts_with("HTTP/1.1 408"));
    assert_eq!(api.get("/v1/files").ok()["data"], json!([]));
}

#[test]
fn a_refusal_that_comes_before_the_body_keeps_the_connection() {
    let api = api(Patience::default());
    let mut connection = connect(&api);
    for path in ["/v1/nothing", "/v1/threads/no-id"] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n");
        connection.write_all(head.as_bytes()).unwrap();
        // The refusal is ready by now.
        std::thread::sleep(Duration::from_millis(100));
        connection.write_all(b"{}").unwrap();
        let mut answer = [0; 4096];
        let length = connection.read(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]);
        assert!(answer.starts_with("HTTP/1.1 40"), "{path}: {answer}");
    }
}
