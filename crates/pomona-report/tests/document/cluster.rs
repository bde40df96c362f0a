//! The section on the cluster.

use pomona_report::{
    ClusterData, ClusterExecutor, ClusterStage, ClusterStep, MAX_EXECUTORS, MAX_STAGES, MAX_STEPS,
    MAX_WORKERS, render,
};
use proptest::prelude::*;

use super::dom::{Document, parse};
use super::{plain, run};

pub(crate) fn cluster() -> ClusterData {
    let executor = |id: &str, host: &str, photos, busy_seconds| ClusterExecutor {
        id: id.into(),
        host: host.into(),
        tasks: 26,
        photos,
        busy_seconds,
    };
    ClusterData {
        scheduler: "orchard.example:50050".into(),
        executors: vec![
            executor(
                "7f3a1c52-aaaa-4bbb-8ccc-000000000001",
                "10.0.0.7",
                6_400,
                31.25,
            ),
            executor(
                "b0e1d2c3-aaaa-4bbb-8ccc-000000000002",
                "10.0.0.8",
                6_103,
                15.625,
            ),
        ],
        steps: vec![
            ClusterStep {
                name: "extract".into(),
                jobs: 2,
                finished: true,
                shards: 49,
                set_aside: 0,
                attempts_failed: 3,
                seconds: 24.5,
                waited_seconds: 0.25,
                stages: vec![ClusterStage {
                    id: 1,
                    tasks: 49,
                    seconds: 24.0,
                    busy_seconds: 45.0,
                    work: vec![(0, 30.0), (1, 15.0), (7, 99.0)],
                }],
            },
            ClusterStep {
                name: "moments".into(),
                jobs: 1,
                finished: true,
                shards: 1,
                seconds: 2.0,
                stages: vec![
                    ClusterStage {
                        id: 1,
                        tasks: 4,
                        seconds: 1.5,
                        busy_seconds: 1.75,
                        work: vec![(0, 1.25), (1, 0.5)],
                    },
                    ClusterStage {
                        id: 2,
                        tasks: 1,
                        seconds: 0.125,
                        busy_seconds: 0.125,
                        work: vec![(1, 0.125)],
                    },
                ],
                ..ClusterStep::default()
            },
        ],
        cost: Some((1.3, "EUR".into())),
    }
}

#[expect(clippy::unwrap_used, reason = "a helper of tests reports by panicking")]
fn told(cluster: ClusterData) -> (Document, String) {
    let mut data = run(1, 2, 100);
    data.cluster = Some(cluster);
    let document = parse(&render(&data).unwrap());
    document.check_drawings("cluster");
    let text = plain(&document.id("cluster").text);
    (document, text)
}

#[test]
fn executors_and_steps_are_told() {
    let (document, text) = told(cluster());
    for part in [
        "Cluster2 executors worked on this run, for the scheduler at orchard.example:50050.Executors2",
        "Jobs3",
        "Tasks52",
        "Done again3",
        "Set aside0",
        "Work46.9 s",
        "Waited to begin0.25 s",
        "Cost1.30 EUR",
        "10.0.0.7 7f3a1c526,4002631.2 s",
        "10.0.0.8 b0e1d2c36,1032615.6 s",
        "extract 3 attempts came to nothing24924.5 s0.25 s45.0 s",
        "stage 14924.0 s45.0 s",
        "moments112.00 s0.00 s1.88 s",
        "stage 210.12 s0.12 s",
        "Work by stage and executor",
        "extract 130.0 s15.0 s",
        "moments 2–0.12 s",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // A bar for each executor, as long as its work.
    let widths: Vec<&str> = document
        .inside("cluster", "rect")
        .iter()
        .map(|rect| rect.attr("width"))
        .filter(|width| width.contains('.'))
        .collect();
    assert_eq!(widths, ["100.00%", "50.00%", "100.00%", "6.25%", "0.52%"]);
    assert!(
        document
            .all("a")
            .any(|link| link.attr("href") == "#cluster")
    );
    // Every table says what it is, and its heads of what they are heads.
    let tables = document.inside("cluster", "table").len();
    assert_eq!(
        (tables, document.inside("cluster", "caption").len()),
        (3, 3)
    );
    assert!(
        document
            .inside("cluster", "th")
            .iter()
            .all(|head| !head.attr("scope").is_empty())
    );

    // Not a word of a cluster where there was none.
    let document = parse(&render(&run(1, 2, 100)).unwrap());
    let named = |e: &super::dom::Element| e.attr("id") == "cluster" || e.attr("href") == "#cluster";
    assert!(!document.elements.iter().any(named));
}

/// A change to what [`cluster`] did.
type Change = fn(&mut ClusterData);

#[test]
fn what_went_wrong_is_told_first() {
    let cases: [(Change, &str); 9] = [
        (
            |c| *c = ClusterData::default(),
            "ClusterNothing was left to do for the cluster.Executors0",
        ),
        (
            |c| c.steps.clear(),
            "Nothing was left to do for the cluster of the scheduler at orchard.example:50050.",
        ),
        (
            |c| c.steps[0].set_aside = 1,
            "1 shard was set aside because executors ended while they worked on it; pomona retry tries the photos again.",
        ),
        (
            |c| c.steps[0].set_aside = 2,
            "2 shards were set aside because executors ended while they worked on them;",
        ),
        (
            |c| c.steps[1].finished = false,
            "How 1 step came to an end is not known, or not as it should be.",
        ),
        (|c| c.cost = None, "Cost–"),
        (|c| c.cost = Some((0.0123, "USD".into())), "Cost0.0123 USD"),
        (
            |c| c.steps[0].attempts_failed = 1,
            "extract 1 attempt came to nothing",
        ),
        (
            |c| c.steps[0].seconds = f64::NAN,
            "extract 3 attempts came to nothing249–0.25 s",
        ),
    ];
    for (change, part) in cases {
        let mut changed = cluster();
        change(&mut changed);
        let (_, text) = told(changed);
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn work_by_executor_is_left_out_where_it_is_not_known() {
    let mut unknown = cluster();
    for stage in unknown.steps.iter_mut().flat_map(|step| &mut step.stages) {
        stage.work.clear();
    }
    let (document, _) = told(unknown);
    assert!(document.inside("cluster", "details").is_empty());
}

#[test]
fn a_large_cluster_stays_small() {
    let mut large = cluster();
    large.executors = (0..2_000)
        .map(|i| ClusterExecutor {
            id: format!("{i:08}-{}", "id".repeat(500)),
            host: "host.".repeat(500),
            ..ClusterExecutor::default()
        })
        .collect();
    large.steps = (0..500)
        .map(|i| ClusterStep {
            name: format!("{i} {}", "step ".repeat(500)),
            stages: vec![cluster().steps[0].stages[0].clone(); 200],
            ..ClusterStep::default()
        })
        .collect();
    let few = render(&run(1, 2, 100)).unwrap().len();
    let mut data = run(1, 2, 100);
    data.cluster = Some(large.clone());
    let more = render(&data).unwrap().len() - few;
    assert!(more < 1_500_000, "{more} bytes");
    let (document, text) = told(large);
    assert!(text.contains("The first 50 of 2,000 executors."), "{text}");
    assert!(text.contains("The first 50 of 500 steps."), "{text}");
    assert!(text.contains("Work by stage and executor, of the first 12 executors"));
    let rows = 1 + MAX_EXECUTORS + 1 + MAX_STEPS * (1 + MAX_STAGES) + 1 + MAX_STEPS * MAX_STAGES;
    assert_eq!(document.inside("cluster", "tr").len(), rows);
    assert_eq!(document.inside("cluster", "details").len(), 1);
    let cells = document.inside("cluster", "td").len();
    let of_work = MAX_STEPS * MAX_STAGES * MAX_WORKERS;
    assert_eq!(
        cells,
        MAX_EXECUTORS * 3 + MAX_STEPS * (1 + MAX_STAGES) * 5 + of_work
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_cluster_gives_a_whole_document(
        counts in any::<[u64; 5]>(),
        times in any::<[f64; 4]>(),
        text in any::<String>(),
        work in prop::collection::vec((0_usize..4, any::<f64>()), 0..5),
    ) {
        let [tasks, photos, shards, set_aside, attempts_failed] = counts;
        let [busy_seconds, seconds, waited_seconds, amount] = times;
        let step = ClusterStep {
            name: text.clone(), jobs: tasks, finished: tasks % 2 == 0, shards, set_aside, attempts_failed,
            seconds, waited_seconds,
            stages: vec![ClusterStage { id: tasks, tasks, seconds, busy_seconds, work }],
        };
        let executor = ClusterExecutor { id: text.clone(), host: text.clone(), tasks, photos, busy_seconds };
        told(ClusterData {
            scheduler: text.clone(),
            executors: vec![executor; 2],
            steps: vec![step; 2],
            cost: Some((amount, text)),
        });
    }
}
