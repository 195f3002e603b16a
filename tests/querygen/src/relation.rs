//! What must hold between the answers to queries; how a case of it is made, and checked.

use dosql::Value;

use crate::compare::{Rows, same_order, same_rows};
use crate::known::ends_ordered;
use crate::pair::{Failure, Outcome, answer, answer_with};
use crate::parameters::as_parameters;
use crate::twin::Databases;
use crate::{Generator, Kind, with_hint};

/// What must hold between answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Ternary logic partitioning: a row is where a predicate is true, false or NULL, and nowhere twice.
    Where,
    /// The same for the distinct rows, of which several parts may have the same.
    Distinct,
    /// The same for groups and HAVING.
    Having,
    /// The aggregates of all rows come from those of the parts.
    Aggregate,
    /// NoREC: WHERE, which may use indexes and move into joins, keeps the rows for which its expression, computed for every
    /// row, is true.
    Expression,
    /// Indexes that may not be used.
    NotIndexed,
    /// Indexes that are not there.
    Dropped,
    /// The present by the number of the last commit.
    AsOf,
    /// Batches of one row, a tiny cache, small pages.
    Twin,
    /// The constants as parameters.
    Parameters,
    View,
    Cte,
    Subquery,
    /// Before and after a checkpoint.
    Checkpoint,
    /// After the database was closed and opened again.
    Reopen,
    /// Own writes in the open transaction, and then committed.
    OwnWrites,
}

impl Relation {
    pub const ALL: [Relation; 16] = [
        Relation::Where,
        Relation::Distinct,
        Relation::Having,
        Relation::Aggregate,
        Relation::Expression,
        Relation::NotIndexed,
        Relation::Dropped,
        Relation::AsOf,
        Relation::Twin,
        Relation::Parameters,
        Relation::View,
        Relation::Cte,
        Relation::Subquery,
        Relation::Checkpoint,
        Relation::Reopen,
        Relation::OwnWrites,
    ];

    /// What the figures call it.
    pub fn name(self) -> &'static str {
        match self {
            Relation::Where => "rows where a predicate is true, false and NULL",
            Relation::Distinct => "distinct rows where a predicate is true, false and NULL",
            Relation::Having => "groups for which HAVING is true, false and NULL",
            Relation::Aggregate => "aggregates over parts",
            Relation::Expression => "WHERE against its expression for every row",
            Relation::NotIndexed => "indexed and NOT INDEXED",
            Relation::Dropped => "with indexes and with them dropped",
            Relation::AsOf => "live and AS OF now",
            Relation::Twin => "large cache and batches, tiny cache and batches of one row",
            Relation::Parameters => "constants and parameters",
            Relation::View => "direct and through a view",
            Relation::Cte => "direct and through a CTE",
            Relation::Subquery => "direct and through a subquery",
            Relation::Checkpoint => "before and after a checkpoint",
            Relation::Reopen => "before and after reopening",
            Relation::OwnWrites => "own writes in a transaction, and committed",
        }
    }

    /// A case of it.
    pub fn make(self, generator: &mut Generator) -> Case {
        let parts = match self {
            Relation::Where | Relation::Expression | Relation::Distinct => {
                let from = generator.from(1);
                let predicate = generator.predicate(&from.fields, 3);
                let list =
                    if self == Relation::Distinct { generator.columns(&from.fields).0 } else { "*".into() };
                vec![list, from.sql, predicate]
            }
            Relation::Having => {
                let mut group = generator.group(1, &[]);
                while !group.grouped {
                    group = generator.group(1, &[]);
                }
                vec![group.sql, generator.having(&group.scope)]
            }
            Relation::Aggregate => {
                let from = generator.from(1);
                let predicate = generator.predicate(&from.fields, 3);
                let value = generator.leaf(&from.fields, Kind::Int);
                let any = generator.any(&from.fields, 2);
                vec![from.sql, predicate, value, any]
            }
            Relation::OwnWrites => vec![generator.change().0, generator.select(2, &[]).0],
            Relation::Parameters => vec![generator.plain(2, &[]).0],
            _ => vec![generator.select(2, &[]).0],
        };
        Case { relation: self, parts }
    }
}

/// A relation and the parts of the query that it is about.
pub struct Case {
    pub relation: Relation,
    pub parts: Vec<String>,
}

/// What came of a case.
pub enum Verdict {
    Holds,
    /// The queries were refused, or the data are not such that it must hold.
    Open,
    /// What was asked, and the answers; `error`: how the message begins with which one of the queries was refused.
    Violated {
        found: String,
        error: String,
    },
}

impl Case {
    /// Asks the queries and compares the answers.
    pub fn check(&self, databases: &mut Databases) -> Verdict {
        match self.relation {
            Relation::Where => {
                self.partition(databases, " WHERE ", &|all, parts| same_rows(all, parts, false))
            }
            Relation::Distinct => {
                self.partition(databases, " WHERE ", &|all, parts| covers(all, parts) && covers(parts, all))
            }
            Relation::Having => {
                self.partition(databases, " HAVING ", &|all, parts| same_rows(all, parts, true))
            }
            Relation::Aggregate => self.aggregate(databases),
            Relation::Expression => self.expression(databases),
            _ => self.two_ways(databases),
        }
    }

    /// The rows of all against those where a predicate is true, false and NULL.
    fn partition(&self, databases: &Databases, clause: &str, same: &dyn Fn(&Rows, &Rows) -> bool) -> Verdict {
        let (query, predicate) = match &self.parts[..] {
            [query, predicate] => (query.clone(), predicate),
            [list, from, predicate] => {
                let distinct = if self.relation == Relation::Distinct { "DISTINCT " } else { "" };
                (format!("SELECT {distinct}{list} FROM {from}"), predicate)
            }
            _ => return Verdict::Open,
        };
        let tests = [predicate.clone(), format!("NOT ({predicate})"), format!("({predicate}) IS NULL")];
        let Ok(all) = databases.rows(&query) else { return Verdict::Open };
        let mut parts = Vec::new();
        for test in &tests {
            match databases.rows(&format!("{query}{clause}{test}")) {
                Ok(mut rows) => parts.append(&mut rows),
                Err(error) => return refused(&format!("{query}{clause}{test}"), &error),
            }
        }
        if same(&all, &parts) {
            return Verdict::Holds;
        }
        violated(&format!("{query}{clause}{predicate}"), &format!("all {all:?}\n-- parts {parts:?}"))
    }

    /// The aggregates of all rows against those made of the parts' aggregates.
    fn aggregate(&self, databases: &Databases) -> Verdict {
        let [from, predicate, value, any] = &self.parts[..] else { return Verdict::Open };
        let aggregates = format!(
            "SELECT count(*) AS c, count({any}) AS n, min(({any}) COLLATE BINARY) AS lo, max(({any}) COLLATE BINARY) AS hi, \
             sum({value}) AS s, avg({value}) IS NULL AS e FROM {from}"
        );
        let parts = format!(
            "SELECT sum(c), sum(n), min(lo), max(hi), sum(s), min(e) FROM ({aggregates} WHERE {predicate} UNION ALL \
             {aggregates} WHERE NOT ({predicate}) UNION ALL {aggregates} WHERE ({predicate}) IS NULL)"
        );
        compare(&aggregates, &parts, databases.rows(&aggregates), databases.rows(&parts), true)
    }

    /// The rows that WHERE keeps, counted, against its expression for every row.
    fn expression(&self, databases: &Databases) -> Verdict {
        let [_, from, predicate] = &self.parts[..] else { return Verdict::Open };
        let optimised = format!("SELECT count(*) FROM {from} WHERE {predicate}");
        let computed = format!("SELECT CAST(total(({predicate}) IS TRUE) AS INTEGER) FROM {from}");
        compare(&optimised, &computed, databases.rows(&optimised), databases.rows(&computed), false)
    }

    /// One query, asked in two ways.
    fn two_ways(&self, databases: &mut Databases) -> Verdict {
        let Some(sql) = self.parts.last() else { return Verdict::Open };
        let plain = with_hint(sql, "");
        let ordered = ends_ordered(&plain)
            && !matches!(self.relation, Relation::View | Relation::Cte | Relation::Subquery);
        if self.relation == Relation::OwnWrites {
            let change = with_hint(&self.parts[0], "");
            let _ = answer(&databases.twin_connection, &change);
            let _ = answer(databases.connection(), "BEGIN");
            let _ = answer(databases.connection(), &change);
        }
        let first = databases.rows(&plain);
        let (second, outcome) = self.other_way(sql, &plain, databases);
        let outcome = outcome.map(|answer| answer.rows);
        if let (Ok(first), Ok(then), true) = (&first, &outcome, ordered)
            && same_rows(first, then, false)
            && !same_order(first, then)
        {
            return violated(&second, &format!("first {first:?}\n-- then {then:?}"));
        }
        compare(&plain, &second, first, outcome, true)
    }

    /// How a query is asked the second time, and its outcome.
    fn other_way(&self, sql: &str, plain: &str, databases: &mut Databases) -> (String, Outcome) {
        let ask = |databases: &Databases, sql: String| {
            let outcome = answer(databases.connection(), &sql);
            (sql, outcome)
        };
        match self.relation {
            Relation::NotIndexed => ask(databases, with_hint(sql, " NOT INDEXED")),
            Relation::AsOf => {
                let now = databases.connection().last_commit().as_micros();
                ask(databases, with_hint(sql, &format!(" FOR SYSTEM_TIME AS OF LSN {now}")))
            }
            Relation::Cte => ask(databases, format!("WITH around AS ({plain}) SELECT * FROM around")),
            Relation::Subquery => ask(databases, format!("SELECT * FROM ({plain})")),
            Relation::View => {
                let _ = answer(databases.connection(), &format!("CREATE VIEW around AS {plain}"));
                let asked = ask(databases, "SELECT * FROM around".into());
                let _ = answer(databases.connection(), "DROP VIEW around");
                asked
            }
            Relation::Twin => (format!("{plain} -- in the twin"), answer(&databases.twin_connection, plain)),
            Relation::Parameters => {
                let (sql, parameters) = as_parameters(plain);
                let asked = format!("{sql} -- with {parameters:?}");
                (asked, answer_with(databases.connection(), &sql, parameters))
            }
            Relation::Dropped => {
                let connection = databases.connection();
                let indexes = "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";
                let indexes = databases.rows(indexes).unwrap_or_default();
                let _ = answer(connection, "BEGIN");
                for index in indexes.iter().flatten() {
                    if let Value::Text(name) = index {
                        let _ = answer(connection, &format!("DROP INDEX {}", name.as_str()));
                    }
                }
                let asked = ask(databases, plain.to_owned());
                let _ = answer(connection, "ROLLBACK");
                asked
            }
            Relation::Checkpoint => {
                databases.database().checkpoint().expect("memory takes a checkpoint");
                ask(databases, plain.to_owned())
            }
            Relation::Reopen => {
                databases.reopen();
                ask(databases, plain.to_owned())
            }
            Relation::OwnWrites => {
                let _ = answer(databases.connection(), "COMMIT");
                ask(databases, plain.to_owned())
            }
            _ => ask(databases, plain.to_owned()),
        }
    }
}

/// Whether each row of `some` is among `all`.
fn covers(all: &Rows, some: &Rows) -> bool {
    some.iter().all(|row| {
        let row = vec![row.clone()];
        all.iter().any(|other| same_rows(&vec![other.clone()], &row, true))
    })
}

/// Compares the answers to two queries that must give the same.
fn compare(
    first: &str,
    second: &str,
    ours: Result<Rows, Failure>,
    theirs: Result<Rows, Failure>,
    loose: bool,
) -> Verdict {
    match (&ours, &theirs) {
        (Ok(a), Ok(b)) if same_rows(a, b, loose) => Verdict::Holds,
        (Err(a), Err(b)) if !a.is_panic() && !b.is_panic() => Verdict::Open,
        (Err(error), Ok(_)) | (Ok(_), Err(error)) if error.message.contains("integer overflow") => {
            Verdict::Open
        }
        _ => {
            let first = with_hint(first, "");
            violated(&with_hint(second, ""), &format!("first {first}\n-- {ours:?}\n-- then {theirs:?}"))
        }
    }
}

fn refused(sql: &str, error: &Failure) -> Verdict {
    if error.message.contains("integer overflow") {
        return Verdict::Open;
    }
    violated(sql, &format!("Err({error:?})"))
}

fn violated(sql: &str, what: &str) -> Verdict {
    let message = what.split_once("message: ").map_or("", |(_, message)| message);
    let error = message.chars().take(24).collect();
    Verdict::Violated { found: format!("{};\n-- {what}", with_hint(sql, "")), error }
}
