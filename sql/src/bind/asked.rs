//! Moments that a query asks for: what a value means, and how a plan made for one moment serves another.
//!
//! A plan is made with the schema of a moment. It serves every moment at which that schema was the same, so that a prepared
//! query AS OF a parameter is bound once, and only its moments are resolved for each run.

use std::sync::Arc;

use dosql_base::{Env, Error, Result, Timestamp};

use super::fold::Evaluation;
use crate::catalog::schema::Table;
use crate::parse::ast::AsOfUnit;
use crate::plan::Expr;
use crate::storage::{CatalogStamp, Point, Storage};
use crate::value::{self, Value};

/// The range in which an integer is taken for Unix milliseconds: 1973 to 5138. Seconds and microseconds of our time lie
/// outside.
pub(crate) const MILLISECONDS: std::ops::Range<i64> = 100_000_000_000..100_000_000_000_000;

/// A moment that a query asks for.
#[derive(Clone, Debug)]
pub struct Asked {
    pub(crate) unit: AsOfUnit,
    pub(crate) expr: Expr,
    /// What it was when the query was bound.
    pub(crate) point: Point,
    /// The moments that the query was bound for.
    pub(crate) valid: Valid,
    /// What is read as of it.
    pub(crate) tables: Vec<Arc<Table>>,
}

/// The moments of one schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Valid {
    /// From here on it was so.
    pub from: Timestamp,
    /// Until here it was so, at least.
    pub to: Timestamp,
    /// What stood for the live schema where that is still the same: it goes on until that changes.
    pub live: Option<CatalogStamp>,
}

impl Asked {
    /// Whether both ask for the same moment, whenever they are asked.
    pub(crate) fn is_same(&self, other: &Asked) -> bool {
        self.unit == other.unit && self.point == other.point && self.expr.same(&other.expr)
    }

    /// What it is this time; `None` where the query has to be bound anew, be it to learn why it can't be read.
    pub(crate) fn resolve<S: Storage>(
        &self,
        storage: &S,
        env: &Env,
        now: Timestamp,
        parameters: &[Value],
    ) -> Option<Point> {
        let mut evaluation = Evaluation { parameters: Some(parameters), env, now, depends: false };
        let value = evaluation.value(&self.expr).ok()??;
        let tag = |name: &str| storage.tag(name)?.ok_or_else(|| super::no_such_tag(name));
        let wanted = moment(self.unit, &value, tag).ok()?;
        let Ok(point @ Point::Past(at)) = storage.resolve_point_now(wanted, now) else { return None };
        let known = at < self.valid.to;
        let still = || self.valid.live.is_some_and(|live| storage.catalog_stamp() == Some(live));
        if at < self.valid.from || !(known || still()) {
            return None;
        }
        let reached =
            self.tables.iter().all(|table| storage.check_reach(point, table.space, &table.name).is_ok());
        reached.then_some(point)
    }
}

/// The moment that a value means.
pub(crate) fn moment(
    unit: AsOfUnit,
    value: &Value,
    tag: impl FnOnce(&str) -> Result<Timestamp>,
) -> Result<Timestamp> {
    let found = match unit {
        AsOfUnit::Timestamp => timestamp(value),
        AsOfUnit::Lsn => lsn(value),
        AsOfUnit::Branch => Err("a branch is no moment; name it behind a table, or USE BRANCH".to_owned()),
        AsOfUnit::Tag => match value {
            Value::Text(name) => return tag(name),
            other => Err(format!("AS OF TAG takes the name of a tag, not {}", other.type_name())),
        },
    };
    found.map_err(Error::invalid)
}

pub(crate) fn lsn(value: &Value) -> Result<Timestamp, String> {
    match value {
        Value::Integer(number) => u64::try_from(*number)
            .map(Timestamp::from_micros)
            .map_err(|_| format!("AS OF LSN {number} is negative")),
        other => Err(format!("AS OF LSN takes the number of a commit, not {}", other.type_name())),
    }
}

pub(crate) fn timestamp(value: &Value) -> Result<Timestamp, String> {
    match value {
        Value::Integer(number) => milliseconds(*number),
        Value::Text(text) => match value::parse_instant(text) {
            Some(micros) => Ok(Timestamp::from_micros(micros)),
            None => match value::to_integer(value.as_ref()) {
                number if *text == number.to_string() => milliseconds(number),
                _ => Err(format!(
                    "AS OF TIMESTAMP '{text}' is no date: write 'YYYY-MM-DD HH:MM:SS[.ffffff]', in UTC or with an offset"
                )),
            },
        },
        Value::Null => Err("AS OF TIMESTAMP is NULL".to_owned()),
        other => Err(format!(
            "AS OF TIMESTAMP takes Unix milliseconds or ISO-8601 text, not {}",
            other.type_name()
        )),
    }
}

fn milliseconds(number: i64) -> Result<Timestamp, String> {
    if !MILLISECONDS.contains(&number) {
        return Err(format!(
            "AS OF TIMESTAMP {number} is out of range: an integer is Unix milliseconds; for the number of a commit write AS OF \
             LSN {number}"
        ));
    }
    Ok(Timestamp::from_micros(number.unsigned_abs() * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_is_milliseconds_and_nothing_else() {
        assert_eq!(timestamp(&Value::Integer(1_795_444_200_250)).unwrap().as_micros(), 1_795_444_200_250_000);
        assert!(timestamp(&Value::Integer(1_795_444_200)).unwrap_err().contains("milliseconds"));
        assert!(timestamp(&Value::Integer(1_795_444_200_250_000)).unwrap_err().contains("AS OF LSN"));
    }
}
