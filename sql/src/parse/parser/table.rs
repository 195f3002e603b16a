//! CREATE TABLE and ALTER TABLE: columns, types, constraints.

use dosql_base::{Error, Result};

use super::{MAX_COLUMNS, Parser};
use crate::parse::ast::{
    AlterAction, ColumnConstraint, ColumnConstraintKind, ColumnDefinition, CreateTable, ExprId, ExprKind,
    ForeignKeyAction, ForeignKeyClause, List, Name, NameId, QualifiedName, Statement, TableBody,
    TableConstraint, TableConstraintKind, UnaryOp, VersioningClause,
};
use crate::parse::token::Token;
use crate::value::{Text, Value};

impl Parser<'_> {
    /// `TABLE [IF NOT EXISTS] name (..) | AS SELECT ..`, behind CREATE [TEMP].
    pub(super) fn create_table(&mut self, temporary: bool) -> Result<Statement> {
        self.expect(Token::Table)?;
        let if_not_exists = self.if_not_exists()?;
        let name = self.qualified_name()?;
        let body =
            if self.eat(Token::As) { TableBody::Select(self.select()?) } else { self.table_body(name)? };
        Ok(Statement::CreateTable(CreateTable { temporary, if_not_exists, name, body }))
    }

    fn table_body(&mut self, table: QualifiedName) -> Result<TableBody> {
        self.expect(Token::LeftParen)?;
        let mut columns = Vec::new();
        let mut constraints = Vec::new();
        loop {
            columns.push(self.column_definition()?);
            if columns.len() > MAX_COLUMNS {
                let message = format!("too many columns on {}", self.ast.text(table.name));
                return Err(Error::limit(message).at_offset(self.span.start as usize));
            }
            if !self.eat(Token::Comma) {
                break;
            }
            if self.at_table_constraint() {
                constraints = self.table_constraints()?;
                break;
            }
        }
        self.expect(Token::RightParen)?;
        let close = self.span_from(self.end.saturating_sub(1));
        let (without_rowid, strict, versioning) = self.table_options()?;
        let columns = self.ast.add_list(columns);
        let constraints = self.ast.add_list(constraints);
        Ok(TableBody::Columns { columns, constraints, without_rowid, strict, versioning, end: close })
    }

    /// `[WITHOUT ROWID] [, STRICT] [WITH | WITHOUT SYSTEM VERSIONING ..]` in any order; as in SQLite, a comma may come first. None is needed in
    /// front of the last.
    fn table_options(&mut self) -> Result<(bool, bool, Option<VersioningClause>)> {
        let (mut without_rowid, mut strict, mut versioning) = (false, false, None);
        if matches!(self.token, Token::End | Token::Semicolon) {
            return Ok((without_rowid, strict, versioning));
        }
        self.eat(Token::Comma);
        loop {
            let place = self.span;
            if self.at_versioning() {
                let start = self.span.start;
                if versioning.is_some() {
                    return Err(self.error_at(place, "SYSTEM VERSIONING is said twice"));
                }
                versioning = Some((self.versioning()?, self.span_from(start)));
            } else if self.eat(Token::Without) {
                let option = self.text();
                let known = option.eq_ignore_ascii_case("ROWID");
                self.name()?;
                without_rowid |= known;
                if !known {
                    return Err(self.error_at(place, format!("unknown table option: {option}")));
                }
            } else {
                let known = self.text().eq_ignore_ascii_case("STRICT");
                let option = self.text();
                self.name()?;
                strict |= known;
                if !known {
                    return Err(self.error_at(place, format!("unknown table option: {option}")));
                }
            }
            if !self.eat(Token::Comma) && !self.at_versioning() {
                return Ok((without_rowid, strict, versioning));
            }
        }
    }

    /// `name [type] [constraint ..]`
    fn column_definition(&mut self) -> Result<ColumnDefinition> {
        let start = self.span.start;
        let name = self.name()?;
        let type_name = self.type_name()?;
        let mut constraints = Vec::new();
        let mut constraint_name = None;
        loop {
            let start = self.span.start;
            if self.eat(Token::Constraint) {
                constraint_name = Some((self.name()?, start));
                continue;
            }
            if self.at_deferrable() {
                self.defer(&mut constraints)?;
                continue;
            }
            let Some(kind) = self.column_constraint(name)? else { break };
            let (name, start) = match constraint_name.take() {
                Some((name, start)) => (Some(name), start),
                None => (None, start),
            };
            constraints.push(ColumnConstraint { name, kind, span: self.span_from(start) });
        }
        let constraints = self.ast.add_list(constraints);
        Ok(ColumnDefinition { name, type_name, constraints, span: self.span_from(start) })
    }

    fn at_deferrable(&mut self) -> bool {
        self.at(Token::Deferrable) || (self.at(Token::Not) && self.peek() == Token::Deferrable)
    }

    /// A DEFERRABLE clause that stands apart belongs to the last REFERENCES in front of it.
    fn defer(&mut self, constraints: &mut [ColumnConstraint]) -> Result<()> {
        let deferred = self.deferrable()?;
        let reference = constraints.iter_mut().rev().find_map(|constraint| match &mut constraint.kind {
            ColumnConstraintKind::References(clause) => Some(clause),
            _ => None,
        });
        if let Some(clause) = reference {
            clause.deferred = deferred;
        }
        Ok(())
    }

    /// `[word .. [(number [, number])]]`. Any word may be part of a type, so the words GENERATED ALWAYS behind one come
    /// with it and are cut off.
    pub(super) fn type_name(&mut self) -> Result<Option<NameId>> {
        let start = self.span.start;
        let mut words = 0;
        while self.token.is_id() || self.at(Token::String) {
            if self.at_word("MERGE") && self.peek() == Token::Add {
                break;
            }
            self.advance();
            words += 1;
        }
        if words == 0 {
            return Ok(None);
        }
        if self.eat(Token::LeftParen) {
            self.type_argument()?;
            if self.eat(Token::Comma) {
                self.type_argument()?;
            }
            self.expect(Token::RightParen)?;
        }
        let span = self.span_from(start);
        let mut words: Vec<&str> = span.of(self.sql).split_ascii_whitespace().collect();
        if let [.., first, second] = words[..]
            && first.eq_ignore_ascii_case("GENERATED")
            && second.eq_ignore_ascii_case("ALWAYS")
        {
            words.truncate(words.len() - 2);
            if words.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some(self.ast.add(Name { text: Text::from(words.join(" ")), quoted: false, span })))
    }

    fn type_argument(&mut self) -> Result<()> {
        if !self.eat(Token::Plus) {
            self.eat(Token::Minus);
        }
        self.expect_plain_number()
    }

    fn column_constraint(&mut self, column: NameId) -> Result<Option<ColumnConstraintKind>> {
        let token = self.token;
        if self.at_word("MERGE") && self.peek() == Token::Add {
            self.advance();
            self.advance();
            return Ok(Some(ColumnConstraintKind::MergeAdd));
        }
        match token {
            Token::Primary
            | Token::Not
            | Token::Null
            | Token::Unique
            | Token::Check
            | Token::Default
            | Token::Collate
            | Token::References
            | Token::Generated
            | Token::As => self.advance(),
            _ => return Ok(None),
        }
        Ok(Some(match token {
            Token::Primary => {
                self.expect(Token::Key)?;
                let descending = self.descending();
                let conflict = self.on_conflict()?;
                let autoincrement = self.eat(Token::Autoincrement);
                ColumnConstraintKind::PrimaryKey { descending, conflict, autoincrement }
            }
            Token::Not => {
                self.expect(Token::Null)?;
                ColumnConstraintKind::NotNull { conflict: self.on_conflict()? }
            }
            Token::Null => {
                self.on_conflict()?;
                ColumnConstraintKind::Null
            }
            Token::Unique => ColumnConstraintKind::Unique { conflict: self.on_conflict()? },
            Token::Check => ColumnConstraintKind::Check(self.expression_in_parens()?),
            Token::Default => ColumnConstraintKind::Default(self.default_value()?),
            Token::Collate => ColumnConstraintKind::Collate(self.id_or_string()?),
            Token::References => ColumnConstraintKind::References(self.foreign_key_clause()?),
            _ => self.generated(column, token)?,
        }))
    }

    /// `[GENERATED ALWAYS] AS (expr) [STORED | VIRTUAL]`, behind its first word.
    fn generated(&mut self, column: NameId, first: Token) -> Result<ColumnConstraintKind> {
        if first == Token::Generated {
            self.expect_all(&[Token::Always, Token::As])?;
        }
        let expr = self.expression_in_parens()?;
        let stored = self.at_word("STORED");
        if self.token.is_id() {
            if !stored && !self.at(Token::Virtual) {
                let message = format!("error in generated column \"{}\"", self.ast.text(column));
                return Err(self.error_at(self.span, message));
            }
            self.advance();
        }
        Ok(ColumnConstraintKind::Generated { expr, stored })
    }

    /// `(expr)`: the expression's span leaves out the parentheses.
    fn expression_in_parens(&mut self) -> Result<ExprId> {
        self.expect(Token::LeftParen)?;
        let expr = self.expression()?;
        self.expect(Token::RightParen)?;
        Ok(expr)
    }

    /// A literal, a signed one, `(expr)`, or a word, which stands for a string unless it is TRUE or FALSE.
    fn default_value(&mut self) -> Result<ExprId> {
        let start = self.span;
        match self.token {
            Token::LeftParen => self.expression_in_parens(),
            Token::Plus => {
                self.advance();
                let operand = self.default_term()?;
                self.add(ExprKind::Unary { op: UnaryOp::Plus, operand }, self.span_from(start.start), 1)
            }
            Token::Minus => {
                self.advance();
                let operand = self.default_term()?;
                let span = self.span_from(start.start);
                if self.smallest_integer == Some(operand) {
                    return self.add(ExprKind::Literal(Value::Integer(i64::MIN)), span, 0);
                }
                self.add(ExprKind::Unary { op: UnaryOp::Negate, operand }, span, 1)
            }
            Token::CurrentDate | Token::CurrentTime | Token::CurrentTimestamp => self.current_time(),
            token if token.is_id() || token == Token::Indexed => {
                let column = self.take_name();
                let Name { text, quoted, .. } = &self.ast[column];
                let truth = text.eq_ignore_ascii_case("TRUE") || text.eq_ignore_ascii_case("FALSE");
                let kind = if truth && !quoted {
                    ExprKind::Column { schema: None, table: None, column }
                } else {
                    ExprKind::Literal(Value::Text(text.clone()))
                };
                self.add(kind, start, 0)
            }
            _ => self.literal(),
        }
    }

    fn default_term(&mut self) -> Result<ExprId> {
        match self.token {
            Token::CurrentDate | Token::CurrentTime | Token::CurrentTimestamp => self.current_time(),
            _ => self.literal(),
        }
    }

    /// `table [(columns)] [ON .. | MATCH ..] [[NOT] DEFERRABLE ..]`, behind REFERENCES.
    fn foreign_key_clause(&mut self) -> Result<ForeignKeyClause> {
        let table = self.name()?;
        let columns = self.column_names()?;
        let (mut on_delete, mut on_update) = (ForeignKeyAction::NoAction, ForeignKeyAction::NoAction);
        loop {
            if self.eat(Token::Match) {
                self.name()?;
                continue;
            }
            if !self.eat(Token::On) {
                break;
            }
            let event = self.token;
            if !matches!(event, Token::Delete | Token::Update | Token::Insert) {
                return Err(self.syntax_error());
            }
            self.advance();
            let action = self.foreign_key_action()?;
            match event {
                Token::Delete => on_delete = action,
                Token::Update => on_update = action,
                _ => {}
            }
        }
        let deferrable =
            self.at(Token::Deferrable) || (self.at(Token::Not) && self.peek() == Token::Deferrable);
        let deferred = deferrable && self.deferrable()?;
        Ok(ForeignKeyClause { table, columns, on_delete, on_update, deferred })
    }

    fn foreign_key_action(&mut self) -> Result<ForeignKeyAction> {
        let token = self.token;
        self.advance_if(&[Token::Set, Token::Cascade, Token::Restrict, Token::No])?;
        Ok(match token {
            Token::Cascade => ForeignKeyAction::Cascade,
            Token::Restrict => ForeignKeyAction::Restrict,
            Token::No => {
                self.expect(Token::Action)?;
                ForeignKeyAction::NoAction
            }
            _ if self.eat(Token::Null) => ForeignKeyAction::SetNull,
            _ => {
                self.expect(Token::Default)?;
                ForeignKeyAction::SetDefault
            }
        })
    }

    /// Passes one of `tokens`, or it is a mistake.
    pub(super) fn advance_if(&mut self, tokens: &[Token]) -> Result<()> {
        if !tokens.contains(&self.token) {
            return Err(self.syntax_error());
        }
        self.advance();
        Ok(())
    }

    /// `[NOT] DEFERRABLE [INITIALLY DEFERRED | IMMEDIATE]`: whether the check waits for the commit.
    fn deferrable(&mut self) -> Result<bool> {
        let not = self.eat(Token::Not);
        self.expect(Token::Deferrable)?;
        if !self.eat(Token::Initially) {
            return Ok(false);
        }
        let deferred = self.at(Token::Deferred);
        self.advance_if(&[Token::Deferred, Token::Immediate])?;
        Ok(deferred && !not)
    }

    fn at_table_constraint(&self) -> bool {
        matches!(
            self.token,
            Token::Constraint | Token::Primary | Token::Unique | Token::Check | Token::Foreign
        )
    }

    /// Constraints with or without commas between them.
    fn table_constraints(&mut self) -> Result<Vec<TableConstraint>> {
        let mut constraints = Vec::new();
        let mut constraint_name = None;
        loop {
            let start = self.span.start;
            if self.eat(Token::Constraint) {
                constraint_name = Some((self.name()?, start));
            } else {
                let kind = self.table_constraint()?;
                let (name, start) = match constraint_name.take() {
                    Some((name, start)) => (Some(name), start),
                    None => (None, start),
                };
                constraints.push(TableConstraint { name, kind, span: self.span_from(start) });
            }
            if self.eat(Token::Comma) {
                constraint_name = None;
            } else if !self.at_table_constraint() {
                return Ok(constraints);
            }
        }
    }

    fn table_constraint(&mut self) -> Result<TableConstraintKind> {
        let token = self.token;
        self.advance_if(&[Token::Primary, Token::Unique, Token::Check, Token::Foreign])?;
        if matches!(token, Token::Primary | Token::Foreign) {
            self.expect(Token::Key)?;
        }
        match token {
            Token::Check => {
                let check = self.expression_in_parens()?;
                self.on_conflict()?;
                Ok(TableConstraintKind::Check(check))
            }
            Token::Foreign => {
                if !self.at(Token::LeftParen) {
                    return Err(self.syntax_error());
                }
                let columns = self.column_names()?;
                self.expect(Token::References)?;
                Ok(TableConstraintKind::ForeignKey { columns, clause: self.foreign_key_clause()? })
            }
            _ => {
                self.expect(Token::LeftParen)?;
                let columns = self.index_terms()?;
                let autoincrement = token == Token::Primary && self.eat(Token::Autoincrement);
                self.expect(Token::RightParen)?;
                let conflict = self.on_conflict()?;
                Ok(if token == Token::Primary {
                    TableConstraintKind::PrimaryKey { columns, conflict, autoincrement }
                } else {
                    TableConstraintKind::Unique { columns, conflict }
                })
            }
        }
    }

    /// ALTER TABLE
    pub(super) fn alter_table(&mut self) -> Result<Statement> {
        self.expect_all(&[Token::Alter, Token::Table])?;
        let table = self.qualified_name()?;
        if self.at(Token::Set) && self.before_versioning() {
            self.advance();
            let start = self.span.start;
            let versioning = self.versioning()?;
            let action = AlterAction::SetVersioning(versioning, self.span_from(start));
            return Ok(Statement::AlterTable { table, action });
        }
        let verb = self.token;
        self.advance_if(&[Token::Rename, Token::Add, Token::Drop])?;
        let action = if verb == Token::Rename && self.eat(Token::To) {
            AlterAction::RenameTable(self.name()?)
        } else {
            self.eat(Token::Column);
            match verb {
                Token::Rename => {
                    let from = self.name()?;
                    self.expect(Token::To)?;
                    AlterAction::RenameColumn { from, to: self.name()? }
                }
                Token::Add => {
                    let column = self.column_definition()?;
                    AlterAction::AddColumn(self.ast.add(column))
                }
                _ => AlterAction::DropColumn(self.name()?),
            }
        };
        Ok(Statement::AlterTable { table, action })
    }

    /// The list of `(..)` of an index, a key or an upsert's target.
    pub(super) fn index_terms(&mut self) -> Result<List<crate::parse::ast::OrderTerm>> {
        let place = self.span;
        let terms = self.order_terms()?;
        let nulls = self.ast.list(terms).iter().find_map(|term| term.nulls_first);
        match nulls {
            None => Ok(terms),
            Some(first) => {
                let which = if first { "FIRST" } else { "LAST" };
                Err(self.error_at(place, format!("unsupported use of NULLS {which}")))
            }
        }
    }
}
