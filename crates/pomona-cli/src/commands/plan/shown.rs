//! A plan as text and as JSON.

use std::fmt::Write;

use pomona_forecast::{Forecast, Offer, PriceBook, Size};
use pomona_pipeline::Survey;
use serde_json::{Value, json};

use super::rehearsal::Rehearsed;
use crate::args::ForecastArgs;
use crate::text::{bytes, counted, euros, grouped, plain, seconds, table};

/// Everything that a plan says.
pub(super) struct Shown<'a> {
    pub(super) args: &'a ForecastArgs,
    pub(super) is_orb: bool,
    pub(super) survey: &'a Survey,
    pub(super) forecast: &'a Forecast,
    pub(super) rehearsed: &'a Rehearsed,
    pub(super) book: &'a PriceBook,
    /// What this machine's processor is, where the prices know it.
    pub(super) here: Option<&'a str>,
    pub(super) system: &'a str,
    pub(super) offers: &'a [Offer],
    pub(super) sizes: Option<&'a [Size]>,
    pub(super) shard_images: u32,
}

/// Now, RFC 3339 in UTC, to the second.
pub(super) fn now() -> String {
    let now = jiff::Timestamp::now();
    now.round(jiff::Unit::Second).unwrap_or(now).to_string()
}

impl Shown<'_> {
    pub(super) fn json(&self) -> Value {
        let forecast = self.forecast;
        let mut plan = json!({
            "event": "plan",
            "images": forecast.photos.images,
            "is_estimate": forecast.photos.is_estimate,
            "labels": self.survey.labels,
            "too_large": self.survey.too_large,
            "largest_bytes": self.survey.largest_bytes,
            "bytes_read": forecast.photos.bytes,
            "requests": forecast.photos.requests,
            "bytes_written": forecast.bytes_written,
            "feature_count": forecast.feature_count,
            "workers": forecast.workers,
            "total_secs": forecast.total_secs,
            "images_per_second": forecast.images_per_second,
            "stages": forecast.stages,
            "peak_memory_bytes": forecast.peak_memory_bytes,
            "limited_by": forecast.limit,
            "shard_images": self.shard_images,
            "cpu": self.system,
            "sample": {
                "images": self.survey.sample.len(),
                "bytes": self.survey.sample_bytes,
                "rehearsed_images": self.rehearsed.rehearsal.images,
            },
            "rehearsal": self.rehearsed.rehearsal,
            "machines": self.offers,
            "prices": {
                "dated": self.book.dated,
                "eur_dated": self.book.eur_dated,
                "sources": self.book.sources,
            },
            "notes": self.rehearsed.record.notes,
        });
        if let (Some(sizes), Value::Object(plan)) = (self.sizes, &mut plan) {
            plan.insert("sizes".to_owned(), json!(sizes));
        }
        plan
    }

    pub(super) fn text(&self) -> String {
        let mut text = self.here();
        text.push('\n');
        text.push_str(&self.there());
        if let Some(sizes) = self.sizes {
            text.push_str(&self.sized(sizes));
        }
        for note in &self.rehearsed.record.notes {
            let _ = writeln!(text, "note: {}", plain(note));
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// What is known of the photos and of a run here.
    fn here(&self) -> String {
        let (forecast, survey) = (self.forecast, self.survey);
        let about = if forecast.photos.is_estimate {
            "about "
        } else {
            ""
        };
        let labels = survey.labels.iter().filter(|(name, _)| !name.is_empty());
        let mut photos = format!(
            "{about}{} in {}, {about}{}, the largest {}",
            grouped(forecast.photos.images),
            counted(labels.count() as u64, "label"),
            bytes(forecast.photos.bytes),
            bytes(survey.largest_bytes),
        );
        if survey.too_large > 0 {
            let _ = write!(
                photos,
                "; {} larger than --max-bytes are left out",
                survey.too_large
            );
        }
        let features = if self.is_orb {
            format!("{} words a photo", forecast.feature_count)
        } else {
            format!("{} values a photo", forecast.feature_count)
        };
        let backbone = &self.rehearsed.record.backbone;
        let with: Vec<&str> = ["name", "engine"]
            .iter()
            .filter_map(|key| backbone.get(*key).map(String::as_str))
            .collect();
        let stages: Vec<String> = forecast
            .stages
            .iter()
            .map(|stage| format!("{} {}", stage.name, seconds(stage.secs)))
            .collect();
        let rows = [
            ("photos", photos),
            ("features", format!("{features} ({})", with.join(", "))),
            (
                "reads",
                format!(
                    "{about}{} in {about}{} requests",
                    bytes(forecast.photos.bytes),
                    grouped(forecast.photos.requests)
                ),
            ),
            ("writes", format!("about {}", bytes(forecast.bytes_written))),
            (
                "here",
                format!(
                    "{} with {} workers: {}; {:.0} photos a second, held up by {}",
                    seconds(forecast.total_secs),
                    forecast.workers,
                    stages.join(", "),
                    forecast.images_per_second,
                    forecast.limit.name(),
                ),
            ),
            ("memory", bytes(forecast.peak_memory_bytes)),
            (
                "shards",
                format!("--shard-images {} suits this", self.shard_images),
            ),
        ];
        let mut text = String::new();
        for (name, value) in rows {
            let _ = writeln!(text, "{name:9} {}", plain(&value));
        }
        text
    }

    /// Machines that can be rented.
    fn there(&self) -> String {
        if self.offers.is_empty() {
            return format!(
                "The prices know no machines for {}; name some with --machine.\n",
                self.args.region
            );
        }
        let mut offers: Vec<&Offer> = self.offers.iter().collect();
        let price = |offer: &Offer| offer.eur_spot.unwrap_or(offer.eur_on_demand);
        offers.sort_by(|one, other| price(one).total_cmp(&price(other)));
        let mut rows = vec![
            [
                "machines",
                "vCPUs",
                "time",
                "between",
                "on demand",
                "spot",
                "memory",
                "CO2",
                "held up by",
            ]
            .map(str::to_owned)
            .to_vec(),
        ];
        rows.extend(offers.iter().map(|offer| {
            vec![
                format!("{} × {}", offer.machines, plain(&offer.name)),
                offer.vcpus.to_string(),
                seconds(offer.total_secs),
                format!("{}–{}", seconds(offer.low_secs), seconds(offer.high_secs)),
                euros(offer.eur_on_demand),
                offer.eur_spot.map_or_else(|| "–".to_owned(), euros),
                if offer.fits_memory {
                    bytes(offer.peak_memory_bytes)
                } else {
                    format!("{} (too much)", bytes(offer.peak_memory_bytes))
                },
                offer
                    .co2_grams
                    .map_or_else(|| "–".to_owned(), |grams| format!("{grams:.1} g")),
                offer.limit.name().to_owned(),
            ]
        }));
        let mut text = table(1, &rows);
        let _ = writeln!(
            text,
            "Prices of {} and the euro of {}; a machine starts within {} s, which is counted.",
            self.book.dated,
            self.book.eur_dated,
            pomona_forecast::BOOT_SECS,
        );
        let _ = match self.here {
            Some(here) => writeln!(
                text,
                "Times elsewhere are translated from {here} by what the processors can do at most: a judgement, hence the range."
            ),
            None => writeln!(
                text,
                "The prices do not know this machine's processor ({}): times elsewhere are a rough guess.",
                plain(self.system)
            ),
        };
        text
    }

    /// How many machines meet the goal.
    fn sized(&self, sizes: &[Size]) -> String {
        let mut rows = vec![
            [
                "to meet it",
                "95 of 100 runs within",
                "on demand",
                "spot",
                "lost",
            ]
            .map(str::to_owned)
            .to_vec(),
        ];
        rows.extend(sizes.iter().map(|size| {
            vec![
                format!("{} × {}", size.offer.machines, plain(&size.offer.name)),
                seconds(size.secs_95),
                euros(size.offer.eur_on_demand),
                size.offer.eur_spot.map_or_else(|| "–".to_owned(), euros),
                format!("{:.1}", size.lost),
            ]
        }));
        let goal = match (self.args.within, self.args.budget_eur) {
            (Some(secs), _) => format!("done within {}", seconds(secs)),
            (None, Some(amount)) => format!("for at most {}", euros(amount)),
            (None, None) => String::new(),
        };
        if sizes.is_empty() {
            return String::new();
        }
        format!(
            "\nTo be {goal}, where {:.0} % of the machines are taken away in an hour:\n{}",
            self.args.lost_per_hour * 100.0,
            table(1, &rows)
        )
    }
}
