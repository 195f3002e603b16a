//! Names of schema objects: which are taken, where a new object goes, how its text is stored.

use dosql_base::{Error, Result};

use super::Ddl;
use crate::catalog::load::lower;
use crate::catalog::schema::SpaceId;
use crate::catalog::store::{
    CATALOG_SPACE, Counters, END_OF_SPACES, Object, ObjectKind, delete_object, put_object, read_counters,
    write_counters,
};
use crate::catalog::temp;
use crate::parse::ast::{NameId, QualifiedName};
use crate::storage::{Point, Storage};
use crate::value::Text;

impl<S: Storage> Ddl<'_, '_, '_, S> {
    /// The name as written.
    pub(super) fn name(&self, name: NameId) -> Text {
        self.parsed.ast[name].text.clone()
    }

    /// Where a name stands in the text.
    pub(super) fn offset(&self, name: NameId) -> usize {
        self.parsed.ast[name].span.start as usize
    }

    /// Whether a new object is temporary, by the word TEMP and by the schema in front of its name.
    pub(super) fn is_temporary(&self, temporary: bool, name: &QualifiedName) -> Result<bool> {
        let Some(schema) = name.schema else { return Ok(temporary) };
        let (place, schema) = (self.offset(schema), self.name(schema));
        match schema.as_str() {
            s if s.eq_ignore_ascii_case("temp") => Ok(true),
            _ if temporary => Err(Error::invalid("temporary table name must be unqualified")),
            s if s.eq_ignore_ascii_case("main") => Ok(false),
            _ => Err(Error::invalid(format!("unknown database {schema}")).at_offset(place)),
        }
    }

    /// Fails where the schema in front of a name is none.
    pub(super) fn check_schema(&self, name: &QualifiedName) -> Result<()> {
        self.is_temporary(false, name).map(|_| ())
    }

    /// Fails for names that belong to the system.
    pub(super) fn check_reserved(&self, name: NameId) -> Result<()> {
        let text = self.name(name);
        if lower(&text).starts_with("sqlite_") {
            return Err(Error::invalid(format!("object name reserved for internal use: {text}"))
                .at_offset(self.offset(name)));
        }
        Ok(())
    }

    /// Whether a new object's name is taken: an error, or true where IF NOT EXISTS lets it pass.
    pub(super) fn is_taken(&self, name: NameId, temporary: bool, if_not_exists: bool) -> Result<bool> {
        let text = self.name(name);
        let taken = |kinds: &[ObjectKind]| {
            self.machine.catalog.objects.iter().find(|object| {
                kinds.contains(&object.kind)
                    && temp::is_temporary(object.sequence) == temporary
                    && object.name.eq_ignore_ascii_case(&text)
            })
        };
        let offset = self.offset(name);
        if let Some(object) = taken(&[ObjectKind::Table, ObjectKind::View]) {
            if if_not_exists {
                return Ok(true);
            }
            let kind = object.kind.name();
            return Err(Error::invalid(format!("{kind} {text} already exists")).at_offset(offset));
        }
        if taken(&[ObjectKind::Index]).is_some() {
            return Err(Error::invalid(format!("there is already an index named {text}")).at_offset(offset));
        }
        Ok(false)
    }

    /// The text to store for a CREATE statement: `start`, then everything from the name on.
    pub(super) fn stored_text(&self, start: &str, name: NameId) -> Text {
        let from = self.offset(name);
        let body = self.cx.sql.get(from..self.parsed.span.end as usize).unwrap_or_default();
        Text::from(format!("{start} {}", body.trim_end()))
    }

    fn catalog_space(temporary: bool) -> SpaceId {
        if temporary { temp::CATALOG } else { CATALOG_SPACE }
    }

    fn counters(&self, temporary: bool) -> Result<Counters> {
        let mut counters =
            read_counters(&*self.machine.storage, Point::Live, Self::catalog_space(temporary))?;
        if temporary {
            counters.next_space = counters.next_space.max(temp::CATALOG + 16);
            counters.next_sequence = counters.next_sequence.max(temp::FIRST_SEQUENCE);
        }
        Ok(counters)
    }

    /// Takes the next space.
    pub(super) fn new_space(&mut self, temporary: bool) -> Result<SpaceId> {
        let mut counters = self.counters(temporary)?;
        let space = counters.next_space;
        let end = if temporary { SpaceId::MAX } else { END_OF_SPACES };
        if space >= end {
            return Err(Error::limit("the database has had as many tables and indexes as it can number"));
        }
        counters.next_space += 1;
        write_counters(self.machine.storage, Self::catalog_space(temporary), &counters)?;
        Ok(space)
    }

    /// Stores a new object; its sequence is the next.
    pub(super) fn add_object(&mut self, mut object: Object, temporary: bool) -> Result<()> {
        let mut counters = self.counters(temporary)?;
        object.sequence = counters.next_sequence;
        counters.next_sequence = counters
            .next_sequence
            .checked_add(1)
            .filter(|next| temporary || *next < temp::FIRST_SEQUENCE)
            .ok_or_else(|| Error::limit("the database has had as many schema objects as it can number"))?;
        counters.version += 1;
        write_counters(self.machine.storage, Self::catalog_space(temporary), &counters)?;
        put_object(self.machine.storage, Self::catalog_space(temporary), &object)
    }

    /// Stores another text or name of an object.
    pub(super) fn replace_object(&mut self, object: &Object) -> Result<()> {
        let temporary = temp::is_temporary(object.sequence);
        self.touch(temporary)?;
        put_object(self.machine.storage, Self::catalog_space(temporary), object)
    }

    /// Removes an object and its entries or rows.
    pub(super) fn remove_object(&mut self, object: &Object) -> Result<()> {
        let temporary = temp::is_temporary(object.sequence);
        self.touch(temporary)?;
        if object.space != 0 {
            self.machine.clear_space(object.space)?;
        }
        delete_object(self.machine.storage, Self::catalog_space(temporary), object.sequence)
    }

    fn touch(&mut self, temporary: bool) -> Result<()> {
        let mut counters = self.counters(temporary)?;
        counters.version += 1;
        write_counters(self.machine.storage, Self::catalog_space(temporary), &counters)
    }

    /// An object of no table yet.
    pub(super) fn object(kind: ObjectKind, name: &Text, table: &Text, sql: Text) -> Object {
        Object {
            sequence: 0,
            kind,
            name: name.clone(),
            table: table.clone(),
            space: 0,
            sql,
            fields: 0,
            places: Vec::new(),
        }
    }
}
