//! What a statement does to a state.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use dosql::Value;

use super::statement::{Answer, Filter, OnConflict, Set, Statement};
use super::table::{Index, Row, Table, compare};
use super::{Space, State, View};

impl State {
    /// Does what `statement` asks, all of it or nothing, and answers.
    pub fn apply(&mut self, statement: &Statement) -> Answer {
        let mut changed = self.clone();
        let answer = changed.try_apply(statement).unwrap_or_else(|refused| refused);
        if !matches!(answer, Answer::Constraint | Answer::Missing) {
            *self = changed;
        }
        answer
    }

    fn try_apply(&mut self, statement: &Statement) -> Result<Answer, Answer> {
        match statement {
            Statement::Put { space, key, value } => {
                self.space(space).insert(key.clone(), Arc::from(value.as_slice()));
                Ok(Answer::Done)
            }
            Statement::Delete { space, key } => {
                self.space(space).remove(key);
                Ok(Answer::Done)
            }
            Statement::Get { space, key } => {
                let value = self.spaces.get(space).and_then(|space| space.get(key));
                Ok(Answer::Value(value.map(|value| value.to_vec())))
            }
            Statement::Range { space, bounds, backward } => {
                let mut pairs = Vec::new();
                if let Some(space) = self.spaces.get(space).filter(|_| !is_empty(bounds)) {
                    pairs.extend(
                        space.range(bounds.clone()).map(|(key, value)| (key.clone(), value.to_vec())),
                    );
                }
                if *backward {
                    pairs.reverse();
                }
                Ok(Answer::Pairs(pairs))
            }
            Statement::SelectView { view } => self.select_view(view),
            Statement::Insert { .. }
            | Statement::Update { .. }
            | Statement::Move { .. }
            | Statement::Remove { .. } => self.change(statement),
            Statement::Select { table, filter, backward, .. } => {
                let table = self.tables.get(table).ok_or(Answer::Missing)?;
                let mut rows: Vec<Row> = table.matching(filter)?.map(|row| row.as_ref().clone()).collect();
                if *backward {
                    rows.reverse();
                }
                Ok(Answer::Rows(rows))
            }
            Statement::Count { table, filter } => self.count(table, filter),
            _ => self.define(statement),
        }
    }

    fn space(&mut self, name: &str) -> &mut Space {
        Arc::make_mut(self.spaces.entry(name.to_string()).or_default())
    }

    fn table(&mut self, name: &str) -> Result<&mut Table, Answer> {
        self.tables.get_mut(name).map(Arc::make_mut).ok_or(Answer::Missing)
    }

    fn select_view(&self, view: &str) -> Result<Answer, Answer> {
        let view = self.views.get(view).ok_or(Answer::Missing)?;
        let table = self.tables.get(&view.table).ok_or(Answer::Missing)?;
        let place = table.place(&view.column).ok_or(Answer::Missing)?;
        let rows = table.rows.range(..view.below);
        Ok(Answer::Rows(rows.map(|(_, row)| vec![row[0].clone(), row[place].clone()]).collect()))
    }

    /// Count, least and greatest id, and the sum of the ids.
    fn count(&self, table: &str, filter: &Filter) -> Result<Answer, Answer> {
        let table = self.tables.get(table).ok_or(Answer::Missing)?;
        let ids: Vec<i64> = table.matching(filter)?.map(|row| id_of(row)).collect();
        let or_null = |id: Option<i64>| id.map_or(Value::Null, Value::Integer);
        let sum = (!ids.is_empty()).then(|| ids.iter().sum());
        let ends = (ids.first().copied(), ids.last().copied());
        Ok(Answer::Rows(vec![vec![
            Value::Integer(ids.len() as i64),
            or_null(ends.0),
            or_null(ends.1),
            or_null(sum),
        ]]))
    }

    fn change(&mut self, statement: &Statement) -> Result<Answer, Answer> {
        match statement {
            Statement::Insert { table, rows, conflict } => {
                let table = self.table(table)?;
                let inserted = rows.iter().map(|row| table.insert(row, conflict));
                let inserted: Result<Vec<u64>, Answer> = inserted.collect();
                Ok(Answer::Changed(inserted?.iter().sum()))
            }
            Statement::Update { table, column, set, filter } => {
                let table = self.table(table)?;
                let place = table.place(column).ok_or(Answer::Missing)?;
                let ids: Vec<i64> = table.matching(filter)?.map(|row| id_of(row)).collect();
                for id in &ids {
                    let mut row = table.rows[id].as_ref().clone();
                    row[place] = match (set, &row[place]) {
                        (Set::To(value), _) => value.clone(),
                        (Set::Add(by), Value::Integer(n)) => Value::Integer(n + by),
                        (Set::Add(_), other) => other.clone(),
                    };
                    table.store(*id, row)?;
                }
                Ok(Answer::Changed(ids.len() as u64))
            }
            Statement::Move { table, from, to } => {
                let table = self.table(table)?;
                let Some(row) = table.rows.get(from) else { return Ok(Answer::Changed(0)) };
                let mut row = row.as_ref().clone();
                if from != to && table.rows.contains_key(to) {
                    return Err(Answer::Constraint);
                }
                row[0] = Value::Integer(*to);
                let rows = Arc::make_mut(&mut table.rows);
                rows.remove(from);
                rows.insert(*to, Arc::new(row));
                Ok(Answer::Changed(1))
            }
            Statement::Remove { table, filter } => {
                let table = self.table(table)?;
                let ids: Vec<i64> = table.matching(filter)?.map(|row| id_of(row)).collect();
                let rows = Arc::make_mut(&mut table.rows);
                ids.iter().for_each(|id| drop(rows.remove(id)));
                Ok(Answer::Changed(ids.len() as u64))
            }
            _ => Err(Answer::Missing),
        }
    }

    fn define(&mut self, statement: &Statement) -> Result<Answer, Answer> {
        match statement {
            Statement::CreateTable { name, table } => {
                self.tables.insert(name.clone(), Arc::new(table.clone()));
            }
            Statement::DropTable { table } => {
                self.tables.remove(table).ok_or(Answer::Missing)?;
            }
            Statement::RenameTable { table, to } => {
                let renamed = self.tables.remove(table).ok_or(Answer::Missing)?;
                self.tables.insert(to.clone(), renamed);
            }
            Statement::AddColumn { table, column } => {
                let table = self.table(table)?;
                table.columns.push(column.clone());
                table.change_rows(|row| row.push(column.default.clone()));
            }
            Statement::DropColumn { table, column } => {
                let table = self.table(table)?;
                let place = table.place(column).ok_or(Answer::Missing)?;
                table.columns.remove(place);
                table.change_rows(|row| drop(row.remove(place)));
            }
            Statement::RenameColumn { table, column, to } => {
                let table = self.table(table)?;
                let place = table.place(column).ok_or(Answer::Missing)?;
                table.columns[place].name.clone_from(to);
                let named = table.indexes.values_mut().flat_map(|index| &mut index.columns);
                named.filter(|known| *known == column).for_each(|known| known.clone_from(to));
            }
            Statement::CreateIndex { name, table, columns, unique } => {
                let table = self.table(table)?;
                if *unique && table.would_clash(columns) {
                    return Err(Answer::Constraint);
                }
                table.indexes.insert(name.clone(), Index { columns: columns.clone(), unique: *unique });
            }
            Statement::DropIndex { name } => {
                let owner = self.tables.values_mut().find(|table| table.indexes.contains_key(name));
                Arc::make_mut(owner.ok_or(Answer::Missing)?).indexes.remove(name);
            }
            Statement::CreateView { name, table, column, below } => {
                let view = View { table: table.clone(), column: column.clone(), below: *below };
                self.views.insert(name.clone(), Arc::new(view));
            }
            Statement::DropView { view } => {
                self.views.remove(view).ok_or(Answer::Missing)?;
            }
            _ => return Err(Answer::Missing),
        }
        Ok(Answer::Done)
    }
}

impl Table {
    /// The rows that a filter lets through, by id.
    fn matching(&self, filter: &Filter) -> Result<impl Iterator<Item = &Arc<Row>>, Answer> {
        let place = match filter {
            Filter::Equal(column, _)
            | Filter::Below(column, _)
            | Filter::AtLeast(column, _)
            | Filter::IsNull(column) => self.place(column).ok_or(Answer::Missing)?,
            Filter::All | Filter::Id(_) | Filter::Ids(..) => 0,
        };
        let filter = filter.clone();
        Ok(self
            .rows
            .iter()
            .filter(move |(id, row)| match &filter {
                Filter::All => true,
                Filter::Id(wanted) => *id == wanted,
                Filter::Ids(from, to) => (from..=to).contains(id),
                Filter::Equal(_, value) => compare(&row[place], value).is_some_and(|order| order.is_eq()),
                Filter::Below(_, value) => compare(&row[place], value).is_some_and(|order| order.is_lt()),
                Filter::AtLeast(_, value) => compare(&row[place], value).is_some_and(|order| order.is_ge()),
                Filter::IsNull(_) => row[place] == Value::Null,
            })
            .map(|(_, row)| row))
    }

    fn with_defaults(&self, row: &Row) -> Row {
        let filled = self.columns.iter().zip(row).map(|(column, value)| match value {
            Value::Null if column.not_null => column.default.clone(),
            value => value.clone(),
        });
        filled.collect()
    }

    fn lacks(&self, row: &Row) -> bool {
        self.columns.iter().zip(row).any(|(column, value)| column.not_null && *value == Value::Null)
    }

    /// Inserts a row; answers how many that makes.
    fn insert(&mut self, row: &Row, conflict: &OnConflict) -> Result<u64, Answer> {
        if row.len() != self.columns.len() {
            // Asked before the table was changed.
            return Err(Answer::Missing);
        }
        let id = id_of(row);
        let replaced: Row;
        let row = match conflict {
            // REPLACE puts the default where a NULL may not be.
            OnConflict::Replace => {
                replaced = self.with_defaults(row);
                &replaced
            }
            _ => row,
        };
        let there = self.rows.get(&id).cloned();
        let clashes = self.clashes(row, id);
        let lacks = self.lacks(row);
        match conflict {
            OnConflict::Ignore if there.is_some() || !clashes.is_empty() || lacks => return Ok(0),
            OnConflict::Replace if !lacks => {
                let rows = Arc::make_mut(&mut self.rows);
                clashes.iter().for_each(|id| drop(rows.remove(id)));
                rows.insert(id, Arc::new(row.clone()));
            }
            OnConflict::Update(column) if !lacks && there.is_some() => {
                let place = self.place(column).ok_or(Answer::Missing)?;
                let mut updated = there.map_or_else(Row::new, |there| there.as_ref().clone());
                updated[place] = row[place].clone();
                self.store(id, updated)?;
            }
            _ if there.is_some() || lacks => return Err(Answer::Constraint),
            _ => self.store(id, row.clone())?,
        }
        Ok(1)
    }

    /// Puts a row in its place, if the constraints allow it.
    fn store(&mut self, id: i64, row: Row) -> Result<(), Answer> {
        if self.lacks(&row) || !self.clashes(&row, id).is_empty() {
            return Err(Answer::Constraint);
        }
        Arc::make_mut(&mut self.rows).insert(id, Arc::new(row));
        Ok(())
    }

    fn change_rows(&mut self, change: impl Fn(&mut Row)) {
        let changed = self.rows.iter().map(|(id, row)| {
            let mut row = row.as_ref().clone();
            change(&mut row);
            (*id, Arc::new(row))
        });
        self.rows = Arc::new(changed.collect::<BTreeMap<_, _>>());
    }
}

fn id_of(row: &Row) -> i64 {
    match row[0] {
        Value::Integer(id) => id,
        _ => unreachable!("the first column is an integer"),
    }
}

/// Whether bounds hold nothing: a map refuses to look for those that are backwards.
fn is_empty(bounds: &(Bound<Vec<u8>>, Bound<Vec<u8>>)) -> bool {
    match bounds {
        (Bound::Excluded(start), Bound::Excluded(end)) => start >= end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => {
            start > end
        }
        _ => false,
    }
}
