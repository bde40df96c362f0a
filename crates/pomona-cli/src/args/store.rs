//! Options for buckets.

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
#[command(next_help_heading = "Buckets")]
pub(crate) struct StoreArgs {
    /// Touch only buckets in regions that match, such as `eu-*`; may be given more than once.
    #[arg(long, global = true, value_name = "PATTERN")]
    pub(crate) allowed_region: Vec<String>,
    /// How S3 encrypts what is written: aes256 or kms.  [default: as the bucket or AWS_SERVER_SIDE_ENCRYPTION says]
    #[arg(long, global = true, value_enum, hide_possible_values = true)]
    pub(crate) encryption: Option<EncryptionArg>,
    /// With `--encryption kms`: the key's identifier.
    #[arg(long, global = true, value_name = "ID")]
    pub(crate) kms_key: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EncryptionArg {
    /// With keys of S3's own.
    Aes256,
    /// With a key of the key management service.
    Kms,
}
