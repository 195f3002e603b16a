//! A branch in memory that leaves nothing behind: a database of its own whose main lies on what another one holds now.

use std::sync::Arc;

use dosql_base::Result;

use super::layers::{Beneath, Layer, Span};
use crate::database::Database;
use crate::engine::{Engine, Handle};
use crate::options::{Durability, Maintenance, Options};
use crate::recovery;
use crate::storage::Storage;
use crate::view::View;

impl Database {
    /// Runs `body` with a branch of this one that exists in memory and only until `body` returns: all that is done there, commits,
    /// changes of the schema, branches of its own, is seen there and nowhere else. The database itself is read and never written: no
    /// record, no page.
    ///
    /// It knows neither the tags nor the other branches of the database. Its changes take memory until it ends. An error of `body` comes
    /// back.
    pub fn what_if<R>(&self, body: impl FnOnce(&Database) -> Result<R>) -> Result<R> {
        self.0.check_usable()?;
        self.0.check_readable()?;
        let own = &self.0.options;
        let options = Options {
            page_size: self.0.pages.page_size(),
            env: Some(self.0.env.clone()),
            retention: own.retention,
            durability: Durability::None,
            maintenance: Maintenance::Caller,
            limits: own.limits.clone(),
            ..Options::default()
        };
        let (engine, _) = recovery::open(Storage::memory_with(&options), options)?;
        engine.lie_on(&self.0.view());
        body(&Database(Handle::new(engine)))
    }
}

impl Engine {
    /// Puts main, which holds nothing yet, on what another database holds.
    fn lie_on(&self, view: &View) {
        let span = Span {
            branch: view.branch,
            fork: view.timestamp,
            floor: view.floor,
            pins: Arc::clone(&view.pins),
        };
        let layer = Layer {
            branch: view.branch,
            pages: view.pages.clone(),
            root: view.root,
            history: view.history.clone(),
            live: view.beneath.as_ref().map(|beneath| Arc::clone(&beneath.own)).unwrap_or_default(),
            fork: view.timestamp,
            known: view.timestamp,
        };
        let beneath = Beneath::fork(span, layer, view.beneath.as_deref());
        let mut committer = self.committer();
        committer.last = committer.last.max(view.timestamp).next();
        let begins = committer.last;
        let mut tip = self.main.tip.lock();
        (tip.floor, tip.catalog_changed, tip.changed) = (view.timestamp, begins, begins);
        tip.beneath = Some(Arc::new(beneath));
        let shown = self.publish_view(&committer, self.main.number, &mut tip, begins);
        drop(self.main.show(shown));
    }
}
