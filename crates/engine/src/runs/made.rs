//! What programs made and an answer shows: figures, and files that it links. These are read from the
//! session, kept, and attached to the message, all before a client hears of the link.
//!
//! A file is written in one transaction with the message it is attached to, so that none is left
//! that nothing mentions, whenever the process dies. The message is written anew then; its session
//! is gone, and the links in it lead to what is attached already.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};

use docent_core::{
    Annotation, AnnotationTarget, Attachment, AttachmentTool, Call, CodeOutput, Error, ErrorKind,
    FileId, Message, Result, RunStep, SandboxPath, StepDetails, StepStatus,
};

use super::code;
use super::prompt::is_message;
use super::work::{Halt, Scene, Worker, panicked};
use crate::citations::{Link, Links};
use crate::tables;

/// The files of a run that its messages link.
#[derive(Debug, Default)]
pub(crate) struct Made {
    files: Vec<(SandboxPath, FileId)>,
    /// Files of which the last name of their path is all that is known.
    named: Vec<(String, FileId)>,
}

/// What a link leads to.
#[derive(Debug)]
pub(crate) struct Target {
    /// How much of the link it takes, in bytes.
    pub(crate) length: usize,
    path: SandboxPath,
    /// None if the session is gone: then there is a file of an earlier link.
    bytes: Option<Vec<u8>>,
}

impl Made {
    /// What the messages of the run link so far.
    pub(crate) fn new(worker: &Worker, scene: &Scene) -> Result<Self> {
        let mut made = Self::default();
        if links(worker) == Links::Ignored {
            return Ok(made);
        }
        let read = worker.inner.store.read()?;
        for step in &scene.steps {
            let StepDetails::MessageCreation { message } = step.details else { continue };
            let message = tables::message(read.as_ref(), message)?;
            made.files.extend(message.annotations().flat_map(linked));
        }
        Ok(made)
    }

    /// What is at the end of `link`, if anything is. `message` is what is being written.
    pub(crate) fn find(&self, worker: &Worker, link: &Link) -> Option<Target> {
        let candidates = link.candidates();
        if let Some(target) = read_first(worker, &candidates) {
            return Some(target);
        }
        let known = |(_, path): &(usize, SandboxPath)| self.known(path).is_some();
        let (length, path) = candidates.into_iter().find(known)?;
        Some(Target { length, path, bytes: None })
    }

    /// The file of `target`, attached to `message`. A path that was linked before has its file,
    /// unless a program has written it anew.
    pub(crate) fn attach(
        &mut self,
        worker: &Worker,
        target: &Target,
        message: &mut Message,
    ) -> Result<Option<FileId>, Halt> {
        let known = self.known(&target.path);
        let Some(bytes) = &target.bytes else { return Ok(known.inspect(|it| add(message, *it))) };
        // Files of the user's lie there under their ids.
        let known = known.or_else(|| target.path.as_str().parse().ok());
        if let Some(file) = known.filter(|file| has_bytes(worker, *file, bytes)) {
            add(message, file);
            return Ok(Some(file));
        }
        let new = [(target.path.name(), bytes.as_slice())];
        let files = worker.write_files(&new, |write, files| {
            let mut row = tables::message(write, message.id)?;
            files.iter().for_each(|file| add(&mut row, file.id));
            tables::put_message(write, &row)
        })?;
        docent_core::crash_point("program.after-file");
        let Some(file) = files.first().map(|file| file.id) else { return Ok(None) };
        add(message, file);
        self.files.push((target.path.clone(), file));
        Ok(Some(file))
    }

    /// Counts what is attached to a message that is to be written anew. Of these files the names
    /// alone are known.
    pub(crate) fn remember(&mut self, worker: &Worker, message: &Message) {
        for Attachment { file, .. } in &message.attachments {
            let row = worker.inner.collections.file(*file);
            self.named.extend(row.ok().map(|row| (row.filename, *file)));
        }
    }

    fn known(&self, path: &SandboxPath) -> Option<FileId> {
        let newest = self.files.iter().rev().find(|(known, _)| known == path);
        let named = || self.named.iter().find(|(name, _)| name == path.name()).map(|it| it.1);
        newest.map(|(_, file)| *file).or_else(named)
    }
}

/// Only programs make files that an answer could link.
pub(crate) fn links(worker: &Worker) -> Links {
    let run = code::offered_name(&worker.run).is_some();
    if run && worker.inner.programs.sessions().is_ok() { Links::Found } else { Links::Ignored }
}

/// Figures that the run's programs drew since its last message.
pub(crate) fn unshown_figures(scene: &Scene) -> Vec<FileId> {
    let is_shown = |step: &RunStep| is_message(step) && step.status == StepStatus::Completed;
    let shown = scene.steps.iter().rposition(is_shown).map_or(0, |at| at + 1);
    let calls = scene.steps[shown..].iter().flat_map(|step| match &step.details {
        StepDetails::ToolCalls { calls } => calls.as_slice(),
        _ => &[],
    });
    let outputs = calls.filter_map(|call| match &call.call {
        Call::CodeInterpreter { outputs, .. } => outputs.as_deref(),
        _ => None,
    });
    let image = |output: &CodeOutput| match output {
        CodeOutput::Image { file } => Some(*file),
        _ => None,
    };
    outputs.flatten().filter_map(image).collect()
}

/// The paths that an annotation may stand for, if it links a file.
fn linked(annotation: &Annotation) -> Vec<(SandboxPath, FileId)> {
    let AnnotationTarget::FilePath { file } = annotation.target else { return Vec::new() };
    let link = Link::of(&annotation.text);
    let candidates = link.map(|link| link.candidates()).unwrap_or_default();
    candidates.into_iter().map(|(_, path)| (path, file)).collect()
}

fn add(message: &mut Message, file: FileId) {
    if message.attachments.iter().all(|attachment| attachment.file != file) {
        let tools = vec![AttachmentTool::CodeInterpreter];
        message.attachments.push(Attachment { file, tools });
    }
}

/// The first of `candidates` that is a file in the thread's session.
fn read_first(worker: &Worker, candidates: &[(usize, SandboxPath)]) -> Option<Target> {
    let sessions = worker.inner.programs.sessions().ok()?;
    let mut lease = sessions.present(worker.run.thread)?;
    let most = sessions.options().limits.data_bytes;
    let kept = lease.kept.as_mut()?;
    let mut found = None;
    for (length, path) in candidates {
        let read = catch_unwind(AssertUnwindSafe(|| kept.session.read(path, most)))
            .unwrap_or_else(|panic| Err(panicked("the sandbox", panic.as_ref())));
        match read {
            Ok(bytes) => {
                found = Some(Target { length: *length, path: path.clone(), bytes: Some(bytes) });
                break;
            }
            Err(error) if is_no_file(&error) => {}
            Err(error) => {
                // The session is lost; dropping the lease closes what is left of it.
                tracing::warn!(error = format!("{error:#}"), "a file cannot be read");
                return None;
            }
        }
    }
    lease.keep(worker.inner.clock.now());
    found
}

fn is_no_file(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid)
}

/// Whether the file is there and has just these bytes.
fn has_bytes(worker: &Worker, file: FileId, bytes: &[u8]) -> bool {
    let collections = &worker.inner.collections;
    if !collections.file(file).is_ok_and(|file| file.bytes == bytes.len() as u64) {
        return false;
    }
    let mut kept = Vec::with_capacity(bytes.len());
    let read = collections.open_file(file).and_then(|mut it| Ok(it.read_to_end(&mut kept)?));
    read.is_ok() && kept == bytes
}
