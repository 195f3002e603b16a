//! Points in the past: `FOR SYSTEM_TIME AS OF ..`.

use std::sync::Arc;

use dosql_base::{Result, Timestamp};

use super::asked::{self, Asked, moment};
use super::binder::{Binder, Seen, Site};
use super::fold::Evaluation;
use crate::catalog::schema::Catalog;
use crate::parse::ast::{AsOf, AsOfUnit, ExprId, Span};
use crate::plan::Expr;
use crate::storage::{Point, ReadPoint};
use crate::value::{self, Value};

/// What is said of a point that is no constant.
const NOT_CONSTANT: &str = "the point of AS OF must be a constant or a parameter";

impl<'a> Binder<'a> {
    /// The moment that a point means; `None` where it depends on parameters that are not known yet.
    pub(crate) fn point(&mut self, site: &Site<'a>, point: AsOf) -> Result<Option<Timestamp>> {
        let Some(value) = self.constant(site, point.expr, NOT_CONSTANT)? else { return Ok(None) };
        self.moment(site, point, &value).map(Some)
    }

    fn moment(&self, site: &Site<'a>, point: AsOf, value: &Value) -> Result<Timestamp> {
        let span = site.source.ast()[point.expr].span;
        let tag = |name: &str| self.cx.catalog.tag(name);
        moment(point.unit, value, tag).map_err(|error| site.source.place(span, error))
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
            Value::Integer(number) if *number >= asked::MILLISECONDS.end => asked::lsn(&value),
            _ => asked::timestamp(&value),
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
        self.cx.needs_parameters.set(true);
        self.constant_of(site, expr, otherwise).map(|(value, _)| value)
    }

    /// As [`Binder::constant`], with the expression as it was bound.
    fn constant_of(
        &mut self,
        site: &Site<'a>,
        expr: ExprId,
        otherwise: &str,
    ) -> Result<(Option<Value>, Expr)> {
        let source = site.source.clone();
        let span = source.ast()[expr].span;
        let constant = Site { scope: None, ..site.clone() };
        let bound = self.expr(&constant, expr)?;
        let mut evaluation =
            Evaluation { parameters: self.cx.parameters, env: self.cx.env, now: self.cx.now, depends: false };
        let value = evaluation.value(&bound.expr).map_err(|error| source.place(span, error))?;
        if value.is_none() && !(evaluation.depends && self.cx.parameters.is_none()) {
            return Err(source.error(span, otherwise));
        }
        Ok((value, bound.expr))
    }

    /// The index into [`Binder::catalogs`] of the catalog at a point.
    pub(crate) fn catalog_as_of(&mut self, site: &Site<'a>, as_of: AsOf) -> Result<usize> {
        let span = site.source.ast()[as_of.expr].span;
        if as_of.unit == AsOfUnit::Branch {
            return self.catalog_of_branch(site, as_of.expr);
        }
        let (value, expr) = self.constant_of(site, as_of.expr, NOT_CONSTANT)?;
        let Some(value) = value else {
            // Bound anew once the values are known; until then the live catalog stands in.
            self.cx.needs_parameters.set(true);
            return Ok(0);
        };
        let moment = self.moment(site, as_of, &value)?;
        let (point, catalog) = self.cx.catalog.at(moment).map_err(|error| site.source.place(span, error))?;
        let valid = if self.cx.moments_may_move.get() { self.cx.catalog.valid(point)? } else { None };
        let Some(valid) = valid else {
            self.cx.needs_parameters.set(true);
            return Ok(self.add_catalog((point, catalog)));
        };
        let read = self.cx.ask(Asked { unit: as_of.unit, expr, point, valid, tables: Vec::new() });
        let known = self.catalogs.iter().position(|known| known.read == read);
        Ok(known.unwrap_or_else(|| {
            self.catalogs.push(Seen { read, point, catalog });
            self.catalogs.len() - 1
        }))
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
        let read = ReadPoint::Known(found.0);
        let known = self.catalogs.iter().position(|known| known.read == read);
        known.unwrap_or_else(|| {
            self.catalogs.push(Seen::known(found.0, found.1));
            self.catalogs.len() - 1
        })
    }

    /// The index into [`Binder::catalogs`] of the catalog at a moment, which `span` asks for.
    pub(crate) fn catalog_at(&mut self, site: &Site<'a>, moment: Timestamp, span: Span) -> Result<usize> {
        let found = self.cx.catalog.at(moment).map_err(|error| site.source.place(span, error))?;
        Ok(self.add_catalog(found))
    }
}
