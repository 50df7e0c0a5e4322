//! `/metrics`: what the server does, in numbers, in Prometheus' text format.
//!
//! Counters, no content: labels are route templates, methods and statuses, never an id, a key or a
//! word of a prompt. A hundred lines of our own, as what a client library adds (registries, push,
//! other formats) nobody needs here.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use docent_core::{RunStatus, Usage};
use docent_engine::Activity;

use crate::app::App;
use crate::bridge::Work;
use crate::error::ApiError;

/// Upper bounds of the latency histogram, in seconds.
const BOUNDS: [f64; 10] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0];

/// What happened since the server began.
#[derive(Debug, Default)]
pub(crate) struct Metrics(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// Answers by route, method, status.
    answers: BTreeMap<(String, &'static str, u16), u64>,
    /// How long they took to begin, by route.
    latencies: BTreeMap<String, Histogram>,
    /// What chat completions cost.
    chat: Usage,
}

#[derive(Debug, Default)]
struct Histogram {
    /// How many were at most each of the bounds, and how many there were.
    within: [u64; BOUNDS.len()],
    count: u64,
    seconds: f64,
}

impl Metrics {
    /// Counts an answer. `route` is a template: what it names is no part of it.
    pub(crate) fn count_answer(&self, route: &str, method: &Method, status: u16, took: Duration) {
        let method = match method.as_str() {
            "GET" => "GET",
            "POST" => "POST",
            "DELETE" => "DELETE",
            // Clients may make up any number of methods.
            _ => "other",
        };
        let mut counts = self.lock();
        *counts.answers.entry((route.to_owned(), method, status)).or_default() += 1;
        counts.latencies.entry(route.to_owned()).or_default().add(took.as_secs_f64());
    }

    /// Counts what a chat completion cost.
    pub(crate) fn count_tokens(&self, usage: Usage) {
        self.lock().chat += usage;
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Histogram {
    fn add(&mut self, seconds: f64) {
        for (within, bound) in self.within.iter_mut().zip(BOUNDS) {
            *within += u64::from(seconds <= bound);
        }
        self.count += 1;
        self.seconds += seconds;
    }
}

/// `GET /metrics`.
pub(crate) async fn show(State(app): State<App>) -> Result<Response, ApiError> {
    let (activity, waiting) =
        app.call(|engine| Ok((engine.activity()?, engine.collections().pending()?))).await?;
    let mut page = Page(String::new());
    page.runs(&activity);
    let counts = app.metrics().lock();
    page.tokens(&[("runs", activity.usage), ("chat", counts.chat)]);
    page.answers(&counts);
    drop(counts);
    page.family("docent_transfers_open", "gauge", "Streams, chats, uploads and downloads now.");
    for work in Work::ALL {
        let open = app.threads().at_work(work);
        page.sample("docent_transfers_open", &[("kind", work.name())], open as f64);
    }
    page.single(
        "docent_ingest_files_waiting",
        "gauge",
        "Files to be read or embedded.",
        waiting as f64,
    );
    if let Some(bytes) = resident_bytes() {
        page.single("process_resident_memory_bytes", "gauge", "Memory in use.", bytes as f64);
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, page.0).into_response())
}

/// What the kernel says we have in memory; nowhere but on Linux.
fn resident_bytes() -> Option<u64> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

struct Page(String);

impl Page {
    fn runs(&mut self, activity: &Activity) {
        let Activity { active, queue, ended, .. } = activity;
        self.family("docent_runs_active", "gauge", "Runs that have not ended, by status.");
        for status in RunStatus::ALL.into_iter().filter(|status| !status.is_terminal()) {
            let count = active.get(&status).copied().unwrap_or(0);
            self.sample("docent_runs_active", &[("status", status.as_str())], count as f64);
        }
        self.single("docent_runs_waiting", "gauge", "Runs that wait for a worker.", *queue as f64);
        self.family("docent_runs_ended_total", "counter", "Runs that ended, by status.");
        for status in RunStatus::ALL.into_iter().filter(|status| status.is_terminal()) {
            let count = ended.get(&status).copied().unwrap_or(0);
            self.sample("docent_runs_ended_total", &[("status", status.as_str())], count as f64);
        }
    }

    fn tokens(&mut self, used: &[(&str, Usage)]) {
        const NAME: &str = "docent_tokens_total";
        self.family(NAME, "counter", "Tokens that models read and wrote.");
        for (by, usage) in used {
            for (kind, count) in
                [("prompt", usage.prompt_tokens), ("completion", usage.completion_tokens)]
            {
                self.sample(NAME, &[("by", by), ("kind", kind)], count as f64);
            }
        }
    }

    fn answers(&mut self, counts: &Counts) {
        const ANSWERS: &str = "docent_http_requests_total";
        self.family(ANSWERS, "counter", "Requests answered.");
        for ((route, method, status), count) in &counts.answers {
            let labels =
                [("route", route.as_str()), ("method", method), ("status", &status.to_string())];
            self.sample(ANSWERS, &labels, *count as f64);
        }
        const TIME: &str = "docent_http_request_duration_seconds";
        self.family(TIME, "histogram", "Time until an answer began.");
        for (route, histogram) in &counts.latencies {
            let bounds = BOUNDS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
            let within = histogram.within.iter().chain([&histogram.count]);
            for (bound, within) in bounds.zip(within) {
                let labels = [("route", route.as_str()), ("le", &bound)];
                self.sample(&format!("{TIME}_bucket"), &labels, *within as f64);
            }
            let labels = [("route", route.as_str())];
            self.sample(&format!("{TIME}_sum"), &labels, histogram.seconds);
            self.sample(&format!("{TIME}_count"), &labels, histogram.count as f64);
        }
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// Labels are route templates and words of ours: none needs to be escaped.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        match labels.is_empty() {
            true => self.put(format_args!("{name} {value}\n")),
            false => self.put(format_args!("{name}{{{}}} {value}\n", labels.join(","))),
        }
    }

    fn put(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.0.write_fmt(text);
    }
}
