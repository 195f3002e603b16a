//! Pages: a reader that pins the published version finds every page as it was then, while the writer publishes and what nobody
//! needs is dropped, and while others read pages into the memory of those that are evicted.

use std::ops::Range;
use std::sync::Arc;

use dosql_base::Timestamp;
use dosql_btree::{MemoryPageStore, PageSnapshot, Pages, PagesOptions, Root};
use loom::thread;

use crate::run::Model;

pub const MODELS: &[Model] = &[
    Model {
        name: "page-publish",
        run: a_snapshot_is_one_commit,
        twins: &["published-before-images", "front-out-of-date"],
        most_preemptions: usize::MAX,
    },
    Model {
        name: "page-deltas",
        run: a_snapshot_sees_what_was_noted_beside_a_page_up_to_its_version,
        twins: &["delta-too-new", "delta-counted-early"],
        most_preemptions: usize::MAX,
    },
    Model {
        name: "snapshot-registration",
        run: a_snapshot_outlives_what_comes_after,
        twins: &["snapshot-pinned-late", "image-dropped-early"],
        most_preemptions: usize::MAX,
    },
    Model {
        name: "page-eviction",
        run: a_page_is_never_taken_for_the_one_that_lay_there_before,
        twins: &["claim-overlooked"],
        most_preemptions: 2,
    },
    Model {
        name: "page-taken",
        run: a_page_is_whole_while_its_memory_is_taken_to_be_changed,
        // Its twin is that of the model above: here the page's epoch tells that the bytes are another's, and it is read again.
        twins: &[],
        most_preemptions: 3,
    },
];

/// As many deltas as a page may have.
const DELTAS: usize = 8;

fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// Two trees of one page each. Their pages keep their numbers between checkpoints, and so do the roots.
struct Trees {
    pages: Arc<Pages>,
    roots: [Root; 2],
}

impl Trees {
    /// Trees whose pages have room for no delta, so that the next change copies them.
    fn full_of_deltas() -> Arc<Self> {
        let trees = Trees::new();
        for _ in 0..DELTAS {
            let mut writer = trees.pages.writer();
            writer.begin(at(2));
            for mut root in trees.roots {
                writer.set(&mut root, b"key", at(2), b"withdrawn").expect("memory does not fail");
            }
        }
        trees
    }

    fn new() -> Arc<Self> {
        let store = Arc::new(MemoryPageStore::new(4096));
        let (pages, _) =
            Pages::open(store, PagesOptions { cache_bytes: 16 * 4096 }).expect("an empty store opens");
        let mut roots = [Root::EMPTY; 2];
        Trees::write(&pages, &mut roots, 1);
        Arc::new(Trees { pages, roots })
    }

    fn write(pages: &Arc<Pages>, roots: &mut [Root], version: u64) {
        let mut writer = pages.writer();
        writer.begin(at(version));
        for root in roots {
            writer.set(root, b"key", at(version), &version.to_be_bytes()).expect("memory does not fail");
        }
        writer.publish(at(version)).expect("versions rise");
    }

    /// Changes some of the trees.
    fn publish(&self, trees: Range<usize>, version: u64) {
        let mut roots = self.roots;
        Trees::write(&self.pages, &mut roots[trees], version);
        assert_eq!(roots, self.roots);
    }

    /// What version each tree shows in `snapshot`.
    fn seen(&self, snapshot: &PageSnapshot) -> [u64; 2] {
        self.roots.map(|root| {
            let entry =
                snapshot.get(root, b"key").expect("a pinned page is there").expect("the key is there");
            entry.version().as_micros()
        })
    }
}

/// The writer notes a change beside a page while a reader looks.
fn a_snapshot_sees_what_was_noted_beside_a_page_up_to_its_version() {
    let trees = Trees::new();
    let writer = Arc::clone(&trees);
    let copies = trees.pages.stats().copies;
    let thread = thread::spawn(move || writer.publish(0..1, 2));
    let snapshot = trees.pages.latest();
    let expected = [[1, 1], [2, 1]][snapshot.version().as_micros() as usize - 1];
    assert_eq!(trees.seen(&snapshot), expected, "another commit's change");
    drop(snapshot);
    thread.join().expect("a thread of the model ends");
    assert_eq!(trees.seen(&trees.pages.latest()), [2, 1], "a commit is missing");
    assert_eq!(trees.pages.stats().copies, copies, "a page was copied");
}

fn a_snapshot_is_one_commit() {
    let trees = Trees::full_of_deltas();
    // What this look leaves behind must not be found by a later one.
    trees.seen(&trees.pages.latest());
    let writer = Arc::clone(&trees);
    let thread = thread::spawn(move || writer.publish(0..2, 2));
    let snapshot = trees.pages.latest();
    assert_eq!(trees.seen(&snapshot), [snapshot.version().as_micros(); 2], "another commit's page");
    drop(snapshot);
    thread.join().expect("a thread of the model ends");
    assert_eq!(trees.seen(&trees.pages.latest()), [2, 2], "a commit is missing");
    assert_eq!(trees.pages.stats().pinned_bytes, 0, "an image that nobody needs was kept");
}

fn a_snapshot_outlives_what_comes_after() {
    let trees = Trees::full_of_deltas();
    let writer = Arc::clone(&trees);
    let thread = thread::spawn(move || {
        // The second tree's page is superseded by a version that comes after one that nobody keeps.
        writer.publish(0..1, 2);
        writer.publish(1..2, 3);
    });
    let snapshot = trees.pages.latest();
    let expected = [[1, 1], [2, 1], [2, 3]][snapshot.version().as_micros() as usize - 1];
    assert_eq!(trees.seen(&snapshot), expected, "another commit's page");
    thread.join().expect("a thread of the model ends");
    // Not from what the first look left in the snapshot.
    let again = trees.pages.snapshot(snapshot.version()).expect("a pinned version can be pinned again");
    assert_eq!(trees.seen(&again), expected, "a page was dropped that a snapshot needs");
    drop(again);
    drop(snapshot);
    assert_eq!(trees.pages.stats().pinned_bytes, 0, "an image that nobody needs was kept");
}

/// The cache has room for one page, so that each of two readers takes the memory of what the other read.
fn a_page_is_never_taken_for_the_one_that_lay_there_before() {
    let store = Arc::new(MemoryPageStore::new(4096));
    let (pages, _) = Pages::open(store, PagesOptions { cache_bytes: 4096 }).expect("an empty store opens");
    let mut roots = [Root::EMPTY; 3];
    {
        let mut writer = pages.writer();
        writer.begin(at(1));
        for (name, root) in roots.iter_mut().enumerate() {
            writer.set(root, b"key", at(1), &[name as u8]).expect("memory does not fail");
        }
        writer.publish(at(1)).expect("versions rise");
        writer.checkpoint(b"").expect("memory does not fail");
    }
    let snapshot = pages.latest();
    let look = move |snapshot: &PageSnapshot, name: usize| {
        let entry = snapshot.get(roots[name], b"key").expect("the page is there").expect("the key is there");
        assert_eq!(entry.value(), [name as u8], "another page's bytes");
    };
    let other = snapshot.clone();
    let thread = thread::spawn(move || [1, 2].into_iter().for_each(|name| look(&other, name)));
    look(&snapshot, 0);
    look(&snapshot, 0);
    thread.join().expect("a thread of the model ends");
}

/// The first change after a checkpoint takes the memory of the clean page for the changed one. Whoever reads the page meanwhile either holds it,
/// and then it is copied, or finds it in the store.
fn a_page_is_whole_while_its_memory_is_taken_to_be_changed() {
    let trees = Trees::new();
    trees.pages.writer().checkpoint(b"").expect("memory does not fail");
    let writer = Arc::clone(&trees);
    let snapshot = trees.pages.latest();
    let thread = thread::spawn(move || {
        let mut roots = writer.roots;
        Trees::write(&writer.pages, &mut roots[..1], 2);
        let entry = writer.pages.latest().get(roots[0], b"key").expect("the page is there");
        assert_eq!(entry.expect("the key is there").version(), at(2), "a commit is missing");
    });
    assert_eq!(trees.seen(&snapshot), [1, 1], "another commit's page");
    thread.join().expect("a thread of the model ends");
    let again = trees.pages.snapshot(at(1)).expect("a pinned version can be pinned again");
    assert_eq!(trees.seen(&again), [1, 1], "a page was changed that a snapshot needs");
}
