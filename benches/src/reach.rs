//! What dosql is to reach, by the name of the figure.

use std::fmt;

/// What a figure is to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reach {
    /// So many times better than the best peer.
    Best(f64),
    /// So many times better than this peer.
    Peer(&'static str, f64),
    /// At least so much, whatever the peers do.
    AtLeast(f64),
    /// At most so much, whatever the peers do.
    AtMost(f64),
}

/// At most 1.2 times as large, said as a ratio.
const FIFTH_MORE: f64 = 1.0 / 1.2;

/// Every figure of the key-value session that is to reach something.
pub const KV: &[(&str, Reach)] = &[
    ("1 bulk load, sorted keys [entries/s]", Reach::Best(1.2)),
    ("1 bulk load, random keys [entries/s]", Reach::Best(1.0)),
    ("2 durable single puts, p50, against the device's [x]", Reach::AtMost(1.1)),
    ("2 durable single puts, 8 threads against 1 [x]", Reach::AtLeast(4.0)),
    ("3 durable commits of 100 [entries/s]", Reach::Best(1.2)),
    ("4 single puts without sync [commits/s]", Reach::Best(1.5)),
    ("5 random gets, 1 thread [gets/s]", Reach::Best(1.2)),
    ("5 random gets, 2 threads [gets/s]", Reach::Best(1.2)),
    ("5 gets of absent keys [gets/s]", Reach::Peer("heed", 1.5)),
    ("6 random gets, memory for 2 of 5 entries [gets/s]", Reach::Best(1.2)),
    ("7 seek and read 10 [seeks/s]", Reach::Best(1.0)),
    ("7 full scan forward [entries/s]", Reach::Best(1.2)),
    ("7 full scan backward [entries/s]", Reach::Best(1.2)),
    ("8 overwrites, 1k a commit [entries/s]", Reach::Best(1.0)),
    ("8 random gets right after [gets/s]", Reach::Best(1.2)),
    ("9 removals, 10k a commit [entries/s]", Reach::Best(1.0)),
    ("9 scan after the removals [entries/s]", Reach::Best(1.2)),
    ("10 beside a reader: writer, 100 a commit [entries/s]", Reach::Best(1.0)),
    ("10 beside a reader: writer, worst commit [us]", Reach::AtMost(10_000.0)),
    ("10 beside a writer: reader [gets/s]", Reach::Best(1.0)),
    ("10 beside a writer: reader, p99 [us]", Reach::Best(1.0 / 1.5)),
    ("11 4 writers, keys of their own, against 1 [x]", Reach::AtLeast(1.0)),
    ("11 one hot key: slowest thread, of an even share [x]", Reach::AtLeast(0.5)),
    ("11 increments lost", Reach::AtMost(0.0)),
    ("12 disk after random load and close [MiB]", Reach::Peer("sqlite", FIFTH_MORE)),
    ("12 disk after the overwrites and close [MiB]", Reach::Peer("sqlite", FIFTH_MORE)),
    ("12 peak memory of these gets, against the budget [x]", Reach::AtMost(1.2)),
    ("12 peak memory of overwrites, against the budget [x]", Reach::AtMost(1.2)),
    ("13 open after a clean close, to the first get [ms]", Reach::AtMost(2.0)),
    ("13 open after kill -9, to the first get [ms]", Reach::AtMost(100.0)),
    ("14 small databases opened, a row read, closed [/s]", Reach::AtLeast(3000.0)),
    ("14 memory of a small database while open, anonymous [KiB]", Reach::AtMost(64.0)),
];

/// Every figure of time travel, branches and the feed that is.
pub const TIME: &[(&str, Reach)] = &[
    ("1 point read AS OF, unchanged row, against now [x]", Reach::AtMost(1.1)),
    ("1 point read AS OF, changed row, against now [x]", Reach::AtMost(1.5)),
    ("2 AS OF 10 000 versions back against 10 [x]", Reach::AtMost(2.0)),
    ("3 full scan AS OF, history 10 times the rows, against now [x]", Reach::AtMost(2.0)),
    ("4 reads of now, history on against off [x]", Reach::AtMost(1.03)),
    ("4 updates, history on against off [x]", Reach::AtMost(1.15)),
    ("6 diff of 1 changed row, all rows [ms]", Reach::AtMost(1.0)),
    ("7 feed, one reader [changes/s]", Reach::AtLeast(500_000.0)),
    ("7 commit with a subscriber against without, p50 [x]", Reach::AtMost(1.02)),
    ("8 make a branch of many rows, p50 [us]", Reach::AtMost(50.0)),
    ("8 make a branch of many rows against of few [x]", Reach::AtMost(1.2)),
    ("9 point read 32 branches deep against 1 [x]", Reach::AtMost(1.5)),
    ("10 merge of 1 000 and 1 000 changes, all rows [ms]", Reach::AtMost(20.0)),
];

/// Every figure of cold rows that is.
pub const TIER: &[(&str, Reach)] = &[
    ("1 ingest with a hot budget against without [x]", Reach::AtLeast(0.5)),
    ("1 ingest with a hot budget, slowest second, of the mean [x]", Reach::AtLeast(0.2)),
    ("2 hot pages at most, against the hot budget [x]", Reach::AtMost(1.2)),
    ("2 memory at most, own figures, with a hot budget, against cache_bytes [x]", Reach::AtMost(1.2)),
    ("2 anonymous memory at most, with a hot budget, against cache_bytes [x]", Reach::AtMost(1.2)),
    ("3 last day by sensor, with a hot budget against without [x]", Reach::AtMost(1.1)),
    ("3 last day by id, with a hot budget against without [x]", Reach::AtMost(1.1)),
    ("4 open with cold rows [GETs]", Reach::AtMost(0.0)),
    ("4 cold point read [GETs]", Reach::AtMost(1.0)),
    ("4 absent cold key [GETs]", Reach::AtMost(0.02)),
    ("5 cold scan, of the store's bandwidth [x]", Reach::AtLeast(0.7)),
    ("6 map: ingest [rows/s]", Reach::Peer("slatedb", 1.0)),
    ("6 map: ingest until all lies in the store [rows/s]", Reach::Peer("slatedb", 1.0)),
    ("6 map: PUTs a million rows", Reach::Peer("slatedb", 1.0)),
    ("6 map: bytes put for a byte ingested [x]", Reach::Peer("slatedb", 1.0)),
    ("6 map: cold read [GETs]", Reach::Peer("slatedb", 1.0)),
    ("6 map: absent cold key [GETs]", Reach::AtMost(0.02)),
    ("7 map: stored bytes a row", Reach::Peer("rocksdb", 1.0)),
    ("8 live rows stored over those required, worst of the last rounds [x]", Reach::AtMost(1.2)),
    ("8 rows and history stored over those required, worst of the last rounds [x]", Reach::AtMost(1.2)),
];

impl Reach {
    /// What the figure of this name is to reach, if anything.
    pub fn of(what: &str) -> Option<Reach> {
        KV.iter().chain(TIME).chain(TIER).find(|(name, _)| *name == what).map(|(_, reach)| *reach)
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reach::Best(ratio) => write!(f, "{ratio:.2}x"),
            Reach::Peer(name, ratio) => write!(f, "{ratio:.2}x {name}"),
            Reach::AtLeast(figure) => write!(f, "at least {figure}"),
            Reach::AtMost(figure) => write!(f, "at most {figure}"),
        }
    }
}
