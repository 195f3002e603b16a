//! Tables, their columns, indexes and views; values that fit them.

use crate::Generator;
use crate::expr::Field;

/// What an expression or a column mostly gives. SQL does not hold anybody to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Int,
    Real,
    Text,
    Blob,
}

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    /// Whether SQL may not store NULL in it.
    pub not_null: bool,
    /// As [`crate::expr::Field::short`].
    pub short: bool,
    /// Whether it is computed from the others.
    pub generated: bool,
}

impl Column {
    pub fn new(name: &str, kind: Kind) -> Column {
        Column { name: name.into(), kind, not_null: false, short: true, generated: false }
    }
}

#[derive(Clone, Debug)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    /// Columns of each UNIQUE or PRIMARY KEY constraint or index without WHERE.
    pub uniques: Vec<Vec<String>>,
    pub strict: bool,
    /// Whether `rowid` names a hidden column.
    pub rowid: bool,
}

impl Table {
    /// The columns that statements may write.
    pub fn written(&self) -> Vec<Column> {
        self.columns.iter().filter(|column| !column.generated).cloned().collect()
    }
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// The columns as expressions of their own table name them.
fn bare(columns: &[Column]) -> Vec<Field> {
    columns.iter().map(|c| Field { name: c.name.clone(), kind: c.kind, short: c.short }).collect()
}

impl Generator {
    pub fn kind(&mut self) -> Kind {
        self.pick(&[Kind::Int, Kind::Int, Kind::Int, Kind::Real, Kind::Text, Kind::Text, Kind::Blob])
    }

    /// The statements that make the tables, indexes and views of a database.
    pub fn schema(&mut self) -> Vec<String> {
        let mut script = Vec::new();
        for number in 0..self.random.usize(2..=4) {
            let sql = self.create_table(format!("t{number}"));
            script.push(sql);
        }
        script.push(self.log());
        for number in 0..self.random.usize(0..=5) {
            if let Some(sql) = self.create_index(number) {
                script.push(sql);
            }
        }
        if self.one_in(3) {
            for number in 0..self.random.usize(1..=3) {
                script.push(self.trigger(number));
            }
        }
        for number in 0..self.random.usize(0..=2) {
            let (query, kinds) = self.within(|within| within.select(1, &[]));
            let names: Vec<&str> = NAMES.iter().copied().cycle().take(kinds.len()).collect();
            if kinds.len() > NAMES.len() {
                continue;
            }
            let name = format!("v{number}");
            script.push(format!("CREATE VIEW {name}({}) AS {query}", names.join(", ")));
            let columns = names.iter().zip(&kinds);
            let columns = columns.map(|(name, kind)| Column { short: false, ..Column::new(name, *kind) });
            let view =
                Table { name, columns: columns.collect(), uniques: Vec::new(), strict: false, rowid: false };
            if self.one_in(2) {
                script.extend(self.view_triggers(&view));
            }
            self.views.push(view);
        }
        script
    }

    fn create_table(&mut self, name: String) -> String {
        let strict = self.one_in(5);
        let count = self.random.usize(2..=NAMES.len());
        let mut columns = Vec::new();
        let mut lines = Vec::new();
        let mut uniques = Vec::new();
        let key = self.random.u8(..5);
        let without_rowid = (key == 1 || key == 0) && self.one_in(2);
        for (index, column) in NAMES.iter().take(count).enumerate() {
            let kind = if index == 0 && key == 0 { Kind::Int } else { self.kind() };
            let not_null = self.one_in(6);
            let mut line = format!("{column} {}", self.declared(kind, strict));
            if index == 0 && key == 0 {
                let more = if without_rowid { "" } else { self.pick(&["", "", " AUTOINCREMENT"]) };
                line = format!("{column} INTEGER PRIMARY KEY{more}");
                uniques.push(vec![(*column).into()]);
            } else {
                line += &self.column_constraints(column, kind, not_null, strict, &mut uniques);
            }
            columns.push(Column { not_null, ..Column::new(column, kind) });
            lines.push(line);
        }
        if self.one_in(4) {
            let line = self.generated_column(&mut columns, strict);
            lines.push(line);
        }
        if key == 1 || key == 2 {
            let plain = columns.iter().filter(|column| !column.generated);
            let mut parts: Vec<String> = plain.map(|column| column.name.clone()).collect();
            self.random.shuffle(&mut parts);
            parts.truncate(self.random.usize(1..=2));
            let spelled: Vec<String> =
                parts.iter().map(|part| format!("{part}{}", self.pick(&["", "", " DESC"]))).collect();
            lines.push(format!("PRIMARY KEY ({})", spelled.join(", ")));
            uniques.push(parts);
        }
        if self.one_in(5) {
            let (a, b) = (columns[0].name.clone(), columns[1].name.clone());
            lines.push(format!("UNIQUE ({a}, {b})"));
            uniques.push(vec![a, b]);
        }
        if self.one_in(8) {
            let check = self.pick(&["a IS NOT b", "length(a) < 40", "typeof(b) <> 'blob' OR a IS NOT NULL"]);
            lines.push(format!("CONSTRAINT odd CHECK ({check})"));
        } else if self.one_in(8) {
            let scope = bare(&columns);
            lines.push(format!("CHECK ({} OR b IS NULL)", self.predicate(&scope, 1)));
        }
        if self.one_in(4)
            && let Some(line) = self.foreign_key(&columns)
        {
            lines.push(line);
        }
        // SQLite does not find a constraint again where one of its columns is the rowid.
        if uniques.iter().any(|unique: &Vec<String>| unique.len() == 1) {
            uniques.retain(|unique| unique.len() == 1);
        }
        let options = match (without_rowid, strict) {
            (true, true) => " STRICT, WITHOUT ROWID",
            (true, false) => " WITHOUT ROWID",
            (false, true) => " STRICT",
            (false, false) => "",
        };
        let sql = format!("CREATE TABLE {name}({}){options}", lines.join(", "));
        self.tables.push(Table { name, columns, uniques, strict, rowid: !without_rowid });
        sql
    }

    /// A column that is computed from those before it.
    fn generated_column(&mut self, columns: &mut Vec<Column>, strict: bool) -> String {
        let kind = self.kind();
        let scope = bare(columns);
        let declared = if strict { "ANY" } else { self.declared(kind, false) };
        let (value, words) = (self.stored(&scope, kind, 1), self.pick(&["AS", "GENERATED ALWAYS AS"]));
        let store = self.pick(&["", " VIRTUAL", " STORED"]);
        columns.push(Column { generated: true, ..Column::new("g", kind) });
        format!("g {declared} {words} ({value}){store}")
    }

    pub fn declared(&mut self, kind: Kind, strict: bool) -> &'static str {
        match (kind, strict) {
            (Kind::Int, true) => self.pick(&["INT", "INTEGER", "ANY"]),
            (Kind::Real, true) => self.pick(&["REAL", "ANY"]),
            (Kind::Text, true) => self.pick(&["TEXT", "TEXT", "ANY"]),
            (Kind::Blob, true) => "BLOB",
            (Kind::Int, false) => {
                self.pick(&["INTEGER", "INT", "BIGINT", "NUMERIC", "DECIMAL(10,2)", "", "TEXT"])
            }
            (Kind::Real, false) => self.pick(&["REAL", "DOUBLE", "NUMERIC", "FLOAT", ""]),
            (Kind::Text, false) => self.pick(&["TEXT", "TEXT", "VARCHAR(20)", "", "NUMERIC"]),
            (Kind::Blob, false) => self.pick(&["BLOB", "", "TEXT"]),
        }
    }

    fn column_constraints(
        &mut self,
        name: &str,
        kind: Kind,
        not_null: bool,
        strict: bool,
        uniques: &mut Vec<Vec<String>>,
    ) -> String {
        let mut text = String::new();
        if not_null {
            text += self.pick(&[" NOT NULL", " NOT NULL", " NOT NULL ON CONFLICT IGNORE"]);
        }
        if self.one_in(6) {
            uniques.push(vec![name.into()]);
            text += " UNIQUE";
        }
        if self.hostile && self.one_in(4) {
            text += self.pick(&[" COLLATE NOCASE", " COLLATE RTRIM"]);
        }
        if self.one_in(4) || (not_null && self.one_in(2)) {
            let value = if strict { self.plain_literal(kind) } else { self.literal(kind) };
            let value = if self.one_in(4) { format!("(coalesce(NULL, {value}))") } else { value };
            text += &format!(" DEFAULT {value}");
        }
        text
    }

    pub fn create_index(&mut self, number: usize) -> Option<String> {
        let table = self.tables[self.random.usize(..self.tables.len())].clone();
        let mut columns: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
        self.random.shuffle(&mut columns);
        columns.truncate(self.random.usize(1..=3));
        let unique = self.one_in(6);
        let filter = if self.one_in(5) {
            let column = &table.columns[self.random.usize(..table.columns.len())].name;
            let test = self.pick(&["IS NOT NULL", "> 0", "< 'm'", "= 1"]);
            Some(format!("{column} {test}"))
        } else {
            None
        };
        let on_expression = self.one_in(6);
        let rowid = table.uniques.first().is_some_and(|key| key.len() == 1 && columns.contains(&key[0]));
        if unique && filter.is_none() && !on_expression && !rowid {
            let index = self.tables.iter().position(|other| other.name == table.name)?;
            self.tables[index].uniques.push(columns.clone());
        }
        let mut terms = Vec::new();
        for (place, column) in columns.iter().enumerate() {
            let mut term = match (on_expression && place == 0, self.random.u8(..3)) {
                (true, 0) => format!("length({column})"),
                (true, 1) => format!("{column} || 'x'"),
                (true, _) => format!("coalesce({column}, 0)"),
                (false, _) => column.clone(),
            };
            if self.hostile && self.one_in(5) {
                term += " COLLATE NOCASE";
            }
            if self.one_in(4) {
                term += " DESC";
            }
            terms.push(term);
        }
        let filter = filter.map_or(String::new(), |filter| format!(" WHERE {filter}"));
        let unique = if unique { "UNIQUE " } else { "" };
        Some(format!("CREATE {unique}INDEX i{number} ON {}({}){filter}", table.name, terms.join(", ")))
    }

    /// A constant that mostly is of this kind.
    pub fn literal(&mut self, kind: Kind) -> String {
        match self.random.u8(..24) {
            0 | 1 => "NULL".into(),
            2 if self.hostile => {
                let other = self.kind();
                self.plain_literal(other)
            }
            3 if self.hostile => self.hostile_literal(),
            _ => self.plain_literal(kind),
        }
    }

    /// A constant that is of this kind.
    pub fn plain_literal(&mut self, kind: Kind) -> String {
        match kind {
            Kind::Int => match self.random.u8(..6) {
                0 => self.random.i32(-1000..1000).to_string(),
                _ => self.random.i32(-3..10).to_string(),
            },
            Kind::Real => self
                .pick(&["0.5", "1.5", "-2.25", "3.75", "10.125", "-0.5", "1e3", "2.5", "0.1", "99.9"])
                .into(),
            Kind::Text => self
                .pick(&[
                    "''",
                    "'a'",
                    "'b'",
                    "'ab'",
                    "'abc'",
                    "'B'",
                    "'x y'",
                    "'12'",
                    "'-3'",
                    "'zz'",
                    "'it''s'",
                    "'ä'",
                    "'1.5'",
                    "'%a'",
                    "'long text that goes on and on'",
                ])
                .into(),
            Kind::Blob => self.pick(&["x''", "x'01'", "x'61'", "x'6162'", "x'7f'", "x'313233'"]).into(),
        }
    }

    fn hostile_literal(&mut self) -> String {
        self.pick(&[
            "9223372036854775807",
            "-9223372036854775808",
            "1.0",
            "-1.0",
            "0.0",
            "-0.0",
            "2.0",
            "1e300",
            "-1e300",
            "1e-300",
            "9007199254740993",
            "9007199254740992",
            "'1'",
            "'1.0'",
            "'1e1'",
            "' 1'",
            "'1 '",
            "'A'",
            "'a '",
            "'AB'",
            "'Ä'",
            "'0x10'",
            "'1abc'",
            "'NULL'",
            "x'31'",
            "4294967296",
            "2147483648",
            "9e18",
            "9.3e18",
            "TRUE",
            "FALSE",
            "0x7f",
            "-0",
            "'e'",
            "'.'",
            "'-'",
            "'+5'",
            "'5.'",
            "'.5'",
            "1e0",
        ])
        .into()
    }
}
