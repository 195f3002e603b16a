//! PRAGMAs that list what there is.

use dosql_base::Result;

use super::{SETTINGS, TABLE_PRAGMAS};
use crate::catalog::schema::Catalog;
use crate::func::{self, Kind, Volatility};
use crate::value::Value;

pub(super) fn database_list(catalog: &Catalog, _: Option<&str>) -> Result<Vec<Vec<Value>>> {
    let row = |seq, name| vec![Value::Integer(seq), Value::text(name), Value::text("")];
    let mut rows = vec![row(0, "main")];
    if catalog.objects.iter().any(|object| crate::catalog::temp::is_temporary(object.sequence)) {
        rows.push(row(1, "temp"));
    }
    Ok(rows)
}

pub(super) fn collation_list(_: &Catalog, _: Option<&str>) -> Result<Vec<Vec<Value>>> {
    let names = ["RTRIM", "NOCASE", "BINARY"];
    Ok(names.iter().zip(0..).map(|(name, seq)| vec![Value::Integer(seq), Value::text(name)]).collect())
}

pub(super) fn function_list(_: &Catalog, _: Option<&str>) -> Result<Vec<Vec<Value>>> {
    /// SQLITE_INNOCUOUS and SQLITE_DETERMINISTIC.
    const INNOCUOUS: i64 = 0x20_0000;
    const DETERMINISTIC: i64 = 0x800;
    let row = |function: &func::Function| {
        let (kind, lasting) = match function.kind {
            Kind::Scalar { volatility, .. } => ("s", volatility == Volatility::Deterministic),
            Kind::Aggregate(_) | Kind::Window(_) => ("w", true),
        };
        let fixed = function.min_args == function.max_args;
        vec![
            Value::text(function.name),
            Value::Integer(1),
            Value::text(kind),
            Value::text("utf8"),
            Value::Integer(if fixed { i64::from(function.max_args) } else { -1 }),
            Value::Integer(INNOCUOUS | if lasting { DETERMINISTIC } else { 0 }),
        ]
    };
    Ok(func::all().map(row).collect())
}

pub(super) fn pragma_list(_: &Catalog, _: Option<&str>) -> Result<Vec<Vec<Value>>> {
    let mut names: Vec<&str> = SETTINGS.to_vec();
    names.extend(TABLE_PRAGMAS.iter().map(|pragma| pragma.name));
    names.sort_unstable();
    Ok(names.into_iter().map(|name| vec![Value::text(name)]).collect())
}

pub(super) fn compile_options(_: &Catalog, _: Option<&str>) -> Result<Vec<Vec<Value>>> {
    let options = [
        "DEFAULT_FOREIGN_KEYS=1",
        "DQS=0",
        "ENABLE_JSON1",
        "ENABLE_MATH_FUNCTIONS",
        "ENABLE_UPDATE_DELETE_LIMIT",
        "THREADSAFE=1",
    ];
    Ok(options.iter().map(|option| vec![Value::text(option)]).collect())
}
