//! CREATE FEED and DROP FEED.

use dosql_base::Result;

use super::Parser;
use crate::parse::ast::{CreateFeed, FeedFrom, Statement, TimeStatement};
use crate::parse::literal::unquote;
use crate::parse::token::Token;

impl Parser<'_> {
    /// `FEED [IF NOT EXISTS] name [FROM LSN n | CURRENT | SNAPSHOT] [FOR TABLE t [(columns)], ..] [WITH (..)]`, behind CREATE.
    pub(super) fn create_feed(&mut self) -> Result<Statement> {
        self.expect_word("FEED")?;
        let if_not_exists = self.if_not_exists()?;
        let name = self.name()?;
        let from = if self.eat(Token::From) { self.feed_from()? } else { FeedFrom::Current };
        let mut tables = Vec::new();
        if self.eat(Token::For) {
            self.expect(Token::Table)?;
            loop {
                let table = self.name()?;
                tables.push((table, self.column_names()?));
                if !self.eat(Token::Comma) {
                    break;
                }
            }
        }
        let mut feed = CreateFeed { if_not_exists, name, from, tables, max_lag_bytes: None, max_age: None };
        if self.eat(Token::With) {
            self.expect(Token::LeftParen)?;
            loop {
                self.feed_option(&mut feed)?;
                if !self.eat(Token::Comma) {
                    break;
                }
            }
            self.expect(Token::RightParen)?;
        }
        Ok(Statement::Time(TimeStatement::CreateFeed(feed)))
    }

    fn feed_from(&mut self) -> Result<FeedFrom> {
        if self.at(Token::Current) {
            self.advance();
            return Ok(FeedFrom::Current);
        }
        if self.at_word("SNAPSHOT") {
            self.advance();
            return Ok(FeedFrom::Snapshot);
        }
        Ok(FeedFrom::Point(self.point()?))
    }

    /// `max_lag_bytes = n | 'n unit'`, `max_age = n unit | 'n unit'`
    fn feed_option(&mut self, feed: &mut CreateFeed) -> Result<()> {
        let (place, option) = (self.span, self.text().to_ascii_lowercase());
        self.name()?;
        self.expect(Token::Equal)?;
        match option.as_str() {
            "max_lag_bytes" => feed.max_lag_bytes = Some(self.size()?),
            "max_age" => feed.max_age = Some(self.duration("max_age")?),
            _ => {
                let message =
                    format!("unknown option of a feed: {option}; there are max_lag_bytes and max_age");
                return Err(self.error_at(place, message));
            }
        }
        Ok(())
    }

    /// A number of bytes: `n` or `'n unit'`.
    fn size(&mut self) -> Result<u64> {
        let (place, quoted) = (self.span, self.at(Token::String));
        let text = if quoted { unquote(self.text()).to_string() } else { self.text().to_owned() };
        self.advance_if(&[if quoted { Token::String } else { Token::Number }])?;
        let mut words = text.split_ascii_whitespace();
        let number = words.next().and_then(|number| number.parse::<u64>().ok());
        let unit = match words.next().map(str::to_ascii_lowercase).as_deref() {
            None | Some("b" | "bytes") => Some(1),
            Some("kb") => Some(1u64 << 10),
            Some("mb") => Some(1 << 20),
            Some("gb") => Some(1 << 30),
            Some(_) => None,
        };
        let size = number.zip(unit).filter(|_| words.next().is_none());
        size.map(|(number, unit)| number.saturating_mul(unit)).ok_or_else(|| {
            self.error_at(
                place,
                format!("max_lag_bytes takes a number of bytes, or KB, MB, GB in quotes, not {text}"),
            )
        })
    }

    /// `FEED [IF EXISTS] name`, behind DROP.
    pub(super) fn drop_feed(&mut self) -> Result<Statement> {
        self.expect_word("FEED")?;
        let if_exists = self.if_exists()?;
        Ok(Statement::Time(TimeStatement::DropFeed { if_exists, name: self.name()? }))
    }
}
