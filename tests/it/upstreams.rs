//! Endpoints that stall, drop, lie and refuse: every run ends in the right status, with a reason
//! that names the endpoint, and what was shown before stays.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use docent::inference::{LocalConfig, ModelConfig, ModelsConfig, RemoteConfig};
use docent::{
    AskOptions, ErrorKind, Library, Message, MessageStatus, Run, RunErrorCode, RunEvent, RunStatus,
};

use crate::support::Home;

/// What an endpoint does with every request.
#[derive(Clone, Copy)]
enum Way {
    /// Answers with these bytes and closes.
    Answer(&'static str),
    /// Answers with these bytes and says nothing more.
    Stall(&'static str),
    /// Answers with these bytes, and ends the answer half a second later.
    Slow(&'static str),
    /// Answers with these bytes, then goes on with a comment now and then, for ever.
    Murmur(&'static str),
}

/// An endpoint on loopback, and how often it was asked.
struct Upstream {
    base_url: String,
    asked: Arc<AtomicUsize>,
}

impl Upstream {
    fn start(way: Way) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        // The thread ends with the test's process.
        thread::spawn(move || {
            for connection in listener.incoming() {
                let Ok(connection) = connection else { break };
                count.fetch_add(1, Ordering::Relaxed);
                thread::spawn(move || serve(connection, way));
            }
        });
        Self { base_url, asked }
    }

    fn library(&self, home: &Home) -> Library {
        self.library_with(home, Vec::new())
    }

    fn library_with(&self, home: &Home, fallback: Vec<String>) -> Library {
        let mut models = ModelsConfig::empty();
        models.insert("quoting", ModelConfig::Extractive);
        let remote = RemoteConfig {
            model: Some("upstream".into()),
            max_retries: 1,
            first_token_timeout: Duration::from_millis(700),
            idle_timeout: Duration::from_millis(700),
            total_timeout: Duration::from_secs(6),
            fallback,
            ..RemoteConfig::new(self.base_url.clone())
        };
        models.insert("default", ModelConfig::Remote(remote));
        Library::builder(home.library()).without_embedder().models(models).open().unwrap()
    }
}

fn serve(mut connection: TcpStream, way: Way) {
    read_request(&mut connection);
    let (Way::Answer(bytes) | Way::Stall(bytes) | Way::Slow(bytes) | Way::Murmur(bytes)) = way;
    let _ = connection.write_all(bytes.replace('\u{fffd}', "").as_bytes());
    match way {
        // Half a character, which no text literal can hold.
        Way::Answer(bytes) if bytes.ends_with('\u{fffd}') => {
            let _ = connection.write_all(b"data: {\"choices\":[{\"delta\":{\"content\":\"\xe4\xb8");
        }
        Way::Answer(_) => {}
        Way::Stall(_) => drop(connection.read(&mut [0; 1])),
        Way::Slow(_) => {
            thread::sleep(Duration::from_millis(500));
            let _ = connection.write_all(STOP.as_bytes());
        }
        Way::Murmur(_) => {
            while connection.write_all(b": still here\n\n").is_ok() {
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

fn read_request(connection: &mut TcpStream) {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let Ok(length) = connection.read(&mut buffer) else { return };
        bytes.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let expected = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        if length == 0 || body.len() >= expected.unwrap_or(0) {
            return;
        }
    }
}

struct Ended {
    run: Arc<Run>,
    message: Option<Arc<Message>>,
}

impl Ended {
    fn reason(&self) -> &str {
        self.run.last_error.as_ref().map_or("", |error| &error.message)
    }

    /// What was said, if anything, and whether it is whole.
    fn said(&self) -> Option<(String, MessageStatus)> {
        self.message.as_ref().map(|message| (message.text(), message.status))
    }
}

/// Asks, calling `look` at each event.
fn ask(library: &Library, mut look: impl FnMut(&RunEvent)) -> Ended {
    let asked = library.ask("Why?", AskOptions::default()).unwrap();
    let (mut run, mut message) = (None, None);
    for event in asked.events {
        look(&event);
        match event {
            RunEvent::Run(now) => run = Some(now),
            RunEvent::Message(now) => message = Some(now),
            _ => {}
        }
    }
    Ended { run: run.unwrap(), message }
}

const BEGUN: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n\
    data: {\"choices\":[{\"delta\":{\"content\":\"Because \"}}]}\n\n";
const STOP: &str =
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

#[test]
fn a_run_whose_endpoint_fails_ends_as_failed_and_says_why() {
    use RunErrorCode::{InvalidPrompt, RateLimitExceeded, ServerError};
    let refused = |status: &str, headers: &str, body: &str| -> &'static str {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
            .leak()
    };
    let begun = |rest: &str| -> &'static str { format!("{BEGUN}{rest}").leak() };
    let too_long = r#"{"error":{"message":"maximum context length is 8192","code":"context_length_exceeded"}}"#;
    // What it does; how the run fails; a part of the reason; how often it is asked; whether
    // something was shown before.
    let cases = [
        (Way::Stall(""), ServerError, "first_token_timeout_seconds", 1, false),
        (Way::Stall(HEAD), ServerError, "first_token_timeout_seconds", 1, false),
        (Way::Stall(BEGUN), ServerError, "idle_timeout_seconds", 1, true),
        (Way::Murmur(HEAD), ServerError, "first_token_timeout_seconds", 1, false),
        (Way::Answer(""), ServerError, "", 2, false),
        (Way::Answer(BEGUN), ServerError, "", 1, true),
        (Way::Answer(begun("data: {\"choices\":[{\"del")), ServerError, "", 1, true),
        (Way::Answer(begun("data: {nonsense}\n\n")), ServerError, "", 1, true),
        (Way::Answer(begun("\u{fffd}")), ServerError, "", 1, true),
        (
            Way::Answer(refused("200 OK", "content-type: text/html\r\n", "<html>Hi")),
            ServerError,
            "",
            2,
            false,
        ),
        (
            Way::Answer(refused("429 Too Many Requests", "retry-after: 0\r\n", "slow down")),
            RateLimitExceeded,
            "429",
            2,
            false,
        ),
        (
            Way::Answer(refused("429 Too Many Requests", "", "slow down")),
            RateLimitExceeded,
            "slow down",
            2,
            false,
        ),
        (
            Way::Answer(refused("429 Too Many Requests", "retry-after: 3600\r\n", "")),
            RateLimitExceeded,
            "429",
            1,
            false,
        ),
        (Way::Answer(refused("500 Oops", "", "it broke")), ServerError, "it broke", 2, false),
        (Way::Answer(refused("503 Busy", "", "")), RateLimitExceeded, "503", 2, false),
        (Way::Answer(refused("401 No", "", "")), ServerError, "api_key_env", 1, false),
        (Way::Answer(refused("400 No", "", too_long)), InvalidPrompt, "8192", 1, false),
    ];
    let endings = thread::scope(|scope| {
        let runs = cases.map(|case| (case, scope.spawn(move || fail(case.0))));
        runs.map(|(case, run)| (case, run.join().unwrap()))
    });
    for (at, ((_, code, reason, times, shown), (ended, asked, url))) in
        endings.into_iter().enumerate()
    {
        let error = ended.run.last_error.clone();
        assert_eq!(ended.run.status, RunStatus::Failed, "case {at}");
        assert_eq!(error.map(|error| error.code), Some(code), "case {at}: {}", ended.reason());
        assert!(ended.reason().contains(reason), "case {at}: {}", ended.reason());
        assert!(ended.reason().contains(&url), "case {at} names no endpoint: {}", ended.reason());
        assert_eq!(asked, times, "case {at}: {}", ended.reason());
        let expected = shown.then(|| ("Because ".to_owned(), MessageStatus::Incomplete));
        let said = ended.said();
        assert_eq!(
            said.map(|(text, status)| (text.trim_end().to_owned() + " ", status)),
            expected,
            "case {at}"
        );
    }
}

fn fail(way: Way) -> (Ended, usize, String) {
    let (home, upstream) = (Home::new(), Upstream::start(way));
    let started = Instant::now();
    let ended = ask(&upstream.library(&home), |_| {});
    assert!(started.elapsed() < Duration::from_secs(20), "{}", ended.reason());
    let url = upstream.base_url.clone();
    (ended, upstream.asked.load(Ordering::Relaxed), url)
}

#[test]
fn a_run_is_cancelled_whatever_its_endpoint_does() {
    for way in [Way::Stall(""), Way::Stall(BEGUN), Way::Murmur(BEGUN)] {
        let (home, upstream) = (Home::new(), Upstream::start(way));
        let library = upstream.library(&home);
        let mut cancelled = None;
        let ended = ask(&library, |event| {
            if let RunEvent::Run(run) = event
                && run.status == RunStatus::InProgress
                && cancelled.is_none()
            {
                cancelled = Some(Instant::now());
                library.engine().cancel_run(run.id).unwrap();
            }
        });
        assert_eq!(ended.run.status, RunStatus::Cancelled);
        assert!(cancelled.unwrap().elapsed() < Duration::from_secs(2));
    }
}

/// The step's word for who answered instead.
const ANSWERED_BY: &str = "answered_by";

#[test]
fn another_model_answers_where_the_first_cannot_and_nothing_was_shown() {
    let busy =
        "HTTP/1.1 429 Busy\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let wrong = "HTTP/1.1 400 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let cases = [
        (Way::Answer(busy), RunStatus::Completed),
        (Way::Stall(""), RunStatus::Completed),
        // What can never work is said, and what was begun is not told twice.
        (Way::Answer(wrong), RunStatus::Failed),
        (Way::Stall(BEGUN), RunStatus::Failed),
    ];
    for (way, status) in cases {
        let (home, upstream) = (Home::new(), Upstream::start(way));
        let library = upstream.library_with(&home, vec!["quoting".into()]);
        let mut answered_by = None;
        let ended = ask(&library, |event| {
            if let RunEvent::Step(step) = event {
                answered_by = step.metadata.get(ANSWERED_BY).cloned();
            }
        });
        assert_eq!(ended.run.status, status, "{}", ended.reason());
        let expected = (status == RunStatus::Completed).then(|| "quoting".to_owned());
        assert_eq!(answered_by, expected);
    }
}

/// A disk of a few megabytes, if whoever runs this may mount one.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: PathBuf) -> Option<Self> {
        fs_err::create_dir_all(&at).unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=6m", "tmpfs"];
        let mounted = Command::new("mount").args(mount).arg(&at).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(at))
    }

    /// Writes until nothing more fits.
    fn fill(&self) {
        let mut file = fs_err::File::create(self.0.join("filler")).unwrap();
        for size in [1 << 16, 1 << 9, 1] {
            while file.write_all(&vec![7; size]).is_ok() {}
        }
    }

    fn free(&self) {
        fs_err::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_run_on_a_full_disk_ends_once_there_is_room_and_nothing_acknowledged_is_lost() {
    let (home, upstream) = (Home::new(), Upstream::start(Way::Slow(BEGUN)));
    let Some(disk) = Disk::mount(home.library()) else {
        eprintln!("NOT TESTED: a disk of its own needs root");
        return;
    };
    let library = upstream.library(&home);
    let before = ask(&library, |_| {});
    assert_eq!(before.run.status, RunStatus::Completed, "{}", before.reason());

    disk.fill();
    let refused = library.ask("Why?", AskOptions::default()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    disk.free();

    // Full while the answer comes.
    let asked = library.ask("Why?", AskOptions::default()).unwrap();
    let (thread, mut run) = (asked.thread, None);
    for event in asked.events {
        match event {
            RunEvent::Run(now) => run = Some(now),
            RunEvent::MessageDelta { .. } => disk.fill(),
            _ => {}
        }
    }
    disk.free();
    // Whether the end found room or not: the next opening takes up what was left.
    drop(library);
    let library = upstream.library(&home);
    let (id, until) = (run.unwrap().id, Instant::now() + Duration::from_secs(60));
    let status = loop {
        let status = library.engine().run(id).unwrap().status;
        if status.is_terminal() || Instant::now() > until {
            break status;
        }
        thread::sleep(Duration::from_millis(50));
    };
    assert!(matches!(status, RunStatus::Completed | RunStatus::Failed), "{status}");
    for thread in [thread, before.run.thread] {
        let options = AskOptions { thread: Some(thread), ..AskOptions::default() };
        let again = library.ask("And now?", options).unwrap().finish().unwrap();
        assert_eq!(again.text(), "Because ");
    }
}

#[test]
fn another_model_answers_where_the_weights_of_the_first_are_not_here() {
    let home = Home::new();
    let mut models = ModelsConfig::empty();
    models.insert("quoting", ModelConfig::Extractive);
    let missing = LocalConfig {
        path: Some(home.dir.path().join("missing.gguf")),
        fallback: vec!["quoting".into()],
        ..LocalConfig::default()
    };
    models.insert("default", ModelConfig::Local(missing));
    let library =
        Library::builder(home.library()).without_embedder().models(models).open().unwrap();
    let ended = ask(&library, |_| {});
    assert_eq!(ended.run.status, RunStatus::Completed, "{}", ended.reason());
}
