//! Files that go in and come out, while no program runs.

use std::io::{self, Read};

use docent_core::{Error, Result, SANDBOX_DATA, SandboxFile, SandboxPath};

use super::errno::Errno;
use super::tree::{Node, Tree};
use super::wasi::now;

const LISTED: usize = 1000;
/// As many names as a [`SandboxPath`] may have.
const DEPTH: usize = 8;

/// Puts a file under `data`, in place of one of that name. If it does not fit, what was there
/// stays.
pub(super) fn put(
    tree: &mut Tree,
    data: Node,
    path: &SandboxPath,
    bytes: &mut dyn io::Read,
) -> Result<u64> {
    let old = tree.find(data, path.as_str()).ok().and_then(|it| tree.stat(it).ok());
    let room = tree.room(data) + old.map_or(0, |it| it.len);
    let mut content = Vec::new();
    bytes.take(room.saturating_add(1)).read_to_end(&mut content)?;
    let len = content.len() as u64;
    if len > room {
        return Err(no_room(path));
    }
    let node = make(tree, data, path).map_err(|errno| refused(path, errno))?;
    let written = tree.set_len(node, 0, now()).and_then(|()| tree.write(node, 0, &content, now()));
    written.map_err(|errno| refused(path, errno))?;
    Ok(len)
}

/// The file of that path, made with its folders if need be.
fn make(tree: &mut Tree, data: Node, path: &SandboxPath) -> Result<Node, Errno> {
    let path = path.as_str();
    for (end, _) in path.match_indices('/') {
        let place = tree.place(data, &path[..end])?;
        match tree.create_folder(&place, now()) {
            Err(Errno::Exists) => {}
            made => drop(made?),
        }
    }
    let place = tree.place(data, path)?;
    match tree.create_file(&place, now()) {
        Err(Errno::Exists) => {
            let node = tree.find(data, path)?;
            if tree.is_folder(node) { Err(Errno::IsFolder) } else { Ok(node) }
        }
        made => made,
    }
}

fn no_room(path: &SandboxPath) -> Error {
    Error::unavailable(format!("there is no room for {path} in {SANDBOX_DATA}"))
}

fn refused(path: &SandboxPath, errno: Errno) -> Error {
    match errno {
        Errno::NoSpace => no_room(path),
        Errno::IsFolder => Error::invalid(format!("{path} is a folder")),
        Errno::NotFolder => Error::invalid(format!("{path} lies in what is no folder")),
        other => Error::internal(format!("{path} cannot be written: {other:?}")),
    }
}

/// The bytes of a file under `data`.
pub(super) fn read(tree: &Tree, data: Node, path: &SandboxPath, max_bytes: u64) -> Result<Vec<u8>> {
    let found = tree.find(data, path.as_str()).and_then(|node| tree.bytes(node));
    let bytes = found.map_err(|_| Error::not_found(format!("there is no file {path}")))?;
    let len = bytes.len() as u64;
    if len > max_bytes {
        return Err(Error::invalid(format!("{path} has {len} bytes, more than {max_bytes}")));
    }
    Ok(bytes.to_vec())
}

/// The files under `data`, in order of their paths. What lies deeper than a path can say, or has
/// a name that no path may have, is left out.
pub(super) fn list(tree: &Tree, data: Node) -> Vec<SandboxFile> {
    let mut files = Vec::new();
    let mut folders = vec![(String::new(), data, 1)];
    while let Some((prefix, folder, depth)) = folders.pop() {
        for (name, node) in tree.entries_of(folder).into_iter().flatten() {
            let path = format!("{prefix}{name}");
            if !tree.is_folder(*node) {
                let bytes = tree.bytes(*node).map_or(0, |it| it.len() as u64);
                files.extend(path.parse().ok().map(|path| SandboxFile { path, bytes }));
            } else if depth < DEPTH {
                folders.push((path + "/", *node, depth + 1));
            }
        }
    }
    files.sort_by(|a: &SandboxFile, b| a.path.cmp(&b.path));
    files.truncate(LISTED);
    files
}

#[cfg(test)]
mod tests {
    use docent_core::ErrorKind;

    use super::*;
    use crate::wasm::tree::Quota;

    fn tree() -> (Tree, Node) {
        let mut tree = Tree::new();
        let data = tree.add_folder("mnt/data", Some(Quota { bytes: 10, files: 20 })).unwrap();
        (tree, data)
    }

    fn put(tree: &mut Tree, data: Node, path: &str, mut bytes: &[u8]) -> Result<u64> {
        super::put(tree, data, &path.parse().unwrap(), &mut bytes)
    }

    fn get(tree: &Tree, data: Node, path: &str) -> Result<Vec<u8>> {
        read(tree, data, &path.parse().unwrap(), 10)
    }

    #[test]
    fn what_does_not_fit_leaves_what_was_there() {
        let (mut tree, data) = tree();
        put(&mut tree, data, "a", b"12345678").unwrap();
        let error = put(&mut tree, data, "a", b"12345678901").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(put(&mut tree, data, "b", b"123").unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(get(&tree, data, "a").unwrap(), b"12345678");
        // Its own room is free for what takes its place.
        put(&mut tree, data, "a", b"1234567890").unwrap();
    }

    #[test]
    fn files_are_in_order_and_none_is_deeper_than_a_path() {
        let (mut tree, data) = tree();
        for path in ["b/c", "b-a", "a", "1/2/3/4/5/6/7/8"] {
            put(&mut tree, data, path, b"").unwrap();
        }
        let deep = tree.find(data, "1/2/3/4/5/6/7").unwrap();
        let place = tree.place(deep, "folder").unwrap();
        let folder = tree.create_folder(&place, 0).unwrap();
        let place = tree.place(folder, "too-deep").unwrap();
        tree.create_file(&place, 0).unwrap();
        let paths: Vec<String> = list(&tree, data).iter().map(|it| it.path.to_string()).collect();
        assert_eq!(paths, ["1/2/3/4/5/6/7/8", "a", "b-a", "b/c"]);
    }

    #[test]
    fn a_folder_is_no_file() {
        let (mut tree, data) = tree();
        put(&mut tree, data, "b/c", b"1").unwrap();
        for path in ["b", "b/c/d"] {
            put(&mut tree, data, path, b"2").unwrap_err();
            assert_eq!(get(&tree, data, path).unwrap_err().kind(), ErrorKind::NotFound);
        }
        let longer = read(&tree, data, &"b/c".parse().unwrap(), 0).unwrap_err();
        assert_eq!(longer.kind(), ErrorKind::Invalid);
    }
}
