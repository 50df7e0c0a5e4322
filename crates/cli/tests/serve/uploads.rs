//! Large uploads go through the server without staying in its memory.
//!
//! Sixty-four megabytes go in each way; `DOCENT_BIG_UPLOADS=1` sends the 512 MB a file may have,
//! and one byte more, which is refused.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, id};
use crate::process::{Embedder, Served, Site};
use crate::story::model;
use crate::upstream::Upstream;

const PIECE: usize = 64 << 10;

const MOST_FILE_BYTES: usize = 512 << 20;

/// What an upload may add to the server's memory, in MB.
const MOST_GROWTH: f64 = 30.0;

const HEAD: &str = "--XX\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nuser_data\r\n\
    --XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"大文件.bin\"\r\n\
    Content-Type: application/octet-stream\r\n\r\n";

const TAIL: &str = "\r\n--XX--\r\n";

/// How the server learns where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length,
    Chunked,
}

#[test]
fn a_large_file_passes_through_and_memory_stays_flat() {
    let bytes = if is_big() { MOST_FILE_BYTES } else { 64 << 20 };
    let (site, served) = served();
    let client = served.client();
    for (framing, seed) in [(Framing::Length, 1), (Framing::Chunked, 2)] {
        let (before, _) = served.memory();
        let begun = Instant::now();
        let (status, made) = upload(&served, framing, seed, bytes).unwrap();
        let took = begun.elapsed();
        assert_eq!(status, 200, "{made}");
        assert_eq!((&made["filename"], &made["bytes"]), (&json!("大文件.bin"), &json!(bytes)));
        comes_back(&served, &id(&made), seed, bytes);
        let (after, _) = served.memory();
        let megabytes = bytes >> 20;
        eprintln!(
            "{megabytes} MB, {framing:?}: {took:?}; memory from {before:.0} to {after:.0} MB"
        );
        assert!(after - before < MOST_GROWTH, "{framing:?} took {} MB", after - before);
        assert!(client.delete(&format!("/files/{}", id(&made))).unwrap().ok()["deleted"] == true);
    }
    nothing_is_left(&site, &client);
}

#[test]
fn a_byte_too_many_is_refused_and_nothing_is_kept() {
    if !is_big() {
        return;
    }
    let (site, served) = served();
    for framing in [Framing::Length, Framing::Chunked] {
        let (status, refused) = upload(&served, framing, 3, MOST_FILE_BYTES + 1).unwrap();
        assert_eq!(status, 413, "{refused}");
        nothing_is_left(&site, &served.client());
    }
}

#[test]
fn a_client_that_goes_away_leaves_nothing() {
    let (site, served) = served();
    for framing in [Framing::Length, Framing::Chunked] {
        let mut connection = TcpStream::connect(served.address()).unwrap();
        let mut body = Body { connection: &mut connection, framing };
        body.head(served.address(), 64 << 20).unwrap();
        body.write(&piece(4, 0, PIECE)).unwrap();
        drop(connection);
        nothing_is_left(&site, &served.client());
    }
}

fn served() -> (Site, Served) {
    let site = Site::new(&Upstream::new(model), Embedder::None);
    let served = site.serve();
    (site, served)
}

fn is_big() -> bool {
    std::env::var_os("DOCENT_BIG_UPLOADS").is_some_and(|it| it == "1")
}

#[track_caller]
fn nothing_is_left(site: &Site, client: &Client) {
    let begun = Instant::now();
    while !site.unfinished_uploads().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", site.unfinished_uploads());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(client.all("/files").unwrap(), [json!(null); 0]);
}

/// Sends a file of `bytes` bytes, which `seed` decides, and tells what was answered.
fn upload(served: &Served, framing: Framing, seed: u64, bytes: usize) -> io::Result<(u16, Value)> {
    let mut connection = TcpStream::connect(served.address())?;
    let mut body = Body { connection: &mut connection, framing };
    body.head(served.address(), bytes)?;
    for at in (0..bytes).step_by(PIECE) {
        body.write(&piece(seed, at, PIECE.min(bytes - at)))?;
    }
    // A refusal may come before the end.
    let _ = body.end();
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, "null"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok((status, serde_json::from_str(body).unwrap()))
}

/// A request that is sent piece by piece.
struct Body<'a> {
    connection: &'a mut TcpStream,
    framing: Framing,
}

impl Body<'_> {
    fn head(&mut self, host: &str, bytes: usize) -> io::Result<()> {
        let length = match self.framing {
            Framing::Length => format!("content-length: {}", HEAD.len() + bytes + TAIL.len()),
            Framing::Chunked => "transfer-encoding: chunked".to_owned(),
        };
        let head = format!(
            "POST /v1/files HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{length}\r\n\
             content-type: multipart/form-data; boundary=XX\r\n\r\n"
        );
        self.connection.write_all(head.as_bytes())?;
        self.write(HEAD.as_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.framing == Framing::Length {
            return self.connection.write_all(bytes);
        }
        self.connection.write_all(format!("{:x}\r\n", bytes.len()).as_bytes())?;
        self.connection.write_all(bytes)?;
        self.connection.write_all(b"\r\n")
    }

    fn end(&mut self) -> io::Result<()> {
        self.write(TAIL.as_bytes())?;
        match self.framing {
            Framing::Length => Ok(()),
            Framing::Chunked => self.connection.write_all(b"0\r\n\r\n"),
        }
    }
}

/// The bytes at a place of the file that `seed` decides.
fn piece(seed: u64, at: usize, length: usize) -> Vec<u8> {
    let word = |index: u64| (seed << 32 | index).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    let first = at as u64 / 8;
    let mut bytes: Vec<u8> = (first..).take(length.div_ceil(8)).flat_map(word).collect();
    bytes.truncate(length);
    bytes
}

#[track_caller]
fn comes_back(served: &Served, file: &str, seed: u64, bytes: usize) {
    let url = format!("http://{}/v1/files/{file}/content", served.address());
    let response = ureq::get(url).call().unwrap();
    let mut reader = response.into_body().into_with_config().limit(1 << 40).reader();
    let mut seen = vec![0; PIECE];
    for at in (0..bytes).step_by(PIECE) {
        let length = PIECE.min(bytes - at);
        reader.read_exact(&mut seen[..length]).unwrap();
        assert!(seen[..length] == piece(seed, at, length), "other bytes at {at}");
    }
    assert_eq!(reader.read(&mut seen).unwrap(), 0, "there is more than was sent");
}
