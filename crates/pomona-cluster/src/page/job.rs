//! A job's own page.

use maud::{Markup, html};

use super::text::{count, moment, rate, seconds};
use super::{bar, figures, money, page, status, tile};
use crate::summary::{
    ExecutorShare, JobDetail, JobPhase, JobSummary, OperatorSums, StageSummary, shortened,
};

/// Executors in the list.
const EXECUTORS_SHOWN: usize = 200;

/// Seconds from the start to the end, or of waiting where it never started.
pub(super) fn took(job: &JobSummary) -> f64 {
    let from = job.started_ms.unwrap_or(job.queued_ms);
    job.ended_ms.unwrap_or(from).saturating_sub(from) as f64 / 1_000.0
}

/// Everything about one job.
pub(crate) fn job(detail: &JobDetail, version: &str, nonce: &str) -> Markup {
    let job = &detail.summary;
    let title = if job.name.trim().is_empty() {
        &job.id
    } else {
        &job.name
    };
    let main = html! {
        section.headline aria-label="In short" {
            dl.tiles {
                (tile("Photos", &count(job.images.done), None, false))
                (tile("Failed", &count(job.images.failed), None, job.images.failed > 0))
                (tile("Photos per second", &rate(job.images_per_second), None, false))
                @if let Some(left) = job.seconds_left { (tile("Left", &seconds(left), None, false)) }
                @if job.state.is_over() { (tile("Took", &seconds(took(job)), None, false)) }
                @if let Some(money) = money(job) {
                    (tile("Cost", &money, Some(&format!("{:.2} executor hours", job.executor_seconds / 3_600.0)), false))
                }
            }
        }
        section {
            h2 { "Progress " (status(job.state)) }
            (bar(job.shards.done, job.shards.running, job.shards.total))
            (figures(job))
            p.figures {
                span { "Job " code { (job.id) } }
                span { "accepted " (moment(job.queued_ms)) }
                @if let Some(started) = job.started_ms { span { "started " (moment(started)) } }
                @if let Some(ended) = job.ended_ms { span { "ended " (moment(ended)) } }
            }
            @if !job.shards.set_aside.is_empty() {
                p.bad { "Set aside, since executors were lost over them: shards "
                    (job.shards.set_aside.iter().take(100).map(u32::to_string).collect::<Vec<_>>().join(", "))
                    @if job.shards.set_aside.len() > 100 { " …" } }
            }
        }
        @if let (JobPhase::Failed, Some(error)) = (job.state, &job.error) {
            section { h2 { "Why it failed" } pre { (error) } }
        }
        section { h2 { "Stages" } (stages(&detail.stages)) }
        section { h2 { "Executors" } (executors(&detail.executors)) }
    };
    page(&shortened(title, 120), version, nonce, &main)
}

fn stages(stages: &[StageSummary]) -> Markup {
    if stages.is_empty() {
        return html! { p.empty { "Nothing is known of its stages." } };
    }
    html! {
        div.scroll { table {
            thead { tr {
                th { "Stage" } th { "State" } th.wide { "Progress" } th.number { "Done" } th.number { "In work" }
                th.number { "Of" } th.number { "Time" } th.number { "Work" }
            } }
            tbody { @for stage in stages { tr {
                th { (stage.id) }
                td { span .status .good[stage.state == "finished"] .bad[stage.state == "failed"] { (stage.state) } }
                td { (bar(stage.done, stage.running, stage.tasks)) }
                td.number { (count(stage.done)) }
                td.number { (count(stage.running)) }
                td.number { @if stage.tasks > 0 { (count(stage.tasks)) } @else { "?" } }
                td.number { (seconds(stage.seconds)) }
                td.number { (seconds(stage.busy_seconds)) }
            } } }
        } }
        @for stage in stages.iter().filter(|stage| !stage.operators.is_empty()) {
            details id={ "operators-" (stage.id) } { summary { "What the operators of stage " (stage.id) " counted" } (operators(&stage.operators)) }
        }
    }
}

fn operators(operators: &[OperatorSums]) -> Markup {
    html! {
        div.scroll { table {
            tbody { @for operator in operators { tr {
                th { code { (operator.name) } }
                td { @for (name, value) in &operator.metrics {
                    span { (name.replace('_', " ")) " " (number(name, *value)) } br;
                } }
            } } }
        } }
    }
}

fn number(name: &str, value: f64) -> String {
    if name.ends_with("_seconds") {
        format!("{value:.2}")
    } else {
        count(value.max(0.0).round() as u64)
    }
}

fn executors(executors: &[ExecutorShare]) -> Markup {
    if executors.is_empty() {
        return html! { p.empty { "No executor has done anything for it yet." } };
    }
    let most = executors
        .iter()
        .map(|executor| executor.tasks_done + executor.tasks_running)
        .max()
        .unwrap_or(0);
    html! {
        div.scroll { table {
            thead { tr {
                th { "Executor" } th.wide { "Share" } th.number { "Tasks done" } th.number { "In work" } th.number { "Photos" }
                th.number { "Work" }
            } }
            tbody { @for executor in executors.iter().take(EXECUTORS_SHOWN) { tr {
                th title=(executor.id) { bdi { (executor.host) } " " code { (executor.id.chars().take(8).collect::<String>()) } }
                td { (bar(executor.tasks_done, executor.tasks_running, most)) }
                td.number { (count(executor.tasks_done)) }
                td.number { (count(executor.tasks_running)) }
                td.number { (count(executor.images)) }
                td.number { (seconds(executor.busy_seconds)) }
            } } }
        } }
    }
}
