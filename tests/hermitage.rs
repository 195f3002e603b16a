//! What each kind of transaction lets through and what it prevents, by the scripts of Hermitage.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]
#![allow(dead_code, unreachable_pub, reason = "the simulation uses more of the scripts' module")]

mod anomalies;

use anomalies::{Anomaly, Interface, Kind, SCRIPTS, SERIALIZABLE, is_possible, play};
use dosql::Database;

fn db() -> Database {
    Database::open_memory().unwrap()
}

/// The anomalies that are possible where all transactions are of one kind.
fn possible(interface: Interface, kind: Kind) -> Vec<Anomaly> {
    let mut all = Anomaly::ALL.to_vec();
    all.retain(|&anomaly| is_possible(anomaly, interface, kind, &db).unwrap());
    all
}

#[test]
fn transactions_in_the_writers_turn_show_no_anomaly() {
    assert_eq!(possible(Interface::Kv, Kind::Write), []);
    assert_eq!(possible(Interface::Sql, Kind::Write), []);
}

#[test]
fn deferred_transactions_show_no_anomaly() {
    assert_eq!(possible(Interface::Kv, Kind::Deferred), []);
    assert_eq!(possible(Interface::Sql, Kind::Deferred), []);
}

#[test]
fn serializable_concurrent_transactions_show_no_anomaly() {
    assert_eq!(possible(Interface::Kv, Kind::Serializable), []);
    assert_eq!(possible(Interface::Sql, Kind::Serializable), []);
}

#[test]
fn snapshot_isolation_lets_write_skew_through_and_nothing_else() {
    assert_eq!(possible(Interface::Kv, Kind::Snapshot), [Anomaly::G2Item, Anomaly::G2]);
}

#[test]
fn transactions_of_different_serializable_kinds_show_no_anomaly_together() {
    for script in SCRIPTS {
        for n in 0..27 {
            let kinds = [SERIALIZABLE[n % 3], SERIALIZABLE[n / 3 % 3], SERIALIZABLE[n / 9]];
            for interface in [Interface::Kv, Interface::Sql] {
                let run = play(script, interface, &kinds, &db()).unwrap();
                assert!(
                    !(script.shows)(&run),
                    "{:?} by {}, {interface:?} {kinds:?}: {run:?}",
                    script.anomaly,
                    script.name
                );
                assert!(
                    run.committed.contains(&true),
                    "{}, {interface:?} {kinds:?}: nobody got through",
                    script.name
                );
            }
        }
    }
}
