//! How are numbers summarised and models fitted?
//!
//! * [`Moments`]: count, mean and co-matrix of rows, summed in parts, merged, and removed again.
//! * [`Reducer`]: StandardScaler and principal components fitted on moments, applied to rows.
//! * [`Drift`]: how far new rows lie from those a reducer was fitted on.
//! * [`kmeans`]: codebooks of ORB descriptors; [`words`]: bags of visual words under them.
//! * [`nearest_neighbours`], [`nearest_neighbour_accuracy`]: how well reduced rows keep labels apart.
//! * [`SealedFile`]: the bytes of a model file.
//!
//! Rows are row-major: row `i` of an n×D block is `rows[i * D..(i + 1) * D]`. Nothing here reads or
//! writes files, and whatever is drawn follows from a seed. Sums, products and decompositions run in f64 and
//! give the same bits whatever the number of threads; another processor may round differently.

mod components;
mod drift;
mod eigen;
mod error;
pub mod kmeans;
mod moments;
mod moments_bytes;
mod neighbours;
mod product;
mod reducer;
mod reducer_parts;
mod removal;
mod scaler;
mod sealed;
mod totals;
mod transform;
pub mod words;

pub use components::{Components, ParseComponentsError};
pub use drift::Drift;
pub use error::LearnError;
pub use moments::Moments;
pub use neighbours::{nearest_neighbour_accuracy, nearest_neighbours};
pub use reducer::{FitSettings, Fitted, Reducer};
pub use scaler::StandardScaler;
pub use sealed::{SEALED_VERSION, SealedError, SealedFile, Section};
