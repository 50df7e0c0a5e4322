//! What quality costs beside time, and on what machine.

use std::path::Path;

use docent_core::Result;

/// The bytes of every file below `directory`.
///
/// # Errors
/// When it cannot be read.
pub fn directory_bytes(directory: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { directory_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

/// The bytes of memory this process holds; none where the system does not tell in `/proc`.
pub fn resident_bytes() -> Option<u64> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The processor, as the system names it, and how many of its cores we may use.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpuinfo = fs_err::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    let model =
        model.map_or(std::env::consts::ARCH, |rest| rest.trim_start_matches([':', ' ', '\t']));
    format!("{}, {cores} cores", model.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_counts() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir(folder.path().join("in")).unwrap();
        fs_err::write(folder.path().join("a"), [0; 10]).unwrap();
        fs_err::write(folder.path().join("in/b"), [0; 32]).unwrap();
        assert_eq!(directory_bytes(folder.path()).unwrap(), 42);
        assert!(directory_bytes(&folder.path().join("none")).is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn memory_is_told() {
        assert!(resident_bytes().unwrap() > 1 << 20);
    }
}
