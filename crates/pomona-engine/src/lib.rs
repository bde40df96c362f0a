//! How does DataFusion see images?
//!
//! A folder of photos is listed into [`Shard`]s; an [`ImageTable`] shows shards as rows, one partition a shard;
//! [`extract_function`] takes the bytes of a row and gives its features; [`ShardWrite`] turns each partition into
//! the files of one shard. [`moments_function`] and [`reduce_function`] do the same for fitting and reducing.
//!
//! Nothing here knows what the steps of a run mean.

mod cluster_reading;
mod codec;
mod csv_rows;
mod decimal;
mod error;
mod extract;
mod floats;
mod held;
mod image_table;
mod label;
mod listing;
mod moments;
mod parquet_table;
mod plan_folder;
mod plan_stores;
mod reduce;
mod runner;
mod scan;
mod services;
mod session;
mod shard;
mod shard_write;
mod summary;
mod words;

pub use cluster_reading::{ClusterReading, CostReading, ExecutorReading, JobReading, StageReading};
pub use codec::{PLAN_FORMAT, PlanCodec};
pub use csv_rows::{ComponentRows, RowOf, by_path, csv_header, csv_lines};
pub use error::EngineError;
pub use extract::{
    DESCRIPTOR_BYTES, ExtractCounters, ExtractReading, Extractor, Handling, PATCH_PX, Status,
    WarmUp, extract_function, extracted_fields, float_list_type,
};
pub use floats::{FloatRows, is_list_of_floats};
pub use image_table::{FetchSettings, ImageTable, image_schema};
pub use label::{LabelRule, LabelRuleText, LabelRuleTextError};
pub use listing::{ImageListing, ImageSource, ListedImage, ListingFilter, Part};
pub use moments::moments_function;
pub use parquet_table::{Grouping, ParquetTable};
pub use plan_folder::PlanFolder;
pub use plan_stores::{PlanStores, UnopenedStores};
pub use reduce::{reduce_function, reducer_bytes};
pub use runner::{EXTRACT_JOB, Embedded, Runner};
pub use scan::scan_columns;
pub use services::{Asset, MakeExtractor, Services, put_asset, remove_assets};
pub use session::{Runtimes, SessionLimits, embedded_session, one_partition};
pub use shard::{Shard, ShardBuilder, ShardSize};
pub use shard_write::{
    ListTable, Remainder, ShardDone, ShardFiles, ShardWrite, shard_done_schema, thumbnails_kept,
    without_rows,
};
pub use words::{
    document_frequencies_function, label_words_function, pass_function, sample_function,
    weigh_words_function, weights_bytes, word_counts_function,
};
