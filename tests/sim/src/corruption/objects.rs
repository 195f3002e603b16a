//! Objects of the segment store, damaged under a whole database: what lies in them is right or refused, under their names, and all else
//! is there. The same of published points.

use std::sync::Arc;

use dosql::{Database, ErrorKind, Result, params};
use dosql_wal::CrashDirectory;

use super::damage::{Damage, SECTOR, What};
use super::database::is_object;
use super::sweep::Subject;
use crate::crash::CrashSegments;
use crate::golden::{Files, Golden, Pairs, State, Verdict, rows};

/// Of the objects that hold pages every so many bytes are damaged: pages have their own checksums.
const SAMPLE: usize = 101;

/// See above.
pub struct Objects {
    golden: Golden,
    /// The names of objects of segments.
    segments: Vec<String>,
}

impl Objects {
    pub fn new() -> Self {
        let golden = Golden::cold();
        let directory = directory_of(&golden.files);
        let db = golden.open(&directory).expect("nothing is damaged");
        let segments: Vec<String> = db.segments().into_iter().map(|segment| segment.name).collect();
        assert!(segments.len() > 4, "rows and history lie in segments");
        Objects { golden, segments }
    }

    fn read(&self, directory: &CrashDirectory, found: &mut Found) -> Result<()> {
        // Whatever is wrong with objects, the database opens.
        let db = self.golden.open(directory)?;
        let states = &self.golden.states;
        let now = states.last().map(|state| (None, state));
        for (past, state) in states.iter().map(|state| (Some(state), state)).chain(now) {
            read_state(&db, past, state, found)?;
        }
        let report = db.verify()?;
        for problem in &report.problems {
            found.note(&format!("verify: {problem}"), Ok(false));
        }
        self.read_published(directory, found);
        Ok(())
    }

    /// The point that was published: as it was, or refused.
    fn read_published(&self, directory: &CrashDirectory, found: &mut Found) {
        let store: Arc<dyn dosql::stores::SegmentStore> = Arc::new(CrashSegments(directory.clone()));
        let points = match Database::published(&store, None) {
            Ok(points) => points,
            Err(error) => return found.note("published", Err(error)),
        };
        for point in points {
            let state = self.golden.states.iter().rev().find(|state| state.at <= point.at);
            let options = self.golden.options();
            let read = || -> Result<bool> {
                let db = Database::attach(Arc::clone(&store), Some(point.database), Some(point.at), options)?;
                let pairs: Pairs = db.read()?.iter(&db.keyspace("space")?)?.collect::<Result<_>>()?;
                Ok(state.is_some_and(|state| state.pairs == pairs))
            };
            found.note("a published point", read());
        }
    }
}

fn directory_of(files: &Files) -> CrashDirectory {
    let directory = CrashDirectory::new();
    files.iter().for_each(|(name, bytes)| directory.put(name, bytes.clone()));
    directory
}

/// Keys and rows one by one, and all of them.
fn read_state(db: &Database, past: Option<&State>, state: &State, found: &mut Found) -> Result<()> {
    let space = db.keyspace("space")?;
    let read = match past {
        Some(past) => db.read_at(past.at)?,
        None => db.read()?,
    };
    for (key, value) in &state.pairs {
        let got = read.get(&space, key).map(|got| got.as_deref() == Some(value.as_slice()));
        found.note(&format!("{key:?} as of {}", state.at), got);
    }
    let scan = read.iter(&space)?.collect::<Result<Pairs>>().map(|pairs| pairs == state.pairs);
    found.note(&format!("a scan as of {}", state.at), scan);
    let connection = db.connect()?;
    let expected = state.rows();
    let of_past = "SELECT * FROM item FOR SYSTEM_TIME AS OF LSN ?1 ORDER BY id";
    let scan = connection.prepare(of_past).and_then(|mut all| rows(&mut all, params![state.at]));
    found.note(&format!("the table as of {}", state.at), scan.map(|rows| rows == expected));
    if past.is_none() {
        let mut one = connection.prepare("SELECT * FROM item WHERE id = ?1")?;
        for row in &expected {
            let got =
                rows(&mut one, params![row[0].clone()]).map(|got| got.first() == Some(row) && got.len() == 1);
            found.note(&format!("row {:?}", row[0]), got);
        }
    }
    Ok(())
}

/// What was found.
struct Found {
    /// Errors name one of these.
    damaged: Vec<String>,
    right: usize,
    refused: usize,
    wrong: Option<String>,
}

impl Found {
    fn note(&mut self, what: &str, read: Result<bool>) {
        match read {
            Ok(true) => self.right += 1,
            Ok(false)
                if what.starts_with("verify") && self.damaged.iter().any(|name| what.contains(name)) =>
            {
                self.refused += 1;
            }
            Ok(false) => drop(self.wrong.get_or_insert_with(|| format!("{what} is wrong"))),
            Err(error) => {
                let text = format!("{error:?}");
                let named = self.damaged.iter().any(|name| text.contains(name));
                if error.kind() == ErrorKind::Corrupt && named {
                    self.refused += 1;
                } else {
                    self.wrong.get_or_insert_with(|| format!("{what}: {text}"));
                }
            }
        }
    }
}

impl Subject for Objects {
    fn name(&self) -> &str {
        "objects"
    }

    fn files(&self) -> &Files {
        &self.golden.files
    }

    fn before(&self) -> &Files {
        const NONE: &Files = &Files::new();
        NONE
    }

    fn unit(&self, _file: &str) -> usize {
        SECTOR
    }

    fn is_object(&self, file: &str) -> bool {
        is_object(file)
    }

    fn suffers(&self, damage: &Damage) -> bool {
        let name = &self.golden.files[damage.file].0;
        let whole = self.segments.contains(name) || name.contains("manifest");
        let sampled = match damage.what {
            What::Flip { at, .. } | What::Cut { len: at } => whole || at % SAMPLE == 0,
            What::Swap { first, second, .. } => whole || (first + second) % 16 == 0,
            _ => true,
        };
        sampled && is_object(name)
    }

    fn judge(&self, files: &Files, damage: &Damage) -> Verdict {
        let mut damaged = vec![self.golden.files[damage.file].0.clone()];
        if let What::Exchange { other } = damage.what {
            damaged.push(self.golden.files[other].0.clone());
        }
        let mut found = Found { damaged, right: 0, refused: 0, wrong: None };
        if let Err(error) = self.read(&directory_of(files), &mut found) {
            return Verdict::Wrong(format!("it can't be read at all: {error:?}"));
        }
        match found {
            Found { wrong: Some(wrong), .. } => Verdict::Wrong(wrong),
            Found { right: 0, .. } => Verdict::Wrong("nothing is readable that lies elsewhere".to_owned()),
            Found { refused: 0, .. } => Verdict::Right,
            _ => Verdict::Refused,
        }
    }
}
