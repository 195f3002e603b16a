//! The golden databases of `tests/common/golden.rs` as subjects of a sweep.

use super::damage::{Damage, SECTOR, What};
use super::sweep::Subject;
use crate::golden::{Files, Golden, Verdict};

const PAGE: usize = 4096;
/// The database with rows in segments.
const COLD: &str = "cold";
/// Of its pages and logs every so many bytes are damaged.
const SAMPLE: usize = 37;

/// Whether a file is an object of its segment store: what it is named begins with the number of the database.
pub(super) fn is_object(file: &str) -> bool {
    file.len() > 33 && file.as_bytes()[32] == b'-'
}

impl Subject for Golden {
    fn name(&self) -> &str {
        self.name
    }

    fn files(&self) -> &Files {
        &self.files
    }

    fn before(&self) -> &Files {
        &self.before
    }

    fn unit(&self, file: &str) -> usize {
        if file == "pages" { PAGE } else { SECTOR }
    }

    fn suffers(&self, damage: &Damage) -> bool {
        if self.name != COLD {
            return true;
        }
        // Objects have a judge of their own; pages and logs are like those of the others, but for what they say of objects.
        let sampled = match damage.what {
            What::Flip { at, .. } | What::Cut { len: at } => at % SAMPLE == 0,
            _ => true,
        };
        sampled && !is_object(&self.files[damage.file].0)
    }

    fn judge(&self, files: &Files, damage: &Damage) -> Verdict {
        if matches!(damage.what, What::Old) {
            // A store that forgets all that it was told last can't be caught out. It must not lead to a mixture, though.
            return self.judge_any_moment(files);
        }
        let name = &self.files[damage.file].0;
        let may_cost = self.may_cost(name, &damage.bytes());
        Golden::judge(self, files, may_cost)
    }
}
