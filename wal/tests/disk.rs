//! The simulated disk does what its header says: a test is worth no more than the disk under it.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use dosql_base::ErrorKind;
use dosql_wal::{Calls, CrashDirectory, CrashFile, Directory, DiskFault, RawFile, Surviving};

const LEN: usize = 4096;

/// A directory with a durable file of ones.
fn durable() -> (CrashDirectory, CrashFile) {
    let directory = CrashDirectory::new();
    let file = directory.create_file("f").unwrap();
    directory.sync().unwrap();
    file.write_at(0, &[1; LEN]).unwrap();
    file.sync_data().unwrap();
    (directory, file)
}

fn left(directory: &CrashDirectory, surviving: Surviving) -> Vec<u8> {
    directory.survivor(surviving).contents("f").unwrap()
}

/// All images that a mode leaves, over many seeds.
fn images(directory: &CrashDirectory, mode: fn(u64) -> Surviving) -> BTreeSet<Vec<u8>> {
    (0..400).map(|seed| left(directory, mode(seed))).collect()
}

#[test]
fn a_crash_keeps_what_was_synced_and_any_sectors_of_the_rest() {
    let (directory, file) = durable();
    file.write_at(100, &[2; 1024]).unwrap();
    assert_eq!(left(&directory, Surviving::Nothing), [1; LEN]);
    assert_eq!(left(&directory, Surviving::Everything)[100..1124], [2; 1024]);
    let images = images(&directory, Surviving::Some);
    // Three sectors, each there or not.
    assert_eq!(images.len(), 8);
    for image in images {
        assert!(image[..100].iter().chain(&image[1124..]).all(|&byte| byte == 1));
        for sector in [100..512, 512..1024, 1024..1124] {
            assert!(image[sector.clone()].iter().all(|&byte| byte == image[sector.start]));
        }
    }
}

#[test]
fn a_torn_sector_holds_both_and_garbage_stays_within_what_was_written() {
    let (directory, file) = durable();
    file.write_at(512, &[2; 512]).unwrap();
    let torn = images(&directory, Surviving::Torn);
    let mixed = |image: &&Vec<u8>| image[512..1024].contains(&1) && image[512..1024].contains(&2);
    assert!(torn.iter().filter(mixed).count() > 50);
    assert!(torn.iter().all(|image| image.iter().all(|&byte| byte == 1 || byte == 2)));
    let garbage = images(&directory, Surviving::Garbage);
    assert!(garbage.iter().any(|image| image[512..1024] == [0; 512]));
    assert!(garbage.iter().any(|image| image[512..1024].iter().any(|&byte| byte > 2)));
    assert!(garbage.iter().all(|image| image[..512] == [1; 512] && image[1024..] == [1; LEN - 1024]));
}

#[test]
fn prefix_last_and_all_but_first_go_by_the_order_of_the_changes_over_all_files() {
    let (directory, file) = durable();
    let other = directory.create_file("g").unwrap();
    directory.sync().unwrap();
    file.write_at(0, &[2]).unwrap();
    other.write_at(0, &[3]).unwrap();
    file.write_at(600, &[4]).unwrap();
    let state = |surviving| {
        let survivor = directory.survivor(surviving);
        let (f, g) = (survivor.contents("f").unwrap(), survivor.contents("g").unwrap());
        (f[0], g.first().copied(), f[600])
    };
    assert_eq!(state(Surviving::Last), (1, None, 4));
    assert_eq!(state(Surviving::AllButFirst), (1, Some(3), 4));
    let prefixes: BTreeSet<_> = (0..200).map(|seed| state(Surviving::Prefix(seed))).collect();
    // The byte of `g` and its length are two changes.
    let expected = [(1, None, 1), (2, None, 1), (2, Some(3), 1), (2, Some(3), 4)];
    assert_eq!(prefixes, BTreeSet::from(expected));
}

#[test]
fn a_length_survives_without_its_bytes_and_bytes_without_their_length() {
    let (directory, file) = durable();
    file.write_at(LEN as u64, &[2; 512]).unwrap();
    let images = images(&directory, Surviving::Some);
    let tail = |byte: u8| [vec![1; LEN], vec![byte; 512]].concat();
    assert_eq!(images, BTreeSet::from([vec![1; LEN], tail(0), tail(2)]));
    file.set_len(100).unwrap();
    assert_eq!(left(&directory, Surviving::Everything), [1; 100]);
    assert_eq!(left(&directory, Surviving::Nothing), [1; LEN]);
}

#[test]
fn names_survive_apart_from_the_files_that_they_name() {
    let directory = CrashDirectory::new();
    let file = directory.create_file("f").unwrap();
    file.write_at(0, b"bytes").unwrap();
    file.sync_data().unwrap();
    let names = |surviving| directory.survivor(surviving).list().unwrap();
    assert!(names(Surviving::Nothing).is_empty());
    directory.sync().unwrap();
    directory.rename("f", "g").unwrap();
    assert_eq!(names(Surviving::Nothing), ["f"]);
    assert_eq!(directory.survivor(Surviving::Everything).contents("g").unwrap(), b"bytes");
    directory.remove("g").unwrap();
    let possible: BTreeSet<_> = (0..100).map(|seed| names(Surviving::Some(seed))).collect();
    assert_eq!(possible.len(), 3);
}

#[test]
fn a_stopped_machine_takes_nothing_more_and_its_last_write_is_in_doubt() {
    let (directory, file) = durable();
    directory.crash_at(directory.operations());
    assert!(file.write_at(0, &[2; 512]).is_err());
    assert!(directory.has_stopped());
    assert!(file.write_at(512, &[3; 512]).is_err() && file.sync_data().is_err() && file.size().is_err());
    assert!(directory.list().is_err() && directory.create_file("g").is_err());
    let images: BTreeSet<_> = images(&directory, Surviving::Some);
    assert_eq!(images, BTreeSet::from([vec![1; LEN], [vec![2; 512], vec![1; LEN - 512]].concat()]));
}

#[test]
fn the_next_process_sees_what_was_not_synced_and_a_later_crash_still_takes_it() {
    let (directory, file) = durable();
    file.write_at(0, &[2; 512]).unwrap();
    directory.stop();
    let next = directory.killed();
    assert_eq!(next.contents("f").unwrap()[0], 2);
    assert_eq!(left(&next, Surviving::Nothing)[0], 1);
    next.open_file("f").unwrap().sync_data().unwrap();
    assert_eq!(left(&next, Surviving::Nothing)[0], 2);
}

#[test]
fn faults_hit_the_calls_they_are_for_once_or_from_then_on() {
    let (directory, file) = durable();
    directory.inject(Calls::Writes, 1, false, DiskFault::Io);
    file.write_at(0, &[2]).unwrap();
    file.sync_data().unwrap();
    assert_eq!(file.write_at(0, &[3]).unwrap_err().kind(), ErrorKind::Io);
    file.write_at(0, &[4]).unwrap();
    directory.inject(Calls::Changes, 0, true, DiskFault::Full);
    for _ in 0..3 {
        assert_eq!(file.write_at(0, &[5]).unwrap_err().kind(), ErrorKind::NoSpace);
        assert_eq!(directory.create_file("g").err().unwrap().kind(), ErrorKind::NoSpace);
    }
    let mut byte = [0];
    assert_eq!((file.read_at(0, &mut byte).unwrap(), byte), (1, [4]));
    assert_eq!(directory.faults(), 7);
    directory.heal();
    file.write_at(0, &[6]).unwrap();
}

#[test]
fn a_short_call_says_how_much_it_did() {
    let (directory, file) = durable();
    directory.inject(Calls::All, 0, false, DiskFault::Short);
    let mut buffer = [0; 100];
    assert_eq!(file.read_at(0, &mut buffer).unwrap(), 50);
    directory.inject(Calls::Writes, 0, true, DiskFault::Short);
    assert_eq!(file.write_some(0, &[2; 100]).unwrap(), 50);
    // Whoever goes on gets there: each write is half of what is left, rounded up.
    file.write_at(0, &[3; 100]).unwrap();
    assert_eq!(directory.contents("f").unwrap()[..100], [3; 100]);
}

#[test]
fn a_write_that_failed_may_have_half_happened() {
    let mut images = BTreeSet::new();
    for seed in 0..100 {
        let (directory, file) = durable();
        directory.inject(Calls::Writes, 0, false, DiskFault::Half(seed));
        assert_eq!(file.write_at(0, &[2; 1024]).unwrap_err().kind(), ErrorKind::Io);
        let shown = directory.contents("f").unwrap();
        assert_eq!(left(&directory, Surviving::Everything), shown);
        images.insert((shown[0], shown[512]));
    }
    assert_eq!(images, BTreeSet::from([(1, 1), (1, 2), (2, 1), (2, 2)]));
}

#[test]
fn a_sync_that_failed_gives_up_what_it_did_not_write() {
    let mut images = BTreeSet::new();
    for seed in 0..100 {
        let (directory, file) = durable();
        file.write_at(0, &[2; 1024]).unwrap();
        directory.inject(Calls::Syncs, 0, false, DiskFault::Half(seed));
        assert_eq!(file.sync_data().unwrap_err().kind(), ErrorKind::Io);
        file.sync_data().unwrap();
        assert_eq!(directory.contents("f").unwrap()[..1024], [2; 1024], "reads still show them");
        let durable = left(&directory, Surviving::Everything);
        images.insert((durable[0], durable[512]));
    }
    assert_eq!(images, BTreeSet::from([(1, 1), (1, 2), (2, 1), (2, 2)]));
    let (directory, file) = durable();
    file.write_at(0, &[2; 1024]).unwrap();
    directory.inject(Calls::Syncs, 0, false, DiskFault::Lost);
    assert!(file.sync_data().is_err() && file.sync_data().is_ok());
    assert_eq!(left(&directory, Surviving::Everything), [1; LEN]);
}

#[test]
fn a_full_disk_takes_what_fits_and_has_room_again_when_something_is_freed() {
    let (directory, file) = durable();
    let other = directory.create_file("g").unwrap();
    directory.limit_space(LEN as u64 + 10);
    file.write_at(0, &[2; LEN]).unwrap();
    assert_eq!(other.write_some(0, &[3; 30]).unwrap(), 10);
    assert_eq!(other.write_at(10, &[3; 20]).unwrap_err().kind(), ErrorKind::NoSpace);
    assert_eq!(other.set_len(11).unwrap_err().kind(), ErrorKind::NoSpace);
    assert_eq!(directory.space(), LEN as u64 + 10);
    file.set_len(10).unwrap();
    other.write_at(10, &[3; 20]).unwrap();
}

#[test]
fn the_trace_tells_every_call_argument_and_result_apart() {
    let trace = |offset: u64, byte: u8, fault: Option<DiskFault>| {
        let (directory, file) = durable();
        fault.into_iter().for_each(|fault| directory.inject(Calls::Writes, 0, false, fault));
        let _ = file.write_at(offset, &[byte]);
        (directory.trace(), directory.contents_hash())
    };
    assert_eq!(trace(5, 2, None), trace(5, 2, None));
    let faults = [None, Some(DiskFault::Io), Some(DiskFault::Full)];
    let mut all: Vec<_> = faults.iter().map(|&fault| trace(5, 2, fault).0.hash).collect();
    all.extend([trace(6, 2, None).0.hash, trace(5, 3, None).0.hash]);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 5);
    assert_ne!(trace(5, 2, None).1, trace(5, 3, None).1);
    let (directory, file) = durable();
    let before = directory.trace();
    file.read_at(0, &mut [0; 4]).unwrap();
    assert_ne!(directory.trace().hash, before.hash);
    assert_eq!(directory.survivor(Surviving::Nothing).trace(), directory.trace(), "it goes on");
}
