//! A network of one link that can be cut: a namespace at the end of a veth pair.

use std::path::Path;

use anyhow::Result;

use crate::process::attempt;

/// A namespace, and this machine's address in it. Both go when it is let go of.
pub(super) struct Network {
    name: String,
    link: String,
    here: String,
    there: String,
}

fn ip(arguments: &str) -> Result<bool> {
    let arguments: Vec<&str> = arguments.split(' ').collect();
    Ok(attempt(Path::new("ip"), &arguments)?.code == Some(0))
}

impl Network {
    /// None where such a thing cannot be made: it needs rights, and `ip`.
    pub(super) fn make() -> Option<Self> {
        let number = std::process::id();
        // 198.18.0.0/15 is for measurements (RFC 2544).
        let network = format!("198.18.{}", number % 256);
        let made = Self {
            name: format!("pomona-chaos-{number}"),
            // At most 15 characters.
            link: format!("pch{number}"),
            here: format!("{network}.1"),
            there: format!("{network}.2"),
        };
        let Self {
            name,
            link,
            here,
            there,
        } = &made;
        let steps = [
            format!("netns add {name}"),
            format!("link add {link} type veth peer name inside netns {name}"),
            format!("addr add {here}/30 dev {link}"),
            format!("link set {link} up"),
            format!("-n {name} addr add {there}/30 dev inside"),
            format!("-n {name} link set inside up"),
            format!("-n {name} link set lo up"),
        ];
        steps
            .iter()
            .all(|step| ip(step).unwrap_or(false))
            .then_some(made)
    }

    /// The address on this side.
    pub(super) fn here(&self) -> &str {
        &self.here
    }

    /// The address in the namespace.
    pub(super) fn there(&self) -> &str {
        &self.there
    }

    /// What makes a program run in the namespace.
    pub(super) fn inside(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.name]
    }

    pub(super) fn set(&self, is_up: bool) -> Result<bool> {
        let state = if is_up { "up" } else { "down" };
        ip(&format!("link set {} {state}", self.link))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The link goes with it.
        let _ = ip(&format!("netns del {}", self.name));
    }
}
