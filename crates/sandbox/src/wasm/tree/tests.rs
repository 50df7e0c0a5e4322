use super::*;

const SMALL: Quota = Quota { bytes: 100, files: 3 };

fn tree() -> (Tree, Node) {
    let mut tree = Tree::new();
    let data = tree.add_folder("mnt/data", Some(SMALL)).unwrap();
    (tree, data)
}

fn make(tree: &mut Tree, base: Node, path: &str) -> Result<Node> {
    let place = tree.place(base, path)?;
    tree.create_file(&place, 1)
}

fn make_folder(tree: &mut Tree, base: Node, path: &str) -> Result<Node> {
    let place = tree.place(base, path)?;
    tree.create_folder(&place, 1)
}

fn remove(tree: &mut Tree, base: Node, path: &str) -> Result<()> {
    let place = tree.place(base, path)?;
    tree.remove_file(&place, 1)
}

fn rename(tree: &mut Tree, base: Node, from: &str, to: &str) -> Result<()> {
    let (from, to) = (tree.place(base, from)?, tree.place(base, to)?);
    tree.rename(&from, &to, 1)
}

#[test]
fn no_path_leads_above_the_folder_it_is_relative_to() {
    let (mut tree, data) = tree();
    make_folder(&mut tree, data, "a").unwrap();
    for out in ["..", "a/../..", "../data", "./../../etc/passwd", "/etc/passwd", "/"] {
        assert_eq!(tree.find(data, out), Err(Errno::NotCapable), "{out}");
    }
    assert_eq!(tree.find(data, "a/.."), Ok(data));
    assert_eq!(tree.find(data, "a/../a/."), tree.find(data, "a"));
    assert_eq!(tree.find(data, ""), Err(Errno::NotFound));
    assert_eq!(tree.find(data, "a\0b"), Err(Errno::Invalid));
    assert_eq!(tree.find(data, &"a/".repeat(3000)), Err(Errno::NameTooLong));
}

#[test]
fn files_are_counted_until_nobody_has_them_open() {
    let (mut tree, data) = tree();
    let held = make(&mut tree, data, "a").unwrap();
    tree.hold(held).unwrap();
    make(&mut tree, data, "b").unwrap();
    make_folder(&mut tree, data, "c").unwrap();
    assert_eq!(make(&mut tree, data, "d"), Err(Errno::NoSpace));
    remove(&mut tree, data, "a").unwrap();
    assert_eq!(make(&mut tree, data, "d"), Err(Errno::NoSpace));
    tree.release(held);
    make(&mut tree, data, "d").unwrap();
}

#[test]
fn bytes_are_counted_and_come_back() {
    let (mut tree, data) = tree();
    let file = make(&mut tree, data, "a").unwrap();
    assert_eq!(tree.write(file, 0, &[1; 90], 2), Ok(90));
    assert_eq!(tree.write(file, 85, &[2; 90], 2), Ok(15));
    assert_eq!(tree.write(file, 100, &[2], 2), Err(Errno::NoSpace));
    assert_eq!(tree.write(file, u64::MAX, &[2], 2), Err(Errno::TooLarge));
    assert_eq!(tree.write(file, 1 << 60, &[2], 2), Err(Errno::NoSpace));
    assert_eq!(tree.set_len(file, 1 << 40, 2), Err(Errno::NoSpace));
    assert_eq!(tree.write(file, 50, &[3; 10], 2), Ok(10));
    let other = make(&mut tree, data, "b").unwrap();
    assert_eq!(tree.write(other, 0, &[1], 2), Err(Errno::NoSpace));
    tree.set_len(file, 10, 2).unwrap();
    assert_eq!(tree.write(other, 80, &[1; 20], 2), Ok(10));
    remove(&mut tree, data, "b").unwrap();
    tree.set_len(file, 100, 2).unwrap();
    let mut buffer = [9; 120];
    assert_eq!(tree.read(file, 5, &mut buffer), Ok(95));
    assert_eq!(buffer[..6], [1, 1, 1, 1, 1, 0]);
    assert_eq!(tree.read(file, u64::MAX, &mut buffer), Ok(0));
}

#[test]
fn what_belongs_to_no_volume_is_read_only() {
    let (mut tree, data) = tree();
    let lib = tree.add_folder("usr/lib", None).unwrap();
    let zip = tree.add_file(lib, "a.zip", Arc::from(*b"PK")).unwrap();
    assert_eq!(tree.write(zip, 0, b"x", 1), Err(Errno::ReadOnly));
    assert_eq!(tree.set_len(zip, 0, 1), Err(Errno::ReadOnly));
    assert_eq!(make(&mut tree, lib, "new"), Err(Errno::ReadOnly));
    assert_eq!(remove(&mut tree, lib, "a.zip"), Err(Errno::ReadOnly));
    assert_eq!(make(&mut tree, Node::ROOT, "etc"), Err(Errno::ReadOnly));
    assert_eq!(make(&mut tree, lib, "a.zip/new"), Err(Errno::NotFolder));
    let root = Node::ROOT;
    assert_eq!(rename(&mut tree, root, "usr/lib/a.zip", "mnt/data/a"), Err(Errno::ReadOnly));
    assert_eq!(rename(&mut tree, root, "mnt/data", "mnt/other"), Err(Errno::ReadOnly));
    assert!(tree.is_folder(data));
}

#[test]
fn a_folder_cannot_be_moved_into_itself() {
    let (mut tree, data) = tree();
    make_folder(&mut tree, data, "a").unwrap();
    make_folder(&mut tree, data, "a/b").unwrap();
    assert_eq!(rename(&mut tree, data, "a", "a/b/c"), Err(Errno::Invalid));
    assert_eq!(rename(&mut tree, data, "a", "a"), Ok(()));
    rename(&mut tree, data, "a/b", "b").unwrap();
    assert_eq!(tree.find(data, "b/../a"), tree.find(data, "a"));
}

#[test]
fn a_rename_replaces_files_and_empty_folders_only() {
    let (mut tree, data) = tree();
    let file = make(&mut tree, data, "file").unwrap();
    tree.write(file, 0, &[1; 100], 1).unwrap();
    make(&mut tree, data, "other").unwrap();
    make_folder(&mut tree, data, "folder").unwrap();
    assert_eq!(rename(&mut tree, data, "file", "folder"), Err(Errno::IsFolder));
    assert_eq!(rename(&mut tree, data, "folder", "file"), Err(Errno::NotFolder));
    rename(&mut tree, data, "other", "file").unwrap();
    assert_eq!(tree.stat(tree.find(data, "file").unwrap()).unwrap().len, 0);
    make(&mut tree, data, "folder/in").unwrap();
    assert_eq!(remove(&mut tree, data, "folder"), Err(Errno::IsFolder));
    let place = tree.place(data, "folder").unwrap();
    assert_eq!(tree.remove_folder(&place, 1), Err(Errno::NotEmpty));
}

#[test]
fn nothing_is_made_in_a_folder_that_was_removed() {
    let (mut tree, data) = tree();
    let gone = make_folder(&mut tree, data, "gone").unwrap();
    tree.hold(gone).unwrap();
    let place = tree.place(data, "gone").unwrap();
    tree.remove_folder(&place, 1).unwrap();
    assert_eq!(make(&mut tree, gone, "file"), Err(Errno::NotFound));
    tree.release(gone);
    assert_eq!(make(&mut tree, gone, "file"), Err(Errno::BadDescriptor));
}

#[test]
fn a_name_has_at_most_255_bytes() {
    let (mut tree, data) = tree();
    assert_eq!(make(&mut tree, data, &"x".repeat(256)), Err(Errno::NameTooLong));
    make(&mut tree, data, &"x".repeat(255)).unwrap();
}
