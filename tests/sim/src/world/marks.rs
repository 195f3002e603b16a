//! Commits that change no state: tags are made and dropped here, and what holds for feed slots too.

use dosql::ErrorKind;

use super::{Lived, World};
use crate::model::Marks;

impl World {
    /// A tag of the last commit is made, or dropped.
    pub(super) fn tag(&mut self, number: u32, make: bool) -> Lived {
        let name = format!("tag{number}");
        let head = self.history.head();
        let (mut marks, known) = ((*head.marks).clone(), head.marks.tags.contains_key(&number));
        if make {
            marks.tags.insert(number, head.at);
        } else {
            marks.tags.remove(&number);
        }
        let db = self.db()?;
        let done = if make { db.create_tag(&name, None) } else { db.drop_tag(&name) };
        match done {
            Err(error) if error.kind() == ErrorKind::InvalidInput && known == make => Ok(()),
            Err(error) => self.not_marked(error, marks, "a tag"),
            Ok(()) if known == make => Err(format!("{name} was made twice, or dropped and was not there")),
            Ok(()) => {
                self.say(|| format!("tag {name}"));
                self.marked(marks)
            }
        }
    }

    /// A commit of marks was acknowledged.
    pub(super) fn marked(&mut self, marks: Marks) -> Lived {
        let at = self.db()?.last_commit();
        self.say(|| format!("commit {at}"));
        self.history.commit_marks(at, marks)?;
        if self.settings.durability == dosql::Durability::Sync {
            self.history.settle();
        }
        Ok(())
    }

    /// A commit of marks failed.
    pub(super) fn not_marked(&mut self, error: dosql::Error, marks: Marks, what: &str) -> Lived {
        if self.db()?.is_poisoned() {
            self.history.doubt_marks(marks);
        }
        self.allow::<()>(Err(error), what).map(|_| ())
    }
}
