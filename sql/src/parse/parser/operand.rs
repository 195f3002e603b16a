//! Operands: what stands between operators. Literals, parameters, columns, parentheses, CASE, CAST, RAISE.

use dosql_base::{Error, Result};

use super::{CALL_DEPTH, MAX_PARAMETER, Parser};
use crate::parse::ast::{CurrentTime, ExprId, ExprKind, NameId, RaiseAction, Span, UnaryOp, WhenClause};
use crate::parse::literal::{self, Number};
use crate::parse::token::Token;
use crate::value::{Text, Value};

impl Parser<'_> {
    pub(super) fn operand(&mut self) -> Result<ExprId> {
        match self.token {
            Token::Number | Token::String | Token::Blob | Token::Null => self.literal_or_column(),
            Token::Parameter => self.parameter(),
            Token::LeftParen => self.parenthesised(),
            Token::Minus => self.signed(UnaryOp::Negate),
            Token::Plus => self.signed(UnaryOp::Plus),
            Token::Tilde => self.signed(UnaryOp::BitNot),
            Token::Not => self.not(),
            Token::Exists => self.exists(),
            Token::Case => self.case(),
            Token::Cast => self.cast(),
            Token::Raise => self.raise(),
            Token::CurrentDate | Token::CurrentTime | Token::CurrentTimestamp => self.current_time(),
            token if token.is_column_name() => self.column_or_call(),
            _ => Err(self.syntax_error()),
        }
    }

    /// The literal that the parser stands on.
    pub(super) fn literal(&mut self) -> Result<ExprId> {
        let (text, span) = (self.text(), self.span);
        let mut smallest = false;
        let value = match self.token {
            Token::Number => {
                match literal::number(text).map_err(|error| error.at_offset(span.start as usize))? {
                    Number::Value(value) => value,
                    Number::SmallestIntegerWithoutSign => {
                        smallest = true;
                        Value::Real(-(i64::MIN as f64))
                    }
                }
            }
            Token::String => Value::Text(literal::unquote(text)),
            Token::Blob => literal::blob(text),
            Token::Null => Value::Null,
            _ => return Err(self.syntax_error()),
        };
        self.advance();
        let expr = self.add(ExprKind::Literal(value), span, 0)?;
        if smallest {
            self.smallest_integer = Some(expr);
        }
        Ok(expr)
    }

    /// A literal, unless it is a string in front of a dot: that names a table, as in `'t'.a`.
    fn literal_or_column(&mut self) -> Result<ExprId> {
        if self.token == Token::String && self.peek() == Token::Dot {
            let name = self.take_name();
            return self.column_behind_dot(name);
        }
        self.literal()
    }

    pub(super) fn current_time(&mut self) -> Result<ExprId> {
        let kind = match self.token {
            Token::CurrentDate => CurrentTime::Date,
            Token::CurrentTime => CurrentTime::Time,
            _ => CurrentTime::Timestamp,
        };
        let span = self.span;
        self.advance();
        self.add(ExprKind::CurrentTime(kind), span, 0)
    }

    /// `?` takes the next number, `?7` its own, a name the number of its first use.
    fn parameter(&mut self) -> Result<ExprId> {
        let (text, span) = (self.text(), self.span);
        self.advance();
        let used = self.ast.parameters.len();
        let index = if text == "?" {
            used
        } else if let Some(digits) = text.strip_prefix('?') {
            let number = digits.parse::<u32>().ok().filter(|number| (1..=MAX_PARAMETER).contains(number));
            let range =
                || self.error_at(span, format!("variable number must be between ?1 and ?{MAX_PARAMETER}"));
            number.ok_or_else(range)? as usize - 1
        } else {
            *self.parameter_names.entry(text).or_insert(used)
        };
        if index >= MAX_PARAMETER as usize {
            return Err(Error::limit("too many SQL variables").at_offset(span.start as usize));
        }
        if index >= used {
            self.ast.parameters.resize(index + 1, None);
            if !text.starts_with('?') {
                self.ast.parameters[index] = Some(Text::new(text));
            }
        }
        self.add(ExprKind::Parameter(index as u32), span, 0)
    }

    fn column_or_call(&mut self) -> Result<ExprId> {
        let name = self.take_name();
        match self.token {
            Token::LeftParen => self.call(name),
            Token::Dot => self.column_behind_dot(name),
            _ => {
                let span = self.ast[name].span;
                self.add(ExprKind::Column { schema: None, table: None, column: name }, span, 0)
            }
        }
    }

    /// `first.column` or `first.table.column`, on the dot.
    pub(super) fn column_behind_dot(&mut self, first: NameId) -> Result<ExprId> {
        self.expect(Token::Dot)?;
        let second = self.name()?;
        let (schema, table, column) =
            if self.eat(Token::Dot) { (Some(first), second, self.name()?) } else { (None, first, second) };
        let span = self.span_from(self.ast[first].span.start);
        self.add(ExprKind::Column { schema, table: Some(table), column }, span, 0)
    }

    /// `(expr)`, `(expr, ..)` or `(SELECT ..)`
    fn parenthesised(&mut self) -> Result<ExprId> {
        let start = self.span.start;
        self.advance();
        if self.at_select() {
            return self.subquery(start);
        }
        let first = self.expression()?;
        if self.at(Token::Comma) {
            return self.row(start, first);
        }
        self.expect(Token::RightParen)?;
        let span = self.span_from(start);
        self.ast.exprs[first.0 as usize].span = span;
        Ok(first)
    }

    fn subquery(&mut self, start: u32) -> Result<ExprId> {
        let outer = self.measure();
        let select = self.select()?;
        self.expect(Token::RightParen)?;
        let below = self.measured(outer);
        self.add(ExprKind::Subquery(select), self.span_from(start), below)
    }

    /// The rest of `(first, ..)`.
    fn row(&mut self, start: u32, first: ExprId) -> Result<ExprId> {
        let outer = self.measure();
        self.tallest = self.height(first);
        let list = self.ast.open_list::<ExprId>();
        self.ast.push(first);
        while self.eat(Token::Comma) {
            let expr = self.expression()?;
            self.ast.push(expr);
        }
        self.expect(Token::RightParen)?;
        let members = self.close_columns(list, "row value")?;
        let below = self.measured(outer);
        self.add(ExprKind::Row(members), self.span_from(start), below)
    }

    fn exists(&mut self) -> Result<ExprId> {
        let start = self.span.start;
        self.advance();
        self.expect(Token::LeftParen)?;
        let outer = self.measure();
        if !self.at_select() {
            return Err(self.syntax_error());
        }
        let select = self.select()?;
        self.expect(Token::RightParen)?;
        let below = self.measured(outer);
        self.add(ExprKind::Exists { not: false, select }, self.span_from(start), below)
    }

    fn case(&mut self) -> Result<ExprId> {
        self.descend(CALL_DEPTH)?;
        let start = self.span.start;
        self.advance();
        let outer = self.measure();
        let operand = if self.at(Token::When) { None } else { Some(self.expression()?) };
        let list = self.ast.open_list::<WhenClause>();
        loop {
            self.expect(Token::When)?;
            let when = self.expression()?;
            self.expect(Token::Then)?;
            let then = self.expression()?;
            self.ast.push(WhenClause { when, then });
            if !self.at(Token::When) {
                break;
            }
        }
        let whens = self.ast.close_list(list);
        let otherwise = if self.eat(Token::Else) { Some(self.expression()?) } else { None };
        self.expect(Token::EndKeyword)?;
        let below = self.measured(outer);
        self.ascend(CALL_DEPTH);
        self.add(ExprKind::Case { operand, whens, otherwise }, self.span_from(start), below)
    }

    fn cast(&mut self) -> Result<ExprId> {
        let start = self.span.start;
        self.advance();
        self.expect(Token::LeftParen)?;
        let operand = self.expression()?;
        self.expect(Token::As)?;
        let type_name = match self.type_name()? {
            Some(name) => name,
            None => self.empty_name(),
        };
        self.expect(Token::RightParen)?;
        let below = self.height(operand);
        self.add(ExprKind::Cast { operand, type_name }, self.span_from(start), below)
    }

    fn empty_name(&mut self) -> NameId {
        let span = Span { start: self.span.start, end: self.span.start };
        self.ast.add(crate::parse::ast::Name { text: Text::default(), quoted: false, span })
    }

    fn raise(&mut self) -> Result<ExprId> {
        let start = self.span.start;
        self.advance();
        self.expect(Token::LeftParen)?;
        let action = match self.token {
            Token::Ignore => RaiseAction::Ignore,
            Token::Rollback => RaiseAction::Rollback,
            Token::Abort => RaiseAction::Abort,
            Token::Fail => RaiseAction::Fail,
            _ => return Err(self.syntax_error()),
        };
        self.advance();
        let message = if action == RaiseAction::Ignore {
            None
        } else {
            self.expect(Token::Comma)?;
            Some(self.expression()?)
        };
        self.expect(Token::RightParen)?;
        let below = message.map_or(0, |message| self.height(message));
        self.add(ExprKind::Raise { action, message }, self.span_from(start), below)
    }
}
