//! ORB against OpenCV (`tools/orb_reference.py`), and what holds for any image.

// Marked so that Clippy takes the helpers for tests too.
#[cfg(test)]
mod opencv;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod shared;
#[cfg(test)]
mod support;
