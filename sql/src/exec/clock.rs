//! CURRENT_TIMESTAMP and its like.

use dosql_base::Result;

use super::context::ExecContext;
use crate::func::{Kind, lookup};
use crate::parse::ast::CurrentTime;
use crate::storage::Storage;
use crate::value::{Collation, Value};

/// The statement's moment as text: what `time()`, `date()` and `datetime()` say.
pub(crate) fn current<S: Storage>(which: CurrentTime, cx: &mut ExecContext<'_, S>) -> Result<Value> {
    let name = match which {
        CurrentTime::Time => "time",
        CurrentTime::Date => "date",
        CurrentTime::Timestamp => "datetime",
    };
    match lookup(name, 0)?.kind {
        Kind::Scalar { f, .. } => f(&mut cx.functions, &[], Collation::Binary),
        _ => Ok(Value::Null),
    }
}
