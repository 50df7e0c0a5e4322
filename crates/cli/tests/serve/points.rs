//! Kill -9 at named moments of one client's story. Points inside the server are met by its own
//! hand (`DOCENT_CRASH_AT`, debug builds only), those a client sees by a real signal.

use std::time::{Duration, Instant};

use crate::process::{Embedder, Served, Site};
use crate::story::{Moment, Story, model};
use crate::upstream::Upstream;
use crate::verify::verify;

/// Where it dies inside, and what it was about to do. A number is how often the point is passed.
const POINTS: [&str; 22] = [
    "ingest.after-blob",
    "ingest.after-file",
    "ingest.after-attach",
    "ingest.before-chunks",
    "ingest.after-chunks",
    "ingest.before-completed",
    "ingest.after-cancel",
    "run.after-create",
    "run.after-claim",
    "run.mid-stream",
    "run.before-message",
    "run.after-message",
    "run.requires-action",
    "run.after-submit",
    "run.cancelling",
    "store.before-commit:5",
    "store.after-commit:9",
    "store.before-commit:30",
    "blobs.before-rename:2",
    "blobs.after-rename",
    "index.before-commit",
    "index.after-commit",
];

#[test]
#[cfg(debug_assertions)]
fn no_point_inside_loses_anything() {
    let upstream = Upstream::new(model);
    // The model takes its time in between, so several at a time are sooner done.
    std::thread::scope(|scope| {
        for points in POINTS.chunks(POINTS.len().div_ceil(4)) {
            let upstream = &upstream;
            scope.spawn(move || {
                for point in points {
                    dies_at(&Site::new(upstream, Embedder::None), point);
                }
            });
        }
    });
}

#[cfg(debug_assertions)]
#[track_caller]
fn dies_at(site: &Site, point: &str) {
    let served = site.serve_until(Some(point));
    let mut story = Story::new(&served, "p".into(), &|_| {});
    // A point may be passed just after the story's last answer.
    let told = story.tell(0);
    let died = served.dies_within(Duration::from_secs(5));
    assert!(died, "the story, which ended {told:?}, never passes {point}");
    verify(site, &story.ledger, point);
}

#[test]
#[cfg(debug_assertions)]
fn a_kill_while_vectors_are_made_loses_nothing() {
    let upstream = Upstream::new(model);
    let site = Site::new(&upstream, Embedder::Default);
    if !has_weights() {
        return;
    }
    dies_at(&site, "ingest.after-embed-batch");
}

/// Whether the default embedder is on this machine; says so if not. `.ci/run` sets
/// `DOCENT_TEST_MODELS=required`, and then it must be.
#[cfg(debug_assertions)]
fn has_weights() -> bool {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_docent"));
    let here = command.args(["models", "path", "multilingual-e5-small-q4"]).output().unwrap();
    let required = std::env::var("DOCENT_TEST_MODELS").is_ok_and(|value| value == "required");
    assert!(here.status.success() || !required, "multilingual-e5-small-q4 is not here");
    if !here.status.success() {
        eprintln!("SKIPPED: run \"docent models pull multilingual-e5-small-q4\"");
    }
    here.status.success()
}

#[test]
fn no_moment_a_client_sees_loses_anything() {
    let upstream = Upstream::new(model);
    let moments = [
        Moment::MidUpload,
        Moment::Queued,
        Moment::MidStream,
        Moment::RequiresAction,
        Moment::Cancelling,
    ];
    for moment in moments {
        let site = Site::new(&upstream, Embedder::None);
        let served = site.serve();
        let on_moment = |seen: Moment| {
            if seen == moment {
                await_upload(&site, moment);
                served.kill();
            }
        };
        let mut story = Story::new(&served, "m".into(), &on_moment);
        assert!(story.tell(0).is_err(), "the story never comes to {moment:?}");
        verify(&site, &story.ledger, &format!("{moment:?}"));
        drop::<Served>(served);
    }
}

/// What was sent is not at once on the disk.
fn await_upload(site: &Site, moment: Moment) {
    let begun = Instant::now();
    let half = || {
        let files = site.unfinished_uploads();
        files.iter().any(|path| fs_err::metadata(path).is_ok_and(|file| file.len() > 0))
    };
    while moment == Moment::MidUpload && !half() {
        assert!(begun.elapsed() < Duration::from_secs(5), "nothing of the upload is written");
        std::thread::sleep(Duration::from_millis(1));
    }
}
