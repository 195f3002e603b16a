//! The rows of EXPLAIN and EXPLAIN QUERY PLAN: id, parent, 0, detail.

use super::prepare::Plan;
use crate::dml::plan::Change;
use crate::plan::Query;
use crate::plan::explain::explain;
use crate::value::Value;

/// The plan of a statement as rows.
pub(super) fn explain_rows(plan: &Plan) -> Vec<Vec<Value>> {
    let query: Option<&Query> = match plan {
        Plan::Query(query) => Some(query),
        Plan::Change(Change::Insert(plan), _, _) => plan.source.as_deref(),
        Plan::Change(Change::Update(plan), _, _) => Some(&plan.source),
        Plan::Change(Change::Delete(plan), _, _) => Some(&plan.source),
        Plan::Change(Change::Select(query), _, _) => Some(query),
        Plan::Schema(_)
        | Plan::Restore(_)
        | Plan::Pragma(_)
        | Plan::Rows(_)
        | Plan::Transaction(_)
        | Plan::Nothing
        | Plan::Unbound => None,
    };
    let lines = query.map(explain).unwrap_or_default();
    let row = |line: crate::plan::explain::Line| {
        vec![
            Value::Integer(line.id),
            Value::Integer(line.parent),
            Value::Integer(0),
            Value::from(line.detail),
        ]
    };
    lines.into_iter().map(row).collect()
}
