//! Figures: how a measuring process hands them over, and how they become a table.
//!
//! ```text
//! more|less TAB what TAB value        a line a figure, on the standard output of the measuring process
//! same TAB what TAB value             something that every engine must agree on
//! ```

use std::fmt::Write as _;

/// Which of two figures is the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// The larger: a rate.
    More,
    /// The smaller: a time, a size.
    Less,
}

/// The figures of one process.
#[derive(Default)]
pub struct Sheet(Vec<(String, Better, f64)>);

impl Sheet {
    /// Enters a figure of which more is better.
    pub fn more(&mut self, what: &str, value: f64) {
        self.enter(what, Better::More, value);
    }

    /// Enters a figure of which less is better.
    pub fn less(&mut self, what: &str, value: f64) {
        self.enter(what, Better::Less, value);
    }

    /// Enters what every engine must find the same.
    pub fn same(&mut self, what: &str, value: u64) {
        println!("same\t{what}\t{value}");
    }

    fn enter(&mut self, what: &str, better: Better, value: f64) {
        self.0.push((what.to_owned(), better, value));
        let word = if better == Better::More { "more" } else { "less" };
        println!("{word}\t{what}\t{value}");
    }
}

/// All figures of a run.
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Row>,
    /// What the first engine found that every engine must find the same.
    agreed: Vec<(String, String)>,
}

struct Row {
    what: String,
    better: Better,
    /// By column, then by round.
    values: Vec<Vec<f64>>,
}

impl Table {
    /// An empty table with these engines.
    pub fn new(columns: &[String]) -> Self {
        Table { columns: columns.to_vec(), rows: Vec::new(), agreed: Vec::new() }
    }

    /// Takes a line of a measuring process of the engine in `column`; whether it was one.
    pub fn take_line(&mut self, column: usize, line: &str) -> bool {
        let mut parts = line.split('\t');
        let better = match parts.next() {
            Some("more") => Better::More,
            Some("less") => Better::Less,
            Some("same") => return self.agree(line),
            _ => return false,
        };
        let (Some(what), Some(value)) = (parts.next(), parts.next().and_then(|text| text.parse().ok()))
        else {
            return false;
        };
        let place = self.rows.iter().position(|row| row.what == what).unwrap_or_else(|| {
            let values = vec![Vec::new(); self.columns.len()];
            self.rows.push(Row { what: what.to_owned(), better, values });
            self.rows.len() - 1
        });
        self.rows[place].values[column].push(value);
        true
    }

    /// Whether the line says what the first engine said; its own line counts as one that does.
    fn agree(&mut self, line: &str) -> bool {
        let Some((what, value)) = line.rsplit_once('\t') else { return false };
        match self.agreed.iter().find(|(known, _)| known == what) {
            Some((_, agreed)) => agreed == value,
            None => {
                self.agreed.push((what.to_owned(), value.to_owned()));
                true
            }
        }
    }

    /// The medians as Markdown. The last column is how many times better the first engine is than the best whose name does not
    /// begin with its name.
    pub fn markdown(&self) -> String {
        let ours = self.columns.first().cloned().unwrap_or_default();
        let mut text = format!("| | {} | {ours} / best peer |\n", self.columns.join(" | "));
        text.push_str(&"|---".repeat(self.columns.len() + 2));
        text.push_str("|\n");
        for row in &self.rows {
            let medians: Vec<Option<f64>> = row.values.iter().map(|values| median(values)).collect();
            let peers = medians.iter().zip(&self.columns).filter(|(_, name)| !name.starts_with(&ours));
            let best = peers.filter_map(|(value, _)| *value).reduce(|a, b| better_of(row.better, a, b));
            let _ = write!(text, "| {} |", row.what);
            for value in &medians {
                match value {
                    Some(value) if Some(*value) == best => {
                        let _ = write!(text, " **{}** |", figure(*value));
                    }
                    Some(value) => {
                        let _ = write!(text, " {} |", figure(*value));
                    }
                    None => text.push_str(" – |"),
                }
            }
            match (medians.first().copied().flatten(), best) {
                (Some(own), Some(best)) if own > 0.0 && best > 0.0 => {
                    let ratio = if row.better == Better::More { own / best } else { best / own };
                    let _ = writeln!(text, " {ratio:.2} |");
                }
                _ => text.push_str(" – |\n"),
            }
        }
        text
    }
}

fn better_of(better: Better, a: f64, b: f64) -> f64 {
    if better == Better::More { a.max(b) } else { a.min(b) }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        len if len % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

fn figure(value: f64) -> String {
    match value {
        v if v >= 10_000_000.0 => format!("{:.1}M", v / 1e6),
        v if v >= 1_000_000.0 => format!("{:.2}M", v / 1e6),
        v if v >= 10_000.0 => format!("{:.0}k", v / 1e3),
        v if v >= 1000.0 => format!("{:.2}k", v / 1e3),
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v == 0.0 => "0".to_owned(),
        v if v >= 0.1 => format!("{v:.2}"),
        v => format!("{v:.4}"),
    }
}
