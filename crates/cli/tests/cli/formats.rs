//! One file of every format, from the folder it lies in to the passage that is found.

use std::path::Path;

use fs_err as fs;

use crate::support::Home;

fn office(home: &Home) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/office");
    let names = ["report.docx", "stations.xlsx", "tides.pptx", "tides.epub", "heights.xls"];
    for name in names.into_iter().chain(["heights.ods"]) {
        home.write(&format!("in/{name}"), fs::read(fixtures.join(name)).unwrap());
    }
    let rows: String = (0..300).map(|n| format!("P-{n},pump {n},hall {}\n", n % 7)).collect();
    home.write("in/pumps.csv", format!("number,name,place\n{rows}"));
    home.write("in/log.jsonl", "{\"time\":\"09:00\",\"event\":\"flood gate opened\"}\n".repeat(3));
    home.write("in/menu.html", "<html><table><tr><th>dish<th>price<tr><td>herring<td>12</table>");
    home.write(
        "in/tide.py",
        "def ebb(x):\n    return x\n\n\ndef spring_tide(x):\n    return 2 * x\n",
    );
}

#[test]
fn every_format_comes_in_and_is_found_on_its_page() {
    let home = Home::new();
    office(&home);
    let ran = home.done(&["add", "in"]);
    assert!(ran.stdout.contains("10 added"), "{ran:?}");
    for (question, file, page, text) in [
        ("ST-077", "report.docx", 1, "station | region | depth in m | tide in m\n"),
        ("float gauge replaced", "report.docx", 1, "The float gauge was replaced in 2021."),
        ("ST-149", "stations.xlsx", 1, "station | region | depth in m | tide in m | since\n"),
        ("moon pulls earth turns globe", "tides.pptx", 1, "Notes: Show the globe here."),
        ("sun pulls less", "tides.epub", 1, "body | share\nmoon | 0.68"),
        ("\"pump 222\"", "pumps.csv", 1, "number | name | place\n"),
        ("flood gate", "log.jsonl", 1, "time: 09:00 | event: flood gate opened"),
        ("herring", "menu.html", 1, "dish | price\nherring | 12"),
        ("spring_tide", "tide.py", 1, "def spring_tide(x):"),
    ] {
        let found = home.json(&["search", question, "--json"]);
        let hits = found["hits"].as_array().unwrap();
        let hit = hits.iter().find(|hit| hit["file"] == file);
        let hit = hit.unwrap_or_else(|| panic!("{question} does not find {file}: {found}"));
        assert_eq!(hit["page_start"], page, "{hit}");
        assert!(hit["text"].as_str().unwrap().contains(text), "{question}: {hit}");
    }
    let listed = home.json(&["ls", "--json"]);
    let workbook = listed.as_array().unwrap().iter().find(|row| row["file"] == "stations.xlsx");
    assert!(workbook.unwrap().to_string().contains("sheet Costs is hidden"), "{listed}");
    let again = home.done(&["add", "in"]);
    assert!(again.stdout.contains("10 unchanged"), "{again:?}");
}

#[test]
fn an_office_file_that_cannot_be_read_has_its_reason() {
    let home = Home::new();
    home.write("in/cut.docx", b"PK\x03\x04[Content_Types].xml word/document.xml and no more");
    home.write("in/old.doc", ole("WordDocument"));
    home.write("in/sealed.xlsx", ole("EncryptedPackage"));
    home.run(&["add", "in"]);
    let rows = home.json(&["ls", "--json"]);
    for (name, words) in [
        ("cut.docx", "damaged or cut off"),
        ("old.doc", "save it as DOCX"),
        ("sealed.xlsx", "save it without a password"),
    ] {
        let row = rows.as_array().unwrap().iter().find(|row| row["file"] == name).unwrap();
        assert_eq!(row["status"], "failed", "{row}");
        assert!(row["reason"].as_str().unwrap().contains(words), "{row}");
    }
}

/// The directory of an OLE file that has a stream of this name.
fn ole(stream: &str) -> Vec<u8> {
    let mut bytes = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    bytes.resize(512, 0);
    bytes.extend(stream.encode_utf16().flat_map(u16::to_le_bytes));
    bytes.resize(1024, 0);
    bytes
}
