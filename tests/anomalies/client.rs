//! One transaction of a script, over key and value or over SQL.

use std::time::Duration;

use dosql::{Begin, Connection, Database, Isolation, Keyspace, Result, Transaction};

use super::scripts::Where;
use super::{Interface, Kind};

/// Rows of the table, by id.
pub type Rows = Vec<(i64, i64)>;

/// What a script can ask of a transaction. No call waits: where it would have to, it answers `Busy`.
pub trait Client {
    fn begin(&mut self, kind: Kind) -> Result<()>;
    fn select(&mut self, rows: Where) -> Result<Rows>;
    /// Sets the value of a row that is there.
    fn set(&mut self, id: i64, value: i64) -> Result<()>;
    fn insert(&mut self, id: i64, value: i64) -> Result<()>;
    fn add_to_all(&mut self, more: i64) -> Result<()>;
    fn delete(&mut self, rows: Where) -> Result<()>;
    fn commit(&mut self) -> Result<()>;
    fn rollback(&mut self) -> Result<()>;
}

/// A client of `db`.
pub fn client(db: &Database, interface: Interface) -> Result<Box<dyn Client>> {
    Ok(match interface {
        Interface::Kv => Box::new(KvClient { db: db.clone(), space: db.keyspace("test")?, open: None }),
        Interface::Sql => {
            let connection = db.connect()?;
            connection.busy_timeout(Duration::ZERO);
            Box::new(SqlClient { connection })
        }
    })
}

/// Makes the table and its two rows.
pub fn prepare(db: &Database, interface: Interface) -> Result<()> {
    match interface {
        Interface::Kv => {
            let space = db.keyspace("test")?;
            db.write(|tx| {
                [(1, 10), (2, 20)].into_iter().try_for_each(|(id, value)| put(tx, &space, id, value))
            })
        }
        Interface::Sql => db.connect()?.execute_batch(
            "CREATE TABLE test (id INTEGER PRIMARY KEY, value INTEGER NOT NULL);
             INSERT INTO test VALUES (1, 10), (2, 20)",
        ),
    }
}

struct KvClient {
    db: Database,
    space: Keyspace,
    open: Option<Transaction>,
}

fn put(tx: &mut Transaction, space: &Keyspace, id: i64, value: i64) -> Result<()> {
    tx.put(space, id.to_be_bytes(), value.to_be_bytes())
}

fn number(bytes: &[u8]) -> i64 {
    i64::from_be_bytes(bytes.try_into().expect("keys and values of the table are of eight bytes"))
}

impl Where {
    fn holds(self, (id, value): (i64, i64)) -> bool {
        match self {
            Where::All => true,
            Where::Id(wanted) => id == wanted,
            Where::Value(wanted) => value == wanted,
            Where::MultipleOf(n) => value % n == 0,
        }
    }

    /// As a condition of SQL, with its parameter.
    fn condition(self) -> (&'static str, i64) {
        match self {
            Where::All => ("?1 = 0", 0),
            Where::Id(id) => ("id = ?1", id),
            Where::Value(value) => ("value = ?1", value),
            Where::MultipleOf(n) => ("value % ?1 = 0", n),
        }
    }
}

impl KvClient {
    fn open(&mut self) -> &mut Transaction {
        self.open.as_mut().expect("a script begins a transaction before it uses it")
    }

    fn rows(&mut self, rows: Where) -> Result<Rows> {
        let space = self.space.clone();
        let tx = self.open();
        if let Where::Id(id) = rows {
            return Ok(tx
                .get(&space, id.to_be_bytes())?
                .map(|value| (id, number(&value)))
                .into_iter()
                .collect());
        }
        let all: Result<Rows> =
            tx.iter(&space)?.map(|pair| pair.map(|(key, value)| (number(&key), number(&value)))).collect();
        Ok(all?.into_iter().filter(|&row| rows.holds(row)).collect())
    }
}

impl Client for KvClient {
    fn begin(&mut self, kind: Kind) -> Result<()> {
        let mut tx = self.db.begin(match kind {
            Kind::Write => Begin::WriteWithin(Duration::ZERO),
            Kind::Deferred => Begin::Deferred,
            Kind::Serializable => Begin::Concurrent(Isolation::Serializable),
            Kind::Snapshot => Begin::Concurrent(Isolation::Snapshot),
        })?;
        tx.set_patience(Some(Duration::ZERO));
        self.open = Some(tx);
        Ok(())
    }

    fn select(&mut self, rows: Where) -> Result<Rows> {
        self.rows(rows)
    }

    fn set(&mut self, id: i64, value: i64) -> Result<()> {
        let space = self.space.clone();
        put(self.open(), &space, id, value)
    }

    fn insert(&mut self, id: i64, value: i64) -> Result<()> {
        self.set(id, value)
    }

    fn add_to_all(&mut self, more: i64) -> Result<()> {
        self.rows(Where::All)?.into_iter().try_for_each(|(id, value)| self.set(id, value + more))
    }

    fn delete(&mut self, rows: Where) -> Result<()> {
        let space = self.space.clone();
        self.rows(rows)?.into_iter().try_for_each(|(id, _)| self.open().delete(&space, id.to_be_bytes()))
    }

    fn commit(&mut self) -> Result<()> {
        self.open().commit().map(|_| ())
    }

    fn rollback(&mut self) -> Result<()> {
        self.open().rollback();
        Ok(())
    }
}

struct SqlClient {
    connection: Connection,
}

impl Client for SqlClient {
    fn begin(&mut self, kind: Kind) -> Result<()> {
        self.connection.execute_batch(match kind {
            Kind::Write => "BEGIN IMMEDIATE",
            Kind::Deferred => "BEGIN",
            Kind::Serializable => "BEGIN CONCURRENT",
            Kind::Snapshot => unreachable!("SQL offers no snapshot isolation"),
        })
    }

    fn select(&mut self, rows: Where) -> Result<Rows> {
        let (condition, parameter) = rows.condition();
        let sql = format!("SELECT id, value FROM test WHERE {condition} ORDER BY id");
        self.connection
            .prepare_cached(&sql)?
            .query_map([parameter], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    }

    fn set(&mut self, id: i64, value: i64) -> Result<()> {
        self.connection.execute("UPDATE test SET value = ?2 WHERE id = ?1", [id, value]).map(|_| ())
    }

    fn insert(&mut self, id: i64, value: i64) -> Result<()> {
        self.connection.execute("INSERT INTO test VALUES (?1, ?2)", [id, value]).map(|_| ())
    }

    fn add_to_all(&mut self, more: i64) -> Result<()> {
        self.connection.execute("UPDATE test SET value = value + ?1", [more]).map(|_| ())
    }

    fn delete(&mut self, rows: Where) -> Result<()> {
        let (condition, parameter) = rows.condition();
        self.connection.execute(&format!("DELETE FROM test WHERE {condition}"), [parameter]).map(|_| ())
    }

    fn commit(&mut self) -> Result<()> {
        self.connection.execute_batch("COMMIT")
    }

    fn rollback(&mut self) -> Result<()> {
        self.connection.execute_batch("ROLLBACK")
    }
}
