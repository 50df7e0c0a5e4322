//! A store that has something done between two steps of a thread: what another thread might do.

use std::sync::{Arc, Mutex};

use docent_core::{Read, Result, Row, Scan, Store, TableSpec, Write};

use crate::support::Library;

/// When it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Just before the next write transaction begins.
    BeforeWrite,
    /// Just after the next commit.
    AfterCommit,
    /// Just after the next snapshot was taken.
    AfterRead,
}

type Act = Box<dyn FnOnce() + Send>;

/// A store that has something done, once, at the next such moment.
#[derive(Clone)]
pub(crate) struct Between {
    store: Arc<dyn Store>,
    next: Arc<Mutex<Option<(Moment, Act)>>>,
}

impl Between {
    pub(crate) fn new(library: &Library) -> Self {
        Self { store: Arc::clone(&library.store), next: Arc::default() }
    }

    pub(crate) fn once(&self, moment: Moment, act: impl FnOnce() + Send + 'static) {
        *self.next.lock().unwrap() = Some((moment, Box::new(act)));
    }

    /// Whether it was done.
    pub(crate) fn is_over(&self) -> bool {
        self.next.lock().unwrap().is_none()
    }

    fn reached(&self, moment: Moment) {
        let mut next = self.next.lock().unwrap();
        let act = next.take_if(|(awaited, _)| *awaited == moment);
        // What is done uses this very store.
        drop(next);
        if let Some((_, act)) = act {
            act();
        }
    }
}

impl std::fmt::Debug for Between {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Between")
    }
}

impl Store for Between {
    fn read(&self) -> Result<Box<dyn Read + '_>> {
        let read = self.store.read()?;
        self.reached(Moment::AfterRead);
        Ok(read)
    }

    fn write(&self) -> Result<Box<dyn Write + '_>> {
        self.reached(Moment::BeforeWrite);
        Ok(Box::new(BetweenWrite(self.store.write()?, self)))
    }
}

struct BetweenWrite<'a>(Box<dyn Write + 'a>, &'a Between);

impl Read for BetweenWrite<'_> {
    fn get(&self, table: TableSpec, key: &str) -> Result<Option<Vec<u8>>> {
        self.0.get(table, key)
    }

    fn scan(&self, table: TableSpec, scan: Scan<'_>) -> Result<Vec<Row>> {
        self.0.scan(table, scan)
    }
}

impl Write for BetweenWrite<'_> {
    fn put(&mut self, table: TableSpec, key: &str, value: &[u8]) -> Result<()> {
        self.0.put(table, key, value)
    }

    fn delete(&mut self, table: TableSpec, key: &str) -> Result<bool> {
        self.0.delete(table, key)
    }

    fn commit(self: Box<Self>) -> Result<()> {
        self.0.commit()?;
        self.1.reached(Moment::AfterCommit);
        Ok(())
    }
}
