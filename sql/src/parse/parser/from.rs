//! FROM: tables, table functions, subqueries, and how they are joined.

use dosql_base::Result;

use super::{Parser, SELECT_DEPTH};
use crate::parse::ast::{FromItem, FromSource, IndexedBy, Join, JoinConstraint, JoinKind, List, NameId};
use crate::parse::token::Token;

const COMMA: Join = Join { kind: JoinKind::Inner, natural: false, comma: true };
const INNER: Join = Join { kind: JoinKind::Inner, natural: false, comma: false };

impl Parser<'_> {
    /// `[FROM ..]`
    pub(super) fn from(&mut self) -> Result<List<FromItem>> {
        if self.eat(Token::From) { self.joined_items() } else { Ok(List::EMPTY) }
    }

    fn joined_items(&mut self) -> Result<List<FromItem>> {
        let start = self.ast.open_list::<FromItem>();
        let mut join = COMMA;
        let mut first = true;
        loop {
            let item = self.joined_item(join, first)?;
            self.ast.push(item);
            first = false;
            match self.join()? {
                Some(next) => join = next,
                None => return self.close_columns(start, "FROM clause"),
            }
        }
    }

    fn joined_item(&mut self, join: Join, first: bool) -> Result<FromItem> {
        let start = self.span.start;
        let (source, alias) = if self.eat(Token::LeftParen) {
            let source = self.parenthesised_source()?;
            (source, self.alias()?)
        } else {
            self.table()?
        };
        let clause = (self.span, if self.at(Token::On) { "ON" } else { "USING" });
        let constraint = self.join_constraint()?;
        if first && !matches!(constraint, JoinConstraint::None) {
            return Err(self.error_at(clause.0, format!("a JOIN clause is required before {}", clause.1)));
        }
        Ok(FromItem { join, source, alias, constraint, span: self.span_from(start) })
    }

    /// `SELECT ..)` or `a JOIN b ..)`
    fn parenthesised_source(&mut self) -> Result<FromSource> {
        let source = if self.at_select() {
            FromSource::Select(self.select()?)
        } else {
            self.descend(SELECT_DEPTH)?;
            let items = self.joined_items()?;
            self.ascend(SELECT_DEPTH);
            FromSource::Join(items)
        };
        self.expect(Token::RightParen)?;
        Ok(source)
    }

    /// `[schema.]name`, arguments or a point in time, an alias, INDEXED BY.
    fn table(&mut self) -> Result<(FromSource, Option<NameId>)> {
        let name = self.qualified_name()?;
        if self.eat(Token::LeftParen) {
            let arguments = self.expressions_until_paren()?;
            self.expect(Token::RightParen)?;
            let alias = self.alias()?;
            return Ok((FromSource::TableFunction { name, arguments }, alias));
        }
        let mut period = self.period()?;
        let alias = self.alias()?;
        if period.is_none() {
            period = self.period()?;
        }
        let indexed = self.indexed_by()?;
        Ok((FromSource::Table { name, period, indexed }, alias))
    }

    /// `[INDEXED BY name | NOT INDEXED]`
    pub(super) fn indexed_by(&mut self) -> Result<Option<IndexedBy>> {
        if self.eat(Token::Indexed) {
            self.expect(Token::By)?;
            return Ok(Some(IndexedBy::Index(self.name()?)));
        }
        if self.eat(Token::Not) {
            self.expect(Token::Indexed)?;
            return Ok(Some(IndexedBy::None));
        }
        Ok(None)
    }

    fn join_constraint(&mut self) -> Result<JoinConstraint> {
        if self.eat(Token::On) {
            return Ok(JoinConstraint::On(self.expression()?));
        }
        if self.eat(Token::Using) {
            return Ok(JoinConstraint::Using(self.names_in_parens()?));
        }
        Ok(JoinConstraint::None)
    }

    /// `,`, `JOIN`, or up to three words and JOIN; `None` where no join follows.
    fn join(&mut self) -> Result<Option<Join>> {
        if self.eat(Token::Comma) {
            return Ok(Some(COMMA));
        }
        if self.eat(Token::Join) {
            return Ok(Some(INNER));
        }
        let mut words = JoinWords::default();
        let start = self.span;
        if !words.add(self.token) {
            return Ok(None);
        }
        let mut count = 1;
        let mut known = true;
        self.advance();
        while count < 3 && self.token.is_name() {
            known &= words.add(self.token);
            count += 1;
            self.advance();
        }
        let text = self.span_from(start.start).of(self.sql);
        self.expect(Token::Join)?;
        match words.join() {
            Some(join) if known => Ok(Some(join)),
            _ => {
                let words: Vec<&str> = text.split_ascii_whitespace().collect();
                Err(self.error_at(start, format!("unknown join type: {}", words.join(" "))))
            }
        }
    }
}

/// The words in front of JOIN, in any order.
#[derive(Default)]
struct JoinWords {
    natural: bool,
    left: bool,
    right: bool,
    full: bool,
    outer: bool,
    inner: bool,
    cross: bool,
}

impl JoinWords {
    /// `false` for a word that says nothing about joins.
    fn add(&mut self, token: Token) -> bool {
        let word = match token {
            Token::Natural => &mut self.natural,
            Token::Left => &mut self.left,
            Token::Right => &mut self.right,
            Token::Full => &mut self.full,
            Token::Outer => &mut self.outer,
            Token::Inner => &mut self.inner,
            Token::Cross => &mut self.cross,
            _ => return false,
        };
        *word = true;
        true
    }

    /// `None` where the words contradict each other.
    fn join(&self) -> Option<Join> {
        let sided = self.left || self.right || self.full;
        let inner = self.inner || self.cross;
        let contradicting = if sided { inner } else { self.outer };
        if contradicting {
            return None;
        }
        let kind = match self {
            _ if self.full || (self.left && self.right) => JoinKind::Full,
            _ if self.left => JoinKind::Left,
            _ if self.right => JoinKind::Right,
            _ if self.cross => JoinKind::Cross,
            _ => JoinKind::Inner,
        };
        Some(Join { kind, natural: self.natural, comma: false })
    }
}
