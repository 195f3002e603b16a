//! Points in the past: `FOR SYSTEM_TIME AS OF ..`.

use std::sync::Arc;

use dosql_base::{Result, Timestamp};

use super::binder::{Binder, Site};
use super::fold::Evaluation;
use crate::catalog::schema::Catalog;
use crate::parse::ast::{AsOf, AsOfUnit, ExprId, Span};
use crate::storage::Point;
use crate::value::{self, Value};

/// The range in which an integer is taken for Unix milliseconds: 1973 to 5138. Seconds and microseconds of our time lie
/// outside.
const MILLISECONDS: std::ops::Range<i64> = 100_000_000_000..100_000_000_000_000;

impl<'a> Binder<'a> {
    /// The moment that a point means; `None` where it depends on parameters that are not known yet.
    pub(crate) fn point(&mut self, site: &Site<'a>, point: AsOf) -> Result<Option<Timestamp>> {
        let source = site.source.clone();
        let span = source.ast()[point.expr].span;
        let not_constant = "the point of AS OF must be a constant or a parameter";
        let Some(value) = self.constant(site, point.expr, not_constant)? else { return Ok(None) };
        let moment = match point.unit {
            AsOfUnit::Timestamp => timestamp(&value),
            AsOfUnit::Lsn => lsn(&value),
            AsOfUnit::Branch => {
                let message = "a branch is no moment; name it behind a table, or USE BRANCH";
                return Err(source.error(span, message));
            }
            AsOfUnit::Tag => match &value {
                Value::Text(name) => return self.tag(site, name, span).map(Some),
                other => Err(format!("AS OF TAG takes the name of a tag, not {}", other.type_name())),
            },
        };
        moment.map(Some).map_err(|message| source.error(span, message))
    }

    fn tag(&self, site: &Site<'a>, name: &str, span: Span) -> Result<Timestamp> {
        self.cx.catalog.tag(name).map_err(|error| site.source.place(span, error))
    }

    /// The moment that an argument of a function means: ISO text or the name of a tag; Unix milliseconds or the number of a
    /// commit.
    pub(crate) fn point_argument(&mut self, site: &Site<'a>, expr: ExprId) -> Result<Option<Timestamp>> {
        let source = site.source.clone();
        let span = source.ast()[expr].span;
        let not_constant = "a point in time must be a constant or a parameter";
        let Some(value) = self.constant(site, expr, not_constant)? else { return Ok(None) };
        let moment = match &value {
            Value::Text(text) if value::parse_instant(text).is_none() => {
                return self.tag(site, text, span).map(Some);
            }
            Value::Integer(number) if *number >= MILLISECONDS.end => lsn(&value),
            _ => timestamp(&value),
        };
        moment.map(Some).map_err(|message| source.error(span, message))
    }

    /// The value of an expression without columns; `None` where it depends on parameters that are not known yet. What reads
    /// the past is bound anew for each run: the points of tags move, and horizons do.
    pub(crate) fn constant(
        &mut self,
        site: &Site<'a>,
        expr: ExprId,
        otherwise: &str,
    ) -> Result<Option<Value>> {
        let source = site.source.clone();
        let span = source.ast()[expr].span;
        let constant = Site { scope: None, ..site.clone() };
        let bound = self.expr(&constant, expr)?;
        let mut evaluation =
            Evaluation { parameters: self.cx.parameters, env: self.cx.env, now: self.cx.now, depends: false };
        let value = evaluation.value(&bound.expr).map_err(|error| source.place(span, error))?;
        self.cx.needs_parameters.set(true);
        if value.is_none() && !(evaluation.depends && self.cx.parameters.is_none()) {
            return Err(source.error(span, otherwise));
        }
        Ok(value)
    }

    /// The index into [`Binder::catalogs`] of the catalog at a point.
    pub(crate) fn catalog_as_of(&mut self, site: &Site<'a>, as_of: AsOf) -> Result<usize> {
        let span = site.source.ast()[as_of.expr].span;
        if as_of.unit == AsOfUnit::Branch {
            return self.catalog_of_branch(site, as_of.expr);
        }
        match self.point(site, as_of)? {
            Some(moment) => self.catalog_at(site, moment, span),
            // Bound anew once the values are known; until then the live catalog stands in.
            None => Ok(0),
        }
    }

    /// The index into [`Binder::catalogs`] of the catalog of another branch.
    fn catalog_of_branch(&mut self, site: &Site<'a>, name: ExprId) -> Result<usize> {
        let source = site.source.clone();
        let span = source.ast()[name].span;
        let not_constant = "the branch of AS OF must be a constant or a parameter";
        let found = match self.constant(site, name, not_constant)? {
            // Bound anew once the values are known; until then the live catalog stands in.
            None => return Ok(0),
            Some(Value::Text(name)) => {
                self.cx.catalog.branch(&name).map_err(|error| source.place(span, error))?
            }
            Some(other) => {
                let message = format!("AS OF BRANCH takes the name of a branch, not {}", other.type_name());
                return Err(source.error(span, message));
            }
        };
        Ok(self.add_catalog(found))
    }

    fn add_catalog(&mut self, found: (Point, Arc<Catalog>)) -> usize {
        let known = self.catalogs.iter().position(|(known, _)| *known == found.0);
        known.unwrap_or_else(|| {
            self.catalogs.push(found);
            self.catalogs.len() - 1
        })
    }

    /// The index into [`Binder::catalogs`] of the catalog at a moment, which `span` asks for.
    pub(crate) fn catalog_at(&mut self, site: &Site<'a>, moment: Timestamp, span: Span) -> Result<usize> {
        let found = self.cx.catalog.at(moment).map_err(|error| site.source.place(span, error))?;
        Ok(self.add_catalog(found))
    }
}

fn lsn(value: &Value) -> Result<Timestamp, String> {
    match value {
        Value::Integer(number) => u64::try_from(*number)
            .map(Timestamp::from_micros)
            .map_err(|_| format!("AS OF LSN {number} is negative")),
        other => Err(format!("AS OF LSN takes the number of a commit, not {}", other.type_name())),
    }
}

fn timestamp(value: &Value) -> Result<Timestamp, String> {
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
