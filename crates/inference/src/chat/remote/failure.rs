//! What went wrong at an endpoint, and whether to try again.

use std::time::{Duration, SystemTime};

use docent_core::{Error, ErrorKind};
use serde_json::Value;
use ureq::http::HeaderMap;

/// At most this many characters of what an endpoint says are shown.
const SHOWN_CHARS: usize = 500;

/// A failed attempt.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) retry: Retry,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Retry {
    /// The same request will fail again.
    Never,
    /// It may work after a pause of our choosing.
    Backoff,
    /// The endpoint said how long to wait.
    After(Duration),
    /// The endpoint wants the limit of tokens under its newer name.
    NewLimitName,
}

impl Failure {
    pub(super) fn last(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { error: Error::new(kind, message), retry: Retry::Never }
    }

    pub(super) fn passing(message: impl Into<String>) -> Self {
        Self { error: Error::unavailable(message), retry: Retry::Backoff }
    }

    /// A call that got no answer.
    pub(super) fn of_call(error: ureq::Error, endpoint: &str) -> Self {
        use ureq::Error as Http;
        let passing = matches!(
            error,
            Http::Io(_)
                | Http::Timeout(_)
                | Http::HostNotFound
                | Http::ConnectionFailed
                | Http::ConnectProxyFailed(_)
                | Http::Protocol(_)
        );
        let message = format!("{endpoint} cannot be reached: {error}");
        let retry = if passing { Retry::Backoff } else { Retry::Never };
        Self { error: Error::unavailable(message).with_source(error), retry }
    }

    /// An answer that is no success.
    pub(super) fn of_status(status: u16, headers: &HeaderMap, body: &[u8], endpoint: &str) -> Self {
        let upstream = Upstream::parse(body);
        let kind = match status {
            _ if upstream.is_too_long() => ErrorKind::Invalid,
            401 | 403 | 404 | 407 => ErrorKind::Unavailable,
            _ if upstream.is_out_of_quota() => ErrorKind::Unavailable,
            429 | 503 | 529 => ErrorKind::Overloaded,
            408 | 409 | 500.. => ErrorKind::Unavailable,
            _ => ErrorKind::Invalid,
        };
        let worth_it = matches!(status, 408 | 409 | 429 | 500..) && kind != ErrorKind::Invalid;
        let retry = match retry_after(headers) {
            _ if status == 400 && upstream.wants_new_limit_name() => Retry::NewLimitName,
            _ if !worth_it || upstream.is_out_of_quota() => Retry::Never,
            Some(pause) => Retry::After(pause),
            None => Retry::Backoff,
        };
        let way_out = match status {
            300..=399 => headers.get("location").and_then(|to| to.to_str().ok()).map_or_else(
                || "; check base_url".to_owned(),
                |to| format!("; it moved to {to}, correct base_url"),
            ),
            401 | 403 => "; check the key and api_key_env".to_owned(),
            404 => "; check base_url and model".to_owned(),
            _ => String::new(),
        };
        let said = upstream.shown();
        let message = format!("{endpoint} answered {status}{said}{way_out}");
        Self { error: Error::new(kind, message), retry }
    }

    /// An error reported inside a stream.
    pub(super) fn of_event(error: &Value, endpoint: &str) -> Self {
        let upstream = Upstream::of(error);
        let code = format!("{} {}", upstream.code, upstream.kind);
        let (kind, retry) = if upstream.is_too_long() || code.contains("invalid_request") {
            (ErrorKind::Invalid, Retry::Never)
        } else if upstream.is_out_of_quota() {
            (ErrorKind::Unavailable, Retry::Never)
        } else if code.contains("rate_limit") || code.contains("overloaded") || code.contains("429")
        {
            (ErrorKind::Overloaded, Retry::Backoff)
        } else {
            (ErrorKind::Unavailable, Retry::Backoff)
        };
        let message = format!("{endpoint} broke off{}", upstream.shown());
        Self { error: Error::new(kind, message), retry }
    }
}

/// What an endpoint says about its error.
#[derive(Debug, Default)]
struct Upstream {
    message: String,
    code: String,
    kind: String,
}

impl Upstream {
    /// OpenAI's `{"error": {"message", "type", "code"}}`, others' `{"error": "…"}` and
    /// `{"message": "…"}`, or any text.
    fn parse(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        match serde_json::from_str::<Value>(&text) {
            Ok(value) if value.is_object() => Self::of(value.get("error").unwrap_or(&value)),
            _ => Self { message: text.into_owned(), ..Self::default() },
        }
    }

    fn of(error: &Value) -> Self {
        let field = |name: &str| match error.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let (code, kind) = (field("code"), field("type"));
        let message = match (field("message"), error) {
            (message, _) if !message.is_empty() => message,
            (_, Value::String(text)) => text.clone(),
            _ => error.to_string(),
        };
        Self { message, code, kind }
    }

    fn is_too_long(&self) -> bool {
        let said = self.message.to_lowercase();
        self.code == "context_length_exceeded"
            || self.kind == "exceed_context_size_error"
            || ["maximum context length", "prompt is too long", "context window", "context size"]
                .iter()
                .any(|phrase| said.contains(phrase))
    }

    fn is_out_of_quota(&self) -> bool {
        self.code == "insufficient_quota" || self.kind == "insufficient_quota"
    }

    fn wants_new_limit_name(&self) -> bool {
        self.message.contains("max_completion_tokens")
    }

    /// `: what it said`, on one line and not too long.
    fn shown(&self) -> String {
        let words: Vec<&str> = self.message.split_whitespace().collect();
        let line: String = words.join(" ").chars().filter(|c| !c.is_control()).collect();
        match line.char_indices().nth(SHOWN_CHARS) {
            _ if line.is_empty() => String::new(),
            Some((cut, _)) => format!(": {}…", &line[..cut]),
            None => format!(": {line}"),
        }
    }
}

/// How long an endpoint asks us to wait: milliseconds, seconds or an HTTP date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let header = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(millis) = header("retry-after-ms").and_then(|text| text.parse::<f64>().ok()) {
        return Duration::try_from_secs_f64(millis / 1000.0).ok();
    }
    let text = header("retry-after")?;
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    let date = SystemTime::from(date.timestamp());
    // A date that has passed: now.
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn status(status: u16, body: &str) -> (ErrorKind, Retry, String) {
        let failure = Failure::of_status(status, &headers(&[]), body.as_bytes(), "here");
        (failure.error.kind(), failure.retry, failure.error.to_string())
    }

    #[test]
    fn a_pause_is_read_in_every_form() {
        let pause = |pairs: &[(&'static str, &str)]| retry_after(&headers(pairs));
        assert_eq!(pause(&[("retry-after", "3")]), Some(Duration::from_secs(3)));
        assert_eq!(pause(&[("retry-after", "0.25")]), Some(Duration::from_millis(250)));
        let both = [("retry-after", "3"), ("retry-after-ms", "150")];
        assert_eq!(pause(&both), Some(Duration::from_millis(150)));
        assert_eq!(
            pause(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]),
            Some(Duration::ZERO)
        );
        let far = pause(&[("retry-after", "Fri, 06 Nov 2099 08:49:37 GMT")]).unwrap();
        assert!(far > Duration::from_secs(3600));
        assert_eq!(pause(&[("retry-after", "soon")]), None);
        assert_eq!(pause(&[("retry-after", "-5")]), None);
        assert_eq!(pause(&[]), None);
    }

    #[test]
    fn a_status_tells_whether_to_try_again() {
        let too_long = r#"{"error":{"message":"This model's maximum context length is 8192 tokens","code":"context_length_exceeded"}}"#;
        let cases = [
            (429, "", ErrorKind::Overloaded, Retry::Backoff),
            (
                429,
                r#"{"error":{"code":"insufficient_quota"}}"#,
                ErrorKind::Unavailable,
                Retry::Never,
            ),
            (500, "", ErrorKind::Unavailable, Retry::Backoff),
            (503, "loading", ErrorKind::Overloaded, Retry::Backoff),
            (400, too_long, ErrorKind::Invalid, Retry::Never),
            (500, too_long, ErrorKind::Invalid, Retry::Never),
            (
                400,
                r#"{"error":"use max_completion_tokens instead"}"#,
                ErrorKind::Invalid,
                Retry::NewLimitName,
            ),
            (401, "", ErrorKind::Unavailable, Retry::Never),
            (404, "", ErrorKind::Unavailable, Retry::Never),
            (422, "", ErrorKind::Invalid, Retry::Never),
        ];
        for (code, body, kind, retry) in cases {
            let found = status(code, body);
            assert_eq!((found.0, found.1), (kind, retry), "{code} {body}");
        }
    }

    #[test]
    fn what_the_endpoint_says_is_shown_on_one_line() {
        assert_eq!(
            status(500, "{\"error\":{\"message\":\"out\\nof\\u0007 luck\"}}").2,
            "here answered 500: out of luck"
        );
        assert_eq!(status(500, "<html>\noops").2, "here answered 500: <html> oops");
        assert!(status(500, &"é".repeat(9000)).2.chars().count() < 540);
    }
}
