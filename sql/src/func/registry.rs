//! Functions by name.

use dosql_base::{Error, Result};

use super::{AggKind, Context};
use crate::value::{Collation, Value, ValueRef};

/// The code of a scalar function. The collation is that of the first argument that has one; only functions with
/// [`Function::collates`] look at it.
pub type ScalarFn = fn(&mut Context<'_>, &[ValueRef<'_>], Collation) -> Result<Value>;

/// A built-in function.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Its name, in lower case; `->` and `->>` are functions of two arguments.
    pub name: &'static str,
    /// The fewest arguments.
    pub min_args: u8,
    /// The most arguments; 255 is any number.
    pub max_args: u8,
    /// What it is and how it runs.
    pub kind: Kind,
    /// Whether its result is JSON when it becomes an argument of a JSON function.
    pub json: JsonResult,
    /// Whether it compares text, so that the collation matters.
    pub collates: bool,
}

/// What a function is and how it runs.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// One result for one row.
    Scalar {
        /// Its code.
        f: ScalarFn,
        /// When its result may change.
        volatility: Volatility,
    },
    /// One result for a group of rows; also usable over a window.
    Aggregate(AggKind),
    /// A function of a window only.
    Window(WindowKind),
}

/// When the result of a function of the same arguments may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volatility {
    /// Never: may be computed when the statement is prepared, and stored in an index.
    Deterministic,
    /// From one statement to the next (dates, which may say 'now'): may be computed once per run.
    PerStatement,
    /// From call to call.
    Volatile,
}

/// Functions of a window that are no aggregates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum WindowKind {
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    Ntile,
    Lag,
    Lead,
    FirstValue,
    LastValue,
    NthValue,
}

/// Whether the text that a function returns is JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum JsonResult {
    /// It is not.
    #[default]
    No,
    /// It is.
    Always,
    /// It is where it is an array or an object (`json_extract` gives scalars as SQL values).
    Containers,
}

impl Function {
    /// A deterministic scalar function.
    pub(crate) const fn scalar(name: &'static str, min_args: u8, max_args: u8, f: ScalarFn) -> Function {
        let kind = Kind::Scalar { f, volatility: Volatility::Deterministic };
        Function { name, min_args, max_args, kind, json: JsonResult::No, collates: false }
    }

    const fn aggregate(name: &'static str, min_args: u8, max_args: u8, kind: AggKind) -> Function {
        let kind = Kind::Aggregate(kind);
        Function { name, min_args, max_args, kind, json: JsonResult::No, collates: false }
    }

    const fn window(name: &'static str, min_args: u8, max_args: u8, kind: WindowKind) -> Function {
        let kind = Kind::Window(kind);
        Function { name, min_args, max_args, kind, json: JsonResult::No, collates: false }
    }

    pub(crate) const fn per_statement(self) -> Function {
        self.with_volatility(Volatility::PerStatement)
    }

    pub(crate) const fn volatile(self) -> Function {
        self.with_volatility(Volatility::Volatile)
    }

    const fn with_volatility(mut self, volatility: Volatility) -> Function {
        if let Kind::Scalar { f, .. } = self.kind {
            self.kind = Kind::Scalar { f, volatility };
        }
        self
    }

    pub(crate) const fn collating(mut self) -> Function {
        self.collates = true;
        self
    }

    pub(crate) const fn json(mut self, json: JsonResult) -> Function {
        self.json = json;
        self
    }

    /// Whether the same arguments always give the same result.
    #[must_use]
    pub fn is_deterministic(&self) -> bool {
        !matches!(self.kind, Kind::Scalar { volatility: Volatility::PerStatement | Volatility::Volatile, .. })
    }

    /// Whether it folds rows of a group into one value.
    #[must_use]
    pub fn is_aggregate(&self) -> bool {
        matches!(self.kind, Kind::Aggregate(_))
    }

    fn takes(&self, args: usize) -> bool {
        args >= usize::from(self.min_args) && (self.max_args == 255 || args <= usize::from(self.max_args))
    }
}

/// The aggregates and window functions.
static SETS: &[Function] = &[
    Function::aggregate("count", 0, 1, AggKind::Count),
    Function::aggregate("sum", 1, 1, AggKind::Sum),
    Function::aggregate("total", 1, 1, AggKind::Total),
    Function::aggregate("avg", 1, 1, AggKind::Avg),
    Function::aggregate("min", 1, 1, AggKind::Min).collating(),
    Function::aggregate("max", 1, 1, AggKind::Max).collating(),
    Function::aggregate("group_concat", 1, 2, AggKind::GroupConcat),
    Function::aggregate("string_agg", 2, 2, AggKind::GroupConcat),
    Function::aggregate("json_group_array", 1, 1, AggKind::JsonGroupArray { binary: false })
        .json(JsonResult::Always),
    Function::aggregate("json_group_object", 2, 2, AggKind::JsonGroupObject { binary: false })
        .json(JsonResult::Always),
    Function::aggregate("jsonb_group_array", 1, 1, AggKind::JsonGroupArray { binary: true }),
    Function::aggregate("jsonb_group_object", 2, 2, AggKind::JsonGroupObject { binary: true }),
    Function::window("row_number", 0, 0, WindowKind::RowNumber),
    Function::window("rank", 0, 0, WindowKind::Rank),
    Function::window("dense_rank", 0, 0, WindowKind::DenseRank),
    Function::window("percent_rank", 0, 0, WindowKind::PercentRank),
    Function::window("cume_dist", 0, 0, WindowKind::CumeDist),
    Function::window("ntile", 1, 1, WindowKind::Ntile),
    Function::window("lag", 1, 3, WindowKind::Lag),
    Function::window("lead", 1, 3, WindowKind::Lead),
    Function::window("first_value", 1, 1, WindowKind::FirstValue),
    Function::window("last_value", 1, 1, WindowKind::LastValue),
    Function::window("nth_value", 2, 2, WindowKind::NthValue),
];

/// Every function, family by family; names repeat where the kind depends on the number of arguments.
pub fn all() -> impl Iterator<Item = &'static Function> {
    use super::{datetime, json, math, misc, printf, text};
    [
        SETS,
        text::FUNCTIONS,
        misc::FUNCTIONS,
        math::FUNCTIONS,
        printf::FUNCTIONS,
        datetime::FUNCTIONS,
        json::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
}

/// The function of this name (in any case) that takes `args` arguments. Fails with "no such function" or "wrong
/// number of arguments to function".
pub fn lookup(name: &str, args: usize) -> Result<&'static Function> {
    let mut known = false;
    for function in all() {
        if function.name.eq_ignore_ascii_case(name) {
            if function.takes(args) {
                return Ok(function);
            }
            known = true;
        }
    }
    Err(if known {
        Error::invalid(format!("wrong number of arguments to function {name}()"))
    } else {
        Error::invalid(format!("no such function: {name}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_number_of_arguments_find_a_function() {
        assert!(lookup("MAX", 1).unwrap().is_aggregate());
        assert!(!lookup("max", 2).unwrap().is_aggregate());
        assert_eq!(lookup("nope", 1).unwrap_err().message(), "no such function: nope");
        assert_eq!(lookup("Sum", 2).unwrap_err().message(), "wrong number of arguments to function Sum()");
    }

    #[test]
    fn no_two_functions_answer_to_the_same_call() {
        let functions: Vec<_> = all().collect();
        for (i, a) in functions.iter().enumerate() {
            for b in &functions[i + 1..] {
                let shared = (0..=255).any(|args| a.takes(args) && b.takes(args));
                assert!(a.name != b.name || !shared, "{}", a.name);
            }
        }
    }
}
