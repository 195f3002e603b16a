//! The simulated object store: files of the simulated disk, each put whole and synced, with a trace of every call. So a request may fail or be
//! cut short like any other call of the disk, and what a crash leaves has the objects of that moment.

use std::ops::Range;
use std::sync::Arc;

use dosql::Result;
use dosql::stores::SegmentStore;
use dosql_lsm::Wanted;
use dosql_wal::{CrashDirectory, Trace};
use parking_lot::Mutex;

use crate::crash::CrashSegments;

/// See above. Clones share it.
#[derive(Clone)]
pub struct Segments {
    store: Arc<dyn SegmentStore>,
    trace: Arc<Mutex<Trace>>,
}

impl Segments {
    /// The objects on a disk, with the trace of calls to go on with.
    #[must_use]
    pub fn on(disk: &CrashDirectory, trace: &Arc<Mutex<Trace>>) -> Self {
        Segments { store: Arc::new(CrashSegments(disk.clone())), trace: Arc::clone(trace) }
    }

    fn noted<T>(&self, kind: u8, text: &[u8], numbers: &[u64], result: Result<T>) -> Result<T> {
        self.trace.lock().call(kind, text, numbers, &result);
        result
    }
}

impl SegmentStore for Segments {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let text = [name.as_bytes(), b"\0", bytes].concat();
        self.noted(0, &text, &[], self.store.put(name, bytes))
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let numbers = [range.start, range.end];
        let bytes = self.noted(1, name.as_bytes(), &numbers, self.store.read(name, range))?;
        self.trace.lock().bytes(&bytes);
        Ok(bytes)
    }

    fn delete(&self, names: &[&str]) -> Result<()> {
        self.noted(2, names.join("\0").as_bytes(), &[], self.store.delete(names))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let names = self.noted(3, prefix.as_bytes(), &[], self.store.list(prefix))?;
        self.trace.lock().bytes(names.join("\0").as_bytes());
        Ok(names)
    }

    fn wanted(&self) -> Vec<Wanted> {
        self.store.wanted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dosql_lsm::conformance::{Subject, check};

    #[test]
    fn the_simulated_object_store_conforms() {
        check(&|| Subject {
            store: Arc::new(Segments::on(&CrashDirectory::new(), &Arc::default())),
            fetch: Box::new(|_| panic!("a store at hand never blocks")),
        });
    }

    #[test]
    fn its_trace_tells_calls_arguments_and_results_apart() {
        let trace = |name: &str, bytes: &[u8], twice: bool| {
            let trace = Arc::default();
            let store = Segments::on(&CrashDirectory::new(), &trace);
            (0..1 + u8::from(twice)).for_each(|_| drop(store.put(name, bytes)));
            drop(store.read("a", 0..1));
            *trace.lock()
        };
        assert_eq!(trace("a", b"1", false), trace("a", b"1", false));
        let different = [("a", "1", false), ("b", "1", false), ("a", "2", false), ("a", "1", true)];
        let hashes = different.map(|(name, bytes, twice)| trace(name, bytes.as_bytes(), twice).hash);
        assert_eq!(std::collections::BTreeSet::from(hashes).len(), 4);
    }
}
