//! What kind of file bytes are, told by their content.

use std::fmt;

/// An image format that [`decode`](crate::decode) reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// JPEG: baseline and progressive, grey, colour and CMYK.
    Jpeg,
    /// PNG, and the first image of an animated PNG.
    Png,
    /// WebP, and the first frame of an animated WebP.
    WebP,
    /// GIF, first frame.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// TIFF, first page.
    Tiff,
    /// Quite OK Image.
    Qoi,
}

impl Format {
    /// The name people use, such as "JPEG".
    pub fn name(self) -> &'static str {
        match self {
            Format::Jpeg => "JPEG",
            Format::Png => "PNG",
            Format::WebP => "WebP",
            Format::Gif => "GIF",
            Format::Bmp => "BMP",
            Format::Tiff => "TIFF",
            Format::Qoi => "QOI",
        }
    }

    /// How a file of this format that uses something not decoded here is called.
    pub(crate) fn unsupported_variant(self) -> &'static str {
        match self {
            Format::Jpeg => "this kind of JPEG",
            Format::Png => "this kind of PNG",
            Format::WebP => "this kind of WebP",
            Format::Gif => "this kind of GIF",
            Format::Bmp => "this kind of BMP",
            Format::Tiff => "this kind of TIFF",
            Format::Qoi => "this kind of QOI",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What the first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Decodable(Format),
    /// An image format that is not decoded here, by its name.
    Image(&'static str),
    /// Something else; what it looks like, where that is clear.
    Other(Option<&'static str>),
}

/// Tells the kind of file from its first bytes.
pub(crate) fn kind_of(bytes: &[u8]) -> Kind {
    if let Some(format) = decodable(bytes) {
        Kind::Decodable(format)
    } else if let Some(name) = known_image(bytes) {
        Kind::Image(name)
    } else {
        Kind::Other(other(bytes))
    }
}

/// Shares JPEG's first three bytes.
const JPEG_LS: &[u8] = b"\xff\xd8\xff\xf7";

fn decodable(bytes: &[u8]) -> Option<Format> {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    if starts(b"\xff\xd8\xff") && !starts(JPEG_LS) {
        Some(Format::Jpeg)
    } else if starts(b"\x89PNG\r\n\x1a\n") {
        Some(Format::Png)
    } else if starts(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some(Format::WebP)
    } else if starts(b"GIF87a") || starts(b"GIF89a") {
        Some(Format::Gif)
    } else if starts(b"BM") && has_bitmap_header(bytes) {
        Some(Format::Bmp)
    } else if tiff_like(bytes) && camera_raw(bytes).is_none() {
        Some(Format::Tiff)
    } else if starts(b"qoif") {
        Some(Format::Qoi)
    } else {
        None
    }
}

/// "BM" alone starts many texts: the length of the second header must be one that exists.
fn has_bitmap_header(bytes: &[u8]) -> bool {
    let Some([length @ .., _, _]) = bytes.get(14..20) else {
        return false;
    };
    matches!(length, [12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0])
}

fn tiff_like(bytes: &[u8]) -> bool {
    [b"II\x2a\0", b"MM\0\x2a", b"II\x2b\0", b"MM\0\x2b"]
        .iter()
        .any(|magic| bytes.starts_with(*magic))
}

/// Raw formats that share TIFF's start; their first page is no photo.
fn camera_raw(bytes: &[u8]) -> Option<&'static str> {
    (bytes.get(8..10) == Some(b"CR")).then_some("Canon raw (CR2)")
}

fn known_image(bytes: &[u8]) -> Option<&'static str> {
    const MAGICS: &[(&[u8], &str)] = &[
        (b"8BPS", "Photoshop (PSD)"),
        (b"\xff\x0a", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x4f\xff\x51", "JPEG 2000"),
        (JPEG_LS, "JPEG-LS"),
        (b"II\xbc", "JPEG XR"),
        (b"\0\0\x01\0", "Windows icon (ICO)"),
        (b"\0\0\x02\0", "Windows cursor (CUR)"),
        (b"%PDF", "PDF"),
        (b"%!PS", "PostScript"),
        (b"\x76\x2f\x31\x01", "OpenEXR"),
        (b"#?RADIANCE", "Radiance HDR"),
        (b"#?RGBE", "Radiance HDR"),
        (b"DDS ", "DirectDraw surface (DDS)"),
        (b"gimp xcf", "GIMP (XCF)"),
        (b"farbfeld", "farbfeld"),
        (b"FUJIFILMCCD-RAW", "Fujifilm raw (RAF)"),
        (b"IIU\0", "Panasonic raw (RW2)"),
        (b"IIRO", "Olympus raw (ORF)"),
        (b"BPG\xfb", "BPG"),
        (b"\x59\xa6\x6a\x95", "Sun raster"),
        (b"\xab\x4b\x54\x58", "Khronos texture (KTX)"),
    ];
    if let Some((_, name)) = MAGICS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(name);
    }
    if let Some(name) = camera_raw(bytes).filter(|_| tiff_like(bytes)) {
        return Some(name);
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return match bytes.get(8..12)? {
            b"avif" | b"avis" => Some("AVIF"),
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => {
                Some("HEIC")
            }
            b"crx " => Some("Canon raw (CR3)"),
            _ => None,
        };
    }
    if matches!(bytes, [b'P', b'1'..=b'7', b' ' | b'\t' | b'\r' | b'\n', ..]) {
        return Some("portable anymap (PNM)");
    }
    head_contains(bytes, b"<svg").then_some("SVG")
}

fn other(bytes: &[u8]) -> Option<&'static str> {
    const MAGICS: &[(&[u8], &str)] = &[
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x1f\x8b", "a gzip archive"),
        (b"7z\xbc\xaf", "a 7z archive"),
        (b"PAR1", "a Parquet file"),
        (b"\x1a\x45\xdf\xa3", "a video"),
        (b"\x7fELF", "a program"),
        (b"MZ", "a program"),
        (b"SQLite format 3", "a database"),
    ];
    if let Some((_, what)) = MAGICS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(what);
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some("a video");
    }
    if head_contains(bytes, b"<html") || head_contains(bytes, b"<!doctype html") {
        return Some("a web page");
    }
    let head = &bytes[..bytes.len().min(512)];
    let is_text = head
        .iter()
        .all(|&byte| byte >= 0x20 && byte != 0x7f || matches!(byte, b'\t' | b'\n' | b'\r'));
    (is_text && head.iter().any(u8::is_ascii_alphanumeric) && head.is_ascii()).then_some("text")
}

/// Whether the first kilobyte, as far as it is markup, contains `needle` (lower case) in any case.
fn head_contains(bytes: &[u8], needle: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1024)];
    let is_markup = head
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(head)
        .trim_ascii_start()
        .starts_with(b"<");
    is_markup
        && head
            .windows(needle.len())
            .any(|window| window.eq_ignore_ascii_case(needle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_starts_like_a_bitmap_is_text() {
        assert_eq!(
            kind_of(b"BMW and other makers of cars"),
            Kind::Other(Some("text"))
        );
    }

    #[test]
    fn known_but_not_decoded() {
        for (bytes, name) in [
            (&b"\0\0\0\x18ftypheic\0\0\0\0"[..], "HEIC"),
            (b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF"),
            (b"8BPS\0\x01", "Photoshop (PSD)"),
            (b"%PDF-1.7", "PDF"),
            (
                b"<?xml version='1.0'?>\n<SVG xmlns='http://www.w3.org/2000/svg'>",
                "SVG",
            ),
            (b"II\x2a\0\x10\0\0\0CR\x02\0", "Canon raw (CR2)"),
            (b"P6\n2 2\n255\n", "portable anymap (PNM)"),
        ] {
            assert_eq!(kind_of(bytes), Kind::Image(name));
        }
    }

    #[test]
    fn no_image_at_all() {
        assert_eq!(
            kind_of(b"<!DOCTYPE html><html>"),
            Kind::Other(Some("a web page"))
        );
        assert_eq!(
            kind_of(b"PK\x03\x04...."),
            Kind::Other(Some("a ZIP archive"))
        );
        assert_eq!(kind_of(b"\0\0\0\x18ftypmp42"), Kind::Other(Some("a video")));
        assert_eq!(kind_of(&[0x99; 40]), Kind::Other(None));
        assert_eq!(kind_of(b"\xff"), Kind::Other(None));
    }
}
