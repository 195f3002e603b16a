//! Pools of nodes, the ids that address them, and the tree that owns them.

use std::marker::PhantomData;
use std::ops::Index;

use super::{
    Assignment, ColumnConstraint, ColumnDefinition, Cte, Expr, FromItem, Name, OrderTerm, ResultColumn,
    Select, SelectCore, Statement, TableConstraint, Upsert, WhenClause, WindowDefinition,
};
use crate::value::Text;

/// The bytes `start..end` of the SQL text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// From the start of `self` to the end of `last`.
    #[must_use]
    pub fn to(self, last: Span) -> Span {
        Span { start: self.start, end: last.end }
    }

    /// The text it spans.
    #[must_use]
    pub fn of(self, sql: &str) -> &str {
        sql.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// The id of a node in the pool of its kind.
pub struct Id<T>(pub(crate) u32, PhantomData<fn() -> T>);

impl<T> Id<T> {
    pub(crate) fn new(index: usize) -> Self {
        Id(u32::try_from(index).expect("a statement is shorter than 4 GiB"), PhantomData)
    }
}

/// A run of nodes in the pool of their kind.
pub struct List<T> {
    pub(crate) start: u32,
    pub(crate) len: u32,
    kind: PhantomData<fn() -> T>,
}

impl<T> List<T> {
    /// No nodes.
    pub const EMPTY: List<T> = List { start: 0, len: 0, kind: PhantomData };

    pub(crate) fn new(start: usize, len: usize) -> Self {
        List { start: Id::<T>::new(start).0, len: Id::<T>::new(len).0, kind: PhantomData }
    }

    /// How many nodes.
    #[must_use]
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

macro_rules! copy_id {
    ($($kind:ident),*) => {$(
        impl<T> Clone for $kind<T> {
            fn clone(&self) -> Self {
                *self
            }
        }
        impl<T> Copy for $kind<T> {}
        impl<T> std::fmt::Debug for $kind<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($kind), "{}"), self.0)
            }
        }
        impl<T> PartialEq for $kind<T> {
            fn eq(&self, other: &Self) -> bool {
                self.0 == other.0
            }
        }
    )*};
}
copy_id!(Id);

impl<T> Clone for List<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for List<T> {}
impl<T> Default for List<T> {
    fn default() -> Self {
        Self::EMPTY
    }
}
impl<T> std::fmt::Debug for List<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "List{}+{}", self.start, self.len)
    }
}

/// The id of an expression.
pub type ExprId = Id<Expr>;
/// The id of a SELECT.
pub type SelectId = Id<Select>;
/// The id of a name.
pub type NameId = Id<Name>;

macro_rules! pools {
    ($($pool:ident: $kind:ty),* $(,)?) => {
        /// The pools of one statement's nodes; `ast[id]` and `ast.list(list)` read them.
        #[derive(Clone, Debug, Default)]
        #[allow(missing_docs)]
        pub struct Ast {
            $(pub(crate) $pool: Vec<$kind>,)*
            /// The height of each expression's tree, while it is parsed.
            pub(crate) heights: Vec<u16>,
            pending: Box<Pending>,
            /// The parameters in order of their numbers: `None` for `?` and `?7`, else the name with its sign.
            pub parameters: Vec<Option<Text>>,
        }

        /// The members of lists that are not closed yet: a stack a kind, since lists nest.
        #[derive(Clone, Debug, Default)]
        struct Pending {
            $($pool: Vec<$kind>,)*
        }

        impl Pending {
            /// Only a parse that failed leaves anything.
            #[cold]
            fn clear(&mut self) {
                $(self.$pool.clear();)*
            }
        }

        impl Ast {
            /// Forgets all nodes and keeps the memory.
            pub fn clear(&mut self) {
                $(self.$pool.clear();)*
                self.pending.clear();
                self.heights.clear();
                self.parameters.clear();
            }
        }

        $(
            impl Index<Id<$kind>> for Ast {
                type Output = $kind;
                fn index(&self, id: Id<$kind>) -> &$kind {
                    &self.$pool[id.0 as usize]
                }
            }
            impl Pool<$kind> for Ast {
                fn pool(&self) -> &Vec<$kind> {
                    &self.$pool
                }
                fn pool_mut(&mut self) -> &mut Vec<$kind> {
                    &mut self.$pool
                }
                fn pool_and_pending(&mut self) -> (&mut Vec<$kind>, &mut Vec<$kind>) {
                    (&mut self.$pool, &mut self.pending.$pool)
                }
            }
        )*
    };
}

/// The pool of one kind of node.
pub trait Pool<T> {
    /// All nodes of the kind.
    fn pool(&self) -> &Vec<T>;
    /// The same, to add to.
    fn pool_mut(&mut self) -> &mut Vec<T>;
    /// The pool, and the members of lists that are still open.
    fn pool_and_pending(&mut self) -> (&mut Vec<T>, &mut Vec<T>);
}

pools! {
    exprs: Expr,
    expr_ids: ExprId,
    names: Name,
    name_ids: NameId,
    selects: Select,
    select_cores: SelectCore,
    result_columns: ResultColumn,
    from_items: FromItem,
    order_terms: OrderTerm,
    ctes: Cte,
    window_definitions: WindowDefinition,
    when_clauses: WhenClause,
    assignments: Assignment,
    upserts: Upsert,
    value_rows: List<ExprId>,
    column_definitions: ColumnDefinition,
    column_constraints: ColumnConstraint,
    table_constraints: TableConstraint,
    statements: Statement,
}

impl Ast {
    /// The nodes of `list`.
    #[must_use]
    pub fn list<T>(&self, list: List<T>) -> &[T]
    where
        Ast: Pool<T>,
    {
        &Pool::<T>::pool(self)[list.start as usize..(list.start + list.len) as usize]
    }

    /// Adds a node.
    pub fn add<T>(&mut self, node: T) -> Id<T>
    where
        Ast: Pool<T>,
    {
        let pool = Pool::<T>::pool_mut(self);
        pool.push(node);
        Id::new(pool.len() - 1)
    }

    /// Adds a run of nodes.
    pub fn add_list<T>(&mut self, nodes: impl IntoIterator<Item = T>) -> List<T>
    where
        Ast: Pool<T>,
    {
        let pool = Pool::<T>::pool_mut(self);
        let start = pool.len();
        pool.extend(nodes);
        List::new(start, pool.len() - start)
    }

    /// Opens a list whose members come one by one, with other nodes of the kind among them.
    pub(crate) fn open_list<T>(&mut self) -> usize
    where
        Ast: Pool<T>,
    {
        Pool::<T>::pool_and_pending(self).1.len()
    }

    /// Adds a member to the innermost open list.
    pub(crate) fn push<T>(&mut self, node: T)
    where
        Ast: Pool<T>,
    {
        Pool::<T>::pool_and_pending(self).1.push(node);
    }

    /// Closes the innermost list, which [`Ast::open_list`] opened at `start`.
    pub(crate) fn close_list<T>(&mut self, start: usize) -> List<T>
    where
        Ast: Pool<T>,
    {
        let (pool, pending) = Pool::<T>::pool_and_pending(self);
        let first = pool.len();
        pool.extend(pending.drain(start..));
        List::new(first, pool.len() - first)
    }

    /// The text of a name, quotes removed.
    #[must_use]
    pub fn text(&self, name: NameId) -> &str {
        &self[name].text
    }
}
