//! PRAGMAs about indexes.

use dosql_base::Result;

use crate::catalog::build::key_index_name;
use crate::catalog::schema::{Catalog, Index, IndexColumn, IndexKey, IndexOrigin, Table};
use crate::value::{Collation, Value};

fn number(number: usize) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

pub(super) fn index_list(catalog: &Catalog, name: Option<&str>) -> Result<Vec<Vec<Value>>> {
    let Some(table) = name.and_then(|name| catalog.table(name)) else { return Ok(Vec::new()) };
    let mut indexes = table.indexes.clone();
    if table.without_rowid {
        indexes.insert(table.primary_key_rank.min(indexes.len()), own_key(table).into());
    }
    let mut rows = Vec::new();
    for index in indexes.iter().rev() {
        let origin = match index.origin {
            IndexOrigin::Created => "c",
            IndexOrigin::Unique => "u",
            IndexOrigin::PrimaryKey => "pk",
        };
        rows.push(vec![
            number(rows.len()),
            Value::Text(index.name.clone()),
            Value::Integer(i64::from(index.unique)),
            Value::text(origin),
            Value::Integer(i64::from(index.filter.is_some())),
        ]);
    }
    Ok(rows)
}

/// The primary key of a WITHOUT ROWID table as the index that SQLite shows for it.
fn own_key(table: &Table) -> Index {
    let taken = |name: &String| table.indexes.iter().any(|index| index.name.eq_ignore_ascii_case(name));
    let mut names = (0..).map(|number| key_index_name(&table.name, number));
    let name = names.find(|name| !taken(name)).unwrap_or_default();
    Index {
        space: table.space,
        name: name.into(),
        table: crate::catalog::load::lower(&table.name),
        columns: table.primary_key.clone(),
        unique: true,
        filter: None,
        origin: IndexOrigin::PrimaryKey,
        conflict: table.primary_key_conflict,
        sql: "".into(),
    }
}

fn find_index(catalog: &Catalog, name: Option<&str>) -> Option<(Index, Table)> {
    let name = name?;
    if let Some(index) = catalog.indexes.get(&crate::catalog::load::lower(name)) {
        return Some((index.as_ref().clone(), catalog.tables.get(&index.table)?.as_ref().clone()));
    }
    let owner = |table: &&std::sync::Arc<Table>| {
        table.without_rowid && own_key(table).name.eq_ignore_ascii_case(name)
    };
    let table =
        catalog.tables.values().find(owner).or_else(|| catalog.table(name).filter(|t| t.without_rowid))?;
    Some((own_key(table), table.as_ref().clone()))
}

pub(super) fn index_info(catalog: &Catalog, name: Option<&str>) -> Result<Vec<Vec<Value>>> {
    let Some((index, table)) = find_index(catalog, name) else { return Ok(Vec::new()) };
    let row = |(seqno, part): (usize, &IndexColumn)| {
        let [cid, name] = part_columns(&table, &part.key);
        vec![number(seqno), cid, name]
    };
    Ok(index.columns.iter().enumerate().map(row).collect())
}

pub(super) fn index_xinfo(catalog: &Catalog, name: Option<&str>) -> Result<Vec<Vec<Value>>> {
    let Some((index, table)) = find_index(catalog, name) else { return Ok(Vec::new()) };
    let mut rows = Vec::new();
    for part in &index.columns {
        rows.push(xinfo_row(rows.len(), &table, part, true));
    }
    if index.space == table.space {
        // A WITHOUT ROWID table's own key holds the rest of the row.
        for column in 0..table.columns.len() {
            if !index.columns.iter().any(|part| matches!(part.key, IndexKey::Column(c) if c == column)) {
                let part = plain(IndexKey::Column(column));
                rows.push(xinfo_row(rows.len(), &table, &part, false));
            }
        }
    } else if table.without_rowid {
        for part in &table.primary_key {
            let known = |own: &IndexColumn| match (&own.key, &part.key) {
                (IndexKey::Column(a), IndexKey::Column(b)) => a == b && own.collation == part.collation,
                _ => false,
            };
            if !index.columns.iter().any(known) {
                rows.push(xinfo_row(rows.len(), &table, part, false));
            }
        }
    } else {
        rows.push(xinfo_row(rows.len(), &table, &plain(IndexKey::Rowid), false));
    }
    Ok(rows)
}

fn plain(key: IndexKey) -> IndexColumn {
    IndexColumn { key, collation: Collation::Binary, descending: false }
}

fn part_columns(table: &Table, key: &IndexKey) -> [Value; 2] {
    match key {
        IndexKey::Column(column) if table.rowid_alias == Some(*column) => {
            [number(*column), Value::Text(table.columns[*column].name.clone())]
        }
        IndexKey::Column(column) => {
            let name =
                table.columns.get(*column).map_or(Value::Null, |column| Value::Text(column.name.clone()));
            [number(*column), name]
        }
        IndexKey::Rowid => [Value::Integer(-1), Value::Null],
        IndexKey::Expr(_) => [Value::Integer(-2), Value::Null],
    }
}

fn xinfo_row(seqno: usize, table: &Table, part: &IndexColumn, key: bool) -> Vec<Value> {
    let [cid, name] = part_columns(table, &part.key);
    vec![
        number(seqno),
        cid,
        name,
        Value::Integer(i64::from(part.descending)),
        Value::text(part.collation.name()),
        Value::Integer(i64::from(key)),
    ]
}
