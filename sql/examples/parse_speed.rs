//! How long parsing takes: seven typical statements, each into a reused tree; the least of many short runs.
//!
//! `cargo run --release -p dosql-sql --example parse_speed`
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement needs a clock"
)]

use std::time::{Duration, Instant};

use dosql_sql::parse::ast::Ast;
use dosql_sql::parse::parse_next;

const STATEMENTS: [(&str, &str); 7] = [
    ("point", "SELECT id, name, email FROM users WHERE id = ? LIMIT 1;"),
    (
        "insert",
        "INSERT INTO orders (user_id, product, quantity, price) VALUES (?, ?, ?, ?) RETURNING id, created_at",
    ),
    (
        "upsert",
        "INSERT INTO counters (name, value) VALUES (:name, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 \
         WHERE value < 100",
    ),
    ("update", "UPDATE accounts SET balance = balance - ?1, updated_at = ?2 WHERE id = ?3 AND balance >= ?1"),
    (
        "join",
        "SELECT u.name, count(o.id) AS orders, sum(i.price * i.quantity) AS total FROM users AS u JOIN orders AS o \
         ON o.user_id = u.id LEFT JOIN items AS i ON i.order_id = o.id WHERE u.country = 'DE' AND o.created_at \
         BETWEEN '2026-01-01' AND '2026-12-31' GROUP BY u.id, u.name HAVING total > 1000 ORDER BY total DESC, u.name \
         LIMIT 20 OFFSET 40",
    ),
    (
        "cte+window",
        "WITH RECURSIVE tree(id, parent, depth) AS (SELECT id, parent, 0 FROM nodes WHERE parent IS NULL UNION ALL \
         SELECT n.id, n.parent, t.depth + 1 FROM nodes AS n JOIN tree AS t ON n.parent = t.id WHERE t.depth < 10) \
         SELECT id, depth, row_number() OVER (PARTITION BY depth ORDER BY id) AS position, CASE WHEN depth = 0 THEN \
         'root' WHEN depth < 3 THEN 'near' ELSE 'far' END AS distance, sum(depth) OVER (ORDER BY id ROWS BETWEEN 2 \
         PRECEDING AND CURRENT ROW) FROM tree WHERE EXISTS (SELECT 1 FROM flags AS f WHERE f.node = tree.id AND \
         f.kind IN ('a', 'b', 'c')) ORDER BY depth, id",
    ),
    (
        "create",
        "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL \
         REFERENCES users (id) ON DELETE CASCADE, product TEXT NOT NULL, quantity INTEGER NOT NULL DEFAULT 1 CHECK \
         (quantity > 0), price REAL NOT NULL, total REAL GENERATED ALWAYS AS (quantity * price) STORED, created_at \
         TEXT DEFAULT CURRENT_TIMESTAMP, UNIQUE (user_id, product)) STRICT",
    ),
];

fn main() {
    let mut ast = Ast::default();
    for (name, sql) in STATEMENTS {
        let mut least = Duration::MAX;
        const REPEATS: u32 = 500;
        for _ in 0..400 {
            let start = Instant::now();
            for _ in 0..REPEATS {
                ast = parse_next(std::hint::black_box(sql), 0, ast).unwrap().unwrap().0.ast;
            }
            least = least.min(start.elapsed() / REPEATS);
        }
        println!("{name:>12}  {:>4} bytes  {:>6} ns", sql.len(), least.as_nanos());
    }
}
