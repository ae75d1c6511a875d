//! What the kernel says of this process. It reads `/proc` and nothing else.

/// Figures of this process; what could not be read is left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    /// Seconds of processor time used.
    pub cpu_seconds: Option<f64>,
    /// Bytes of memory in use.
    pub resident: Option<f64>,
    /// Bytes of address space.
    pub virtual_memory: Option<f64>,
    /// Open files.
    pub open_files: Option<f64>,
    /// How many there may be.
    pub most_files: Option<f64>,
    /// Threads.
    pub threads: Option<f64>,
}

/// How this process is.
pub fn read() -> Process {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program stands in brackets and may hold spaces.
    let fields: Vec<&str> = match stat.rsplit_once(')') {
        Some((_, rest)) => rest.split_ascii_whitespace().collect(),
        None => Vec::new(),
    };
    let field = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
    // Linux counts these in hundredths on every machine we run on.
    let ticks = 100.0;
    let page = 4096.0;
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let most = files.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok());
    let open = std::fs::read_dir("/proc/self/fd").map(|entries| entries.count() as f64);
    Process {
        cpu_seconds: field(11).zip(field(12)).map(|(user, system)| (user + system) / ticks),
        threads: field(17),
        virtual_memory: field(20),
        resident: field(21).map(|pages| pages * page),
        open_files: open.ok(),
        most_files: most,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_tells_of_this_process() {
        let process = super::read();
        assert!(process.resident.is_some_and(|bytes| bytes > 1e6), "{process:?}");
        assert!(process.threads.is_some_and(|threads| threads >= 1.0), "{process:?}");
        assert!(process.most_files.is_some_and(|files| files >= 16.0), "{process:?}");
        assert!(process.cpu_seconds.is_some_and(|seconds| seconds < 1e6), "{process:?}");
    }
}
