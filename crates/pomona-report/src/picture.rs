//! Small pictures inside the page, and how many of them fit.

use crate::error::ReportError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Most bytes of text that the pictures of all labels take together.
pub(crate) const LABEL_PICTURES_BYTES: usize = 1_700_000;
/// Most bytes of text that the scatter and its pictures take together.
pub(crate) const SCATTER_BYTES: usize = 3_700_000;

/// Most bytes of text that the photos with key points take together.
pub(crate) const SAMPLE_PICTURES_BYTES: usize = 600_000;
/// Most bytes of text that the patches of all words take together.
pub(crate) const PATCHES_BYTES: usize = 400_000;

/// JPEG bytes as base64.
pub(crate) fn base64(jpeg: &[u8]) -> String {
    STANDARD.encode(jpeg)
}

/// JPEG bytes as a `data:` URL.
pub(crate) fn data_url(jpeg: &[u8]) -> String {
    let mut url = String::from("data:image/jpeg;base64,");
    STANDARD.encode_string(jpeg, &mut url);
    url
}

/// PNG bytes as a `data:` URL.
pub(crate) fn png_url(png: &[u8]) -> String {
    let mut url = String::from("data:image/png;base64,");
    STANDARD.encode_string(png, &mut url);
    url
}

/// How many characters [`data_url`] takes.
pub(crate) fn encoded_length(jpeg: &[u8]) -> usize {
    23 + jpeg.len().div_ceil(3) * 4
}

/// Refuses what a page could not show as a JPEG.
pub(crate) fn check(jpeg: &[u8], of: &str) -> Result<(), ReportError> {
    if jpeg.starts_with(&[0xFF, 0xD8, 0xFF]) {
        Ok(())
    } else {
        Err(ReportError::Thumbnail { of: of.to_owned() })
    }
}

/// Refuses what a page could not show as a PNG.
pub(crate) fn check_png(png: &[u8], word: u32) -> Result<(), ReportError> {
    if png.starts_with(b"\x89PNG\r\n\x1a\n") {
        Ok(())
    } else {
        Err(ReportError::Patch { word })
    }
}

/// How many pictures each label may show (the first ones of each) so that all fit into `budget` bytes.
pub(crate) fn pictures_per_label(labels: &[&[Vec<u8>]], budget: usize) -> usize {
    let most = labels
        .iter()
        .map(|pictures| pictures.len())
        .max()
        .unwrap_or(0);
    let mut used = 0usize;
    for n in 0..most {
        used += labels
            .iter()
            .filter_map(|pictures| pictures.get(n))
            .map(|jpeg| encoded_length(jpeg))
            .sum::<usize>();
        if used > budget {
            return n;
        }
    }
    most
}

/// Which of the pictures may be shown, evenly spread, so that those fit into `budget` bytes: `true` where shown.
pub(crate) fn pictures_within(lengths: &[usize], budget: usize) -> Vec<bool> {
    let n = lengths.len();
    let total: usize = lengths.iter().sum();
    let spread =
        |keep: usize| -> Vec<bool> { (0..n).map(|i| (i + 1) * keep / n > i * keep / n).collect() };
    let size = |shown: &[bool]| {
        lengths
            .iter()
            .zip(shown)
            .filter(|(_, s)| **s)
            .map(|(l, _)| l)
            .sum::<usize>()
    };
    let mut keep = if total <= budget {
        n
    } else {
        (n as f64 * budget as f64 / total as f64) as usize
    };
    loop {
        let shown = spread(keep);
        if keep == 0 || size(&shown) <= budget {
            return shown;
        }
        // Pictures differ in size, so the first guess may be a little too many.
        keep -= keep.div_ceil(50);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_that_of_the_url() {
        for n in 0..9 {
            let jpeg = vec![7u8; n];
            assert_eq!(data_url(&jpeg).len(), encoded_length(&jpeg));
        }
    }

    #[test]
    fn budgets_hold() {
        let few = vec![vec![0u8; 300]; 4];
        let one = vec![vec![0u8; 300]];
        let labels: Vec<&[Vec<u8>]> = vec![&few, &one];
        assert_eq!(pictures_per_label(&labels, 100), 0);
        assert_eq!(pictures_per_label(&labels, 900), 1);
        assert_eq!(pictures_per_label(&labels, 1_400), 2);
        assert_eq!(pictures_per_label(&labels, 10_000), 4);
        let kept = |lengths: &[usize], budget| {
            let shown = pictures_within(lengths, budget);
            assert_eq!(shown.len(), lengths.len());
            assert!(
                lengths
                    .iter()
                    .zip(&shown)
                    .filter(|(_, s)| **s)
                    .map(|(l, _)| l)
                    .sum::<usize>()
                    <= budget
            );
            shown.iter().filter(|s| **s).count()
        };
        assert_eq!(kept(&[100; 10], 1_000), 10);
        assert_eq!(kept(&[100; 10], 700), 7);
        assert_eq!(kept(&[100; 10], 50), 0);
        assert_eq!(kept(&[], 50), 0);
        assert!(kept(&[10, 500, 10, 500, 10, 500], 600) >= 1);
    }
}
