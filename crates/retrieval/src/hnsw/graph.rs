//! The graph itself: hnsw_rs over row numbers, saved with checksums of its files.

use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use docent_core::{Error, Result};
use hnsw_rs::prelude::{AnnT, Distance, Hnsw, HnswIo};
use serde::{Deserialize, Serialize};

use super::HnswOptions;
use crate::exact::{BLOCK_ROWS, Sealed};

/// hnsw_rs allows and wants 16.
const LAYERS: usize = 16;

const VERSION: u32 = 1;
const BASE: &str = "graph";

pub(super) struct Graph {
    hnsw: Hnsw<'static, i8, Codes>,
    sealed: Sealed,
    head: Head,
}

/// What a saved graph belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    version: u32,
    generation: u64,
    rows: usize,
    edges: usize,
    build_width: usize,
    /// Checksums of the two files hnsw_rs writes.
    graph_crc: u32,
    points_crc: u32,
}

/// How many of `rows` a graph covers: a block times the greatest power of 1.5. The rows behind
/// it are a third at most, and a row is built into a graph three times over the life of a store.
pub(super) fn coverage(rows: usize, from_rows: usize) -> usize {
    if rows < from_rows.max(BLOCK_ROWS) {
        return 0;
    }
    let mut blocks = 1usize;
    while (blocks * 3).div_ceil(2) * BLOCK_ROWS <= rows {
        blocks = (blocks * 3).div_ceil(2);
    }
    blocks * BLOCK_ROWS
}

impl Graph {
    /// Builds a graph over the first `rows` rows, one after another: in parallel it would come out
    /// otherwise each time.
    pub(super) fn build(sealed: &Sealed, rows: usize, options: HnswOptions) -> Result<Self> {
        let head = Head {
            version: VERSION,
            generation: sealed.generation(),
            rows,
            edges: options.edges,
            build_width: options.build_width,
            graph_crc: 0,
            points_crc: 0,
        };
        let _span = tracing::info_span!("index.graph", rows).entered();
        let build = || {
            let codes = Codes(sealed.clone());
            let hnsw = Hnsw::new(options.edges, rows, LAYERS, options.build_width, codes);
            for row in 0..rows {
                hnsw.insert((&Sealed::point(row), row));
            }
            hnsw
        };
        let hnsw = catch_unwind(AssertUnwindSafe(build))
            .map_err(|_| Error::internal("hnsw_rs failed while it built a graph"))?;
        Ok(Self { hnsw, sealed: sealed.clone(), head })
    }

    /// The saved graph of these rows; `None` when there is none, or one of other rows.
    pub(super) fn load(path: &Path, sealed: &Sealed, options: HnswOptions) -> Result<Option<Self>> {
        let head_path = path.join(format!("{BASE}.json"));
        if !head_path.exists() {
            return Ok(None);
        }
        let head: Head = serde_json::from_slice(&fs_err::read(&head_path)?).map_err(|source| {
            Error::corrupt(format!("{} is damaged", head_path.display())).with_source(source)
        })?;
        let expected = Head {
            version: VERSION,
            generation: sealed.generation(),
            rows: coverage(sealed.rows(), options.from_rows),
            edges: options.edges,
            build_width: options.build_width,
            ..head.clone()
        };
        if head != expected {
            return Ok(None);
        }
        // hnsw_rs ends the process on a file that is too short and trusts every number in it.
        let sums = [checksum(path, "graph")?, checksum(path, "data")?];
        if sums != [head.graph_crc, head.points_crc] {
            return Err(Error::corrupt(format!("the graph in {} is damaged", path.display())));
        }
        let hnsw = read_back(path, sealed)?;
        if hnsw.get_nb_point() != head.rows {
            return Err(Error::corrupt(format!("the graph in {} is not whole", path.display())));
        }
        Ok(Some(Self { hnsw, sealed: sealed.clone(), head }))
    }

    /// Writes the graph, then its head with the checksums: without it, nothing is read.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let head_path = path.join(format!("{BASE}.json"));
        if head_path.exists() {
            fs_err::remove_file(&head_path)?;
        }
        self.hnsw.file_dump(path, BASE).map_err(|source| {
            Error::unavailable(format!("the graph cannot be written to {}", path.display()))
                .with_source(std::io::Error::other(source.to_string()))
        })?;
        let graph_crc = checksum(path, "graph")?;
        let points_crc = checksum(path, "data")?;
        let head = Head { graph_crc, points_crc, ..self.head.clone() };
        let json = serde_json::to_vec(&head).map_err(|source| {
            Error::internal("the graph's head cannot be written").with_source(source)
        })?;
        let mut file = fs_err::File::create(&head_path)?;
        file.write_all(&json)?;
        file.sync_all()?;
        Ok(())
    }

    pub(super) fn rows(&self) -> usize {
        self.head.rows
    }

    pub(super) fn generation(&self) -> u64 {
        self.head.generation
    }

    /// About the `wanted` rows nearest to `vector`.
    pub(super) fn search(&self, vector: &[f32], wanted: usize, width: usize) -> Vec<usize> {
        let query = self.sealed.query(vector);
        let found = self.hnsw.search(&query, wanted, width.max(wanted));
        found.into_iter().map(|neighbour| neighbour.d_id).collect()
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Graph({:?})", self.head)
    }
}

fn read_back(path: &Path, sealed: &Sealed) -> Result<Hnsw<'static, i8, Codes>> {
    let codes = Codes(sealed.clone());
    let read = || {
        // The graph borrows from its reader although, without mapped files, nothing points there.
        // The reader is a path and a few numbers: leaking one an opening is cheaper than unsafe.
        let reader: &'static HnswIo = Box::leak(Box::new(HnswIo::new(path, BASE)));
        reader.load_hnsw_with_dist::<i8, Codes>(codes)
    };
    let damaged = || Error::corrupt(format!("the graph in {} cannot be read", path.display()));
    catch_unwind(AssertUnwindSafe(read)).map_err(|_| damaged())?.map_err(|_| damaged())
}

fn checksum(path: &Path, kind: &str) -> Result<u32> {
    let mut file: File = fs_err::File::open(path.join(format!("{BASE}.hnsw.{kind}")))?.into_file();
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    file.sync_all()?;
    Ok(hasher.finalize())
}

/// Distances between rows by their bytes. A point is a row's number; a query, which is longer, is
/// its own bytes.
#[derive(Clone)]
struct Codes(Sealed);

impl Distance<i8> for Codes {
    fn eval(&self, a: &[i8], b: &[i8]) -> f32 {
        // 1 - cosine, which rounding may push a hair below zero; hnsw_rs insists on zero or more.
        (1.0 - self.0.cosine(a, b)).max(0.0)
    }
}
