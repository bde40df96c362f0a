//! `pomona status`

use std::fmt::Write;

use pomona_pipeline::{RunFolder, RunStatus};

use super::settings::context;
use crate::args::StatusArgs;
use crate::failure::Failure;
use crate::progress::Reporter;

pub(crate) fn status(args: &StatusArgs, reporter: &Reporter) -> Result<(), Failure> {
    let context = context(2, reporter)?;
    let found = context.runtimes.block_on(async {
        let place = context.stores.place(&args.run).await?;
        let folder = RunFolder::open(&place).await?;
        pomona_pipeline::status(&context, &folder).await
    })?;
    let json = serde_json::to_value(&found).unwrap_or_default();
    reporter.result(told(&found).trim_end(), &json);
    Ok(())
}

fn told(found: &RunStatus) -> String {
    let mut text = String::new();
    let mut put = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<14} {value}");
    };
    match &found.finished {
        Some(when) if found.is_finished => put("state", &format!("finished at {when}")),
        Some(when) => put(
            "state",
            &format!("extracted at {when}; no report was made: `pomona run` goes on with it"),
        ),
        None => put(
            "state",
            "not finished: the command it was begun with goes on with it",
        ),
    }
    match found.shards {
        Some(shards) => put("shards", &format!("{} of {shards} done", found.shards_done)),
        None => put(
            "shards",
            &format!("{} done; not all photos are listed", found.shards_done),
        ),
    }
    let counts: Vec<String> = found
        .counts
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(status, count)| format!("{count} {status}"))
        .collect();
    if !counts.is_empty() {
        put("images", &counts.join(", "));
    }
    if !found.stages.is_empty() {
        put("stages", &found.stages.join(", "));
    }
    for (name, value) in &found.begun_with {
        put(name, value);
    }
    text
}
