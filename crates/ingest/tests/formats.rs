//! Files of other programs: what is read from sound ones, and why broken ones are refused.

#[path = "formats/broken.rs"]
mod broken;

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use docent_core::{Chunk, ChunkingStrategy, FileError, FileErrorCode};
use docent_ingest::{Format, Ingestor, Limits, Prepared, ThreadGuard, extractor, sniff};
use proptest::prelude::*;

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/office");
    fs_err::read(folder.join(name)).unwrap()
}

fn prepare(bytes: Vec<u8>, name: &str) -> Result<Prepared, FileError> {
    let ingestor = Ingestor::new(Arc::new(ThreadGuard::new()), Limits::default());
    let small = ChunkingStrategy::new(200, 100).unwrap();
    ingestor.prepare(Box::new(Cursor::new(bytes)), name, small)
}

#[track_caller]
fn read(name: &str) -> Prepared {
    // The name tells nothing, so that the content must.
    prepare(fixture(name), "file").unwrap()
}

#[track_caller]
fn warns(prepared: &Prepared, words: &str) {
    let warnings = &prepared.warnings;
    let found = warnings.iter().any(|warning| warning.message.contains(words));
    assert!(found, "no warning says {words:?}: {warnings:?}");
}

fn holding<'a>(prepared: &'a Prepared, words: &str) -> &'a Chunk {
    let chunk = prepared.chunks.iter().find(|chunk| chunk.text.contains(words));
    chunk.unwrap_or_else(|| panic!("no chunk holds {words:?}: {}", prepared.text))
}

#[test]
fn a_word_document_keeps_headings_lists_tables_notes_and_comments() {
    let report = read("report.docx");
    assert_eq!((report.format, report.pages), (Format::Docx, 1));
    assert_eq!(report.title.as_deref(), Some("Tide report"));
    for line in [
        "Every station measures the height of the water six times an hour.",
        "Comment (Anna): Is this still true of Troms?",
        "- Clean the sensor",
        "The float gauge was replaced in 2021.\tSee the log.",
        "Bodø | May | 1204",
        "Bodø | June | 2311",
        "The report ends here; 報告到此為止。",
    ] {
        assert!(report.text.lines().any(|found| found == line), "no line {line:?}");
    }
    assert!(!report.text.contains("scrapped"));
    warns(&report, "tracked changes");
    warns(&report, "page headers and footers");
    // A table of 120 rows: each chunk begins with the names, under the heading it stands under.
    let chunk = holding(&report, "ST-077 |");
    assert!(chunk.text.starts_with("station | region | depth in m | tide in m\n"));
    assert_eq!(chunk.headings, ["Stations"]);
    let all: usize = report.chunks.iter().map(|chunk| chunk.text.matches("ST-").count()).sum();
    assert_eq!(all, 120);
    assert_eq!(holding(&report, "Clean the sensor").headings, ["Tide report"]);
}

#[test]
fn footnotes_stand_after_the_paragraph_that_refers_to_them() {
    let body = "<w:document><w:body><w:p><w:r><w:t>Tides vary</w:t></w:r>\
        <w:r><w:footnoteReference w:id='2'/></w:r></w:p><w:p><w:r><w:t>Next.</w:t></w:r></w:p>\
        </w:body></w:document>";
    let notes = "<w:footnotes><w:footnote w:type='separator' w:id='2'><w:p/></w:footnote>\
        <w:footnote w:id='2'><w:p><w:r><w:t>By up to a metre.</w:t></w:r></w:p></w:footnote></w:footnotes>";
    let links = "<Relationships><Relationship Id='a' Type='x/footnotes' Target='footnotes.xml'/></Relationships>";
    let bytes = broken::archive(&[
        ("[Content_Types].xml", "<Types/>"),
        ("word/document.xml", body),
        ("word/_rels/document.xml.rels", links),
        ("word/footnotes.xml", notes),
    ]);
    let text = prepare(bytes, "x.docx").unwrap().text;
    assert_eq!(text, "Tides vary[1]\n[1] By up to a metre.\nNext.");
}

#[test]
fn diagrams_and_comments_of_slides_are_kept_and_charts_are_told() {
    let slide =
        "<p:sld><p:sp><p:txBody><a:p><a:r><a:t>Sea</a:t></a:r></a:p></p:txBody></p:sp></p:sld>";
    let link = |id: usize, kind: &str, target: &str| {
        format!("<Relationship Id='r{id}' Type='x/{kind}' Target='{target}'/>")
    };
    let of_slide = [
        link(1, "diagramData", "../diagrams/data1.xml"),
        link(2, "comments", "../comments/comment1.xml"),
        link(3, "chart", "../charts/chart1.xml"),
    ];
    let bytes = broken::archive(&[
        ("[Content_Types].xml", "<Types/>".to_owned()),
        (
            "ppt/presentation.xml",
            "<p:presentation><p:sldId id='256' r:id='r0'/></p:presentation>".to_owned(),
        ),
        ("ppt/_rels/presentation.xml.rels", format!("<R>{}</R>", link(0, "slide", "slides/s.xml"))),
        ("ppt/slides/s.xml", slide.to_owned()),
        ("ppt/slides/_rels/s.xml.rels", format!("<R>{}</R>", of_slide.concat())),
        (
            "ppt/diagrams/data1.xml",
            "<dgm:pt><a:p><a:t>moon, then tide</a:t></a:p></dgm:pt>".to_owned(),
        ),
        ("ppt/comments/comment1.xml", "<p:cm><p:text>check this</p:text></p:cm>".to_owned()),
    ]);
    let prepared = prepare(bytes, "x.pptx").unwrap();
    assert_eq!(prepared.text, "Sea\nmoon, then tide\nComments: check this");
    warns(&prepared, "1 charts are left out");
}

#[test]
fn a_workbook_is_rows_under_their_names_and_its_sheets_are_pages() {
    let stations = read("stations.xlsx");
    assert_eq!((stations.format, stations.pages), (Format::Workbook, 3));
    let chunk = holding(&stations, "ST-099 |");
    let names = "station | region | depth in m | tide in m | since\n";
    assert!(chunk.text.starts_with(names), "{}", chunk.text);
    assert!(chunk.text.contains("ST-099 | Troms | 62 | 10.4 | 2020-04-08\n"), "{}", chunk.text);
    assert_eq!((chunk.page_start(), chunk.headings.as_slice()), (1, &["Stations".to_owned()][..]));
    assert!(stations.chunks[0].text.starts_with("Stations\nStations of the network\nstation |"));
    assert!(stations.text.contains("Corners\nnorth west\nsouth east"));
    warns(&stations, "sheet Costs is hidden");
    warns(&stations, "1 formulas have no stored result");
    let costs = holding(&stations, "sensor | 1299.5");
    let at = costs.text.find("sensor").unwrap();
    assert_eq!(costs.page_at(at), 2);
}

#[test]
fn older_and_open_spreadsheets_are_read_too() {
    for name in ["heights.xls", "heights.ods"] {
        let heights = read(name);
        assert_eq!(heights.format, Format::Workbook);
        assert_eq!(heights.text, "Heights\nport | metres\nBodø | 2.6\nOslo | 0.4", "{name}");
    }
}

#[test]
fn a_presentation_has_a_page_for_each_slide() {
    let tides = read("tides.pptx");
    assert_eq!((tides.format, tides.pages), (Format::Pptx, 4));
    let expected = "Tides for beginners\nA talk in Bergen\nWhy the sea rises\nThe moon pulls\n  The earth turns\nNotes: Show the globe here.\nHeights\nport | metres\nBodø | 2.6\nOslo | 0.4\nLeft out of the talk";
    let lines =
        |text: &str| text.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    assert_eq!(lines(&tides.text), expected);
    let chunk = &tides.chunks[0];
    assert_eq!(chunk.page_at(chunk.text.find("The moon").unwrap()), 2);
    let hidden = tides.warnings.iter().find(|warning| warning.message.contains("hidden"));
    assert_eq!(hidden.and_then(|warning| warning.page), Some(4));
}

#[test]
fn a_book_has_a_page_for_each_chapter() {
    let tides = read("tides.epub");
    assert_eq!((tides.format, tides.pages), (Format::Epub, 2));
    assert_eq!(tides.title.as_deref(), Some("The book of tides"));
    assert!(tides.text.contains("The moon pulls the water & the land."));
    assert!(tides.text.contains("body | share\nmoon | 0.68"));
    let chunk = &tides.chunks[0];
    assert_eq!(chunk.page_at(chunk.text.find("The sun pulls").unwrap()), 2);
}

#[test]
fn csv_and_json_lines_are_told_by_name_or_by_content() {
    let mut csv = "station,note\n".to_owned();
    csv.extend((0..100).map(|n| format!("ST-{n},\"deep, cold\nand dark\"\n")));
    let prepared = prepare(csv.into_bytes(), "stations.csv").unwrap();
    assert_eq!(prepared.format, Format::Csv);
    for chunk in &prepared.chunks {
        assert!(chunk.text.starts_with("station | note\nST-"), "{}", chunk.text);
        assert!(chunk.text.trim_end().ends_with("deep, cold and dark"), "{}", chunk.text);
    }
    let jsonl = b"{\"id\":1,\"text\":\"\\u6f6e\"}\n{\"id\":2}\n".to_vec();
    let prepared = prepare(jsonl, "log.txt").unwrap();
    assert_eq!(
        (prepared.format, prepared.text.as_str()),
        (Format::JsonLines, "id: 1 | text: 潮\nid: 2")
    );
    assert_eq!(sniff(b"a\tb\tc\n".repeat(5).as_slice(), "x"), Ok(Format::Csv));
}

#[test]
fn broken_files_have_a_text_or_a_reason() {
    let mut refused = 0;
    for (what, name, bytes) in broken::files(&fixture) {
        match prepare(bytes, name) {
            Ok(prepared) => {
                assert!(!prepared.text.is_empty(), "{what}");
                eprintln!("{what}: {} bytes, {:?}", prepared.text.len(), prepared.warnings);
            }
            Err(error) => {
                refused += 1;
                assert_ne!(error.code, FileErrorCode::ServerError, "{what}: {}", error.message);
                assert!(!error.message.is_empty(), "{what}");
                eprintln!("{what}: {}", error.message);
            }
        }
    }
    assert!(refused > 10);
}

#[test]
fn a_sheet_that_claims_to_span_it_all_costs_what_is_in_it() {
    let files = broken::files(&fixture);
    let is_it = |what: &str| what == "a sheet of one cell that spans it all";
    let (_, name, bytes) = files.into_iter().find(|(what, ..)| is_it(what)).unwrap();
    assert_eq!(prepare(bytes, name).unwrap().text, "S\nall");
}

#[test]
fn what_is_wrong_is_said_in_words_a_user_can_act_on() {
    let files = broken::files(&fixture);
    for (what, words) in [
        ("an encrypted document", "save it without a password"),
        ("an old Word document", "save it as DOCX"),
        ("a cell that is nowhere", "the workbook is damaged"),
        ("a ZIP archive of something else", "a ZIP archive"),
        ("a bomb in a document", "unpacks to more than"),
        ("a bomb in a workbook", "unpacks to more than"),
        ("a document without its body", "no part word/document.xml"),
        ("a workbook cut off", "damaged"),
        ("a book under DRM", "DRM"),
        ("a sheet of a trillion repeated cells", "save it as XLSX"),
    ] {
        let (_, name, bytes) = files.iter().find(|(it, ..)| *it == what).expect(what);
        let error = prepare(bytes.clone(), name).expect_err(what);
        assert!(error.message.contains(words), "{what}: {}", error.message);
    }
}

/// Members of an archive, kept apart so that damage reaches the XML and not only the compression.
fn members(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    (0..archive.len())
        .map(|at| {
            let mut member = archive.by_index(at).unwrap();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut member, &mut bytes).unwrap();
            (member.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

/// Flips, cuts and doublings at places given as shares of the length.
fn damage(mut bytes: Vec<u8>, wounds: &[(u16, u8, u8)]) -> Vec<u8> {
    for &(place, kind, value) in wounds {
        let at = usize::from(place) * bytes.len() / (usize::from(u16::MAX) + 1);
        if bytes.is_empty() {
            break;
        }
        match kind % 8 {
            0 => bytes.truncate(at),
            1 => {
                let piece: Vec<u8> = bytes[at..].iter().copied().take(60).collect();
                bytes.splice(at..at, piece);
            }
            2 => {
                let end = (at + usize::from(value)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => bytes[at] ^= value,
        }
    }
    bytes
}

/// Extracts without a guard, so that a panic fails the test.
fn extract_unguarded(bytes: &[u8], name: &str) {
    let limits = Limits { unpacked_bytes: 8 << 20, text_bytes: 4 << 20, ..Limits::default() };
    if let Ok(format) = sniff(bytes, name) {
        let _ = extractor(format).and_then(|extractor| extractor.extract(bytes, &limits));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn damaged_archives_never_panic(
        wounds in prop::collection::vec((any::<u16>(), any::<u8>(), 1u8..), 1..12),
        part in any::<prop::sample::Index>(),
    ) {
        for name in ["report.docx", "stations.xlsx", "tides.pptx", "tides.epub", "heights.ods"] {
            let original = fixture(name);
            extract_unguarded(&damage(original.clone(), &wounds), name);
            let mut members = members(&original);
            members.retain(|(name, _)| name.ends_with("ml") || name.ends_with(".rels"));
            let at = part.index(members.len());
            members[at].1 = damage(std::mem::take(&mut members[at].1), &wounds);
            extract_unguarded(&broken::archive(&members), name);
        }
    }

    #[test]
    fn damaged_texts_never_panic(
        wounds in prop::collection::vec((any::<u16>(), any::<u8>(), 1u8..), 1..12),
        noise in "[\"',;|\t\n{}\\[\\]:a0\u{0}\\\\é-]{0,200}",
    ) {
        let csv = "name,note\n\"a\",\"b \"\"c\"\"\n d\"\n1,2\n".repeat(5).into_bytes();
        let jsonl = "{\"a\":[1,{\"b\":null}],\"c\":\"d\\n\"}\n".repeat(5).into_bytes();
        extract_unguarded(&damage(csv, &wounds), "x.csv");
        extract_unguarded(&damage(jsonl, &wounds), "x.jsonl");
        for name in ["x.csv", "x.jsonl", "x.html", "x.py"] {
            extract_unguarded(noise.as_bytes(), name);
        }
    }
}
