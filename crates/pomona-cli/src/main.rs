//! What does a person type?

mod args;
mod commands;
mod failure;
mod progress;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::failure::Failure;
use crate::progress::Reporter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let reporter = Reporter::new(cli.output.quiet, cli.output.json);
    match dispatch(cli, &reporter) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            reporter.failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn dispatch(cli: Cli, reporter: &Reporter) -> Result<(), Failure> {
    match cli.command {
        Command::Demo(args) => commands::demo::demo(&args, reporter),
        Command::Run(args) => commands::run::run(&args, reporter),
        Command::Extract(args) => commands::extract::extract(&args, reporter),
        Command::Fit(args) => commands::fit::fit(&args, reporter),
        Command::Reduce(args) => commands::reduce::reduce(&args, reporter),
        Command::Report(args) => commands::report::report(&args, reporter),
        Command::Why(args) => commands::why::why(&args, reporter),
        Command::Backbones(args) => commands::backbones::backbones(&args, reporter),
        Command::Sql(args) => commands::sql::sql(&args, reporter),
        Command::Completions(args) => commands::completions::completions(&args),
    }
}
