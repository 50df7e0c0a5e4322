//! Doctor: does everything agree, and can what does not be set right?
//!
//! Chunks, log, jobs, embeddings and blobs are compared with the files that mention them, and every
//! index with the chunks it should hold. What can be made again (indexes, vectors, jobs) or is
//! mentioned by nothing (ghost chunks, unused embeddings and blobs) is set right; what is lost
//! (an original's bytes, a committed chunk) is named.

use std::collections::{BTreeMap, BTreeSet};

use docent_core::{
    BlobHash, ChunkId, Error, FileId, Fingerprint, Key, Read, Result, Scan, Seq, VectorStore,
    VectorStoreFile, VectorStoreId,
};
use sha2::{Digest, Sha256};

use super::Collections;
use super::collection::Collection;
use super::entries::{counted, put_entry};
use super::queue::JobKey;
use super::waiting::{is_read, needs_work};
use crate::embeddings;
use crate::follower::embedded_ranges;
use crate::tables::{
    BLOB_FILES, CHUNKS, EMBEDDINGS, ENTRY_VERSIONS, FILES, JOBS, Job, LOG, REEMBEDS, STORE_FILES,
    TOTALS, VECTOR_STORES, blob_key, embedding_key, log_ends, within,
};

/// Whether a check sets right what it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Only look.
    No,
    /// Set right what can be made again.
    Yes,
}

/// Something a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub subject: String,
    /// What is wrong.
    pub problem: String,
    /// Whether it has been set right.
    pub repaired: bool,
}

/// Rows looked at in one go.
const PAGE: usize = 512;

#[derive(Default)]
pub(super) struct Findings {
    found: Vec<Finding>,
    /// Embedding keys some chunk mentions.
    mentioned: BTreeSet<String>,
}

impl Findings {
    fn add(&mut self, subject: impl ToString, problem: impl Into<String>, repaired: bool) {
        self.found.push(Finding {
            subject: subject.to_string(),
            problem: problem.into(),
            repaired,
        });
    }
}

impl Collections {
    /// Compares everything with everything; see the list of [`Finding`]s for what can differ.
    ///
    /// Reads every byte of every file: minutes for a large library. Let nothing else change the
    /// library meanwhile.
    ///
    /// # Errors
    /// When the store cannot be read at all.
    pub fn check(&self, repair: Repair) -> Result<Vec<Finding>> {
        let fix = repair == Repair::Yes;
        let mut findings = Findings::default();
        self.check_blobs(fix, &mut findings)?;
        let stores = VECTOR_STORES.all(&*self.store.read()?, "")?;
        self.check_orphans(&stores, fix, &mut findings)?;
        for (_, vector_store) in &stores {
            self.check_files(vector_store, fix, &mut findings)?;
            self.check_totals(vector_store.id, fix, &mut findings)?;
            self.check_log(vector_store.id, fix, &mut findings)?;
            self.check_indexes(vector_store.id, fix, &mut findings)?;
        }
        self.check_embeddings(fix, &findings)?;
        self.check_directories(&stores, fix, &mut findings)?;
        Ok(findings.found)
    }

    /// Indexes of vector stores that do not exist any more.
    pub(super) fn check_directories(
        &self,
        stores: &[(VectorStoreId, VectorStore)],
        fix: bool,
        findings: &mut Findings,
    ) -> Result<()> {
        if !self.indexes.exists() {
            return Ok(());
        }
        for entry in fs_err::read_dir(&self.indexes)? {
            let entry = entry?;
            let id = entry.file_name().to_str().and_then(|name| name.parse::<VectorStoreId>().ok());
            if let Some(id) = id
                && !stores.iter().any(|(known, _)| *known == id)
            {
                findings.add(id, "indexes of a vector store that does not exist", fix);
                if fix {
                    fs_err::remove_dir_all(entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// Every file has its bytes, every blob has a file.
    fn check_blobs(&self, fix: bool, findings: &mut Findings) -> Result<()> {
        let mut mentioned: BTreeSet<BlobHash> = BTreeSet::new();
        let read = self.store.read()?;
        let mut unindexed = vec![];
        for (id, file) in FILES.all(&*read, "")? {
            if mentioned.insert(file.hash)
                && let Err(error) = self.check_blob(file.hash, file.bytes)
            {
                findings.add(id, format!("its bytes are lost: {error}; add it again"), false);
            }
            if BLOB_FILES.get(&*read, &blob_key(&file))?.is_none() {
                unindexed.push(file);
            }
        }
        for file in unindexed {
            findings.add(file.id, "it is not listed under its bytes", fix);
            if fix {
                let mut write = self.store.write()?;
                BLOB_FILES.put(&mut *write, &blob_key(&file), &file.id)?;
                write.commit()?;
            }
        }
        for blob in self.blobs.list()? {
            if !mentioned.contains(&blob.hash) {
                findings.add(blob.hash, "no file mentions these bytes", fix);
                if fix {
                    self.blobs.delete(blob.hash)?;
                }
            }
        }
        Ok(())
    }

    fn check_blob(&self, hash: BlobHash, bytes: u64) -> Result<()> {
        let mut source = self.blobs.open(hash)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        let mut length = 0;
        loop {
            let read = source.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            length += read as u64;
        }
        let digest: [u8; 32] = hasher.finalize().into();
        if (length, digest) != (bytes, hash.0) {
            return Err(Error::corrupt("they are not what was written"));
        }
        Ok(())
    }

    /// Rows of vector stores that do not exist any more.
    fn check_orphans(
        &self,
        stores: &[(VectorStoreId, VectorStore)],
        fix: bool,
        findings: &mut Findings,
    ) -> Result<()> {
        let known: BTreeSet<String> = stores.iter().map(|(id, _)| id.to_string()).collect();
        let tables = [
            STORE_FILES.spec(),
            CHUNKS.spec(),
            LOG.spec(),
            JOBS.spec(),
            TOTALS.spec(),
            REEMBEDS.spec(),
            ENTRY_VERSIONS.spec(),
        ];
        for table in tables {
            let mut orphans = vec![];
            for_each_row(&*self.store.read()?, table, |key, _| {
                let store = key.split_once('/').map_or(key, |(store, _)| store);
                if !known.contains(store) {
                    orphans.push(key.to_owned());
                }
                Ok(())
            })?;
            if orphans.is_empty() {
                continue;
            }
            let problem = format!("{} rows belong to no vector store", orphans.len());
            findings.add(table.name, problem, fix);
            if fix {
                let mut write = self.store.write()?;
                for key in orphans {
                    write.delete(table, &key)?;
                }
                write.commit()?;
            }
        }
        Ok(())
    }

    /// Every file of a vector store exists, has its chunks, and either is done or has a job.
    fn check_files(
        &self,
        vector_store: &VectorStore,
        fix: bool,
        findings: &mut Findings,
    ) -> Result<()> {
        let read = self.store.read()?;
        let id = vector_store.id;
        let files = STORE_FILES.all(&*read, &within(id))?;
        let mut expected: BTreeMap<ChunkId, FileId> = BTreeMap::new();
        for (key, file) in &files {
            expected.extend(file.chunks.iter().map(|chunk| (chunk, key.1)));
            if FILES.get(&*read, &key.1)?.is_none() {
                findings.add(key.1, format!("{id} holds it, but it does not exist"), fix);
                if fix {
                    self.detach(id, key.1)?;
                }
            }
        }
        let ghosts = self.compare_chunks(&*read, vector_store, expected, findings)?;
        drop(read);
        if !ghosts.is_empty() {
            findings.add(id, format!("{} chunks belong to no file", ghosts.len()), fix);
        }
        if fix && !ghosts.is_empty() {
            let mut write = self.store.write()?;
            for chunk in ghosts {
                CHUNKS.delete(&mut *write, &(id, chunk))?;
            }
            write.commit()?;
            self.collection(id)?.rebuild(&*self.store)?;
        }
        for (key, _) in files {
            self.check_progress(vector_store, key, fix, findings)?;
        }
        self.check_strays(id, fix, findings)
    }

    /// Every job is of a file that is in the vector store.
    fn check_strays(&self, id: VectorStoreId, fix: bool, findings: &mut Findings) -> Result<()> {
        let read = self.store.read()?;
        let files: BTreeSet<JobKey> =
            STORE_FILES.all(&*read, &within(id))?.into_iter().map(|(key, _)| key).collect();
        let jobs = JOBS.all(&*read, &within(id))?.into_iter().map(|(key, _)| key);
        let strays: Vec<JobKey> = jobs.filter(|key| !files.contains(key)).collect();
        drop(read);
        for key in strays {
            findings.add(key.1, format!("it is in the queue, but not in {id}"), fix);
            if fix {
                let mut write = self.store.write()?;
                // It may be back by now, and that job is its own.
                if STORE_FILES.get(&*write, &key)?.is_none() {
                    JOBS.delete(&mut *write, &key)?;
                    write.commit()?;
                }
            }
        }
        Ok(())
    }

    /// Walks over the chunks: names what is missing, notes their embeddings, returns the ghosts.
    fn compare_chunks(
        &self,
        read: &dyn Read,
        vector_store: &VectorStore,
        mut expected: BTreeMap<ChunkId, FileId>,
        findings: &mut Findings,
    ) -> Result<Vec<ChunkId>> {
        let mut ghosts = vec![];
        let kept = REEMBEDS.get(read, &vector_store.id)?.unwrap_or_default();
        let embedders: Vec<Fingerprint> =
            vector_store.embedder.iter().cloned().chain(kept.next).chain(kept.previous).collect();
        let prefix = within(vector_store.id);
        let mut after = String::new();
        loop {
            let scan =
                Scan { prefix: &prefix, after: Some(&after), limit: PAGE, ..Scan::default() };
            let rows = CHUNKS.scan(read, scan)?;
            let Some((last, _)) = rows.last() else { break };
            after = last.to_text();
            for ((_, id), chunk) in rows {
                if expected.remove(&id) != Some(chunk.file) || chunk.id != id {
                    ghosts.push(id);
                } else {
                    let text = chunk.chunk.text_hash();
                    findings.mentioned.extend(embedders.iter().map(|it| embedding_key(it, text)));
                }
            }
        }
        let mut lost: BTreeMap<FileId, u64> = BTreeMap::new();
        for file in expected.into_values() {
            *lost.entry(file).or_default() += 1;
        }
        for (file, count) in lost {
            let problem = format!("{count} of its chunks are lost; detach it and add it again");
            findings.add(file, problem, false);
        }
        Ok(ghosts)
    }

    /// A file that is not done has a job; a file whose vectors are lost gets one.
    fn check_progress(
        &self,
        vector_store: &VectorStore,
        key: JobKey,
        fix: bool,
        findings: &mut Findings,
    ) -> Result<()> {
        let read = self.store.read()?;
        let Some(seen) = STORE_FILES.get(&*read, &key)? else { return Ok(()) };
        let has_job = JOBS.get(&*read, &key)?.is_some();
        let lost = self.first_lost_vector(&*read, vector_store, &seen)?;
        drop(read);
        let mut file = seen.clone();
        if let Some(lost) = lost {
            let problem = format!("vectors from chunk {lost} on are lost");
            findings.add(key.1, problem, fix);
            file.embedded = lost.0 - file.chunks.start.0;
        }
        let embeds = || has_job || self.embedder_for(vector_store).is_ok();
        let waits = needs_work(&file, needs_work(&file, true) && embeds());
        if waits && !has_job && lost.is_none() {
            findings.add(key.1, "it waits, but not in the queue", fix);
        }
        if !waits && has_job {
            findings.add(key.1, "it is in the queue, but does not wait", fix);
        }
        if !fix || (waits == has_job && lost.is_none()) {
            return Ok(());
        }
        self.set_progress(&seen, &file, waits)
    }

    /// Corrects a row, and gives or takes the job, if the row is as it was `seen`. Else someone
    /// works on it this very moment, and sees to its job.
    fn set_progress(
        &self,
        seen: &VectorStoreFile,
        file: &VectorStoreFile,
        waits: bool,
    ) -> Result<()> {
        let key = (seen.vector_store, seen.file);
        let mut write = self.store.write()?;
        if STORE_FILES.get(&*write, &key)?.as_ref() != Some(seen) {
            return Ok(());
        }
        put_entry(&mut *write, file)?;
        if waits {
            JOBS.put(&mut *write, &key, &Job { queued_at: self.clock.now() })?;
            write.commit()?;
            self.queue.push(key, !is_read(file));
        } else {
            JOBS.delete(&mut *write, &key)?;
            write.commit()?;
            self.unqueue(key);
        }
        Ok(())
    }

    /// The first chunk that counts as embedded, but whose embedding cannot be read.
    fn first_lost_vector(
        &self,
        read: &dyn Read,
        vector_store: &VectorStore,
        file: &VectorStoreFile,
    ) -> Result<Option<ChunkId>> {
        let Some(pinned) = &vector_store.embedder else { return Ok(None) };
        for id in file.chunks.iter().take(usize::try_from(file.embedded).unwrap_or(usize::MAX)) {
            let Some(chunk) = CHUNKS.get(read, &(vector_store.id, id))? else { continue };
            if !matches!(embeddings::get(read, pinned, chunk.chunk.text_hash()), Ok(Some(_))) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// The totals that are kept are what counting gives.
    fn check_totals(&self, id: VectorStoreId, fix: bool, findings: &mut Findings) -> Result<()> {
        let read = self.store.read()?;
        let counted = counted(&*read, id)?;
        let wrong = TOTALS.get(&*read, &id)?.is_some_and(|kept| kept != counted);
        drop(read);
        if wrong {
            findings.add(id, "its totals are not those of its files", fix);
        }
        if wrong && fix {
            let mut write = self.store.write()?;
            let counted = self::counted(&*write, id)?;
            TOTALS.put(&mut *write, &id, &counted)?;
            write.commit()?;
        }
        Ok(())
    }

    /// The log goes on without a gap from where it was trimmed to its end.
    fn check_log(&self, id: VectorStoreId, fix: bool, findings: &mut Findings) -> Result<()> {
        let read = self.store.read()?;
        let ends = log_ends(&*read, id)?;
        let seqs: Vec<Seq> =
            LOG.all(&*read, &within(id))?.into_iter().map(|((_, seq), _)| seq).collect();
        let whole = seqs.iter().map(|seq| seq.0).eq(ends.trimmed.0 + 1..=ends.last.0);
        if !whole {
            // Indexes notice a gap by themselves and are built from the chunks.
            findings.add(id, "the change log has gaps; indexes are rebuilt", fix);
            if fix {
                self.collection(id)?.rebuild(&*self.store)?;
            }
        }
        Ok(())
    }

    /// Every index is undamaged and holds exactly the chunks it should.
    fn check_indexes(&self, id: VectorStoreId, fix: bool, findings: &mut Findings) -> Result<()> {
        let collection = self.collection(id)?;
        collection.catch_up(&*self.store)?;
        for (name, problem) in self.compare_indexes(&collection)? {
            findings.add(format!("{id}/{name}"), problem, fix);
            if fix {
                collection.rebuild(&*self.store)?;
            }
        }
        Ok(())
    }

    fn compare_indexes(&self, collection: &Collection) -> Result<Vec<(&'static str, String)>> {
        let read = self.store.read()?;
        let files = STORE_FILES.all(&*read, &within(collection.id))?;
        let mut chunks: Vec<ChunkId> =
            files.iter().flat_map(|(_, file)| file.chunks.iter()).collect();
        chunks.sort_unstable();
        let mut problems = vec![];
        let keyword = collection.keyword_index();
        problems.extend(compare("keyword", keyword.verify(), &keyword.chunks(), &chunks));
        if let Some(index) = collection.vector_index() {
            let embedded = embedded_ranges(&*read, collection.id)?;
            let embedded: Vec<ChunkId> = embedded.into_iter().flat_map(|r| r.iter()).collect();
            problems.extend(compare("vector", index.verify(), &index.chunks(), &embedded));
        }
        Ok(problems)
    }

    /// Embeddings that no chunk mentions are collected here: a delete leaves them, because the same
    /// text may stand in another file or come back.
    fn check_embeddings(&self, fix: bool, findings: &Findings) -> Result<()> {
        let mut unused = vec![];
        for_each_row(&*self.store.read()?, EMBEDDINGS, |key, _| {
            if !findings.mentioned.contains(key) {
                unused.push(key.to_owned());
            }
            Ok(())
        })?;
        // Kept on purpose, for the same text in another file, until someone tidies up: no fault.
        if fix && !unused.is_empty() {
            tracing::info!(embeddings = unused.len(), "forgetting those that belong to no chunk");
            let mut write = self.store.write()?;
            for key in unused {
                write.delete(EMBEDDINGS, &key)?;
            }
            write.commit()?;
        }
        Ok(())
    }
}

fn compare(
    name: &'static str,
    verified: Result<()>,
    held: &[ChunkId],
    expected: &[ChunkId],
) -> Option<(&'static str, String)> {
    if let Err(error) = verified {
        return Some((name, error.to_string()));
    }
    if held != expected {
        let problem = format!("it holds {} chunks and should hold {}", held.len(), expected.len());
        return Some((name, problem));
    }
    None
}

fn for_each_row(
    read: &dyn Read,
    table: docent_core::TableSpec,
    mut on_row: impl FnMut(&str, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut after: Option<String> = None;
    loop {
        let scan = Scan { after: after.as_deref(), limit: PAGE, ..Scan::default() };
        let rows = read.scan(table, scan)?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        for (key, value) in &rows {
            on_row(key, value)?;
        }
        after = Some(last.clone());
    }
}
