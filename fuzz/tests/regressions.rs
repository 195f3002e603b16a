//! Inputs that once failed, and the seeds, do not fail.

use std::path::Path;

fn replay(folder: &str) -> usize {
    let mut replayed = 0;
    for (name, target) in dosql_fuzz::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name);
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            println!("{name}: {}", entry.path().display());
            target(&std::fs::read(entry.path()).unwrap());
            replayed += 1;
        }
    }
    replayed
}

#[test]
fn inputs_that_once_failed_hold() {
    replay("regressions");
}

#[test]
fn seeds_hold() {
    assert!(replay("seeds") > 10);
}
