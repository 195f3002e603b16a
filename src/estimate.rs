//! About how many rows lie in a range: what the planner asks.

use std::ops::ControlFlow;

use dosql_base::Result;
use dosql_sql::{Direction, KeyRange};

use crate::scan::Scan;
use crate::view::View;

pub(crate) fn entries_in(view: &View, range: &KeyRange) -> Result<u64> {
    let mut count = 0;
    let mut scan = Scan::new(view, view.timestamp, range.clone(), Direction::Forward);
    scan.visit(None, 1024, &mut |_, _| {
        count += 1;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(count)
}
