//! `pomona cluster certificates`

use pomona_cluster::{hosts_without_certificate, make_certificates};
use serde_json::json;

use crate::args::CertificatesArgs;
use crate::failure::Failure;
use crate::progress::Reporter;

pub(super) fn certificates(args: &CertificatesArgs, reporter: &Reporter) -> Result<(), Failure> {
    let hosts = if args.keep {
        hosts_without_certificate(&args.dir, &args.host)?
    } else {
        args.host.clone()
    };
    let made = make_certificates(&args.dir, &hosts, args.days)?;
    let shown: Vec<String> = made.iter().map(|path| path.display().to_string()).collect();
    let mut text: Vec<String> = hosts
        .iter()
        .zip(&shown)
        .map(|(host, folder)| format!("{host}: copy {folder} there and give it as --tls"))
        .collect();
    let kept: Vec<&String> = args
        .host
        .iter()
        .filter(|host| !hosts.contains(host))
        .collect();
    text.extend(kept.iter().map(|host| format!("{host}: has one")));
    reporter.result(&text.join("\n"), &json!({ "folders": shown, "kept": kept }));
    Ok(())
}
