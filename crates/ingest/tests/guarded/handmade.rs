//! Small PDFs built by hand, for tests: sound ones and hostile ones.

use std::fmt::Write as _;

/// A PDF of text pages.
pub(crate) struct Pdf {
    pub(crate) contents: Vec<String>,
    /// More entries of every page dictionary.
    pub(crate) page_entries: String,
}

impl Pdf {
    /// One page for each content stream; `/F` is Helvetica.
    pub(crate) fn of_pages(contents: &[&str]) -> Self {
        let contents = contents.iter().map(|content| (*content).to_owned()).collect();
        Self { contents, page_entries: String::new() }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let kids: Vec<String> =
            (0..self.contents.len()).map(|at| format!("{} 0 R", 4 + at * 2)).collect();
        let mut objects = vec![
            "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
            format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), kids.len()),
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
                .to_owned(),
        ];
        for (at, content) in self.contents.iter().enumerate() {
            objects.push(format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {} 0 R \
                 /Resources << /Font << /F 3 0 R >> >> {} >>",
                5 + at * 2,
                self.page_entries
            ));
            objects.push(format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()));
        }
        file(&objects.iter().map(|object| object.as_bytes().to_vec()).collect::<Vec<_>>())
    }
}

/// A file of these objects, numbered from 1; the first is the catalog.
pub(crate) fn file(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"%PDF-1.7\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (at, object) in objects.iter().enumerate() {
        let _ = writeln!(table, "{:010} 00000 n ", bytes.len());
        bytes.extend_from_slice(format!("{} 0 obj\n", at + 1).as_bytes());
        bytes.extend_from_slice(object);
        bytes.extend_from_slice(b"\nendobj\n");
    }
    let start = bytes.len();
    bytes.extend_from_slice(table.as_bytes());
    let size = objects.len() + 1;
    bytes.extend_from_slice(
        format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n").as_bytes(),
    );
    bytes
}
