//! Commands that look after runs and photos.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Run folder, finished or not.
    pub(crate) run: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  pomona retry RUN

The command that made the run is given again, in the folder where it was given, for the photos that could not be fetched.
Keys come from the environment of now.")]
pub(crate) struct RetryArgs {
    /// Run folder.
    pub(crate) run: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pomona forget RUN --path Banana/3.jpg
  pomona forget RUN --sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08

The photo itself is not touched: remove it where it lies. A later run leaves it out even if it is still there.")]
pub(crate) struct ForgetArgs {
    /// Run folder.
    pub(crate) run: PathBuf,
    /// Path of the photo, relative to the photos' folder; may be given more than once.
    #[arg(long, required_unless_present = "sha256")]
    pub(crate) path: Vec<String>,
    /// SHA-256 of the photo's content, hex: all photos with it; may be given more than once.
    #[arg(long, value_name = "H")]
    pub(crate) sha256: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CleanArgs {
    /// Run folder.
    pub(crate) run: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pomona pack s3://bucket/photos --out s3://bucket/packed
  pomona run s3://bucket/packed --out s3://bucket/run")]
pub(crate) struct PackArgs {
    /// Folder of photos, searched recursively.
    pub(crate) photos: PathBuf,
    /// Folder for the archives.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Take only files that match; may be given more than once. Without `/` it is matched against the name.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) glob: Vec<String>,
    /// Bytes after which an archive is closed.
    #[arg(long, value_name = "N", default_value_t = 256_000_000)]
    pub(crate) archive_bytes: u64,
}
