//! Figures: how a measuring process hands them over, and how they become a table.
//!
//! ```text
//! more|less TAB what TAB value        a line a figure, on the standard output of the measuring process
//! same TAB what TAB value             something that every engine must agree on
//! ```

use std::fmt::Write as _;

use crate::reach::Reach;

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

    /// Whether a figure of this name was entered.
    #[cfg(test)]
    pub fn has(&self, what: &str) -> bool {
        self.0.iter().any(|(name, ..)| name == what)
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

    /// The medians as Markdown. A ratio says how many times better the first engine is than the best peer: the best whose name does
    /// not begin with its name. After it stands what is to be reached, and whether it is.
    pub fn markdown(&self) -> String {
        let ours = self.columns.first().cloned().unwrap_or_default();
        let mut text = format!("| | {} | {ours} / best peer | reach | |\n", self.columns.join(" | "));
        text.push_str(&"|---".repeat(self.columns.len() + 4));
        text.push_str("|\n");
        for row in &self.rows {
            self.line(row, &ours, &mut text);
        }
        text
    }

    fn line(&self, row: &Row, ours: &str, text: &mut String) {
        let medians: Vec<Option<f64>> = row.values.iter().map(|values| median(values)).collect();
        let peers = medians.iter().zip(&self.columns).filter(|(_, name)| !name.starts_with(ours));
        let best = peers.filter_map(|(value, _)| *value).reduce(|a, b| better_of(row.better, a, b));
        let _ = write!(text, "| {} |", row.what);
        for value in &medians {
            let _ = match value {
                Some(value) if Some(*value) == best => write!(text, " **{}** |", figure(*value)),
                Some(value) => write!(text, " {} |", figure(*value)),
                None => write!(text, " – |"),
            };
        }
        let own = medians.first().copied().flatten();
        let ratio = |peer: Option<f64>| match (own, peer) {
            (Some(own), Some(peer)) if own > 0.0 && peer > 0.0 => {
                Some(if row.better == Better::More { own / peer } else { peer / own })
            }
            _ => None,
        };
        let _ = match ratio(best) {
            Some(ratio) => write!(text, " {ratio:.2} |"),
            None => write!(text, " – |"),
        };
        let Some(reach) = Reach::of(&row.what) else {
            text.push_str(" | |\n");
            return;
        };
        let named = |name| self.columns.iter().position(|column| column == name).and_then(|at| medians[at]);
        let met = match reach {
            Reach::Best(wanted) => ratio(best).map(|ratio| ratio >= wanted),
            Reach::Peer(name, wanted) => ratio(named(name)).map(|ratio| ratio >= wanted),
            Reach::AtLeast(wanted) => own.map(|own| own >= wanted),
            Reach::AtMost(wanted) => own.map(|own| own <= wanted),
        };
        let word = met.map_or("–", |met| if met { "met" } else { "**short**" });
        let _ = writeln!(text, " {reach} | {word} |");
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
        0.0 => "0".to_owned(),
        v if v >= 0.1 => format!("{v:.2}"),
        v => format!("{v:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_whether_its_median_reaches_what_it_is_to_reach() {
        let names = ["dosql", "dosql-r0", "redb", "heed"].map(str::to_owned);
        let mut table = Table::new(&names);
        let mut enter = |column, what: &str, value: f64| {
            assert!(table.take_line(column, &format!("more\t{what}\t{value}")));
        };
        let (gets, absent) = ("5 random gets, 1 thread [gets/s]", "5 gets of absent keys [gets/s]");
        for (column, value) in [(0, 1.0), (0, 130.0), (0, 500.0), (1, 900.0), (2, 100.0), (3, 90.0)] {
            enter(column, gets, value);
        }
        for (column, value) in [(0, 140.0), (2, 200.0), (3, 100.0)] {
            enter(column, absent, value);
        }
        let text = table.markdown();
        assert!(text.contains("| 130 | 900 | **100** | 90.0 | 1.30 | 1.20x | met |"), "{text}");
        assert!(text.contains("| 140 | – | **200** | 100 | 0.70 | 1.50x heed | **short** |"), "{text}");
        assert!(!table.take_line(0, "more\tno figure"));
    }
}
