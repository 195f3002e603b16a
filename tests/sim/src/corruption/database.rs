//! The golden databases of `tests/common/golden.rs` as subjects of a sweep.

use super::damage::{Damage, SECTOR, What};
use super::sweep::Subject;
use crate::golden::{Files, Golden, Verdict};

const PAGE: usize = 4096;

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
