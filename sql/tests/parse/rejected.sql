SELEC 1	near "SELEC": syntax error	0
SELECT	incomplete input	6
SELECT FROM t	near "FROM": syntax error	7
SELECT 1,	incomplete input	9
SELECT 1 2	near "2": syntax error	9
SELECT a FROM	incomplete input	13
SELECT a FROM t WHERE	incomplete input	21
SELECT a FROM t WHERE;	near ";": syntax error	21
SELECT a FROM t GROUP a	near "a": syntax error	22
SELECT a FROM t LIMIT 1 LIMIT 2	near "LIMIT": syntax error	24
SELECT a FROM t ORDER BY	incomplete input	24
SELECT a FROM t JOIN	incomplete input	20
SELECT a FROM t LEFT u	incomplete input	22
SELECT a FROM t OUTER JOIN u	unknown join type: OUTER	16
SELECT a FROM t INNER LEFT JOIN u	unknown join type: INNER LEFT	16
SELECT a FROM t NATURAL foo JOIN u	unknown join type: NATURAL foo	16
SELECT a FROM t ON 1	a JOIN clause is required before ON	16
SELECT (1	incomplete input	9
SELECT 1)	near ")": syntax error	8
SELECT ()	near ")": syntax error	8
SELECT 1 +	incomplete input	10
SELECT 1 = = 2	near "=": syntax error	11
SELECT a NOT b	near "b": syntax error	13
SELECT a BETWEEN 1 OR 2	near "OR": syntax error	19
SELECT a IN	incomplete input	11
SELECT a IN 5	near "5": syntax error	12
SELECT CASE END	incomplete input	15
SELECT CASE WHEN 1 END	near "END": syntax error	19
SELECT CAST(1 INTEGER)	near "INTEGER": syntax error	14
SELECT cast FROM t	near "FROM": syntax error	12
SELECT EXISTS 1	near "1": syntax error	14
SELECT f(1,)	near ")": syntax error	11
SELECT 'abc	unrecognized token: "'abc"	7
SELECT "abc	unrecognized token: ""abc"	7
SELECT [abc	unrecognized token: "[abc"	7
SELECT x'1'	unrecognized token: "x'1'"	7
SELECT x'1g'	unrecognized token: "x'1g'"	7
SELECT x'12	unrecognized token: "x'12"	7
SELECT 1a	unrecognized token: "1a"	7
SELECT 1.5x	unrecognized token: "1.5x"	7
SELECT 0xg	unrecognized token: "0xg"	7
SELECT 1__0	unrecognized token: "1__0"	7
SELECT 1_	unrecognized token: "1_"	7
SELECT 1_.5	unrecognized token: "1_.5"	7
SELECT 0x_1	unrecognized token: "0x_1"	7
SELECT #1	unrecognized token: "#"	7
SELECT a ! b	unrecognized token: "!"	9
SELECT ^ 1	unrecognized token: "^"	7
SELECT : a	unrecognized token: ":"	7
SELECT {	unrecognized token: "{"	7
SELECT \	unrecognized token: "\"	7
SELECT ?0	variable number must be between ?1 and ?32766	7
SELECT ?32767	variable number must be between ?1 and ?32766	7
SELECT ?99999999999999999999	variable number must be between ?1 and ?32766	7
SELECT 0x10000000000000000	hex literal too big: 0x10000000000000000	7
SELECT 1 ORDER BY 1 UNION SELECT 2	ORDER BY clause should come after UNION not before	26
SELECT 1 LIMIT 1 UNION ALL SELECT 2	LIMIT clause should come after UNION ALL not before	27
VALUES (1), (2, 3)	all VALUES must have the same number of terms	12
VALUES (1) ORDER BY 1	near "ORDER": syntax error	11
VALUES ()	near ")": syntax error	8
WITH c SELECT 1	near "SELECT": syntax error	7
WITH c AS SELECT 1	near "SELECT": syntax error	10
WITH c AS (SELECT 1)	incomplete input	20
SELECT sum(a) OVER (ROWS UNBOUNDED FOLLOWING) FROM t	near "FOLLOWING": syntax error	35
SELECT sum(a) OVER (ROWS 1 FOLLOWING) FROM t	unsupported frame specification	20
SELECT sum(a) OVER (ROWS BETWEEN CURRENT ROW AND 1 PRECEDING) FROM t	unsupported frame specification	20
SELECT percentile(0.5) WITHIN GROUP (ORDER BY a) FROM t	WITHIN GROUP is not supported: put ORDER BY behind the argument	23
INSERT t VALUES (1)	near "t": syntax error	7
INSERT INTO t	incomplete input	13
INSERT INTO t () VALUES (1)	near ")": syntax error	15
INSERT OR x INTO t VALUES (1)	near "x": syntax error	10
INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING ON CONFLICT DO NOTHING	near "ON": syntax error	48
INSERT INTO t VALUES (1) ON CONFLICT (a NULLS FIRST) DO NOTHING	unsupported use of NULLS FIRST	38
UPDATE t a = 1	near "a": syntax error	9
UPDATE t SET	incomplete input	12
UPDATE t SET a	incomplete input	14
UPDATE t SET a = 1 ORDER BY a	ORDER BY without LIMIT on UPDATE	19
DELETE t	near "t": syntax error	7
CREATE	incomplete input	6
CREATE t	near "t": syntax error	7
CREATE TABLE t	incomplete input	14
CREATE TABLE t ()	near ")": syntax error	16
CREATE TABLE t (a,)	near ")": syntax error	18
CREATE TABLE t (a) x	unknown table option: x	19
CREATE TABLE t (a) WITHOUT x	unknown table option: x	19
CREATE TABLE t (PRIMARY KEY (a))	near "PRIMARY": syntax error	16
CREATE TABLE t (a DEFAULT a + 1)	near "+": syntax error	28
CREATE TABLE select (a)	near "select": syntax error	13
CREATE TABLE t (a, CHECK (1), b)	near "b": syntax error	30
CREATE INDEX i ON t	incomplete input	19
CREATE INDEX i ON t ()	near ")": syntax error	21
CREATE INDEX i ON t (a NULLS LAST)	unsupported use of NULLS LAST	21
CREATE INDEX i ON t (a) WHERE a = ?	parameters prohibited in index expressions	35
CREATE VIEW v AS SELECT ?	parameters are not allowed in views	25
CREATE TRIGGER r AFTER INSERT ON t BEGIN END	near "END": syntax error	41
CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1 END	incomplete input	53
CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT ?; END	trigger cannot use variables	54
CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM main.t; END	qualified table names are not allowed on INSERT, UPDATE, and DELETE statements within triggers	53
CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM t NOT INDEXED; END	the NOT INDEXED clause is not allowed on UPDATE or DELETE statements within triggers	55
CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO t VALUES (1) RETURNING 1; END	cannot use RETURNING in a trigger	66
CREATE VIRTUAL TABLE t USING fts5(a)	virtual tables are not supported	7
ALTER TABLE t	incomplete input	13
ALTER TABLE t RENAME a	incomplete input	22
DROP t	near "t": syntax error	5
DROP TABLE IF t	near "t": syntax error	14
BEGIN x	near "x": syntax error	6
SAVEPOINT	incomplete input	9
PRAGMA	incomplete input	6
PRAGMA x =	incomplete input	10
PRAGMA x = -a	near "a": syntax error	12
PRAGMA x(1	incomplete input	10
EXPLAIN	incomplete input	7
EXPLAIN EXPLAIN SELECT 1	near "EXPLAIN": syntax error	8
ATTACH 'x' AS y	ATTACH is not supported	0
SELECT a FROM t FOR SYSTEM_TIME	incomplete input	31
SELECT a FROM t FOR SYSTEM_TIME AS OF	incomplete input	37
SELECT 1; SELECT 2	the text holds more than one statement	10
