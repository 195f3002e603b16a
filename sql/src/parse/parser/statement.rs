//! Scripts and statements; transactions, PRAGMA, EXPLAIN and maintenance.

use dosql_base::{Error, Result};

use super::Parser;
use crate::parse::ast::{Ast, BeginMode, ExprId, NameId, Parsed, QualifiedName, Statement};
use crate::parse::literal::{self, Number};
use crate::parse::token::Token;
use crate::value::{Text, Value};

impl Parser<'_> {
    /// The next statement of a script and the offset behind its `;`.
    pub(in crate::parse) fn next_statement(mut self) -> Result<Option<(Parsed, usize)>> {
        while self.eat(Token::Semicolon) {}
        if self.at(Token::End) {
            return Ok(None);
        }
        let start = self.span.start;
        let statement = self.statement_or_explain()?;
        let span = self.span_from(start);
        let behind = match self.token {
            Token::Semicolon => self.span.end,
            Token::End => self.span.start,
            _ => return Err(self.syntax_error()),
        };
        Ok(Some((Parsed { ast: self.ast, statement, span }, behind as usize)))
    }

    /// The only statement of a text.
    pub(in crate::parse) fn only_statement(self) -> Result<Parsed> {
        let sql = self.sql;
        let Some((parsed, behind)) = self.next_statement()? else {
            return Err(Error::invalid("the text holds no statement").at_offset(0));
        };
        let mut rest = Parser::new(sql, behind, Ast::default())?;
        while rest.eat(Token::Semicolon) {}
        if !rest.at(Token::End) {
            return Err(rest.error_at(rest.span, "the text holds more than one statement"));
        }
        Ok(parsed)
    }

    /// The only expression of a text.
    pub(in crate::parse) fn only_expression(mut self) -> Result<(Ast, ExprId)> {
        let expr = self.expression()?;
        if !self.at(Token::End) {
            return Err(self.syntax_error());
        }
        Ok((self.ast, expr))
    }

    fn statement_or_explain(&mut self) -> Result<Statement> {
        if !self.eat(Token::Explain) {
            return self.statement();
        }
        let query_plan = self.eat(Token::Query);
        if query_plan {
            self.expect(Token::Plan)?;
        }
        let statement = self.statement()?;
        Ok(Statement::Explain { query_plan, statement: self.ast.add(statement) })
    }

    fn statement(&mut self) -> Result<Statement> {
        match self.token {
            Token::Select | Token::Values => Ok(Statement::Select(self.select()?)),
            Token::Delete => {
                if self.peek() == Token::Identifier {
                    return self.delete_history();
                }
                self.query_or_change()
            }
            Token::Insert | Token::Replace | Token::Update | Token::With => self.query_or_change(),
            Token::Create => self.create(),
            Token::Alter => {
                if self.peek() == Token::Identifier {
                    return self.alter_branch();
                }
                self.alter_table()
            }
            Token::Drop => self.drop_object(),
            Token::Begin => self.begin(),
            Token::Commit | Token::EndKeyword => {
                self.advance();
                self.transaction_word();
                Ok(Statement::Commit)
            }
            Token::Rollback => self.rollback(),
            Token::Savepoint => {
                self.advance();
                Ok(Statement::Savepoint(self.name()?))
            }
            Token::Release => {
                self.advance();
                Ok(Statement::Release(self.savepoint_name()?))
            }
            Token::Pragma => self.pragma(),
            Token::Analyze => {
                self.advance();
                Ok(Statement::Analyze(self.optional_qualified_name()?))
            }
            Token::Reindex => {
                self.advance();
                Ok(Statement::Reindex(self.optional_qualified_name()?))
            }
            Token::Vacuum => self.vacuum(),
            Token::Attach => Err(self.unsupported("ATTACH is not supported")),
            Token::Detach => Err(self.unsupported("DETACH is not supported")),
            _ if self.at_word("RESTORE") => self.restore(),
            _ if self.at_word("USE") => self.use_branch(),
            _ if self.at_word("MERGE") => self.merge(),
            _ if self.at_word("CONTINUE") => self.end_merge(),
            Token::Abort => {
                if self.peek_is_word("MERGE") {
                    return self.end_merge();
                }
                Err(self.syntax_error())
            }
            _ if self.at_word("ERASE") => self.erase(),
            _ => Err(self.syntax_error()),
        }
    }

    fn query_or_change(&mut self) -> Result<Statement> {
        let start = self.span.start;
        let with = self.with()?;
        match self.token {
            Token::Insert | Token::Replace => self.insert(with),
            Token::Update => self.update(with),
            Token::Delete => self.delete(with),
            _ => Ok(Statement::Select(self.select_behind_with(with, start)?)),
        }
    }

    fn begin(&mut self) -> Result<Statement> {
        self.advance();
        if let Some(begin) = self.begin_read_only()? {
            return Ok(begin);
        }
        let mode = match self.token {
            Token::Deferred => Some(BeginMode::Deferred),
            Token::Immediate => Some(BeginMode::Immediate),
            Token::Exclusive => Some(BeginMode::Exclusive),
            _ if self.at_word("CONCURRENT") => Some(BeginMode::Concurrent),
            _ => None,
        };
        if mode.is_some() {
            self.advance();
        }
        self.transaction_word();
        Ok(Statement::Begin(mode.unwrap_or(BeginMode::Deferred), None))
    }

    /// `[TRANSACTION [name]]`; the name says nothing.
    fn transaction_word(&mut self) {
        if self.eat(Token::Transaction) && self.token.is_name() {
            self.advance();
        }
    }

    fn rollback(&mut self) -> Result<Statement> {
        self.advance();
        self.transaction_word();
        if !self.eat(Token::To) {
            return Ok(Statement::Rollback(None));
        }
        Ok(Statement::Rollback(Some(self.savepoint_name()?)))
    }

    /// `[SAVEPOINT] name`
    fn savepoint_name(&mut self) -> Result<NameId> {
        self.eat(Token::Savepoint);
        self.name()
    }

    fn optional_qualified_name(&mut self) -> Result<Option<QualifiedName>> {
        if self.token.is_name() { Ok(Some(self.qualified_name()?)) } else { Ok(None) }
    }

    fn vacuum(&mut self) -> Result<Statement> {
        self.advance();
        if self.token.is_name() {
            self.advance();
        }
        if self.at(Token::Into) {
            return Err(self.unsupported("VACUUM INTO is not supported: copy the database with a backup"));
        }
        Ok(Statement::Vacuum)
    }

    /// `PRAGMA name [= value | (value)]`
    fn pragma(&mut self) -> Result<Statement> {
        self.advance();
        let name = self.qualified_name()?;
        let value = if self.eat(Token::Equal) {
            Some(self.pragma_value()?)
        } else if self.eat(Token::LeftParen) {
            let value = self.pragma_value()?;
            self.expect(Token::RightParen)?;
            Some(value)
        } else {
            None
        };
        Ok(Statement::Pragma { name, value })
    }

    fn pragma_value(&mut self) -> Result<Value> {
        let negative = self.eat(Token::Minus);
        let signed = negative || self.eat(Token::Plus);
        let text = self.text();
        let value = match self.token {
            Token::Number => {
                let value = self.pragma_number(negative)?;
                self.expect_plain_number()?;
                return Ok(value);
            }
            _ if signed => return Err(self.syntax_error()),
            Token::On | Token::Delete | Token::Default => Value::text(text),
            Token::QuotedName | Token::String => Value::Text(literal::unquote(text)),
            token if token.is_name() => Value::Text(Text::new(text)),
            _ => return Err(self.syntax_error()),
        };
        self.advance();
        Ok(value)
    }

    fn pragma_number(&self, negative: bool) -> Result<Value> {
        let number =
            literal::number(self.text()).map_err(|error| error.at_offset(self.span.start as usize))?;
        Ok(match number {
            Number::Value(Value::Integer(value)) if negative => Value::Integer(value.wrapping_neg()),
            Number::Value(Value::Real(value)) if negative => Value::Real(-value),
            Number::Value(value) => value,
            Number::SmallestIntegerWithoutSign if negative => Value::Integer(i64::MIN),
            Number::SmallestIntegerWithoutSign => Value::Real(-(i64::MIN as f64)),
        })
    }
}
