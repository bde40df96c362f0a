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
