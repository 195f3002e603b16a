//! CREATE INDEX, VIEW and TRIGGER, and DROP.

use dosql_base::Result;

use super::Parser;
use crate::parse::ast::{
    CreateIndex, CreateTrigger, CreateView, List, SchemaObject, Statement, TriggerEvent, TriggerTime, With,
};
use crate::parse::token::Token;

impl Parser<'_> {
    /// CREATE ..
    pub(super) fn create(&mut self) -> Result<Statement> {
        self.expect(Token::Create)?;
        if matches!(self.token, Token::Unique | Token::Index) {
            return self.create_index();
        }
        if self.at_word("TAG") {
            return self.create_tag();
        }
        if self.at_word("BRANCH") {
            return self.create_branch();
        }
        if self.at_word("FEED") {
            return self.create_feed();
        }
        if self.at(Token::Virtual) {
            return Err(self.unsupported("virtual tables are not supported"));
        }
        let temporary = self.eat(Token::Temp) || self.eat(Token::Temporary);
        match self.token {
            Token::Table => self.create_table(temporary),
            Token::View => self.create_view(temporary),
            Token::Trigger => self.create_trigger(temporary),
            _ => Err(self.syntax_error()),
        }
    }

    /// `[IF NOT EXISTS]`
    pub(super) fn if_not_exists(&mut self) -> Result<bool> {
        let found = self.eat(Token::If);
        if found {
            self.expect_all(&[Token::Not, Token::Exists])?;
        }
        Ok(found)
    }

    fn create_index(&mut self) -> Result<Statement> {
        let unique = self.eat(Token::Unique);
        self.expect(Token::Index)?;
        let if_not_exists = self.if_not_exists()?;
        let name = self.qualified_name()?;
        self.expect(Token::On)?;
        let table = self.name()?;
        self.expect(Token::LeftParen)?;
        let columns = self.index_terms()?;
        self.expect(Token::RightParen)?;
        let filter = self.filter_clause()?;
        self.refuse_parameters("parameters prohibited in index expressions")?;
        Ok(Statement::CreateIndex(CreateIndex { unique, if_not_exists, name, table, columns, filter }))
    }

    fn create_view(&mut self, temporary: bool) -> Result<Statement> {
        self.expect(Token::View)?;
        let if_not_exists = self.if_not_exists()?;
        let name = self.qualified_name()?;
        let columns = self.column_names()?;
        self.expect(Token::As)?;
        let select = self.select()?;
        self.refuse_parameters("parameters are not allowed in views")?;
        Ok(Statement::CreateView(CreateView { temporary, if_not_exists, name, columns, select }))
    }

    /// The schema has nobody to ask for values.
    fn refuse_parameters(&self, message: &str) -> Result<()> {
        if self.ast.parameters.is_empty() { Ok(()) } else { Err(self.error_at(self.span, message)) }
    }

    fn create_trigger(&mut self, temporary: bool) -> Result<Statement> {
        self.expect(Token::Trigger)?;
        let if_not_exists = self.if_not_exists()?;
        let name = self.qualified_name()?;
        let time = self.trigger_time()?;
        let event = self.trigger_event()?;
        self.expect(Token::On)?;
        let table = self.qualified_name()?;
        if self.at(Token::For) {
            self.expect_all(&[Token::For, Token::Each, Token::Row])?;
        }
        let when = if self.eat(Token::When) { Some(self.expression()?) } else { None };
        self.expect(Token::Begin)?;
        self.in_trigger = true;
        let body = self.trigger_body()?;
        self.in_trigger = false;
        self.expect(Token::EndKeyword)?;
        self.refuse_parameters("trigger cannot use variables")?;
        let trigger = CreateTrigger { temporary, if_not_exists, name, time, event, table, when, body };
        Ok(Statement::CreateTrigger(trigger))
    }

    fn trigger_time(&mut self) -> Result<TriggerTime> {
        if self.eat(Token::After) {
            return Ok(TriggerTime::After);
        }
        if self.eat(Token::Instead) {
            self.expect(Token::Of)?;
            return Ok(TriggerTime::InsteadOf);
        }
        self.eat(Token::Before);
        Ok(TriggerTime::Before)
    }

    fn trigger_event(&mut self) -> Result<TriggerEvent> {
        let event = match self.token {
            Token::Insert => TriggerEvent::Insert,
            Token::Delete => TriggerEvent::Delete,
            Token::Update => TriggerEvent::Update(List::EMPTY),
            _ => return Err(self.syntax_error()),
        };
        self.advance();
        if matches!(event, TriggerEvent::Update(_)) && self.eat(Token::Of) {
            return Ok(TriggerEvent::Update(self.names(|_, _| Ok(()))?));
        }
        Ok(event)
    }

    /// `statement; ..` up to END, at least one.
    fn trigger_body(&mut self) -> Result<List<Statement>> {
        let start = self.ast.open_list::<Statement>();
        loop {
            let statement = match self.token {
                Token::Insert | Token::Replace => self.insert(With::default())?,
                Token::Update => self.update(With::default())?,
                Token::Delete => self.delete(With::default())?,
                _ => Statement::Select(self.select()?),
            };
            self.ast.push(statement);
            self.expect(Token::Semicolon)?;
            if self.at(Token::EndKeyword) {
                return Ok(self.ast.close_list(start));
            }
        }
    }

    /// `[IF EXISTS]`, behind what is dropped.
    pub(super) fn if_exists(&mut self) -> Result<bool> {
        let there = self.eat(Token::If);
        if there {
            self.expect(Token::Exists)?;
        }
        Ok(there)
    }

    /// DROP ..
    pub(super) fn drop_object(&mut self) -> Result<Statement> {
        self.expect(Token::Drop)?;
        if self.at_word("FEED") {
            return self.drop_feed();
        }
        if self.at_word("TAG") {
            return self.drop_tag();
        }
        if self.at_word("BRANCH") {
            return self.drop_branch();
        }
        let object = match self.token {
            Token::Table => SchemaObject::Table,
            Token::Index => SchemaObject::Index,
            Token::View => SchemaObject::View,
            Token::Trigger => SchemaObject::Trigger,
            _ => return Err(self.syntax_error()),
        };
        self.advance();
        let if_exists = self.if_exists()?;
        Ok(Statement::Drop { object, if_exists, name: self.qualified_name()? })
    }
}
