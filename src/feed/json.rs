//! Changes as JSON, an object each.
//!
//! ```text
//! own       {"lsn":..,"position":0,"last":true,"branch":"main","op":"update","table":"t","schema_version":3,
//!            "key":{"id":1},"before":{..},"after":{..},"changed":["name"]}
//! Debezium  {"before":{..},"after":{..},"source":{..},"op":"u","ts_ms":..,"transaction":{..}}
//! ```
//!
//! Numbers, text and NULL are JSON's. Blobs are `{"blob":"hex"}` in our own, and base64 as Debezium has them; reals that JSON can't
//! say are `{"real":"inf"}`. Debezium's envelope is that of its connectors
//! (<https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-events>) without the schema part.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dosql_base::Timestamp;
use dosql_sql::value::{Text, Value, ValueRef};
use serde_json::{Map, Value as Json, json};

use super::change::{Change, Column, Event, Op};

/// A form of changes as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    /// Our own: everything that a [`Change`] says.
    #[default]
    Json,
    /// Debezium's change event envelope, for what consumes that.
    Debezium,
}

impl Format {
    /// The change as one line of JSON, without its end. `database` is what the envelope calls its source.
    ///
    /// ```
    /// use dosql::{Database, feed::Format};
    ///
    /// let db = Database::open_memory()?;
    /// let connection = db.connect()?;
    /// connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)", ())?;
    /// let mut changes = db.changes(db.last_commit())?;
    /// connection.execute("INSERT INTO t VALUES (1, 'a')", ())?;
    /// let change = changes.next().expect("it does not end")?;
    /// let line = Format::Json.line(&change, "shop");
    /// assert!(line.contains(r#""op":"insert","table":"t""#) && line.contains(r#""after":{"id":1,"name":"a"}"#));
    /// # Ok::<(), dosql::Error>(())
    /// ```
    #[must_use]
    pub fn line(self, change: &Change, database: &str) -> String {
        let object = match self {
            Format::Json => own(change),
            Format::Debezium => debezium(change, database),
        };
        object.to_string()
    }
}

fn own(change: &Change) -> Json {
    let mut object = Map::new();
    object.insert("lsn".into(), change.timestamp.as_micros().into());
    object.insert("position".into(), change.position.into());
    object.insert("last".into(), change.last.into());
    object.insert("branch".into(), (&*change.branch).into());
    let mut add = |name: &str, value: Json| object.insert(name.into(), value);
    match &change.event {
        Event::Row(row) => {
            let image = |values: &Option<Vec<Value>>| image(&row.table.columns, values.as_deref(), own_value);
            add("op", row.op.name().into());
            add("table", row.table.name.as_str().into());
            add("schema_version", row.table.schema_version.into());
            add("key", pairs(&row.table.key, &row.key, own_value));
            add("before", image(&row.before));
            add("after", image(&row.after));
            if row.op == Op::Update {
                let names = row.changed.iter().map(|&at| row.table.columns[at].name.as_str());
                add("changed", names.collect());
            }
        }
        Event::Entry(entry) => {
            let value = |bytes: &Option<crate::Bytes>| bytes.as_deref().map_or(Json::Null, blob);
            add("op", entry.op.name().into());
            add("keyspace", (&*entry.keyspace).into());
            add("key", blob(&entry.key));
            add("before", value(&entry.before));
            add("after", value(&entry.after));
        }
        Event::Schema(schema) => {
            add("op", format!("schema_{}", schema.op.name()).into());
            add(schema.object.name(), schema.name.as_str().into());
            if let Some(old) = &schema.old_name {
                add("old_name", old.as_str().into());
            }
            add("sql", schema.sql.as_str().into());
            add("columns", schema.columns.iter().map(column).collect());
            add("schema_versions", json!([schema.versions.0, schema.versions.1]));
        }
        Event::Watermark => {
            add("op", "watermark".into());
        }
    }
    Json::Object(object)
}

fn column(column: &Column) -> Json {
    json!({ "name": column.name.as_str(), "type": column.declared_type.as_str(), "nullable": column.nullable })
}

fn debezium(change: &Change, database: &str) -> Json {
    let (op, table, before, after) = match &change.event {
        Event::Row(row) => {
            let image =
                |values: &Option<Vec<Value>>| image(&row.table.columns, values.as_deref(), debezium_value);
            (letter(row.op), Some(row.table.name.as_str()), image(&row.before), image(&row.after))
        }
        Event::Entry(entry) => {
            let image = |bytes: &Option<crate::Bytes>| match bytes {
                Some(bytes) => json!({ "key": STANDARD.encode(&entry.key), "value": STANDARD.encode(bytes) }),
                None => Json::Null,
            };
            (letter(entry.op), Some(&*entry.keyspace), image(&entry.before), image(&entry.after))
        }
        Event::Schema(schema) => {
            let source = source(change, database, Some(&schema.table));
            let ts_ms = millis(change.timestamp);
            return json!({ "source": source, "ts_ms": ts_ms, "databaseName": database, "schemaName": "main",
                "ddl": schema.sql.as_str() });
        }
        Event::Watermark => ("m", None, Json::Null, Json::Null),
    };
    json!({
        "before": before,
        "after": after,
        "source": source(change, database, table),
        "op": op,
        "ts_ms": millis(change.timestamp),
        "transaction": {
            "id": change.timestamp.as_micros().to_string(),
            "total_order": change.position + 1,
            "data_collection_order": change.position + 1,
        },
    })
}

fn source(change: &Change, database: &str, table: Option<&str>) -> Json {
    let lsn = change.timestamp.as_micros();
    let read = matches!(&change.event, Event::Row(row) if row.op == Op::Read)
        || matches!(&change.event, Event::Entry(entry) if entry.op == Op::Read);
    let snapshot = match (read, change.last) {
        (true, true) => "last",
        (true, false) => "true",
        (false, _) => "false",
    };
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "connector": "dosql",
        "name": database,
        "ts_ms": millis(change.timestamp),
        "ts_us": lsn,
        "ts_ns": lsn.saturating_mul(1000),
        "snapshot": snapshot,
        "db": database,
        "schema": &*change.branch,
        "table": table,
        "txId": lsn,
        "lsn": lsn,
    })
}

fn letter(op: Op) -> &'static str {
    match op {
        Op::Insert => "c",
        Op::Update => "u",
        Op::Delete => "d",
        Op::Read => "r",
    }
}

fn millis(at: Timestamp) -> u64 {
    at.as_micros() / 1000
}

fn image(columns: &[Column], values: Option<&[Value]>, convert: fn(&Value) -> Json) -> Json {
    let Some(values) = values else { return Json::Null };
    let names = columns.iter().map(|column| column.name.as_str().to_owned());
    Json::Object(names.zip(values.iter().map(convert)).collect())
}

fn pairs(names: &[Text], values: &[Value], convert: fn(&Value) -> Json) -> Json {
    let names = names.iter().map(|name| name.as_str().to_owned());
    Json::Object(names.zip(values.iter().map(convert)).collect())
}

fn own_value(value: &Value) -> Json {
    value_to_json(value.as_ref())
}

fn debezium_value(value: &Value) -> Json {
    match value {
        Value::Blob(bytes) => STANDARD.encode(bytes).into(),
        other => own_value(other),
    }
}

/// A value as JSON: integers exact, blobs `{"blob": "hex"}`, infinite reals `{"real": "inf"}`.
#[must_use]
pub fn value_to_json(value: ValueRef<'_>) -> Json {
    match value {
        ValueRef::Null => Json::Null,
        ValueRef::Integer(n) => n.into(),
        ValueRef::Real(x) => match serde_json::Number::from_f64(x) {
            Some(number) => Json::Number(number),
            None => json!({ "real": if x > 0.0 { "inf" } else { "-inf" } }),
        },
        ValueRef::Text(text) => text.into(),
        ValueRef::Blob(bytes) => blob(bytes),
    }
}

fn blob(bytes: &[u8]) -> Json {
    json!({ "blob": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() })
}
