//! ANALYZE: fills `sqlite_stat1`, for tools that read it. Plans don't depend on it: storage knows how many rows there are.

use std::sync::Arc;

use dosql_base::{Error, Result};

use super::Ddl;
use crate::catalog::layout;
use crate::catalog::schema::{Index, Table};
use crate::codec::skip_key;
use crate::parse::ast::QualifiedName;
use crate::storage::Storage;
use crate::value::{Text, Value};

const NAME: &str = "sqlite_stat1";

impl<S: Storage> Ddl<'_, '_, '_, S> {
    /// Counts the rows and the distinct prefixes of indexes: of a table, an index, or everything.
    pub(super) fn analyze(&mut self, name: Option<&QualifiedName>) -> Result<bool> {
        let text = name.map(|name| self.name(name.name));
        let everything =
            text.as_ref().is_none_or(|text| ["main", "temp"].iter().any(|s| text.eq_ignore_ascii_case(s)));
        let catalog = self.machine.catalog;
        let mut found = everything;
        let mut lines: Vec<[Value; 3]> = Vec::new();
        for table in
            catalog.tables.values().filter(|table| !table.made_up && !table.name.starts_with("sqlite_"))
        {
            let whole = everything || text.as_ref().is_some_and(|text| table.name.eq_ignore_ascii_case(text));
            found |= whole;
            let rows = self.machine.row_ids(table.space)?.len();
            let mut any = false;
            for index in &table.indexes {
                let wanted = whole || text.as_ref().is_some_and(|text| index.name.eq_ignore_ascii_case(text));
                found |= wanted;
                if wanted && rows > 0 {
                    lines.push(line(&table.name, Value::Text(index.name.clone()), self.prefixes(index)?));
                    any = true;
                }
            }
            if whole && rows > 0 && !any {
                lines.push(line(&table.name, Value::Null, rows.to_string()));
            }
        }
        if !found {
            let text = text.unwrap_or_default();
            return Err(Error::invalid(format!("no such table: {text}")));
        }
        let (table, made) = match catalog.table(NAME) {
            Some(table) => (Arc::clone(table), false),
            None => {
                let sql = Text::from(format!("CREATE TABLE {NAME}(tbl,idx,stat)"));
                (self.add_table(&Text::new(NAME), sql, false)?, true)
            }
        };
        self.write_lines(&table, lines)?;
        Ok(made)
    }

    /// Entries, then how many share each leading part, on average: as SQLite writes it.
    fn prefixes(&self, index: &Index) -> Result<String> {
        let entries = self.machine.row_ids(index.space)?;
        let mut distinct = vec![0usize; index.columns.len()];
        let mut last: Vec<u8> = Vec::new();
        for (number, entry) in entries.iter().enumerate() {
            let mut end = 0;
            for (part, distinct) in index.columns.iter().zip(&mut distinct) {
                end += skip_key(&entry[end..], part.descending)?;
                *distinct += usize::from(number == 0 || last.get(..end) != Some(&entry[..end]));
            }
            last.clone_from(entry);
        }
        let mut stat = entries.len().to_string();
        for distinct in distinct {
            stat.push_str(&format!(" {}", entries.len().div_ceil(distinct.max(1))));
        }
        Ok(stat)
    }

    /// Replaces the lines of the tables and indexes that were counted.
    fn write_lines(&mut self, table: &Arc<Table>, lines: Vec<[Value; 3]>) -> Result<()> {
        for row_id in self.machine.row_ids(table.space)? {
            let row = self.machine.fetch(table, &row_id)?.unwrap_or_default();
            if lines.iter().any(|line| row.get(..2) == Some(&line[..2])) {
                self.machine.remove_row(table, &row_id)?;
            }
        }
        for line in lines {
            let next = self.machine.greatest_rowid(table.space)?.unwrap_or(0).saturating_add(1);
            let mut row = line.to_vec();
            row.push(Value::Integer(next));
            let mut row_id = Vec::new();
            layout::put_row_id(&mut row_id, table, &row, next);
            self.machine.put_stored_row(table, &row, &row_id)?;
        }
        Ok(())
    }
}

fn line(table: &Text, index: Value, stat: String) -> [Value; 3] {
    [Value::Text(table.clone()), index, Value::from(stat)]
}
