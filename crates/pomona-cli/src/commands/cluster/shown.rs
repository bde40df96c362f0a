//! Jobs and executors as text.

use std::fmt::Write;

use pomona_cluster::{ExecutorSummary, JobDetail, JobSummary};

use crate::text::{plain, seconds, table};

/// Cells of a bar of progress.
const BAR: usize = 30;
/// Executors and stages that are listed.
const LISTED: usize = 50;

fn rate(job: &JobSummary) -> String {
    job.images_per_second
        .map_or_else(|| "–".to_owned(), |rate| format!("{rate:.1}"))
}

fn cost(job: &JobSummary) -> Option<String> {
    let cost = job.cost.as_ref()?;
    // Cents matter once there are some.
    let digits = if cost.amount < 1.0 { 4 } else { 2 };
    Some(format!(
        "{:.digits$} {}",
        cost.amount,
        plain(&cost.currency)
    ))
}

fn name(job: &JobSummary) -> String {
    let name = plain(&job.name);
    match name.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", name.get(..at).unwrap_or_default()),
        None => name,
    }
}

/// How long a job ran, as far as it has.
fn took(job: &JobSummary) -> Option<f64> {
    let ended = job.ended_ms?;
    let from = job.started_ms.unwrap_or(job.queued_ms);
    Some(ended.saturating_sub(from) as f64 / 1_000.0)
}

/// Jobs, one a line.
pub(super) fn jobs(jobs: &[JobSummary]) -> String {
    if jobs.is_empty() {
        return "no job yet\n".to_owned();
    }
    let head = [
        "job", "state", "name", "shards", "photos", "failed", "photos/s", "took", "cost",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(jobs.iter().map(|job| {
        vec![
            plain(&job.id),
            job.state.word().to_owned(),
            name(job),
            format!("{}/{}", job.shards.done, job.shards.total),
            job.images.done.to_string(),
            job.images.failed.to_string(),
            rate(job),
            took(job).map_or_else(|| "–".to_owned(), seconds),
            cost(job).unwrap_or_else(|| "–".to_owned()),
        ]
    }));
    table(3, &rows)
}

/// Executors, one a line.
pub(super) fn executors(executors: &[ExecutorSummary]) -> String {
    if executors.is_empty() {
        return "no executor is there\n".to_owned();
    }
    let head = ["executor", "state", "slots", "free", "tasks done", "photos"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(executors.iter().take(LISTED).map(|executor| {
        vec![
            format!("{}:{}", plain(&executor.host), executor.port),
            plain(&executor.state),
            executor.slots.to_string(),
            executor.free.to_string(),
            executor.tasks_done.to_string(),
            executor.images.to_string(),
        ]
    }));
    let mut text = table(2, &rows);
    if executors.len() > LISTED {
        let _ = writeln!(text, "… and {} more", executors.len() - LISTED);
    }
    text
}

/// One line about how far a job is.
pub(super) fn line(job: &JobSummary) -> String {
    let mut text = format!(
        "{}: {} of {} shards, {} photos",
        job.state.word(),
        job.shards.done,
        job.shards.total,
        job.images.done
    );
    if job.images.failed > 0 {
        let _ = write!(text, ", {} failed", job.images.failed);
    }
    if let Some(rate) = job.images_per_second {
        let _ = write!(text, ", {rate:.1} photos/s");
    }
    if let Some(left) = job.seconds_left {
        let _ = write!(text, ", about {} left", seconds(left));
    }
    if let Some(cost) = cost(job) {
        let _ = write!(text, ", {cost}");
    }
    text
}

fn bar(job: &JobSummary) -> String {
    let cells = |part: u64| {
        let part = part.min(job.shards.total) as f64;
        (part / job.shards.total.max(1) as f64 * BAR as f64).floor() as usize
    };
    let done = cells(job.shards.done);
    let running = cells(job.shards.done + job.shards.running).max(done) - done;
    format!(
        "[{}{}{}]",
        "#".repeat(done),
        "-".repeat(running),
        " ".repeat(BAR.saturating_sub(done + running))
    )
}

/// Everything about one job.
pub(super) fn detail(detail: &JobDetail) -> String {
    let job = &detail.summary;
    let mut text = String::new();
    let mut put = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<10} {value}");
    };
    put("job", &plain(&job.id));
    if !job.name.is_empty() {
        put("name", &name(job));
    }
    put("progress", &format!("{} {}", bar(job), line(job)));
    if let Some(took) = took(job) {
        put("took", &seconds(took));
    }
    if job.shards.attempts_failed > 0 {
        put(
            "attempts",
            &format!("{} failed", job.shards.attempts_failed),
        );
    }
    if !job.shards.set_aside.is_empty() {
        let shards: Vec<String> = job
            .shards
            .set_aside
            .iter()
            .take(LISTED)
            .map(u32::to_string)
            .collect();
        put("set aside", &format!("shards {}", shards.join(", ")));
    }
    if let Some(error) = &job.error {
        put("error", &plain(error));
    }
    if !detail.stages.is_empty() {
        let head = ["stage", "state", "done", "running", "of", "time", "work"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(detail.stages.iter().take(LISTED).map(|stage| {
            vec![
                stage.id.to_string(),
                plain(&stage.state),
                stage.done.to_string(),
                stage.running.to_string(),
                stage.tasks.to_string(),
                seconds(stage.seconds),
                seconds(stage.busy_seconds),
            ]
        }));
        let _ = write!(text, "\n{}", table(2, &rows));
    }
    if !detail.executors.is_empty() {
        let head = ["executor", "tasks done", "running", "photos", "work"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(detail.executors.iter().take(LISTED).map(|executor| {
            vec![
                format!("{} {}", plain(&executor.host), short(&executor.id)),
                executor.tasks_done.to_string(),
                executor.tasks_running.to_string(),
                executor.images.to_string(),
                seconds(executor.busy_seconds),
            ]
        }));
        let _ = write!(text, "\n{}", table(1, &rows));
    }
    text
}

/// The beginning of an identifier, which tells executors of one host apart.
fn short(id: &str) -> String {
    plain(id).chars().take(8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_elsewhere_does_not_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\r\nc\u{9b}d"), "a [2Jb  c d");
    }

    #[test]
    fn columns() {
        let rows = [
            vec!["é".to_owned(), "1".to_owned()],
            vec!["abc".to_owned(), "100".to_owned()],
        ];
        assert_eq!(table(1, &rows), "é      1\nabc  100\n");
    }
}
