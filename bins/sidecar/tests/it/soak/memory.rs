//! Records how much memory the processes of a run take, and whether a long-running one keeps growing.

use std::fs;
use std::path::Path;

use super::report::Report;

/// The resident memory of the running process, and of the one that ran longest.
#[derive(Debug, Default)]
pub struct MemoryLog {
    process: u32,
    now: ProcessMemory,
    longest: ProcessMemory,
    most_kib: u64,
}

/// One process' resident memory at the end of each of its rounds.
#[derive(Debug, Default, Clone)]
struct ProcessMemory {
    kib: Vec<u64>,
}

impl MemoryLog {
    /// Reads a process' resident memory, at the end of a round.
    pub fn sample(&mut self, process: u32) {
        let status = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status"));
        let status = status.unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
        let Some(kib) = kib else { return };
        if self.process != process {
            (self.process, self.now) = (process, ProcessMemory::default());
        }
        self.now.kib.push(kib);
        self.most_kib = self.most_kib.max(kib);
        if self.now.kib.len() >= self.longest.kib.len() {
            self.longest = self.now.clone();
        }
    }

    pub fn write_to(&self, report: &Report) {
        let mib = |kib: u64| format!("{:.1} MiB", kib as f64 / 1024.0);
        report.measured("resident memory, the most", mib(self.most_kib));
        let kib = &self.longest.kib;
        report.measured("rounds of the process that ran longest", kib.len().to_string());
        for (when, idx) in [
            ("first", 0),
            ("middle", kib.len() / 2),
            ("last", kib.len().saturating_sub(1)),
        ] {
            let resident = kib.get(idx).copied().unwrap_or_default();
            report.measured(format!("its resident memory after its {when} round"), mib(resident));
        }
    }
}
