//! Arguments of table functions that stand in the WHERE: `json_each WHERE json = x` is `json_each(x)`.

use super::graph::{Conjunct, Graph, Set, bit};
use super::{Relation, Source};
use crate::catalog::pragma::TABLE_PRAGMAS;
use crate::plan::{CompareOp, Expr, JoinKind, Node, Register, TableFunction};

impl TableFunction {
    /// The number of its first hidden column, and how many there are: they are its arguments.
    fn hidden(self) -> (usize, usize) {
        match self {
            TableFunction::JsonEach | TableFunction::JsonTree => (8, 2),
            TableFunction::GenerateSeries => (1, 3),
            TableFunction::Pragma(number) => {
                (TABLE_PRAGMAS.get(number).map_or(0, |pragma| pragma.columns.len()), 2)
            }
            TableFunction::Log => (7, 1),
            TableFunction::Schema | TableFunction::State(_) => (0, 0),
        }
    }
}

/// Takes equalities with hidden columns as the arguments that were not given, from the first one missing to the first one
/// that has no equality either.
pub(super) fn from_conjuncts(graph: &mut Graph) {
    for relation in 0..graph.relations.len() {
        while let Some((number, value)) = next_argument(graph, relation) {
            let Source::Node { node: Node::TableFunction { arguments, .. }, .. } =
                &mut graph.relations[relation].source
            else {
                break;
            };
            arguments.push(value);
            graph.conjuncts.remove(number);
        }
    }
}

/// The conjunct that gives the next argument, and the argument.
fn next_argument(graph: &Graph, relation: usize) -> Option<(usize, Expr)> {
    let Relation { source, join, .. } = &graph.relations[relation];
    let Source::Node { node: Node::TableFunction { function, arguments, columns }, .. } = source else {
        return None;
    };
    let (first, count) = function.hidden();
    if arguments.len() >= count {
        return None;
    }
    let (_, register) = columns.iter().find(|(column, _)| *column == first + arguments.len())?;
    let on = (*join != JoinKind::Inner && relation > 0).then_some(relation);
    let known = before(graph, relation);
    graph
        .conjuncts
        .iter()
        .enumerate()
        .filter(|(_, conjunct)| conjunct.on == on && conjunct.reads & !known & !bit(relation) == 0)
        .find_map(|(number, conjunct)| Some((number, other_side(graph, conjunct, *register, relation)?)))
}

/// The relations whose rows can be there before those of `relation`: those written before it, and tables where any order is
/// as good.
fn before(graph: &Graph, relation: usize) -> Set {
    let free = graph.relations.iter().all(|other| other.join == JoinKind::Inner && !other.keep_order);
    let may = |at: usize| at < relation || (free && matches!(graph.relations[at].source, Source::Table(_)));
    (0..graph.relations.len()).filter(|at| may(*at)).fold(0, |set, at| set | bit(at))
}

/// What `register` is said to equal.
fn other_side(graph: &Graph, conjunct: &Conjunct, register: Register, relation: usize) -> Option<Expr> {
    let Expr::Compare { op: CompareOp::Equal, left, right, .. } = &conjunct.expr else { return None };
    let value = match (&**left, &**right) {
        (Expr::Register(found), value) | (value, Expr::Register(found)) if *found == register => value,
        _ => return None,
    };
    (!value.is_volatile() && graph.reads(value) & bit(relation) == 0).then(|| value.clone())
}
