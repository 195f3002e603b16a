//! Each anomaly, made by hand, is found and called by its name; legal histories pass.

use super::history::{Element, Key, Op, Outcome, Transaction};
use super::{Kind, Model, check};

/// A transaction of a session of its own, at the same time as all others unless said.
struct Make(Transaction);

fn session(session: u32) -> Make {
    let (began, ended) = (0, 1_000 + u64::from(session));
    let (past, outcome, ops) = (false, Outcome::Committed, Vec::new());
    Make(Transaction { session, began, ended, past, outcome, ops })
}

impl Make {
    fn append(mut self, key: Key, element: Element) -> Self {
        self.0.ops.push(Op::Append(key, element));
        self
    }

    fn read(mut self, key: Key, list: &[Element]) -> Self {
        self.0.ops.push(Op::Read(key, list.to_vec()));
        self
    }

    fn op(mut self, op: Op) -> Self {
        self.0.ops.push(op);
        self
    }

    fn ends(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    fn time(mut self, began: u64, ended: u64) -> Self {
        (self.0.began, self.0.ended) = (began, ended);
        self
    }

    fn past(mut self) -> Self {
        self.0.past = true;
        self
    }
}

fn found<const N: usize>(history: [Make; N]) -> Vec<Kind> {
    let history = history.map(|made| made.0);
    let verdict = check(&history, true);
    verdict.anomalies.iter().map(|anomaly| anomaly.kind).collect()
}

#[test]
fn a_serial_history_passes() {
    let history = [
        session(1).append(1, 1).read(1, &[1]).time(0, 1),
        session(2).read(1, &[1]).append(1, 2).append(2, 3).time(2, 3),
        session(1).read(1, &[1, 2]).read(2, &[3]).read(3, &[]).time(4, 5),
    ];
    assert_eq!(found(history), []);
}

#[test]
fn concurrent_transactions_that_some_order_explains_pass() {
    let history = [
        session(1).read(1, &[]).append(2, 1),
        session(2).read(2, &[1]).append(1, 2),
        session(3).read(1, &[2]).read(2, &[1]),
        session(4).read(1, &[]).read(2, &[]),
    ];
    assert_eq!(found(history), []);
}

#[test]
fn interleaved_writes_are_g0() {
    let history = [
        session(1).append(1, 1).append(2, 2),
        session(2).append(1, 3).append(2, 4),
        session(3).read(1, &[1, 3]).time(2_000, 2_001),
        session(4).read(2, &[4, 2]).time(2_000, 2_001),
    ];
    assert_eq!(found(history), [Kind::G0]);
}

#[test]
fn a_read_of_what_was_rolled_back_is_g1a() {
    let history = [session(1).append(1, 1).ends(Outcome::Aborted), session(2).read(1, &[1])];
    assert_eq!(found(history), [Kind::G1a]);
    let history = [
        session(1).op(Op::Savepoint).append(1, 1).read(1, &[1]).op(Op::RollbackTo).read(1, &[]),
        session(2).read(1, &[1]),
    ];
    assert!(found(history).contains(&Kind::G1a));
}

#[test]
fn a_read_amid_a_transaction_is_g1b() {
    let history = [
        session(1).append(1, 1).append(1, 2),
        session(2).read(1, &[1]),
        session(3).read(1, &[1, 2]).time(2_000, 2_001),
    ];
    assert!(found(history).contains(&Kind::G1b));
}

#[test]
fn reads_of_each_others_writes_are_g1c() {
    let history = [session(1).append(1, 1).read(2, &[2]), session(2).append(2, 2).read(1, &[1])];
    assert_eq!(found(history), [Kind::G1c]);
}

#[test]
fn a_read_before_and_one_after_a_commit_are_g_single() {
    let history = [
        session(1).read(1, &[]).read(2, &[2]),
        session(2).append(1, 1).append(2, 2),
        session(3).read(1, &[1]).time(2_000, 2_001),
    ];
    assert_eq!(found(history), [Kind::GSingle]);
}

#[test]
fn write_skew_is_g2_item_which_snapshot_isolation_allows() {
    let history = [
        session(1).read(1, &[]).read(2, &[]).append(1, 1),
        session(2).read(1, &[]).read(2, &[]).append(2, 2),
        session(3).read(1, &[1]).read(2, &[2]).time(2_000, 2_001),
    ]
    .map(|made| made.0);
    let verdict = check(&history, true);
    assert_eq!(
        verdict.violations(Model::Serializable).map(|found| found.kind).collect::<Vec<_>>(),
        [Kind::G2Item]
    );
    assert_eq!(verdict.violations(Model::Snapshot).count(), 0);
}

#[test]
fn rw_edges_apart_from_each_other_are_no_snapshot_isolation() {
    // 1 -rw-> 2 -wr-> 3 -rw-> 4 -wr-> 1
    let history = [
        session(1).read(1, &[]).read(4, &[4]),
        session(2).append(1, 1).append(2, 2),
        session(3).read(2, &[2]).read(3, &[]),
        session(4).append(3, 3).append(4, 4),
        session(5).read(1, &[1]).read(3, &[3]).time(2_000, 2_001),
    ];
    assert_eq!(found(history), [Kind::GNonadjacent]);
}

#[test]
fn an_update_that_overwrites_one_it_did_not_see_is_lost() {
    let history = [
        session(1).read(1, &[]).append(1, 1),
        session(2).read(1, &[]).append(1, 2),
        session(3).read(1, &[1, 2]).time(2_000, 2_001),
    ];
    assert!(found(history).contains(&Kind::LostUpdate));
}

#[test]
fn an_acknowledged_write_that_nobody_sees_at_the_end_is_lost() {
    assert_eq!(found([session(1).append(1, 1), session(2).read(1, &[]).time(2_000, 2_001)])[0], Kind::Lost);
}

#[test]
fn a_stale_read_is_found_by_real_time() {
    let history = [
        session(1).append(1, 1).time(0, 1),
        session(2).read(1, &[]).time(2, 3),
        session(3).read(1, &[1]).time(4, 5),
    ];
    assert_eq!(found(history), [Kind::GSingle]);
    let history = [
        session(1).append(1, 1).time(0, 1),
        session(2).read(1, &[]).time(2, 3).past(),
        session(3).read(1, &[1]).time(4, 5),
    ];
    assert_eq!(found(history), []);
}

#[test]
fn real_time_holds_across_many_transactions_in_between() {
    let mut history = vec![session(1).append(1, 1).time(0, 1).0];
    history.extend((1..50).map(|n| session(n as u32 + 1).read(9, &[]).time(n * 2, n * 2 + 1).0));
    history.push(session(99).read(1, &[]).time(200, 201).0);
    history.push(session(100).read(1, &[1]).time(202, 203).0);
    let kinds: Vec<Kind> = check(&history, true).anomalies.iter().map(|anomaly| anomaly.kind).collect();
    assert_eq!(kinds, [Kind::GSingle]);
}

#[test]
fn a_commit_without_an_answer_happened_whole_or_not_at_all() {
    let unknown = || session(1).append(1, 1).append(2, 2).ends(Outcome::Unknown).time(0, u64::MAX);
    let after = |list_1: &[Element], list_2: &[Element]| session(2).read(1, list_1).read(2, list_2);
    assert_eq!(found([unknown(), after(&[], &[])]), []);
    assert_eq!(found([unknown(), after(&[1], &[2])]), []);
    assert!(found([unknown(), after(&[1], &[])]).iter().any(|kind| !kind.is_allowed(Model::Snapshot)));
}

#[test]
fn reads_that_no_order_explains_are_found() {
    let three = || session(1).append(1, 1).append(1, 2).append(2, 3);
    assert!(found([three(), session(2).read(1, &[2, 1])]).contains(&Kind::G1b));
    let history = [
        session(1).append(1, 1),
        session(2).append(1, 2),
        session(3).read(1, &[1]),
        session(4).read(1, &[2]),
    ];
    assert!(found(history).contains(&Kind::Incompatible));
    assert!(found([three(), session(2).read(1, &[1, 2, 7])]).contains(&Kind::Garbage));
    assert!(found([three(), session(2).read(1, &[1, 2, 3])]).contains(&Kind::Garbage));
    assert!(found([three(), session(2).read(1, &[1, 2, 2])]).contains(&Kind::Garbage));
}

#[test]
fn a_transaction_must_see_its_own_writes_and_the_same_rows_twice() {
    assert!(found([session(1).append(1, 1).read(1, &[])]).contains(&Kind::Internal));
    let history = [session(1).append(1, 1), session(2).read(1, &[]).read(1, &[1])];
    assert!(found(history).contains(&Kind::Internal));
    let undone = session(1).op(Op::Savepoint).append(1, 1).op(Op::Release).op(Op::Savepoint).append(1, 2);
    let history = [undone.op(Op::RollbackTo).read(1, &[1]), session(2).read(1, &[1])];
    assert_eq!(found(history), []);
}
