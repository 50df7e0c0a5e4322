//! Images in messages: kept, shown, and told of to models that cannot see them.

use std::sync::Arc;

use docent_inference::chat::{Scripted, ScriptedReply};
use serde_json::json;

use crate::files::upload_text;
use crate::support::{Api, Setup, id};

#[test]
fn an_image_is_kept_and_its_model_is_told_that_it_was_not_shown() {
    let model = Arc::new(Scripted::new([ScriptedReply::text("I see none.")]));
    let api = Api::with(model.clone(), Setup::default());
    let file = upload_text(&api, "cat.png", "not really an image");
    let content = json!([
        { "type": "text", "text": "What is it?" },
        { "type": "image_file", "image_file": { "file_id": file, "detail": "low" } },
        { "type": "image_url", "image_url": { "url": "https://x.example/y.png" } },
    ]);
    let thread =
        api.made("/v1/threads", &json!({ "messages": [{ "role": "user", "content": content }] }));
    let thread = id(&thread);
    let kept = &api.get(&format!("/v1/threads/{thread}/messages")).ok()["data"][0]["content"];
    assert_eq!(kept[1], content[1]);
    let url = json!({ "url": "https://x.example/y.png", "detail": "auto" });
    assert_eq!(kept[2], json!({ "type": "image_url", "image_url": url }));
    let body = json!({ "assistant_id": api.assistant(json!({})) });
    let run = id(&api.made(&format!("/v1/threads/{thread}/runs"), &body));
    api.until(&thread, &run, "completed");
    let asked = model.requests()[0].last_text().to_owned();
    let wanted = format!(
        "What is it?\n[image {file} not shown: this model sees no images]\n[image \
         https://x.example/y.png not shown: this model sees no images]"
    );
    assert_eq!(asked, wanted);
}

#[test]
fn an_address_that_is_none_is_refused() {
    let api = Api::new([]);
    let messages = format!("/v1/threads/{}/messages", api.thread());
    let send = |url: &str| {
        let part = json!({ "type": "image_url", "image_url": { "url": url } });
        api.post(&messages, &json!({ "role": "user", "content": [part] }))
    };
    for wrong in
        ["", "https://", "cat.png", "ftp://x.example/y", "https://x.example/a b", "data:猫"]
    {
        let refused = send(wrong);
        let (message, param, code) = refused.refused(400);
        assert!(message.starts_with("Invalid 'content[0].image_url.url': it is not"), "{message}");
        assert_eq!((param, code), (Some("content[0].image_url.url"), Some("invalid_value")));
    }
    for right in ["http://x.example/%E7%8C%AB.png?w=1", "data:image/png;base64,iVBORw0KGgo="] {
        assert_eq!(send(right).status, 200, "{right}");
    }
}
