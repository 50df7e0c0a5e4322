//! Runs whose models compute here: one at a time of this one.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use docent_inference::chat::{Bounded, Scripted, ScriptedReply, Turns};
use serde_json::json;

use crate::support::{Api, Setup, id};

#[test]
fn a_run_that_waits_for_its_models_turn_can_be_cancelled() {
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let slow = ScriptedReply::pieces(["One", " two"])
        .before_piece(1, move || wait.lock().unwrap().recv().unwrap());
    let model = Arc::new(Scripted::new([slow, ScriptedReply::text("Third.")]));
    let bounded = Bounded::new(model.clone(), Arc::new(Turns::new(1)));
    let api = Api::with(Arc::new(bounded), Setup::default());
    let body = json!({ "assistant_id": api.assistant(json!({})) });
    let threads: Vec<String> = (0..3).map(|_| api.thread()).collect();
    let run = |thread: usize| {
        let path = format!("/v1/threads/{}/runs", threads[thread]);
        let run = id(&api.made(&path, &body));
        api.until(&threads[thread], &run, "in_progress");
        run
    };
    let first = run(0);
    while model.requests().is_empty() {
        std::thread::yield_now();
    }
    let second = run(1);
    api.made(&format!("/v1/threads/{}/runs/{second}/cancel", threads[1]), &json!({}));
    api.until(&threads[1], &second, "cancelled");
    assert_eq!(model.requests().len(), 1, "the second has been asked beside the first");
    let third = run(2);
    go.send(()).unwrap();
    api.until(&threads[0], &first, "completed");
    api.until(&threads[2], &third, "completed");
}
