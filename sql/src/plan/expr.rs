//! Walking expressions: which registers they read, whether they are constant.

use std::ops::ControlFlow;

use super::{ArithmeticOp, CompareOp, Expr, KeyBounds, KeyTerm, Register, Subquery};
use crate::func::{Kind, Volatility};

impl Expr {
    /// Shows every direct operand to `visit`, in order of evaluation, until it breaks. The arguments of a nested query count as
    /// operands; what is inside the nested query does not.
    pub fn for_each_operand<'a>(
        &'a self,
        visit: &mut dyn FnMut(&'a Expr) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let all = |list: &'a [Expr], visit: &mut dyn FnMut(&'a Expr) -> ControlFlow<()>| {
            list.iter().try_for_each(visit)
        };
        match self {
            Expr::Literal(_)
            | Expr::Parameter(_)
            | Expr::Register(_)
            | Expr::Outer(_)
            | Expr::CurrentTime(_) => ControlFlow::Continue(()),
            Expr::Affinity { operand, .. }
            | Expr::Cast { operand, .. }
            | Expr::Negate(operand)
            | Expr::BitNot(operand)
            | Expr::Not(operand)
            | Expr::IsNull { operand, .. } => visit(operand),
            Expr::And(left, right)
            | Expr::Or(left, right)
            | Expr::Arithmetic { left, right, .. }
            | Expr::Compare { left, right, .. } => {
                visit(left)?;
                visit(right)
            }
            Expr::CompareRows { left, right, .. } => {
                all(left, visit)?;
                all(right, visit)
            }
            Expr::Between { operand, low, high, .. } => {
                visit(operand)?;
                visit(low)?;
                visit(high)
            }
            Expr::InList { operand, list, .. } => {
                visit(operand)?;
                all(list, visit)
            }
            Expr::InQuery { operands, query, .. } => {
                all(operands, visit)?;
                all(&query.arguments, visit)
            }
            Expr::Exists { query, .. } | Expr::Scalar { query, .. } => all(&query.arguments, visit),
            Expr::Case { operand, whens, otherwise } => {
                if let Some(operand) = operand {
                    visit(operand)?;
                }
                for (when, _, then) in whens {
                    visit(when)?;
                    visit(then)?;
                }
                otherwise.as_deref().map_or(ControlFlow::Continue(()), visit)
            }
            Expr::Like { operand, pattern, escape, .. } => {
                visit(operand)?;
                visit(pattern)?;
                escape.as_deref().map_or(ControlFlow::Continue(()), visit)
            }
            Expr::Function { arguments, .. } => all(arguments, visit),
            Expr::Raise { message, .. } => message.as_deref().map_or(ControlFlow::Continue(()), visit),
        }
    }

    /// Shows this expression and everything below it to `visit`, until it breaks. Needs no recursion.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr) -> ControlFlow<()>) -> ControlFlow<()> {
        let mut pending = vec![self];
        while let Some(expr) = pending.pop() {
            visit(expr)?;
            let from = pending.len();
            let _ = expr.for_each_operand(&mut |operand| {
                pending.push(operand);
                ControlFlow::Continue(())
            });
            pending[from..].reverse();
        }
        ControlFlow::Continue(())
    }

    /// Whether `is` holds for this expression or anything below it.
    pub fn any(&self, mut is: impl FnMut(&Expr) -> bool) -> bool {
        self.walk(&mut |expr| if is(expr) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            .is_break()
    }

    /// The registers that it reads, in order, each once.
    #[must_use]
    pub fn registers_read(&self) -> Vec<Register> {
        let mut read = Vec::new();
        self.any(|expr| {
            if let Expr::Register(register) = expr
                && let Err(at) = read.binary_search(register)
            {
                read.insert(at, *register);
            }
            false
        });
        read
    }

    /// Whether it gives the same value in every row of a statement: it reads no register and nothing that is random.
    /// Parameters and the surrounding row's values count as constant.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        !self.any(|expr| matches!(expr, Expr::Register(_) | Expr::Raise { .. }) || expr.is_volatile_itself())
    }

    /// Whether it gives the same value all through a statement: as [`Expr::is_constant`], and it reads no surrounding row and
    /// runs no query.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.is_constant() && !self.any(|expr| matches!(expr, Expr::Outer(_)) || expr.subquery().is_some())
    }

    /// Whether it can give another value when evaluated again (`random()`).
    #[must_use]
    pub fn is_volatile(&self) -> bool {
        self.any(Expr::is_volatile_itself)
    }

    fn is_volatile_itself(&self) -> bool {
        matches!(self, Expr::Function { function, .. }
            if matches!(function.kind, Kind::Scalar { volatility: Volatility::Volatile, .. }))
    }

    /// Whether it runs a nested query.
    #[must_use]
    pub fn has_subquery(&self) -> bool {
        self.any(|expr| expr.subquery().is_some())
    }

    /// The nested query that it runs itself.
    #[must_use]
    pub fn subquery(&self) -> Option<&Subquery> {
        match self {
            Expr::InQuery { query, .. } | Expr::Exists { query, .. } | Expr::Scalar { query, .. } => {
                Some(query)
            }
            _ => None,
        }
    }

    /// Takes an AND apart into its members.
    pub fn split_and(self, members: &mut Vec<Expr>) {
        let mut pending = vec![self];
        while let Some(expr) = pending.pop() {
            match expr {
                Expr::And(left, right) => {
                    pending.push(*right);
                    pending.push(*left);
                }
                member => members.push(member),
            }
        }
    }

    /// Joins members with AND; `None` where there are none.
    #[must_use]
    pub fn join_and(members: Vec<Expr>) -> Option<Expr> {
        members.into_iter().reduce(|left, right| Expr::And(Box::new(left), Box::new(right)))
    }
}

impl KeyBounds {
    /// Every expression in the bounds.
    pub fn for_each_expr<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        for term in &self.equal {
            match term {
                KeyTerm::Equal(bound) | KeyTerm::Is(bound) => visit(&bound.expr),
                KeyTerm::In(bounds) => bounds.iter().for_each(|bound| visit(&bound.expr)),
                KeyTerm::InQuery { query, .. } => query.arguments.iter().for_each(&mut *visit),
            }
        }
        for (bound, _) in self.lower.iter().chain(&self.upper) {
            visit(&bound.expr);
        }
    }
}

impl CompareOp {
    /// The operator that says the same with the sides exchanged.
    #[must_use]
    pub fn mirrored(self) -> CompareOp {
        match self {
            CompareOp::Less => CompareOp::Greater,
            CompareOp::LessEqual => CompareOp::GreaterEqual,
            CompareOp::Greater => CompareOp::Less,
            CompareOp::GreaterEqual => CompareOp::LessEqual,
            same => same,
        }
    }

    /// As SQL writes it.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            CompareOp::Equal => "=",
            CompareOp::NotEqual => "<>",
            CompareOp::Less => "<",
            CompareOp::LessEqual => "<=",
            CompareOp::Greater => ">",
            CompareOp::GreaterEqual => ">=",
            CompareOp::Is => "IS",
            CompareOp::IsNot => "IS NOT",
        }
    }
}

impl ArithmeticOp {
    /// As SQL writes it.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            ArithmeticOp::Add => "+",
            ArithmeticOp::Subtract => "-",
            ArithmeticOp::Multiply => "*",
            ArithmeticOp::Divide => "/",
            ArithmeticOp::Remainder => "%",
            ArithmeticOp::BitAnd => "&",
            ArithmeticOp::BitOr => "|",
            ArithmeticOp::ShiftLeft => "<<",
            ArithmeticOp::ShiftRight => ">>",
            ArithmeticOp::Concat => "||",
        }
    }
}
