//! What a CREATE TABLE says, checked by itself: before any expression is bound and without a look at other tables.

use dosql_base::{Error, Result};

use super::schema::ForeignKey;
use crate::parse::ast::{
    Ast, ColumnConstraintKind, ColumnDefinition, ConflictAction, CreateTable, Expr, ExprId, ExprKind,
    ForeignKeyClause, List, NameId, OrderTerm, Span, TableBody, TableConstraintKind, Versioning,
};
use crate::parse::walk;
use crate::value::{Affinity, Collation, Text, Value};

/// The most columns a table may have.
pub(crate) const MAX_TABLE_COLUMNS: usize = 2000;

/// A table as defined.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableDefinition {
    pub(crate) name: Text,
    pub(crate) columns: Vec<ColumnSpec>,
    pub(crate) rowid_alias: Option<usize>,
    pub(crate) autoincrement: bool,
    pub(crate) without_rowid: bool,
    pub(crate) strict: bool,
    pub(crate) versioning: Versioning,
    /// In the order of their definition; the primary key of a WITHOUT ROWID table among them.
    pub(crate) keys: Vec<KeySpec>,
    pub(crate) primary_key_conflict: Option<ConflictAction>,
    pub(crate) checks: Vec<(Text, ExprId)>,
    pub(crate) foreign_keys: Vec<ForeignKey>,
    has_primary_key: bool,
}

/// A column as defined.
#[derive(Clone, Debug)]
pub(crate) struct ColumnSpec {
    pub(crate) name: Text,
    pub(crate) declared_type: Text,
    pub(crate) affinity: Affinity,
    pub(crate) collation: Collation,
    pub(crate) not_null: Option<Option<ConflictAction>>,
    pub(crate) default: Option<DefaultSpec>,
    pub(crate) primary_key_position: usize,
    /// See [`super::schema::Column::merge_add`].
    pub(crate) merge_add: bool,
    /// The expression and whether it is stored.
    pub(crate) generated: Option<(ExprId, bool)>,
}

/// A DEFAULT as defined.
#[derive(Clone, Debug)]
pub(crate) struct DefaultSpec {
    pub(crate) sql: Text,
    /// A name that stands for its own text.
    pub(crate) word: Option<Value>,
    pub(crate) expr: ExprId,
}

/// A PRIMARY KEY or UNIQUE constraint that needs an index.
#[derive(Clone, Debug)]
pub(crate) struct KeySpec {
    pub(crate) parts: Vec<KeyPart>,
    pub(crate) primary: bool,
    pub(crate) conflict: Option<ConflictAction>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct KeyPart {
    pub(crate) column: usize,
    pub(crate) collation: Collation,
    pub(crate) descending: bool,
}

/// Reads a CREATE TABLE with columns. `sql` is the text that the spans of `ast` are of.
pub(crate) fn read_table(ast: &Ast, sql: &str, create: &CreateTable) -> Result<TableDefinition> {
    let TableBody::Columns { columns, constraints, without_rowid, strict, versioning, .. } = &create.body
    else {
        return Err(Error::corrupt("a stored CREATE TABLE has no columns", "catalog"));
    };
    let mut table = TableDefinition {
        name: ast[create.name.name].text.clone(),
        without_rowid: *without_rowid,
        strict: *strict,
        versioning: versioning.map(|(versioning, _)| versioning).unwrap_or_default(),
        ..TableDefinition::default()
    };
    for definition in ast.list(*columns) {
        add_column(&mut table, ast, sql, definition)?;
    }
    for constraint in ast.list(*constraints) {
        match &constraint.kind {
            TableConstraintKind::PrimaryKey { columns, conflict, autoincrement } => {
                let parts = key_parts(&table, ast, *columns)?;
                set_primary_key(&mut table, parts, *conflict, *autoincrement, false)?;
            }
            TableConstraintKind::Unique { columns, conflict } => {
                let parts = key_parts(&table, ast, *columns)?;
                add_key(&mut table, parts, false, *conflict)?;
            }
            TableConstraintKind::Check(expr) => {
                let name = check_name(ast, sql, constraint.name, *expr);
                table.checks.push((name, *expr));
            }
            TableConstraintKind::ForeignKey { columns, clause } => {
                let key = foreign_key(&table, ast, ast.list(*columns), clause)?;
                table.foreign_keys.push(key);
            }
        }
    }
    finish(table)
}

fn finish(mut table: TableDefinition) -> Result<TableDefinition> {
    if table.columns.iter().all(|column| column.generated.is_some()) {
        return Err(Error::invalid("must have at least one non-generated column"));
    }
    if table.without_rowid {
        if table.autoincrement {
            return Err(Error::invalid("AUTOINCREMENT not allowed on WITHOUT ROWID tables"));
        }
        if !table.has_primary_key {
            return Err(Error::invalid(format!("PRIMARY KEY missing on table {}", table.name)));
        }
    }
    let alias = table.rowid_alias;
    for (position, column) in table.columns.iter_mut().enumerate() {
        let implied = table.without_rowid || (table.strict && alias != Some(position));
        if implied && column.primary_key_position > 0 && column.not_null.is_none() {
            column.not_null = Some(None);
        }
    }
    Ok(table)
}

fn add_column(
    table: &mut TableDefinition,
    ast: &Ast,
    sql: &str,
    definition: &ColumnDefinition,
) -> Result<()> {
    let name = &ast[definition.name];
    if table.columns.iter().any(|column| column.name.eq_ignore_ascii_case(&name.text)) {
        return Err(Error::invalid(format!("duplicate column name: {}", name.text))
            .at_offset(name.span.start as usize));
    }
    if table.columns.len() >= MAX_TABLE_COLUMNS {
        return Err(Error::limit(format!("too many columns on {}", table.name)));
    }
    let declared_type = definition.type_name.map(|id| declared_type(&ast[id].text)).unwrap_or_default();
    let affinity = if table.strict {
        strict_affinity(&table.name, &name.text, &declared_type)?
    } else {
        Affinity::of_declared_type(&declared_type)
    };
    table.columns.push(ColumnSpec {
        name: name.text.clone(),
        declared_type,
        affinity,
        collation: Collation::Binary,
        not_null: None,
        default: None,
        primary_key_position: 0,
        merge_add: false,
        generated: None,
    });
    // COLLATE first: a UNIQUE that stands before it means the same.
    for constraint in ast.list(definition.constraints) {
        if let ColumnConstraintKind::Collate(name) = constraint.kind
            && let Some(column) = table.columns.last_mut()
        {
            column.collation = collation(ast, name)?;
        }
    }
    for constraint in ast.list(definition.constraints) {
        add_constraint(table, ast, sql, constraint.name, &constraint.kind)?;
    }
    let column = table.columns.last().expect("it was pushed above");
    if column.generated.is_some() {
        if column.default.is_some() {
            return Err(Error::invalid("cannot use DEFAULT on a generated column"));
        }
        if column.primary_key_position > 0 {
            return Err(Error::invalid("generated columns cannot be part of the PRIMARY KEY"));
        }
    }
    Ok(())
}

fn add_constraint(
    table: &mut TableDefinition,
    ast: &Ast,
    sql: &str,
    name: Option<NameId>,
    kind: &ColumnConstraintKind,
) -> Result<()> {
    let position = table.columns.len() - 1;
    let here = |table: &TableDefinition| KeyPart {
        column: position,
        collation: table.columns[position].collation,
        descending: false,
    };
    match kind {
        ColumnConstraintKind::PrimaryKey { descending, conflict, autoincrement } => {
            let part = KeyPart { descending: *descending, ..here(table) };
            set_primary_key(table, vec![part], *conflict, *autoincrement, *descending)?;
        }
        ColumnConstraintKind::NotNull { conflict } => table.columns[position].not_null = Some(*conflict),
        ColumnConstraintKind::MergeAdd => table.columns[position].merge_add = true,
        ColumnConstraintKind::Null | ColumnConstraintKind::Collate(_) => {}
        ColumnConstraintKind::Unique { conflict } => {
            let part = here(table);
            add_key(table, vec![part], false, *conflict)?;
        }
        ColumnConstraintKind::Check(expr) => {
            let name = check_name(ast, sql, name, *expr);
            table.checks.push((name, *expr));
        }
        ColumnConstraintKind::Default(expr) => {
            let default = read_default(ast, sql, *expr, &table.columns[position].name)?;
            table.columns[position].default = Some(default);
        }
        ColumnConstraintKind::References(clause) => {
            if clause.columns.len() > 1 {
                return Err(Error::invalid(format!(
                    "foreign key on {} should reference only one column of table {}",
                    table.columns[position].name,
                    ast.text(clause.table)
                ))
                .at_offset(ast[clause.table].span.start as usize));
            }
            table.foreign_keys.push(make_foreign_key(ast, vec![position], clause));
        }
        ColumnConstraintKind::Generated { expr, stored } => {
            if table.columns[position].default.is_some() {
                let name = &table.columns[position].name;
                return Err(Error::invalid(format!("error in generated column \"{name}\"")));
            }
            table.columns[position].generated = Some((*expr, *stored));
        }
    }
    Ok(())
}

/// A type as SQLite shows it: without the quotes around all of it, and the plain types in capitals.
fn declared_type(written: &Text) -> Text {
    const PLAIN: [&str; 6] = ["ANY", "BLOB", "INT", "INTEGER", "REAL", "TEXT"];
    let mut text = written.as_str();
    for (open, close) in [('"', '"'), ('\'', '\''), ('`', '`'), ('[', ']')] {
        let inner = text.strip_prefix(open).and_then(|text| text.strip_suffix(close));
        text = inner.filter(|inner| !inner.contains([open, close])).unwrap_or(text);
    }
    match PLAIN.iter().find(|plain| plain.eq_ignore_ascii_case(text)) {
        Some(plain) => Text::new_static(plain),
        None => Text::new(text),
    }
}

fn strict_affinity(table: &str, column: &str, declared: &str) -> Result<Affinity> {
    let types = [
        ("INT", Affinity::Integer),
        ("INTEGER", Affinity::Integer),
        ("REAL", Affinity::Real),
        ("TEXT", Affinity::Text),
        ("BLOB", Affinity::Blob),
        ("ANY", Affinity::Blob),
    ];
    if declared.is_empty() {
        return Err(Error::invalid(format!("missing datatype for {table}.{column}")));
    }
    types
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(declared))
        .map(|(_, affinity)| *affinity)
        .ok_or_else(|| Error::invalid(format!("unknown datatype for {table}.{column}: \"{declared}\"")))
}

/// The collation of this name.
pub(crate) fn collation(ast: &Ast, name: NameId) -> Result<Collation> {
    let name = &ast[name];
    Collation::by_name(&name.text).ok_or_else(|| {
        Error::invalid(format!("no such collation sequence: {}", name.text))
            .at_offset(name.span.start as usize)
    })
}

fn check_name(ast: &Ast, sql: &str, name: Option<NameId>, expr: ExprId) -> Text {
    match name {
        Some(name) => ast[name].text.clone(),
        None => first_quoted(bare(ast[expr].span, sql)),
    }
}

/// What stands in the quotes that a text begins with, as SQLite names a CHECK without a name; else the text.
fn first_quoted(text: &str) -> Text {
    let Some(quote) = text.chars().next().filter(|c| "'\"`[".contains(*c)) else { return Text::new(text) };
    let close = if quote == '[' { ']' } else { quote };
    let (mut inside, mut rest) = (String::new(), &text[1..]);
    while let Some((before, after)) = rest.split_once(close) {
        inside.push_str(before);
        match after.strip_prefix(close) {
            Some(after) => {
                inside.push(close);
                rest = after;
            }
            None => break,
        }
    }
    Text::from(inside)
}

/// The text of an expression without the parentheses that may stand around all of it.
pub(crate) fn bare(span: Span, sql: &str) -> &str {
    let text = span.of(sql).trim();
    let Some(inner) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) else { return text };
    let mut depth = 0i64;
    let mut quote = None;
    for byte in inner.bytes() {
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"' | b'`') => quote = Some(byte),
            (None, b'(') => depth += 1,
            (None, b')') => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return text;
        }
    }
    inner.trim()
}

fn read_default(ast: &Ast, sql: &str, expr: ExprId, column: &str) -> Result<DefaultSpec> {
    let node = &ast[expr];
    let before = sql.get(..node.span.start as usize).unwrap_or_default();
    let enclosed = before.trim_end().ends_with('(') || node.span.of(sql).starts_with('(');
    let default = DefaultSpec { sql: Text::new(bare(node.span, sql)), word: None, expr };
    if let ExprKind::Column { schema: None, table: None, column: word } = &node.kind
        && !enclosed
    {
        let word = &ast[*word];
        let value = match () {
            () if !word.quoted && word.text.eq_ignore_ascii_case("true") => Value::Integer(1),
            () if !word.quoted && word.text.eq_ignore_ascii_case("false") => Value::Integer(0),
            () => Value::Text(word.text.clone()),
        };
        return Ok(DefaultSpec { word: Some(value), ..default });
    }
    let varies = |expr: &Expr| match &expr.kind {
        ExprKind::Parameter(_) => true,
        ExprKind::Column { column, .. } => {
            let name = &ast[*column];
            name.quoted || !["true", "false"].iter().any(|word| name.text.eq_ignore_ascii_case(word))
        }
        _ => false,
    };
    if walk::any(ast, expr, varies) || walk::has_query(ast, expr) {
        return Err(Error::invalid(format!("default value of column [{column}] is not constant"))
            .at_offset(node.span.start as usize));
    }
    Ok(default)
}

fn key_parts(table: &TableDefinition, ast: &Ast, columns: List<OrderTerm>) -> Result<Vec<KeyPart>> {
    let mut parts = Vec::with_capacity(columns.len());
    for term in ast.list(columns) {
        let (mut expr, mut named) = (term.expr, None);
        if let ExprKind::Collate { operand, collation: name } = ast[expr].kind {
            (expr, named) = (operand, Some(collation(ast, name)?));
        }
        let name = match &ast[expr].kind {
            ExprKind::Column { schema: None, table: None, column } => &ast[*column].text,
            ExprKind::Literal(Value::Text(text)) => text,
            _ => return Err(Error::invalid("expressions prohibited in PRIMARY KEY and UNIQUE constraints")),
        };
        let column = column_position(table, name).ok_or_else(|| {
            Error::invalid(format!("no such column: {name}")).at_offset(ast[expr].span.start as usize)
        })?;
        let collation = named.unwrap_or(table.columns[column].collation);
        parts.push(KeyPart { column, collation, descending: term.descending });
    }
    Ok(parts)
}

fn column_position(table: &TableDefinition, name: &str) -> Option<usize> {
    table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
}

fn set_primary_key(
    table: &mut TableDefinition,
    mut parts: Vec<KeyPart>,
    conflict: Option<ConflictAction>,
    autoincrement: bool,
    column_desc: bool,
) -> Result<()> {
    if table.has_primary_key {
        return Err(Error::invalid(format!("table \"{}\" has more than one primary key", table.name)));
    }
    table.has_primary_key = true;
    for (at, part) in parts.iter().enumerate() {
        let column = &mut table.columns[part.column];
        if column.generated.is_some() {
            return Err(Error::invalid("generated columns cannot be part of the PRIMARY KEY"));
        }
        if column.primary_key_position == 0 {
            column.primary_key_position = at + 1;
        }
    }
    let integer = match parts.as_slice() {
        [part]
            if table.columns[part.column].declared_type.eq_ignore_ascii_case("INTEGER") && !column_desc =>
        {
            Some(part.column)
        }
        _ => None,
    };
    if autoincrement && integer.is_none() {
        return Err(Error::invalid("AUTOINCREMENT is only allowed on an INTEGER PRIMARY KEY"));
    }
    table.autoincrement = autoincrement;
    if let Some(column) = integer
        && !table.without_rowid
    {
        table.rowid_alias = Some(column);
        table.primary_key_conflict = conflict;
        return Ok(());
    }
    if table.without_rowid {
        table.primary_key_conflict = conflict;
        let mut seen: Vec<KeyPart> = Vec::new();
        parts.retain(|part| {
            let new = !seen.iter().any(|s| s.column == part.column && s.collation == part.collation);
            seen.push(*part);
            new
        });
    }
    add_key(table, parts, true, conflict)
}

fn add_key(
    table: &mut TableDefinition,
    parts: Vec<KeyPart>,
    primary: bool,
    conflict: Option<ConflictAction>,
) -> Result<()> {
    if !primary
        && let [part] = parts.as_slice()
        && table.rowid_alias == Some(part.column)
    {
        return Ok(());
    }
    let same = |key: &&mut KeySpec| {
        key.parts.len() == parts.len()
            && key.parts.iter().zip(&parts).all(|(a, b)| a.column == b.column && a.collation == b.collation)
    };
    if let Some(twin) = table.keys.iter_mut().find(same) {
        if twin.conflict.is_some() && conflict.is_some() && twin.conflict != conflict {
            return Err(Error::invalid("conflicting ON CONFLICT clauses specified"));
        }
        twin.conflict = twin.conflict.or(conflict);
        twin.primary |= primary;
        return Ok(());
    }
    table.keys.push(KeySpec { parts, primary, conflict });
    Ok(())
}

fn foreign_key(
    table: &TableDefinition,
    ast: &Ast,
    columns: &[NameId],
    clause: &ForeignKeyClause,
) -> Result<ForeignKey> {
    if !clause.columns.is_empty() && clause.columns.len() != columns.len() {
        return Err(Error::invalid(
            "number of columns in foreign key does not match the number of columns in the referenced table",
        ));
    }
    let mut positions = Vec::with_capacity(columns.len());
    for name in columns {
        let name = ast.text(*name);
        positions.push(
            column_position(table, name).ok_or_else(|| {
                Error::invalid(format!("unknown column \"{name}\" in foreign key definition"))
            })?,
        );
    }
    Ok(make_foreign_key(ast, positions, clause))
}

fn make_foreign_key(ast: &Ast, columns: Vec<usize>, clause: &ForeignKeyClause) -> ForeignKey {
    ForeignKey {
        columns,
        parent: ast[clause.table].text.clone(),
        parent_columns: ast.list(clause.columns).iter().map(|name| ast[*name].text.clone()).collect(),
        on_delete: clause.on_delete,
        on_update: clause.on_update,
        deferred: clause.deferred,
    }
}
