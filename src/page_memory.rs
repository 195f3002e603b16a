//! Memory for pages, taken ahead of the commits that will need it: the system clears it, which takes longer than filling it.

use std::sync::Arc;

use crate::engine::Engine;

impl Engine {
    /// Sees to it that there is memory for the pages of commits to come, where there are threads to take it.
    pub(crate) fn make_memory_ahead(self: &Arc<Self>) {
        if self.background && self.pages.memory_runs_short() {
            let work = |engine: &Engine| engine.pages.make_memory_ahead();
            self.memory.start("dosql-memory", self, |engine| &engine.memory, work);
        }
    }
}
