//! Whether there is enough memory.

use crate::error::PipelineError;

/// Memory that this process could still take, in bytes: the machine's, or its container's if that is less.
fn free_bytes() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let machine = system.available_memory();
    match system.cgroup_limits() {
        Some(limits) if limits.total_memory < system.total_memory() => {
            machine.min(limits.free_memory)
        }
        _ => machine,
    }
}

/// Most memory that this process has had so far, in bytes, where the system tells.
pub(crate) fn peak_bytes() -> Option<u64> {
    // Of this program alone: `getrusage` counts what the process was before it became this program, too.
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Refuses to start what cannot fit.
pub(crate) fn check(what: &str, needed_bytes: u64) -> Result<(), PipelineError> {
    let free_bytes = free_bytes();
    if needed_bytes > free_bytes {
        return Err(PipelineError::Memory {
            what: what.to_owned(),
            needed_bytes,
            free_bytes,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_peak_grows_with_what_is_touched() {
        let before = peak_bytes().unwrap();
        let block = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = peak_bytes().unwrap();
        assert!(after >= block.len() as u64 && after >= before, "{after}");
    }

    #[test]
    fn what_cannot_fit_is_refused_with_both_figures() {
        let error = check("fitting 1,000,000 features", u64::MAX).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("needs") && text.contains("TB") && text.contains("are free"),
            "{text}"
        );
        check("fitting 10 features", 10_000).unwrap();
    }
}
