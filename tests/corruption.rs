//! Small databases with damaged files, a sample of them: the right rows come back, or an error that says what is wrong. Never wrong
//! rows, never a panic. `dosql-sim corruption` damages every byte.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]
#![allow(clippy::disallowed_methods, reason = "the sweep's density comes from the environment")]

mod common;

use common::golden::{Files, Golden, Verdict};

/// Every so many bytes of the parts that are looked at by sample only.
fn stride() -> usize {
    std::env::var("DOSQL_CORRUPTION_STRIDE").map_or(499, |stride| stride.parse().unwrap())
}

/// `files` with the one at `index` replaced.
fn with_file(files: &Files, index: usize, bytes: Vec<u8>) -> Files {
    let mut files = files.clone();
    files[index].1 = bytes;
    files
}

/// Tells whether the damage was noticed; fails where rows are wrong.
fn refused(golden: &Golden, files: &Files, may_cost: usize, place: &str) -> bool {
    match golden.judge(files, may_cost) {
        Verdict::Right => false,
        Verdict::Refused => true,
        Verdict::Wrong(what) => panic!("{}: {place}: {what}", golden.name),
    }
}

/// Where to flip: the first bytes of every 4 KiB (headers), a sample of the rest, and of the zeros only a few.
fn places(bytes: &[u8]) -> Vec<usize> {
    let stride = stride();
    let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    (0..bytes.len())
        .filter(|&at| {
            let dense = at < used && (at % 4096 < 32 || at % stride == 0);
            dense || at % (stride * 97) == 0
        })
        .collect()
}

#[test]
fn an_undamaged_copy_is_right() {
    for golden in Golden::all() {
        assert!(!refused(&golden, &golden.files, 0, "not damaged"));
    }
}

#[test]
fn a_flipped_byte_gives_the_right_rows_or_an_error() {
    for golden in Golden::all() {
        let (mut flips, mut noticed) = (0, 0);
        for (index, (name, bytes)) in golden.files.iter().enumerate() {
            for at in places(bytes) {
                let mut wrong = bytes.clone();
                wrong[at] ^= 1 << (at % 8);
                let damaged = with_file(&golden.files, index, wrong);
                let may_cost = golden.may_cost(name, std::slice::from_ref(&(at..at + 1)));
                flips += 1;
                noticed +=
                    usize::from(refused(&golden, &damaged, may_cost, &format!("{name}, byte {at} flipped")));
            }
        }
        assert!(flips > 150 && noticed > 40, "{}: {flips} {noticed}", golden.name);
    }
}

#[test]
fn a_file_cut_short_gives_the_right_rows_or_an_error() {
    for golden in Golden::all() {
        for (index, (name, bytes)) in golden.files.iter().enumerate() {
            let step = (bytes.len() / 23).max(1);
            for len in (0..bytes.len()).step_by(step) {
                let damaged = with_file(&golden.files, index, bytes[..len].to_vec());
                let may_cost = golden.may_cost(name, std::slice::from_ref(&(len..bytes.len())));
                refused(&golden, &damaged, may_cost, &format!("{name} cut to {len}"));
            }
        }
    }
}

#[test]
fn a_missing_file_gives_the_right_rows_or_an_error() {
    for golden in Golden::all() {
        for index in 0..golden.files.len() {
            let mut damaged = golden.files.clone();
            let (name, _) = damaged.remove(index);
            refused(&golden, &damaged, 0, &format!("{name} is missing"));
        }
    }
}

#[test]
fn a_page_of_the_checkpoint_before_gives_the_right_rows_or_an_error() {
    for golden in Golden::all() {
        let page_file = |files: &Files| files.iter().find(|(name, _)| name == "pages").cloned();
        let Some((_, before)) = page_file(&golden.before) else { continue };
        let index = golden.files.iter().position(|(name, _)| name == "pages").unwrap();
        for (page, old) in before.chunks(4096).enumerate() {
            let mut stale = golden.files[index].1.clone();
            stale[page * 4096..][..old.len()].copy_from_slice(old);
            let damaged = with_file(&golden.files, index, stale);
            refused(&golden, &damaged, 0, &format!("page {page} is stale"));
        }
    }
}
