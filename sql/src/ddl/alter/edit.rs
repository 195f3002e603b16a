//! Changes of a text, collected and then made all at once.

use dosql_base::Result;

use crate::ddl::create_table::always_quoted;
use crate::parse::ast::{Ast, Name, Span};
use crate::value::Text;

/// Replacements of parts of a text.
#[derive(Debug, Default)]
pub(super) struct Edits(Vec<(Span, String)>);

impl Edits {
    /// Puts `text` in the place of `span`.
    pub(super) fn replace(&mut self, span: Span, text: impl Into<String>) {
        if !self.0.iter().any(|(known, _)| *known == span) {
            self.0.push((span, text.into()));
        }
    }

    /// Puts `text` behind `span`.
    pub(super) fn insert_after(&mut self, span: Span, text: impl Into<String>) {
        self.replace(Span { start: span.end, end: span.end }, text);
    }

    /// Puts another name in the place of one: as it is where both were written without quotes, else quoted.
    pub(super) fn rename(&mut self, old: &Name, new: &Name) {
        let text = if old.quoted || new.quoted { always_quoted(&new.text) } else { new.text.to_string() };
        self.replace(old.span, text);
    }

    /// Forgets the replacements of certain parts.
    pub(super) fn remove(&mut self, mut unwanted: impl FnMut(Span) -> bool) {
        self.0.retain(|(span, _)| !unwanted(*span));
    }

    /// Takes over the replacements of `other`.
    pub(super) fn append(&mut self, other: Edits) {
        for (span, text) in other.0 {
            self.replace(span, text);
        }
    }

    /// The text with all replacements made.
    pub(super) fn apply(mut self, sql: &str) -> Result<Text> {
        self.0.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
        let mut out = sql.to_owned();
        for (span, text) in self.0 {
            let range = span.start as usize..span.end as usize;
            if out.get(range.clone()).is_none() {
                return Err(dosql_base::Error::corrupt("a name lies outside of its stored text", "catalog"));
            }
            // Two names must not grow together: SELECT"a" has no blank that an unquoted name could do without.
            let before = out[..range.start].chars().next_back();
            let glued = before.is_some_and(|c| c.is_alphanumeric() || c == '_')
                && text.chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_');
            let blank = if glued && range.start < range.end { " " } else { "" };
            out.replace_range(range, &format!("{blank}{text}"));
        }
        Ok(Text::from(out))
    }
}

/// The names of a tree that read `text`.
pub(super) fn names_like<'a>(ast: &'a Ast, text: &str) -> impl Iterator<Item = &'a Name> {
    ast.names.iter().filter(move |name| name.text.eq_ignore_ascii_case(text))
}
