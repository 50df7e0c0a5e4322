use super::descriptors::RIGHT_TO_WRITE;
use super::*;
use crate::wasm::tree::Quota;

const CREATE: u32 = 1;
const PAGE: usize = 64 << 10;
/// Where the tests put paths, buffer lists, what is written, and answers.
const PATH: u32 = 0;
const LIST: u32 = 8192;
const TEXT: u32 = 16_384;
const OUT: u32 = 32_768;
/// The folder that the guest has open from the start.
const DATA: u32 = 3;

struct Guest {
    memory: Vec<u8>,
    wasi: Wasi,
}

impl Guest {
    fn new() -> Self {
        let mut tree = Tree::new();
        let data = tree.add_folder("data", Some(Quota { bytes: 1000, files: 600 })).unwrap();
        let lib = tree.add_folder("lib", None).unwrap();
        tree.add_file(lib, "zip", (*b"PK").into()).unwrap();
        let folders = [("/data", data), ("/", Node::ROOT)];
        Self { memory: vec![0; PAGE], wasi: Wasi::new(tree, &folders, &[("A", "1")]) }
    }

    fn call(&mut self, act: impl FnOnce(&mut Call<'_>) -> Result) -> Result {
        act(&mut Call { memory: GuestMemory(&mut self.memory), wasi: &mut self.wasi })
    }

    fn with_path(&mut self, path: &str, act: impl FnOnce(&mut Call<'_>, u32) -> Result) -> Result {
        let len = path.len() as u32;
        self.memory[..path.len()].copy_from_slice(path.as_bytes());
        self.call(|call| act(call, len))
    }

    fn open(&mut self, fd: u32, path: &str, how: u32, rights: u64) -> Result<u32> {
        self.with_path(path, |call, len| call.path_open(fd, 0, PATH, len, how, rights, 0, 0, OUT))?;
        Ok(self.out())
    }

    fn create(&mut self, path: &str) -> Result<u32> {
        self.open(DATA, path, CREATE, RIGHT_TO_WRITE)
    }

    fn write(&mut self, fd: u32, text: &[u8]) -> Result<u32> {
        self.memory[TEXT as usize..][..text.len()].copy_from_slice(text);
        self.list(TEXT, text.len() as u32);
        self.call(|call| call.fd_write(fd, LIST, 1, OUT))?;
        Ok(self.out())
    }

    fn list(&mut self, at: u32, len: u32) {
        let list = LIST as usize;
        self.memory[list..list + 4].copy_from_slice(&at.to_le_bytes());
        self.memory[list + 4..list + 8].copy_from_slice(&len.to_le_bytes());
    }

    fn out(&self) -> u32 {
        GuestMemory(&mut self.memory.clone()).read_u32(OUT).unwrap()
    }
}

#[test]
fn a_file_is_written_read_and_listed() {
    let mut guest = Guest::new();
    let file = guest.create("a.txt").unwrap();
    assert_eq!(guest.write(file, b"hello"), Ok(5));
    guest.call(|call| call.fd_seek(file, 1, 0, OUT)).unwrap();
    guest.list(TEXT + 100, 50);
    guest.call(|call| call.fd_read(file, LIST, 1, OUT)).unwrap();
    assert_eq!((guest.out(), &guest.memory[TEXT as usize + 100..][..4]), (4, &b"ello"[..]));
    guest.call(|call| call.fd_readdir(DATA, TEXT, 1000, 2, OUT)).unwrap();
    assert_eq!(guest.out(), 24 + 5);
    assert_eq!(&guest.memory[TEXT as usize + 24..][..5], b"a.txt");
    guest.call(|call| call.fd_readdir(DATA, TEXT, 30, 0, OUT)).unwrap();
    assert_eq!(guest.out(), 30, "a name that is cut short fills the buffer");
}

#[test]
fn no_path_leads_out() {
    let mut guest = Guest::new();
    for path in ["..", "../lib/zip", "a/../../lib", "/etc/passwd", "./..//.."] {
        let found = guest.open(DATA, path, 0, 0);
        assert!(matches!(found, Err(Errno::NotCapable | Errno::NotFound)), "{path}: {found:?}");
    }
    assert_eq!(guest.open(DATA + 1, "..", 0, 0), Err(Errno::NotCapable));
    assert_eq!(guest.open(DATA + 1, "etc/passwd", 0, 0), Err(Errno::NotFound));
    guest.open(DATA + 1, "lib/zip", 0, 0).unwrap();
    assert_eq!(guest.open(DATA + 1, "lib/zip", 0, RIGHT_TO_WRITE), Err(Errno::ReadOnly));
    assert_eq!(guest.open(DATA + 1, "lib/zip", 8, 0), Err(Errno::ReadOnly));
}

#[test]
fn links_and_sockets_are_refused() {
    let mut guest = Guest::new();
    guest.create("a").unwrap();
    let mut refused = |act: fn(&mut Call<'_>) -> Result, errno| {
        assert_eq!(guest.with_path("a", |call, _| act(call)), Err(errno));
    };
    refused(|call| call.path_symlink(PATH, 1, DATA, PATH, 1), Errno::NotPermitted);
    refused(|call| call.path_link(DATA, 0, PATH, 1, DATA, PATH, 1), Errno::NotPermitted);
    refused(|call| call.path_readlink(DATA, PATH, 1, TEXT, 100, OUT), Errno::Invalid);
    refused(|call| call.sock_accept(DATA, 0, OUT), Errno::NotSupported);
    refused(|call| call.sock_send(1, LIST, 1, 0, OUT), Errno::NotSupported);
}

#[test]
fn a_full_disk_takes_what_fits() {
    let mut guest = Guest::new();
    let file = guest.create("a").unwrap();
    assert_eq!(guest.write(file, &[1; 990]), Ok(990));
    assert_eq!(guest.write(file, &[1; 990]), Ok(10));
    assert_eq!(guest.write(file, &[1]), Err(Errno::NoSpace));
    assert_eq!(guest.call(|call| call.fd_filestat_set_size(file, 1 << 50)), Err(Errno::NoSpace));
    guest.call(|call| call.fd_seek(file, i64::MAX, 1, OUT)).unwrap();
    assert!(guest.write(file, &[1]).is_err());
}

#[test]
fn what_is_open_is_bounded_and_numbers_are_used_again() {
    let mut guest = Guest::new();
    let mut opened = Vec::new();
    let refused = loop {
        match guest.create(&opened.len().to_string()) {
            Ok(fd) => opened.push(fd),
            Err(errno) => break errno,
        }
    };
    assert_eq!(refused, Errno::TooManyOpen);
    assert_eq!(opened.len(), OPEN_FILES - 5);
    guest.call(|call| call.fd_close(opened[7])).unwrap();
    assert_eq!(guest.create("again"), Ok(opened[7]));
    assert_eq!(guest.call(|call| call.fd_close(u32::MAX)), Err(Errno::BadDescriptor));
}

#[test]
fn the_streams_and_folders_of_the_start_stay_open() {
    let mut guest = Guest::new();
    for fd in 0..=DATA {
        guest.call(|call| call.fd_close(fd)).unwrap();
    }
    guest.create("a").unwrap();
    assert_eq!(guest.write(1, b"printed"), Ok(7));
    guest.list(TEXT, 10);
    guest.call(|call| call.fd_read(0, LIST, 1, OUT)).unwrap();
    assert_eq!(guest.out(), 0, "standard input is at its end");
}

#[test]
fn a_file_that_is_opened_to_read_is_not_written() {
    let mut guest = Guest::new();
    guest.create("a").unwrap();
    let file = guest.open(DATA, "a", 0, 0).unwrap();
    assert_eq!(guest.write(file, b"x"), Err(Errno::BadDescriptor));
    assert_eq!(guest.call(|call| call.fd_filestat_set_size(file, 0)), Err(Errno::BadDescriptor));
}

/// Each call, with pointers that lead out of memory, or lengths that do, or sums that overflow.
#[test]
fn a_bad_pointer_is_the_guests_fault() {
    let mut guest = Guest::new();
    let file = guest.create("a").unwrap();
    guest.write(file, b"some text").unwrap();
    let page = PAGE as u32;
    for bad in [page, page - 1, u32::MAX, u32::MAX - 3, 1 << 31] {
        let mut fault = |act: &mut dyn FnMut(&mut Call<'_>) -> Result| {
            assert_eq!(guest.call(|call| act(call)), Err(Errno::Fault), "{bad}");
        };
        fault(&mut |call| call.args_get(bad, TEXT));
        fault(&mut |call| call.args_get(OUT, bad));
        fault(&mut |call| call.args_sizes_get(OUT, bad));
        fault(&mut |call| call.environ_get(bad, bad));
        fault(&mut |call| call.environ_sizes_get(bad, OUT));
        fault(&mut |call| call.clock_time_get(0, 0, bad));
        fault(&mut |call| call.random_get(bad, 16));
        fault(&mut |call| call.random_get(16, page));
        fault(&mut |call| call.fd_fdstat_get(1, bad));
        fault(&mut |call| call.fd_filestat_get(DATA, bad));
        fault(&mut |call| call.fd_prestat_get(DATA, bad));
        fault(&mut |call| call.fd_prestat_dir_name(DATA, bad, 100));
        fault(&mut |call| call.fd_read(file, bad, 1, OUT));
        fault(&mut |call| call.fd_write(1, bad, 1, OUT));
        fault(&mut |call| call.fd_pwrite(file, bad, 2, 0, OUT));
        fault(&mut |call| call.fd_readdir(DATA, bad, 100, 0, OUT));
        fault(&mut |call| call.fd_readdir(DATA, 0, page + 1, 0, OUT));
        fault(&mut |call| call.fd_seek(file, 0, 0, bad));
        fault(&mut |call| call.path_open(DATA, 0, bad, 5, 0, 0, 0, 0, OUT));
        fault(&mut |call| call.path_filestat_get(DATA, 0, bad, 2, OUT));
        fault(&mut |call| call.path_create_directory(DATA, 16, page));
        fault(&mut |call| call.path_rename(DATA, PATH, 1, DATA, bad, 9));
        fault(&mut |call| call.path_unlink_file(DATA, bad, u32::MAX));
    }
}

#[test]
fn a_buffer_that_leads_out_of_memory_is_a_fault() {
    let mut guest = Guest::new();
    let file = guest.create("a").unwrap();
    for (at, len) in [(PAGE as u32 - 1, 2), (u32::MAX, 1), (0, u32::MAX)] {
        guest.list(at, len);
        assert_eq!(guest.call(|call| call.fd_write(file, LIST, 1, OUT)), Err(Errno::Fault));
        assert_eq!(guest.call(|call| call.fd_write(1, LIST, 1, OUT)), Err(Errno::Fault));
        assert_eq!(guest.call(|call| call.fd_read(file, LIST, 1, OUT)), Err(Errno::Fault));
    }
    let too_many = guest.call(|call| call.fd_write(file, LIST, u32::MAX, OUT));
    assert_eq!(too_many, Err(Errno::Invalid));
}

#[test]
fn what_is_no_text_is_no_path() {
    let mut guest = Guest::new();
    guest.memory[..2].copy_from_slice(b"\xff\xfe");
    let made = guest.call(|call| call.path_create_directory(DATA, PATH, 2));
    assert_eq!(made, Err(Errno::IllegalBytes));
}

#[test]
fn clocks_that_are_not_there_are_invalid() {
    let mut guest = Guest::new();
    for clock in 0..=3 {
        guest.call(|call| call.clock_time_get(clock, 0, OUT)).unwrap();
    }
    assert_eq!(guest.call(|call| call.clock_time_get(4, 0, OUT)), Err(Errno::Invalid));
}
