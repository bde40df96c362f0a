//! `pomona cluster certificates`

use pomona_cluster::make_certificates;
use serde_json::json;

use crate::args::CertificatesArgs;
use crate::failure::Failure;
use crate::progress::Reporter;

pub(super) fn certificates(args: &CertificatesArgs, reporter: &Reporter) -> Result<(), Failure> {
    let made = make_certificates(&args.dir, &args.host, args.days)?;
    let shown: Vec<String> = made.iter().map(|path| path.display().to_string()).collect();
    let text: Vec<String> = args
        .host
        .iter()
        .zip(&shown)
        .map(|(host, folder)| format!("{host}: copy {folder} there and give it as --tls"))
        .collect();
    reporter.result(&text.join("\n"), &json!({ "folders": shown }));
    Ok(())
}
