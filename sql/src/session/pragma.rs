//! PRAGMA: reading and setting what a connection or a database remembers, and checks of the whole database.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use dosql_base::{Env, Result, Timestamp};

use super::check::{foreign_key_check, integrity_check};
use super::state::Session;
use crate::catalog::pragma::{TABLE_PRAGMAS, find, rows};
use crate::catalog::schema::Catalog;
use crate::catalog::store::{read_numbers, write_numbers};
use crate::dml::Programs;
use crate::dml::machine::{Machine, Surroundings};
use crate::storage::{Point, Storage};
use crate::value::{Value, text_of, to_integer};

/// A PRAGMA, ready to run.
#[derive(Clone, Debug)]
pub(crate) struct Pragma {
    what: What,
    name: String,
    value: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// Rows of the schema: an index into [`TABLE_PRAGMAS`].
    Table(usize),
    /// A switch of the connection.
    Switch(Switch),
    /// A number that the database keeps.
    Number(Number),
    SchemaVersion,
    /// How long the connection waits for the writer's turn.
    BusyTimeout,
    ForeignKeyCheck,
    IntegrityCheck,
    /// Always the same answer.
    Fixed(&'static str),
    /// Accepted, remembered, without effect; the text is what it says before it is set.
    Accepted(&'static str),
    /// Accepted, says nothing.
    Silent,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Switch {
    ForeignKeys,
    DeferForeignKeys,
    RecursiveTriggers,
    CaseSensitiveLike,
    IgnoreChecks,
    QueryOnly,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    UserVersion,
    ApplicationId,
}

/// PRAGMAs besides those that show the schema.
const PRAGMAS: &[(&str, What)] = &[
    ("analysis_limit", What::Accepted("0")),
    ("application_id", What::Number(Number::ApplicationId)),
    ("auto_vacuum", What::Accepted("0")),
    ("automatic_index", What::Accepted("1")),
    ("busy_timeout", What::BusyTimeout),
    ("cache_size", What::Accepted("-2000")),
    ("cache_spill", What::Accepted("1")),
    ("case_sensitive_like", What::Switch(Switch::CaseSensitiveLike)),
    ("cell_size_check", What::Accepted("0")),
    ("checkpoint_fullfsync", What::Accepted("0")),
    ("count_changes", What::Accepted("0")),
    ("defer_foreign_keys", What::Switch(Switch::DeferForeignKeys)),
    ("empty_result_callbacks", What::Accepted("0")),
    ("encoding", What::Fixed("UTF-8")),
    ("foreign_key_check", What::ForeignKeyCheck),
    ("foreign_keys", What::Switch(Switch::ForeignKeys)),
    ("freelist_count", What::Fixed("0")),
    ("full_column_names", What::Accepted("0")),
    ("fullfsync", What::Accepted("0")),
    ("hard_heap_limit", What::Accepted("0")),
    ("ignore_check_constraints", What::Switch(Switch::IgnoreChecks)),
    ("incremental_vacuum", What::Silent),
    ("integrity_check", What::IntegrityCheck),
    ("journal_mode", What::Accepted("wal")),
    ("journal_size_limit", What::Accepted("-1")),
    ("legacy_alter_table", What::Accepted("0")),
    ("locking_mode", What::Accepted("normal")),
    ("max_page_count", What::Accepted("4294967294")),
    ("mmap_size", What::Accepted("0")),
    ("optimize", What::Silent),
    ("page_size", What::Accepted("4096")),
    ("query_only", What::Switch(Switch::QueryOnly)),
    ("quick_check", What::IntegrityCheck),
    ("read_uncommitted", What::Accepted("0")),
    ("recursive_triggers", What::Switch(Switch::RecursiveTriggers)),
    ("reverse_unordered_selects", What::Accepted("0")),
    ("schema_version", What::SchemaVersion),
    ("secure_delete", What::Accepted("0")),
    ("short_column_names", What::Accepted("1")),
    ("shrink_memory", What::Silent),
    ("soft_heap_limit", What::Accepted("0")),
    ("synchronous", What::Accepted("2")),
    ("temp_store", What::Accepted("0")),
    ("threads", What::Accepted("0")),
    ("trusted_schema", What::Accepted("1")),
    ("user_version", What::Number(Number::UserVersion)),
    ("wal_autocheckpoint", What::Accepted("1000")),
    ("wal_checkpoint", What::Silent),
    ("writable_schema", What::Accepted("0")),
];

/// Makes a PRAGMA ready to run. An unknown one does nothing, as in SQLite.
pub(crate) fn prepare(name: &str, value: Option<Value>) -> Result<Pragma> {
    let own = PRAGMAS.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, what)| *what);
    let what = own.or_else(|| find(name).map(What::Table)).unwrap_or(What::Unknown);
    Ok(Pragma { what, name: name.to_ascii_lowercase(), value })
}

impl Pragma {
    /// The columns of its rows.
    pub(super) fn columns(&self) -> Vec<String> {
        let own = || vec![self.name.clone()];
        match self.what {
            What::Table(n) => TABLE_PRAGMAS
                .get(n)
                .map_or_else(Vec::new, |p| p.columns.iter().map(|&c| c.to_owned()).collect()),
            What::ForeignKeyCheck => ["table", "rowid", "parent", "fkid"].map(str::to_owned).to_vec(),
            What::Switch(Switch::CaseSensitiveLike) | What::Silent | What::Unknown => Vec::new(),
            What::Switch(_) | What::Number(_) | What::SchemaVersion if self.value.is_some() => Vec::new(),
            What::Accepted(_) if self.value.is_some() && !self.answers() => Vec::new(),
            What::BusyTimeout => vec!["timeout".to_owned()],
            _ => own(),
        }
    }

    /// Whether it says what it was set to, as SQLite's does.
    fn answers(&self) -> bool {
        [
            "analysis_limit",
            "journal_mode",
            "journal_size_limit",
            "locking_mode",
            "max_page_count",
            "mmap_size",
            "secure_delete",
            "threads",
            "wal_autocheckpoint",
        ]
        .contains(&self.name.as_str())
    }

    pub(super) fn is_readonly(&self) -> bool {
        !matches!(self.what, What::Number(_) if self.value.is_some())
    }
}

/// Runs a PRAGMA.
pub(crate) fn run<S: Storage>(
    pragma: &Pragma,
    session: &mut Session,
    catalog: &Arc<Catalog>,
    storage: &mut S,
    env: &Env,
    now: Timestamp,
    interrupt: &AtomicBool,
) -> Result<Vec<Vec<Value>>> {
    let one = |value: Value| vec![vec![value]];
    let value = pragma.value.as_ref();
    Ok(match pragma.what {
        What::Table(number) => rows(number, value, catalog)?,
        What::Switch(switch) => {
            let slot = match switch {
                Switch::ForeignKeys => &mut session.settings.foreign_keys,
                Switch::DeferForeignKeys => &mut session.settings.defer_foreign_keys,
                Switch::RecursiveTriggers => &mut session.settings.recursive_triggers,
                Switch::CaseSensitiveLike => &mut session.settings.case_sensitive_like,
                Switch::IgnoreChecks => &mut session.settings.ignore_checks,
                Switch::QueryOnly => &mut session.settings.query_only,
            };
            match value {
                // What a transaction has to keep does not change inside it.
                Some(_) if switch == Switch::ForeignKeys && session.in_transaction => Vec::new(),
                Some(value) => {
                    *slot = is_on(value);
                    if switch == Switch::CaseSensitiveLike {
                        // Plans say how LIKE compares, so they must be made anew.
                        session.forget_catalog();
                    }
                    Vec::new()
                }
                None => one(Value::Integer(i64::from(*slot))),
            }
        }
        What::Number(number) => {
            let mut numbers = read_numbers(storage, Point::Live)?;
            let slot = match number {
                Number::UserVersion => &mut numbers.user_version,
                Number::ApplicationId => &mut numbers.application_id,
            };
            match value {
                Some(value) => {
                    *slot = small_integer(value);
                    write_numbers(storage, &numbers)?;
                    Vec::new()
                }
                None => one(Value::Integer(i64::from(*slot))),
            }
        }
        What::BusyTimeout => {
            if let Some(value) = value {
                let milliseconds = u64::try_from(to_integer(value.as_ref())).unwrap_or(0);
                session.settings.busy_timeout = Duration::from_millis(milliseconds);
            }
            let milliseconds = session.settings.busy_timeout.as_millis();
            one(Value::Integer(i64::try_from(milliseconds).unwrap_or(i64::MAX)))
        }
        What::SchemaVersion if value.is_some() => Vec::new(),
        What::SchemaVersion => one(Value::Integer((session.schema_version(storage)? & 0x7FFF_FFFF) as i64)),
        What::ForeignKeyCheck | What::IntegrityCheck => {
            let programs = Programs::default();
            let around =
                Surroundings { env, now, parameters: &[], limits: session.settings.limits, interrupt };
            let mut machine =
                Machine::new(storage, around, catalog, &session.settings, &programs, session.counters);
            let named = value.map(|value| text_of(value.as_ref()));
            if pragma.what == What::ForeignKeyCheck {
                foreign_key_check(&mut machine, named.as_deref())?
            } else {
                integrity_check(&mut machine, named.as_deref())?
            }
        }
        What::Fixed(text) => one(Value::text(text)),
        What::Accepted(default) => accepted(pragma, default, session),
        What::Silent | What::Unknown => Vec::new(),
    })
}

/// Remembers what a PRAGMA without effect was set to.
fn accepted(pragma: &Pragma, default: &str, session: &mut Session) -> Vec<Vec<Value>> {
    let known = &mut session.settings.accepted;
    if let Some(value) = &pragma.value {
        let text = text_of(value.as_ref()).to_ascii_lowercase();
        // What the storage is can't be chosen here.
        if !["journal_mode", "page_size", "auto_vacuum"].contains(&pragma.name.as_str()) {
            known.retain(|(name, _)| *name != pragma.name);
            known.push((pragma.name.clone(), text));
        }
        if !pragma.answers() {
            return Vec::new();
        }
    }
    let text = known.iter().find(|(name, _)| *name == pragma.name).map_or(default, |(_, text)| text);
    let text = number_of_word(&pragma.name, text).unwrap_or(text);
    let value = text.parse().map_or_else(|_| Value::text(text), Value::Integer);
    vec![vec![value]]
}

/// The number that a word stands for, as the PRAGMA shows it.
fn number_of_word<'t>(pragma: &str, word: &str) -> Option<&'t str> {
    let number = match (pragma, word) {
        ("auto_vacuum", "none") | ("temp_store", "default") => "0",
        ("auto_vacuum", "full") | ("temp_store", "file") | ("synchronous", "normal") => "1",
        ("auto_vacuum", "incremental") | ("temp_store", "memory") | ("synchronous", "full") => "2",
        ("synchronous", "extra") => "3",
        ("journal_mode" | "locking_mode", _) => return None,
        (_, "off" | "no" | "false") => "0",
        (_, "on" | "yes" | "true") => "1",
        _ => return None,
    };
    Some(number)
}

/// A number that the database keeps: 32 bits, in hexadecimal too; 0 where it does not fit.
fn small_integer(value: &Value) -> i32 {
    let text = text_of(value.as_ref());
    let hexadecimal = text.strip_prefix("0x").and_then(|digits| i64::from_str_radix(digits, 16).ok());
    i32::try_from(hexadecimal.unwrap_or_else(|| to_integer(value.as_ref()))).unwrap_or_default()
}

/// A switch's value: 1, on, true, yes.
fn is_on(value: &Value) -> bool {
    let text = text_of(value.as_ref());
    ["on", "true", "yes"].iter().any(|word| text.eq_ignore_ascii_case(word))
        || to_integer(value.as_ref()) != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::pragma::SETTINGS;

    #[test]
    fn pragma_list_names_every_pragma_that_runs() {
        let names: Vec<&str> = PRAGMAS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, SETTINGS);
        assert!(SETTINGS.is_sorted());
    }
}
