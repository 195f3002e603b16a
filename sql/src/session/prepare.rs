//! From a parsed statement to a plan that can run many times.

use std::sync::Arc;

use dosql_base::{Code, Env, Error, ErrorKind, Result, Timestamp};

use super::explain::explain_rows;
use super::pragma::{self, Pragma};
use super::state::Session;
use crate::bind::{Asked, BindContext, bind_point, bind_select};
use crate::catalog::schema::{SpaceId, Table};
use crate::ddl::is_schema_change;
use crate::ddl::restore::Restore;
use crate::dml::compile::{check_schema, compile};
use crate::dml::direct::Direct;
use crate::dml::plan::Change;
use crate::dml::{Programs, trigger};
use crate::parse::ast::{
    AsOf, BeginMode, BranchOptions, BranchStatement, CreateFeed, CreateTable, FeedFrom, List, NameId,
    OnMergeConflict, Parsed, QualifiedName, Statement, TableBody, TimeStatement,
};
use crate::plan::{OutputColumn, Query};
use crate::storage::Storage;
use crate::value::{Affinity, Collation, Text, Value};

/// A statement about the transaction, for its owner to carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Transaction {
    /// With the point that it is to see.
    Begin(BeginMode, Option<Timestamp>),
    Commit,
    Rollback,
    RollbackTo(Text),
    Savepoint(Text),
    Release(Text),
    /// CREATE TAG, at a point or now.
    CreateTag {
        name: Text,
        at: Option<Timestamp>,
        if_not_exists: bool,
    },
    /// DROP TAG.
    DropTag {
        name: Text,
        if_exists: bool,
    },
    /// CREATE BRANCH.
    CreateBranch {
        name: Text,
        from: Option<Text>,
        at: Option<Timestamp>,
        if_not_exists: bool,
        /// How long it lives, in microseconds.
        ttl: Option<u64>,
        protected: bool,
    },
    /// DROP BRANCH.
    DropBranch {
        name: Text,
        if_exists: bool,
    },
    RenameBranch {
        name: Text,
        to: Text,
    },
    /// ALTER BRANCH SET; a ttl of `Some(None)` is none.
    SetBranch {
        name: Text,
        ttl: Option<Option<u64>>,
        protected: Option<bool>,
    },
    UseBranch(Text),
    Merge {
        from: Text,
        into: Text,
        on_conflict: OnMergeConflict,
        dry_run: bool,
    },
    /// CONTINUE MERGE, from a branch into another where they are named.
    ContinueMerge(Option<(Text, Text)>),
    AbortMerge(Option<(Text, Text)>),
    /// DELETE HISTORY: of what ended before a moment, or of all; of a table and its indexes, or of all.
    DeleteHistory {
        spaces: Option<Vec<SpaceId>>,
        before: Option<Timestamp>,
    },
    /// CREATE FEED.
    CreateFeed(Feed),
    /// DROP FEED.
    DropFeed {
        name: Text,
        if_exists: bool,
    },
    /// ERASE: of a table, by a condition in SQL.
    Erase {
        table: Text,
        condition: Text,
    },
}

/// What CREATE FEED makes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Feed {
    pub name: Text,
    pub if_not_exists: bool,
    pub from: FeedStart,
    /// Each with its columns, or all.
    pub tables: Vec<(Text, Option<Vec<Text>>)>,
    pub max_lag_bytes: Option<u64>,
    /// In microseconds.
    pub max_age: Option<u64>,
}

/// Where a feed begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FeedStart {
    Current,
    At(Timestamp),
    Snapshot,
}

impl Transaction {
    /// Whether it changes the database.
    #[must_use]
    pub fn writes(&self) -> bool {
        use Transaction::{Begin, Commit, Release, Rollback, RollbackTo, Savepoint, UseBranch};
        !matches!(
            self,
            Begin(..) | Commit | Release(_) | Rollback | RollbackTo(_) | Savepoint(_) | UseBranch(_)
        )
    }
}

/// What a statement does.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    Query(Arc<Query>),
    /// The last is how it goes the direct way, where it can.
    Change(Change, Arc<Programs>, Option<Arc<Direct>>),
    /// A schema change: carried out from its tree. The query is that of CREATE TABLE AS.
    Schema(Option<Arc<Query>>),
    Pragma(Pragma),
    /// RESTORE.
    Restore(Arc<Restore>),
    /// Rows that are known already.
    Rows(Arc<Vec<Vec<Value>>>),
    Transaction(Transaction),
    Nothing,
    /// It can be bound only with the parameters' values: a table that it reads the past of is not there any more.
    Unbound,
}

/// A prepared statement. Holds good for one version of the schema; [`super::Run`] prepares it anew by itself when that has
/// changed.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(crate) plan: Plan,
    pub(crate) parsed: Arc<Parsed>,
    pub(crate) sql: Arc<str>,
    pub(crate) version: u64,
    /// As [`Session::undone`] when it was bound.
    pub(crate) undone: u64,
    /// It must be bound anew for each run, with the parameters' values.
    pub(crate) needs_parameters: bool,
    /// The moments that it asks for, to be resolved for each run.
    pub(crate) asked: Vec<Asked>,
    columns: Vec<OutputColumn>,
}

impl Prepared {
    /// The columns of its rows; none where it gives none.
    #[must_use]
    pub fn columns(&self) -> &[OutputColumn] {
        &self.columns
    }

    /// Its parameters by number: the name with its sign, or none.
    #[must_use]
    pub fn parameters(&self) -> &[Option<Text>] {
        &self.parsed.ast.parameters
    }

    /// The transaction statement that it is.
    #[must_use]
    pub fn transaction(&self) -> Option<&Transaction> {
        match &self.plan {
            Plan::Transaction(transaction) => Some(transaction),
            _ => None,
        }
    }

    /// Whether it surely writes nothing.
    #[must_use]
    pub fn is_readonly(&self) -> bool {
        match &self.plan {
            Plan::Query(_) | Plan::Rows(_) | Plan::Nothing => true,
            Plan::Transaction(transaction) => !transaction.writes(),
            Plan::Pragma(pragma) => pragma.is_readonly(),
            Plan::Unbound => matches!(self.parsed.statement, Statement::Select(_) | Statement::Begin(..)),
            Plan::Change(..) | Plan::Schema(_) | Plan::Restore(_) => false,
        }
    }

    /// Whether it is about transactions or tags and must be bound anew before it is carried out: what
    /// [`Prepared::transaction`] says depends on the moment or on parameters.
    #[must_use]
    pub fn needs_binding(&self) -> bool {
        self.needs_parameters
            && matches!(
                self.parsed.statement,
                Statement::Begin(..) | Statement::Time(_) | Statement::Branch(_)
            )
    }

    /// Whether it changes the schema.
    #[must_use]
    pub fn changes_schema(&self) -> bool {
        matches!(self.plan, Plan::Schema(_) | Plan::Restore(_))
    }

    /// The plan of a query, for those who look inside.
    #[must_use]
    pub fn query(&self) -> Option<&Arc<Query>> {
        match &self.plan {
            Plan::Query(query) => Some(query),
            _ => None,
        }
    }

    /// Where in the text that it was parsed from it starts.
    #[must_use]
    pub fn start(&self) -> usize {
        self.parsed.span.start as usize
    }

    /// The text that it was prepared from.
    #[must_use]
    pub fn sql(&self) -> &str {
        self.parsed.span.of(&self.sql)
    }
}

impl Session {
    /// Prepares a statement. `sql` is the text that it was parsed from, which may hold others. `parameters` are needed
    /// only where a point in time depends on them.
    pub fn prepare<S: Storage>(
        &mut self,
        storage: &S,
        env: &Env,
        now: Timestamp,
        sql: &Arc<str>,
        parsed: Arc<Parsed>,
        parameters: Option<&[Value]>,
    ) -> Result<Prepared> {
        let enforced =
            Enforced { foreign_keys: self.settings.foreign_keys, triggers: self.settings.triggers };
        let case_sensitive_like = self.settings.case_sensitive_like;
        let catalogs = self.catalogs(storage)?;
        let mut cx = BindContext::new(&catalogs, &parsed.ast, sql, env, now);
        cx.parameters = parameters;
        cx.case_sensitive_like = case_sensitive_like;
        let planned = plan(&cx, &parsed.statement, enforced);
        let needs_parameters = cx.needs_parameters.get();
        let (plan, columns) = match planned {
            // What the live catalog does not have, that of the point may: known once the parameters are.
            Err(_) if needs_parameters && parameters.is_none() => (Plan::Unbound, Vec::new()),
            planned => planned?,
        };
        let version = cx.catalog.live().version;
        let asked = cx.asked.take();
        Ok(Prepared {
            plan,
            parsed: Arc::clone(&parsed),
            sql: Arc::clone(sql),
            version,
            undone: self.undone,
            needs_parameters,
            asked,
            columns,
        })
    }
}

/// What changes set off.
#[derive(Clone, Copy)]
struct Enforced {
    foreign_keys: bool,
    triggers: bool,
}

fn plan(
    cx: &BindContext<'_>,
    statement: &Statement,
    enforced: Enforced,
) -> Result<(Plan, Vec<OutputColumn>)> {
    let name = |id: NameId| cx.ast[id].text.clone();
    let none = |plan| Ok((plan, Vec::new()));
    match statement {
        Statement::Select(select) => {
            cx.moments_may_move.set(true);
            let query = Arc::new(bind_select(cx, *select, &[])?);
            let columns = query.columns.clone();
            Ok((Plan::Query(query), columns))
        }
        Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
            let change = compile(cx, statement, &[])?;
            let columns = change.returning().map(|returning| returning.columns.clone()).unwrap_or_default();
            let programs = match enforced.triggers {
                true => trigger::programs_of(cx, &change, enforced.foreign_keys)?,
                false => Programs::default(),
            };
            let direct = Direct::of(&change, &programs, cx.catalog.live()).map(Arc::new);
            Ok((Plan::Change(change, Arc::new(programs), direct), columns))
        }
        Statement::CreateTable(CreateTable { body: TableBody::Select(select), .. }) => {
            none(Plan::Schema(Some(Arc::new(bind_select(cx, *select, &[])?))))
        }
        statement if is_schema_change(statement) => none(Plan::Schema(None)),
        Statement::Begin(mode, as_of) => Ok(match point(cx, *as_of)? {
            Some(at) => (Plan::Transaction(Transaction::Begin(*mode, at)), Vec::new()),
            None => (Plan::Unbound, Vec::new()),
        }),
        Statement::Time(statement) => time_statement(cx, statement),
        Statement::Branch(statement) => branch_statement(cx, statement),
        Statement::Commit => none(Plan::Transaction(Transaction::Commit)),
        Statement::Rollback(None) => none(Plan::Transaction(Transaction::Rollback)),
        Statement::Rollback(Some(to)) => none(Plan::Transaction(Transaction::RollbackTo(name(*to)))),
        Statement::Savepoint(id) => none(Plan::Transaction(Transaction::Savepoint(name(*id)))),
        Statement::Release(id) => none(Plan::Transaction(Transaction::Release(name(*id)))),
        Statement::Pragma { name, value } => {
            if let Some(schema) = name.schema {
                check_schema(cx.ast.text(schema))?;
            }
            let pragma = pragma::prepare(cx.ast.text(name.name), value.clone())?;
            let columns = pragma.columns().iter().map(|name| named_column(name)).collect();
            Ok((Plan::Pragma(pragma), columns))
        }
        Statement::Explain { statement, .. } => {
            let (explained, _) = plan(cx, &cx.ast[*statement], enforced)?;
            let columns = ["id", "parent", "notused", "detail"].into_iter().map(named_column).collect();
            Ok((Plan::Rows(Arc::new(explain_rows(&explained))), columns))
        }
        _ => none(Plan::Nothing),
    }
}

/// The moment of an optional point; `None` outside where it depends on parameters that are not known yet.
fn point(cx: &BindContext<'_>, as_of: Option<AsOf>) -> Result<Option<Option<Timestamp>>> {
    match as_of {
        None => Ok(Some(None)),
        Some(as_of) => Ok(bind_point(cx, as_of)?.map(Some)),
    }
}

fn time_statement(cx: &BindContext<'_>, statement: &TimeStatement) -> Result<(Plan, Vec<OutputColumn>)> {
    let name = |id: NameId| cx.ast[id].text.clone();
    let plan = match statement {
        TimeStatement::RestoreTable { table, to } => return restore(cx, Some(table), *to),
        TimeStatement::RestoreDatabase { to } => return restore(cx, None, *to),
        TimeStatement::DeleteHistory { table, before } => {
            let table = table.as_ref().map(|name| own_table(cx, name)).transpose()?;
            let spaces = table.map(|table| {
                std::iter::once(table.space).chain(table.indexes.iter().map(|index| index.space)).collect()
            });
            point(cx, *before)?.map(|before| Transaction::DeleteHistory { spaces, before })
        }
        TimeStatement::Erase { table, condition } => {
            let table = own_table(cx, table)?.name.clone();
            Some(Transaction::Erase { table, condition: Text::new(condition.of(cx.sql)) })
        }
        TimeStatement::CreateTag { if_not_exists, name: tag, as_of } => point(cx, *as_of)?
            .map(|at| Transaction::CreateTag { name: name(*tag), at, if_not_exists: *if_not_exists }),
        TimeStatement::CreateFeed(feed) => create_feed(cx, feed)?,
        TimeStatement::DropFeed { if_exists, name: feed } => {
            Some(Transaction::DropFeed { name: name(*feed), if_exists: *if_exists })
        }
        TimeStatement::DropTag { if_exists, name: tag } => {
            Some(Transaction::DropTag { name: name(*tag), if_exists: *if_exists })
        }
    };
    Ok((plan.map_or(Plan::Unbound, Plan::Transaction), Vec::new()))
}

fn branch_statement(cx: &BindContext<'_>, statement: &BranchStatement) -> Result<(Plan, Vec<OutputColumn>)> {
    let name = |id: NameId| cx.ast[id].text.clone();
    let pair = |between: Option<(NameId, NameId)>| between.map(|(from, into)| (name(from), name(into)));
    let plan = match statement {
        BranchStatement::Create { if_not_exists, name: branch, from, as_of, options } => {
            let Some(at) = point(cx, *as_of)? else { return Ok((Plan::Unbound, Vec::new())) };
            Transaction::CreateBranch {
                name: name(*branch),
                from: from.map(name),
                at,
                if_not_exists: *if_not_exists,
                ttl: ttl(options)?.flatten(),
                protected: options.protected.unwrap_or(false),
            }
        }
        BranchStatement::Drop { if_exists, name: branch } => {
            Transaction::DropBranch { name: name(*branch), if_exists: *if_exists }
        }
        BranchStatement::Rename { name: branch, to } => {
            Transaction::RenameBranch { name: name(*branch), to: name(*to) }
        }
        BranchStatement::Set { name: branch, options } => {
            Transaction::SetBranch { name: name(*branch), ttl: ttl(options)?, protected: options.protected }
        }
        BranchStatement::Use { name: branch } => Transaction::UseBranch(name(*branch)),
        BranchStatement::Merge { dry_run, from, into, on_conflict } => Transaction::Merge {
            from: name(*from),
            into: name(*into),
            on_conflict: *on_conflict,
            dry_run: *dry_run,
        },
        BranchStatement::Continue { between } => Transaction::ContinueMerge(pair(*between)),
        BranchStatement::Abort { between } => Transaction::AbortMerge(pair(*between)),
    };
    let columns: &[&str] = match plan {
        Transaction::Merge { dry_run: true, .. } => &DRY_RUN,
        _ => &[],
    };
    let columns = columns.iter().map(|name| named_column(name)).collect();
    Ok((Plan::Transaction(plan), columns))
}

/// The columns of what MERGE DRY RUN tells: a row for each change, and for each conflict.
const DRY_RUN: [&str; 7] = ["diff_type", "table", "key", "base", "ours", "theirs", "merged"];

/// The length of time that an option says, in microseconds.
fn ttl(options: &BranchOptions) -> Result<Option<Option<u64>>> {
    let Some(Some(text)) = &options.ttl else { return Ok(options.ttl.as_ref().map(|_| None)) };
    let (number, unit) = text.trim().split_once(' ').unwrap_or((text, ""));
    let seconds = match unit.trim().to_ascii_lowercase().trim_end_matches('s') {
        "second" => Some(1),
        "minute" => Some(60),
        "hour" => Some(3600),
        "day" => Some(86_400),
        "week" => Some(7 * 86_400),
        _ => None,
    };
    let count: Option<u64> = number.trim().parse().ok();
    let micros = seconds.zip(count).and_then(|(seconds, count)| count.checked_mul(seconds * 1_000_000));
    let wrong = || Error::invalid(format!("'{text}' is no length of time: write '48 hours', '7 days' or so"));
    micros.map(|micros| Some(Some(micros))).ok_or_else(wrong)
}

fn create_feed(cx: &BindContext<'_>, feed: &CreateFeed) -> Result<Option<Transaction>> {
    let name = |id: &NameId| cx.ast[*id].text.clone();
    let from = match feed.from {
        FeedFrom::Current => FeedStart::Current,
        FeedFrom::Snapshot => FeedStart::Snapshot,
        FeedFrom::Point(at) => match bind_point(cx, at)? {
            Some(at) => FeedStart::At(at),
            None => return Ok(None),
        },
    };
    let columns = |list: &List<NameId>| {
        let columns: Vec<Text> = cx.ast.list(*list).iter().map(name).collect();
        (!columns.is_empty()).then_some(columns)
    };
    Ok(Some(Transaction::CreateFeed(Feed {
        name: name(&feed.name),
        if_not_exists: feed.if_not_exists,
        from,
        tables: feed.tables.iter().map(|(table, list)| (name(table), columns(list))).collect(),
        max_lag_bytes: feed.max_lag_bytes,
        max_age: feed.max_age,
    })))
}

/// A table of the database as it is now. The statement is bound anew for each run: the schema may be another by then.
fn own_table(cx: &BindContext<'_>, name: &QualifiedName) -> Result<Arc<Table>> {
    cx.needs_parameters.set(true);
    if let Some(schema) = name.schema {
        check_schema(cx.ast.text(schema))?;
    }
    let text = cx.ast.text(name.name);
    let offset = cx.ast[name.name].span.start as usize;
    match cx.catalog.live().table(text) {
        Some(table) if table.made_up => {
            Err(Error::invalid(format!("{text} is made up from the schema")).at_offset(offset))
        }
        Some(table) if table.temporary => {
            Err(Error::invalid(format!("{text} is temporary: it has no versions")).at_offset(offset))
        }
        Some(table) => Ok(Arc::clone(table)),
        None => Err(Error::invalid(format!("no such table: {text}")).at_offset(offset)),
    }
}

/// RESTORE: needs the schema of then, so that it is known only when the point is.
fn restore(
    cx: &BindContext<'_>,
    table: Option<&QualifiedName>,
    to: AsOf,
) -> Result<(Plan, Vec<OutputColumn>)> {
    if let Some(schema) = table.and_then(|table| table.schema) {
        check_schema(cx.ast.text(schema))?;
    }
    let Some(moment) = bind_point(cx, to)? else { return Ok((Plan::Unbound, Vec::new())) };
    let (point, catalog) = cx.catalog.at(moment)?;
    let name = table.map(|table| Text::new(cx.ast.text(table.name)));
    if let Some(name) = &name
        && catalog.table(name).is_none_or(|table| table.made_up || table.temporary)
    {
        let message = format!("no such table: {name} at that time");
        return Err(Error::new(ErrorKind::InvalidInput, Code::AsOfNoTable, message));
    }
    Ok((Plan::Restore(Arc::new(Restore { table: name, point, catalog })), Vec::new()))
}

/// A column of a result that comes from no query.
fn named_column(name: &str) -> OutputColumn {
    OutputColumn {
        name: Text::new(name),
        declared_type: None,
        affinity: Affinity::Blob,
        collation: Collation::Binary,
        origin: None,
        nullable: true,
    }
}
