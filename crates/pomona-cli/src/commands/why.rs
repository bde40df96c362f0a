//! `pomona why`

use std::fmt::Write;

use pomona_pipeline::{Explanation, RunFolder};

use super::settings::context;
use crate::args::WhyArgs;
use crate::failure::Failure;
use crate::progress::Reporter;

pub(crate) fn why(args: &WhyArgs, reporter: &Reporter) -> Result<(), Failure> {
    let context = context(2, reporter)?;
    let found = context.runtimes.block_on(async {
        let place = context.stores.place(&args.run).await?;
        let folder = RunFolder::open(&place).await?;
        pomona_pipeline::why(&context, &folder, &args.path).await
    })?;
    let json = serde_json::to_value(&found).unwrap_or_default();
    reporter.result(told(&found).trim_end(), &json);
    Ok(())
}

fn told(found: &Explanation) -> String {
    let mut text = String::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(text, "{name:<14} {value}");
        }
    };
    put("path", Some(found.path.clone()));
    put("status", Some(found.status.clone()));
    put("reason", found.error.clone());
    put("what to do", found.advice.map(str::to_owned));
    put(
        "label",
        Some(
            found
                .label
                .clone()
                .unwrap_or_else(|| "none: the label rule gives none".to_owned()),
        ),
    );
    let size = found
        .width_px
        .zip(found.height_px)
        .map(|(width, height)| format!(", {width} × {height} px"));
    put(
        "size",
        Some(format!(
            "{} bytes{}",
            found.size_bytes,
            size.unwrap_or_default()
        )),
    );
    put("last modified", found.last_modified.clone());
    put("sha256", found.content_sha256.clone());
    put("shard", found.shard.map(|shard| shard.to_string()));
    put(
        "key points",
        found.keypoints.map(|keypoints| match keypoints {
            0 => "none: its features are zeros".to_owned(),
            some => some.to_string(),
        }),
    );
    let shown: Vec<String> = found
        .components
        .iter()
        .take(4)
        .map(|value| format!("{value:.3}"))
        .collect();
    put(
        "components",
        (!shown.is_empty()).then(|| {
            let more = if found.components.len() > shown.len() {
                ", …"
            } else {
                ""
            };
            format!("{} ({}{more})", found.components.len(), shown.join(", "))
        }),
    );
    text
}
