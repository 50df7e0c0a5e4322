//! Typed tables over the store's map of bytes.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{
    AssistantId, BatchId, ChunkId, Direction, Encoding, Error, FileId, Fingerprint, MessageId,
    Read, Result, RunId, Scan, Seq, StepId, TableSpec, TextHash, ThreadId, Timestamp,
    VectorStoreId, Write,
};

/// A table of JSON values of type `V` under keys of type `K`.
pub struct Table<K, V> {
    spec: TableSpec,
    row: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Table<K, V> {
    /// Names a table; costs nothing, so tables are constants.
    pub const fn new(name: &'static str) -> Self {
        Self { spec: TableSpec { name, encoding: Encoding::Json }, row: PhantomData }
    }

    /// The table's name and encoding.
    pub const fn spec(&self) -> TableSpec {
        self.spec
    }
}

impl<K: Key, V: Serialize + DeserializeOwned> Table<K, V> {
    /// The value at `key`, if any.
    pub fn get(&self, read: &(impl Read + ?Sized), key: &K) -> Result<Option<V>> {
        let key = key.to_text();
        read.get(self.spec, &key)?.map(|bytes| self.decode(&key, &bytes)).transpose()
    }

    /// Sets the value at `key`.
    pub fn put(&self, write: &mut (impl Write + ?Sized), key: &K, value: &V) -> Result<()> {
        let bytes = serde_json::to_vec(value).map_err(|source| {
            Error::internal(format!("a row of {} cannot be written", self.spec.name))
                .with_source(source)
        })?;
        write.put(self.spec, &key.to_text(), &bytes)
    }

    /// Removes `key`; says whether it was there.
    pub fn delete(&self, write: &mut (impl Write + ?Sized), key: &K) -> Result<bool> {
        write.delete(self.spec, &key.to_text())
    }

    /// Rows as [`Read::scan`] gives them.
    pub fn scan(&self, read: &(impl Read + ?Sized), scan: Scan<'_>) -> Result<Vec<(K, V)>> {
        let rows = read.scan(self.spec, scan)?;
        rows.into_iter()
            .map(|(key, bytes)| Ok((K::from_text(&key)?, self.decode(&key, &bytes)?)))
            .collect()
    }

    /// Every row whose key begins with `prefix`, smallest key first.
    pub fn all(&self, read: &(impl Read + ?Sized), prefix: &str) -> Result<Vec<(K, V)>> {
        self.scan(read, Scan { prefix, ..Scan::default() })
    }

    /// Shows `each` every row, smallest key first, reading some at a time.
    pub fn each(
        &self,
        read: &(impl Read + ?Sized),
        mut each: impl FnMut(K, V) -> Result<()>,
    ) -> Result<()> {
        const ROWS: usize = 256;
        let mut after: Option<String> = None;
        loop {
            let scan = Scan { after: after.as_deref(), limit: ROWS, ..Scan::default() };
            let rows = self.scan(read, scan)?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after = Some(last.to_text());
            rows.into_iter().try_for_each(|(key, value)| each(key, value))?;
        }
    }

    /// The row with the greatest key that begins with `prefix`.
    pub fn last(&self, read: &(impl Read + ?Sized), prefix: &str) -> Result<Option<(K, V)>> {
        let newest = Scan { prefix, limit: 1, direction: Direction::Backward, after: None };
        Ok(self.scan(read, newest)?.pop())
    }

    fn decode(&self, key: &str, bytes: &[u8]) -> Result<V> {
        serde_json::from_slice(bytes).map_err(|source| {
            Error::corrupt(format!("row {key} of {} cannot be read", self.spec.name))
                .with_source(source)
        })
    }
}

impl<K, V> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({})", self.spec.name)
    }
}

/// A key whose text order is the order rows are wanted in.
///
/// Parts of a composite key are joined by `/`, so a first part and `/` is a prefix to scan by.
pub trait Key: Sized {
    /// The text form.
    fn to_text(&self) -> String;
    /// Reads the text form back.
    fn from_text(text: &str) -> Result<Self>;
}

macro_rules! key_by_display {
    ($($name:ty),*) => {$(
        impl Key for $name {
            fn to_text(&self) -> String {
                self.to_string()
            }
            fn from_text(text: &str) -> Result<Self> {
                text.parse()
            }
        }
    )*};
}

key_by_display!(
    AssistantId,
    ThreadId,
    MessageId,
    RunId,
    StepId,
    FileId,
    VectorStoreId,
    BatchId,
    TextHash,
    Fingerprint
);

impl Key for String {
    fn to_text(&self) -> String {
        self.clone()
    }
    fn from_text(text: &str) -> Result<Self> {
        Ok(text.to_owned())
    }
}

macro_rules! key_by_number {
    ($($name:ident),*) => {$(
        impl Key for $name {
            /// Twenty digits, so that text order is number order.
            fn to_text(&self) -> String {
                format!("{:020}", self.0)
            }
            fn from_text(text: &str) -> Result<Self> {
                let number = text.parse();
                number.map(Self).map_err(|_| Error::corrupt(format!("'{text}' is no number")))
            }
        }
    )*};
}

key_by_number!(Seq, ChunkId);

impl Key for Timestamp {
    /// Twenty digits, so that text order is time order.
    fn to_text(&self) -> String {
        format!("{:020}", self.millis())
    }
    fn from_text(text: &str) -> Result<Self> {
        let millis = text.parse();
        millis.map(Self::from_millis).map_err(|_| Error::corrupt(format!("'{text}' is no time")))
    }
}

impl<A: Key, B: Key> Key for (A, B) {
    fn to_text(&self) -> String {
        format!("{}/{}", self.0.to_text(), self.1.to_text())
    }

    fn from_text(text: &str) -> Result<Self> {
        let (first, rest) = text
            .split_once('/')
            .ok_or_else(|| Error::corrupt(format!("'{text}' is no key of two parts")))?;
        Ok((A::from_text(first)?, B::from_text(rest)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_composite_key_reads_back_and_sorts_by_number() {
        let store: VectorStoreId = "vs_0123456789abcdefghijABCD".parse().unwrap();
        let (nine, ten) = ((store, Seq(9)), (store, Seq(10)));
        assert!(nine.to_text() < ten.to_text());
        assert_eq!(<(VectorStoreId, Seq)>::from_text(&ten.to_text()).unwrap(), ten);
    }
}
