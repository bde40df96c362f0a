//! Features against references made by ONNX Runtime in Python (`tests/references/make_networks.py`,
//! `tools/efficientnet_lite0/reference.py`).

// Marked so that Clippy takes the helpers for tests too.
#[cfg(test)]
mod backbone;
#[cfg(test)]
mod builtin;
#[cfg(test)]
mod damaged;
#[cfg(test)]
mod networks;
#[cfg(test)]
mod shared;
#[cfg(test)]
mod support;
