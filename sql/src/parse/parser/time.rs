//! Points and periods of the past, and the statements about them.

use dosql_base::Result;

use super::Parser;
use crate::parse::ast::{AsOf, AsOfUnit, BeginMode, ExprKind, Period, Statement, TimeStatement};
use crate::parse::token::Token;
use crate::value::Value;

impl Parser<'_> {
    /// `[FOR SYSTEM_TIME AS OF p | FROM a TO b | BETWEEN a AND b | ALL]`
    pub(super) fn period(&mut self) -> Result<Option<Period>> {
        if !self.at(Token::For) || self.peek() != Token::Identifier {
            return Ok(None);
        }
        let word = self.ahead.map_or("", |(_, span)| span.of(self.sql));
        if !word.eq_ignore_ascii_case("SYSTEM_TIME") {
            return Ok(None);
        }
        self.advance();
        self.advance();
        if self.eat(Token::From) {
            let from = self.point()?;
            self.expect(Token::To)?;
            return Ok(Some(Period::FromTo(from, self.point()?)));
        }
        if self.eat(Token::Between) {
            let from = self.point()?;
            self.expect(Token::And)?;
            return Ok(Some(Period::Between(from, self.point()?)));
        }
        if self.eat(Token::All) {
            return Ok(Some(Period::All));
        }
        self.expect_all(&[Token::As, Token::Of])?;
        Ok(Some(Period::AsOf(self.point()?)))
    }

    /// `[TIMESTAMP] expr | LSN expr | TAG name`
    pub(super) fn point(&mut self) -> Result<AsOf> {
        let starts_operand = !matches!(self.peek(), Token::LeftParen | Token::Dot);
        if self.at_word("TAG") && starts_operand {
            self.advance();
            return self.tag();
        }
        let unit = if self.at_word("LSN") && starts_operand {
            self.advance();
            AsOfUnit::Lsn
        } else {
            if self.at_word("TIMESTAMP") && starts_operand {
                self.advance();
            }
            AsOfUnit::Timestamp
        };
        Ok(AsOf { unit, expr: self.between_operand()? })
    }

    /// A tag by its name, or by an expression that gives it.
    fn tag(&mut self) -> Result<AsOf> {
        let unit = AsOfUnit::Tag;
        if !self.token.is_name() || self.peek() == Token::LeftParen {
            return Ok(AsOf { unit, expr: self.between_operand()? });
        }
        let name = self.name()?;
        let (text, span) = (self.ast[name].text.clone(), self.ast[name].span);
        Ok(AsOf { unit, expr: self.add(ExprKind::Literal(Value::Text(text)), span, 0)? })
    }

    /// `[AS OF point]`
    pub(super) fn as_of(&mut self) -> Result<Option<AsOf>> {
        if !self.eat(Token::As) {
            return Ok(None);
        }
        self.expect(Token::Of)?;
        self.point().map(Some)
    }

    /// `READ ONLY [AS OF point]`, behind BEGIN; `None` where something else follows.
    pub(super) fn begin_read_only(&mut self) -> Result<Option<Statement>> {
        if !self.at_word("READ") {
            return Ok(None);
        }
        self.advance();
        self.expect_word("ONLY")?;
        Ok(Some(Statement::Begin(BeginMode::ReadOnly, self.as_of()?)))
    }

    fn expect_word(&mut self, word: &str) -> Result<()> {
        if !self.at_word(word) {
            return Err(self.syntax_error());
        }
        self.advance();
        Ok(())
    }

    /// `TAG [IF NOT EXISTS] name [AS OF point]`, behind CREATE.
    pub(super) fn create_tag(&mut self) -> Result<Statement> {
        self.expect_word("TAG")?;
        let if_not_exists = self.if_not_exists()?;
        let name = self.name()?;
        let as_of = self.as_of()?;
        Ok(Statement::Time(TimeStatement::CreateTag { if_not_exists, name, as_of }))
    }

    /// `TAG [IF EXISTS] name`, behind DROP.
    pub(super) fn drop_tag(&mut self) -> Result<Statement> {
        self.expect_word("TAG")?;
        let if_exists = self.eat(Token::If);
        if if_exists {
            self.expect(Token::Exists)?;
        }
        Ok(Statement::Time(TimeStatement::DropTag { if_exists, name: self.name()? }))
    }

    /// `DELETE HISTORY [BEFORE point]`
    pub(super) fn delete_history(&mut self) -> Result<Statement> {
        self.expect(Token::Delete)?;
        self.expect_word("HISTORY")?;
        let before = if self.eat(Token::Before) { Some(self.point()?) } else { None };
        Ok(Statement::Time(TimeStatement::DeleteHistory { before }))
    }

    /// `RESTORE TABLE table TO point | RESTORE DATABASE TO point`
    pub(super) fn restore(&mut self) -> Result<Statement> {
        self.expect_word("RESTORE")?;
        if self.eat(Token::Database) {
            self.expect(Token::To)?;
            return Ok(Statement::Time(TimeStatement::RestoreDatabase { to: self.point()? }));
        }
        self.expect(Token::Table)?;
        let table = self.qualified_name()?;
        self.expect(Token::To)?;
        Ok(Statement::Time(TimeStatement::RestoreTable { table, to: self.point()? }))
    }
}
