//! Which colour and which marker each label gets in the scatter.
//!
//! Eight colours that stay apart for colour-blind readers (after Okabe and Ito, 2008) and six shapes, so that
//! colour never tells alone.

/// Colours, as the classes `c0` to `c7` of the style sheet.
pub(crate) const COLOURS: usize = 8;
/// Shapes, drawn about (0, 0) with equal area to the eye.
pub(crate) const SHAPES: [&str; 6] = [
    "M-4.4 0a4.4 4.4 0 1 0 8.8 0a4.4 4.4 0 1 0-8.8 0z",
    "M0-5.6L5.2 3.9H-5.2z",
    "M-4-4H4V4H-4z",
    "M0-5.8L5.4 0L0 5.8L-5.4 0z",
    "M-1.7-5.2H1.7V-1.7H5.2V1.7H1.7V5.2H-1.7V1.7H-5.2V-1.7H-1.7z",
    "M0 5.6L5.2-3.9H-5.2z",
];

/// Colour and shape of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Look {
    /// Index of the colour, below [`COLOURS`].
    pub(crate) colour: usize,
    /// Index into [`SHAPES`].
    pub(crate) shape: usize,
}

/// The middle of a label's points on the page and how many they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cluster {
    /// Median position across.
    pub(crate) x: f64,
    /// Median position down.
    pub(crate) y: f64,
    /// Number of points.
    pub(crate) points: u64,
}

/// Gives each label a look of its own, those with most points first, so that labels which lie close together
/// differ in colour. `None` where there are no points, or when all 48 looks are taken.
pub(crate) fn assign(clusters: &[Option<Cluster>]) -> Vec<Option<Look>> {
    let mut order: Vec<(usize, Cluster)> = clusters
        .iter()
        .enumerate()
        .filter_map(|(i, cluster)| cluster.map(|c| (i, c)))
        .collect();
    order.sort_by_key(|(i, cluster)| (std::cmp::Reverse(cluster.points), *i));
    let mut looks = vec![None; clusters.len()];
    let mut taken: [Vec<Cluster>; COLOURS] = Default::default();
    for (i, cluster) in order {
        let colour = (0..COLOURS)
            .filter(|&c| taken[c].len() < SHAPES.len())
            .map(|c| (c, nearest(&taken[c], cluster)))
            .reduce(|best, next| if next.1 > best.1 { next } else { best });
        let Some((colour, _)) = colour else { break };
        // The first labels of each colour start at another shape, so that few labels already differ in both.
        looks[i] = Some(Look {
            colour,
            shape: (taken[colour].len() + colour) % SHAPES.len(),
        });
        taken[colour].push(cluster);
    }
    looks
}

/// Squared distance to the nearest of `others`; infinite where there are none.
fn nearest(others: &[Cluster], cluster: Cluster) -> f64 {
    others
        .iter()
        .map(|o| (o.x - cluster.x).powi(2) + (o.y - cluster.y).powi(2))
        .fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn clusters(n: usize) -> Vec<Option<Cluster>> {
        (0..n)
            .map(|i| {
                Some(Cluster {
                    x: (i * 37 % 101) as f64,
                    y: (i * 53 % 97) as f64,
                    points: (n - i) as u64,
                })
            })
            .collect()
    }

    #[test]
    fn looks_are_unique_and_run_out_at_48() {
        let looks = assign(&clusters(131));
        let given: Vec<Look> = looks.iter().flatten().copied().collect();
        assert_eq!(given.len(), 48);
        assert_eq!(given.iter().collect::<HashSet<_>>().len(), 48);
        assert!(
            looks[..48].iter().all(Option::is_some),
            "the labels with most points get them"
        );
    }

    #[test]
    fn few_labels_differ_in_colour() {
        let looks = assign(&clusters(8));
        assert_eq!(
            looks
                .iter()
                .flatten()
                .map(|l| l.colour)
                .collect::<HashSet<_>>()
                .len(),
            8
        );
    }

    #[test]
    fn the_same_colour_goes_to_the_farthest() {
        let at = |x: f64| {
            Some(Cluster {
                x,
                y: 0.0,
                points: 1,
            })
        };
        let mut line: Vec<_> = (0..8).map(|i| at(f64::from(i) * 10.0)).collect();
        line.push(at(71.0));
        let looks = assign(&line);
        assert_eq!(
            looks[8].map(|l| l.colour),
            Some(0),
            "the first is 71 away, the last 1"
        );
    }

    #[test]
    fn labels_without_points_get_none() {
        assert_eq!(assign(&[None, None]), vec![None, None]);
    }
}
