//! Function calls and what may follow them: FILTER, OVER, window definitions, frames.

use dosql_base::{Error, Result};

use super::{CALL_DEPTH, MAX_ARGUMENTS, Parser};
use crate::parse::ast::{
    ExprId, ExprKind, Frame, FrameBound, FrameExclude, FrameUnit, FunctionCall, Id, List, NameId, OrderTerm,
    Over, WindowDefinition,
};
use crate::parse::token::Token;

impl Parser<'_> {
    /// `name(..) [FILTER ..] [OVER ..]`, on the left parenthesis.
    pub(super) fn call(&mut self, name: NameId) -> Result<ExprId> {
        self.descend(CALL_DEPTH)?;
        let outer = self.measure();
        self.expect(Token::LeftParen)?;
        let (mut distinct, mut star) = (false, false);
        let mut arguments: List<ExprId> = List::EMPTY;
        let mut order_by: List<OrderTerm> = List::EMPTY;
        if self.eat(Token::Star) {
            star = true;
        } else {
            distinct = self.distinct();
            arguments = if self.at(Token::Order) { List::EMPTY } else { self.expressions_until_paren()? };
            order_by = self.order_by()?;
        }
        self.expect(Token::RightParen)?;
        if arguments.len() > MAX_ARGUMENTS {
            let message = format!("too many arguments on function {}", self.ast.text(name));
            return Err(Error::limit(message).at_offset(self.ast[name].span.start as usize));
        }
        let filter = self.filter()?;
        let over = self.over()?;
        let below = self.measured(outer);
        self.ascend(CALL_DEPTH);
        let span = self.span_from(self.ast[name].span.start);
        let call = FunctionCall { name, distinct, star, arguments, order_by, filter, over };
        self.add(ExprKind::Function(call), span, below)
    }

    /// `[DISTINCT | ALL]`
    pub(super) fn distinct(&mut self) -> bool {
        let distinct = self.eat(Token::Distinct);
        if !distinct {
            self.eat(Token::All);
        }
        distinct
    }

    /// `[FILTER (WHERE expr)]`
    fn filter(&mut self) -> Result<Option<ExprId>> {
        if self.at_word("WITHIN") && self.peek() == Token::Group {
            return Err(self.unsupported("WITHIN GROUP is not supported: put ORDER BY behind the argument"));
        }
        if !self.eat(Token::Filter) {
            return Ok(None);
        }
        self.expect_all(&[Token::LeftParen, Token::Where])?;
        let filter = self.expression()?;
        self.expect(Token::RightParen)?;
        Ok(Some(filter))
    }

    /// `[OVER name | OVER (window)]`
    fn over(&mut self) -> Result<Option<Over>> {
        if !self.eat(Token::Over) {
            return Ok(None);
        }
        Ok(Some(match self.token {
            Token::LeftParen => Over::Definition(self.window(None)?),
            _ => Over::Name(self.name()?),
        }))
    }

    /// `[WINDOW name AS (..), ..]`
    pub(super) fn window_clause(&mut self) -> Result<List<WindowDefinition>> {
        if !self.eat(Token::Window) {
            return Ok(List::EMPTY);
        }
        let mut windows = Vec::new();
        loop {
            let name = self.name()?;
            self.expect(Token::As)?;
            let window = self.window(Some(name))?;
            windows.push(self.ast[window].clone());
            if !self.eat(Token::Comma) {
                return Ok(self.ast.add_list(windows));
            }
        }
    }

    /// `([base] [PARTITION BY ..] [ORDER BY ..] [frame])`
    fn window(&mut self, name: Option<NameId>) -> Result<Id<WindowDefinition>> {
        self.expect(Token::LeftParen)?;
        let clause = matches!(self.token, Token::Partition | Token::Rows | Token::Range | Token::Groups);
        let base = if self.token.is_name() && !clause { Some(self.take_name()) } else { None };
        let partition_by = if self.eat(Token::Partition) {
            self.expect(Token::By)?;
            self.expressions()?
        } else {
            List::EMPTY
        };
        let order_by = self.order_by()?;
        let frame = self.frame()?;
        self.expect(Token::RightParen)?;
        Ok(self.ast.add(WindowDefinition { name, base, partition_by, order_by, frame }))
    }

    fn frame(&mut self) -> Result<Option<Frame>> {
        let unit = match self.token {
            Token::Rows => FrameUnit::Rows,
            Token::Range => FrameUnit::Range,
            Token::Groups => FrameUnit::Groups,
            _ => return Ok(None),
        };
        let place = self.span;
        self.advance();
        let (start, end) = if self.eat(Token::Between) {
            let start = self.frame_bound(true)?;
            self.expect(Token::And)?;
            (start, self.frame_bound(false)?)
        } else {
            (self.frame_bound(true)?, FrameBound::CurrentRow)
        };
        let backwards = matches!(
            (&start, &end),
            (FrameBound::CurrentRow | FrameBound::Following(_), FrameBound::Preceding(_))
                | (FrameBound::Following(_), FrameBound::CurrentRow)
        );
        if backwards {
            return Err(Error::invalid("unsupported frame specification").at_offset(place.start as usize));
        }
        let exclude = self.frame_exclude()?;
        Ok(Some(Frame { unit, start, end, exclude }))
    }

    fn frame_bound(&mut self, start: bool) -> Result<FrameBound> {
        if self.eat(Token::Unbounded) {
            let (token, bound) = if start {
                (Token::Preceding, FrameBound::UnboundedPreceding)
            } else {
                (Token::Following, FrameBound::UnboundedFollowing)
            };
            self.expect(token)?;
            return Ok(bound);
        }
        if self.eat(Token::Current) {
            self.expect(Token::Row)?;
            return Ok(FrameBound::CurrentRow);
        }
        let distance = self.expression()?;
        if self.eat(Token::Preceding) {
            return Ok(FrameBound::Preceding(distance));
        }
        self.expect(Token::Following)?;
        Ok(FrameBound::Following(distance))
    }

    fn frame_exclude(&mut self) -> Result<FrameExclude> {
        if !self.eat(Token::Exclude) {
            return Ok(FrameExclude::NoOthers);
        }
        let exclude = match self.token {
            Token::No => {
                self.advance();
                self.expect(Token::Others)?;
                return Ok(FrameExclude::NoOthers);
            }
            Token::Current => {
                self.advance();
                self.expect(Token::Row)?;
                return Ok(FrameExclude::CurrentRow);
            }
            Token::Group => FrameExclude::Group,
            Token::Ties => FrameExclude::Ties,
            _ => return Err(self.syntax_error()),
        };
        self.advance();
        Ok(exclude)
    }
}
