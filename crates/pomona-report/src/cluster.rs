//! Section: what the machines of a cluster did.

use crate::cluster_data::{
    ClusterData, ClusterExecutor, ClusterStage, ClusterStep, MAX_EXECUTORS, MAX_STAGES, MAX_STEPS,
    MAX_WORKERS,
};
use crate::page::tile;
use crate::status::bar;
use crate::text::{count, counted, measured, seconds, shortened};
use maud::{Markup, html};

pub(crate) fn section(cluster: &ClusterData) -> Markup {
    let sum = |value: fn(&ClusterStep) -> u64| total(cluster.steps.iter().map(value));
    let again = sum(|step| step.attempts_failed);
    let set_aside = sum(|step| step.set_aside);
    let waited: f64 = cluster.steps.iter().map(|step| step.waited_seconds).sum();
    let busy: f64 = cluster.executors.iter().map(|at| at.busy_seconds).sum();
    html! {
        section id="cluster" aria-labelledby="cluster-heading" {
            h2 id="cluster-heading" { "Cluster" }
            p.lead { (told(cluster, set_aside)) }
            dl.tiles {
                (tile("Executors", &count(cluster.executors.len() as u64), None, ""))
                (tile("Jobs", &count(sum(|step| step.jobs)), None, ""))
                (tile("Tasks", &count(total(cluster.executors.iter().map(|at| at.tasks))), None, ""))
                (tile("Done again", &count(again), None, ""))
                (tile("Set aside", &count(set_aside), None, if set_aside > 0 { "bad" } else { "" }))
                (tile("Work", &time(busy), None, ""))
                (tile("Waited to begin", &time(waited), None, ""))
                (tile("Cost", &cluster.cost.as_ref().map_or_else(|| "–".to_owned(), |(amount, currency)| money(*amount, currency)), None, ""))
            }
            @if !cluster.executors.is_empty() { (executors(&cluster.executors)) }
            @if !cluster.steps.is_empty() { (steps(cluster)) }
        }
    }
}

/// What mattered, in a sentence or two.
fn told(cluster: &ClusterData, set_aside: u64) -> Markup {
    let unfinished = cluster.steps.iter().filter(|step| !step.finished).count() as u64;
    html! {
        @if cluster.steps.is_empty() {
            "Nothing was left to do for the cluster"
        } @else {
            strong { (counted(cluster.executors.len() as u64, "executor", "executors")) }
            " worked on this run"
        }
        @if !cluster.scheduler.is_empty() {
            @if cluster.steps.is_empty() { " of" } @else { ", for" }
            " the scheduler at " bdi.path { (shortened(&cluster.scheduler, 120)) }
        }
        "."
        @if set_aside > 0 {
            " " strong { (counted(set_aside, "shard was", "shards were")) " set aside" }
            " because executors ended while they worked on " @if set_aside == 1 { "it" } @else { "them" } "; "
            code { "pomona retry" } " tries the photos again."
        }
        @if unfinished > 0 {
            " How " (counted(unfinished, "step", "steps")) " came to an end is not known, or not as it should be."
        }
    }
}

fn executors(all: &[ClusterExecutor]) -> Markup {
    let shown = &all[..all.len().min(MAX_EXECUTORS)];
    let most = all.iter().map(|at| at.busy_seconds).fold(0.0, f64::max);
    html! {
        h3 { "By executor" }
        @if shown.len() < all.len() {
            p.lead { "The first " (count(shown.len() as u64)) " of " (counted(all.len() as u64, "executor", "executors")) "." }
        }
        table.stacked {
            caption.unseen { "Photos, tasks and seconds of work by executor" }
            thead { tr {
                th scope="col" { "Executor" }
                th.number scope="col" { "Photos" }
                th.number scope="col" { "Tasks" }
                th.number scope="col" { "Work" }
            } }
            tbody {
                @for executor in shown {
                    tr {
                        th scope="row" {
                            (name(executor))
                            (bar(part(executor.busy_seconds, most), "time"))
                        }
                        td.number data-name="Photos" { (count(executor.photos)) }
                        td.number data-name="Tasks" { (count(executor.tasks)) }
                        td.number data-name="Work" { (time(executor.busy_seconds)) }
                    }
                }
            }
        }
    }
}

fn steps(cluster: &ClusterData) -> Markup {
    let shown = &cluster.steps[..cluster.steps.len().min(MAX_STEPS)];
    let longest = stages(shown)
        .map(|stage| stage.seconds)
        .filter(|seconds| seconds.is_finite())
        .fold(0.0, f64::max);
    html! {
        h3 { "By step" }
        @if shown.len() < cluster.steps.len() {
            p.lead { "The first " (count(shown.len() as u64)) " of " (counted(cluster.steps.len() as u64, "step", "steps")) "." }
        }
        table.stacked.steps-of-jobs {
            caption.unseen { "Shards and times by step, and of each its stages" }
            thead { tr {
                th scope="col" { "Step and stages" }
                th.number scope="col" { "Jobs" }
                th.number scope="col" { "Shards or tasks" }
                th.number scope="col" { "Time" }
                th.number scope="col" { "Waited" }
                th.number scope="col" { "Work" }
            } }
            tbody {
                @for step in shown {
                    tr {
                        th scope="row" {
                            bdi { (shortened(&step.name, 60)) }
                            @if step.attempts_failed > 0 {
                                " " span.meaning { (counted(step.attempts_failed, "attempt", "attempts")) " came to nothing" }
                            }
                        }
                        td.number data-name="Jobs" { (count(step.jobs)) }
                        td.number data-name="Shards" { (count(step.shards)) }
                        td.number data-name="Time" { (time(step.seconds)) }
                        td.number data-name="Waited" { (time(step.waited_seconds)) }
                        td.number data-name="Work" { (time(step.stages.iter().map(|stage| stage.busy_seconds).sum())) }
                    }
                    @for stage in step.stages.iter().take(MAX_STAGES) {
                        tr.stage {
                            th scope="row" {
                                "stage " (count(stage.id))
                                (bar(part(stage.seconds, longest), "time"))
                            }
                            td.number data-name="Jobs" {}
                            td.number data-name="Tasks" { (count(stage.tasks)) }
                            td.number data-name="Time" { (time(stage.seconds)) }
                            td.number data-name="Waited" {}
                            td.number data-name="Work" { (time(stage.busy_seconds)) }
                        }
                    }
                }
            }
        }
        @if stages(shown).any(|stage| !stage.work.is_empty()) { (work(&cluster.executors, shown)) }
    }
}

/// Seconds of work by stage and executor.
fn work(executors: &[ClusterExecutor], steps: &[ClusterStep]) -> Markup {
    let shown = &executors[..executors.len().min(MAX_WORKERS)];
    html! {
        details {
            summary {
                "Work by stage and executor"
                @if shown.len() < executors.len() { ", of the first " (count(shown.len() as u64)) " executors" }
            }
            div.scroll {
                table.by-executor {
                    caption.unseen { "Seconds of work by stage and executor" }
                    thead { tr {
                        th scope="col" { "Stage" }
                        @for executor in shown { th.number scope="col" { (name(executor)) } }
                    } }
                    tbody {
                        @for step in steps {
                            @for stage in step.stages.iter().take(MAX_STAGES) {
                                tr {
                                    th scope="row" { bdi { (shortened(&step.name, 40)) } " " (count(stage.id)) }
                                    @for at in 0..shown.len() { td.number { (worked(stage, at)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn worked(stage: &ClusterStage, executor: usize) -> String {
    match stage.work.iter().find(|(at, _)| *at == executor) {
        Some((_, seconds)) => time(*seconds),
        None => "–".to_owned(),
    }
}

fn stages(steps: &[ClusterStep]) -> impl Iterator<Item = &ClusterStage> {
    steps
        .iter()
        .flat_map(|step| step.stages.iter().take(MAX_STAGES))
}

/// Host and the beginning of the identifier, which tells executors of one host apart.
fn name(executor: &ClusterExecutor) -> Markup {
    let id: String = executor.id.chars().take(8).collect();
    html! {
        @if !executor.host.is_empty() { bdi { (shortened(&executor.host, 60)) } " " }
        bdi.path { (shortened(&id, 40)) }
    }
}

fn total(parts: impl Iterator<Item = u64>) -> u64 {
    parts.fold(0, u64::saturating_add)
}

/// `value` of `most` in [0, 1]; 0 where there is none.
fn part(value: f64, most: f64) -> f64 {
    let part = value / most;
    if part.is_finite() { part } else { 0.0 }
}

fn time(secs: f64) -> String {
    if (0.0..1e15).contains(&secs) {
        seconds(secs)
    } else {
        "–".to_owned()
    }
}

/// Cents matter once there are some.
fn money(amount: f64, currency: &str) -> String {
    let amount = if (0.0..1e15).contains(&amount) && amount >= 1.0 {
        format!("{amount:.2}")
    } else {
        measured(amount)
    };
    format!("{amount}\u{a0}{}", shortened(currency, 12))
}
