//! Section: the photos in the plane of the first two components.

use crate::data::{MAX_POINTS, ReportData, ScatterPoint};
use crate::labels::label_name;
use crate::looks::{COLOURS, Cluster, Look, SHAPES, assign};
use crate::picture::{SCATTER_BYTES, base64, encoded_length, pictures_within};
use crate::scale::Axis;
use crate::text::{count, counted, percent, shortened};
use maud::{Markup, PreEscaped, html};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 540.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 708.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 484.0;
/// Labels in the list from which on a search field helps.
const SEARCH_FROM: usize = 16;
/// Most names written into the plot.
const NAMES: usize = 28;
/// Points from which on the marks are smaller.
const MANY: usize = 1_500;
/// Width of a letter of a label's name in the plot, about.
const LETTER: f64 = 7.2;

/// The points of one label.
struct Group<'a> {
    /// Index into the labels of the report.
    label: usize,
    name: String,
    look: Option<Look>,
    cluster: Cluster,
    points: Vec<(&'a ScatterPoint, f64, f64)>,
}

impl Group<'_> {
    fn colour_class(&self) -> String {
        self.look
            .map_or_else(|| "other".to_owned(), |look| format!("c{}", look.colour))
    }

    fn marker(&self) -> String {
        format!("#m{}", self.look.map_or(0, |look| look.shape))
    }
}

pub(crate) fn section(data: &ReportData) -> Markup {
    let finite: Vec<&ScatterPoint> = data
        .scatter
        .iter()
        .filter(|p| p.x.is_finite() && p.y.is_finite())
        .collect();
    let points = evenly(&finite, MAX_POINTS);
    let left_out = data.scatter.len() - finite.len();
    html! {
        section id="scatter" aria-labelledby="scatter-heading" {
            h2 id="scatter-heading" { "The photos side by side" }
            @if points.is_empty() {
                p.empty {
                    @if data.explained_variance_ratio.is_empty() { "No reducer was fitted in this run." }
                    @else { "No photo was reduced." }
                }
            } @else {
                (plot(data, &points, left_out))
            }
        }
    }
}

fn plot(data: &ReportData, points: &[&ScatterPoint], left_out: usize) -> Markup {
    let across = Axis::over(points.iter().map(|p| f64::from(p.x)), LEFT, RIGHT);
    let down = Axis::over(points.iter().map(|p| f64::from(p.y)), BOTTOM, TOP);
    let groups = grouped(data, points, &across, &down);
    let one_component = data.explained_variance_ratio.len() == 1;
    let drawing = drawing(data, &groups, &across, &down).into_string();
    let pictures = pictures(&groups, SCATTER_BYTES.saturating_sub(drawing.len()));
    let of = data.scatter_of.max(data.scatter.len() as u64);
    html! {
        p.lead {
            "Each mark is a photo, placed by its first two components: photos with similar numbers lie close together. "
            @if (points.len() as u64) < of {
                (count(points.len() as u64)) " of " (counted(of, "photo", "photos")) ", evenly chosen. "
            }
            @if groups.iter().any(|g| g.look.is_none()) {
                "The " (COLOURS * SHAPES.len()) " labels with most photos have a mark of their own, the others are grey. "
            }
            @if one_component { "Only one component was kept, so the height has no meaning. " }
            @if left_out > 0 {
                (counted(left_out as u64, "photo is", "photos are")) " left out: their components are not finite numbers. "
            }
        }
        div.explore.dense[points.len() > MANY] {
            div.plotcolumn {
                div.plot {
                    (PreEscaped(drawing))
                    div.card hidden { img alt="" width="96" height="96"; div { strong { bdi {} } span.path {} } }
                }
                p.hint hidden {
                    span.pointer { "Point at a mark" } span.touch { "Tap a mark" }
                    " to see the photo, or focus the plot and use the arrow keys."
                    @if let Some(pictures) = &pictures {
                        @if pictures.shown < pictures.all {
                            " To keep this file small, " (count(pictures.shown as u64)) " of "
                            (counted(pictures.all as u64, "photo", "photos")) " are inside it."
                        }
                    }
                }
                p.unseen role="status" {}
            }
            (legend(&groups))
        }
        @if let Some(pictures) = pictures {
            script type="application/json" id="scatter-pictures" { (PreEscaped(pictures.json)) }
        }
    }
}

/// At most `most` of the points, evenly spread over their order.
fn evenly<'a>(points: &[&'a ScatterPoint], most: usize) -> Vec<&'a ScatterPoint> {
    if points.len() <= most {
        return points.to_vec();
    }
    (0..most).map(|i| points[i * points.len() / most]).collect()
}

/// Points by label in the order of the labels, with their places on the page and each label's look.
fn grouped<'a>(
    data: &ReportData,
    points: &[&'a ScatterPoint],
    across: &Axis,
    down: &Axis,
) -> Vec<Group<'a>> {
    let mut sorted: Vec<&ScatterPoint> = points.to_vec();
    sorted.sort_by_key(|p| p.label);
    let mut groups: Vec<Group<'a>> = Vec::new();
    for of_label in sorted.chunk_by(|a, b| a.label == b.label) {
        let label = of_label.first().map_or(0, |p| p.label as usize);
        let places: Vec<_> = of_label
            .iter()
            .map(|p| (*p, across.place(p.x.into()), down.place(p.y.into())))
            .collect();
        let cluster = Cluster {
            x: median(places.iter().map(|p| p.1)),
            y: median(places.iter().map(|p| p.2)),
            points: places.len() as u64,
        };
        let name = data
            .labels
            .get(label)
            .map_or_else(|| "(another label)".to_owned(), |l| label_name(&l.label));
        groups.push(Group {
            label,
            name,
            look: None,
            cluster,
            points: places,
        });
    }
    let clusters: Vec<_> = groups.iter().map(|g| Some(g.cluster)).collect();
    for (group, look) in groups.iter_mut().zip(assign(&clusters)) {
        group.look = look;
    }
    // Labels without a look of their own are drawn first, below the others.
    groups.sort_by_key(|g| (g.look.is_some(), g.label));
    groups
}

/// The middle value (the upper one of two).
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn drawing(data: &ReportData, groups: &[Group<'_>], across: &Axis, down: &Axis) -> Markup {
    let shown: usize = groups.iter().map(|g| g.points.len()).sum();
    let small = (shown > MANY).then_some("scale(0.75)");
    let ratio = |i: usize| data.explained_variance_ratio.get(i).map(|r| percent(*r, 1));
    html! {
        svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-labelledby="scatter-title scatter-text" {
            title id="scatter-title" { "Photos by their first two components" }
            desc id="scatter-text" {
                (counted(shown as u64, "photo", "photos")) " of " (counted(groups.len() as u64, "label", "labels"))
            }
            defs { @for (i, shape) in SHAPES.iter().enumerate() { path id={ "m" (i) } d=(shape) transform=[small] {} } }
            @for (place, text) in across.ticks() {
                line.grid x1=(pixel(place)) x2=(pixel(place)) y1=(TOP) y2=(BOTTOM) {}
                text.tick x=(pixel(place)) y=(BOTTOM + 20.0) text-anchor="middle" { (text) }
            }
            // With a single component the height has no meaning.
            @if data.explained_variance_ratio.len() != 1 {
                @for (place, text) in down.ticks() {
                    line.grid x1=(LEFT) x2=(RIGHT) y1=(pixel(place)) y2=(pixel(place)) {}
                    text.tick x=(LEFT - 8.0) y=(pixel(place + 4.0)) text-anchor="end" { (text) }
                }
            }
            text.axis x=(f64::midpoint(LEFT, RIGHT)) y=(HEIGHT - 8.0) text-anchor="middle" {
                "component 1" @if let Some(r) = ratio(0) { " (" (r) " of the variance)" }
            }
            text.axis transform={ "translate(14 " (f64::midpoint(TOP, BOTTOM)) ") rotate(-90)" } text-anchor="middle" {
                @if data.explained_variance_ratio.len() != 1 {
                    "component 2" @if let Some(r) = ratio(1) { " (" (r) ")" }
                }
            }
            g.points {
                @for group in groups {
                    g class=(group.colour_class()) data-label=(group.label) data-name=(group.name) {
                        @for (point, x, y) in &group.points {
                            use href=(group.marker()) x=(pixel(*x)) y=(pixel(*y)) {
                                title { (group.name) " – " (shortened(&point.path, 120)) }
                            }
                        }
                    }
                }
            }
            g.names aria-hidden="true" {
                @for (group, x, y) in names(groups) {
                    text class=(group.colour_class()) data-label=(group.label) x=(pixel(x)) y=(pixel(y)) text-anchor="middle" {
                        (shortened(&group.name, 22))
                    }
                }
            }
            circle.cursor r="9" visibility="hidden" {}
        }
    }
}

/// Names to write into the plot: those of the largest labels that do not cover one another.
fn names<'a, 'b>(groups: &'b [Group<'a>]) -> Vec<(&'b Group<'a>, f64, f64)> {
    let mut order: Vec<&Group<'_>> = groups.iter().collect();
    order.sort_by_key(|g| (std::cmp::Reverse(g.points.len()), g.label));
    let mut placed: Vec<(&Group<'_>, f64, f64, f64)> = Vec::new();
    for group in order {
        if placed.len() == NAMES {
            break;
        }
        let half = group.name.chars().count().min(22) as f64 * LETTER / 2.0;
        let x = group
            .cluster
            .x
            .clamp(LEFT + half, (RIGHT - half).max(LEFT + half));
        let y = group.cluster.y + 4.0;
        if placed
            .iter()
            .all(|(_, px, py, phalf)| (py - y).abs() > 15.0 || (px - x).abs() > half + phalf + 4.0)
        {
            placed.push((group, x, y, half));
        }
    }
    placed
        .into_iter()
        .map(|(group, x, y, _)| (group, x, y))
        .collect()
}

fn legend(groups: &[Group<'_>]) -> Markup {
    let mut order: Vec<&Group<'_>> = groups.iter().collect();
    order.sort_by_key(|g| g.label);
    html! {
        div.legend {
            h3 { "Labels" }
            p.choose hidden { "Choose labels to single them out." }
            @if order.len() >= SEARCH_FROM {
                input type="search" placeholder="Find a label" aria-label="Find a label" hidden;
            }
            button.all type="button" hidden { "Show all" }
            ul {
                @for group in order {
                    li class=(group.colour_class()) {
                        button type="button" disabled aria-pressed="false" data-label=(group.label) {
                            svg.marker viewBox="-7 -7 14 14" width="14" height="14" aria-hidden="true" { use href=(group.marker()) {} }
                            span { bdi { (group.name) } }
                            span.count { (count(group.points.len() as u64)) }
                        }
                    }
                }
            }
        }
    }
}

/// The pictures behind the marks.
struct Pictures {
    /// A JSON array of base64 in the order of the marks, with an empty text where there is no picture.
    json: String,
    shown: usize,
    all: usize,
}

/// As many pictures as fit into `budget` bytes; `None` where no point has one.
fn pictures(groups: &[Group<'_>], budget: usize) -> Option<Pictures> {
    let points: Vec<Option<&[u8]>> = groups
        .iter()
        .flat_map(|g| g.points.iter().map(|(p, _, _)| p.thumbnail.as_deref()))
        .collect();
    let lengths: Vec<usize> = points
        .iter()
        .flatten()
        .map(|jpeg| encoded_length(jpeg))
        .collect();
    if lengths.is_empty() {
        return None;
    }
    let kept = pictures_within(&lengths, budget);
    let mut kept_or_not = kept.iter();
    let mut json = String::from("[");
    for (i, jpeg) in points.into_iter().enumerate() {
        json.push_str(if i == 0 { "\"" } else { ",\"" });
        if let Some(jpeg) = jpeg
            && kept_or_not.next() == Some(&true)
        {
            json.push_str(&base64(jpeg));
        }
        json.push('"');
    }
    json.push(']');
    Some(Pictures {
        json,
        shown: kept.iter().filter(|k| **k).count(),
        all: lengths.len(),
    })
}

/// A coordinate with one decimal, so that the file stays small.
fn pixel(value: f64) -> String {
    format!("{value:.1}")
}
