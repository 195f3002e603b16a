//! The pipe protocol: one JSON object a line in, one a line out, flushed after every line, so that any language can
//! drive a database and any test corpus can run.
//!
//! ```text
//! in   {"sql": "SELECT ?1", "params": [1], "session": "a"}          params and session may be left out
//! out  {"columns": ["?1"], "types": ["INTEGER"], "rows": [[1]], "changes": 0, "lsn": 1764000000000000}
//!      {"error": {"code": "SQLITE_ERROR", "message": "no such table: t", "offset": 14}}
//! ```
//!
//! Params may also be an object of names. Integers are exact, reals have a `.` or an `e`, blobs are `{"blob": "hex"}`,
//! infinite reals `{"real": "inf"}`. Several statements in one request run in turn, and the last answers.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::time::Duration;

use dosql::{Code, Connection, Database, Error, Result, Statement, ToSql, Value};
use serde_json::{Map, Value as Json, json};

/// The longest line that is read, in bytes.
const MAX_LINE: usize = 256 << 20;

/// Answers requests until the end of input.
pub fn run(database: &Database, mut input: impl BufRead, mut out: impl Write) -> Result<()> {
    let mut sessions = Sessions::new(database);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read =
            read_line(&mut input, &mut line).map_err(|error| Error::io("reading a request", &error))?;
        if read == 0 {
            return Ok(());
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let answer = sessions.answer(&line);
        write_line(&mut out, &answer).map_err(|error| Error::io("writing an answer", &error))?;
    }
}

/// Reads up to the next newline, at most [`MAX_LINE`] bytes of it; the rest of a longer line is read as the next.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    io::Read::take(&mut *input, MAX_LINE as u64).read_until(b'\n', line)
}

fn write_line(out: &mut impl Write, answer: &Json) -> io::Result<()> {
    serde_json::to_writer(&mut *out, answer)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// The connections of one pipe.
pub struct Sessions<'a> {
    database: &'a Database,
    connections: BTreeMap<String, Connection>,
}

impl<'a> Sessions<'a> {
    /// No connections yet: the first request of a session makes its own.
    #[must_use]
    pub fn new(database: &'a Database) -> Self {
        Sessions { database, connections: BTreeMap::new() }
    }

    /// The connection of the session `name`; that of requests which name none is called "".
    pub fn connection(&mut self, name: &str) -> Result<&Connection> {
        if !self.connections.contains_key(name) {
            let connection = self.database.connect()?;
            // All sessions live on this thread: whoever holds the writer's turn can't give it up while another waits.
            connection.busy_timeout(Duration::ZERO);
            self.connections.insert(name.to_owned(), connection);
        }
        Ok(&self.connections[name])
    }

    /// The answer to one line.
    pub fn answer(&mut self, line: &[u8]) -> Json {
        self.result(line).unwrap_or_else(|error| failure(&error))
    }

    fn result(&mut self, line: &[u8]) -> Result<Json> {
        let request: Json = serde_json::from_slice(line)
            .map_err(|error| misuse(&format!("the request is not JSON: {error}")))?;
        let Json::Object(mut request) = request else {
            return Err(misuse("a request is a JSON object"));
        };
        let Some(Json::String(sql)) = request.remove("sql") else {
            return Err(misuse("a request has a text `sql`"));
        };
        let name = match request.remove("session") {
            None | Some(Json::Null) => String::new(),
            Some(Json::String(name)) => name,
            Some(_) => return Err(misuse("`session` is a text")),
        };
        let parameters = request.remove("params").unwrap_or(Json::Null);
        run_all(self.connection(&name)?, &sql, &parameters)
    }
}

fn misuse(message: &str) -> Error {
    Error::new(dosql::ErrorKind::InvalidInput, Code::Misuse, message)
}

/// Runs all statements of `sql` and answers for the last.
fn run_all(connection: &Connection, sql: &str, parameters: &Json) -> Result<Json> {
    let mut answer = None;
    let mut from = 0;
    while let Some((mut statement, end)) = connection.prepare_next(sql, from)? {
        answer = Some(run_one(connection, &mut statement, parameters)?);
        from = end;
    }
    Ok(answer.unwrap_or_else(|| result(connection, Vec::new(), Vec::new(), Vec::new(), 0)))
}

fn run_one(connection: &Connection, statement: &mut Statement, parameters: &Json) -> Result<Json> {
    let values = bind(statement, parameters)?;
    let before = connection.total_changes();
    let mut rows = Vec::new();
    let mut cursor = statement.query(values)?;
    let columns: Vec<(String, Option<String>)> = cursor
        .columns()
        .iter()
        .map(|column| (column.name.to_string(), column.declared_type.as_ref().map(ToString::to_string)))
        .collect();
    let mut classes: Vec<Option<&'static str>> = vec![None; columns.len()];
    while let Some(row) = cursor.next()? {
        let mut cells = Vec::with_capacity(columns.len());
        for (index, class) in classes.iter_mut().enumerate() {
            let value = row.get_ref(index)?;
            if class.is_none() && !value.is_null() {
                *class = Some(value.type_name());
            }
            cells.push(dosql::feed::value_to_json(value));
        }
        rows.push(Json::Array(cells));
    }
    drop(cursor);
    let changes = connection.total_changes() - before;
    let types = columns
        .iter()
        .zip(&classes)
        .map(|((_, declared), class)| type_of(declared.as_deref(), *class))
        .collect();
    let names = columns.into_iter().map(|(name, _)| Json::String(name)).collect();
    Ok(result(connection, names, types, rows, changes))
}

/// The declared type of a column, else the storage class of its first value that is not NULL.
fn type_of(declared: Option<&str>, class: Option<&'static str>) -> Json {
    match declared.filter(|declared| !declared.is_empty()) {
        Some(declared) => declared.into(),
        None => class.unwrap_or("null").to_uppercase().into(),
    }
}

fn result(
    connection: &Connection,
    columns: Vec<Json>,
    types: Vec<Json>,
    rows: Vec<Json>,
    changes: u64,
) -> Json {
    let mut answer = Map::new();
    answer.insert("columns".into(), columns.into());
    answer.insert("types".into(), types.into());
    answer.insert("rows".into(), rows.into());
    answer.insert("changes".into(), changes.into());
    answer.insert("lsn".into(), connection.last_commit().as_micros().into());
    Json::Object(answer)
}

fn failure(error: &Error) -> Json {
    json!({ "error": { "code": error.code().name(), "message": error.to_string(), "offset": error.offset() } })
}

/// The values of the statement's parameters: an array by number, an object by name; what is not given is NULL.
fn bind(statement: &Statement, parameters: &Json) -> Result<Vec<Value>> {
    let names = statement.parameter_names();
    let mut values = vec![Value::Null; names.len()];
    match parameters {
        Json::Null => {}
        Json::Array(given) => {
            if given.len() > values.len() {
                let message =
                    format!("{} values for a statement with {} parameters", given.len(), values.len());
                return Err(Error::new(dosql::ErrorKind::InvalidInput, Code::Range, message));
            }
            for (slot, json) in values.iter_mut().zip(given) {
                *slot = value(json)?;
            }
        }
        Json::Object(given) => {
            let named = names.iter().enumerate().filter_map(|(at, name)| Some((name.as_deref()?, at)));
            // With the sign or without.
            let places: BTreeMap<&str, usize> =
                named.flat_map(|(name, at)| [(name, at), (&name[1..], at)]).rev().collect();
            for (name, json) in given {
                let place = places.get(name.as_str());
                let index = *place.ok_or_else(|| misuse(&format!("there is no parameter {name}")))?;
                values[index] = value(json)?;
            }
        }
        _ => return Err(misuse("`params` is an array or an object")),
    }
    Ok(values)
}

fn value(json: &Json) -> Result<Value> {
    match json {
        Json::Null => Ok(Value::Null),
        Json::Bool(truth) => truth.to_sql(),
        Json::String(text) => text.to_sql(),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Ok(Value::Integer(integer)),
            (None, Some(real)) => Ok(Value::Real(real)),
            (None, None) => Err(misuse(&format!("{number} is beyond SQL's numbers"))),
        },
        Json::Object(object) => tagged(object),
        Json::Array(_) => Err(misuse("a parameter can't be an array")),
    }
}

fn tagged(object: &Map<String, Json>) -> Result<Value> {
    match (object.len(), object.get("blob"), object.get("real")) {
        (1, Some(Json::String(hex)), _) => bytes(hex).map(|bytes| Value::Blob(bytes.into())),
        (1, _, Some(Json::String(real))) if real == "inf" => Ok(Value::Real(f64::INFINITY)),
        (1, _, Some(Json::String(real))) if real == "-inf" => Ok(Value::Real(f64::NEG_INFINITY)),
        _ => Err(misuse(r#"a parameter object is {"blob": "hex"}, {"real": "inf"} or {"real": "-inf"}"#)),
    }
}

fn bytes(hex: &str) -> Result<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect::<Option<Vec<u8>>>()
        .ok_or_else(|| misuse("a blob is an even number of hex digits"))
}
