//! Binds the triggers that a statement can set off: those of its table, of the tables that they change, and of the tables
//! that foreign-key actions reach.

use std::sync::Arc;

use dosql_base::Result;

use super::compile::{compile, view_table};
use super::parent::{acts, check_definitions};
use super::plan::{Change, Event, Program, SetTarget};
use super::programs::{Candidate, Programs, table_key};
use crate::bind::{BindContext, RowScope, bind_expression};
use crate::catalog::schema::{Table, Trigger};
use crate::catalog::temp;
use crate::parse::ast::{CreateTrigger, Statement, TriggerEvent, TriggerTime};
use crate::value::Text;

/// The CREATE TRIGGER of a trigger.
pub(crate) fn definition(trigger: &Trigger) -> Option<&CreateTrigger> {
    match &trigger.parsed.statement {
        Statement::CreateTrigger(create) => Some(create),
        _ => None,
    }
}

/// Whether a trigger takes the place of an `event` (INSERT, UPDATE, DELETE) on a view.
pub(crate) fn replaces(trigger: &Trigger, event: &str) -> bool {
    let Some(create) = definition(trigger) else { return false };
    let own = match create.event {
        TriggerEvent::Insert => "INSERT",
        TriggerEvent::Delete => "DELETE",
        TriggerEvent::Update(_) => "UPDATE",
    };
    create.time == TriggerTime::InsteadOf && own == event
}

/// Whether a trigger takes the place of an update of these columns of a view.
pub(crate) fn replaces_update(trigger: &Trigger, columns: &[&str]) -> bool {
    let Some(CreateTrigger { event: TriggerEvent::Update(of), .. }) = definition(trigger) else {
        return false;
    };
    let ast = &trigger.parsed.ast;
    let mut names = ast.list(*of).iter().map(|name| ast.text(*name));
    names.len() == 0 || names.any(|name| columns.iter().any(|column| column.eq_ignore_ascii_case(name)))
}

/// Binds all triggers that a change of `table` can set off.
fn collect(cx: &BindContext<'_>, table: &Arc<Table>, foreign_keys: bool) -> Programs {
    let catalog = cx.catalog.live();
    let mut programs = Programs::default();
    if catalog.triggers.is_empty() {
        return programs;
    }
    let mut waiting = vec![Arc::clone(table)];
    let mut seen = vec![table_key(table)];
    while let Some(table) = waiting.pop() {
        let mut candidates = Vec::new();
        for trigger in catalog.triggers_of(&table.name, table.temporary) {
            let Some(create) = definition(&trigger) else { continue };
            let program = bind_trigger(cx, &trigger, create, &table).map(Arc::new);
            if let Ok(program) = &program {
                for reached in program.body.iter().filter_map(Change::table) {
                    reach(&mut waiting, &mut seen, reached);
                }
            }
            let event = event_of(create, &trigger, &table);
            candidates.push(Candidate { name: trigger.name.clone(), time: create.time, event, program });
        }
        if !candidates.is_empty() {
            programs.of_table.insert(table_key(&table), candidates);
        }
        if foreign_keys {
            for (child, number) in catalog.children_of_table(&table.name) {
                let key = &child.foreign_keys[number];
                if acts(key.on_delete) || acts(key.on_update) {
                    reach(&mut waiting, &mut seen, &child);
                }
            }
        }
    }
    programs
}

/// Binds all triggers that a change can set off. Fails where one of those that may fire can't be bound.
pub(crate) fn programs_of(cx: &BindContext<'_>, change: &Change, foreign_keys: bool) -> Result<Programs> {
    let Some(table) = change.table() else { return Ok(Programs::default()) };
    if foreign_keys {
        check_definitions(cx.catalog.live(), change)?;
    }
    let programs = collect(cx, table, foreign_keys);
    let mut waiting = vec![change.clone()];
    let mut seen: Vec<Text> = Vec::new();
    while let Some(change) = waiting.pop() {
        let Some(table) = change.table() else { continue };
        for candidate in programs.of(table) {
            let fires = match (&candidate.event, &change) {
                (Event::Insert, Change::Insert(_)) | (Event::Delete, Change::Delete(_)) => true,
                (Event::Update(columns), Change::Update(plan)) => {
                    let set = |column: &usize| plan.sets.contains(&Some(SetTarget::Column(*column)));
                    columns.is_empty() || columns.iter().any(set)
                }
                (Event::Update(_), Change::Insert(plan)) => {
                    plan.upserts.iter().any(|clause| clause.update.is_some())
                }
                _ => false,
            };
            if fires && !seen.contains(&candidate.name) {
                seen.push(candidate.name.clone());
                waiting.extend(candidate.program.clone()?.body.iter().cloned());
            }
        }
    }
    Ok(programs)
}

fn reach(waiting: &mut Vec<Arc<Table>>, seen: &mut Vec<(bool, Text)>, table: &Arc<Table>) {
    let key = table_key(table);
    if !seen.contains(&key) {
        seen.push(key);
        waiting.push(Arc::clone(table));
    }
}

fn event_of(create: &CreateTrigger, trigger: &Trigger, table: &Table) -> Event {
    match &create.event {
        TriggerEvent::Insert => Event::Insert,
        TriggerEvent::Delete => Event::Delete,
        TriggerEvent::Update(columns) => {
            let ast = &trigger.parsed.ast;
            let names = ast.list(*columns).iter().map(|name| ast.text(*name));
            let find = |name: &str| table.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name));
            let found: Vec<usize> = names.clone().filter_map(find).collect();
            // Names that match no column never fire.
            Event::Update(if found.is_empty() && names.len() > 0 { vec![usize::MAX] } else { found })
        }
    }
}

/// Binds a trigger of a table (or of a view that looks like that table).
pub(crate) fn bind_trigger(
    cx: &BindContext<'_>,
    trigger: &Trigger,
    create: &CreateTrigger,
    table: &Arc<Table>,
) -> Result<Program> {
    let ast = &trigger.parsed.ast;
    let mut inner = BindContext::new(cx.catalog, ast, &trigger.sql, cx.env, cx.now);
    inner.case_sensitive_like = cx.case_sensitive_like;
    inner.schema = (!temp::is_temporary_sequence(trigger.sequence)).then_some("main");
    let new_base = u32::try_from(table.columns.len() + 1).unwrap_or(u32::MAX);
    let scope = |name: &str, base| RowScope { name: Some(Text::new(name)), table: Arc::clone(table), base };
    let mut rows = Vec::with_capacity(2);
    if !matches!(create.event, TriggerEvent::Insert) {
        rows.push(scope("old", 0));
    }
    if !matches!(create.event, TriggerEvent::Delete) {
        rows.push(scope("new", new_base));
    }
    let when = match create.when {
        Some(when) => Some(bind_expression(&inner, when, &[], &rows)?),
        None => None,
    };
    let mut body = Vec::with_capacity(create.body.len());
    for statement in ast.list(create.body) {
        // Each runs with memories of its own, so that subqueries may be numbered from 0 again.
        inner.next_id.set(0);
        body.push(compile(&inner, statement, &rows)?);
    }
    Ok(Program { name: trigger.name.clone(), when, body })
}

/// The table that a trigger is on, or one that looks like its view.
pub(crate) fn trigger_table(cx: &BindContext<'_>, name: &str) -> Result<Option<Arc<Table>>> {
    let catalog = cx.catalog.live();
    if let Some(table) = catalog.table(name) {
        return Ok(Some(Arc::clone(table)));
    }
    match catalog.view(name) {
        Some(view) => view_table(cx, &view.name).map(Some),
        None => Ok(None),
    }
}
