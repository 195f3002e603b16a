//! Whether a text is a whole statement, for a shell that reads line by line.

use super::token::{Lexer, Token};

/// Whether `sql` ends with a `;` that ends a statement: outside strings and comments, and behind the END of CREATE
/// TRIGGER. Blanks and comments may follow.
#[must_use]
pub fn is_complete(sql: &str) -> bool {
    let mut lexer = Lexer::new(sql, 0);
    let mut state = State::Empty;
    loop {
        let (token, span) = lexer.next(Token::End);
        let open_quote = token == Token::Illegal
            && matches!(sql.as_bytes()[span.start as usize], b'\'' | b'"' | b'`' | b'[');
        match token {
            Token::End => return state == State::Start && !lexer.open_comment(),
            Token::Illegal if open_quote => return false,
            _ => state = state.after(token),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Nothing was read.
    Empty,
    /// Behind the `;` of a statement.
    Start,
    Statement,
    Explain,
    Create,
    Trigger,
    /// Behind a `;` in a trigger.
    TriggerStatement,
    /// Behind `; END` in a trigger.
    TriggerEnd,
}

impl State {
    fn after(self, token: Token) -> State {
        match (self, token) {
            (State::Trigger | State::TriggerStatement, Token::Semicolon) => State::TriggerStatement,
            (State::TriggerStatement, Token::EndKeyword) => State::TriggerEnd,
            (_, Token::Semicolon) => State::Start,
            (State::Trigger | State::TriggerStatement | State::TriggerEnd, _) => State::Trigger,
            (State::Empty | State::Start, Token::Explain) => State::Explain,
            (State::Explain, Token::Query | Token::Plan) => State::Explain,
            (State::Empty | State::Start | State::Explain, Token::Create) => State::Create,
            (State::Create, Token::Temp | Token::Temporary) => State::Create,
            (State::Create, Token::Trigger) => State::Trigger,
            _ => State::Statement,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_complete_at_its_semicolon() {
        for sql in [
            ";",
            "SELECT 1;",
            "SELECT 1; -- and",
            "SELECT ';'; /* x */",
            "a;b;",
            "EXPLAIN QUERY PLAN SELECT 1;",
        ] {
            assert!(is_complete(sql), "{sql}");
        }
    }

    #[test]
    fn a_statement_is_incomplete_inside_strings_and_comments() {
        let open = [
            "",
            " ",
            "SELECT 1",
            "SELECT ';",
            "SELECT 1 -- ;",
            "SELECT 1 /* ;",
            "SELECT \";",
            "SELECT [;",
            "x;y",
            "SELECT 1; /* open",
        ];
        for sql in open {
            assert!(!is_complete(sql), "{sql}");
        }
    }

    #[test]
    fn a_trigger_is_complete_behind_its_end() {
        let trigger =
            "CREATE TEMP TRIGGER a AFTER INSERT ON t BEGIN SELECT CASE WHEN 1 THEN 2 END; SELECT 2; ";
        assert!(!is_complete(trigger));
        assert!(!is_complete(&format!("{trigger} END")));
        assert!(is_complete(&format!("{trigger} END;")));
        assert!(is_complete("CREATE TABLE trigger(a);"));
    }
}
