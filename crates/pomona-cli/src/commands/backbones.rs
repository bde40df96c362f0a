//! `pomona backbones`

use std::fmt::Write;

use pomona_pipeline::assets::{BackboneState, add_backbone, list_backbones, open_backbone};
use pomona_vision::{Layout, Network, NetworkOptions};
use serde_json::{Value, json};

use super::settings::normalise;
use crate::args::{BackbonesAddArgs, BackbonesArgs, BackbonesCommand, BackbonesShowArgs};
use crate::failure::Failure;
use crate::progress::Reporter;

pub(crate) fn backbones(args: &BackbonesArgs, reporter: &Reporter) -> Result<(), Failure> {
    match &args.command {
        BackbonesCommand::List => list(reporter),
        BackbonesCommand::Add(args) => add(args, reporter),
        BackbonesCommand::Show(args) => show(args, reporter),
    }
}

fn list(reporter: &Reporter) -> Result<(), Failure> {
    let mut text = format!("{:<22} {:<38} {:>9}  licence", "name", "where", "size");
    let mut rows = Vec::new();
    for backbone in list_backbones()? {
        let place = match backbone.state {
            BackboneState::Builtin => "inside the program",
            BackboneState::Cached => "in the cache",
            BackboneState::Damaged => "in the cache, damaged: remove the file",
            BackboneState::Remote => "fetched when first used",
            BackboneState::Added => "added by you",
        };
        let _ = write!(
            text,
            "\n{:<22} {place:<38} {:>6.1} MB  {}",
            backbone.name,
            backbone.bytes as f64 / 1e6,
            backbone.license.unwrap_or("yours")
        );
        rows.push(json!({
            "name": backbone.name,
            "where": place,
            "path": backbone.path,
            "bytes": backbone.bytes,
            "license": backbone.license,
        }));
    }
    reporter.result(&text, &Value::from(rows));
    Ok(())
}

fn add(args: &BackbonesAddArgs, reporter: &Reporter) -> Result<(), Failure> {
    let preprocessing = args.normalise.as_deref().map(normalise).transpose()?;
    let network = add_backbone(
        &args.name,
        &args.file,
        preprocessing.as_ref(),
        args.layer.as_deref(),
    )?;
    describe(&network, reporter);
    Ok(())
}

fn show(args: &BackbonesShowArgs, reporter: &Reporter) -> Result<(), Failure> {
    let options = NetworkOptions {
        layer: args.layer.clone(),
        preprocessing: args.normalise.as_deref().map(normalise).transpose()?,
    };
    describe(&open_backbone(&args.name, &options)?, reporter);
    Ok(())
}

fn describe(network: &Network, reporter: &Reporter) {
    for warning in network.warnings() {
        reporter.say(&format!("note: {warning}"));
    }
    let input = network.input();
    let layout = match input.layout {
        Layout::Nchw => "NCHW",
        Layout::Nhwc => "NHWC",
    };
    let preprocessing = network.preprocessing();
    let text = format!(
        "name           {}\nsha256         {}\ninput          {layout}, {} × {} px (height × width)\n\
         normalisation  (pixel − {:?}) / {:?}\nlayer          {}\nfeatures       {}",
        network.name(),
        network.hash(),
        input.height,
        input.width,
        preprocessing.mean,
        preprocessing.deviation,
        network.layer(),
        network.feature_count(),
    );
    let json = json!({
        "name": network.name(),
        "sha256": network.hash(),
        "layout": layout,
        "height_px": input.height,
        "width_px": input.width,
        "preprocessing": preprocessing,
        "layer": network.layer(),
        "features": network.feature_count(),
        "warnings": network.warnings(),
    });
    reporter.result(&text, &json);
}
