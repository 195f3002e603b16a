//! Lists of numbers in a database: what the transactions of the cycle checker append to and read. Kept over key and value and
//! over SQL, each in two ways:
//!
//! ```text
//! Value   one row a list: an append changes it
//! Rows    one row an element, numbered: an append looks for the last and adds one; a read is a range
//! ```

use std::time::Duration;

use dosql::{Begin, Connection, Database, Isolation, Keyspace, Result, Timestamp, Transaction};

use super::checker::history::{Element, Key};

/// How lists are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    KvValue,
    KvRows,
    SqlValue,
    SqlRows,
}

/// How a transaction begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Read,
    Past(Timestamp),
    Deferred,
    Write,
    Serializable,
    Snapshot,
}

/// All lists of a range that are not empty.
pub type Range = Vec<(Key, Vec<Element>)>;

/// One client, with one transaction at a time.
pub trait Lists: Send {
    fn begin(&mut self, start: Start) -> Result<()>;
    /// The lists of `from..to`, in either direction.
    fn read(&mut self, from: Key, to: Key, backward: bool) -> Result<Range>;
    fn append(&mut self, key: Key, element: Element) -> Result<()>;
    fn savepoint(&mut self) -> Result<()>;
    fn rollback_to(&mut self) -> Result<()>;
    fn release(&mut self) -> Result<()>;
    /// Where the interface tells it, when the commit was.
    fn commit(&mut self) -> Result<Option<Timestamp>>;
    fn rollback(&mut self);
}

/// Makes what the lists are kept in.
pub fn prepare(db: &Database, layout: Layout) -> Result<()> {
    match layout {
        // The keyspace exists from then on: otherwise every first transaction would make it, and all would conflict.
        Layout::KvValue | Layout::KvRows => {
            let space = db.keyspace("lists")?;
            db.write(|tx| {
                tx.put(&space, "made", "")?;
                tx.delete(&space, "made")
            })
        }
        Layout::SqlValue => db
            .connect()?
            .execute_batch("CREATE TABLE IF NOT EXISTS list (key INTEGER PRIMARY KEY, elements TEXT NOT NULL)"),
        Layout::SqlRows => db.connect()?.execute_batch(
            "CREATE TABLE IF NOT EXISTS item
             (element INTEGER PRIMARY KEY, key INTEGER NOT NULL, place INTEGER NOT NULL, UNIQUE (key, place))",
        ),
    }
}

/// A client that waits for the writer's turn as long as `patience`; without one for ever.
pub fn client(db: &Database, layout: Layout, patience: Option<Duration>) -> Result<Box<dyn Lists>> {
    Ok(match layout {
        Layout::KvValue | Layout::KvRows => {
            let (db, space) = (db.clone(), db.keyspace("lists")?);
            let rows = layout == Layout::KvRows;
            Box::new(KvLists { db, space, rows, patience, open: None, marks: Vec::new() })
        }
        Layout::SqlValue | Layout::SqlRows => {
            let connection = db.connect()?;
            connection.busy_timeout(patience.unwrap_or(Duration::from_secs(3_600)));
            Box::new(SqlLists { connection, rows: layout == Layout::SqlRows, past: None, marks: 0 })
        }
    })
}

struct KvLists {
    db: Database,
    space: Keyspace,
    rows: bool,
    patience: Option<Duration>,
    open: Option<Transaction>,
    marks: Vec<u64>,
}

const NOT_BEGUN: &str = "a transaction is begun before it is used";

fn elements(bytes: &[u8]) -> Vec<Element> {
    let (elements, _) = bytes.as_chunks();
    elements.iter().map(|bytes| Element::from_be_bytes(*bytes)).collect()
}

impl KvLists {
    fn open(&mut self) -> &mut Transaction {
        self.open.as_mut().expect(NOT_BEGUN)
    }
}

impl Lists for KvLists {
    fn begin(&mut self, start: Start) -> Result<()> {
        let mut tx = self.db.begin(match (start, self.patience) {
            (Start::Read, _) => Begin::Read,
            (Start::Past(at), _) => Begin::ReadAt(at),
            (Start::Deferred, _) => Begin::Deferred,
            (Start::Write, None) => Begin::Write,
            (Start::Write, Some(patience)) => Begin::WriteWithin(patience),
            (Start::Serializable, _) => Begin::Concurrent(Isolation::Serializable),
            (Start::Snapshot, _) => Begin::Concurrent(Isolation::Snapshot),
        })?;
        tx.set_patience(self.patience);
        self.open = Some(tx);
        self.marks.clear();
        Ok(())
    }

    fn read(&mut self, from: Key, to: Key, backward: bool) -> Result<Range> {
        let (space, rows) = (self.space.clone(), self.rows);
        let tx = self.open();
        if !rows && to == from + 1 {
            return Ok(tx
                .get(&space, from.to_be_bytes())?
                .map(|list| (from, elements(&list)))
                .into_iter()
                .collect());
        }
        let bounds = from.to_be_bytes()..to.to_be_bytes();
        let scan = if backward { tx.range_rev(&space, bounds)? } else { tx.range(&space, bounds)? };
        let mut entries = scan.collect::<Result<Vec<_>>>()?;
        if backward {
            entries.reverse();
        }
        let mut lists = Range::new();
        for (key, value) in entries {
            let (key, _) = key.split_first_chunk().expect("keys begin with the number of the list");
            let key = Key::from_be_bytes(*key);
            match lists.last_mut() {
                Some((last, list)) if *last == key => list.extend(elements(&value)),
                _ => lists.push((key, elements(&value))),
            }
        }
        Ok(lists)
    }

    fn append(&mut self, key: Key, element: Element) -> Result<()> {
        let (space, rows) = (self.space.clone(), self.rows);
        let tx = self.open();
        if !rows {
            let mut list = tx.get(&space, key.to_be_bytes())?.map(|list| list.to_vec()).unwrap_or_default();
            list.extend(element.to_be_bytes());
            return tx.put(&space, key.to_be_bytes(), list);
        }
        let last = tx.range_rev(&space, key.to_be_bytes()..(key + 1).to_be_bytes())?.next().transpose()?;
        let place = last.map_or(0, |(key, _)| elements(&key[8..])[0] + 1);
        let row = [&key.to_be_bytes()[..], &place.to_be_bytes()].concat();
        tx.put(&space, row, element.to_be_bytes())
    }

    fn savepoint(&mut self) -> Result<()> {
        let mark = self.open().savepoint()?;
        self.marks.push(mark);
        Ok(())
    }

    fn rollback_to(&mut self) -> Result<()> {
        let mark = self.marks.pop().expect("a savepoint is made before it is used");
        self.open().rollback_to(mark)?;
        self.open().release(mark)
    }

    fn release(&mut self) -> Result<()> {
        let mark = self.marks.pop().expect("a savepoint is made before it is used");
        self.open().release(mark)
    }

    fn commit(&mut self) -> Result<Option<Timestamp>> {
        let tx = self.open();
        let wrote = tx.has_writes();
        tx.commit().map(|at| wrote.then_some(at))
    }

    fn rollback(&mut self) {
        self.open = None;
    }
}

struct SqlLists {
    connection: Connection,
    rows: bool,
    /// The moment that every statement reads, outside any transaction.
    past: Option<Timestamp>,
    marks: usize,
}

impl SqlLists {
    fn query(&self, from: Key, to: Key, backward: bool) -> Result<Vec<(Key, String)>> {
        let as_of = if self.past.is_some() { "FOR SYSTEM_TIME AS OF LSN ?3" } else { "" };
        let way = if backward { "DESC" } else { "" };
        let sql = match self.rows {
            true => format!(
                "SELECT key, CAST(element AS TEXT) FROM item {as_of} WHERE key >= ?1 AND key < ?2
                 ORDER BY key {way}, place {way}"
            ),
            false => format!(
                "SELECT key, elements FROM list {as_of} WHERE key >= ?1 AND key < ?2 ORDER BY key {way}"
            ),
        };
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut parameters = vec![from as i64, to as i64];
        parameters.extend(self.past.map(|at| at.as_micros() as i64));
        statement.query_map(parameters, |row| Ok((row.get::<i64>(0)? as Key, row.get(1)?)))?.collect()
    }
}

impl Lists for SqlLists {
    fn begin(&mut self, start: Start) -> Result<()> {
        self.past = None;
        self.marks = 0;
        self.connection.execute_batch(match start {
            Start::Past(at) => {
                self.past = Some(at);
                return Ok(());
            }
            Start::Read | Start::Deferred => "BEGIN",
            Start::Write => "BEGIN IMMEDIATE",
            Start::Serializable => "BEGIN CONCURRENT",
            Start::Snapshot => unreachable!("SQL offers no snapshot isolation"),
        })
    }

    fn read(&mut self, from: Key, to: Key, backward: bool) -> Result<Range> {
        let mut found = self.query(from, to, backward)?;
        if backward {
            found.reverse();
        }
        let mut lists = Range::new();
        for (key, text) in found {
            let more = text.split(',').map(|element| element.parse().expect("lists hold numbers"));
            match lists.last_mut() {
                Some((last, list)) if *last == key => list.extend(more),
                _ => lists.push((key, more.collect())),
            }
        }
        Ok(lists)
    }

    fn append(&mut self, key: Key, element: Element) -> Result<()> {
        let (key, element) = (key as i64, i64::from(element));
        let sql = match self.rows {
            true => "INSERT INTO item SELECT ?2, ?1, coalesce(max(place), 0) + 1 FROM item WHERE key = ?1",
            false => {
                "INSERT INTO list VALUES (?1, CAST(?2 AS TEXT))
                 ON CONFLICT (key) DO UPDATE SET elements = elements || ',' || excluded.elements"
            }
        };
        self.connection.execute(sql, [key, element]).map(|_| ())
    }

    fn savepoint(&mut self) -> Result<()> {
        self.connection.execute_batch(&format!("SAVEPOINT s{}", self.marks))?;
        self.marks += 1;
        Ok(())
    }

    fn rollback_to(&mut self) -> Result<()> {
        self.marks -= 1;
        let mark = self.marks;
        self.connection.execute_batch(&format!("ROLLBACK TO s{mark}; RELEASE s{mark}"))
    }

    fn release(&mut self) -> Result<()> {
        self.marks -= 1;
        self.connection.execute_batch(&format!("RELEASE s{}", self.marks))
    }

    fn commit(&mut self) -> Result<Option<Timestamp>> {
        if self.past.take().is_none() {
            self.connection.execute("COMMIT", ())?;
        }
        Ok(None)
    }

    fn rollback(&mut self) {
        if self.past.take().is_none() && self.connection.in_transaction() {
            // A database that is closed has no transaction left to roll back.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}
