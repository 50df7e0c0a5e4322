use super::handmade::Pdf;
use super::*;

fn read(pdf: &Pdf) -> Vec<Vec<String>> {
    let document = PdfExtractor::default().extract(&pdf.bytes(), &Limits::default()).unwrap();
    let lines = |page: Page| page.lines.into_iter().map(|line| line.text).collect();
    document.pages.into_iter().map(lines).collect()
}

#[test]
fn pages_and_lines_come_in_order() {
    let pdf = Pdf::of_pages(&[
        "BT /F 12 Tf 72 700 Td (First line) Tj 0 -14 Td (second) Tj ET",
        "BT /F 12 Tf 72 700 Td (Page two) Tj ET",
    ]);
    assert_eq!(read(&pdf), [vec!["First line", "second"], vec!["Page two"]]);
}

#[test]
fn gaps_become_spaces_and_kerning_does_not() {
    let pdf = Pdf::of_pages(&["BT /F 12 Tf 72 700 Td [(W) 80 (ater) -300 (level)] TJ ET"]);
    assert_eq!(read(&pdf), [["Water level"]]);
}

#[test]
fn columns_shown_line_by_line_are_read_one_after_the_other() {
    let mut content = String::new();
    for line in 0..8 {
        let y = 700 - line * 14;
        for (x, side) in [(72, "left"), (320, "right")] {
            content += &format!(
                "BT /F 12 Tf {x} {y} Td (The {side} column runs on in line {line} now) Tj ET\n"
            );
        }
    }
    let lines = read(&Pdf::of_pages(&[&content])).remove(0);
    assert!(lines[..8].iter().all(|line| line.contains("left")), "{lines:?}");
    assert!(lines[8..].iter().all(|line| line.contains("right")), "{lines:?}");
}

#[test]
fn tables_are_read_row_by_row() {
    let mut content = String::new();
    for row in 0..6 {
        for column in 0..3 {
            let (x, y) = (72 + column * 150, 700 - row * 14);
            content += &format!("BT /F 12 Tf {x} {y} Td (r{row}c{column}) Tj ET\n");
        }
    }
    assert_eq!(read(&Pdf::of_pages(&[&content]))[0][1], "r1c0 | r1c1 | r1c2");
}

#[test]
fn chunks_of_a_table_begin_with_its_names_on_every_page() {
    let page = |first: usize| {
        let mut content = String::new();
        let rows: Vec<[String; 2]> = match first {
            0 => vec![["Station".into(), "Depth".into()]],
            _ => Vec::new(),
        };
        let numbered = (first..first + 40).map(|n| [format!("station {n}"), format!("{n} m")]);
        for (at, row) in rows.into_iter().chain(numbered).enumerate() {
            let y = 760 - at * 16;
            for (cell, x) in row.iter().zip([72, 272]) {
                content += &format!("BT /F 11 Tf {x} {y} Td ({cell}) Tj ET\n");
            }
            // Drawn as most programs do: each cell by itself, as thin boxes and as frames.
            content += &format!("70 {} 200 0.5 re f 270 {} 200 16 re S\n", y - 4, y - 4);
            content += &format!("70 {} 200 16 re S\n", y - 4);
        }
        content
    };
    let bytes = Pdf::of_pages(&[&page(0), &page(40), &page(80)]).bytes();
    let document = PdfExtractor::default().extract(&bytes, &Limits::default()).unwrap();
    let clean = crate::clean(&document);
    assert_eq!(clean.tables.len(), 1);
    let strategy = docent_core::ChunkingStrategy::new(200, 0).unwrap();
    let chunks = crate::chunk(&clean, strategy);
    assert!(chunks.len() > 4);
    for chunk in &chunks {
        assert!(chunk.text.starts_with("Station | Depth\nstation "), "{}", chunk.text);
        let at = chunk.text.rfind("station ").unwrap();
        let number: u32 = chunk.text[at + 8..].split(' ').next().unwrap().parse().unwrap();
        assert_eq!(chunk.page_at(at), number / 40 + 1, "{}", chunk.text);
    }
}

#[test]
fn text_shown_twice_for_weight_is_read_once() {
    let twice =
        "BT /F 12 Tf 72 700 Td (Bold words) Tj ET BT /F 12 Tf 72.4 700 Td (Bold words) Tj ET";
    let stroked = "BT 2 Tr /F 12 Tf 72 700 Td (Bold words) Tj ET";
    for content in [twice, stroked] {
        assert_eq!(read(&Pdf::of_pages(&[content])), [["Bold words"]]);
    }
}

#[test]
fn turned_pages_and_turned_text_are_read() {
    let mut pdf = Pdf::of_pages(&[
        "BT /F 12 Tf 0 1 -1 0 300 100 Tm (Turned text) Tj 0 -14 Td (goes on) Tj ET",
    ]);
    assert_eq!(read(&pdf), [["Turned text", "goes on"]]);
    pdf.page_entries = "/Rotate 90".into();
    assert_eq!(read(&pdf), [["Turned text", "goes on"]]);
}

/// A page whose font is not embedded and names a predefined CMap, as East Asian PDFs did for long.
fn with_predefined_cmap(encoding: &str, ordering: &str, code: &str) -> Vec<u8> {
    let content = format!("BT /F 12 Tf 72 700 Td <{code}> Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R \
         /Resources << /Font << /F 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
        format!(
            "<< /Type /Font /Subtype /Type0 /BaseFont /Song /Encoding /{encoding} \
             /DescendantFonts [6 0 R] >>"
        ),
        format!(
            "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /Song /DW 1000 /CIDSystemInfo \
             << /Registry (Adobe) /Ordering ({ordering}) /Supplement 2 >> /FontDescriptor 7 0 R >>"
        ),
        "<< /Type /FontDescriptor /FontName /Song /Flags 4 /FontBBox [0 0 1000 1000] \
         /ItalicAngle 0 /Ascent 800 /Descent -200 /CapHeight 800 /StemV 80 >>"
            .to_owned(),
    ];
    handmade::file(&objects.map(String::into_bytes))
}

#[test]
fn predefined_cmaps_of_east_asian_fonts_are_known() {
    let cases = [
        ("UniGB-UCS2-H", "GB1", "4E2D6587", "中文"),
        ("GBK-EUC-H", "GB1", "D6D0CEC4", "中文"),
        ("90ms-RKSJ-H", "Japan1", "93FA967B", "日本"),
        ("UniJIS-UTF16-H", "Japan1", "65E5672C", "日本"),
        ("ETen-B5-H", "CNS1", "A4A4A4E5", "中文"),
        ("KSCms-UHC-H", "Korea1", "C7D1B1DB", "한글"),
    ];
    for (encoding, ordering, code, text) in cases {
        let bytes = with_predefined_cmap(encoding, ordering, code);
        let document = PdfExtractor::default().extract(&bytes, &Limits::default()).unwrap();
        let lines: Vec<&str> =
            document.pages[0].lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(lines, [text], "{encoding}");
    }
}
