//! Names that look like one that was not found.

/// At most `most` of `names`, the nearest first; those too far away are left out.
pub(super) fn near<'a>(
    wanted: &str,
    names: impl Iterator<Item = &'a str>,
    most: usize,
) -> Vec<String> {
    let wanted_lower = wanted.to_lowercase();
    let mut scored: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let within = !wanted_lower.is_empty() && lower.contains(&wanted_lower);
            // A part of a name is as good a guess as one with a slip of the finger.
            let distance = if within {
                1
            } else {
                distance(&wanted_lower, &lower)
            };
            (within || distance <= wanted.chars().count().max(3) / 3).then_some((distance, name))
        })
        .collect();
    scored.sort_unstable_by_key(|(distance, name)| (*distance, name.len(), *name));
    scored.dedup();
    scored
        .into_iter()
        .take(most)
        .map(|(_, name)| name.to_owned())
        .collect()
}

/// Levenshtein's distance, by characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{distance, near};

    #[test]
    fn distances_count_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn nearest_names_come_first() {
        let names = ["pool", "pooled", "head_relu6", "features"];
        assert_eq!(near("poled", names.into_iter(), 3), ["pool", "pooled"][1..]);
        assert_eq!(near("relu", names.into_iter(), 3), ["head_relu6"]);
        assert!(near("transformer", names.into_iter(), 3).is_empty());
    }
}
