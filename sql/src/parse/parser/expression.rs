//! Expressions: operators by binding power. Chains of operators on one level are a loop, not a recursion.

use dosql_base::Result;

use super::{EXPRESSION_DEPTH, Parser};
use crate::parse::ast::{BinaryOp, ExprId, ExprKind, InSet, LikeOp, List, UnaryOp};
use crate::parse::token::Token;
use crate::value::Value;

/// How tightly an operator binds: the greater, the tighter. All but the prefix operators are left-associative.
mod power {
    pub(super) const ANY: u8 = 1;
    pub(super) const OR: u8 = 1;
    pub(super) const AND: u8 = 2;
    pub(super) const NOT: u8 = 3;
    pub(super) const EQUALITY: u8 = 4;
    pub(super) const COMPARISON: u8 = 5;
    pub(super) const BITS: u8 = 6;
    pub(super) const SUM: u8 = 7;
    pub(super) const PRODUCT: u8 = 8;
    pub(super) const CONCAT: u8 = 9;
    pub(super) const COLLATE: u8 = 10;
    pub(super) const SIGN: u8 = 11;
}

/// The power of an operator behind an operand; 0 for what is none.
const fn infix_power(token: Token) -> u8 {
    match token {
        Token::Or => power::OR,
        Token::And => power::AND,
        Token::Equal
        | Token::NotEqual
        | Token::Is
        | Token::In
        | Token::Between
        | Token::IsNull
        | Token::NotNull => power::EQUALITY,
        Token::Not | Token::Like | Token::Glob | Token::Regexp | Token::Match => power::EQUALITY,
        Token::Less | Token::LessEqual | Token::Greater | Token::GreaterEqual => power::COMPARISON,
        Token::Ampersand | Token::Bar | Token::ShiftLeft | Token::ShiftRight => power::BITS,
        Token::Plus | Token::Minus => power::SUM,
        Token::Star | Token::Slash | Token::Percent => power::PRODUCT,
        Token::Concat | Token::Arrow | Token::LongArrow => power::CONCAT,
        Token::Collate => power::COLLATE,
        _ => 0,
    }
}

/// The operator between two operands that needs no more words.
const fn binary_operator(token: Token) -> Option<BinaryOp> {
    Some(match token {
        Token::Or => BinaryOp::Or,
        Token::And => BinaryOp::And,
        Token::Equal => BinaryOp::Equal,
        Token::NotEqual => BinaryOp::NotEqual,
        Token::Less => BinaryOp::Less,
        Token::LessEqual => BinaryOp::LessEqual,
        Token::Greater => BinaryOp::Greater,
        Token::GreaterEqual => BinaryOp::GreaterEqual,
        Token::Ampersand => BinaryOp::BitAnd,
        Token::Bar => BinaryOp::BitOr,
        Token::ShiftLeft => BinaryOp::ShiftLeft,
        Token::ShiftRight => BinaryOp::ShiftRight,
        Token::Plus => BinaryOp::Add,
        Token::Minus => BinaryOp::Subtract,
        Token::Star => BinaryOp::Multiply,
        Token::Slash => BinaryOp::Divide,
        Token::Percent => BinaryOp::Remainder,
        Token::Concat => BinaryOp::Concat,
        Token::Arrow => BinaryOp::JsonExtract,
        Token::LongArrow => BinaryOp::JsonExtractText,
        _ => return None,
    })
}

impl Parser<'_> {
    /// An expression.
    pub(super) fn expression(&mut self) -> Result<ExprId> {
        self.bound_expression(power::ANY)
    }

    /// An expression of operators that bind at least as tightly as `least`.
    fn bound_expression(&mut self, least: u8) -> Result<ExprId> {
        self.descend(EXPRESSION_DEPTH)?;
        let left = self.operand()?;
        let whole = self.operators(left, least)?;
        self.ascend(EXPRESSION_DEPTH);
        Ok(whole)
    }

    /// The rest of an expression whose first operand is `left`.
    pub(super) fn rest_of_expression(&mut self, left: ExprId) -> Result<ExprId> {
        self.operators(left, power::ANY)
    }

    fn operators(&mut self, mut left: ExprId, least: u8) -> Result<ExprId> {
        loop {
            let power = infix_power(self.token);
            if power < least {
                return Ok(left);
            }
            left = match binary_operator(self.token) {
                Some(op) => {
                    self.advance();
                    let right = self.bound_expression(power + 1)?;
                    self.binary(op, left, right)?
                }
                None => match self.predicate(left)? {
                    Some(whole) => whole,
                    None => return Ok(left),
                },
            };
        }
    }

    fn binary(&mut self, op: BinaryOp, left: ExprId, right: ExprId) -> Result<ExprId> {
        let below = self.height(left).max(self.height(right));
        let span = self.ast[left].span.to(self.ast[right].span);
        self.add(ExprKind::Binary { op, left, right }, span, below)
    }

    /// An expression that starts with `operand` and ends with the last token passed.
    fn add_behind(&mut self, operand: ExprId, kind: ExprKind, below: u16) -> Result<ExprId> {
        let span = self.span_from(self.ast[operand].span.start);
        self.add(kind, span, below.max(self.height(operand)))
    }

    /// IS, LIKE, BETWEEN, IN and their like, and COLLATE behind `operand`; `None` for NOT INDEXED, which
    /// follows an expression only behind AS OF.
    #[inline(never)]
    fn predicate(&mut self, operand: ExprId) -> Result<Option<ExprId>> {
        let not = self.at(Token::Not);
        if not {
            if self.peek() == Token::Indexed {
                return Ok(None);
            }
            self.advance();
            let negatable = [
                Token::In,
                Token::Between,
                Token::Null,
                Token::Like,
                Token::Glob,
                Token::Regexp,
                Token::Match,
            ];
            if !negatable.contains(&self.token) {
                return Err(self.syntax_error());
            }
        }
        let token = self.token;
        self.advance();
        let whole = match token {
            Token::Is => self.is(operand),
            Token::IsNull => self.add_behind(operand, ExprKind::IsNull { not: false, operand }, 0),
            Token::NotNull | Token::Null => {
                self.add_behind(operand, ExprKind::IsNull { not: true, operand }, 0)
            }
            Token::Like => self.like(LikeOp::Like, not, operand),
            Token::Glob => self.like(LikeOp::Glob, not, operand),
            Token::Regexp => self.like(LikeOp::Regexp, not, operand),
            Token::Match => self.like(LikeOp::Match, not, operand),
            Token::Between => self.between(not, operand),
            Token::In => self.membership(not, operand),
            _ => self.collate(operand),
        };
        whole.map(Some)
    }

    /// `operand IS [NOT] [DISTINCT FROM] right`, behind IS.
    fn is(&mut self, operand: ExprId) -> Result<ExprId> {
        let mut not = self.eat(Token::Not);
        if self.eat(Token::Distinct) {
            self.expect(Token::From)?;
            not = !not;
        }
        let right = self.bound_expression(power::EQUALITY + 1)?;
        if matches!(self.ast[right].kind, ExprKind::Literal(Value::Null)) {
            return self.add_behind(operand, ExprKind::IsNull { not, operand }, 0);
        }
        self.binary(if not { BinaryOp::IsNot } else { BinaryOp::Is }, operand, right)
    }

    fn like(&mut self, op: LikeOp, not: bool, operand: ExprId) -> Result<ExprId> {
        let pattern = self.bound_expression(power::EQUALITY + 1)?;
        let mut below = self.height(pattern);
        let mut escape = None;
        if self.eat(Token::Escape) {
            let character = self.bound_expression(power::EQUALITY + 1)?;
            below = below.max(self.height(character));
            escape = Some(character);
        }
        self.add_behind(operand, ExprKind::Like { op, not, operand, pattern, escape }, below)
    }

    /// An expression that ends before an AND, as the operands of BETWEEN do.
    pub(super) fn between_operand(&mut self) -> Result<ExprId> {
        self.bound_expression(power::AND + 1)
    }

    fn between(&mut self, not: bool, operand: ExprId) -> Result<ExprId> {
        let low = self.between_operand()?;
        self.expect(Token::And)?;
        let high = self.bound_expression(power::EQUALITY + 1)?;
        let below = self.height(low).max(self.height(high));
        self.add_behind(operand, ExprKind::Between { not, operand, low, high }, below)
    }

    /// `operand [NOT] IN ..`, behind IN.
    fn membership(&mut self, not: bool, operand: ExprId) -> Result<ExprId> {
        let outer = self.measure();
        let set = if self.eat(Token::LeftParen) {
            let set = if self.at_select() {
                InSet::Select(self.select()?)
            } else {
                InSet::List(self.expressions_until_paren()?)
            };
            self.expect(Token::RightParen)?;
            set
        } else {
            let name = self.qualified_name()?;
            let arguments = if self.eat(Token::LeftParen) {
                let arguments = self.expressions_until_paren()?;
                self.expect(Token::RightParen)?;
                Some(arguments)
            } else {
                None
            };
            InSet::Table { name, arguments }
        };
        let below = self.measured(outer);
        self.add_behind(operand, ExprKind::In { not, operand, set }, below)
    }

    fn collate(&mut self, operand: ExprId) -> Result<ExprId> {
        let collation = self.id_or_string()?;
        self.add_behind(operand, ExprKind::Collate { operand, collation }, 0)
    }

    /// `+ - ~` in front of an operand.
    pub(super) fn signed(&mut self, op: UnaryOp) -> Result<ExprId> {
        let start = self.span.start;
        self.advance();
        let operand = self.bound_expression(power::SIGN)?;
        let span = self.span_from(start);
        if op == UnaryOp::Negate && self.smallest_integer == Some(operand) {
            return self.add(ExprKind::Literal(Value::Integer(i64::MIN)), span, 0);
        }
        let below = self.height(operand);
        self.add(ExprKind::Unary { op, operand }, span, below)
    }

    /// NOT in front of an operand.
    pub(super) fn not(&mut self) -> Result<ExprId> {
        let start = self.span.start;
        self.advance();
        let operand = self.bound_expression(power::NOT)?;
        let span = self.span_from(start);
        let below = self.height(operand);
        let kind = match self.ast[operand].kind {
            ExprKind::Exists { not, select } => ExprKind::Exists { not: !not, select },
            _ => ExprKind::Unary { op: UnaryOp::Not, operand },
        };
        self.add(kind, span, below)
    }

    /// `expr, ..`, at least one.
    pub(super) fn expressions(&mut self) -> Result<List<ExprId>> {
        let start = self.ast.open_list::<ExprId>();
        loop {
            let expr = self.expression()?;
            self.ast.push(expr);
            if !self.eat(Token::Comma) {
                return Ok(self.ast.close_list(start));
            }
        }
    }

    /// `[expr, ..]` up to a right parenthesis.
    pub(super) fn expressions_until_paren(&mut self) -> Result<List<ExprId>> {
        if self.at(Token::RightParen) { Ok(List::EMPTY) } else { self.expressions() }
    }
}
