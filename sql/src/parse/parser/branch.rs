//! The statements about branches.

use dosql_base::Result;

use super::Parser;
use crate::parse::ast::{BranchOptions, BranchStatement, NameId, OnMergeConflict, Statement};
use crate::parse::token::Token;

impl Parser<'_> {
    /// `BRANCH [IF NOT EXISTS] name [FROM parent] [AS OF point] [WITH (option, ..)]`, behind CREATE.
    pub(super) fn create_branch(&mut self) -> Result<Statement> {
        self.expect_word("BRANCH")?;
        let if_not_exists = self.if_not_exists()?;
        let name = self.name()?;
        let from = if self.eat(Token::From) { Some(self.name()?) } else { None };
        let as_of = self.as_of()?;
        let options = if self.eat(Token::With) { self.branch_options()? } else { BranchOptions::default() };
        Ok(Statement::Branch(BranchStatement::Create { if_not_exists, name, from, as_of, options }))
    }

    /// `BRANCH [IF EXISTS] name`, behind DROP.
    pub(super) fn drop_branch(&mut self) -> Result<Statement> {
        self.expect_word("BRANCH")?;
        let if_exists = self.if_exists()?;
        Ok(Statement::Branch(BranchStatement::Drop { if_exists, name: self.name()? }))
    }

    /// `ALTER BRANCH name RENAME TO other | SET (option, ..)`
    pub(super) fn alter_branch(&mut self) -> Result<Statement> {
        self.expect(Token::Alter)?;
        self.expect_word("BRANCH")?;
        let name = self.name()?;
        let statement = if self.eat(Token::Rename) {
            self.expect(Token::To)?;
            BranchStatement::Rename { name, to: self.name()? }
        } else {
            self.expect(Token::Set)?;
            BranchStatement::Set { name, options: self.branch_options()? }
        };
        Ok(Statement::Branch(statement))
    }

    /// `(ttl = 'n units' | NULL, protected [= 0 | 1])`
    fn branch_options(&mut self) -> Result<BranchOptions> {
        self.expect(Token::LeftParen)?;
        let mut options = BranchOptions::default();
        loop {
            if self.at_word("TTL") {
                self.advance();
                self.expect(Token::Equal)?;
                options.ttl = Some(if self.eat(Token::Null) {
                    None
                } else {
                    let text = self.id_or_string()?;
                    Some(self.ast[text].text.clone())
                });
            } else {
                self.expect_word("PROTECTED")?;
                let mut protected = true;
                if self.eat(Token::Equal) {
                    let text = self.span.of(self.sql);
                    protected = !matches!(text.to_ascii_lowercase().as_str(), "0" | "false" | "off" | "no");
                    self.advance();
                }
                options.protected = Some(protected);
            }
            if !self.eat(Token::Comma) {
                break;
            }
        }
        self.expect(Token::RightParen)?;
        Ok(options)
    }

    /// `USE BRANCH name`
    pub(super) fn use_branch(&mut self) -> Result<Statement> {
        self.expect_word("USE")?;
        self.expect_word("BRANCH")?;
        Ok(Statement::Branch(BranchStatement::Use { name: self.name()? }))
    }

    /// `MERGE [DRY RUN] BRANCH from INTO into [ON CONFLICT ABORT | OURS | THEIRS | STORE]`
    pub(super) fn merge(&mut self) -> Result<Statement> {
        self.expect_word("MERGE")?;
        let dry_run = self.at_word("DRY");
        if dry_run {
            self.advance();
            self.expect_word("RUN")?;
        }
        let (from, into) = self.branch_into()?;
        let mut on_conflict = OnMergeConflict::Abort;
        if self.eat(Token::On) {
            self.expect(Token::Conflict)?;
            on_conflict = match self.span.of(self.sql).to_ascii_uppercase().as_str() {
                "ABORT" => OnMergeConflict::Abort,
                "OURS" => OnMergeConflict::Ours,
                "THEIRS" => OnMergeConflict::Theirs,
                "STORE" => OnMergeConflict::Store,
                _ => return Err(self.syntax_error()),
            };
            self.advance();
        }
        Ok(Statement::Branch(BranchStatement::Merge { dry_run, from, into, on_conflict }))
    }

    /// `BRANCH from INTO into`
    fn branch_into(&mut self) -> Result<(NameId, NameId)> {
        self.expect_word("BRANCH")?;
        let from = self.name()?;
        self.expect(Token::Into)?;
        Ok((from, self.name()?))
    }

    /// `CONTINUE MERGE | ABORT MERGE`, each with `[BRANCH from INTO into]`
    pub(super) fn end_merge(&mut self) -> Result<Statement> {
        let abort = self.at(Token::Abort);
        self.advance();
        self.expect_word("MERGE")?;
        let between = if self.at_word("BRANCH") { Some(self.branch_into()?) } else { None };
        Ok(Statement::Branch(match abort {
            true => BranchStatement::Abort { between },
            false => BranchStatement::Continue { between },
        }))
    }
}
