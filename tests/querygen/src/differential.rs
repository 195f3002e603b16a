//! The statements of one seed, judged by SQLite.

use crate::pair::Agreed;
use crate::shrink::shrink;
use crate::{Figures, Generator, Mismatch, Pair, known};

/// A dosql and an SQLite database with the same tables and rows, and how they came to be.
pub struct World {
    pub generator: Generator,
    pub pair: Pair,
    /// The statements that made it, and those that changed it since.
    pub script: Vec<String>,
    seed: u64,
    /// They have come to hold different rows, for a reason that is known.
    parted: bool,
}

impl World {
    /// Tables, rows, indexes and views; or the report of a first difference.
    pub fn new(seed: u64, figures: &mut Figures) -> Result<World, String> {
        let mut generator = Generator::new(seed);
        let mut setup = generator.schema();
        for table in 0..generator.tables.len() {
            let rows = generator.random.usize(0..16);
            setup.extend(generator.fill(table, rows));
        }
        let mut world = World { generator, pair: Pair::new(), script: Vec::new(), seed, parted: false };
        figures.databases += 1;
        for sql in setup {
            world.check(&sql, figures)?;
            world.script.push(sql);
        }
        Ok(world)
    }

    /// Runs a statement in both: the number of its rows, or the report of a difference.
    pub fn check(&mut self, sql: &str, figures: &mut Figures) -> Result<usize, String> {
        let Agreed { rows, known } =
            self.pair.check(sql).map_err(|mismatch| report(self.seed, &self.script, &mismatch))?;
        figures.compared += 1;
        let found = rows.as_ref().map_or(0, Vec::len);
        figures.rows += found as u64;
        figures.refused += u64::from(rows.is_none());
        if let Some(reason) = known {
            *figures.known.entry(reason).or_default() += 1;
            self.parted |= known::parts_ways(reason);
        }
        Ok(found)
    }

    /// Changes a table and compares what it holds then.
    fn change(&mut self, figures: &mut Figures) -> Result<(), String> {
        let (sql, table) = self.generator.change();
        self.check(&sql, figures)?;
        self.script.push(sql);
        if self.parted {
            return Ok(());
        }
        for table in [table.as_str(), "log"] {
            let rows = self.check(&format!("SELECT * FROM {table}"), figures)?;
            if let Some(sql) = self.generator.prune(table, rows) {
                self.check(&sql, figures)?;
                self.script.push(sql);
            }
        }
        Ok(())
    }

    /// Changes a definition, or goes in or out of a transaction.
    fn define(&mut self, figures: &mut Figures) -> Result<(), String> {
        if !self.pair.sqlite.is_autocommit() || self.generator.one_in(2) {
            let sql = self.generator.transaction();
            self.check(sql, figures)?;
            self.script.push(sql.into());
            return Ok(());
        }
        let number = self.script.len();
        if self.generator.one_in(3) {
            if let Some(sql) = self.generator.create_index(number) {
                self.check(&sql, figures)?;
                self.script.push(sql);
            }
            return Ok(());
        }
        let (sql, at, table) = self.generator.alter();
        let refused = figures.refused;
        self.check(&sql, figures)?;
        self.script.push(sql);
        if figures.refused == refused {
            self.generator.tables[at] = table;
        }
        Ok(())
    }
}

/// A script that shows the difference and is as small as can be.
fn report(seed: u64, script: &[String], mismatch: &Mismatch) -> String {
    let (script, mismatch) = shrink(script, mismatch);
    format!("seed {seed}\n{};\n{mismatch}", script.join(";\n"))
}

/// Compares so many statements over one database; what differs goes to the violations, and ends it.
pub fn compare(seed: u64, statements: usize, figures: &mut Figures) {
    if let Err(report) = try_compare(seed, statements, figures) {
        figures.violations.push(report);
    }
}

fn try_compare(seed: u64, statements: usize, figures: &mut Figures) -> Result<(), String> {
    let mut world = World::new(seed, figures)?;
    for number in 0..statements {
        if world.parted {
            break;
        }
        match number % 20 {
            3 | 7 | 11 | 15 | 19 => world.change(figures)?,
            9 => {
                let sql = world.generator.calls();
                world.check(&sql, figures)?;
            }
            17 => world.define(figures)?,
            _ => {
                let sql = world.generator.select(2, &[]).0;
                world.check(&sql, figures)?;
            }
        }
        if number % 100 == 50 {
            world
                .pair
                .database
                .checkpoint()
                .map_err(|error| format!("seed {seed}\n-- checkpoint: {error}"))?;
        }
    }
    Ok(())
}
