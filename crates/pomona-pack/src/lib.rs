//! How do many small files become a few large ones, and back?
//!
//! Archives are plain tar files, in the manner of WebDataset, in any [`object_store::ObjectStore`]:
//!
//! * [`scan`] lists the members of an archive by ranged reads, without keeping what they hold;
//! * [`samples`] tells images from side files and finds each image's label;
//! * [`PackWriter`] writes a folder of archives, an index beside each, and `pack.json` last;
//! * [`read_index`] lists such a folder without reading its archives.
//!
//! A member's bytes are `offset .. offset + size` of its archive, so one ranged read fetches one member.
//!
//! Everything here runs inside a Tokio runtime. Nothing that an archive or an index says is trusted: lengths are
//! compared with what is there before anything is allocated, and no name leads out of the archive.

mod crc32;
mod error;
mod header;
mod index;
mod labels;
mod member;
mod names;
mod pax;
mod read_index;
mod samples;
mod scan;
mod tar_bytes;
mod upload;
mod window;
mod write;

pub use error::{Damage, IndexFault, PackError};
pub use index::{ArchiveSummary, PACK_FILE, PACK_VERSION, PackSummary};
pub use labels::{LABEL_LIMIT_BYTES, LabelProblem, label_images, read_labels};
pub use member::{Entry, Member, Problem, ProblemKind};
pub use names::{NAME_LIMIT_BYTES, NameProblem, normalise};
pub use read_index::{Archive, Pack, read_index};
pub use samples::{SampleImage, Samples, sample_key, samples};
pub use scan::{ScanSettings, Scanned, scan, scan_all};
pub use write::{PackSettings, PackWriter};
