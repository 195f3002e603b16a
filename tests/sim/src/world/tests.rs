//! The simulation finds what is planted: it is worth no more than that.

use std::sync::Arc;

use dosql::{DAY, Durability, Value};
use dosql_wal::Surviving;

use super::client::{Step, replay};
use super::{World, check};
use crate::model::{Answer, History, State, Statement};
use crate::plan::{Ask, Begin, End, Kind, Mode, Operation, Plan, Settings, Shape};

fn settings() -> Settings {
    Settings {
        cache_bytes: 64 << 10,
        dirty_bytes: 1 << 20,
        pinned_bytes: 1 << 20,
        log_limit: 1 << 20,
        log_segment: 0,
        retention: 7 * DAY,
        history_runs: 8,
        window_bytes: 1 << 20,
        durability: Durability::Sync,
    }
}

fn plan(operations: Vec<Operation>) -> Plan {
    let clock = 1_700_000_000_000_000;
    let shape = Shape { page_size: 4096, keys: 20, large: 400, spaces: 2, tables: 2, clock };
    Plan { seed: 1, shape, first: settings(), operations }
}

fn asks(kind: Kind, count: u64) -> Vec<Operation> {
    (0..count).map(|seed| Operation::Ask { client: 0, ask: Ask { kind, seed } }).collect()
}

fn crash(surviving: Surviving) -> Operation {
    Operation::End(End { surviving: Some(surviving), again: Vec::new(), zombie: false, settings: settings() })
}

/// A world in which a table with an index was filled, and keys were put.
fn lived() -> World {
    let kinds = [(Kind::CreateTable, 1), (Kind::CreateIndex, 1), (Kind::Insert, 12), (Kind::Put, 6)];
    let operations: Vec<_> = kinds.iter().flat_map(|&(kind, count)| asks(kind, count)).collect();
    let mut world = World::new(&plan(Vec::new()), false);
    world.open().expect("a new database");
    for operation in &operations {
        world.run(operation).expect("nothing is wrong");
    }
    world
}

/// What the check says when it is told that the database should hold `state`.
fn check_against(world: &mut World, state: State) -> Result<(), String> {
    let db = world.db().expect("it is open");
    let mut history = History::new();
    history.commit(db.last_commit(), state).expect("the first commit");
    check::check(&db, &history, world.shape.spaces, &mut world.rng)
}

#[test]
fn a_row_a_key_a_column_or_an_index_that_should_not_be_is_found() {
    let mut world = lived();
    let truth = world.history.head().state.clone();
    check_against(&mut world, truth.clone()).expect("the truth is right");
    let (name, table) = truth.tables.first_key_value().expect("a table was made");
    assert!(!table.indexes.is_empty() && table.rows.len() > 3);
    let mut lies: Vec<State> = Vec::new();
    let mut lie = |change: &dyn Fn(&mut State)| {
        let mut state = truth.clone();
        change(&mut state);
        lies.push(state);
    };
    lie(&|state| {
        let table = Arc::make_mut(state.tables.get_mut(name).expect("it is there"));
        Arc::make_mut(&mut table.rows).pop_first();
    });
    lie(&|state| {
        let table = Arc::make_mut(state.tables.get_mut(name).expect("it is there"));
        let (_, row) = Arc::make_mut(&mut table.rows).pop_last().expect("there are rows");
        let mut row = row.as_ref().clone();
        row[0] = Value::Integer(1 << 50);
        Arc::make_mut(&mut table.rows).insert(1 << 50, Arc::new(row));
    });
    lie(&|state| Arc::make_mut(state.tables.get_mut(name).expect("it is there")).indexes.clear());
    lie(&|state| {
        let table = Arc::make_mut(state.tables.get_mut(name).expect("it is there"));
        table.columns[1].name = "other".to_string();
    });
    lie(&|state| {
        let space = state.spaces.values_mut().next().expect("keys were put");
        Arc::make_mut(space).insert(b"planted".to_vec(), Arc::from(&b"x"[..]));
    });
    lie(&|state| state.tables.clear());
    for (number, state) in lies.into_iter().enumerate() {
        assert!(check_against(&mut world, state).is_err(), "lie {number}");
    }
}

#[test]
fn a_wrong_past_is_found() {
    let mut world = lived();
    let db = world.db().expect("it is open");
    let commits = world.history.commits().to_vec();
    let mut history = History::new();
    for (number, commit) in commits.iter().enumerate() {
        let state = if number == 0 { State::default() } else { commit.state.clone() };
        history.commit(commit.at, state).expect("in order");
    }
    // The first is always looked at.
    assert!(check::check(&db, &history, world.shape.spaces, &mut world.rng).is_err());
}

#[test]
fn a_disk_that_ignores_syncs_is_found() {
    let mut operations = asks(Kind::Put, 8);
    operations.push(crash(Surviving::Nothing));
    assert_eq!(World::new(&plan(Vec::new()), false).go(&operations).violation, None);
    let world = World::new(&plan(Vec::new()), false);
    world.machine.disk.ignore_syncs();
    let (step, _) = world.go(&operations).violation.expect("it is found");
    assert_eq!(step, 8);
}

#[test]
fn a_commit_that_was_acknowledged_and_is_gone_or_comes_twice_is_found() {
    let at = dosql::Timestamp::from_micros;
    let mut history = History::new();
    history.reopened(at(1)).expect("a new database");
    history.commit(at(5), State::default()).expect("it is later");
    assert!(history.commit(at(5), State::default()).is_err(), "time stands still");
    history.settle();
    history.commit(at(6), State::default()).expect("it is later");
    assert!(history.clone().reopened(at(6)).is_ok());
    assert!(history.clone().reopened(at(5)).is_ok(), "the last one was not durable");
    assert!(history.clone().reopened(at(1)).is_err(), "one that was is gone");
    assert!(history.clone().reopened(at(7)).is_err(), "nobody made this one");
    history.doubt(State::default());
    assert!(history.reopened(at(7)).is_ok(), "it was in doubt");
}

#[test]
fn a_transaction_that_read_what_is_no_longer_so_is_found() {
    let (space, key) = ("space0".to_string(), b"k".to_vec());
    let get = Statement::Get { space: space.clone(), key: key.clone() };
    let log = [Step::Ask(get, Answer::Value(None))];
    let mut state = State::default();
    assert!(replay(&log, &mut state).is_ok());
    state.apply(&Statement::Put { space, key, value: b"v".to_vec() });
    assert!(replay(&log, &mut state).is_err());
}

#[test]
fn a_zombie_is_told_nothing_is_durable() {
    let mut operations = asks(Kind::Put, 3);
    operations.push(Operation::End(End {
        surviving: Some(Surviving::Everything),
        again: Vec::new(),
        zombie: true,
        settings: settings(),
    }));
    operations.extend((0..5).map(|seed| Operation::ZombieAsk { ask: Ask { kind: Kind::Put, seed } }));
    assert_eq!(World::live(&plan(operations), false).violation, None);
}

#[test]
fn transactions_that_overlap_end_as_the_model_says() {
    let begin = |client, mode| Operation::Begin { client, begin: Begin::Kv(mode) };
    let put = |client, seed| Operation::Ask { client, ask: Ask { kind: Kind::Put, seed } };
    let operations = vec![
        begin(0, Mode::Concurrent(dosql::Isolation::Serializable)),
        begin(1, Mode::Write),
        put(0, 1),
        put(1, 1),
        Operation::Commit { client: 1 },
        Operation::Commit { client: 0 },
    ];
    let outcome = World::live(&plan(operations), false);
    assert_eq!((outcome.violation, outcome.figures.commits, outcome.figures.conflicts), (None, 1, 1));
}

#[test]
fn the_same_plan_twice_makes_the_same_calls_and_another_does_not() {
    let lives: Vec<_> = [3, 3, 4].map(|seed| World::live(&Plan::of(seed, 60), false)).into();
    let hashes = |life: usize| (lives[life].trace, lives[life].bytes);
    assert_eq!(hashes(0), hashes(1));
    assert_ne!(hashes(0), hashes(2));
}
