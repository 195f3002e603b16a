//! Statements over a storage that has to fetch every entry first: each read may say "not yet" once, and nothing is ever half done.

mod common;

use common::Db;

#[test]
fn statements_that_write_start_over_until_everything_is_there() {
    let script = "CREATE TABLE p(id INTEGER PRIMARY KEY, n); CREATE TABLE c(x REFERENCES p ON DELETE CASCADE, y UNIQUE);
         CREATE TRIGGER r AFTER INSERT ON c BEGIN UPDATE p SET n = n + 1 WHERE id = new.x; END;
         INSERT INTO p VALUES(1, 0), (2, 0), (3, 0);
         INSERT INTO c VALUES(1, 'a'), (1, 'b'), (2, 'c'); INSERT OR REPLACE INTO c VALUES(3, 'a');
         INSERT INTO c VALUES(2, 'b') ON CONFLICT(y) DO UPDATE SET x = excluded.x; UPDATE c SET y = y || y WHERE x = 2;
         DELETE FROM p WHERE id = 2; CREATE INDEX i ON p(n); ALTER TABLE p ADD m DEFAULT 4";
    let query = "SELECT p.*, y FROM p LEFT JOIN c ON x = id ORDER BY id";
    let mut plain = Db::new();
    plain.run(script);
    let mut waiting = Db::new();
    waiting.storage.main.block_once();
    waiting.run(script);
    let expected = plain.rows(query);
    assert_eq!(waiting.rows(query), expected);
    assert_eq!(expected, ["1|2|4|NULL", "3|1|4|a"]);
    assert_eq!(waiting.rows("PRAGMA integrity_check"), ["ok"]);
}
