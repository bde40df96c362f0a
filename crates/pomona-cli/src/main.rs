//! What does a person type?

mod args;
mod commands;
mod failure;
mod progress;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::failure::Failure;
use crate::progress::Reporter;

fn main() -> ExitCode {
    send_nothing();
    keep_memory();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => {
            let _ = told.print();
            // Help and version are asked for; anything else that was typed wrong is the input's fault.
            return ExitCode::from(u8::from(told.use_stderr()));
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
    match catch_unwind(AssertUnwindSafe(|| dispatch(cli, &reporter))) {
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

fn dispatch(cli: Cli, reporter: &Reporter) -> Result<(), Failure> {
    match cli.command {
        Command::Demo(args) => commands::demo::demo(&args, reporter),
        Command::Run(args) => commands::run::run(&args, reporter),
        Command::Extract(args) => commands::extract::extract(&args, reporter),
        Command::Fit(args) => commands::fit::fit(&args, reporter),
        Command::Reduce(args) => commands::reduce::reduce(&args, reporter),
        Command::Report(args) => commands::report::report(&args, reporter),
        Command::Status(args) => commands::status::status(&args, reporter),
        Command::Why(args) => commands::why::why(&args, reporter),
        Command::Backbones(args) => commands::backbones::backbones(&args, reporter),
        Command::Sql(args) => commands::sql::sql(&args, reporter),
        Command::Completions(args) => commands::completions::completions(&args),
    }
}
