//! Random merges, judged by a three-way merge of maps that knows nothing of trees, histories and logs.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

use std::collections::{BTreeMap, BTreeSet};

use dosql::{Connection, Database, Maintenance, Merge, NewBranch, OnConflict, Options, Storage};

/// Rows by key: two plain columns and one whose changes add up.
type State = BTreeMap<i64, [i64; 3]>;

const ROWID: &str = "k INTEGER PRIMARY KEY";
const WITHOUT_ROWID: &str = "k INTEGER NOT NULL PRIMARY KEY";
/// A key besides the rowid.
const BESIDES: &str = "k TEXT PRIMARY KEY";

/// The merge of one row. `theirs_win` settles what both changed.
fn merge_row(
    base: Option<[i64; 3]>,
    ours: Option<[i64; 3]>,
    theirs: Option<[i64; 3]>,
    theirs_win: bool,
) -> Option<[i64; 3]> {
    let (Some(b), Some(o), Some(t)) = (base, ours, theirs) else {
        return match (theirs == base || theirs == ours, ours == base) {
            (true, _) => ours,
            (false, true) => theirs,
            (false, false) if theirs_win => theirs,
            (false, false) => ours,
        };
    };
    let cell = |at: usize| match (t[at] == b[at], o[at] == b[at]) {
        (true, _) => o[at],
        (false, true) => t[at],
        (false, false) if theirs_win => t[at],
        (false, false) => o[at],
    };
    Some([cell(0), cell(1), o[2] + (t[2] - b[2])])
}

fn merge(base: &State, ours: &State, theirs: &State, theirs_win: bool) -> State {
    let keys: BTreeSet<i64> = base.keys().chain(ours.keys()).chain(theirs.keys()).copied().collect();
    let row = |key: i64| {
        let of = |state: &State| state.get(&key).copied();
        Some((key, merge_row(of(base), of(ours), of(theirs), theirs_win)?))
    };
    keys.into_iter().filter_map(row).collect()
}

fn state(connection: &Connection) -> State {
    let mut statement = connection.prepare("SELECT CAST(k AS INTEGER), a, b, n FROM t").unwrap();
    let rows = statement
        .query_map((), |row| Ok((row.get::<i64>(0)?, [row.get(1)?, row.get(2)?, row.get(3)?])))
        .unwrap();
    rows.map(Result::unwrap).collect()
}

fn live(seed: u64, retention: u64, keyed: &str) {
    let options = Options {
        retention,
        page_size: 4096,
        maintenance: Maintenance::Caller,
        hot_budget: u64::from(seed % 2 == 1),
        segment_bytes: 4 << 10,
        ..Options::default()
    };
    let storage = Storage::memory_with(&options);
    let mut db = Database::open(storage.share(), options.clone()).unwrap();
    let mut rng = fastrand::Rng::with_seed(seed);
    let schema = format!(
        "CREATE TABLE t ({keyed}, a INT, b INT, n INT MERGE ADD){}",
        match keyed {
            WITHOUT_ROWID => " WITHOUT ROWID",
            _ => "",
        }
    );
    db.connect().unwrap().execute_batch(&format!("{schema}; CREATE INDEX i ON t (a)")).unwrap();
    let mut states: BTreeMap<String, State> = [("main".to_owned(), State::new())].into();
    // What two branches had last in common, by their names in order.
    let mut bases: BTreeMap<(String, String), State> = BTreeMap::new();
    let pair =
        |a: &str, b: &str| if a < b { (a.to_owned(), b.to_owned()) } else { (b.to_owned(), a.to_owned()) };
    for step in 0..120 {
        let names: Vec<String> = states.keys().cloned().collect();
        let name = names[rng.usize(..names.len())].clone();
        let place = format!("seed {seed}, step {step}, {name}");
        match rng.u8(..10) {
            0..=4 => {
                let connection = db.branch(&name).unwrap().connect().unwrap();
                let rows = states.get_mut(&name).unwrap();
                for _ in 0..rng.usize(1..5) {
                    let (key, value) = (rng.i64(0..12), rng.i64(0..4));
                    match rng.u8(..4) {
                        0 => {
                            connection.execute("DELETE FROM t WHERE k = ?", [key]).unwrap();
                            rows.remove(&key);
                        }
                        1 if rows.contains_key(&key) => {
                            connection.execute("UPDATE t SET n = n + ? WHERE k = ?", [value, key]).unwrap();
                            rows.get_mut(&key).unwrap()[2] += value;
                        }
                        // The same row anew, under another rowid where that is no part of the key.
                        2 if rows.contains_key(&key) => {
                            let [a, b, n] = rows[&key];
                            let sql = format!("INSERT OR REPLACE INTO t VALUES ({key}, {a}, {b}, {n})");
                            connection.execute(&sql, ()).unwrap();
                        }
                        _ => {
                            let column = rng.usize(..2);
                            let row = rows.entry(key).or_insert([0, 0, 0]);
                            row[column] = value;
                            let set = ["a", "b"][column];
                            let sql = format!(
                                "INSERT INTO t VALUES (?1, 0, 0, 0) ON CONFLICT DO NOTHING; UPDATE t SET {set} = {value} WHERE k = {key}"
                            );
                            let (insert, update) = sql.split_once(';').unwrap();
                            connection.execute(insert, [key]).unwrap();
                            connection.execute(update, ()).unwrap();
                        }
                    }
                }
            }
            // All off main, so that what two of them have in common is main at the earlier fork, or a later merge.
            5 if names.len() < 4 => {
                let new = format!("b{step}");
                db.create_branch(&new, &NewBranch::default()).unwrap();
                let at_fork = states["main"].clone();
                for other in names.iter().filter(|other| *other != "main") {
                    let common = bases_at_fork(&bases, other);
                    bases.insert(pair(&new, other), common);
                }
                bases.insert(pair("main", &new), at_fork.clone());
                bases.insert((new.clone(), "at fork".to_owned()), at_fork.clone());
                states.insert(new, at_fork);
            }
            6..=8 if names.len() > 1 => {
                let from = names[rng.usize(..names.len())].clone();
                if from == name {
                    continue;
                }
                let theirs_win = rng.bool();
                let on_conflict = if theirs_win { OnConflict::Theirs } else { OnConflict::Ours };
                let (base, theirs) = (bases[&pair(&from, &name)].clone(), states[&from].clone());
                let merged = merge(&base, &states[&name], &theirs, theirs_win);
                let into = db.branch(&name).unwrap();
                let how = Merge { on_conflict, ..Merge::default() };
                let report =
                    into.merge(&from, &how).unwrap_or_else(|error| panic!("{place} from {from}: {error}"));
                let found = state(&into.connect().unwrap());
                assert_eq!(
                    found, merged,
                    "{place} from {from}, base {base:?}, ours {:?}, theirs {theirs:?}",
                    states[&name]
                );
                let sound: String = into
                    .connect()
                    .unwrap()
                    .query_row("PRAGMA integrity_check", (), |row| row.get(0))
                    .unwrap();
                assert_eq!(sound, "ok", "{place} from {from}: {report:?}");
                // A merge that had nothing to do leaves no mark: nothing new is in common.
                if report.commit.is_some() || !report.conflicts.is_empty() {
                    bases.insert(pair(&from, &name), theirs);
                }
                states.insert(name, merged);
            }
            9 => {
                if rng.bool() {
                    db.checkpoint().unwrap();
                }
                if rng.u8(..3) == 0 {
                    drop(db);
                    db = Database::open(storage.share(), options.clone()).unwrap();
                }
            }
            _ => {}
        }
    }
    for (name, rows) in &states {
        let connection = db.branch(name).unwrap().connect().unwrap();
        assert_eq!(state(&connection), *rows, "seed {seed}, {name} at the end");
        let sound: String = connection.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
    }
    assert!(db.verify().unwrap().is_sound(), "seed {seed}: {:?}", db.verify());
}

/// What main held when a branch forked off it.
fn bases_at_fork(bases: &BTreeMap<(String, String), State>, branch: &str) -> State {
    bases[&(branch.to_owned(), "at fork".to_owned())].clone()
}

#[test]
fn merges_are_what_a_merge_of_maps_says() {
    for seed in 0..25 {
        live(seed, dosql::DAY, ROWID);
    }
}

#[test]
fn merges_without_retention_are_what_a_merge_of_maps_says() {
    for seed in 100..115 {
        live(seed, 0, ROWID);
    }
}

#[test]
fn merges_of_tables_without_rowids_are_what_a_merge_of_maps_says() {
    for seed in 200..215 {
        live(seed, dosql::DAY, WITHOUT_ROWID);
    }
}

#[test]
fn merges_of_tables_with_a_key_besides_the_rowid_are_what_a_merge_of_maps_says() {
    for seed in 300..320 {
        live(seed, dosql::DAY, BESIDES);
    }
    for seed in 400..408 {
        live(seed, 0, BESIDES);
    }
}
