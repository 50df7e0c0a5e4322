use docent_core::FileErrorCode;

use super::*;

#[test]
fn the_content_decides_and_the_name_breaks_ties() {
    let cases: &[(&[u8], &str, Format)] = &[
        (b"%PDF-1.4\n", "notes.txt", Format::Pdf),
        (b"garbage before\n%PDF-1.4\n", "x.html", Format::Pdf),
        (b"\xef\xbb\xbf<!-- c --> <!DOCTYPE HTML><p>", "x.pdf", Format::Html),
        (b"<?xml version='1.0'?>\n<html>", "x", Format::Html),
        (b"<p>fragment</p>", "x.html", Format::Html),
        (b"<p>fragment</p>", "x.txt", Format::Text),
        (b"# Title\n\ntext", "README", Format::Markdown),
        (b"# a comment\nx = 1\n", "x.py", Format::Source(Language::Python)),
        (b"#!/usr/bin/env python3\nx = 1\n", "x", Format::Source(Language::Python)),
        (b"#!/bin/sh\n", "x", Format::Source(Language::Shell)),
        (b"issue #1 - fixed\n", "x.log", Format::Text),
        (b"plain\n", "x.md", Format::Markdown),
        (b"\xff\xfeh\0i\0", "x.txt", Format::Text),
        (b"h\0i\0 \0y\0o\0u\0", "x.txt", Format::Text),
        (b"caf\xe9", "x.txt", Format::Text),
        (b"PK\x03\x04....[Content_Types].xml....word/document.xml", "x.zip", Format::Docx),
        (b"PK\x03\x04....[Content_Types].xml....ppt/slides", "x", Format::Pptx),
        (b"PK\x03\x04....[Content_Types].xml....xl/workbook.xml", "x.docx", Format::Workbook),
        (b"PK\x03\x04....mimetypeapplication/epub+zip", "x", Format::Epub),
        (b"a,b\n1,2\n", "x.CSV", Format::Csv),
        (b"a,b\n1,2\n", "x.txt", Format::Text),
        (b"{\"a\":1}\n{\"a\":2}\n", "x", Format::JsonLines),
        (b"{\"a\":1}\n{\"a\":2}\n", "x.json", Format::Source(Language::Json)),
    ];
    for (bytes, name, expected) in cases {
        assert_eq!(sniff(bytes, name).as_ref(), Ok(expected), "{name}");
    }
}

#[test]
fn what_we_cannot_read_is_named() {
    let noise: Vec<u8> =
        (0..4096u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let cases: &[(&[u8], &str)] = &[
        (b"\x89PNG\r\n\x1a\n....", "PNG"),
        (b"PK\x03\x04....", "ZIP"),
        (b"PK\x03\x04....mimetypeapplication/vnd.oasis.opendocument.text", "ODT"),
        (b"\x7fELF\x02\x01", "ELF"),
        (&noise, "binary data"),
        (&[0; 512], "binary data"),
    ];
    for (bytes, word) in cases {
        let error = sniff(bytes, "report.pdf").unwrap_err();
        assert_eq!(error.code, FileErrorCode::UnsupportedFile);
        assert!(error.message.contains(word), "{} should name {word}", error.message);
    }
}

#[test]
fn an_empty_file_is_invalid() {
    let error = sniff(b"", "x.pdf").unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (FileErrorCode::InvalidFile, "the file is empty")
    );
}
