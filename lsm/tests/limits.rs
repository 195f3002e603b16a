//! The limits of segments and of their names. See docs/LIMITS.md.

use dosql_base::{ErrorKind, Timestamp};
use dosql_lsm::{Kind, MAX_ENTRY_BYTES, MAX_NAME_BYTES, SegmentWriter, WriteOptions, validate_name};

#[test]
fn an_entry_above_256_mib_is_refused_and_the_writer_goes_on() {
    let mut writer = SegmentWriter::new(WriteOptions::new(1));
    let at = Timestamp::from_micros;
    let huge = vec![0; MAX_ENTRY_BYTES];
    let error = writer.add(b"k", at(1), at(2), Kind::Put, &huge).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert_eq!(writer.entries(), 0);
    writer.add(b"k", at(1), at(2), Kind::Put, b"v").unwrap();
    assert_eq!(writer.finish().unwrap().properties.entries, 1);
}

#[test]
fn a_name_has_1_to_200_bytes() {
    assert!(validate_name(&"n".repeat(MAX_NAME_BYTES)).is_ok());
    for name in [String::new(), "n".repeat(MAX_NAME_BYTES + 1)] {
        assert_eq!(validate_name(&name).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
