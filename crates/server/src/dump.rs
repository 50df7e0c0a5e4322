//! Dumps: what people saved of OpenAI's or Azure's Assistants API before it was shut down.
//!
//! A dump is JSON of the API's objects as a client printed them: alone or in lists, one after
//! another or in lines, in any number of files and any order. It is read leniently, where requests
//! are read strictly: it was written by another server, at its own time, and cannot be asked again.
//! What is not known is left out; what cannot be kept is counted and said.
//!
//! A dump is held in memory until it is imported, because messages come newest first and an object
//! may come before what it belongs to.

mod assets;
mod conversation;
mod fields;
mod ids;
mod order;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;

use docent_core::{
    Assistant, Error, FileId, Imported, Message, MessageStatus, Record, Result, Run, RunStep,
    StepStatus, Thread, ThreadId, Timestamp, ToolResources, VectorStore, VectorStoreFile,
};
use docent_engine::Engine;
use serde_json::Value;

use fields::Fields;
use ids::Ids;

/// Objects saved from another server.
#[derive(Debug, Default)]
pub struct Dump {
    ids: Ids,
    assistants: Seen<Assistant>,
    threads: Seen<Thread>,
    messages: Seen<Message>,
    runs: Seen<Run>,
    steps: Seen<RunStep>,
    vector_stores: Seen<VectorStore>,
    store_files: Seen<VectorStoreFile>,
    /// Objects of kinds that we have no place for.
    unknown: BTreeMap<String, u64>,
    /// Files of which there is an object without bytes.
    files: BTreeSet<FileId>,
    references: References,
}

/// What points at files, whose bytes no dump has.
#[derive(Debug, Default)]
struct References {
    citations: Vec<FileId>,
    attachments: Vec<FileId>,
    images: Vec<FileId>,
}

/// What an import of a dump did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DumpImport {
    /// Objects that are in now, by kind.
    pub new: BTreeMap<String, u64>,
    /// Objects that were there already, by kind.
    pub present: BTreeMap<String, u64>,
    /// Ids that could not be kept, each with the one it was given. The same gets the same always.
    pub renamed: Vec<(String, String)>,
    /// What could not be kept as it was.
    pub notes: Vec<String>,
}

/// Objects by id, in the order they were first seen.
#[derive(Debug)]
struct Seen<T> {
    at: HashMap<String, usize>,
    objects: Vec<T>,
}

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self { at: HashMap::new(), objects: Vec::new() }
    }
}

impl<T> Seen<T> {
    /// The same object may have been printed several times. The last is taken, but none that had
    /// ended for one that had not.
    fn insert(&mut self, id: impl ToString, object: T, has_ended: impl Fn(&T) -> bool) {
        let next = self.objects.len();
        match *self.at.entry(id.to_string()).or_insert(next) {
            at if at == next => self.objects.push(object),
            at if has_ended(&object) || !has_ended(&self.objects[at]) => self.objects[at] = object,
            _ => {}
        }
    }

    fn has(&self, id: impl ToString) -> bool {
        self.at.contains_key(&id.to_string())
    }
}

impl Dump {
    /// Reads more of the dump from `source`, which is called `name` in errors.
    ///
    /// # Errors
    /// [`Invalid`](docent_core::ErrorKind::Invalid) where it is no JSON, or an object lacks what it
    /// cannot be kept without.
    pub fn read(&mut self, source: impl Read, name: &str) -> Result<()> {
        for value in serde_json::Deserializer::from_reader(source).into_iter::<Value>() {
            let value = value.map_err(|error| match error.io_error_kind() {
                Some(_) => Error::from(std::io::Error::from(error)).context(name),
                None => Error::invalid(format!("{name} is no JSON: {error}")),
            })?;
            self.value(&value).map_err(|error| error.context(name))?;
        }
        Ok(())
    }

    /// An object of the API, or whatever holds some.
    fn value(&mut self, value: &Value) -> Result<()> {
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.value(item)),
            Value::Object(map) => match map.get("object").and_then(Value::as_str) {
                Some("list") => map.get("data").map_or(Ok(()), |data| self.value(data)),
                Some(kind) => self.object(kind, &Fields::of(map, kind)),
                None => map.values().try_for_each(|inner| self.value(inner)),
            },
            _ => Ok(()),
        }
    }

    fn object(&mut self, kind: &str, fields: &Fields<'_>) -> Result<()> {
        match kind {
            "assistant" => {
                let assistant = assets::assistant(fields, &mut self.ids)?;
                self.assistants.insert(assistant.id, assistant, |_| true);
            }
            "thread" => {
                let thread = assets::thread(fields, &mut self.ids)?;
                self.threads.insert(thread.id, thread, |_| true);
            }
            "thread.message" => {
                let message = conversation::message(fields, &mut self.ids)?;
                let ended = |it: &Message| it.status != MessageStatus::InProgress;
                self.messages.insert(message.id, message, ended);
            }
            "thread.run" => {
                let run = conversation::run(fields, &mut self.ids)?;
                self.runs.insert(run.id, run, |run| run.status.is_terminal());
            }
            "thread.run.step" => {
                let step = conversation::step(fields, &mut self.ids)?;
                self.steps.insert(step.id, step, |step| step.status != StepStatus::InProgress);
            }
            "vector_store" => {
                let store = assets::vector_store(fields, &mut self.ids)?;
                self.vector_stores.insert(store.id, store, |_| true);
            }
            "vector_store.file" => {
                let entry = assets::store_file(fields, &mut self.ids)?;
                let key = format!("{} {}", entry.vector_store, entry.file);
                self.store_files.insert(key, entry, |_| true);
            }
            "file" => {
                self.files.insert(fields.id(&mut self.ids, "id")?);
            }
            other => *self.unknown.entry(other.to_owned()).or_default() += 1,
        }
        Ok(())
    }

    /// Takes everything that was read into a library.
    ///
    /// # Errors
    /// [`Conflict`](docent_core::ErrorKind::Conflict) for an object that is there with other
    /// content. What came before it is in; importing the same again goes on.
    pub fn import(mut self, engine: &Engine) -> Result<DumpImport> {
        let mut done = DumpImport::default();
        self.references = References::of(&self.messages.objects);
        self.make_threads(engine)?;
        done.records(engine, self.assistants.objects.drain(..).map(Record::Assistant))?;
        done.records(engine, self.vector_stores.objects.drain(..).map(Record::VectorStore))?;
        let (held, left_out) = self.store_files.objects.drain(..).partition::<Vec<_>, _>(|entry| {
            engine.collections().file(entry.file).is_ok()
                && engine.collections().vector_store(entry.vector_store).is_ok()
        });
        done.records(engine, held.into_iter().map(Record::VectorStoreFile))?;
        done.records(engine, self.threads.objects.drain(..).map(Record::Thread))?;
        for (thread, messages) in order::by_thread(std::mem::take(&mut self.messages.objects)) {
            let imported = engine.import_messages(thread, &messages)?;
            imported.into_iter().for_each(|it| done.count("message", it));
        }
        let steps = std::mem::take(&mut self.steps.objects);
        let (steps, of_no_run) = self.steps_with_runs(engine, steps);
        done.records(engine, self.runs.objects.drain(..).map(Record::Run))?;
        done.records(engine, steps.into_iter().map(Record::RunStep))?;
        done.notes = self.notes(engine, left_out.len(), of_no_run);
        done.renamed = self.ids.renamed();
        Ok(done)
    }

    /// Threads whose own object is neither in the dump nor in the library.
    fn make_threads(&mut self, engine: &Engine) -> Result<()> {
        let mut missing: BTreeMap<ThreadId, Timestamp> = BTreeMap::new();
        let messages = self.messages.objects.iter().map(|it| (it.thread, it.created_at));
        let runs = self.runs.objects.iter().map(|it| (it.thread, it.created_at));
        for (thread, at) in messages.chain(runs).filter(|(thread, _)| !self.threads.has(thread)) {
            missing.entry(thread).and_modify(|first| *first = at.min(*first)).or_insert(at);
        }
        for (id, created_at) in missing {
            if engine.thread(id).is_err() {
                let thread = Thread {
                    id,
                    created_at,
                    tool_resources: ToolResources::default(),
                    active_run: None,
                    awaited: Vec::new(),
                    metadata: Default::default(),
                };
                self.threads.insert(id, thread, |_| true);
            }
        }
        Ok(())
    }

    /// Steps in the order they were made, and how many belong to a run that nobody has.
    fn steps_with_runs(&self, engine: &Engine, steps: Vec<RunStep>) -> (Vec<RunStep>, usize) {
        let all = steps.len();
        let known = |step: &RunStep| self.runs.has(step.run) || engine.run(step.run).is_ok();
        let steps = order::oldest_first(steps, |step| step.created_at);
        let steps: Vec<RunStep> = steps.into_iter().filter(known).collect();
        let left_out = all - steps.len();
        (steps, left_out)
    }

    fn notes(&self, engine: &Engine, store_files: usize, of_no_run: usize) -> Vec<String> {
        let missing = |file: &FileId| engine.collections().file(*file).is_err();
        let mut notes = self.references.notes(missing);
        let files = self.files.iter().filter(|file| missing(file)).count();
        if files > 0 {
            notes.push(format!(
                "{files} files are known by their objects only, which hold no bytes: upload them \
                 again"
            ));
        }
        if store_files > 0 {
            notes.push(format!(
                "{store_files} places of files in vector stores are left out, because their bytes \
                 were not in the dump"
            ));
        }
        if of_no_run > 0 {
            notes.push(format!(
                "{of_no_run} run steps are left out, because their runs were not in the dump"
            ));
        }
        let unknown = self.unknown.iter();
        notes.extend(unknown.map(|(kind, count)| {
            format!("{count} objects of the kind '{kind}' are left out: there is no place for them")
        }));
        notes
    }
}

impl DumpImport {
    fn records(&mut self, engine: &Engine, records: impl Iterator<Item = Record>) -> Result<()> {
        for record in records {
            let imported = engine.import(std::slice::from_ref(&record))?;
            imported.into_iter().for_each(|it| self.count(record.kind(), it));
        }
        Ok(())
    }

    fn count(&mut self, kind: &str, imported: Imported) {
        let counts = match imported {
            Imported::New => &mut self.new,
            Imported::Present => &mut self.present,
        };
        *counts.entry(kind.to_owned()).or_default() += 1;
    }
}

impl References {
    fn of(messages: &[Message]) -> Self {
        use docent_core::{AnnotationTarget, Content};

        let mut found = Self::default();
        for message in messages {
            found.attachments.extend(message.attachments.iter().map(|it| it.file));
            found.citations.extend(message.annotations().filter_map(|it| match &it.target {
                AnnotationTarget::ForeignCitation { file, .. }
                | AnnotationTarget::FilePath { file } => Some(*file),
                _ => None,
            }));
            found.images.extend(message.content.iter().filter_map(|part| match part {
                Content::ImageFile { file, .. } => Some(*file),
                _ => None,
            }));
        }
        found
    }

    fn notes(&self, missing: impl Fn(&FileId) -> bool) -> Vec<String> {
        let note = |what: &str, files: &[FileId]| {
            let files: Vec<&FileId> = files.iter().filter(|file| missing(file)).collect();
            let different: BTreeSet<&&FileId> = files.iter().collect();
            (!files.is_empty()).then(|| {
                format!(
                    "{} {what} point at {} files that were not in the dump; they are kept as \
                     references",
                    files.len(),
                    different.len()
                )
            })
        };
        let images = self.images.len();
        let unseen = format!("{images} images stay in their messages, but no model here sees them");
        [note("citations", &self.citations), note("attachments", &self.attachments)]
            .into_iter()
            .chain([note("images", &self.images), (images > 0).then_some(unseen)])
            .flatten()
            .collect()
    }
}
