//! Points and periods of the past, and the statements about them.

use dosql_base::Result;

use super::Parser;
use crate::parse::ast::{AsOf, AsOfUnit, BeginMode, ExprKind, Period, Statement, TimeStatement, Versioning};
use crate::parse::literal::unquote;
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

    /// `[TIMESTAMP] expr | LSN expr | TAG name | BRANCH name`
    pub(super) fn point(&mut self) -> Result<AsOf> {
        let starts_operand = !matches!(self.peek(), Token::LeftParen | Token::Dot);
        if self.at_word("TAG") && starts_operand {
            self.advance();
            return self.named_point(AsOfUnit::Tag);
        }
        if self.at_word("BRANCH") && starts_operand {
            self.advance();
            return self.named_point(AsOfUnit::Branch);
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

    /// A tag or a branch by its name, or by an expression that gives it.
    fn named_point(&mut self, unit: AsOfUnit) -> Result<AsOf> {
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

    pub(super) fn expect_word(&mut self, word: &str) -> Result<()> {
        if !self.at_word(word) {
            return Err(self.syntax_error());
        }
        self.advance();
        Ok(())
    }

    /// Whether `WITH | WITHOUT SYSTEM ..` comes next.
    pub(super) fn at_versioning(&mut self) -> bool {
        if !matches!(self.token, Token::With | Token::Without) || self.peek() != Token::Identifier {
            return false;
        }
        self.ahead.is_some_and(|(_, span)| span.of(self.sql).eq_ignore_ascii_case("SYSTEM"))
    }

    /// Whether a clause about SYSTEM VERSIONING may come behind this token.
    pub(super) fn before_versioning(&mut self) -> bool {
        let next = self.peek();
        let is_word = self.ahead.is_some_and(|(_, span)| span.of(self.sql).eq_ignore_ascii_case("SYSTEM"));
        matches!(next, Token::With | Token::Without) || (next == Token::Identifier && is_word)
    }

    /// `[WITH] SYSTEM VERSIONING [RETAIN n unit | 'n unit' | FOREVER] | WITHOUT SYSTEM VERSIONING`
    pub(super) fn versioning(&mut self) -> Result<Versioning> {
        let without = self.eat(Token::Without);
        if !without {
            self.eat(Token::With);
        }
        self.expect_word("SYSTEM")?;
        self.expect_word("VERSIONING")?;
        if without {
            return Ok(Versioning::Nothing);
        }
        if !self.at_word("RETAIN") {
            return Ok(Versioning::Database);
        }
        self.advance();
        if self.at_word("FOREVER") {
            self.advance();
            return Ok(Versioning::Retain(u64::MAX));
        }
        self.duration("RETAIN").map(Versioning::Retain)
    }

    /// `n unit | 'n unit'`: a length of time, in microseconds, above 0.
    pub(super) fn duration(&mut self, what: &str) -> Result<u64> {
        let start = self.span.start;
        let text = if self.at(Token::String) {
            unquote(self.text()).to_string()
        } else {
            let number = self.text();
            self.advance_if(&[Token::Number])?;
            format!("{number} {}", self.text())
        };
        self.advance();
        let place = self.span_from(start);
        parse_duration(&text).ok_or_else(|| {
            let message = format!(
                "{what} takes a number above 0 and SECONDS, MINUTES, HOURS, DAYS, WEEKS or YEARS, not {text}"
            );
            self.error_at(place, message)
        })
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
        let if_exists = self.if_exists()?;
        Ok(Statement::Time(TimeStatement::DropTag { if_exists, name: self.name()? }))
    }

    /// `DELETE HISTORY [FROM table] [BEFORE point]`
    pub(super) fn delete_history(&mut self) -> Result<Statement> {
        self.expect(Token::Delete)?;
        self.expect_word("HISTORY")?;
        let table = if self.eat(Token::From) { Some(self.qualified_name()?) } else { None };
        let before = if self.eat(Token::Before) { Some(self.point()?) } else { None };
        Ok(Statement::Time(TimeStatement::DeleteHistory { table, before }))
    }

    /// `ERASE FROM table WHERE condition`
    pub(super) fn erase(&mut self) -> Result<Statement> {
        self.expect_word("ERASE")?;
        self.expect(Token::From)?;
        let table = self.qualified_name()?;
        self.expect(Token::Where)?;
        let start = self.span.start;
        self.expression()?;
        Ok(Statement::Time(TimeStatement::Erase { table, condition: self.span_from(start) }))
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

/// Microseconds of `90 days` and its like; `None` where that is no length of time above 0.
fn parse_duration(text: &str) -> Option<u64> {
    let mut words = text.split_ascii_whitespace();
    let (number, unit) = (words.next()?.parse::<u64>().ok()?, words.next()?.to_ascii_lowercase());
    let seconds: u64 = match unit.strip_suffix('s').unwrap_or(&unit) {
        "second" => 1,
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        "week" => 7 * 86_400,
        "year" => 365 * 86_400,
        _ => return None,
    };
    let length = number.saturating_mul(seconds * 1_000_000);
    (length > 0 && words.next().is_none()).then_some(length)
}
