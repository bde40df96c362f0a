//! What a person, or a program, is shown while a command works.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use pomona_pipeline::{CodebookPass, Event, Observer, Progress};
use pomona_store::{Encryption, StoreSettings};

use crate::args::{EncryptionArg, StoreArgs};
use crate::failure::Failure;
use crate::traces::Traces;

/// Time between two lines of progress where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Says one line, from any thread.
pub(crate) type Teller = Arc<dyn Fn(&str) + Send + Sync>;

/// Writes events to the standard error, in the way that was asked for.
#[derive(Clone)]
pub(crate) struct Reporter {
    style: Style,
    stores: StoreSettings,
    traces: Option<Traces>,
}

#[derive(Clone)]
enum Style {
    Quiet,
    Json,
    Terminal(Arc<Mutex<Bar>>),
    Lines(Arc<Mutex<Option<Instant>>>),
}

#[derive(Default)]
struct Bar {
    bar: Option<ProgressBar>,
}

impl Reporter {
    /// `quiet` says only what went wrong; `json` gives one event a line.
    pub(crate) fn new(quiet: bool, json: bool) -> Self {
        let style = if json {
            Style::Json
        } else if quiet {
            Style::Quiet
        } else if std::io::stderr().is_terminal() {
            Style::Terminal(Arc::default())
        } else {
            Style::Lines(Arc::default())
        };
        Self {
            style,
            stores: StoreSettings::default(),
            traces: None,
        }
    }

    /// The same, with spans of the stages that it is told of.
    pub(crate) fn with_traces(self, traces: Option<Traces>) -> Self {
        Self { traces, ..self }
    }

    /// The spans of this process.
    pub(crate) fn traces(&self) -> Option<&Traces> {
        self.traces.as_ref()
    }

    /// The same for a command that opens places with these settings.
    pub(crate) fn with_stores(&self, args: &StoreArgs) -> Result<Self, Failure> {
        let encryption = match (args.encryption, &args.kms_key) {
            (None, None) => Encryption::Default,
            (Some(EncryptionArg::Aes256), None) => Encryption::Aes256,
            (Some(EncryptionArg::Kms), Some(key)) => Encryption::Kms { key: key.clone() },
            (Some(EncryptionArg::Kms), None) => {
                return Err(Failure::input(
                    "--encryption kms needs the key's identifier: --kms-key ID",
                ));
            }
            (_, Some(_)) => {
                return Err(Failure::input("--kms-key is for --encryption kms"));
            }
        };
        Ok(Self {
            stores: StoreSettings {
                allowed_regions: args.allowed_region.clone(),
                encryption,
            },
            ..self.clone()
        })
    }

    /// The same, where nothing was asked for about places.
    pub(crate) fn or_stores(&self, args: &StoreArgs) -> Result<Self, Failure> {
        if self.stores == StoreSettings::default() {
            self.with_stores(args)
        } else {
            Ok(self.clone())
        }
    }

    /// What places are opened with.
    pub(crate) fn stores(&self) -> &StoreSettings {
        &self.stores
    }

    /// Whether events are to be JSON.
    pub(crate) fn is_json(&self) -> bool {
        matches!(self.style, Style::Json)
    }

    /// One line about what was done, unless quiet.
    pub(crate) fn say(&self, text: &str) {
        match &self.style {
            Style::Quiet | Style::Json => {}
            Style::Terminal(bar) => {
                clear(bar);
                line(text);
            }
            Style::Lines(_) => line(text),
        }
    }

    /// Says what changes no numbers from elsewhere: an event where events are JSON, else a line unless quiet.
    pub(crate) fn teller(&self) -> Teller {
        let reporter = self.clone();
        Arc::new(move |text| {
            if reporter.is_json() {
                reporter.event(&Event::Note {
                    text: text.to_owned(),
                });
            } else {
                reporter.say(&crate::text::plain(text));
            }
        })
    }

    /// The last word of a command, as a JSON event or as the given text on the standard output.
    pub(crate) fn result(&self, text: &str, json: &serde_json::Value) {
        let text = if self.is_json() {
            json.to_string()
        } else {
            text.to_owned()
        };
        if let Style::Terminal(bar) = &self.style {
            clear(bar);
        }
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }

    /// Why a command failed.
    pub(crate) fn failure(&self, failure: &Failure) {
        match &self.style {
            Style::Json => line(
                &serde_json::json!({"event": "error", "causes": failure.causes, "hint": failure.hint}).to_string(),
            ),
            style => {
                if let Style::Terminal(bar) = style {
                    clear(bar);
                }
                let mut causes = failure.causes.iter();
                line(&format!("error: {}", causes.next().map_or("", String::as_str)));
                for cause in causes {
                    line(&format!("  because: {cause}"));
                }
                if let Some(hint) = &failure.hint {
                    line(&format!("hint: {hint}"));
                }
            }
        }
    }
}

impl Observer for Reporter {
    fn event(&self, event: &Event) {
        if let Event::StageFinished {
            stage: "extract", ..
        } = event
        {
            crate::give_back_memory();
        }
        if let Some(traces) = &self.traces {
            traces.event(event);
        }
        match &self.style {
            Style::Quiet => {
                // What changes the numbers is said even then.
                if let Event::Note { text } = event {
                    line(&format!("note: {text}"));
                }
            }
            Style::Json => {
                if let Ok(text) = serde_json::to_string(event) {
                    line(&text);
                }
            }
            Style::Terminal(bar) => show(bar, event),
            Style::Lines(last) => lines(last, event),
        }
    }
}

fn line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

fn clear(bar: &Mutex<Bar>) {
    if let Some(bar) = bar
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .bar
        .take()
    {
        bar.finish_and_clear();
    }
}

fn show(bar: &Mutex<Bar>, event: &Event) {
    match event {
        Event::StageStarted { stage } => {
            clear(bar);
            let spinner = ProgressBar::new_spinner();
            spinner.enable_steady_tick(Duration::from_millis(120));
            spinner.set_message(format!("{stage} …"));
            bar.lock().unwrap_or_else(PoisonError::into_inner).bar = Some(spinner);
        }
        Event::Progress(progress) => {
            let guard = bar.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(shown) = &guard.bar else {
                return;
            };
            if progress.listing_ended {
                if shown.length().is_none()
                    && let Ok(style) = ProgressStyle::with_template("{bar:30.green/dim} {msg}")
                {
                    shown.set_style(style);
                }
                shown.set_length(progress.listed);
            }
            shown.set_position(progress.done + progress.failed);
            shown.set_message(told(progress));
        }
        Event::StageFinished {
            stage,
            seconds,
            items,
        } => {
            clear(bar);
            line(&finished(stage, *seconds, *items));
        }
        Event::CodebookPass(pass) => {
            let guard = bar.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(shown) = &guard.bar {
                shown.set_message(passed(pass));
            }
        }
        Event::Note { text } => {
            let guard = bar.lock().unwrap_or_else(PoisonError::into_inner);
            match &guard.bar {
                Some(shown) => shown.suspend(|| line(&format!("note: {text}"))),
                None => line(&format!("note: {text}")),
            }
        }
        _ => {}
    }
}

fn lines(last: &Mutex<Option<Instant>>, event: &Event) {
    match event {
        Event::Progress(progress) => {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            let began = last.get_or_insert_with(Instant::now);
            if began.elapsed() >= LINE_EVERY {
                *began = Instant::now();
                line(&told(progress));
            }
        }
        Event::StageFinished {
            stage,
            seconds,
            items,
        } => line(&finished(stage, *seconds, *items)),
        Event::CodebookPass(pass) => {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            let began = last.get_or_insert_with(Instant::now);
            // The first pass tells where the codebook starts from.
            if pass.report.pass == 1 || began.elapsed() >= LINE_EVERY {
                *began = Instant::now();
                line(&passed(pass));
            }
        }
        Event::Note { text } => line(&format!("note: {text}")),
        _ => {}
    }
}

fn passed(pass: &CodebookPass) -> String {
    let CodebookPass { report, of, .. } = pass;
    let per_row = report.inertia / report.rows.max(1) as f64;
    let moved = match report.moved_share {
        Some(share) => format!(", {:.1} % of them moved", share * 100.0),
        None => String::new(),
    };
    let empty = match report.empty_clusters {
        0 => String::new(),
        words => format!(", {words} words empty"),
    };
    format!(
        "codebook: pass {} of at most {of}, inertia {:.4e} ({per_row:.1} a descriptor){moved}{empty}",
        report.pass, report.inertia
    )
}

fn finished(stage: &str, seconds: f64, items: u64) -> String {
    format!("{stage:<8} {items:>9}  in {seconds:.2} s")
}

fn told(progress: &Progress) -> String {
    let Progress {
        done,
        failed,
        listed,
        listing_ended,
        per_second,
        ..
    } = progress;
    let of = if *listing_ended {
        format!("of {listed}")
    } else {
        format!("of {listed} so far")
    };
    let failed = if *failed > 0 {
        format!(", {failed} failed")
    } else {
        String::new()
    };
    let left = match progress.seconds_left {
        Some(seconds) if *listing_ended => format!(", {} left", duration(seconds)),
        _ => String::new(),
    };
    let limit = match progress.limited_by {
        "fetching" => ", waiting for files",
        "preparing" => ", limited by decoding",
        "keypoints" => ", limited by finding key points",
        _ => ", limited by the network's arithmetic",
    };
    let network = match (progress.sent_again, progress.throttled) {
        (0, _) => String::new(),
        (again, 0) => format!(", {again} requests sent again"),
        (again, throttled) => format!(", {again} requests sent again ({throttled} throttled)"),
    };
    let spent = progress.spent.as_ref().map_or_else(String::new, |spent| {
        format!(", {:.4} {} so far", spent.amount, spent.currency)
    });
    format!("{done} {of} images{failed}, {per_second:.0}/s{left}{limit}{network}{spent}")
}

fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_tells_rate_failures_and_time_left() {
        let mut progress = Progress {
            done: 90,
            failed: 10,
            listed: 400,
            per_second: 50.0,
            limited_by: "network",
            ..Progress::default()
        };
        assert_eq!(
            told(&progress),
            "90 of 400 so far images, 10 failed, 50/s, limited by the network's arithmetic"
        );
        progress.listing_ended = true;
        progress.seconds_left = Some(3700.4);
        assert!(told(&progress).contains("50/s, 1 h 1 min left"));
        (progress.sent_again, progress.throttled) = (7, 5);
        assert!(told(&progress).ends_with("arithmetic, 7 requests sent again (5 throttled)"));
    }
}
