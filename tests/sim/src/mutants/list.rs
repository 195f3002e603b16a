//! The switches: where each stands, what it weakens, and which protocols must notice.

/// One switch. Its name is what [`dosql_base::mutant::weakened`] is asked for.
pub(super) struct Mutant {
    pub(super) name: &'static str,
    pub(super) place: &'static str,
    pub(super) weakens: &'static str,
    pub(super) noticed_by: &'static [&'static str],
}

const fn mutant(
    name: &'static str,
    place: &'static str,
    weakens: &'static str,
    noticed_by: &'static [&'static str],
) -> Mutant {
    Mutant { name, place, weakens, noticed_by }
}

pub(super) const MUTANTS: &[Mutant] = &[
    // Syncs of the log.
    mutant("log-unsynced", "wal/src/log.rs", "a commit's record is not synced", &["commits"]),
    mutant("acknowledged-before-sync", "src/commit.rs", "a commit is acknowledged at once", &["commits"]),
    mutant(
        "visible-before-durable",
        "src/commit.rs",
        "readers see a commit before it is durable",
        &["commits"],
    ),
    mutant("interval-ignored", "src/commit.rs", "a due sync is left out", &["interval"]),
    mutant(
        "only-one-segment-synced",
        "wal/src/file.rs",
        "of a record over several segments one is synced",
        &["large-commit"],
    ),
    mutant(
        "new-segment-unsynced",
        "wal/src/file.rs",
        "a new segment gets its name before its bytes are durable",
        &["commits", "large-commit"],
    ),
    mutant(
        "new-segment-name-unsynced",
        "wal/src/file.rs",
        "the name of a new segment is not synced",
        &["commits", "large-commit"],
    ),
    mutant(
        "recycled-header-unsynced",
        "wal/src/file.rs",
        "a recycled segment gets its name before its header is durable",
        &["log-recycle"],
    ),
    mutant(
        "recycled-name-unsynced",
        "wal/src/file.rs",
        "the new name of a recycled segment is not synced",
        &["log-recycle"],
    ),
    mutant(
        "log-unsealed",
        "wal/src/log.rs",
        "no mark at the end of a log that is left in order",
        &["damaged-log"],
    ),
    mutant(
        "recovered-tail-trusted",
        "src/database.rs",
        "what recovery found is relied upon without being made durable",
        &["process-dies", "commits"],
    ),
    mutant(
        "device-not-asked",
        "wal/src/log.rs",
        "what recovery found is taken for what the device holds",
        &["process-dies", "commits"],
    ),
    mutant(
        "failed-sync-forgiven",
        "wal/src/log.rs, file.rs, src/engine.rs",
        "the database goes on after a failed sync",
        &["commits"],
    ),
    mutant("failed-sync-retried", "wal/src/file.rs", "a failed sync is repeated, and believed", &["commits"]),
    mutant("closed-without-checkpoint", "src/checkpoint.rs", "closing writes nothing", &["close"]),
    mutant(
        "maintenance-without-sync",
        "src/database.rs",
        "maintenance leaves commits unsynced",
        &["maintain"],
    ),
    // Records.
    mutant(
        "record-body-unchecked",
        "wal/src/window.rs",
        "a record's body may be torn",
        &["torn-tail", "group", "large-commit"],
    ),
    mutant(
        "record-header-unchecked",
        "wal/src/record.rs",
        "a record's header may be torn",
        &["torn-tail", "damaged-log"],
    ),
    mutant(
        "record-chain-unchecked",
        "wal/src/recovery.rs",
        "a record need not follow the one before",
        &["strange-log"],
    ),
    mutant(
        "generation-not-raised",
        "wal/src/log.rs",
        "a recovery does not tell its records from those that it dropped",
        &["torn-tail-first"],
    ),
    mutant(
        "durable-claim-missing",
        "wal/src/log.rs",
        "records do not say how far the log was durable",
        &["damaged-log"],
    ),
    mutant(
        "durable-claim-ignored",
        "wal/src/recovery.rs",
        "a hole before a record that knew it durable is a torn tail",
        &["damaged-log"],
    ),
    mutant(
        "torn-tail-refused",
        "wal/src/recovery.rs",
        "a torn tail is damage",
        &["torn-tail", "group", "large-commit"],
    ),
    mutant(
        "orphaned-log-ignored",
        "src/recovery.rs",
        "a log without its pages is taken for a new database",
        &["orphaned-log"],
    ),
    // Checkpoints.
    mutant(
        "checkpoint-without-log-sync",
        "src/checkpoint.rs",
        "a checkpoint does not wait for the log",
        &["checkpoint-waits"],
    ),
    mutant(
        "trimmed-before-checkpoint",
        "src/checkpoint.rs",
        "the log is given back before the checkpoint is durable",
        &["log-shrinks", "log-recycle"],
    ),
    mutant(
        "pages-unsynced",
        "btree/src/store/file.rs",
        "the meta is written before the pages are durable",
        &["checkpoint"],
    ),
    mutant(
        "meta-unsynced",
        "btree/src/store/file.rs",
        "a checkpoint ends before its meta is durable",
        &["checkpoint", "log-shrinks"],
    ),
    mutant(
        "meta-before-pages",
        "btree/src/store/file.rs",
        "the meta comes before the pages",
        &["checkpoint"],
    ),
    mutant("meta-slot-reused", "btree/src/store/file.rs", "always the same meta slot", &["checkpoint"]),
    mutant(
        "both-meta-slots-written",
        "btree/src/store/file.rs",
        "both meta slots are in flight together",
        &["checkpoint"],
    ),
    mutant(
        "meta-sequence-ignored",
        "btree/src/store/slot.rs",
        "the slot found last counts, not the newer one",
        &["checkpoint"],
    ),
    mutant(
        "meta-sum-blind",
        "btree/src/store/slot.rs",
        "the slot's checksum does not see a meta that ends in its own",
        &["many-checkpoints"],
    ),
    mutant(
        "meta-slot-unchecked",
        "btree/src/store/slot.rs",
        "a slot's checksum is not looked at",
        &["checkpoint", "damaged-meta"],
    ),
    mutant("new-page-file-unsynced", "btree/src/store/file.rs", "a new page file is not synced", &["create"]),
    mutant(
        "freed-page-reused-at-once",
        "btree/src/alloc.rs, store/file.rs",
        "a freed page is used by the batch that frees it",
        &["many-checkpoints"],
    ),
    mutant(
        "freed-page-rests-too-short",
        "btree/src/alloc.rs",
        "a freed page is used a batch too early",
        &["many-checkpoints"],
    ),
    mutant(
        "free-list-leaks",
        "btree/src/checkpoint.rs",
        "the pages of the old free list are never free",
        &["checkpoint"],
    ),
    mutant(
        "cut-before-meta",
        "btree/src/store/file.rs",
        "the end of the file is cut off before the meta that needs it not is durable",
        &["compact"],
    ),
    // Pages.
    mutant(
        "page-sum-unchecked",
        "btree/src/page/verify.rs",
        "a page's checksum is not looked at",
        &["damaged-pages"],
    ),
    mutant(
        "page-place-unchecked",
        "btree/src/page/verify.rs",
        "a page may lie where another belongs",
        &["damaged-pages"],
    ),
    mutant(
        "page-epoch-unchecked",
        "btree/src/page/verify.rs, pages.rs",
        "a page may be older than whoever points at it",
        &["damaged-pages"],
    ),
    // History.
    mutant("deleted-row-forgotten", "src/commit.rs", "a deleted row leaves no version", &["history-run"]),
    mutant("version-ends-late", "src/commit.rs", "a version ends a microsecond late", &["history-run"]),
    mutant("history-run-unnamed", "src/checkpoint.rs", "a history run is not kept", &["history-run"]),
    mutant(
        "freed-run-leaks",
        "src/checkpoint.rs",
        "the pages of a merged run are never free",
        &["run-merge"],
    ),
    mutant("replay-forgets-history", "src/recovery.rs", "recovery keeps no versions", &["history-run"]),
    mutant("tag-keeps-nothing", "src/checkpoint.rs", "a tag keeps nothing past the horizon", &["tag"]),
    mutant(
        "horizon-ignored",
        "src/engine.rs",
        "a moment that history does not reach is read",
        &["retention"],
    ),
    mutant(
        "history-floor-forgotten",
        "src/checkpoint.rs",
        "a checkpoint does not note how far back history reaches",
        &["retention"],
    ),
    mutant(
        "unversioned-table-kept",
        "src/retention.rs",
        "a table without versioning leaves versions",
        &["table-unkept"],
    ),
    mutant(
        "versions-thought-kept",
        "src/retention.rs",
        "a table is read as of a time when it kept no versions",
        &["table-unkept"],
    ),
    mutant(
        "table-floor-ignored",
        "src/view.rs",
        "a table is read as of a time whose versions may be gone",
        &["table-unkept", "table-kept"],
    ),
    mutant(
        "table-floor-forgotten",
        "src/checkpoint.rs",
        "a checkpoint does not note how far back a table's history reaches",
        &["table-kept"],
    ),
    mutant(
        "deletion-on-branch-forgotten",
        "src/commit.rs",
        "when a key was deleted on a branch is forgotten when it is put again",
        &["branch"],
    ),
    mutant(
        "fork-keeps-nothing",
        "src/branch/mod.rs",
        "what a branch sees of its parent is not kept",
        &["branch-kept"],
    ),
    mutant("erased-versions-kept", "src/erase.rs", "versions of erased rows stay", &["erase"]),
    mutant("erased-pages-left", "src/erase.rs", "what free places hold of erased rows stays", &["erase"]),
    mutant("past-not-reserved", "src/engine.rs", "a commit may take a moment that was read", &["as-of"]),
    mutant("clock-believed", "src/commit.rs", "commits are ordered by the clock alone", &["clock-back"]),
    // Transactions.
    mutant(
        "write-conflict-ignored",
        "src/window.rs",
        "two transactions may write the same key",
        &["write-conflict"],
    ),
    mutant("read-conflict-ignored", "src/read_set.rs", "what was read may have changed", &["read-conflict"]),
    mutant("phantom-ignored", "src/read_set.rs", "a range that was read may have changed", &["phantom"]),
    mutant(
        "old-snapshot-admitted",
        "src/window.rs",
        "a transaction too old to be checked commits",
        &["old-snapshot"],
    ),
    mutant("savepoint-not-rolled-back", "src/writes.rs", "a savepoint takes nothing back", &["savepoints"]),
    mutant("lock-not-taken", "src/directory.rs", "two may open a directory", &["two-openers"]),
    mutant(
        "index-entry-missing",
        "sql/src/dml/write.rs, direct/insert.rs",
        "a new row gets no index entry",
        &["index-build"],
    ),
    mutant(
        "index-entry-left",
        "sql/src/dml/write.rs",
        "a changed row keeps its old index entry",
        &["index-build"],
    ),
    // Segments.
    mutant(
        "segment-block-unchecked",
        "lsm/src/frame.rs",
        "a block's checksum is not looked at",
        &["segments"],
    ),
    mutant(
        "segment-block-place-ignored",
        "lsm/src/frame.rs",
        "a block may be another segment's",
        &["segments"],
    ),
    mutant("object-overwritten", "lsm/src/memory.rs", "a taken name is given away", &["segment-names"]),
    mutant(
        "taken-name-ignored",
        "lsm/src/store.rs",
        "a refusal because the name is taken counts as success",
        &["segment-names"],
    ),
];
