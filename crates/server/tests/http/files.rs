//! Uploads and downloads.

use std::io::Read;

use serde_json::{Value, json};

use crate::support::{Api, Reply, id};

const KIND: Option<&str> = Some("multipart/form-data; boundary=XX");

fn part(disposition: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("--XX\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
    [head.as_bytes(), content, b"\r\n"].concat()
}

fn form(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), b"--XX--\r\n".to_vec()].concat()
}

fn purpose(purpose: &str) -> Vec<u8> {
    part("name=\"purpose\"", purpose.as_bytes())
}

#[track_caller]
fn upload(api: &Api, parts: &[Vec<u8>]) -> Reply {
    api.send("POST", "/v1/files", KIND, &form(parts))
}

/// The id of a file with this text.
pub(crate) fn upload_text(api: &Api, name: &str, text: &str) -> String {
    let file = part(&format!("name=\"file\"; filename=\"{name}\""), text.as_bytes());
    id(&upload(api, &[purpose("assistants"), file]).ok())
}

#[test]
fn a_file_comes_back_as_it_was_sent() {
    let api = Api::new([]);
    let bytes: Vec<u8> = (0..300_000u32).map(|at| (at % 251) as u8).collect();
    let file = part("name=\"file\"; filename=\"六顶帽子.pdf\"", &bytes);
    // Either may come first.
    let made = upload(&api, &[purpose("assistants"), file.clone()]).ok();
    let other = upload(&api, &[file, purpose("user_data")]).ok();
    assert_eq!((&made["object"], &made["status"]), (&json!("file"), &json!("processed")));
    assert_eq!((&made["filename"], &made["bytes"]), (&json!("六顶帽子.pdf"), &json!(300_000)));
    assert_eq!((&made["purpose"], &other["purpose"]), (&json!("assistants"), &json!("user_data")));
    let path = format!("/v1/files/{}", id(&made));
    assert_eq!(api.get(&path).ok(), made);
    let mut back = Vec::new();
    let content = ureq::get(api.url(&format!("{path}/content"))).call().unwrap();
    assert_eq!(content.headers()["content-type"], "application/octet-stream");
    content.into_body().into_reader().read_to_end(&mut back).unwrap();
    assert!(back == bytes, "{} bytes came back", back.len());
    let listed = |query: &str| -> Vec<String> {
        let list = api.get(&format!("/v1/files{query}")).ok();
        list["data"].as_array().unwrap().iter().map(id).collect()
    };
    assert_eq!(listed(""), [id(&other), id(&made)]);
    assert_eq!(listed("?purpose=assistants"), [id(&made)]);
    assert_eq!(listed("?limit=1&order=asc"), [id(&made)]);
    assert_eq!(listed(&format!("?after={}", id(&other))), [id(&made)]);
    assert_eq!(listed(&format!("?purpose=assistants&after={}", id(&made))), [""; 0]);
    let deleted = json!({ "id": id(&made), "object": "file", "deleted": true });
    assert_eq!(api.delete(&path).ok(), deleted);
    assert_eq!(api.get(&format!("{path}/content")).status, 404);
}

#[test]
fn a_file_may_be_for_anything_and_for_a_time() {
    let api = Api::new([]);
    let file = part("name=\"file\"; filename=\"a.jsonl\"", b"{}");
    for name in ["batch", "fine-tune", "evals"] {
        let made = upload(&api, &[purpose(name), file.clone()]).ok();
        assert_eq!((&made["purpose"], &made["status"]), (&json!(name), &json!("processed")));
        assert_eq!(made["expires_at"], Value::Null);
        let listed = api.get(&format!("/v1/files?purpose={name}")).ok();
        assert_eq!(listed["data"][0], made);
    }
    let anchor = part("name=\"expires_after[anchor]\"", b"created_at");
    let seconds = part("name=\"expires_after[seconds]\"", b"3600");
    let made = upload(&api, &[purpose("assistants"), anchor, seconds, file]).ok();
    assert_eq!(made["expires_at"].as_u64(), made["created_at"].as_u64().map(|at| at + 3600));
    assert_eq!(api.get(&format!("/v1/files/{}", id(&made))).ok(), made);
}

#[test]
fn a_form_that_lacks_or_adds_something_keeps_nothing() {
    let api = Api::new([]);
    let file = part("name=\"file\"; filename=\"a.txt\"", b"text");
    let cases: [(&[Vec<u8>], &str, &str); 6] = [
        (&[purpose("assistants")], "file", "missing_required_parameter"),
        (std::slice::from_ref(&file), "purpose", "missing_required_parameter"),
        (&[file.clone(), purpose("spying")], "purpose", "invalid_value"),
        (&[purpose("vision"), part("name=\"colour\"", b"x")], "colour", "unknown_parameter"),
        (
            &[purpose("evals"), part("name=\"expires_after[seconds]\"", b"3600"), file.clone()],
            "expires_after[anchor]",
            "missing_required_parameter",
        ),
        (
            &[
                purpose("evals"),
                part("name=\"expires_after[seconds]\"", b"3599"),
                part("name=\"expires_after[anchor]\"", b"created_at"),
                file.clone(),
            ],
            "expires_after[seconds]",
            "integer_below_min_value",
        ),
    ];
    for (parts, param, code) in cases {
        let refused = upload(&api, parts);
        let (_, at, why) = refused.refused(400);
        assert_eq!((at, why), (Some(param), Some(code)), "{}", refused.body);
    }
    let mut broken = form(&[purpose("assistants"), file]);
    broken.truncate(broken.len() - 12);
    assert_eq!(api.send("POST", "/v1/files", KIND, &broken).status, 400);
    assert_eq!(api.send("POST", "/v1/files", Some("text/plain"), b"x").status, 400);
    assert_eq!(api.get("/v1/files").ok()["data"], Value::Array(vec![]));
}
