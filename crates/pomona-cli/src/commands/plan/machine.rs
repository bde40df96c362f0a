//! What this machine is.

use pomona_store::Place;

/// Arm's cores, by the number that the system gives for them.
const ARM_PARTS: [(&str, &str); 6] = [
    ("0xd0c", "Neoverse-N1"),
    ("0xd40", "Neoverse-V1"),
    ("0xd49", "Neoverse-N2"),
    ("0xd4f", "Neoverse-V2"),
    ("0xd83", "Neoverse-V3"),
    ("0xd8e", "Neoverse-N3"),
];

/// What the system calls its processor, with family and model where it tells them.
pub(super) fn cpu_name() -> String {
    let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = described(&told);
    if !name.is_empty() {
        return name;
    }
    let mut system = sysinfo::System::new();
    system.refresh_cpu_all();
    system
        .cpus()
        .first()
        .map_or_else(String::new, |cpu| cpu.brand().trim().to_owned())
}

fn described(cpuinfo: &str) -> String {
    let field = |wanted: &str| {
        cpuinfo.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == wanted).then(|| value.trim())
        })
    };
    if let Some(name) = field("model name") {
        return match (field("cpu family"), field("model")) {
            (Some(family), Some(model)) => format!("{name} family {family} model {model}"),
            _ => name.to_owned(),
        };
    }
    let part = field("CPU part").unwrap_or_default();
    ARM_PARTS
        .iter()
        .find(|(number, _)| *number == part)
        .map_or_else(String::new, |(_, name)| (*name).to_owned())
}

/// Bytes that can still be written to a place on this machine; none where it is elsewhere, or nobody tells.
pub(super) fn room(out: &Place) -> Option<u64> {
    let wanted = std::path::absolute(out.file()?).ok()?;
    // The folder may not be there yet.
    let there = wanted.ancestors().find(|folder| folder.is_dir())?;
    pomona_cluster::free_bytes(there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_have_names() {
        let amd = "processor\t: 0\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC\n";
        assert_eq!(described(amd), "AMD EPYC family 26 model 2");
        let arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n";
        assert_eq!(described(arm), "Neoverse-V1");
        assert_eq!(described("nothing of the kind"), "");
        assert!(!cpu_name().is_empty());
    }
}
