//! INSERT, UPDATE and DELETE, with what may follow them: ON CONFLICT, RETURNING, ORDER BY and LIMIT.

use dosql_base::Result;

use super::Parser;
use crate::parse::ast::{
    Assignment, ConflictAction, Delete, ExprId, Insert, InsertSource, List, NameId, OrderTerm, QualifiedName,
    ResultColumn, Statement, Update, Upsert, UpsertUpdate, With,
};
use crate::parse::token::Token;

/// What may stand behind WHERE of UPDATE and DELETE.
struct Tail {
    returning: List<ResultColumn>,
    order_by: List<OrderTerm>,
    limit: Option<ExprId>,
    offset: Option<ExprId>,
}

impl Parser<'_> {
    /// INSERT or REPLACE, behind WITH.
    pub(super) fn insert(&mut self, with: With) -> Result<Statement> {
        let or = if self.eat(Token::Replace) {
            Some(ConflictAction::Replace)
        } else {
            self.expect(Token::Insert)?;
            self.or_conflict()?
        };
        self.expect(Token::Into)?;
        let (table, alias) = self.target()?;
        let columns = self.optional_names_in_parens()?;
        let (source, upserts) = if self.at(Token::Default) && !self.in_trigger {
            self.advance();
            self.expect(Token::Values)?;
            (InsertSource::DefaultValues, List::EMPTY)
        } else {
            (InsertSource::Select(self.select()?), self.upserts()?)
        };
        let returning = self.returning()?;
        Ok(Statement::Insert(Insert { with, or, table, alias, columns, source, upserts, returning }))
    }

    /// UPDATE, behind WITH.
    pub(super) fn update(&mut self, with: With) -> Result<Statement> {
        self.expect(Token::Update)?;
        let or = self.or_conflict()?;
        let (table, alias) = self.target()?;
        let indexed = self.target_index()?;
        self.expect(Token::Set)?;
        let assignments = self.assignments()?;
        let from = self.from()?;
        let filter = self.filter_clause()?;
        let Tail { returning, order_by, limit, offset } = self.tail_of_change("UPDATE")?;
        Ok(Statement::Update(Update {
            with,
            or,
            table,
            alias,
            indexed,
            assignments,
            from,
            filter,
            returning,
            order_by,
            limit,
            offset,
        }))
    }

    /// DELETE, behind WITH.
    pub(super) fn delete(&mut self, with: With) -> Result<Statement> {
        self.expect(Token::Delete)?;
        self.expect(Token::From)?;
        let (table, alias) = self.target()?;
        let indexed = self.target_index()?;
        let filter = self.filter_clause()?;
        let Tail { returning, order_by, limit, offset } = self.tail_of_change("DELETE")?;
        let delete = Delete { with, table, alias, indexed, filter, returning, order_by, limit, offset };
        Ok(Statement::Delete(delete))
    }

    /// `[schema.]name [AS alias]`; a trigger may name neither schema nor alias.
    fn target(&mut self) -> Result<(QualifiedName, Option<NameId>)> {
        let place = self.span;
        let table = self.qualified_name()?;
        if self.in_trigger {
            if table.schema.is_some() {
                let message = "qualified table names are not allowed on INSERT, UPDATE, and DELETE statements \
                               within triggers";
                return Err(self.error_at(place, message));
            }
            return Ok((table, None));
        }
        let alias = if self.eat(Token::As) { Some(self.name()?) } else { None };
        Ok((table, alias))
    }

    fn target_index(&mut self) -> Result<Option<crate::parse::ast::IndexedBy>> {
        let place = self.span;
        let clause = if self.at(Token::Not) { "NOT INDEXED" } else { "INDEXED BY" };
        let indexed = self.indexed_by()?;
        if self.in_trigger && indexed.is_some() {
            let message =
                format!("the {clause} clause is not allowed on UPDATE or DELETE statements within triggers");
            return Err(self.error_at(place, message));
        }
        Ok(indexed)
    }

    /// `[OR action]`
    fn or_conflict(&mut self) -> Result<Option<ConflictAction>> {
        if self.eat(Token::Or) { Ok(Some(self.conflict_action()?)) } else { Ok(None) }
    }

    /// `[ON CONFLICT action]` of a constraint.
    pub(super) fn on_conflict(&mut self) -> Result<Option<ConflictAction>> {
        if !self.eat(Token::On) {
            return Ok(None);
        }
        self.expect(Token::Conflict)?;
        Ok(Some(self.conflict_action()?))
    }

    fn conflict_action(&mut self) -> Result<ConflictAction> {
        let action = match self.token {
            Token::Rollback => ConflictAction::Rollback,
            Token::Abort => ConflictAction::Abort,
            Token::Fail => ConflictAction::Fail,
            Token::Ignore => ConflictAction::Ignore,
            Token::Replace => ConflictAction::Replace,
            _ => return Err(self.syntax_error()),
        };
        self.advance();
        Ok(action)
    }

    /// `column = expr, (column, ..) = expr, ..`
    fn assignments(&mut self) -> Result<List<Assignment>> {
        let start = self.ast.open_list::<Assignment>();
        loop {
            let columns = if self.at(Token::LeftParen) {
                self.names_in_parens()?
            } else {
                let name = self.name()?;
                self.ast.add_list([name])
            };
            self.expect(Token::Equal)?;
            let value = self.expression()?;
            self.ast.push(Assignment { columns, value });
            if !self.eat(Token::Comma) {
                return self.close_columns(start, "SET clause");
            }
        }
    }

    /// `[ON CONFLICT ..] ..`: all but the last need a target.
    fn upserts(&mut self) -> Result<List<Upsert>> {
        let start = self.ast.open_list::<Upsert>();
        let mut last = false;
        while self.at(Token::On) && !last {
            let upsert = self.upsert()?;
            last = upsert.target.is_empty();
            self.ast.push(upsert);
        }
        Ok(self.ast.close_list(start))
    }

    fn upsert(&mut self) -> Result<Upsert> {
        let start = self.span.start;
        self.expect_all(&[Token::On, Token::Conflict])?;
        let (mut target, mut target_filter) = (List::EMPTY, None);
        if self.eat(Token::LeftParen) {
            target = self.index_terms()?;
            self.expect(Token::RightParen)?;
            target_filter = self.filter_clause()?;
        }
        self.expect(Token::Do)?;
        let update = if self.eat(Token::Nothing) {
            None
        } else {
            self.expect_all(&[Token::Update, Token::Set])?;
            let assignments = self.assignments()?;
            Some(UpsertUpdate { assignments, filter: self.filter_clause()? })
        };
        Ok(Upsert { target, target_filter, update, span: self.span_from(start) })
    }

    /// `[RETURNING ..]`
    fn returning(&mut self) -> Result<List<ResultColumn>> {
        if !self.at(Token::Returning) {
            return Ok(List::EMPTY);
        }
        if self.in_trigger {
            return Err(self.error_at(self.span, "cannot use RETURNING in a trigger"));
        }
        self.advance();
        self.result_columns()
    }

    /// RETURNING, ORDER BY and LIMIT; RETURNING may also come last.
    fn tail_of_change(&mut self, verb: &str) -> Result<Tail> {
        let mut returning = self.returning()?;
        let ordered = self.span;
        let order_by = if self.in_trigger { List::EMPTY } else { self.order_by()? };
        let (limit, offset) = if self.in_trigger { (None, None) } else { self.limit()? };
        if !order_by.is_empty() && limit.is_none() {
            return Err(self.error_at(ordered, format!("ORDER BY without LIMIT on {verb}")));
        }
        if returning.is_empty() {
            returning = self.returning()?;
        }
        Ok(Tail { returning, order_by, limit, offset })
    }
}
