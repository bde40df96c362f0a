//! What does a person type?

mod args;
mod cluster;
mod commands;
mod failure;
mod progress;
mod settings_file;
mod text;
mod traces;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::args::{Cli, Command};
use crate::failure::Failure;
use crate::progress::Reporter;
use crate::settings_file::{Parsed, SettingsError};
use crate::traces::Traces;

fn main() -> ExitCode {
    send_nothing();
    keep_memory();
    let parsed = match settings_file::parse(Cli::command(), std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(SettingsError::CommandLine(told)) => {
            let _ = told.print();
            // Help and version are asked for; anything else that was typed wrong is the input's fault.
            return ExitCode::from(u8::from(told.use_stderr()));
        }
        Err(error) => {
            let is_json = std::env::args_os().any(|word| word == "--json");
            let failure = Failure::from(error);
            Reporter::new(false, is_json).failure(&failure);
            return ExitCode::from(failure.exit_code());
        }
    };
    // Before anything else is looked at: required settings may be missing here.
    if parsed.show_settings {
        let is_json = matches!(parsed.matches.try_get_one::<bool>("json"), Ok(Some(true)));
        let text = if is_json {
            format!("{}\n", settings_file::show_json(&parsed))
        } else {
            settings_file::show(&parsed)
        };
        let _ = write!(std::io::stdout().lock(), "{text}");
        return ExitCode::SUCCESS;
    }
    let cli = match Cli::from_arg_matches(&parsed.matches) {
        Ok(cli) => cli,
        Err(told) => {
            let _ = told.format(&mut Cli::command()).print();
            return ExitCode::from(1);
        }
    };
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or_else(String::new, |at| format!(" ({}:{})", at.file(), at.line()));
        let _ = writeln!(
            std::io::stderr().lock(),
            "error: the program met something it does not expect{place}\nhint: please report this with the command \
             that led to it; nothing half-written was left under a finished name"
        );
    }));
    let reporter = Reporter::new(cli.output.quiet, cli.output.json);
    told_file(&parsed, &reporter);
    let name = parsed.matches.subcommand_name().unwrap_or_default();
    let traces = Traces::of(&cli.command, name, &reporter);
    let reporter = reporter.with_traces(traces.clone());
    let ended = catch_unwind(AssertUnwindSafe(|| dispatch(cli, &parsed, &reporter)));
    if let Some(traces) = traces {
        traces.end(match &ended {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure.causes.first().map_or("", String::as_str)),
            Err(_) => Some("the program met something it does not expect"),
        });
    }
    match ended {
        Ok(Ok(())) => ExitCode::SUCCESS,
        // What broke was told by the panic itself; the run folder holds nothing half-written.
        Err(_) => ExitCode::from(2),
        Ok(Err(failure)) => {
            reporter.failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Keeps memory that was freed for the next use. The C library gives large blocks back to the system at once and fetches
/// them again, zeroed page by page; batches of photos and features are such blocks, over and over.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_memory() {
    const LARGEST_KEPT_BYTES: libc::c_int = 32 << 20;
    const KEPT_BYTES: libc::c_int = 256 << 20;
    // SAFETY: the first thing the program does; no other thread allocates. A setting that is refused changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_BYTES);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn keep_memory() {}

/// Gives what was kept so back to the system, and keeps little from then on: what comes after the extraction needs other
/// blocks, on other threads: matrices, each of them once.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn give_back_memory() {
    const LARGEST_KEPT_BYTES: libc::c_int = 1 << 20;
    const KEPT_BYTES: libc::c_int = 16 << 20;
    // SAFETY: allowed at any time, from any thread.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_BYTES);
        libc::malloc_trim(0);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_back_memory() {}

/// Keeps ONNX Runtime from reporting to its maker: its official libraries do so by default, from the moment they are
/// loaded, and read from the environment whether they may.
#[expect(
    clippy::disallowed_methods,
    reason = "the library takes this setting from nowhere else in time"
)]
fn send_nothing() {
    // SAFETY: the first thing the program does; no other thread runs.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
}

/// Settings of a file that was not asked for should surprise nobody.
fn told_file(parsed: &Parsed, reporter: &Reporter) {
    let is_asked_for = matches!(
        parsed.matches.try_get_one::<std::path::PathBuf>("settings"),
        Ok(Some(_))
    );
    if let (Some(file), false) = (&parsed.file, is_asked_for) {
        reporter.say(&format!("settings from {}", file.display()));
    }
}

fn dispatch(cli: Cli, parsed: &Parsed, reporter: &Reporter) -> Result<(), Failure> {
    let store = &cli.store;
    let reporter = &reporter.with_stores(store)?;
    match cli.command {
        Command::Demo(args) => commands::demo::demo(&args, reporter),
        Command::Run(args) => commands::run::run(&args, &parsed.words, reporter),
        Command::Extract(args) => commands::extract::extract(&args, &parsed.words, reporter),
        Command::Fit(args) => commands::fit::fit(&args, reporter),
        Command::Reduce(args) => commands::reduce::reduce(&args, reporter),
        Command::Report(args) => commands::report::report(&args, reporter),
        Command::Plan(args) => commands::plan::plan(&args, &parsed.given(), reporter),
        Command::Status(args) => commands::status::status(&args, reporter),
        Command::Retry(args) => commands::retry::retry(&args, reporter),
        Command::Why(args) => commands::why::why(&args, reporter),
        Command::Forget(args) => commands::forget::forget(&args, reporter),
        Command::Clean(args) => commands::clean::clean(&args, reporter),
        Command::Pack(args) => commands::pack::pack(&args, reporter),
        Command::Backbones(args) => commands::backbones::backbones(&args, reporter),
        Command::Sql(args) => commands::sql::sql(&args, reporter),
        Command::Cluster(args) => commands::cluster::cluster(&args, reporter),
        Command::Completions(args) => commands::completions::completions(&args),
    }
}
