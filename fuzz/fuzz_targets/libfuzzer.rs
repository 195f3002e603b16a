//! All targets for cargo-fuzz: the first byte chooses. `cargo +nightly fuzz run libfuzzer --features libfuzzer`.
#![no_main]

use dosql_fuzz::TARGETS;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some((first, rest)) = data.split_first() {
        TARGETS[usize::from(*first) % TARGETS.len()].1(rest);
    }
});
