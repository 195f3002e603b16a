//! SELECT and VALUES, compounds of them, WITH in front and ORDER BY and LIMIT behind.

use dosql_base::{Error, Result};

use super::{MAX_COMPOUND_TERMS, Parser, SELECT_DEPTH};
use crate::parse::ast::{
    CompoundOp, Cte, ExprId, List, OrderTerm, ResultColumn, Select, SelectBody, SelectCore, SelectId, With,
};
use crate::parse::token::Token;

/// What may stand behind the last part of a SELECT.
#[derive(Default)]
struct Tail {
    order_by: List<OrderTerm>,
    limit: Option<ExprId>,
    offset: Option<ExprId>,
}

impl Parser<'_> {
    /// Whether a SELECT starts here, in a place where an expression might.
    pub(super) fn at_select(&self) -> bool {
        matches!(self.token, Token::Select | Token::Values | Token::With)
    }

    /// A whole SELECT, WITH included.
    pub(super) fn select(&mut self) -> Result<SelectId> {
        let start = self.span.start;
        let with = self.with()?;
        self.select_behind_with(with, start)
    }

    /// A SELECT whose WITH clause has been read; `start` is where it began.
    pub(super) fn select_behind_with(&mut self, with: With, start: u32) -> Result<SelectId> {
        self.descend(SELECT_DEPTH)?;
        let list = self.ast.open_list::<SelectCore>();
        let mut compound = None;
        let mut terms = 0;
        let tail = loop {
            let values = self.at(Token::Values);
            let core = self.core(compound)?;
            self.ast.push(core);
            terms += 1;
            if terms > MAX_COMPOUND_TERMS {
                let message = format!("too many terms in compound SELECT, the most is {MAX_COMPOUND_TERMS}");
                return Err(Error::limit(message).at_offset(self.span.start as usize));
            }
            let tail = if values { Tail::default() } else { self.tail()? };
            compound = self.compound_operator();
            let Some(operator) = compound else { break tail };
            self.refuse_early_tail(&tail, operator)?;
        };
        let cores = self.ast.close_list(list);
        self.ascend(SELECT_DEPTH);
        let Tail { order_by, limit, offset } = tail;
        let span = self.span_from(start);
        Ok(self.ast.add(Select { with, cores, order_by, limit, offset, span }))
    }

    fn compound_operator(&mut self) -> Option<CompoundOp> {
        let operator = match self.token {
            Token::Union => CompoundOp::Union,
            Token::Intersect => CompoundOp::Intersect,
            Token::Except => CompoundOp::Except,
            _ => return None,
        };
        self.advance();
        let all = operator == CompoundOp::Union && self.eat(Token::All);
        Some(if all { CompoundOp::UnionAll } else { operator })
    }

    /// ORDER BY and LIMIT belong to the whole compound: in front of an operator they are a mistake.
    fn refuse_early_tail(&self, tail: &Tail, operator: CompoundOp) -> Result<()> {
        let clause = match tail {
            Tail { order_by, .. } if !order_by.is_empty() => "ORDER BY",
            Tail { limit: Some(_), .. } => "LIMIT",
            _ => return Ok(()),
        };
        let operator = match operator {
            CompoundOp::Union => "UNION",
            CompoundOp::UnionAll => "UNION ALL",
            CompoundOp::Intersect => "INTERSECT",
            CompoundOp::Except => "EXCEPT",
        };
        Err(self.error_at(self.span, format!("{clause} clause should come after {operator} not before")))
    }

    fn core(&mut self, compound: Option<CompoundOp>) -> Result<SelectCore> {
        let start = self.span.start;
        let body = match self.token {
            Token::Select => self.query()?,
            Token::Values => self.values()?,
            _ => return Err(self.syntax_error()),
        };
        Ok(SelectCore { compound, body, span: self.span_from(start) })
    }

    fn query(&mut self) -> Result<SelectBody> {
        self.advance();
        let distinct = self.distinct();
        let columns = self.result_columns()?;
        let from = self.from()?;
        let filter = self.filter_clause()?;
        let group_by = if self.eat(Token::Group) {
            self.expect(Token::By)?;
            self.expressions()?
        } else {
            List::EMPTY
        };
        let having = if self.eat(Token::Having) { Some(self.expression()?) } else { None };
        let windows = self.window_clause()?;
        Ok(SelectBody::Query { distinct, columns, from, filter, group_by, having, windows })
    }

    fn values(&mut self) -> Result<SelectBody> {
        self.advance();
        let start = self.ast.open_list::<List<ExprId>>();
        let mut width = None;
        loop {
            let place = self.span;
            self.expect(Token::LeftParen)?;
            let row = self.expressions()?;
            self.expect(Token::RightParen)?;
            if *width.get_or_insert(row.len()) != row.len() {
                return Err(self.error_at(place, "all VALUES must have the same number of terms"));
            }
            self.ast.push(row);
            if !self.eat(Token::Comma) {
                return Ok(SelectBody::Values(self.ast.close_list(start)));
            }
        }
    }

    /// `[WHERE expr]`
    pub(super) fn filter_clause(&mut self) -> Result<Option<ExprId>> {
        if self.eat(Token::Where) { Ok(Some(self.expression()?)) } else { Ok(None) }
    }

    /// `* | table.* | expr [[AS] alias], ..`
    pub(super) fn result_columns(&mut self) -> Result<List<ResultColumn>> {
        let start = self.ast.open_list::<ResultColumn>();
        loop {
            let column = self.result_column()?;
            self.ast.push(column);
            if !self.eat(Token::Comma) {
                return self.close_columns(start, "result set");
            }
        }
    }

    fn result_column(&mut self) -> Result<ResultColumn> {
        if self.eat(Token::Star) {
            return Ok(ResultColumn::Star);
        }
        let expr = if self.token.is_qualifier() && self.peek() == Token::Dot {
            if self.peek_two().1 == Token::Star {
                let table = self.take_name();
                self.advance();
                self.advance();
                return Ok(ResultColumn::TableStar(table));
            }
            let table = self.take_name();
            let column = self.column_behind_dot(table)?;
            self.rest_of_expression(column)?
        } else {
            self.expression()?
        };
        let alias = self.alias()?;
        Ok(ResultColumn::Expr { expr, alias })
    }

    /// `[[AS] name]`
    pub(super) fn alias(&mut self) -> Result<Option<crate::parse::ast::NameId>> {
        if self.eat(Token::As) {
            return Ok(Some(self.name()?));
        }
        let found = self.token.is_id() || self.token == Token::String;
        Ok(if found { Some(self.take_name()) } else { None })
    }

    fn tail(&mut self) -> Result<Tail> {
        let order_by = self.order_by()?;
        let (limit, offset) = self.limit()?;
        Ok(Tail { order_by, limit, offset })
    }

    /// `[ORDER BY ..]`
    pub(super) fn order_by(&mut self) -> Result<List<OrderTerm>> {
        if !self.eat(Token::Order) {
            return Ok(List::EMPTY);
        }
        self.expect(Token::By)?;
        self.order_terms()
    }

    /// `expr [ASC | DESC] [NULLS FIRST | LAST], ..`
    pub(super) fn order_terms(&mut self) -> Result<List<OrderTerm>> {
        let start = self.ast.open_list::<OrderTerm>();
        loop {
            let expr = self.expression()?;
            let descending = self.descending();
            let nulls_first = if self.eat(Token::Nulls) {
                let first = self.eat(Token::First);
                if !first {
                    self.expect(Token::Last)?;
                }
                Some(first)
            } else {
                None
            };
            self.ast.push(OrderTerm { expr, descending, nulls_first });
            if !self.eat(Token::Comma) {
                return self.close_columns(start, "ORDER BY clause");
            }
        }
    }

    /// `[ASC | DESC]`
    pub(super) fn descending(&mut self) -> bool {
        let descending = self.eat(Token::Desc);
        if !descending {
            self.eat(Token::Asc);
        }
        descending
    }

    /// `[LIMIT limit [OFFSET offset]]` or `LIMIT offset, limit`
    pub(super) fn limit(&mut self) -> Result<(Option<ExprId>, Option<ExprId>)> {
        if !self.eat(Token::Limit) {
            return Ok((None, None));
        }
        let first = self.expression()?;
        if self.eat(Token::Offset) {
            return Ok((Some(first), Some(self.expression()?)));
        }
        if self.eat(Token::Comma) {
            return Ok((Some(self.expression()?), Some(first)));
        }
        Ok((Some(first), None))
    }

    /// `[WITH [RECURSIVE] name [(columns)] AS [[NOT] MATERIALIZED] (SELECT ..), ..]`
    pub(super) fn with(&mut self) -> Result<With> {
        if !self.eat(Token::With) {
            return Ok(With::default());
        }
        let recursive = self.eat(Token::Recursive);
        self.descend(SELECT_DEPTH)?;
        let start = self.ast.open_list::<Cte>();
        loop {
            let name = self.name()?;
            let columns = self.column_names()?;
            self.expect(Token::As)?;
            let materialized = self.materialized()?;
            self.expect(Token::LeftParen)?;
            let select = self.select()?;
            self.expect(Token::RightParen)?;
            self.ast.push(Cte { name, columns, materialized, select });
            if !self.eat(Token::Comma) {
                break;
            }
        }
        self.ascend(SELECT_DEPTH);
        Ok(With { recursive, ctes: self.ast.close_list(start) })
    }

    fn materialized(&mut self) -> Result<Option<bool>> {
        if self.eat(Token::Materialized) {
            return Ok(Some(true));
        }
        if self.eat(Token::Not) {
            self.expect(Token::Materialized)?;
            return Ok(Some(false));
        }
        Ok(None)
    }
}
