//! Names for what is not text.

/// Signatures at the beginning of a file, and what they stand for. Longer ones come first where
/// one begins another.
const SIGNATURES: &[(&[u8], &str)] = &[
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"\0\0\x01\0", "an icon"),
    (b"8BPS", "a Photoshop image"),
    (b"\x7fELF", "an ELF executable"),
    (b"\xca\xfe\xba\xbe", "a Mach-O executable or Java class"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O executable"),
    (b"\0asm", "a WebAssembly module"),
    (b"{\\rtf", "an RTF document"),
    (b"%!PS", "a PostScript document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"PAR1", "a Parquet file"),
    (b"GGUF", "a GGUF model"),
    (b"ID3", "an MP3 recording"),
    (b"OggS", "an Ogg recording"),
    (b"fLaC", "a FLAC recording"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"wOFF", "a web font"),
    (b"wOF2", "a web font"),
    (b"OTTO", "an OpenType font"),
    (b"\0\x01\0\0\0", "a TrueType font"),
    (b"MZ\x90\0", "a Windows executable"),
];

/// What a file of a known binary format is, in words.
pub(crate) fn binary_name(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"RIFF") {
        return Some(match bytes.get(8..12) {
            Some(b"WEBP") => "a WebP image",
            Some(b"AVI ") => "an AVI video",
            _ => "a WAVE recording",
        });
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some("an MP4 or HEIF file");
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Some("a tar archive");
    }
    let signature = SIGNATURES.iter().find(|(signature, _)| bytes.starts_with(signature));
    signature.map(|(_, name)| *name)
}

/// Whether control characters are more than a twentieth of `head`, and not because it is UTF-16.
/// Random bytes have a tenth.
pub(crate) fn is_mostly_binary(head: &[u8]) -> bool {
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return false;
    }
    let controls =
        head.iter().filter(|&&b| b < 0x20 && !matches!(b, b'\t'..=b'\r' | 0x1b) && b != 0).count();
    let nuls = |parity: usize| head.iter().skip(parity).step_by(2).filter(|&&b| b == 0).count();
    let (even, odd) = (nuls(0), nuls(1));
    let is_utf16 = head.len() >= 4 && even.min(odd) == 0 && even.max(odd) * 10 >= head.len() * 4;
    let stray = if is_utf16 { controls } else { controls + even + odd };
    stray * 20 > head.len()
}
