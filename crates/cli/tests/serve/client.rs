//! A client of the Assistants API for which a dead server is an answer too.

use std::io::{BufRead, BufReader, Read};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The server is not there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// What a request comes to while the server may die.
pub(crate) type Told<T> = Result<T, Gone>;

/// What was answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Reply {
    /// The body, which must be a success.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }
}

/// Sends requests; keeps its connections.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    base: String,
    agent: ureq::Agent,
}

impl Client {
    pub(crate) fn new(base: String) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
        let config = config.timeout_global(Some(Duration::from_secs(120)));
        Self { base, agent: config.build().into() }
    }

    pub(crate) fn get(&self, path: &str) -> Told<Reply> {
        self.send("GET", path, "", &[])
    }

    pub(crate) fn delete(&self, path: &str) -> Told<Reply> {
        self.send("DELETE", path, "", &[])
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Told<Reply> {
        self.send("POST", path, "application/json", body.to_string().as_bytes())
    }

    /// Uploads a file of a few bytes.
    pub(crate) fn upload(&self, name: &str, content: &str) -> Told<Reply> {
        let form = form(name, content);
        self.send("POST", "/files", "multipart/form-data; boundary=XX", form.as_bytes())
    }

    /// The bytes of a file.
    pub(crate) fn content(&self, file: &str) -> Told<(u16, Vec<u8>)> {
        let mut response =
            self.request("GET", &format!("/files/{file}/content"), "", &[]).ok_or(Gone)?;
        let bytes = response.body_mut().with_config().limit(1 << 30).read_to_vec();
        Ok((response.status().as_u16(), bytes.map_err(|_| Gone)?))
    }

    /// Everything in a list, page by page.
    pub(crate) fn all(&self, path: &str) -> Told<Vec<Value>> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let after = all.last().map(|it| format!("&after={}", id(it))).unwrap_or_default();
            let mut page = self.get(&format!("{path}?limit=100{after}"))?.ok();
            let Value::Array(data) = page["data"].take() else { panic!("{path}: {page}") };
            all.extend(data);
            if page["has_more"] == false {
                return Ok(all);
            }
        }
    }

    /// Begins a stream of events, which must not be refused.
    #[track_caller]
    pub(crate) fn stream(&self, path: &str, body: &Value) -> Told<Events> {
        let kind = "application/json";
        let response = self.request("POST", path, kind, body.to_string().as_bytes()).ok_or(Gone)?;
        assert_eq!(response.status(), 200, "{path}");
        let reader = response.into_body().into_reader();
        Ok(Events(BufReader::new(Box::new(reader))))
    }

    /// The run once it has ended or waits for the client.
    #[track_caller]
    pub(crate) fn settled(&self, run: &str) -> Told<Value> {
        let begun = Instant::now();
        loop {
            let seen = self.get(run)?.ok();
            let status = seen["status"].as_str().unwrap();
            if !["queued", "in_progress", "cancelling"].contains(&status) {
                return Ok(seen);
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{run} is stuck: {seen}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Told<Reply> {
        let mut response = self.request(method, path, kind, body).ok_or(Gone)?;
        let status = response.status().as_u16();
        let bytes = response.body_mut().read_to_vec().map_err(|_| Gone)?;
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
        Ok(Reply { status, body })
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> Option<ureq::http::Response<ureq::Body>> {
        let url = format!("{}{path}", self.base);
        let request = ureq::http::Request::builder().method(method).uri(url);
        let request = match kind {
            "" => request,
            kind => request.header("content-type", kind),
        };
        self.agent.run(request.body(body.to_vec()).unwrap()).ok()
    }
}

/// The form of an upload, as the Python client sends it.
pub(crate) fn form(name: &str, content: &str) -> String {
    format!(
        "--XX\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nassistants\r\n--XX\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: text/plain\r\n\r\n{content}\r\n--XX--\r\n"
    )
}

/// An event's name and its data; none in the last.
pub(crate) type Event = (String, Value);

/// Server-sent events as they come. They end early when the server dies.
pub(crate) struct Events(BufReader<Box<dyn Read + Send>>);

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let name = self.line()?.strip_prefix("event: ")?.to_owned();
        let data = self.line()?.strip_prefix("data: ")?.to_owned();
        let data = if data == "[DONE]" { Value::Null } else { serde_json::from_str(&data).ok()? };
        self.line()?;
        Some((name, data))
    }
}

impl Events {
    /// A whole line without its end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).ok()?;
        line.strip_suffix('\n').map(str::to_owned)
    }
}

#[track_caller]
pub(crate) fn id(object: &Value) -> String {
    object["id"].as_str().unwrap_or_else(|| panic!("no id in {object}")).to_owned()
}
