//! `pomona extract`

use std::ffi::OsString;

use pomona_pipeline::Steps;

use super::run::{carry_out, finish, judge};
use super::settings::resolve;
use crate::args::ExtractArgs;
use crate::failure::Failure;
use crate::progress::Reporter;

pub(crate) fn extract(
    args: &ExtractArgs,
    words: &[OsString],
    reporter: &Reporter,
) -> Result<(), Failure> {
    let resolved = resolve(args, None, None, words, reporter)?;
    let outcome = carry_out(resolved, Steps::Extract, reporter)?;
    finish(&outcome, Steps::Extract, reporter);
    judge(args, &outcome)
}
