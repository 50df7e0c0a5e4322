//! Broken files of every format, made from sound ones or from nothing.

use std::io::{Cursor, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// An archive of these members.
pub(crate) fn archive(members: &[(impl AsRef<str>, impl AsRef<[u8]>)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in members {
        writer.start_file(name.as_ref(), options).unwrap();
        writer.write_all(bytes.as_ref()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn office(part: &str, xml: impl AsRef<[u8]>) -> Vec<u8> {
    archive(&[("[Content_Types].xml", b"<Types/>".as_slice()), (part, xml.as_ref())])
}

fn docx(body: &str) -> Vec<u8> {
    office("word/document.xml", format!("<w:document><w:body>{body}</w:body></w:document>"))
}

/// A workbook whose one sheet has this XML, after openpyxl's fixture.
fn xlsx(sheet: &str) -> Vec<u8> {
    let workbook = "<workbook xmlns:r='r'><sheets><sheet name='S' sheetId='1' r:id='rId1'/></sheets></workbook>";
    let links = "<Relationships><Relationship Id='rId1' Type='x/worksheet' Target='worksheets/sheet1.xml'/></Relationships>";
    let root = "<Relationships><Relationship Id='r' Type='x/officeDocument' Target='xl/workbook.xml'/></Relationships>";
    let type_of = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/";
    let members = [
        ("[Content_Types].xml", "<Types/>"),
        ("_rels/.rels", root),
        ("xl/workbook.xml", workbook),
        ("xl/_rels/workbook.xml.rels", links),
        ("xl/worksheets/sheet1.xml", sheet),
    ];
    // The library that reads it knows one kind of quote.
    let xml = |text: &str| text.replace("'x/", &format!("'{type_of}")).replace('\'', "\"");
    archive(&members.map(|(name, text)| (name, xml(text))))
}

fn ods(rows: &str) -> Vec<u8> {
    let mime = "application/vnd.oasis.opendocument.spreadsheet";
    let content = format!(
        "<office:document-content><office:body><office:spreadsheet><table:table table:name='S'>\
         {rows}</table:table></office:spreadsheet></office:body></office:document-content>"
    );
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, text) in [("mimetype", mime), ("content.xml", &content)] {
        writer.start_file(name, stored).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// An OLE file with one stream of this name; its content is beside the point.
fn ole(stream: &str) -> Vec<u8> {
    let mut bytes = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    bytes.resize(1024, 0);
    for (at, unit) in stream.encode_utf16().enumerate() {
        bytes[512 + at * 2..514 + at * 2].copy_from_slice(&unit.to_le_bytes());
    }
    bytes
}

fn half(bytes: Vec<u8>) -> Vec<u8> {
    bytes[..bytes.len() / 2].to_vec()
}

fn drm_book() -> Vec<u8> {
    archive(&[
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", "<container><rootfile full-path='b.opf'/></container>"),
        ("META-INF/encryption.xml", "<e><CipherReference URI='a.xhtml'/></e>"),
        ("b.opf", "<p><item id='a' href='a.xhtml'/><itemref idref='a'/></p>"),
        ("a.xhtml", "sealed"),
    ])
}

/// What is wrong, a name, and the bytes.
pub(crate) fn files(
    fixture: &dyn Fn(&str) -> Vec<u8>,
) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let zeros = vec![b' '; 300 << 20];
    let cells = |cell: &str| {
        format!(
            "<worksheet><dimension ref='A1:XFD1048576'/><sheetData><row r='1'>{cell}</row></sheetData></worksheet>"
        )
    };
    let deep = "<w:tbl><w:tr><w:tc><w:p><w:r>".repeat(20_000);
    let entities = "<!DOCTYPE x [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'>]><w:p><w:r><w:t>&b;&b;</w:t></w:r></w:p>";
    let repeated = "<table:table-row table:number-rows-repeated='1000000'><table:table-cell office:value='1' table:number-columns-repeated='1000000'/></table:table-row>";
    vec![
        ("a document cut off", "x.docx", half(fixture("report.docx"))),
        ("a workbook cut off", "x.xlsx", half(fixture("stations.xlsx"))),
        ("a presentation cut off", "x.pptx", half(fixture("tides.pptx"))),
        ("a book cut off", "x.epub", half(fixture("tides.epub"))),
        ("an old workbook cut off", "x.xls", half(fixture("heights.xls"))),
        ("a document without its body", "x.docx", office("word/styles.xml", "<w:styles/>")),
        (
            "a presentation without slides",
            "x.pptx",
            office("ppt/presentation.xml", "<p:presentation/>"),
        ),
        ("a workbook without a workbook", "x.xlsx", office("xl/styles.xml", "<styleSheet/>")),
        (
            "a document of broken XML",
            "x.docx",
            docx("<w:p><w:r><w:t>kept</w:t></w:r></w:p><w:p></w:x>"),
        ),
        ("a document of no XML", "x.docx", office("word/document.xml", "<<<<")),
        ("a document of zeros", "x.docx", office("word/document.xml", [0; 4096])),
        ("an empty document", "x.docx", docx("")),
        ("a document nested 20,000 deep", "x.docx", docx(&format!("{deep}<w:t>deep</w:t>"))),
        ("a document of entities", "x.docx", docx(entities)),
        ("a bomb in a document", "x.docx", office("word/document.xml", &zeros)),
        ("a bomb in a workbook", "x.xlsx", office("xl/sharedStrings.xml", &zeros)),
        ("an encrypted document", "x.docx", ole("EncryptedPackage")),
        ("an old Word document", "x.doc", ole("WordDocument")),
        ("an old workbook of nothing", "x.xls", ole("Workbook")),
        ("a ZIP archive of something else", "x.docx", archive(&[("a.txt", "a")])),
        (
            "a sheet of one cell that spans it all",
            "x.xlsx",
            xlsx(&cells("<c r='A1' t='inlineStr'><is><t>all</t></is></c>")),
        ),
        ("a cell that is nowhere", "x.xlsx", xlsx(&cells("<c r='99999999999999A'><v>1</v></c>"))),
        ("a string that is not there", "x.xlsx", xlsx(&cells("<c r='A1' t='s'><v>7</v></c>"))),
        (
            "a date beyond time",
            "x.xlsx",
            xlsx(&cells("<c r='A1'><v>1e308</v></c><c r='B1'><v>x</v></c>")),
        ),
        ("a sheet of a trillion repeated cells", "x.ods", ods(repeated)),
        ("an ODS file of nothing", "x.ods", ods("")),
        ("a book under DRM", "x.epub", drm_book()),
        (
            "a book without a container",
            "x.epub",
            archive(&[("META-INF/container.xml", "<container/>")]),
        ),
        ("a picture as CSV", "x.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec()),
        (
            "noise as CSV",
            "x.csv",
            (0..4096u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect(),
        ),
        ("CSV with NUL bytes", "x.csv", b"a,b\n1\0,2\n3,\0\0\n4,5\n6,7\n8,9\n".to_vec()),
        (
            "CSV with a quote that never ends",
            "x.csv",
            format!("a,b\n\"1,2\n{}", "3,4\n".repeat(1000)).into_bytes(),
        ),
        ("CSV of one quote", "x.csv", b"\"".to_vec()),
        ("CSV of commas", "x.csv", b",,,\n,,,\n".to_vec()),
        ("a row of a million cells", "x.csv", "1,".repeat(1 << 20).into_bytes()),
        (
            "JSON Lines broken on line 3",
            "x.jsonl",
            b"{\"a\":1}\n{\"a\":2}\n{\"a\"\n{\"a\":4}\n".to_vec(),
        ),
        (
            "JSON Lines nested too deeply",
            "x.jsonl",
            [b"[".repeat(100_000), b"]".repeat(100_000)].concat(),
        ),
        ("JSON Lines of nothing but nothing", "x.jsonl", b"{}\n[]\nnull\n".to_vec()),
        (
            "an HTML table nested 100,000 deep",
            "x.html",
            format!("<html>{}x", "<table><tr><td>".repeat(100_000)).into_bytes(),
        ),
    ]
}
