//! Queries of one seed, asked in several ways that must give the same.
//!
//! ```text
//! twin.rs       a database, and its twin with a tiny cache, small pages and batches of one row, checkpointed often
//! relation.rs   what must hold between answers; how a case is made, and checked
//! ```

use crate::relation::{Case, Relation, Verdict};
use crate::shrink::smaller;
use crate::twin::Databases;
use crate::{Figures, Generator, with_hint};

/// Asks `cases` queries over one database in several ways; violations go to the figures.
pub fn vary(seed: u64, cases: usize, figures: &mut Figures) {
    let mut generator = Generator::new(seed);
    let mut databases = Databases::new();
    let mut script = generator.schema();
    for table in 0..generator.tables.len() {
        let rows = generator.random.usize(0..16);
        script.extend(generator.fill(table, rows));
    }
    script.iter().for_each(|sql| databases.run(sql));
    figures.databases += 1;
    for number in 0..cases {
        if number % 8 == 7 {
            let (change, table) = generator.change();
            databases.run(&change);
            script.push(change);
            let rows = databases.rows(&format!("SELECT * FROM {table}")).map_or(0, |rows| rows.len());
            if let Some(prune) = generator.prune(&table, rows) {
                databases.run(&prune);
                script.push(prune);
            }
        }
        if number % 32 == 31 {
            let _ = databases.twin.checkpoint();
        }
        let relation = Relation::ALL[(seed as usize + number) % Relation::ALL.len()];
        let case = relation.make(&mut generator);
        match case.check(&mut databases) {
            Verdict::Holds => *figures.pairs.entry(relation.name()).or_default() += 1,
            Verdict::Open => figures.refused += 1,
            Verdict::Violated { found, error } => {
                figures.violations.push(report(seed, script, case, found, &error));
                return;
            }
        }
        if relation == Relation::OwnWrites {
            script.push(case.parts[0].clone());
        }
    }
}

/// A script that shows the violation and is as small as can be.
fn report(seed: u64, mut script: Vec<String>, case: Case, mut found: String, error: &str) -> String {
    let Case { relation, parts } = case;
    let fixed = parts.len();
    script.extend(parts);
    let script = smaller(script, fixed, |setup, parts| {
        let mut databases = Databases::new();
        setup.iter().for_each(|sql| databases.run(sql));
        let case = Case { relation, parts: parts.to_vec() };
        match case.check(&mut databases) {
            Verdict::Violated { found: smaller, error: again } if again == error => {
                found = smaller;
                true
            }
            _ => false,
        }
    });
    let setup: Vec<String> = script[..script.len() - fixed].iter().map(|sql| with_hint(sql, "")).collect();
    format!("seed {seed}: {}\n{};\n{found}", relation.name(), setup.join(";\n"))
}
