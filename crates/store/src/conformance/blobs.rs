//! The promises of the [`Blobs`] socket.

use std::io::{self, Read};
use std::sync::Arc;
use std::thread;

use docent_core::{BlobHash, Blobs, ErrorKind, Result};

type Check = fn(Arc<dyn Blobs>) -> Result<()>;

const CHECKS: &[(&str, Check)] = &[
    ("a blob is named by the SHA-256 of its bytes", names_are_hashes),
    ("bytes come back as they were put", bytes_survive),
    ("the same bytes are kept once", kept_once),
    ("what is not kept is not found", absent_is_not_found),
    ("delete says whether the blob was kept", delete_tells),
    ("blobs are listed in order of their name", list_is_ordered),
    ("a source that fails leaves nothing behind", failing_source),
    ("many may put the same bytes at once", concurrent_puts),
];

/// Checks every promise of [`Blobs`]; `open` gives an empty one each time.
///
/// # Panics
/// At the first promise that is not kept, naming it.
pub fn blobs(open: impl Fn() -> Arc<dyn Blobs>) {
    for (promise, check) in CHECKS {
        check(open()).unwrap_or_else(|error| panic!("{promise}: {error:?}"));
    }
}

fn read(blobs: &dyn Blobs, hash: BlobHash) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    blobs.open(hash)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn names_are_hashes(blobs: Arc<dyn Blobs>) -> Result<()> {
    // The examples of FIPS 180-4.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for (mut bytes, name) in [(&b"abc"[..], abc), (b"", empty)] {
        let length = bytes.len() as u64;
        let info = blobs.put(&mut bytes)?;
        assert_eq!(info.hash.to_string(), name);
        assert_eq!(info.bytes, length);
    }
    Ok(())
}

/// A megabyte that does not divide by any buffer's length.
fn large() -> Vec<u8> {
    (0..1_000_003_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Gives a byte at a time, with interruptions, as a slow network would.
struct Trickle<'a>(&'a [u8], bool);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let most = buffer.len().min(1);
        self.0.read(&mut buffer[..most])
    }
}

fn bytes_survive(blobs: Arc<dyn Blobs>) -> Result<()> {
    let info = blobs.put(&mut &large()[..])?;
    assert_eq!(read(&*blobs, info.hash)?, large());
    let info = blobs.put(&mut Trickle(b"trickle", false))?;
    assert_eq!(read(&*blobs, info.hash)?, b"trickle");
    Ok(())
}

fn kept_once(blobs: Arc<dyn Blobs>) -> Result<()> {
    let first = blobs.put(&mut &b"same"[..])?;
    let second = blobs.put(&mut &b"same"[..])?;
    assert_eq!(first, second);
    assert_eq!(blobs.list()?, [first]);
    Ok(())
}

fn absent_is_not_found(blobs: Arc<dyn Blobs>) -> Result<()> {
    let error = blobs.open(BlobHash([7; 32])).err().expect("it was never put");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(blobs.list()?, []);
    Ok(())
}

fn delete_tells(blobs: Arc<dyn Blobs>) -> Result<()> {
    let info = blobs.put(&mut &b"brief"[..])?;
    assert!(blobs.delete(info.hash)?);
    assert!(!blobs.delete(info.hash)?);
    assert_eq!(blobs.open(info.hash).err().map(|error| error.kind()), Some(ErrorKind::NotFound));
    assert_eq!(blobs.list()?, []);
    // What was forgotten can be kept again.
    blobs.put(&mut &b"brief"[..])?;
    assert_eq!(read(&*blobs, info.hash)?, b"brief");
    Ok(())
}

fn list_is_ordered(blobs: Arc<dyn Blobs>) -> Result<()> {
    let mut put = Vec::new();
    for number in 0..20_u32 {
        put.push(blobs.put(&mut &number.to_string().into_bytes()[..])?);
    }
    put.sort_by_key(|info| info.hash);
    assert_eq!(blobs.list()?, put);
    Ok(())
}

fn failing_source(blobs: Arc<dyn Blobs>) -> Result<()> {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the cable was pulled"))
        }
    }
    let mut source = (&b"some bytes first"[..]).chain(Broken);
    let error = blobs.put(&mut source).expect_err("half a file is no blob");
    assert!(format!("{error:#}").contains("cable"), "{error:#}");
    assert_eq!(blobs.list()?, []);
    Ok(())
}

fn concurrent_puts(blobs: Arc<dyn Blobs>) -> Result<()> {
    let bytes = large();
    thread::scope(|scope| -> Result<()> {
        let put = || blobs.put(&mut &bytes[..]);
        let puts: Vec<_> = (0..4).map(|_| scope.spawn(put)).collect();
        puts.into_iter().try_for_each(|put| put.join().expect("no put panics").map(drop))
    })?;
    let kept = blobs.list()?;
    assert_eq!(kept.len(), 1);
    assert_eq!(read(&*blobs, kept[0].hash)?, bytes);
    Ok(())
}
