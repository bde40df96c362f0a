//! Where do bytes lie, and how do they come and go, fast and whole?
//!
//! A [`Place`] is a folder or a file, on this machine or in a bucket; [`Stores`] opens places by path or URL, with the
//! keys that each cloud's standard chain gives. Behind a place is an [`object_store::ObjectStore`]: requests over a
//! network adapt to the other side's latency and throttling and are tried again ([`Traffic`] tells how often), files on
//! this machine appear whole or not at all. [`RunLock`] keeps two processes from the same place.
//!
//! Nothing here knows what the bytes mean.

mod address;
mod careful;
mod environment;
mod error;
mod health;
mod hedge;
mod known;
mod later;
mod limit;
mod listing;
mod local;
mod lock;
mod place;
mod profile;
mod region;
mod remote;
mod resumed;
mod service;
mod stores;
mod traffic;
mod upload;
mod working;
mod writer;
mod written;

pub use address::Address;
pub use error::{Outage, StoreError, find, hint, is_fatal, reason};
pub use listing::{Listing, list_ordered};
pub use lock::RunLock;
pub use place::Place;
pub use stores::{Encryption, StoreSettings, Stores};
pub use traffic::{LimitAt, Traffic, TrafficReading};
pub use writer::PlaceWriter;
