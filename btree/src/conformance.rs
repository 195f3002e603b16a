//! What every [`PageStore`] must do, as one suite that any implementation can run.

use std::sync::Arc;

use dosql_base::{Error, ErrorKind, Result, Timestamp};

use crate::{Batch, PageId, PageStore, Pages, PagesOptions, Root};

/// Opens the same storage again each time it is called.
pub type Open<'a> = Box<dyn Fn() -> Result<Arc<dyn PageStore>> + 'a>;

/// One behaviour.
type Case = fn(&dyn Fn() -> Result<Arc<dyn PageStore>>) -> Result<()>;

const CASES: &[(&str, Case)] = &[
    ("a new store has no meta", new_store),
    ("pages and meta read back, and after reopening", reads_back),
    ("a batch replaces pages and meta at once", replaces),
    ("a freed id can be used by the batch after the next", reuses),
    ("pages written ahead are there at once, and for good with the next batch", writes_ahead),
    ("gives back its end", shrinks),
    ("a page that was never written is an error", missing),
    ("a batch that can't be carried out changes nothing", refuses),
    ("a database works on it", database),
];

/// Runs every case, each on new empty storage that `fresh` makes.
///
/// # Errors
/// The first case that fails, by name.
pub fn run<'a>(fresh: &mut dyn FnMut() -> Open<'a>) -> Result<()> {
    for (name, case) in CASES {
        let open = fresh();
        case(&*open).map_err(|error| Error::invalid(format!("{name}: {error}")))?;
    }
    Ok(())
}

fn ensure(holds: bool, what: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::invalid(format!("expected: {what}"))) }
}

fn page(store: &dyn PageStore, byte: u8) -> Vec<u8> {
    (0..store.page_size()).map(|i| byte.wrapping_add(i as u8)).collect()
}

fn read(store: &dyn PageStore, id: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0xEE; store.page_size()];
    store.read(PageId::new(id), &mut bytes)?;
    Ok(bytes)
}

/// Commits pages that are told apart by a byte.
fn commit(store: &dyn PageStore, puts: &[(u64, u8)], frees: &[u64], meta: &[u8]) -> Result<()> {
    let pages: Vec<Vec<u8>> = puts.iter().map(|&(_, byte)| page(store, byte)).collect();
    let puts: Vec<(PageId, &[u8])> =
        puts.iter().zip(&pages).map(|(&(id, _), bytes)| (PageId::new(id), bytes.as_slice())).collect();
    let frees: Vec<PageId> = frees.iter().map(|&id| PageId::new(id)).collect();
    store.commit(Batch { puts: &puts, frees: &frees, meta })
}

fn new_store(open: &dyn Fn() -> Result<Arc<dyn PageStore>>) -> Result<()> {
    let store = open()?;
    let size = store.page_size();
    ensure(size.is_power_of_two() && (4096..=65536).contains(&size), "a page size from 4 to 64 KiB")?;
    ensure(store.meta()?.is_none(), "no meta")?;
    drop(store);
    ensure(open()?.meta()?.is_none(), "no meta after reopening")
}

fn reads_back(open: &dyn Fn() -> Result<Arc<dyn PageStore>>) -> Result<()> {
    let store = open()?;
    commit(&*store, &[(1, 10), (2, 20), (300, 30)], &[], b"first")?;
    commit(&*store, &[], &[], b"")?;
    ensure(store.meta()?.as_deref() == Some(b""), "an empty meta is a meta")?;
    let long = vec![7; store.caps().max_meta];
    commit(&*store, &[(3, 40)], &[], &long)?;
    for store in [Arc::clone(&store), open()?] {
        ensure(store.meta()? == Some(long.clone()), "the last meta")?;
        for (id, byte) in [(1, 10), (2, 20), (300, 30), (3, 40)] {
            ensure(read(&*store, id)? == page(&*store, byte), "the bytes of a page")?;
        }
    }
    Ok(())
}

fn replaces(open: &dyn Fn() -> Result<Arc<dyn PageStore>>) -> Result<()> {
    let store = open()?;
    for round in 0..20u8 {
        let id = u64::from(round) * 2 + 1;
        let frees = if round > 0 { vec![id - 2, id - 1] } else { vec![] };
        commit(&*store, &[(id, round), (id + 1, round + 100)], &frees, &[round])?;
        ensure(read(&*store, id)? == page(&*store, round), "the new page")?;
        ensure(store.meta()?.as_deref() == Some(&[round]), "the new meta")?;
    }
    drop(store);
    let store = open()?;
    ensure(store.meta()?.as_deref() == Some(&[19]), "the last meta after reopening")?;
    ensure(read(&*store, 40)? == page(&*store, 119), "the last page after reopening")
}

fn reuses(open: &dyn Fn() -> Result<Arc<dyn PageStore>>) -> Result<()> {
    let store = open()?;
    commit(&*store, &[(1, 1), (2, 2)], &[], b"a")?;
    commit(&*store, &[(3, 3)], &[1], b"b")?;
    commit(&*store, &[(4, 4)], &[], b"c")?;
    commit(&*store, &[(1, 5)], &[], b"d")?;
    ensure(read(&*store, 1)? == page(&*store, 5), "the page of its second life")?;
    ensure(read(&*store, 2)? == page(&*store, 2), "the page beside it")?;
    ensure(read(&*open()?, 1)? == page(&*store, 5), "the page of its second life after reopening")
}

fn writes_ahead(open: &dyn Fn() -> Result<Arc<dyn PageStore>>) -> Result<()> {
    let store = open()?;
    commit(&*store, &[(1, 1)], &[], b"first")?;
    let pages = [page(&*store, 7), page(&*store, 8)];
    let puts = [(PageId::new(3), pages[0].as_slice()), (PageId::new(9), pages[1].as_slice())];
    if !store.write_ahead(&puts)? {
        // In batches only: nothing was written.
        return ensure(store.read(PageId::new(9), &mut vec![0; store.page_size()]).is_err(), "no page 9");
    }
    ensure(read(&*store, 3)? == pages[0] && read(&*store, 9)? == pages[1], "both pages, at once")?;
    ensure(store.meta()?.as_deref() == Some(b"first"), "the meta of the last commit")?;
    // One of them turns out to be needed for something else.
    store.write_ahead(&[(PageId::new(3), &page(&*store, 5))])?;
    commit(&*store, &[(2, 2)], &[], b"second")?;
    drop(store);
    let store = open()?;
    ensure(read(&*store, 3)? == page(&*store, 5) && read(&*store, 9)? == pages[1], "both pages, for good")?;
    ensure(read(&*store, 1)? == page(&*store, 1) && read(&*store, 2)? == page(&*store, 2), "the others too")
}

fn shrinks(open: &dyn Fn() -> Result<Arc<dyn PageStore>>) -> Result<()> {
    let store = open()?;
    commit(&*store, &[(1, 1), (2, 2), (300, 3)], &[], b"a")?;
    commit(&*store, &[(3, 3)], &[300], b"b")?;
    commit(&*store, &[(4, 4)], &[], b"c")?;
    let before = store.stats().bytes;
    store.shrink(PageId::new(4))?;
    ensure(store.stats().bytes <= before, "no more bytes than before")?;
    for store in [&store, &open()?] {
        ensure(store.meta()?.as_deref() == Some(b"c"), "the meta of before")?;
        ensure(read(&**store, 4)? == page(&**store, 4), "a page that stays")?;
    }
    commit(&*store, &[(200, 5)], &[1], b"d")?;
    ensure(read(&*open()?, 200)? == page(&*store, 5), "a page beyond what was the end")?;
    ensure(read(&*open()?, 2)? == page(&*store, 2), "a page of the first commit")
}

fn missing(open: &dyn Fn() -> Result<Arc<dyn PageStore>>) -> Result<()> {
    let store = open()?;
    commit(&*store, &[(1, 1)], &[], b"a")?;
    for id in [0, 2, 1 << 40, u64::MAX] {
        let kind = read(&*store, id).err().map(|error| error.kind());
        ensure(kind == Some(ErrorKind::Corrupt), "an error of kind Corrupt")?;
    }
    Ok(())
}

fn refuses(open: &dyn Fn() -> Result<Arc<dyn PageStore>>) -> Result<()> {
    let store = open()?;
    commit(&*store, &[(1, 1)], &[], b"a")?;
    let long = vec![7; store.caps().max_meta + 1];
    ensure(commit(&*store, &[(2, 2)], &[], &long).is_err(), "a meta that is too long is refused")?;
    ensure(commit(&*store, &[(3, 2), (2, 2)], &[], b"b").is_err(), "ids out of order are refused")?;
    ensure(commit(&*store, &[(2, 2), (2, 3)], &[], b"b").is_err(), "an id twice is refused")?;
    ensure(commit(&*store, &[(0, 2)], &[], b"b").is_err(), "page 0 is refused")?;
    let short = [(PageId::new(2), &[1u8, 2, 3][..])];
    let batch = Batch { puts: &short, frees: &[], meta: b"b" };
    ensure(store.commit(batch).is_err(), "a short page is refused")?;
    ensure(store.meta()?.as_deref() == Some(b"a"), "the meta of before")?;
    ensure(read(&*store, 1)? == page(&*store, 1), "the page of before")?;
    commit(&*store, &[(2, 2)], &[], b"c")?;
    ensure(open()?.meta()?.as_deref() == Some(b"c"), "the store goes on")
}

fn database(open: &dyn Fn() -> Result<Arc<dyn PageStore>>) -> Result<()> {
    let mut root = Root::EMPTY;
    for round in 1..=8u64 {
        let cache_bytes = 64 << 10;
        let (pages, meta) = Pages::open(open()?, PagesOptions { cache_bytes })?;
        if round > 1 {
            ensure(Root::from_bytes(&meta)? == root, "the root of the last checkpoint")?;
        }
        let version = Timestamp::from_micros(round);
        let mut writer = pages.writer();
        writer.begin(version);
        for i in 0..2000u64 {
            let key = (i * 7919 % 2500 + round * 100).to_be_bytes();
            if i % 5 == round % 5 {
                writer.remove(&mut root, &key)?;
            } else {
                writer.set(&mut root, &key, version, &vec![round as u8; (i % 300) as usize])?;
            }
        }
        writer.set(&mut root, b"long", version, &vec![round as u8; 100_000])?;
        writer.publish(version)?;
        writer.checkpoint(&root.to_bytes())?;
        drop(writer);
        let snapshot = pages.latest();
        snapshot.check(root)?;
        let long = snapshot.get(root, b"long")?;
        ensure(long.is_some_and(|entry| entry.value() == vec![round as u8; 100_000]), "the long value")?;
    }
    Ok(())
}
