//! Time and money: before a run, and during it.

use std::path::PathBuf;

use clap::Args;

use super::{FitOptions, KeyPointArgs, ListingArgs, NetworkArgs};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pomona plan PHOTOS
  pomona plan s3://bucket/photos --out s3://bucket/run --machine c7g.xlarge,c7a.4xlarge
  pomona plan PHOTOS --within 1h
  pomona plan PHOTOS --budget-eur 5 --features orb --words 48
  pomona plan PHOTOS --json | jq '.machines[] | [.name, .total_secs, .eur_spot]'

It lists the photos, reads at most a hundredth of their bytes, does a small run with them on this machine, twice, in a
temporary folder, and forecasts the rest. With --out, the run there says afterwards how the forecast came true.")]
pub(crate) struct PlanArgs {
    /// Folder or URL of photos, as for `run`.
    pub(crate) photos: PathBuf,
    /// Folder or URL that the run will have: looked at for room, and given the forecast.
    #[arg(long, value_name = "RUN")]
    pub(crate) out: Option<PathBuf>,
    /// Fitted model that the run will use.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) forecast: ForecastArgs,
    #[command(flatten)]
    pub(crate) listing: ListingArgs,
    #[command(flatten)]
    pub(crate) keypoints: KeyPointArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) fit: FitOptions,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Forecast")]
pub(crate) struct ForecastArgs {
    /// Machine types to forecast for, such as c7g.xlarge,c7a.4xlarge.  [default: some of the region's]
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    pub(crate) machine: Vec<String>,
    /// Region of the machines.
    #[arg(long, value_name = "NAME", default_value = "eu-west-3")]
    pub(crate) region: String,
    /// How many of each.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) cluster_size: u32,
    /// Say how many machines are done within this time, such as 90s, 45m or 1h.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) within: Option<f64>,
    /// Say how many machines so many euros pay for, and how long they take.
    #[arg(long, value_name = "EUR", value_parser = euros, conflicts_with = "within")]
    pub(crate) budget_eur: Option<f64>,
    /// Share of spot machines that is taken away in an hour, for --within and --budget-eur.
    #[arg(long, value_name = "SHARE", default_value_t = pomona_forecast::LOST_PER_HOUR, value_parser = lost)]
    pub(crate) lost_per_hour: f64,
    /// Prices to use instead of those in the program: a TOML file of the shape that docs/cost.md shows.
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
    /// Most photos to fetch for the measurement.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(8..=10_000))]
    pub(crate) sample: u32,
    /// Threads that the run will work with.  [default: the machine's cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) workers: Option<u32>,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Bounds")]
pub(crate) struct BoundArgs {
    /// Begin no new shard after so many minutes; the same command goes on later. Exit status 1.
    #[arg(long, value_name = "N", value_parser = minutes)]
    pub(crate) max_minutes: Option<f64>,
    /// The same once so many euros are spent: needs --price-per-hour here, or on a cluster the scheduler's price in EUR.
    #[arg(long, value_name = "EUR", value_parser = euros)]
    pub(crate) max_eur: Option<f64>,
    /// What an hour of this machine costs, to tell what was spent.
    #[arg(long, value_name = "EUR", value_parser = euros, conflicts_with = "cluster")]
    pub(crate) price_per_hour: Option<f64>,
}

/// Seconds of a time such as `90s`, `45m`, `1.5h`.
fn time(text: &str) -> Result<f64, String> {
    const UNITS: [(char, f64); 4] = [('s', 1.0), ('m', 60.0), ('h', 3600.0), ('d', 86_400.0)];
    UNITS
        .iter()
        .find_map(|(unit, secs)| {
            let number: f64 = text.strip_suffix(*unit)?.trim().parse().ok()?;
            Some(number * secs)
        })
        .filter(|secs| secs.is_finite() && *secs > 0.0)
        .ok_or_else(|| "a time is a number with s, m, h or d, such as 45m".to_owned())
}

fn minutes(text: &str) -> Result<f64, String> {
    positive(text).ok_or_else(|| "minutes are a number above 0, such as 30".to_owned())
}

fn euros(text: &str) -> Result<f64, String> {
    positive(text).ok_or_else(|| "an amount is a number above 0, such as 0.17".to_owned())
}

fn lost(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=100.0).contains(&share) => Ok(share),
        _ => Err("machines lost an hour are a share such as 0.05".to_owned()),
    }
}

fn positive(text: &str) -> Option<f64> {
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number > 0.0 && *number <= 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(time("90s"), Ok(90.0));
        assert_eq!(time("45m"), Ok(2_700.0));
        assert_eq!(time("1.5h"), Ok(5_400.0));
        assert_eq!(time("2d"), Ok(172_800.0));
        for wrong in ["", "5", "h", "-1h", "0s", "NaNh", "1 h 5 m", "infs"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn amounts_are_above_nothing() {
        assert_eq!(euros("0.17"), Ok(0.17));
        for wrong in ["0", "-1", "five", "inf", "NaN"] {
            assert!(euros(wrong).is_err(), "{wrong}");
        }
    }
}
