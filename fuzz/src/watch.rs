//! A watch over statements that may run for ever: it interrupts them, and then they must stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dosql::{Connection, InterruptHandle};
use dosql_sql::parse::{ast::Ast, parse_next};

/// How long a script may run before it is interrupted, and how long until it must then have stopped.
const PATIENCE: Duration = Duration::from_millis(200);
const STOPS: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(20);

/// The most statements of a script.
const STATEMENTS: usize = 60;

/// Runs `work`; what of it uses the connections of `handles` is interrupted after a while, again and again.
pub fn watched<T>(handles: Vec<InterruptHandle>, work: impl FnOnce() -> T) -> T {
    let done = Arc::new(AtomicBool::new(false));
    let seen = done.clone();
    let watch = std::thread::spawn(move || {
        let mut waited = Duration::ZERO;
        while !seen.load(Ordering::Relaxed) {
            std::thread::park_timeout(TICK);
            waited += TICK;
            if waited > PATIENCE {
                handles.iter().for_each(InterruptHandle::interrupt);
            }
            if waited > STOPS {
                return false;
            }
        }
        true
    });
    let result = work();
    done.store(true, Ordering::Relaxed);
    watch.thread().unpark();
    assert!(watch.join().unwrap_or(false), "a statement does not stop when it is interrupted");
    result
}

/// Runs the statements of a script, whatever comes of each, and reads all that they give.
pub fn run_script(connection: &Connection, sql: &str) {
    watched(vec![connection.interrupt_handle()], || {
        let mut from = 0;
        for _ in 0..STATEMENTS {
            let Ok(Some((parsed, end))) = parse_next(sql, from, Ast::default()) else { break };
            let statement = &sql[parsed.span.start as usize..parsed.span.end as usize];
            if let Ok(mut statement) = connection.prepare(statement)
                && let Ok(mut rows) = statement.query(())
            {
                while let Ok(Some(row)) = rows.next() {
                    let _ = row.values();
                }
            }
            from = end;
        }
    });
    if connection.in_transaction() {
        let _ = connection.execute("ROLLBACK", ());
    }
}
