//! Clocks, percentiles, memory and disk.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::engine::Result;
use crate::report::Sheet;

/// Runs `work` and returns how long it took, in seconds.
pub fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let start = Instant::now();
    let result = work()?;
    Ok((result, start.elapsed().as_secs_f64()))
}

/// Latencies of one kind of operation.
#[derive(Default)]
pub struct Latencies {
    nanos: Vec<u64>,
    sum: u64,
}

impl Latencies {
    /// Times one operation.
    pub fn time<T>(&mut self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let result = work()?;
        let took = start.elapsed().as_nanos() as u64;
        self.nanos.push(took);
        self.sum += took;
        Ok(result)
    }

    /// Adds those of another thread.
    pub fn merge(&mut self, other: Latencies) {
        self.nanos.extend(other.nanos);
        self.sum += other.sum;
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.nanos.len()
    }

    /// What they add up to, in seconds.
    pub fn seconds(&self) -> f64 {
        self.sum as f64 / 1e9
    }

    /// Microseconds that `share` of the operations stay within.
    pub fn percentile(&mut self, share: f64) -> f64 {
        if self.nanos.is_empty() {
            return f64::NAN;
        }
        self.nanos.sort_unstable();
        let at = ((self.nanos.len() as f64 * share) as usize).min(self.nanos.len() - 1);
        self.nanos[at] as f64 / 1000.0
    }

    /// Enters the median and the 99th percentile under `what`.
    pub fn enter(&mut self, sheet: &mut Sheet, what: &str) {
        let (p50, p99) = (self.percentile(0.5), self.percentile(0.99));
        sheet.less(&format!("{what}, p50 [us]"), p50);
        sheet.less(&format!("{what}, p99 [us]"), p99);
    }
}

/// MiB of all files below `directory`, in blocks really occupied.
pub fn disk_mib(directory: &Path) -> Result<f64> {
    fn blocks(path: &Path) -> Result<u64> {
        use std::os::unix::fs::MetadataExt;
        let mut sum = 0;
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            sum += if meta.is_dir() { blocks(&entry.path())? } else { meta.blocks() };
        }
        Ok(sum)
    }
    Ok(blocks(directory)? as f64 * 512.0 / (1 << 20) as f64)
}

/// MiB that this process has had written to devices.
pub fn written_mib() -> f64 {
    let text = fs::read_to_string("/proc/self/io").unwrap_or_default();
    field(&text, "write_bytes:") as f64 / (1 << 20) as f64
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// Seconds of processor time that all threads of this process have taken, in hundredths.
pub fn processor_seconds() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name before them may hold spaces, but it ends with the last parenthesis.
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// KiB of anonymous memory that this process holds.
pub fn held_kib() -> u64 {
    field(&fs::read_to_string("/proc/self/status").unwrap_or_default(), "RssAnon:")
}

/// Watches how much anonymous memory the process holds.
pub struct MemoryWatch {
    peak_kib: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    watcher: Option<JoinHandle<()>>,
}

impl MemoryWatch {
    /// Begins to watch.
    pub fn start() -> Self {
        let (peak_kib, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (peak, stopped) = (Arc::clone(&peak_kib), Arc::clone(&stop));
        let watcher = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                peak.fetch_max(held_kib(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        MemoryWatch { peak_kib, stop, watcher: Some(watcher) }
    }

    /// The most that it was since the last call, in MiB.
    pub fn take_mib(&self) -> f64 {
        self.peak_kib.swap(0, Ordering::Relaxed) as f64 / 1024.0
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.take() {
            let _ = watcher.join();
        }
    }
}
