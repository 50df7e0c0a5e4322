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
    assert_eq!(read(&Pdf::of_pages(&[&content]))[0][1], "r1c0 r1c1 r1c2");
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
