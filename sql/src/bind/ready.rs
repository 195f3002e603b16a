//! Operands that are bound and wait for what they are operands of.
//!
//! ```text
//! bound    of the SELECTs around .. | of this one: taken .. | next ..
//!                                   ^ from                    ^ next
//! ```
//!
//! Operands are taken in the order in which they were bound, nearly always: the cursor makes a list of a hundred thousand of
//! them as cheap, member for member, as a short one.

use super::typed::Bound;
use crate::parse::ast::ExprId;

/// The operands, in the order in which they were bound; those taken have left their places.
#[derive(Default)]
pub(crate) struct ReadyOperands {
    pub(super) bound: Vec<(ExprId, Option<Bound>)>,
    /// Those of the SELECT being bound start here.
    from: usize,
    /// The one that is likely to be taken next.
    pub(super) next: usize,
}

impl ReadyOperands {
    /// Takes what was bound of this expression, if it was.
    pub(super) fn take(&mut self, id: ExprId) -> Option<Bound> {
        let is_it = |(waits, bound): &(ExprId, Option<Bound>)| *waits == id && bound.is_some();
        let expected = self.next.max(self.from);
        let at = match self.bound.get(expected) {
            Some(waits) if is_it(waits) => expected,
            _ => self.from + self.bound[self.from..].iter().rposition(is_it)?,
        };
        self.next = at + 1;
        self.bound[at].1.take()
    }

    /// Begins a SELECT, which sees none of the operands around it. Gives what [`ReadyOperands::end`] wants back.
    pub(super) fn begin(&mut self) -> (usize, usize) {
        let around = (self.from, self.next);
        (self.from, self.next) = (self.bound.len(), self.bound.len());
        around
    }

    /// Ends a SELECT.
    pub(super) fn end(&mut self, around: (usize, usize)) {
        (self.from, self.next) = around;
    }
}
