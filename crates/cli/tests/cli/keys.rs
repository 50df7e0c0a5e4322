//! `docent keys`, and what a server that is running makes of them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use fs_err as fs;
use serde_json::Value;

use crate::support::Home;

/// `docent serve` on a port of its own.
pub(crate) struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    pub(crate) fn begin(home: &Home) -> Self {
        let mut command = home.docent(&["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").expect(&line);
        let address = address.trim_end_matches("/v1").to_owned();
        Self { child, address }
    }

    /// The status and the body of the answer.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: &str,
    ) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let key = key.map(|key| format!("authorization: Bearer {key}\r\n")).unwrap_or_default();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{key}\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}",
            self.address
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}")))
    }

    fn status(&self, path: &str, key: &str) -> u16 {
        self.ask("GET", path, Some(key), "").0
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn create(home: &Home, args: &[&str]) -> String {
    let made = home.done(&[&["keys", "create"], args].concat());
    let key = made.stdout.trim().to_owned();
    assert!(key.starts_with("sk-docent-") && key.len() == 42, "{made:?}");
    key
}

#[test]
fn keys_are_made_listed_and_revoked_and_never_shown_again() {
    let home = Home::new();
    let own = create(&home, &[]);
    let team = create(&home, &["--project", "team-a", "--name", "CI of team A"]);
    let list = home.done(&["keys", "list"]).stdout;
    assert!(list.contains("team-a") && list.contains("CI of team A"), "{list}");
    let json = home.json(&["keys", "list", "--json"]);
    assert_eq!(
        (&json[0]["project"], &json[1]["name"]),
        (&"default".into(), &"CI of team A".into())
    );
    let file = fs::read_to_string(home.library().join("keys.json")).unwrap();
    for key in [&own, &team] {
        assert!(!list.contains(&**key) && !file.contains(&key[20..]), "{list}{file}");
    }
    let id = json[1]["id"].as_str().unwrap();
    assert!(home.done(&["keys", "revoke", id]).stdout.contains(id));
    assert_eq!(home.run(&["keys", "revoke", id]).code, Some(1));
    home.done(&["keys", "revoke", &own]);
    assert_eq!(home.json(&["keys", "list", "--json"]), Value::Array(vec![]));
    assert_eq!(home.done(&["doctor"]).stdout, "all is well\n");
    assert_eq!(home.run(&["keys", "create", "--project", "../up"]).code, Some(2));
}

#[test]
fn a_running_server_notices_keys_at_once_and_keeps_projects_apart() {
    let home = Home::new();
    let server = Serving::begin(&home);
    assert_eq!(server.ask("GET", "/v1/threads", None, "").0, 200);
    let (a, b) = (create(&home, &["--project", "a"]), create(&home, &["--project", "b"]));
    assert_eq!(server.ask("GET", "/v1/threads", None, "").0, 401);
    let (status, thread) = server.ask("POST", "/v1/threads", Some(&a), "{}");
    assert_eq!(status, 200, "{thread}");
    let path = format!("/v1/threads/{}", thread["id"].as_str().unwrap());
    assert_eq!((server.status(&path, &a), server.status(&path, &b)), (200, 404));
    let too = create(&home, &["--project", "a"]);
    assert_eq!(server.status(&path, &too), 200);
    home.done(&["keys", "revoke", &a]);
    assert_eq!((server.status(&path, &a), server.status(&path, &too)), (401, 200));
    drop(server);
    // A project is a library like any other.
    let project = home.library().join("projects/a");
    let project = project.to_str().unwrap();
    assert_eq!(home.done(&["doctor", "--library", project]).stdout, "all is well\n");
}
