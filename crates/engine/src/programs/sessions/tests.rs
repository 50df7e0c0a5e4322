use std::convert::Infallible;

use super::*;
use crate::tests::fake::FakeSandbox;

struct Lab {
    sandbox: Arc<FakeSandbox>,
    sessions: Sessions,
    owner: Owner,
}

impl Lab {
    fn new(sessions: usize) -> Self {
        let sandbox = FakeSandbox::new();
        let patience = Duration::from_millis(40);
        let options = ProgramOptions { sessions, patience, ..ProgramOptions::default() };
        let sessions = Sessions::new(sandbox.clone(), options);
        Self { sandbox, sessions, owner: Owner::default() }
    }

    fn enter(&self, number: u64) -> Option<Lease<'_>> {
        let mut go_on = || Ok::<(), Infallible>(());
        let entered = self.sessions.enter(&self.owner, thread(number), &mut go_on);
        entered.unwrap()
    }

    /// Uses the thread's session at `seconds`. Says whether it had one.
    fn use_at(&self, number: u64, seconds: u64) -> bool {
        let mut lease = self.enter(number).unwrap();
        let had = lease.kept.is_some();
        if !had {
            let session = self.sandbox.open(&self.sessions.options.limits).unwrap();
            lease.kept = Some(Kept { session, files: BTreeSet::new() });
        }
        lease.keep(at(seconds));
        had
    }
}

fn thread(number: u64) -> ThreadId {
    format!("thread_{number:024}").parse().unwrap()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

#[test]
fn a_thread_has_its_session_again() {
    let lab = Lab::new(2);
    assert!(!lab.use_at(1, 10));
    assert!(lab.use_at(1, 11));
    assert!(!lab.use_at(2, 12));
    assert!(lab.use_at(1, 13));
    assert_eq!(lab.sandbox.opened(), 2);
}

#[test]
fn the_one_not_used_for_longest_makes_room() {
    let lab = Lab::new(2);
    lab.use_at(1, 10);
    lab.use_at(2, 11);
    lab.use_at(1, 12);
    lab.use_at(3, 13);
    assert_eq!((lab.sandbox.open_now(), lab.sessions.count()), (2, 2));
    assert!(lab.use_at(1, 14) && !lab.use_at(2, 15));
}

#[test]
fn a_session_that_is_used_is_waited_for_and_then_not() {
    let lab = Lab::new(1);
    lab.use_at(1, 10);
    let busy = lab.enter(1).unwrap();
    assert!(lab.enter(2).is_none());
    assert!(lab.enter(1).is_none(), "two would use one session");
    let mut asked = 0;
    let stopped = lab.sessions.enter(&lab.owner, thread(2), &mut || {
        asked += 1;
        if asked == 2 { Err("stop") } else { Ok(()) }
    });
    assert_eq!(stopped.err(), Some("stop"));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| lab.use_at(2, 20));
        busy.keep(at(15));
        assert!(!waiting.join().unwrap());
    });
    assert_eq!((lab.sandbox.open_now(), lab.sessions.count()), (1, 1));
}

#[test]
fn a_lease_that_is_dropped_closes_its_session_and_frees_the_place() {
    let lab = Lab::new(1);
    lab.use_at(1, 10);
    drop(lab.enter(1).unwrap());
    assert_eq!((lab.sandbox.open_now(), lab.sessions.count()), (0, 0));
    drop(lab.enter(2).unwrap());
    assert_eq!(lab.sessions.count(), 0);
}

#[test]
fn idle_sessions_expire_and_those_of_other_engines_do_not() {
    let lab = Lab::new(4);
    lab.use_at(1, 0);
    lab.use_at(2, 600);
    let busy = lab.enter(2).unwrap();
    let other = Owner::default();
    assert!(!lab.sessions.expire(&other, at(9999)));
    assert!(lab.sessions.expire(&lab.owner, at(1199)));
    assert_eq!(lab.sandbox.open_now(), 2);
    assert!(lab.sessions.expire(&lab.owner, at(1200)));
    assert_eq!(lab.sandbox.open_now(), 1);
    assert!(lab.sessions.expire(&lab.owner, at(9999)), "one that is used is no idle one");
    busy.keep(at(9999));
    assert!(!lab.sessions.expire(&lab.owner, at(99999)));
}

#[test]
fn a_session_that_is_to_be_closed_is_once_its_program_is_over() {
    let lab = Lab::new(4);
    lab.use_at(1, 10);
    lab.use_at(2, 10);
    let busy = lab.enter(2).unwrap();
    lab.sessions.close(thread(1));
    lab.sessions.close(thread(2));
    assert_eq!(lab.sandbox.open_now(), 1);
    busy.keep(at(11));
    assert_eq!((lab.sandbox.open_now(), lab.sessions.count()), (0, 0));
}

#[test]
fn nothing_is_kept_for_an_engine_that_is_gone() {
    let lab = Lab::new(4);
    lab.use_at(1, 10);
    lab.use_at(2, 10);
    let busy = lab.enter(2).unwrap();
    lab.sessions.close_all(&lab.owner);
    assert_eq!(lab.sandbox.open_now(), 1);
    busy.keep(at(11));
    lab.use_at(3, 12);
    assert_eq!((lab.sandbox.open_now(), lab.sessions.count()), (0, 0));
}
