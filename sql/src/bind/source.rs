//! What a FROM item reads: a table, a view, a CTE, a table function, a SELECT.

use std::sync::Arc;

use dosql_base::{Error, Result};

use super::binder::{Binder, Seen, Site, Source};
use super::from::Pending;
use super::scope::{Columns, Item, ListedColumn, Output, Scope, is_main};
use super::select::{Rows, Tree, output_column};
use super::versions::is_version_function;
use crate::catalog::load::Stored;
use crate::catalog::schema::{Table, View};
use crate::func::JsonResult;
use crate::parse::ast::{
    AsOf, ExprId, FromItem, FromSource, IndexedBy, List, Period, QualifiedName, Span, Statement,
};
use crate::plan::choose::{FromBlock, IndexHint};
use crate::plan::{Expr, Node, OutputColumn, Subquery, TableFunction, VersionPart};
use crate::storage::{Point, ReadPoint, StateTable};
use crate::value::{Affinity, Collation, Text, Value};

/// Where a FROM item's rows come from.
pub(crate) enum PendingSource {
    /// Something whose columns get registers as they are used: the item of this index says which.
    Made(Made, usize),
    /// A SELECT without groups, order or limit.
    Block(FromBlock, Text),
    /// Any other SELECT.
    Node(Node, Text),
    /// A parenthesised join.
    Group(Vec<Pending>),
}

/// What has columns of its own.
pub(crate) enum Made {
    Table {
        table: Arc<Table>,
        point: ReadPoint,
        hint: IndexHint,
    },
    Function {
        function: TableFunction,
        arguments: Vec<Expr>,
    },
    Nested {
        query: Subquery,
        shared: Option<u32>,
    },
    Working {
        id: u32,
    },
    /// Versions of a table's rows.
    Versions {
        table: Arc<Table>,
        part: VersionPart,
    },
    /// Rows that are known already.
    Known {
        rows: Vec<[Value; 5]>,
    },
}

/// How a FROM names an item.
#[derive(Clone, Default)]
pub(crate) struct Naming {
    pub(crate) alias: Option<Text>,
    pub(crate) nullable: bool,
}

impl<'a> Binder<'a> {
    pub(crate) fn from_source(
        &mut self,
        site: &Site<'a>,
        item: &FromItem,
        nullable: bool,
    ) -> Result<PendingSource> {
        let source = site.source.clone();
        let ast = source.ast();
        let naming = Naming { alias: item.alias.map(|alias| Text::new(ast.text(alias))), nullable };
        match &item.source {
            FromSource::Table { name, period, indexed } => match period {
                None => self.table_source(site, *name, None, *indexed, naming),
                Some(Period::AsOf(as_of)) => self.table_source(site, *name, Some(*as_of), *indexed, naming),
                Some(period) => self.period_source(site, *name, *period, naming),
            },
            FromSource::TableFunction { name, arguments } => {
                self.function_source(site, *name, *arguments, naming)
            }
            FromSource::Select(select) => {
                let outside = self.outside(site);
                let rows = self.select_rows(&outside, *select)?;
                Ok(self.derived(site, rows, naming))
            }
            FromSource::Join(list) if naming.alias.is_none() => {
                Ok(PendingSource::Group(self.from_items(site, *list, nullable)?))
            }
            FromSource::Join(list) => {
                let outside = self.outside(site);
                let scope = self.add_scope(Scope::new(outside.scope, outside.frame, Vec::new()));
                let inner = Site { scope: Some(scope), ..outside };
                let pending = self.from_items(&inner, *list, false)?;
                let mut outputs = Vec::new();
                self.star(&inner, None, &mut outputs)?;
                let block = self.from_block(&inner, pending, Vec::new())?;
                Ok(self.derived(site, Rows { tree: Tree::Block(block), outputs }, naming))
            }
        }
    }

    /// Where a SELECT in a FROM stands: it does not see the items beside it.
    fn outside(&self, site: &Site<'a>) -> Site<'a> {
        let parent = site.scope.and_then(|scope| self.scopes[scope.0].parent);
        Site { scope: parent, ..site.clone() }
    }

    /// A source of this name, with arguments if it is a function: what `x IN name` reads.
    pub(crate) fn named_source(
        &mut self,
        site: &Site<'a>,
        name: QualifiedName,
        arguments: Option<List<ExprId>>,
    ) -> Result<Pending> {
        let source = match arguments {
            Some(arguments) => self.function_source(site, name, arguments, Naming::default())?,
            None => self.table_source(site, name, None, None, Naming::default())?,
        };
        Ok(Pending::first(source))
    }

    fn add_item(&mut self, site: &Site<'a>, item: Item) -> usize {
        let Some(scope) = site.scope else { return 0 };
        let items = &mut self.scope(scope).items;
        items.push(item);
        items.len() - 1
    }

    /// An item whose columns get registers as they are used.
    pub(crate) fn made(
        &mut self,
        site: &Site<'a>,
        made: Made,
        columns: Columns,
        name: Text,
        naming: Naming,
    ) -> PendingSource {
        let mut item = Item::on_use(Some(naming.alias.unwrap_or(name)), columns, naming.nullable);
        item.has_rowid = match &made {
            Made::Table { table, .. } => !table.without_rowid,
            Made::Function { .. } | Made::Known { .. } => true,
            Made::Versions { table, part: VersionPart::Versions { .. } } => !table.without_rowid,
            _ => false,
        };
        PendingSource::Made(made, self.add_item(site, item))
    }

    /// An item that is a SELECT of the same query.
    pub(crate) fn derived(&mut self, site: &Site<'a>, rows: Rows, naming: Naming) -> PendingSource {
        let Rows { mut tree, mut outputs } = rows;
        let mut computed = Vec::new();
        for output in &mut outputs {
            let expr = &output.bound.expr;
            let is_register = matches!(expr, Expr::Register(_));
            // Unmatched rows have NULL here, whatever the expression; what is random or costly is made once a row.
            if !is_register && (naming.nullable || expr.is_volatile() || expr.has_subquery()) {
                let register = self.register(site.frame);
                let expr = std::mem::replace(&mut output.bound.expr, Expr::Register(register));
                computed.push((register, expr));
            }
        }
        if !computed.is_empty() {
            let input = Box::new(tree.into_node());
            tree = Tree::Node(Node::Compute { input, columns: computed });
        }
        distinct_names(&mut outputs);
        let name = naming.alias.clone().unwrap_or_else(|| Text::new_static("subquery"));
        self.add_item(site, Item::inline(naming.alias, outputs, naming.nullable));
        match tree {
            Tree::Block(block) => PendingSource::Block(block, name),
            Tree::Node(node) => PendingSource::Node(node, name),
        }
    }

    // ------------------------------------------------------------ by name

    fn table_source(
        &mut self,
        site: &Site<'a>,
        name: QualifiedName,
        as_of: Option<AsOf>,
        indexed: Option<IndexedBy>,
        naming: Naming,
    ) -> Result<PendingSource> {
        self.count_source()?;
        let source = site.source.clone();
        let ast = source.ast();
        let text = ast.text(name.name);
        let span = ast[name.name].span;
        let site = &match as_of {
            Some(as_of) => Site { catalog: self.catalog_as_of(site, as_of)?, ..site.clone() },
            None => site.clone(),
        };
        if name.schema.is_none()
            && let Some((scope, entry)) = self.find_cte(site, text)
        {
            return self.cte_source(site, scope, entry, naming).map_err(|error| source.place(span, error));
        }
        let schema_of = |name: QualifiedName| match name.schema {
            Some(schema) => Some(ast.text(schema)),
            None => source.schema(self.cx),
        };
        let known_schema = name.schema.is_none_or(|schema| is_main(ast.text(schema)));
        let Seen { read, point, catalog } = self.catalogs[site.catalog].clone();
        let lower = Text::from(text.to_ascii_lowercase());
        if known_schema {
            match catalog.source_in(schema_of(name), &lower) {
                Some(Stored::View(view)) => return self.view_item(site, view, naming),
                Some(Stored::Table(table)) if table.made_up => {
                    return Ok(self.schema_source(site, table, naming));
                }
                Some(Stored::Table(table)) => {
                    let reached = self.cx.catalog.check_reach(point, table.space, &table.name);
                    reached.map_err(|error| source.place(span, error))?;
                    self.cx.note_read(read, table);
                    let hint = self.hint(site, table, indexed)?;
                    let columns = Columns::Table(table.clone());
                    let made = Made::Table { table: table.clone(), point: read, hint };
                    return Ok(self.made(site, made, columns, table.name.clone(), naming));
                }
                None => {}
            }
            if as_of.is_none()
                && let Some((function, columns)) = table_function(&lower)
            {
                let made = Made::Function { function, arguments: Vec::new() };
                return Ok(self.made(site, made, Columns::Listed(columns), lower, naming));
            }
        }
        Err(no_such_table(&source, span, schema_of(name), text, point))
    }

    fn view_item(&mut self, site: &Site<'a>, view: &Arc<View>, naming: Naming) -> Result<PendingSource> {
        let rows = self.view_rows(site, view)?;
        let alias = naming.alias.or_else(|| Some(view.name.clone()));
        Ok(self.derived(site, rows, Naming { alias, ..naming }))
    }

    pub(crate) fn hint(
        &self,
        site: &Site<'a>,
        table: &Table,
        indexed: Option<IndexedBy>,
    ) -> Result<IndexHint> {
        let ast = site.source.ast();
        match indexed {
            None => Ok(IndexHint::Free),
            Some(IndexedBy::None) => Ok(IndexHint::None),
            Some(IndexedBy::Index(name)) => {
                let text = ast.text(name);
                if !table.indexes.iter().any(|index| index.name.eq_ignore_ascii_case(text)) {
                    let message = format!("no such index: {text}");
                    return Err(site.source.error(ast[name].span, message));
                }
                Ok(IndexHint::Use(Text::from(text.to_ascii_lowercase())))
            }
        }
    }

    /// `sqlite_schema` and its other names. What the past or the temporary objects look like is known now.
    fn schema_source(&mut self, site: &Site<'a>, table: &Arc<Table>, naming: Naming) -> PendingSource {
        let columns = Columns::Table(table.clone());
        let rows = self.catalogs[site.catalog].catalog.schema_rows(table.temporary);
        let made = Made::Known { rows };
        self.made(site, made, columns, table.name.clone(), naming)
    }

    // ------------------------------------------------------------ views

    fn view_rows(&mut self, site: &Site<'a>, view: &Arc<View>) -> Result<Rows> {
        if self.open_views.iter().any(|open| open.eq_ignore_ascii_case(&view.name)) {
            return Err(Error::invalid(format!("view {} is circularly defined", view.name)));
        }
        let Statement::CreateView(create) = &view.parsed.statement else {
            return Err(Error::corrupt("a view's text is no CREATE VIEW", format!("view {}", view.name)));
        };
        let inner = Site {
            source: Source::View(view.clone()),
            scope: None,
            ctes: None,
            catalog: site.catalog,
            frame: site.frame,
        };
        self.open_views.push(view.name.clone());
        let rows = self.select_rows(&inner, create.select);
        self.open_views.pop();
        let mut rows = rows?;
        let ast = inner.source.ast();
        let names = ast.list(create.columns);
        if !names.is_empty() && names.len() != rows.outputs.len() {
            let (expected, got) = (names.len(), rows.outputs.len());
            let message = format!("expected {expected} columns for '{}' but got {got}", view.name);
            return Err(Error::invalid(message));
        }
        rename(&mut rows.outputs, names.iter().map(|name| ast.text(*name)));
        Ok(rows)
    }

    /// A FROM item that is a view.
    pub(crate) fn view_source(
        &mut self,
        site: &Site<'a>,
        name: &str,
        naming: Naming,
    ) -> Result<PendingSource> {
        let view = self.view(site, name)?;
        let rows = self.view_rows(site, &view)?;
        Ok(self.derived(site, rows, naming))
    }

    fn view(&self, site: &Site<'a>, name: &str) -> Result<Arc<View>> {
        let lower = Text::from(name.to_ascii_lowercase());
        let view = self.catalogs[site.catalog].catalog.views.get(&lower).cloned();
        view.ok_or_else(|| Error::invalid(format!("no such view: {name}")))
    }

    /// The columns of a view, as a SELECT of all of them gives them.
    pub(crate) fn view_columns(&mut self, site: &Site<'a>, name: &str) -> Result<Vec<OutputColumn>> {
        let view = self.view(site, name)?;
        let mut rows = self.view_rows(site, &view)?;
        distinct_names(&mut rows.outputs);
        Ok(rows.outputs.iter().map(output_column).collect())
    }

    // ------------------------------------------------------------ table functions

    fn function_source(
        &mut self,
        site: &Site<'a>,
        name: QualifiedName,
        arguments: List<ExprId>,
        naming: Naming,
    ) -> Result<PendingSource> {
        self.count_source()?;
        let source = site.source.clone();
        let ast = source.ast();
        let text = ast.text(name.name);
        let lower = Text::from(text.to_ascii_lowercase());
        if is_version_function(&lower) {
            return self.version_function(site, name, arguments, naming);
        }
        let Some((function, columns)) = table_function(&lower) else {
            let catalog = &self.catalogs[site.catalog].catalog;
            let known = catalog.tables.contains_key(&lower) || catalog.views.contains_key(&lower);
            let message =
                if known { format!("'{text}' is not a function") } else { format!("no such table: {text}") };
            return Err(source.error(ast[name.name].span, message));
        };
        let most = columns.iter().filter(|column| column.hidden).count();
        if arguments.len() > most {
            let message = format!("too many arguments on {text}() - max {most}");
            return Err(source.error(ast[name.name].span, message));
        }
        let mut bound = Vec::with_capacity(arguments.len());
        for argument in ast.list(arguments) {
            bound.push(self.expr(site, *argument)?.expr);
        }
        let made = Made::Function { function, arguments: bound };
        Ok(self.made(site, made, Columns::Listed(columns), lower, naming))
    }
}

pub(crate) fn no_such_table(
    source: &Source<'_>,
    span: Span,
    schema: Option<&str>,
    name: &str,
    point: Point,
) -> Error {
    let message = match schema {
        Some(schema) => format!("no such table: {schema}.{name}"),
        None => format!("no such table: {name}"),
    };
    if point == Point::Live {
        return source.error(span, message);
    }
    let code = dosql_base::Code::AsOfNoTable;
    let error = Error::new(dosql_base::ErrorKind::InvalidInput, code, format!("{message} at that time"));
    source.place(span, error)
}

/// The table function of this lower-case name, and its columns; the hidden ones are its arguments.
fn table_function(name: &str) -> Option<(TableFunction, Arc<[ListedColumn]>)> {
    let (function, shown, hidden): (_, &[&str], &[&str]) = match name {
        "json_each" | "json_tree" | "jsonb_each" | "jsonb_tree" => {
            let function =
                if name.ends_with("each") { TableFunction::JsonEach } else { TableFunction::JsonTree };
            let shown = &["key", "value", "type", "atom", "id", "parent", "fullkey", "path"];
            (function, shown, &["json", "root"])
        }
        "generate_series" => (TableFunction::GenerateSeries, &["value"], &["start", "stop", "step"]),
        "dosql_log" => {
            let shown = &["lsn", "time", "tables", "inserted", "updated", "deleted", "schema_changed"];
            (TableFunction::Log, shown, &["since"])
        }
        "dosql_tags" => (TableFunction::State(StateTable::Tags), &["name", "lsn", "time"], &[]),
        "dosql_branches" => {
            let shown = &["name", "parent", "fork", "created", "head", "protected", "expires", "current"];
            (TableFunction::State(StateTable::Branches), shown, &[])
        }
        "dosql_feeds" => {
            let shown = &["name", "confirmed_lsn", "confirmed", "lag_bytes", "lag_seconds", "state"];
            (TableFunction::State(StateTable::Feeds), shown, &[])
        }
        "dosql_segments" => {
            let shown = &[
                "name",
                "branch",
                "contents",
                "level",
                "bytes",
                "rows",
                "tombstones",
                "first_lsn",
                "last_lsn",
            ];
            (TableFunction::State(StateTable::Segments), shown, &[])
        }
        "dosql_storage" => {
            (TableFunction::State(StateTable::Storage), &["place", "objects", "bytes", "rows"], &[])
        }
        "dosql_pins" => (TableFunction::State(StateTable::Pins), &["kind", "name", "lsn", "time"], &[]),
        _ => return super::pragma::table_function(name),
    };
    let column = |name: &&str, hidden| listed(name, hidden);
    let mut columns: Vec<ListedColumn> = shown.iter().map(|name| column(name, false)).collect();
    columns.extend(hidden.iter().map(|name| column(name, true)));
    if matches!(function, TableFunction::JsonEach | TableFunction::JsonTree) {
        columns[1].json = JsonResult::Containers;
    }
    Some((function, columns.into()))
}

/// A column without type.
pub(crate) fn listed(name: &str, hidden: bool) -> ListedColumn {
    ListedColumn {
        name: Text::new(name),
        hidden,
        affinity: Some(Affinity::Blob),
        settled: false,
        collation: Some(Collation::Binary),
        json: JsonResult::No,
        nullable: true,
        declared_type: None,
        origin: None,
    }
}

/// What a column of a query of its own looks like from outside.
pub(crate) fn listed_output(output: &Output) -> ListedColumn {
    let bound = &output.bound;
    let column = bound.column.as_ref();
    ListedColumn {
        name: output.name.clone(),
        hidden: false,
        affinity: bound.affinity,
        settled: bound.settled,
        // From outside it is a column, whatever it is made of: its collation counts before that of the right side.
        collation: Some(bound.collation()),
        json: bound.json,
        nullable: bound.nullable,
        declared_type: column.and_then(|column| column.declared_type.clone()),
        origin: column.and_then(|column| column.origin.clone()),
    }
}

/// Gives the first columns these names.
pub(crate) fn rename<'n>(outputs: &mut [Output], names: impl Iterator<Item = &'n str>) {
    for (output, name) in outputs.iter_mut().zip(names) {
        output.name = Text::new(name);
        output.alias = true;
    }
}

/// Makes the names of a subquery's columns differ: the second `a` is `a:1`.
pub(crate) fn distinct_names(outputs: &mut [Output]) {
    for at in 1..outputs.len() {
        let taken = |outputs: &[Output], name: &str| {
            outputs[..at].iter().any(|other| other.name.eq_ignore_ascii_case(name))
        };
        if taken(outputs, &outputs[at].name) {
            let base = outputs[at].name.clone();
            let mut number = 1;
            while taken(outputs, &format!("{base}:{number}")) {
                number += 1;
            }
            outputs[at].name = Text::from(format!("{base}:{number}"));
        }
    }
}
