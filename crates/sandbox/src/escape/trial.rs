//! One attempt, from the opening of its session to the verdict.

use std::io;
use std::ops::ControlFlow;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use docent_core::{
    ErrorKind, Execution, ProgramEnd, Result, Sandbox, SandboxLimits, SandboxPath, Session,
};

use super::{Attempt, Ends, Finding, Host, Outcome, limits};
use crate::conformance;

/// How much later than promised a call may return.
const SLACK: Duration = if cfg!(test) { Duration::from_millis(100) } else { conformance::SLACK };

/// How long a file may take to be put or read.
const FILE_TIME: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 5 });

/// How long what ran in a session may be there after it.
const LINGER: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 5 });

/// What a value, a traceback or all figures together may have.
const RESULT_BYTES: usize = 64 << 20;

/// Makes an attempt and says what became of it.
pub(super) fn judge(sandbox: &dyn Sandbox, host: &mut Host, attempt: &Attempt) -> Finding {
    let mut verdict = Verdict::default();
    let limits = SandboxLimits { time: attempt.time, ..limits() };
    match host.renew().and_then(|()| sandbox.open(&limits)) {
        Ok(session) => {
            let mut trial = Trial { guarded: Guarded::new(session), host, limits, verdict };
            trial.make(attempt);
            verdict = trial.finish();
        }
        Err(error) => verdict.unclear.push(format!("no session: {error:?}")),
    }
    verdict.finding(attempt)
}

#[derive(Default)]
struct Verdict {
    through: Vec<String>,
    unclear: Vec<String>,
    absent: Vec<String>,
    refused: Vec<String>,
    end: String,
}

struct Trial<'a> {
    guarded: Guarded,
    host: &'a mut Host,
    limits: SandboxLimits,
    verdict: Verdict,
}

impl Trial<'_> {
    fn make(&mut self, attempt: &Attempt) {
        let known = self.host.described(&self.limits).to_string();
        // A text in JSON is a text in Python.
        let known = serde_json::Value::from(known).to_string();
        let prelude =
            format!("import json\nHOST = json.loads({known})\n{}", include_str!("prelude.py"));
        match self.run(&prelude) {
            Some(Ok(prelude)) if prelude.end == ProgramEnd::Completed => {}
            other => return self.verdict.unclear.push(format!("the prelude: {other:?}")),
        }
        let Some(execution) = self.run(&attempt.program) else { return };
        match execution {
            Ok(execution) => {
                self.hear(&execution, attempt.ends);
                self.is_bounded(&execution);
                let lost = matches!(execution.end, ProgramEnd::Lost(_));
                self.goes_on(attempt, lost);
            }
            Err(error) => {
                self.verdict.through.push(format!("host: a program is an error: {error:?}"))
            }
        }
        for _ in 0..attempt.times {
            for name in attempt.crossing {
                self.cross(name);
            }
        }
    }

    /// What the program said, and whether it ended as it should.
    fn hear(&mut self, execution: &Execution, ends: Ends) {
        let verdict = &mut self.verdict;
        for line in execution.logs.lines() {
            let mut words = line.splitn(4, '\t');
            let (Some("docent"), Some(how)) = (words.next(), words.next()) else { continue };
            let note = words.collect::<Vec<_>>().join(": ");
            match how {
                "refused" => verdict.refused.push(note),
                "absent" => verdict.absent.push(note),
                _ => verdict.through.push(note),
            }
        }
        verdict.end = short(&execution.end);
        let silent =
            [&verdict.through, &verdict.refused, &verdict.absent].iter().all(|it| it.is_empty());
        match &execution.end {
            ProgramEnd::Raised { traceback } => raised(verdict, traceback, ends),
            ProgramEnd::Completed if ends == Ends::Stopped => {
                verdict.unclear.push("it came to its end".to_owned());
            }
            ProgramEnd::Completed if ends == Ends::Well && silent => {
                verdict.unclear.push("it said nothing".to_owned());
            }
            ProgramEnd::Completed => {}
            // Such an attempt leaves its session alone, unless it got hold of what keeps it.
            ProgramEnd::Lost(loss) if ends == Ends::Well => {
                verdict.through.push(format!("host: the session was lost: {loss}"));
            }
            _ if ends == Ends::Well => {
                verdict.unclear.push("it did not come to its end".to_owned())
            }
            _ => verdict.refused.push("it was ended".to_owned()),
        }
    }

    /// What comes out of a session is bounded, whatever is in it.
    fn is_bounded(&mut self, execution: &Execution) {
        let traceback = match &execution.end {
            ProgramEnd::Raised { traceback } | ProgramEnd::Interrupted { traceback } => {
                traceback.len()
            }
            _ => 0,
        };
        let images = execution.images.iter().map(Vec::len).sum();
        for (what, found, most) in [
            ("logs", execution.logs.len(), self.limits.output_bytes),
            ("value", execution.value.as_ref().map_or(0, String::len), RESULT_BYTES),
            ("traceback", traceback, RESULT_BYTES),
            ("figures", images, RESULT_BYTES),
        ] {
            if found > most {
                self.breach(format!("the {what} have {found} bytes"));
            }
        }
    }

    /// That the session works, or says that it is lost.
    fn goes_on(&mut self, attempt: &Attempt, lost: bool) {
        let next = self.run("6 * 7");
        let well = match &next {
            Some(Err(error)) => lost && error.kind() == ErrorKind::Conflict,
            Some(Ok(next)) => !lost && next.value.as_deref() == Some("42"),
            None => true,
        };
        // What an attempt did to its own interpreter is its own affair.
        let may_differ = attempt.ends == Ends::Somehow && !lost;
        match next {
            Some(Err(error)) if !well && !may_differ => {
                self.breach(format!("the session does not go on: {error:?}"));
            }
            Some(Ok(next)) if !well && !may_differ => {
                self.breach(format!("the session goes on: {:?} {:?}", next.value, next.end));
            }
            Some(Ok(next)) => {
                self.is_bounded(&next);
                if !well {
                    self.verdict.end += &format!(", then {}", short(&next.end));
                }
            }
            _ => {}
        }
        // Files are served in time, too, whatever became of the folder.
        let files = self.call("the list of files", FILE_TIME, |session| session.files());
        if let (Some(Err(error)), false, false) = (files, lost, may_differ)
            && error.kind() == ErrorKind::Conflict
        {
            self.breach(format!("the session does not go on: {error:?}"));
        }
    }

    /// Reads what a program left and puts a file in its place.
    fn cross(&mut self, name: &'static str) {
        let path: SandboxPath = name.parse().expect("the suite's paths are paths");
        let read = path.clone();
        let bytes = self.call(name, FILE_TIME, move |session| session.read(&read, 1 << 20));
        if let Some(Ok(bytes)) = bytes {
            if self.host.is_ours(&bytes) {
                self.breach(format!("{name} gives a file of the host's"));
            }
            if bytes.len() > 1 << 20 {
                self.breach(format!("{name} gives {} bytes", bytes.len()));
            }
        }
        self.call(name, FILE_TIME, move |session| session.put(&path, &mut io::Cursor::new(b"put")));
    }

    /// Ends the session and looks at what is left of it.
    fn finish(mut self) -> Verdict {
        self.call("the end of the session", LINGER, |_| ());
        let Self { guarded, host, mut verdict, .. } = self;
        if !guarded.end() {
            verdict.through.push("host: the session does not end".to_owned());
        }
        let left = host.watch.left(LINGER);
        verdict.through.extend(left.into_iter().map(|name| format!("host: left: {name}")));
        host.watch.end_all();
        let over = host.watch.longest_over();
        if over > Duration::from_secs(2) {
            verdict.through.push(format!("host: it had too much memory for {over:?}"));
        }
        verdict.through.extend(host.harm().into_iter().map(|seen| format!("host: {seen}")));
        verdict
    }

    fn run(&mut self, program: &str) -> Option<Result<Execution>> {
        let most = self.limits.time + self.limits.grace;
        let program = program.to_owned();
        let answer = self.call("a program", most, move |session| {
            session.run(&program, &mut |_| ControlFlow::Continue(()))
        });
        // What it left may be there for a moment only.
        self.host.watch.look();
        answer
    }

    /// Calls the session; a call that takes longer than it may is a breach.
    fn call<T: Send + 'static>(
        &mut self,
        what: &str,
        most: Duration,
        call: impl FnOnce(&mut dyn Session) -> T + Send + 'static,
    ) -> Option<T> {
        let memory = self.limits.memory_bytes * 3 / 2 + (64 << 20);
        let watch = &mut self.host.watch;
        let start = Instant::now();
        let answer = self.guarded.call(most + SLACK, call, || {
            watch.look();
            watch.weigh(memory);
        });
        match answer {
            Answer::Given(value) => {
                let took = start.elapsed();
                if took > most + SLACK {
                    self.breach(format!("{what} took {took:?}, the promise is {most:?}"));
                }
                return Some(value);
            }
            Answer::Late => self.breach(format!("{what} does not return, the promise is {most:?}")),
            Answer::Panicked => self.breach(format!("{what} made the host panic")),
            Answer::None => {}
        }
        None
    }

    fn breach(&mut self, what: String) {
        self.verdict.through.push(format!("host: {what}"));
    }
}

/// What an attempt that raised was worth.
fn raised(verdict: &mut Verdict, traceback: &str, ends: Ends) {
    let last = traceback.lines().rfind(|line| !line.is_empty()).unwrap_or_default();
    let last: String = last.chars().take(200).collect();
    let is = |names: &[&str]| names.iter().any(|name| last.starts_with(name));
    if is(&["ImportError", "ModuleNotFoundError", "AttributeError", "NotImplementedError"]) {
        verdict.absent.push(last);
    } else if ends != Ends::Somehow || is(&["NameError", "SyntaxError", "IndentationError"]) {
        verdict.unclear.push(last);
    } else {
        verdict.refused.push(last);
    }
}

fn short(end: &ProgramEnd) -> String {
    match end {
        ProgramEnd::Completed => "completed".to_owned(),
        ProgramEnd::Raised { .. } => "raised".to_owned(),
        ProgramEnd::Interrupted { .. } => "interrupted".to_owned(),
        ProgramEnd::Lost(loss) => format!("lost: {loss}"),
        other => format!("{other:?}"),
    }
}

impl Verdict {
    fn finding(self, attempt: &Attempt) -> Finding {
        let outcome = if !self.through.is_empty() {
            Outcome::Escaped
        } else if !self.unclear.is_empty() {
            Outcome::Unclear
        } else if !self.absent.is_empty() && self.refused.is_empty() {
            Outcome::Absent
        } else {
            Outcome::Refused
        };
        let notes = [self.through, self.unclear, self.absent, self.refused].concat();
        let Attempt { name, layers, .. } = attempt;
        Finding { attempt: name.clone(), layers, outcome, notes, end: self.end }
    }
}

type Job = Box<dyn FnOnce(&mut dyn Session) + Send>;

/// A session in a thread of its own, so that a call that never returns is seen.
struct Guarded {
    jobs: Sender<Job>,
    ended: mpsc::Receiver<()>,
    is_stuck: bool,
}

enum Answer<T> {
    Given(T),
    Late,
    Panicked,
    /// An earlier call is stuck.
    None,
}

impl Guarded {
    fn new(mut session: Box<dyn Session>) -> Self {
        let (jobs, todo) = mpsc::channel::<Job>();
        let (end, ended) = mpsc::channel();
        thread::spawn(move || {
            for job in todo {
                job(&mut *session);
            }
            drop(session);
            let _ = end.send(());
        });
        Self { jobs, ended, is_stuck: false }
    }

    /// Calls the session, looking about meanwhile.
    fn call<T: Send + 'static>(
        &mut self,
        most: Duration,
        call: impl FnOnce(&mut dyn Session) -> T + Send + 'static,
        mut look: impl FnMut(),
    ) -> Answer<T> {
        if self.is_stuck {
            return Answer::None;
        }
        let (done, answer) = mpsc::channel();
        let job: Job = Box::new(move |session| drop(done.send(call(session))));
        if self.jobs.send(job).is_err() {
            return Answer::None;
        }
        let end = Instant::now() + most;
        loop {
            match answer.recv_timeout(Duration::from_millis(50)) {
                Ok(value) => return Answer::Given(value),
                Err(RecvTimeoutError::Disconnected) => return Answer::Panicked,
                Err(RecvTimeoutError::Timeout) => look(),
            }
            if Instant::now() > end {
                self.is_stuck = true;
                return Answer::Late;
            }
        }
    }

    /// Drops the session; whether that took no longer than it may.
    fn end(self) -> bool {
        let Self { jobs, ended, is_stuck } = self;
        drop(jobs);
        is_stuck || !matches!(ended.recv_timeout(LINGER + SLACK), Err(RecvTimeoutError::Timeout))
    }
}

#[cfg(test)]
mod tests;
