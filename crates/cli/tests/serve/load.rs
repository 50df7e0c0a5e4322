//! Two hundred streams at a time, of a model that takes a second for its answer.
//!
//! The whole must take no more than three seconds, which is asked for with `DOCENT_BENCH=1` only:
//! a machine that runs other tests beside this one proves nothing about time.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, Event, id};
use crate::process::{Embedder, MODEL, Site};
use crate::story::{heard, spoken};
use crate::upstream::Upstream;

const CLIENTS: usize = 200;

/// A client waits for the network and holds a stream's text.
const STACK_BYTES: usize = 512 << 10;

const ANSWER_TIME: Duration = Duration::from_secs(1);

const MOST_MEGABYTES: f64 = 300.0;

const ORDER: [&str; 12] = [
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
    "done",
];

#[test]
fn two_hundred_streams_are_whole_in_order_and_small() {
    let upstream = Upstream::new(|asked| {
        let messages = asked.body["messages"].as_array().unwrap();
        let answer = heard(messages.last().unwrap()["content"].as_str().unwrap());
        let words = answer.split(' ').count() as u32;
        spoken(&answer, ANSWER_TIME / words)
    });
    let site = Site::new(&upstream, Embedder::None);
    let served = site.serve();
    let client = served.client();
    let assistant = id(&client.post("/assistants", &json!({ "model": MODEL })).unwrap().ok());
    let threads: Vec<String> = (0..CLIENTS).map(|number| begun(&client, number)).collect();
    let (start, body) =
        (Barrier::new(CLIENTS + 1), json!({ "assistant_id": assistant, "stream": true }));
    let (_, before) = served.memory();
    let took = thread::scope(|scope| {
        for (number, thread) in threads.iter().enumerate() {
            // Each as a program of its own would be, with a connection of its own.
            let (client, start, body) = (served.client(), &start, &body);
            let follow = move || {
                start.wait();
                let path = format!("/threads/{thread}/runs");
                let events: Vec<Event> = client.stream(&path, body).unwrap().collect();
                check(number, &events);
            };
            let builder = thread::Builder::new().stack_size(STACK_BYTES);
            builder.spawn_scoped(scope, follow).unwrap();
        }
        start.wait();
        Instant::now()
    })
    .elapsed();
    let asked = upstream.asked();
    assert_eq!(asked.len(), CLIENTS, "each run asks its model once");
    assert!(asked.iter().all(|it| it.head.starts_with("POST /v1/chat/completions ")));
    let (most, _) = served.memory();
    eprintln!("{CLIENTS} streams took {took:?}; memory from {before:.0} to {most:.0} MB");
    assert!(most < MOST_MEGABYTES, "the server took {most} MB");
    assert!(!is_bench() || took < 3 * ANSWER_TIME, "took {took:?}");
}

/// Whether nothing else runs on this machine, so that time can be a promise.
pub(crate) fn is_bench() -> bool {
    std::env::var_os("DOCENT_BENCH").is_some_and(|it| it == "1")
}

fn begun(client: &Client, number: usize) -> String {
    let message = json!({ "role": "user", "content": format!("It is {number}.") });
    id(&client.post("/threads", &json!({ "messages": [message] })).unwrap().ok())
}

fn check(number: usize, events: &[Event]) {
    let mut names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup_by(|a, b| a == b && *a == "thread.message.delta");
    assert_eq!(names, ORDER, "stream {number}");
    let text =
        |delta: &Value| delta["delta"]["content"][0]["text"]["value"].as_str().unwrap().to_owned();
    let deltas = events.iter().filter(|(name, _)| name == "thread.message.delta");
    let said: Vec<String> = deltas.map(|(_, delta)| text(delta)).collect();
    assert!(said.len() > 5, "stream {number} came in {} pieces", said.len());
    assert_eq!(said.concat(), heard(&format!("It is {number}.")));
}
