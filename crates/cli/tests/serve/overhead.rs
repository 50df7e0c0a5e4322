//! What the server adds to a run: made, answered by a model that takes no time, completed; each
//! step of it durable.
//!
//! `DOCENT_BENCH=1` makes five hundred of each and holds their median to its promise; otherwise
//! twenty show that it works.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, id};
use crate::load::is_bench;
use crate::process::{Embedder, MODEL, Site};
use crate::story::model;
use crate::upstream::Upstream;

const MOST: Duration = Duration::from_millis(15);

#[test]
fn a_run_costs_little_beside_its_model() {
    let upstream = Upstream::new(model);
    let site = Site::new(&upstream, Embedder::None);
    let served = site.serve();
    let client = served.client();
    let assistant = client.post("/assistants", &json!({ "model": MODEL })).unwrap().ok();
    let assistant = id(&assistant);
    let count = if is_bench() { 500 } else { 20 };
    let polled = measured(count, || polled(&client, &thread(&client), &assistant));
    let streamed = measured(count, || streamed(&client, &thread(&client), &assistant));
    eprintln!("created to completed, polled: {}", shown(&polled));
    eprintln!("created to completed, streamed: {}", shown(&streamed));
    let disk = measured(count.min(200), || synced(&site.library()));
    eprintln!("one fsync of this disk: {}", shown(&disk));
    let median = polled[count / 2].max(streamed[count / 2]);
    assert!(!is_bench() || median < MOST, "the median is {median:?}");
}

/// The times of `count` calls, in order.
fn measured(count: usize, mut call: impl FnMut() -> Duration) -> Vec<Duration> {
    // The first open connections and files.
    for _ in 0..5 {
        call();
    }
    let mut times: Vec<Duration> = (0..count).map(|_| call()).collect();
    times.sort_unstable();
    times
}

fn shown(times: &[Duration]) -> String {
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    let millis = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1000.0);
    let (p10, p50, p90, p99) = (millis(at(10)), millis(at(50)), millis(at(90)), millis(at(99)));
    format!("p10 {p10}, p50 {p50}, p90 {p90}, p99 {p99} ms of {}", times.len())
}

fn thread(client: &Client) -> String {
    let message = json!({ "role": "user", "content": "Who is there?" });
    id(&client.post("/threads", &json!({ "messages": [message] })).unwrap().ok())
}

/// A client that asks every millisecond.
fn polled(client: &Client, thread: &str, assistant: &str) -> Duration {
    let begun = Instant::now();
    let runs = format!("/threads/{thread}/runs");
    let made = client.post(&runs, &json!({ "assistant_id": assistant })).unwrap().ok();
    let path = format!("{runs}/{}", id(&made));
    loop {
        let run: Value = client.get(&path).unwrap().ok();
        if run["status"] == "completed" {
            return begun.elapsed();
        }
        assert!(["queued", "in_progress"].iter().any(|it| run["status"] == **it), "{run}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn streamed(client: &Client, thread: &str, assistant: &str) -> Duration {
    let begun = Instant::now();
    let body = json!({ "assistant_id": assistant, "stream": true });
    let events = client.stream(&format!("/threads/{thread}/runs"), &body).unwrap();
    let (last, _) = events.last().unwrap();
    assert_eq!(last, "done");
    begun.elapsed()
}

/// A page written to the end of a file and made durable.
fn synced(dir: &Path) -> Duration {
    let mut file = File::options().create(true).append(true).open(dir.join("bench")).unwrap();
    let begun = Instant::now();
    file.write_all(&[1; 4096]).unwrap();
    file.sync_data().unwrap();
    begun.elapsed()
}
