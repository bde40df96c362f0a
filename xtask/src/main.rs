//! Chores of this repository.
//!
//! `cargo xtask figures [NAME…]` measures what `docs/benchmarks.md` reports, each figure against its rival in one
//! run. It builds the `pomona` binary and runs it as a process, as a person does; the rivals are Python programs in
//! an environment of their own below the user's cache. Exit status 1 where a figure misses what it must reach.

mod bucket;
mod cluster;
mod figures;
mod place;
mod process;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let told = match arguments.split_first() {
        Some((chore, names)) if chore == "figures" => figures::run(names),
        _ => {
            process::say(&format!(
                "cargo xtask figures [NAME…]\n\nNames: {}.\nWithout a name: all but `build`, which takes half an hour.",
                figures::names().join(", ")
            ));
            return ExitCode::from(u8::from(!arguments.is_empty()));
        }
    };
    match told {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            process::say(&format!("error: {error:#}"));
            ExitCode::from(2)
        }
    }
}
