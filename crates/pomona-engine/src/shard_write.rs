//! Rows to one file a shard, whole or not at all.

mod files;
mod keypoints;
mod logical;
mod physical;
mod remove;

pub use files::{ListTable, ShardFiles, thumbnails_kept};
pub use logical::ShardWrite;
pub(crate) use logical::{ShardTarget, ShardWritePlanner};
pub(crate) use physical::ShardWriteExec;
pub use physical::{ShardDone, shard_done_schema};
pub use remove::{Remainder, without_rows};
