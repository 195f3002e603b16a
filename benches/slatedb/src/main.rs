//! SlateDB with the readings of `dosql-bench tier`, in the same object store. `dosql-bench tier --slatedb PATH-OF-THIS` starts it.

#![allow(dead_code, reason = "the modules of dosql-bench are shared, and not all of each is needed here")]

#[path = "../../src/engine.rs"]
mod engine;
#[path = "../../src/measure.rs"]
mod measure;
#[path = "../../src/reach.rs"]
mod reach;
#[path = "../../src/report.rs"]
mod report;

#[path = "../../src/tier/far.rs"]
mod far;
#[path = "../../src/tier/files.rs"]
mod files;
#[path = "../../src/tier/peers.rs"]
mod peers;
#[path = "../../src/tier/readings.rs"]
mod readings;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::Result;
use far::Far;
use lexopt::prelude::*;
use peers::{Peer, memory_at, session, store_in, weigh};
use slatedb::config::{CompressionCodec, FlushOptions, FlushType};
use slatedb::{Db, Settings, WriteBatch};
use tokio::runtime::Runtime;

/// With LZ4, else as it is shipped: with a gigabyte for what is not stored yet; or with as much for that as everybody has.
struct Slate<const SHIPPED: bool> {
    runtime: Runtime,
    db: Db,
}

impl<const SHIPPED: bool> Peer for Slate<SHIPPED> {
    fn open(_directory: &Path, far: &Arc<Far>, bytes: usize) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let mut settings = Settings { compression_codec: Some(CompressionCodec::Lz4), ..Settings::default() };
        if !SHIPPED {
            (settings.max_unflushed_bytes, settings.l0_sst_size_bytes) = (bytes, bytes / 2);
        }
        let db = Db::builder("readings", far.clone()).with_settings(settings).build();
        Ok(Slate { db: runtime.block_on(db)?, runtime })
    }

    fn load(&self, batch: &[([u8; 8], Vec<u8>)]) -> Result<()> {
        let mut changes = WriteBatch::new();
        for (key, value) in batch {
            changes.put(key, value);
        }
        self.runtime.block_on(self.db.write(changes))?;
        Ok(())
    }

    fn finish(&self) -> Result<()> {
        let flushed = self.db.flush_with_options(FlushOptions { flush_type: FlushType::MemTable });
        Ok(self.runtime.block_on(flushed)?)
    }

    fn close(self) -> Result<()> {
        Ok(self.runtime.block_on(self.db.close())?)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.runtime.block_on(self.db.get(key))?.map(Into::into))
    }
}

fn main() -> Result<()> {
    let (mut scale, mut directory, mut shipped) = (0.1, None, false);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("scale") => scale = parser.value()?.parse()?,
            Long("dir") => directory = Some(PathBuf::from(parser.value()?)),
            // The command and the name of the engine.
            Value(word) => shipped |= word == "slatedb-1g",
            other => return Err(other.unexpected().into()),
        }
    }
    let directory = directory.ok_or("a measuring process needs --dir")?;
    let (objects, mut sheet) = (directory.join("map-objects"), report::Sheet::default());
    let far = store_in(&objects)?;
    let session = if shipped { session::<Slate<true>> } else { session::<Slate<false>> };
    session(&directory, &far, (scale, memory_at(scale)), &mut sheet)?;
    weigh(&objects, "map: bytes in the store a row", scale, &mut sheet)
}
