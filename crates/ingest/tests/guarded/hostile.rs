//! Files made to hurt: loops, bombs, depth, and damage.

use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::handmade::{Pdf, file};

/// Every hostile file, with what is wrong with it.
pub(crate) fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("a page tree that contains itself", page_tree("/Kids [2 0 R 2 0 R]")),
        ("a page tree 50,000 deep", deep_page_tree()),
        ("300,000 pages", page_tree(&format!("/Kids [{}]", "3 0 R ".repeat(300_000)))),
        ("a form that draws itself", form_loop()),
        ("forms that draw each other a billion times", form_bomb()),
        ("a million nested arrays in content", page(&format!("{} BT ET", "[".repeat(1 << 20)))),
        ("100,000 nested dictionaries as an object", nested_object()),
        ("a content stream of half a gigabyte", bomb("", 1 << 29)),
        ("an object stream of half a gigabyte", bomb("/Type /ObjStm /N 1000000 /First 10", 1 << 29)),
        ("a page of two million glyphs", page(&format!("BT /F 9 Tf ({}) Tj ET", "a".repeat(2 << 20)))),
        ("a million saved states", page(&"q ".repeat(1 << 20))),
        ("a cross-reference table that points to itself", xref_loop()),
        ("no end", truncated(&Pdf::of_pages(&["BT /F 9 Tf (x) Tj ET"; 40]).bytes())),
        ("a header and nothing else", b"%PDF-1.7\n".to_vec()),
        ("a header and noise", noise()),
        ("glyphs at the ends of the world", page("BT /F 1e30 Tf 1e38 0 0 1e38 -1e38 1e38 Tm (far) Tj ET BT /F 9 Tf 0 0 0 0 0 0 Tm (flat) Tj ET")),
        ("40 megabytes of one letter", vec![b'a'; 40 << 20]),
        ("a megabyte of one letter", vec![b'a'; 1 << 20]),
        ("a megabyte of spaces in a sentence", format!("a{}b", " ".repeat(1 << 20)).into_bytes()),
        ("control characters", (1..32).cycle().take(4096).map(|c: u8| c).collect()),
        ("invalid UTF-8", b"Sound words and a broken \xe2\x82 sign. \xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xe2\x82\xac.".to_vec()),
        ("a million open elements", format!("<html>{}", "<b><div>".repeat(1 << 17)).into_bytes()),
        ("a million quote marks", format!("# x\n{}", "> ".repeat(1 << 19)).into_bytes()),
    ]
}

/// A sound file that takes far longer than a blink to read.
pub(crate) fn slow() -> Vec<u8> {
    let line = "BT /F 12 Tf 72 700 Td (Many words that are shown again) Tj ET\n".repeat(2000);
    Pdf::of_pages(&vec![line.as_str(); 60]).bytes()
}

fn page(content: &str) -> Vec<u8> {
    Pdf::of_pages(&[content]).bytes()
}

fn objects(objects: &[&str]) -> Vec<u8> {
    file(&objects.iter().map(|object| object.as_bytes().to_vec()).collect::<Vec<_>>())
}

const CATALOG: &str = "<< /Type /Catalog /Pages 2 0 R >>";
const PAGE: &str = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R /Resources << /XObject << /X 5 0 R >> >> >>";

fn page_tree(kids: &str) -> Vec<u8> {
    let content = "<< /Length 0 >>\nstream\n\nendstream";
    objects(&[CATALOG, &format!("<< /Type /Pages /Count 9 {kids} >>"), PAGE, content])
}

fn deep_page_tree() -> Vec<u8> {
    let node =
        |at: usize| format!("<< /Type /Pages /Count 1 /Kids [{} 0 R] >>", at + 3).into_bytes();
    let mut all = vec![CATALOG.as_bytes().to_vec()];
    all.extend((0..50_000).map(node));
    file(&all)
}

fn form(content: &str, forms: &str) -> String {
    format!(
        "<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << {forms} >> >> \
         /Length {} >>\nstream\n{content}\nendstream",
        content.len()
    )
}

fn form_loop() -> Vec<u8> {
    let content = "<< /Length 5 >>\nstream\n/X Do\nendstream";
    let pages = "<< /Type /Pages /Count 1 /Kids [3 0 R] >>";
    objects(&[CATALOG, pages, PAGE, content, &form("/X Do /X Do", "/X 5 0 R")])
}

/// Thirty forms, each drawing the next one twice.
fn form_bomb() -> Vec<u8> {
    let content = "<< /Length 5 >>\nstream\n/X Do\nendstream".to_owned();
    let pages = "<< /Type /Pages /Count 1 /Kids [3 0 R] >>".to_owned();
    let mut all = vec![CATALOG.to_owned(), pages, PAGE.to_owned(), content];
    all.extend((0..30).map(|at| form("/X Do /X Do", &format!("/X {} 0 R", at + 6))));
    all.push(form("BT (x) Tj ET", ""));
    objects(&all.iter().map(String::as_str).collect::<Vec<_>>())
}

fn nested_object() -> Vec<u8> {
    let nested = format!("{}{}", "<< /A ".repeat(100_000), ">>".repeat(100_000));
    objects(&[CATALOG, "<< /Type /Pages /Count 1 /Kids [3 0 R] >>", PAGE, &nested])
}

/// A stream of `bytes` spaces, deflated twice.
fn bomb(entries: &str, bytes: usize) -> Vec<u8> {
    let mut inner = ZlibEncoder::new(Vec::new(), Compression::fast());
    let block = vec![b' '; 1 << 20];
    (0..bytes >> 20).for_each(|_| inner.write_all(&block).expect("memory takes it"));
    let mut outer = ZlibEncoder::new(Vec::new(), Compression::fast());
    outer.write_all(&inner.finish().expect("memory takes it")).expect("memory takes it");
    let data = outer.finish().expect("memory takes it");
    let length = data.len();
    let mut stream =
        format!("<< {entries} /Filter [/FlateDecode /FlateDecode] /Length {length} >>\nstream\n")
            .into_bytes();
    stream.extend_from_slice(&data);
    stream.extend_from_slice(b"\nendstream");
    let pages = b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>".to_vec();
    file(&[CATALOG.as_bytes().to_vec(), pages, PAGE.as_bytes().to_vec(), stream])
}

fn xref_loop() -> Vec<u8> {
    let mut bytes = b"%PDF-1.7\n".to_vec();
    let start = bytes.len();
    let table = format!(
        "xref\n0 1\n0000000000 65535 f \ntrailer\n<< /Size 1 /Root 1 0 R /Prev {start} >>\nstartxref\n{start}\n%%EOF\n"
    );
    bytes.extend_from_slice(table.as_bytes());
    bytes
}

fn truncated(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len() * 3 / 5].to_vec()
}

fn noise() -> Vec<u8> {
    let mut random = Random(7);
    let mut bytes = b"%PDF-1.4\n".to_vec();
    bytes.extend((0..1 << 18).map(|_| random.next() as u8));
    bytes
}

/// The PDFs in `dir` that are small enough to be mutated often.
pub(crate) fn small_files(dir: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = fs_err::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|suffix| suffix == "pdf"));
    paths.sort();
    let files = paths.into_iter().filter_map(|path| fs_err::read(path).ok());
    files.filter(|bytes| bytes.len() < 100_000).collect()
}

/// `original` with a few dozen bits flipped, or cut short, or with a piece moved.
pub(crate) fn mutated(original: &[u8], seed: u64) -> Vec<u8> {
    let mut random = Random(seed.wrapping_add(original.len() as u64) | 1);
    let mut bytes = original.to_vec();
    match seed % 3 {
        0 => {
            for _ in 0..32 {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
        }
        1 => bytes.truncate(random.below(bytes.len()).max(16)),
        _ => {
            let (from, to) = (random.below(bytes.len()), random.below(bytes.len()));
            let piece: Vec<u8> = bytes[from..].iter().copied().take(200).collect();
            bytes.splice(to..to, piece);
        }
    }
    bytes
}

/// xorshift64*: enough for damage.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}
