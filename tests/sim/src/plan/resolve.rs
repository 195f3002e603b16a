//! From an operation's numbers to a statement that makes sense in a state.

use std::ops::Bound;
use std::sync::Arc;

use dosql::Value;
use fastrand::Rng;

use super::{Ask, Kind, Shape};
use crate::model::{Column, Filter, How, OnConflict, Set, State, Statement, Table, Type};

impl Ask {
    /// The statement; `None` where nothing of the kind makes sense.
    #[must_use]
    pub fn resolve(&self, state: &State, shape: &Shape) -> Option<Statement> {
        let mut draw = Draw { rng: Rng::with_seed(self.seed), shape };
        match self.kind {
            Kind::Put | Kind::Delete | Kind::Get | Kind::Range => Some(draw.kv(self.kind)),
            Kind::CreateTable => draw.create_table(state),
            Kind::SelectView => Some(Statement::SelectView { view: draw.pick(state.views.keys())? }),
            Kind::DropView => Some(Statement::DropView { view: draw.pick(state.views.keys())? }),
            Kind::DropIndex => {
                let indexes = state.tables.values().flat_map(|table| table.indexes.keys());
                Some(Statement::DropIndex { name: draw.pick(indexes)? })
            }
            _ => {
                let name = draw.pick(state.tables.keys())?;
                let table = Arc::clone(&state.tables[&name]);
                draw.about_table(self.kind, state, name, &table)
            }
        }
    }
}

struct Draw<'a> {
    rng: Rng,
    shape: &'a Shape,
}

impl Draw<'_> {
    fn pick<'n>(&mut self, names: impl Iterator<Item = &'n String>) -> Option<String> {
        let names: Vec<&String> = names.collect();
        (!names.is_empty()).then(|| names[self.rng.usize(..names.len())].clone())
    }

    // ---- keyspaces

    fn kv(&mut self, kind: Kind) -> Statement {
        let space = format!("space{}", self.rng.u32(..self.shape.spaces));
        match kind {
            Kind::Put => Statement::Put { space, key: self.key(), value: self.bytes() },
            Kind::Delete => Statement::Delete { space, key: self.key() },
            Kind::Get => Statement::Get { space, key: self.key() },
            _ => {
                let bounds = (self.bound(), self.bound());
                Statement::Range { space, bounds, backward: self.rng.bool() }
            }
        }
    }

    /// Some keys are the beginning of others, and some hold zero bytes.
    fn key(&mut self) -> Vec<u8> {
        let n = self.rng.u32(..self.shape.keys);
        match n % 4 {
            0 => vec![0; (n / 4 % 20) as usize],
            1 => format!("key/{}", n / 40).into_bytes(),
            2 => [b"k\0".as_slice(), &n.to_be_bytes()].concat(),
            _ => format!("key/{:03}/{}", n / 40, "x".repeat((n % 30) as usize)).into_bytes(),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let len = match self.rng.u32(..) % self.shape.large {
            0 => self.rng.usize(1_000..14_000),
            1 => 0,
            _ => self.rng.usize(1..60),
        };
        let byte = self.rng.u8(..);
        (0..len).map(|i| byte.wrapping_add((i / 64) as u8)).collect()
    }

    fn bound(&mut self) -> Bound<Vec<u8>> {
        match self.rng.u8(..3) {
            0 => Bound::Included(self.key()),
            1 => Bound::Excluded(self.key()),
            _ => Bound::Unbounded,
        }
    }

    // ---- tables

    fn id(&mut self) -> i64 {
        let n = i64::from(self.rng.u32(..self.shape.keys));
        match n % 9 {
            0 => -n,
            1 => n << 33,
            _ => n,
        }
    }

    /// A value of a column's type; few different ones where it is indexed, so that they meet.
    fn value(&mut self, kind: Type, nullable: bool) -> Value {
        if nullable && self.rng.u8(..8) == 0 {
            return Value::Null;
        }
        match kind {
            Type::Integer => match self.rng.u8(..6) {
                0 => Value::Integer(self.rng.i64(i64::MIN / 4..i64::MAX / 4)),
                _ => Value::Integer(self.rng.i64(-20..60)),
            },
            Type::Real => Value::Real(self.rng.i64(-40..40) as f64 / 4.0 + 0.125),
            Type::Text => {
                let word = ["", "a", "b", "ab", "Ab", "caf\u{e9}", "\u{1f300}", "x y"][self.rng.usize(..8)];
                let times = if self.rng.u32(..).is_multiple_of(self.shape.large) {
                    900
                } else {
                    self.rng.usize(1..4)
                };
                Value::text(word.repeat(times))
            }
            Type::Blob => Value::blob(self.bytes()),
        }
    }

    fn row(&mut self, table: &Table) -> Vec<Value> {
        let mut row = vec![Value::Integer(self.id())];
        for column in &table.columns[1..] {
            // Now and then a NULL where none may be.
            let nullable = !column.not_null || self.rng.u8(..20) == 0;
            row.push(self.value_for(table, column, nullable));
        }
        row
    }

    /// A value that an index can hold where there is one.
    fn value_for(&mut self, table: &Table, column: &Column, nullable: bool) -> Value {
        let value = self.value(column.kind, nullable);
        let len = match &value {
            Value::Text(text) => text.len(),
            Value::Blob(blob) => blob.len(),
            _ => 0,
        };
        if len < 60 || !table.is_indexed(&column.name) {
            return value;
        }
        self.short(column.kind)
    }

    fn short(&mut self, kind: Type) -> Value {
        match kind {
            Type::Text => Value::text("short"),
            _ => Value::blob(vec![self.rng.u8(..); 3]),
        }
    }

    /// A column but the id.
    fn column<'t>(&mut self, table: &'t Table) -> Option<&'t Column> {
        let rest = table.columns.len().checked_sub(1).filter(|&rest| rest > 0)?;
        Some(&table.columns[1 + self.rng.usize(..rest)])
    }

    fn filter(&mut self, table: &Table) -> Filter {
        match (self.rng.u8(..10), self.column(table)) {
            (0, _) => Filter::All,
            (1..=2, _) => Filter::Id(self.id()),
            (3, _) => {
                let (a, b) = (self.id(), self.id());
                Filter::Ids(a.min(b), a.max(b))
            }
            (4..=5, Some(column)) => Filter::Equal(column.name.clone(), self.value(column.kind, false)),
            (6, Some(column)) => Filter::IsNull(column.name.clone()),
            (7, Some(column)) => Filter::AtLeast(column.name.clone(), self.value(column.kind, false)),
            (_, Some(column)) => Filter::Below(column.name.clone(), self.value(column.kind, false)),
            (_, None) => Filter::Id(self.id()),
        }
    }

    fn about_table(&mut self, kind: Kind, state: &State, name: String, table: &Table) -> Option<Statement> {
        let viewed = state.is_viewed(&name);
        match kind {
            Kind::Insert => Some(self.insert(name, table)),
            Kind::Update => self.update(name, table),
            Kind::Move => Some(Statement::Move { table: name, from: self.id(), to: self.id() }),
            Kind::Remove => {
                let filter = self.filter(table);
                // Everything at once is rarer than the rest of the filters make it.
                let filter = if filter == Filter::All && self.rng.u8(..4) > 0 {
                    Filter::Id(self.id())
                } else {
                    filter
                };
                Some(Statement::Remove { table: name, filter })
            }
            Kind::Select => {
                let filter = self.filter(table);
                let how = self.how(table, &filter);
                Some(Statement::Select { table: name, filter, how, backward: self.rng.bool() })
            }
            Kind::Count => Some(Statement::Count { table: name, filter: self.filter(table) }),
            Kind::DropTable if !viewed => Some(Statement::DropTable { table: name }),
            Kind::RenameTable if !viewed => Some(Statement::RenameTable {
                table: name,
                to: fresh("t", |name| state.tables.contains_key(name)),
            }),
            Kind::AddColumn if table.columns.len() < 8 => {
                let column = fresh("c", |name| table.place(name).is_some());
                Some(Statement::AddColumn { table: name, column: self.new_column(column, true) })
            }
            Kind::DropColumn if !viewed && table.columns.len() > 2 => {
                let column = self.column(table)?.name.clone();
                (!table.is_indexed(&column)).then_some(Statement::DropColumn { table: name, column })
            }
            Kind::RenameColumn if !viewed => {
                let column = self.column(table)?.name.clone();
                let to = fresh("c", |name| table.place(name).is_some());
                Some(Statement::RenameColumn { table: name, column, to })
            }
            Kind::CreateIndex => self.create_index(state, name, table),
            Kind::CreateView if state.views.len() < 3 => {
                let column = self.column(table)?.name.clone();
                let view = fresh("v", |name| state.views.contains_key(name));
                Some(Statement::CreateView { name: view, table: name, column, below: self.id() })
            }
            _ => None,
        }
    }

    fn how(&mut self, table: &Table, filter: &Filter) -> How {
        match (self.rng.u8(..3), filter) {
            (0, _) => How::NotIndexed,
            (1, Filter::Equal(column, _)) => {
                table.index_on(column).map_or(How::AsPlanned, |index| How::By(index.to_string()))
            }
            _ => How::AsPlanned,
        }
    }

    fn insert(&mut self, name: String, table: &Table) -> Statement {
        let count = if self.rng.u8(..5) == 0 { self.rng.usize(2..12) } else { 1 };
        let rows = (0..count).map(|_| self.row(table)).collect();
        let conflict = match (self.rng.u8(..6), self.column(table)) {
            (0, _) => OnConflict::Ignore,
            // What goes first where both the id and a unique index are in the way is not the oracle's to say.
            (1..=2, Some(column)) if !table.has_unique_index() => OnConflict::Update(column.name.clone()),
            (1..=3, _) => OnConflict::Replace,
            _ => OnConflict::Abort,
        };
        Statement::Insert { table: name, rows, conflict }
    }

    fn update(&mut self, name: String, table: &Table) -> Option<Statement> {
        let column = self.column(table)?;
        let unique = |index: &crate::model::Index| index.unique && index.columns.contains(&column.name);
        let adds = column.kind == Type::Integer && !table.indexes.values().any(unique);
        let set = if adds && self.rng.bool() {
            Set::Add(self.rng.i64(-3..4))
        } else {
            Set::To(self.value_for(table, column, !column.not_null))
        };
        Some(Statement::Update { table: name, column: column.name.clone(), set, filter: self.filter(table) })
    }

    fn create_table(&mut self, state: &State) -> Option<Statement> {
        if state.tables.len() >= self.shape.tables as usize {
            return None;
        }
        let names = ["a", "b", "d", "e"];
        let columns =
            names[..self.rng.usize(1..=4)].iter().map(|name| self.new_column((*name).to_string(), false));
        let id =
            Column { name: "id".to_string(), kind: Type::Integer, not_null: false, default: Value::Null };
        let columns: Vec<Column> = std::iter::once(id).chain(columns.collect::<Vec<_>>()).collect();
        let table = Table {
            columns,
            without_rowid: self.rng.u8(..3) == 0,
            indexes: Default::default(),
            rows: Arc::default(),
        };
        let name = fresh("t", |name| state.tables.contains_key(name));
        Some(Statement::CreateTable { name, table })
    }

    fn new_column(&mut self, name: String, to_add: bool) -> Column {
        let kind = [Type::Integer, Type::Text, Type::Real, Type::Blob][self.rng.usize(..4)];
        let default = match (kind, self.rng.u8(..2)) {
            (Type::Integer, 0) => Value::Integer(7),
            (Type::Text, 0) => Value::text("it's"),
            (Type::Real, 0) => Value::Real(1.5),
            _ => Value::Null,
        };
        // A column that is added must have something to fill old rows with.
        let not_null = self.rng.u8(..4) == 0 && (!to_add || default != Value::Null);
        Column { name, kind, not_null, default }
    }

    fn create_index(&mut self, state: &State, name: String, table: &Table) -> Option<Statement> {
        let taken = |name: &str| state.tables.values().any(|table| table.indexes.contains_key(name));
        let first = self.column(table)?.name.clone();
        let mut columns = vec![first.clone()];
        columns
            .extend(self.column(table).map(|column| column.name.clone()).filter(|second| *second != first));
        columns.truncate(self.rng.usize(1..=2));
        let places: Vec<usize> = columns.iter().filter_map(|column| table.place(column)).collect();
        let long = |value: &Value| match value {
            Value::Text(text) => text.len() >= 60,
            Value::Blob(blob) => blob.len() >= 60,
            _ => false,
        };
        if table.indexes.len() >= 4
            || table.rows.values().any(|row| places.iter().any(|&place| long(&row[place])))
        {
            return None;
        }
        let unique = self.rng.u8(..3) == 0;
        Some(Statement::CreateIndex { name: fresh("i", taken), table: name, columns, unique })
    }
}

/// The first of the names with this beginning that is not taken.
fn fresh(prefix: &str, taken: impl Fn(&str) -> bool) -> String {
    (1..).map(|n| format!("{prefix}{n}")).find(|name| !taken(name)).expect("numbers do not end")
}
