//! The scheduler's page: executors and jobs, drawn here, renewed by a few lines of script, whole without it.

mod job;
mod text;

use std::sync::Arc;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::text::{bytes, count, moment, rate, seconds};
use crate::summary::{ExecutorSummary, JobPhase, JobSummary, Scaling, shortened};

pub(crate) use job::job;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
/// Jobs that are over, in the list.
const OVER_SHOWN: usize = 50;
/// Executors in the list.
const EXECUTORS_SHOWN: usize = 200;

/// What a browser may do for the page whose style sheet and script carry `nonce`: those two, and ask this scheduler.
pub(crate) fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// A page around `main`.
fn page(title: &str, version: &str, nonce: &str, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – Pomona" }
                // Keeps browsers from asking for an icon.
                link rel="icon" href="data:,";
                style nonce=(nonce) { (PreEscaped(STYLE)) }
                noscript { meta http-equiv="refresh" content="10"; }
            }
            body {
                header {
                    p.brand { a href="/" { "Pomona cluster" } }
                    h1 { bdi { (title) } }
                    p #live .bad role="status" {}
                }
                main { (main) }
                footer {
                    p { "Pomona " (version) ". Times are UTC. The same as JSON: " a href="/pomona/jobs" { "jobs" } ", "
                        a href="/pomona/executors" { "executors" } ", " a href="/pomona/scaling" { "scaling" } "; "
                        a href="/metrics" { "metrics" } " for Prometheus." }
                }
                script nonce=(nonce) { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// Executors, jobs that run, jobs that are over.
pub(crate) fn front(
    jobs: &[Arc<JobSummary>],
    executors: &[ExecutorSummary],
    scaling: &Scaling,
    version: &str,
    nonce: &str,
) -> Markup {
    let (open, over): (Vec<_>, Vec<_>) = jobs.iter().partition(|job| !job.state.is_over());
    let alive = executors
        .iter()
        .filter(|executor| executor.state == "alive")
        .count() as u64;
    let rates: f64 = open.iter().filter_map(|job| job.images_per_second).sum();
    let main = html! {
        section.headline aria-label="In short" {
            dl.tiles {
                (tile("Executors", &count(alive), Some(&format!("{} slots", count(scaling.slots))), alive == 0 && !open.is_empty()))
                (tile("Jobs running", &count(open.len() as u64), None, false))
                (tile("Shards in work", &count(scaling.running_tasks), Some(&format!("{} waiting", count(scaling.pending_tasks))), false))
                (tile("Photos per second", &rate(Some(rates)), None, false))
            }
        }
        section {
            h2 { "Running" }
            @if open.is_empty() { p.empty { "No job is running." } }
            ul.jobs { @for job in &open { (open_job(job)) } }
        }
        section {
            h2 { "Executors" }
            (executor_table(executors))
        }
        section {
            h2 { "Over" }
            (over_table(&over))
        }
    };
    page("Executors and jobs", version, nonce, &main)
}

/// For an identifier that nobody knows.
pub(crate) fn no_job(version: &str, nonce: &str) -> Markup {
    let main = html! {
        section { p.empty { "There is no such job, or it is too long ago." } p { a href="/" { "All jobs" } } }
    };
    page("No such job", version, nonce, &main)
}

/// One figure with its name, inside a list of class `tiles`.
fn tile(name: &str, value: &str, more: Option<&str>, is_bad: bool) -> Markup {
    html! {
        div .tile .bad[is_bad] {
            dt { (name) }
            dd { strong { (value) } @if let Some(more) = more { small { (more) } } }
        }
    }
}

/// How much of `total` is done and in work.
fn bar(done: u64, running: u64, total: u64) -> Markup {
    let share = |part: u64| {
        if total == 0 {
            0.0
        } else {
            (part as f64 / total as f64).min(1.0) * 100.0
        }
    };
    let (done, running) = (share(done), share(running));
    html! {
        svg.bar viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label={ (format!("{done:.0}")) " % done" } {
            rect.track width="100" height="8" {}
            rect.done width=(format!("{done:.2}")) height="8" {}
            rect.work x=(format!("{done:.2}")) width=(format!("{:.2}", running.min(100.0 - done))) height="8" {}
        }
    }
}

fn status(state: JobPhase) -> Markup {
    let tone = match state {
        JobPhase::Finished => "good",
        JobPhase::Failed => "bad",
        _ => "",
    };
    html! { span .status .(tone) { (state.word()) } }
}

/// A link to a job, by its name or, without one, its identifier.
fn link(job: &JobSummary) -> Markup {
    let name = if job.name.trim().is_empty() {
        &job.id
    } else {
        &job.name
    };
    html! { a href={ "/jobs/" (job.id) } { bdi { (shortened(name, 120)) } } }
}

fn money(job: &JobSummary) -> Option<String> {
    let cost = job.cost.as_ref()?;
    // Cents matter once there are some.
    let digits = if cost.amount < 1.0 { 4 } else { 2 };
    Some(format!("{:.digits$} {}", cost.amount, cost.currency))
}

fn open_job(job: &JobSummary) -> Markup {
    html! {
        li {
            h3 { (link(job)) " " (status(job.state)) }
            (bar(job.shards.done, job.shards.running, job.shards.total))
            (figures(job))
        }
    }
}

/// What there is to say of a job, in a line.
fn figures(job: &JobSummary) -> Markup {
    html! {
        p.figures {
            span { strong { (count(job.shards.done)) } " of " (count(job.shards.total)) " shards, " (count(job.shards.running)) " in work" }
            span { strong { (count(job.images.done)) } " photos" }
            @if job.images.failed > 0 { span.bad { (count(job.images.failed)) " failed" } }
            span { strong { (rate(job.images_per_second)) } " photos/s" }
            @if job.bytes_read > 0 { span { (bytes(job.bytes_read)) " read" } }
            @if let Some(left) = job.seconds_left { span { "about " strong { (seconds(left)) } " left" } }
            @if let Some(money) = money(job) { span { strong { (money) } " so far" } }
            @if job.shards.attempts_failed > 0 { span.bad { (count(job.shards.attempts_failed)) " attempts failed" } }
            @if !job.shards.set_aside.is_empty() { span.bad { (count(job.shards.set_aside.len() as u64)) " shards set aside" } }
        }
    }
}

fn executor_table(executors: &[ExecutorSummary]) -> Markup {
    if executors.is_empty() {
        return html! { p.empty { "No executor is there. Start one: " code { "pomona cluster executor --scheduler HOST:PORT" } } };
    }
    html! {
        div.scroll { table {
            thead { tr {
                th { "Executor" } th { "State" } th.number { "Slots" } th.wide { "In work" } th.number { "Tasks done" }
                th.number { "Photos" } th.number { "Hours of work" } th { "Last seen" }
            } }
            tbody { @for executor in executors.iter().take(EXECUTORS_SHOWN) { tr {
                th title=(executor.id) { bdi { (executor.host) ":" (executor.port) } }
                td { span .status .good[executor.state == "alive"] .bad[executor.state == "lost"] { (executor.state) } }
                td.number { (executor.slots) }
                td { (bar(0, u64::from(executor.slots.saturating_sub(executor.free)), u64::from(executor.slots))) }
                td.number { (count(executor.tasks_done)) }
                td.number { (count(executor.images)) }
                td.number { (format!("{:.2}", executor.busy_seconds / 3_600.0)) }
                td { (moment(executor.last_seen_ms)) }
            } } }
        } }
        @if executors.len() > EXECUTORS_SHOWN { p.empty { "… and " (count((executors.len() - EXECUTORS_SHOWN) as u64)) " more." } }
    }
}

fn over_table(jobs: &[&Arc<JobSummary>]) -> Markup {
    if jobs.is_empty() {
        return html! { p.empty { "No job has ended yet." } };
    }
    html! {
        div.scroll { table {
            thead { tr {
                th { "Job" } th { "State" } th { "Ended" } th.number { "Took" } th.number { "Shards" } th.number { "Photos" }
                th.number { "Failed" } th.number { "Photos/s" } th.number { "Cost" }
            } }
            tbody { @for job in jobs.iter().take(OVER_SHOWN) { tr {
                th { (link(job)) }
                td { (status(job.state)) }
                td { @if let Some(ended) = job.ended_ms { (moment(ended)) } }
                td.number { (seconds(job::took(job))) }
                td.number { (count(job.shards.done)) }
                td.number { (count(job.images.done)) }
                td.number { (count(job.images.failed)) }
                td.number { (rate(job.images_per_second)) }
                td.number { (money(job).unwrap_or_else(|| "–".to_owned())) }
            } } }
        } }
        @if jobs.len() > OVER_SHOWN { p.empty { "Older ones are in the JSON list." } }
    }
}
