//! Files that go in, are made, and come out.

use std::io;

use docent_core::{ErrorKind, Result, Sandbox, SandboxLimits, Session};

use super::{
    Check, Checked, Kept, Needs, check, fails, gives, limits, open, path, put, raises, same, that,
    value,
};

pub(super) const CHECKS: &[Check] = &[
    check("what is put is read by programs", what_is_put_is_read),
    check("a file is put in place of an older one", a_file_is_replaced),
    check("names may have all scripts and spaces", names_have_all_scripts),
    check("files lie in folders and are listed in order", files_lie_in_folders),
    check("large files go in and out whole", large_files_go_in_and_out),
    check("a session has room for what it may hold and no more", room_is_bounded),
    check("a session holds a bounded number of files", the_number_of_files_is_bounded),
    check("a file that breaks off is an error", a_file_that_breaks_off),
    check("what is not there is not found", what_is_not_there_is_not_found),
    check("what is a link or a fifo is not found", what_is_no_file_is_not_found)
        .needing(Needs::Links),
    check("a file longer than asked for is invalid", a_longer_file_is_invalid),
    check("a file has no place where a folder is", a_file_has_no_place_in_a_folders),
    check("a thousand files are listed at most", a_thousand_files_are_listed),
];

fn read(session: &mut dyn Session, name: &str) -> Result<Vec<u8>> {
    session.read(&path(name), 64 << 20)
}

fn names(session: &mut dyn Session) -> Result<Vec<String>> {
    Ok(session.files()?.into_iter().map(|file| file.path.as_str().to_owned()).collect())
}

fn what_is_put_is_read(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    same("a new session's files", &session.files()?, &vec![])?;
    let csv = b"city,sales\nLyon,3\n";
    same("the length", &put(&mut *session, "file-abc123", csv)?, &(csv.len() as u64))?;
    gives(&mut *session, "open('/mnt/data/file-abc123').read()", r"'city,sales\nLyon,3\n'")?;
    value(&mut *session, "open('/mnt/data/out.bin', 'wb').write(bytes(range(256))); None")?;
    let all: Vec<u8> = (0..=255).collect();
    same("what was written", &read(&mut *session, "out.bin")?, &all)?;
    let listed = session.files()?;
    same("how many files", &listed.len(), &2)?;
    same("the length listed", &listed[1].bytes, &256)?;
    same("an empty file's length", &put(&mut *session, "empty", b"")?, &0)?;
    same("an empty file", &read(&mut *session, "empty")?, &vec![])
}

fn a_file_is_replaced(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    for content in ["long and old", "new", ""] {
        put(&mut *session, "a.txt", content.as_bytes())?;
        gives(&mut *session, "open('/mnt/data/a.txt').read()", &format!("'{content}'"))?;
        same("the content", &read(&mut *session, "a.txt")?, &content.as_bytes().to_vec())?;
    }
    // A program may change what was put, and what it made may be replaced.
    value(&mut *session, "open('/mnt/data/a.txt', 'a').write('more'); None")?;
    same("the content", &read(&mut *session, "a.txt")?, &b"more".to_vec())?;
    value(&mut *session, "open('/mnt/data/b.txt', 'w').write('program'); None")?;
    put(&mut *session, "b.txt", b"host")?;
    gives(&mut *session, "open('/mnt/data/b.txt').read()", "'host'")
}

fn names_have_all_scripts(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    let names = ["销售 数据.csv", "año's \"best\".txt", "-rf", ".hidden", "مبيعات", "a\\b", "📊"];
    for name in names {
        put(&mut *session, name, name.as_bytes())?;
        let program = format!("open('/mnt/data/' + {name:?}, encoding='utf-8').read() == {name:?}");
        gives(&mut *session, &program, "True")?;
        same(name, &read(&mut *session, name)?, &name.as_bytes().to_vec())?;
    }
    let longest = "x".repeat(255);
    put(&mut *session, &longest, b"1")?;
    same("how many files", &session.files()?.len(), &(names.len() + 1))
}

fn files_lie_in_folders(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    put(&mut *session, "in/2026/january.csv", b"1")?;
    gives(&mut *session, "open('/mnt/data/in/2026/january.csv').read()", "'1'")?;
    let program = "\
import os
os.makedirs('/mnt/data/out/图/deep')
for name in ['out/图/deep/b', 'out/a', 'out-a', 'z', 'B', 'a']:
    open('/mnt/data/' + name, 'w').close()
os.mkdir('/mnt/data/empty')";
    value(&mut *session, program)?;
    let expected = ["B", "a", "in/2026/january.csv", "out-a", "out/a", "out/图/deep/b", "z"];
    same("the files", &names(&mut *session)?, &expected.map(str::to_owned).to_vec())?;
    put(&mut *session, "out/图/deep/b", b"22")?;
    same("in a program's folder", &read(&mut *session, "out/图/deep/b")?, &b"22".to_vec())
}

fn large_files_go_in_and_out(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    let large: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    same("the length", &put(&mut *session, "large", &large)?, &(large.len() as u64))?;
    let sum: u64 = large.iter().map(|&byte| u64::from(byte)).sum();
    gives(&mut *session, "sum(open('/mnt/data/large', 'rb').read())", &sum.to_string())?;
    that(read(&mut *session, "large")? == large, || "it is not what was put".to_owned())
}

fn room_is_bounded(sandbox: &dyn Sandbox) -> Checked {
    let mut session = sandbox.open(&SandboxLimits { data_bytes: 2 << 20, ..limits() })?;
    let large = vec![7; 4 << 20];
    fails("a file that is too large", put(&mut *session, "big", &large), ErrorKind::Unavailable)?;
    // Neither what did not fit nor its beginning takes up the room.
    put(&mut *session, "small", &large[..1 << 20])?;
    let program = "open('/mnt/data/made', 'wb').write(bytes(8 << 20))";
    raises(&mut *session, program, "Error")?;
    value(&mut *session, "import os\nos.remove('/mnt/data/made')")?;
    value(&mut *session, "open('/mnt/data/made', 'wb').write(bytes(500_000)); None")?;
    // /tmp has room of its own.
    value(&mut *session, "open('/tmp/made', 'wb').write(bytes(700_000)); None")?;
    raises(&mut *session, "open('/tmp/made', 'wb').write(bytes(3 << 20))", "Error")?;
    same("the first file", &read(&mut *session, "small")?.len(), &(1 << 20))
}

fn the_number_of_files_is_bounded(sandbox: &dyn Sandbox) -> Checked {
    let mut session = sandbox.open(&SandboxLimits { files: 100, ..limits() })?;
    let program = "\
for folder in ['/mnt/data', '/tmp']:
    for n in range(300):
        try:
            open(f'{folder}/{n}', 'w').close()
        except OSError:
            break
    else:
        raise Exception('300 files fit into ' + folder)";
    value(&mut *session, program)?;
    fails("one more", put(&mut *session, "more", b"1"), ErrorKind::Unavailable)?;
    value(&mut *session, "import os\nos.remove('/mnt/data/0')\nos.remove('/mnt/data/1')")?;
    put(&mut *session, "more", b"1")?;
    gives(&mut *session, "open('/mnt/data/more').read()", "'1'")
}

/// Gives ten bytes and then fails.
struct BreaksOff(bool);

impl io::Read for BreaksOff {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if std::mem::replace(&mut self.0, true) {
            return Err(io::Error::other("the line is cut"));
        }
        into[..10].fill(b'x');
        Ok(10)
    }
}

fn a_file_that_breaks_off(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    let half = session.put(&path("half"), &mut BreaksOff(false));
    that(half.is_err(), || format!("it gave {half:?}"))?;
    put(&mut *session, "half", b"whole")?;
    same("the next", &read(&mut *session, "half")?, &b"whole".to_vec())
}

fn what_is_not_there_is_not_found(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    put(&mut *session, "folder/a", b"1")?;
    for name in ["nothing", "folder", "folder/b", "nowhere/b", "folder/a/b"] {
        fails(name, read(&mut *session, name), ErrorKind::NotFound)?;
    }
    gives(&mut *session, "1", "1")
}

fn what_is_no_file_is_not_found(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    let program = "\
import os
os.symlink('/etc/passwd', '/mnt/data/link')
os.symlink('real', '/mnt/data/near')
os.symlink('/', '/mnt/data/root')
open('/mnt/data/real', 'w').close()
try:
    os.mkfifo('/mnt/data/fifo')
except (OSError, AttributeError):
    pass  # a sandbox may refuse it";
    value(&mut *session, program)?;
    for name in ["link", "near", "root/etc/passwd", "fifo"] {
        fails(name, read(&mut *session, name), ErrorKind::NotFound)?;
    }
    same("the files", &names(&mut *session)?, &vec!["real".to_owned()])?;
    put(&mut *session, "near", b"a file now")?;
    same("what was put", &read(&mut *session, "near")?, &b"a file now".to_vec())?;
    same("what it pointed to", &read(&mut *session, "real")?, &vec![])
}

fn a_longer_file_is_invalid(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    put(&mut *session, "a", b"12345")?;
    same("all of it", &session.read(&path("a"), 5)?, &b"12345".to_vec())?;
    fails("more than asked for", session.read(&path("a"), 4), ErrorKind::Invalid)?;
    fails("more than nothing", session.read(&path("a"), 0), ErrorKind::Invalid)
}

fn a_file_has_no_place_in_a_folders(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    put(&mut *session, "folder/a", b"1")?;
    for name in ["folder", "folder/a/b"] {
        let outcome = put(&mut *session, name, b"2");
        that(outcome.is_err(), || format!("{name} gave {outcome:?}"))?;
    }
    same("the file there", &read(&mut *session, "folder/a")?, &b"1".to_vec())?;
    gives(&mut *session, "1", "1")
}

fn a_thousand_files_are_listed(sandbox: &dyn Sandbox) -> Checked {
    let mut session = open(sandbox)?;
    value(&mut *session, "for n in range(1200):\n    open(f'/mnt/data/{n}', 'w').close()")?;
    let listed = names(&mut *session)?;
    same("how many are listed", &listed.len(), &1000)?;
    that(listed.is_sorted(), || "they are not in order".to_owned())?;
    Ok(Kept::Yes)
}
