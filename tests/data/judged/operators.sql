CREATE TABLE d1(id INTEGER PRIMARY KEY, n INT, t TEXT, r REAL, b BLOB)
INSERT INTO d1 VALUES(1,1,'a',0.5,x'01'),(2,-1,'B',-0.5,x'02'),(3,9223372036854775807,'10',1e300,x''),(4,-9223372036854775808,'9',-1e300,NULL),(5,0,'',0.0,x'ff'),(6,NULL,NULL,NULL,NULL)
SELECT id, n+1, n-1, n*2, n/2, n%2, -n, abs(r) FROM d1
SELECT id, n+1.0, n*1.0, n/2.0, n%2.0, n||'' FROM d1
SELECT t+0, t*1, t/2, -t, t||1, t=10, t=9, t>5, t<'5' FROM d1
SELECT r*r, r/0, r%1, r+1e308 FROM d1
SELECT n&1, n|1, ~n, n<<1, n>>1, n<<63, n>>63 FROM d1
SELECT id FROM d1 WHERE n ORDER BY n
SELECT id FROM d1 WHERE NOT n
SELECT id FROM d1 WHERE t
SELECT id FROM d1 WHERE r
SELECT id FROM d1 WHERE b
SELECT min(n), max(n), min(t), max(t), min(r), max(r), min(b), max(b) FROM d1
SELECT sum(n) FROM d1 WHERE id IN (3,4)
SELECT sum(n) FROM d1 WHERE id IN (1,3)
SELECT sum(n) FROM d1 WHERE id IN (3,1,4)
SELECT avg(n), total(n) FROM d1 WHERE id IN (3,4)
SELECT sum(r), avg(r), total(r) FROM d1
SELECT sum(t), avg(t), sum(b) FROM d1
SELECT count(*), count(b), count(DISTINCT r) FROM d1
SELECT id, n FROM d1 ORDER BY n DESC, id
SELECT id, t FROM d1 ORDER BY t COLLATE NOCASE, id
SELECT id, r FROM d1 ORDER BY -r
SELECT id FROM d1 ORDER BY b, id
SELECT id FROM d1 ORDER BY b DESC, id DESC
SELECT id FROM d1 ORDER BY typeof(t), id
SELECT id FROM d1 ORDER BY id % 2, id DESC
SELECT id FROM d1 WHERE id BETWEEN n AND 5
SELECT id FROM d1 WHERE (n, t) > (0, 'a')
SELECT id FROM d1 WHERE (n, t) >= (0, '') ORDER BY id
SELECT id FROM d1 WHERE (n, t) = (1, 'a') OR (n, t) = (0, '')
SELECT id FROM d1 WHERE (n, t, r) <> (1, 'a', 0.5)
SELECT id FROM d1 WHERE (n, t) IS (NULL, NULL)
SELECT (1, 2, 3) < (1, 2, 4), (1, NULL, 3) < (1, 2, 4), (1, NULL, 3) < (2, 2, 4), (1, 2) = (1, NULL), (1, 2) <> (2, NULL), (NULL, 1) = (NULL, 2)
SELECT (SELECT 1, 2) = (1, 2), (1, 2) IN (SELECT n, id FROM d1), (SELECT n, id FROM d1 WHERE id = 1) IN (SELECT 1, 1)
SELECT (1, 2) BETWEEN (0, 5) AND (1, 1), (SELECT 1, 2) BETWEEN (1, 1) AND (1, 3)
SELECT CASE WHEN (1, 2) = (1, 2) THEN 'eq' END, NOT (1, 2) = (1, 3)
SELECT (n, t) = (SELECT n, t FROM d1 WHERE id = 2) FROM d1
SELECT row(1, 2)
SELECT (1, 2) IS NOT NULL
SELECT ((1, 2)) = (1, 2)
SELECT (1, 2) LIKE 'a'
SELECT count((1, 2))
SELECT CAST((1,2) AS TEXT)
SELECT max((1,2), 3)
SELECT 1 GROUP BY (1, 2)
SELECT 1 LIMIT (1, 2)
SELECT 'aaa' LIKE '%a%a%', 'abcabc' LIKE '%bc', 'abcabc' LIKE 'abc%abc', 'ab' LIKE '_', 'ab' LIKE '__', 'ab' LIKE '___', 'a' LIKE '%%%', '' LIKE '_'
SELECT 'ABC' LIKE 'abc' COLLATE binary, 'abc' GLOB 'ABC' COLLATE nocase, 'ß' LIKE 'SS', 'Ä' LIKE 'ä', 'K' LIKE 'k'
SELECT 'abc' GLOB '[a-z][a-z][a-z]', 'a5c' GLOB '[a-z][0-9][a-z]', 'abc' GLOB '[^x-z]*', ']' GLOB '[]]', '^' GLOB '[x^]', '-' GLOB '[a-]', 'b' GLOB '[a-]', 'a[b' GLOB 'a[[]b', '*' GLOB '[*]', 'x' GLOB '[*]', 'aé' GLOB 'a?', 'é' GLOB '[à-ü]', '' GLOB '[a]', 'abc' GLOB '*c', 'abc' GLOB '*b', 'abc' GLOB '?*?', 'ab' GLOB '?*?*?'
SELECT 1 IS TRUE, 0 IS TRUE, NULL IS TRUE, 'x' IS TRUE, '1' IS TRUE, 0.5 IS TRUE, x'31' IS TRUE, 1 IS NOT FALSE, NULL IS NOT FALSE, (1=1) IS TRUE, 5 IS (TRUE), 1 IS (TRUE)
SELECT TRUE = 1, FALSE = 0, TRUE > FALSE, NOT TRUE, -TRUE, TRUE || 'x', TRUE IN (1), "id" IS TRUE FROM d1 LIMIT 2
SELECT 1 = '1', 1 = 1.0, '1' = '1.0', 1 = x'31', 'a' = x'61', NULL = NULL, NULL IS NULL, NULL <> 1, 1 IS '1', 1.0 IS 1
SELECT CAST(1 AS TEXT) = 1, CAST('1' AS INTEGER) = '1', CAST(1 AS REAL) = '1', CAST('1.0' AS NUMERIC) = '1', +'1' = 1, (SELECT '1') = 1, (SELECT n FROM d1 WHERE id=1) = '1', '1' = (SELECT n FROM d1 WHERE id=1)
SELECT n = '1', n = ' 1', n = '1 ', n = '1x', n = '1.0', n = '1e0', n = '0x1', n = '+1', n > '0', n < 'a', n BETWEEN '0' AND '1' FROM d1 WHERE id = 1
SELECT t = 10, t = 10.0, t = '10', 10 = t, t > 9, t < 9, t IN (10), t IN (10.0), t IN ('10', 3), t BETWEEN 1 AND 2 FROM d1 WHERE id = 3
SELECT r = '0.5', r = '.5', r = '5e-1', r IN ('0.5'), r IN ('x', 0.5), b = '', b = x'', b IN (x'', ''), b > 'zzz' FROM d1 WHERE id IN (1,3)
SELECT a1.n = a2.t FROM d1 a1, d1 a2 WHERE a1.id=3 AND a2.id=3
SELECT id FROM d1 WHERE t IN (SELECT n FROM d1 UNION SELECT 10)
SELECT id FROM d1 WHERE n IN (SELECT t FROM d1)
SELECT id FROM d1 WHERE n IN (SELECT '1' UNION SELECT 0)
SELECT id FROM d1 WHERE t IN (SELECT 9)
SELECT id FROM d1 WHERE CAST(t AS INTEGER) IN (SELECT '9')
SELECT nullif(n, 1), nullif(t, 'a'), ifnull(n, 'none'), coalesce(b, t, n, 'end') FROM d1
SELECT iif(n > 0, 'pos', iif(n < 0, 'neg', iif(n IS NULL, 'null', 'zero'))) FROM d1
SELECT CASE n WHEN 1 THEN 'one' WHEN -1 THEN 'minus' WHEN NULL THEN 'null' END FROM d1
SELECT CASE t WHEN 'A' COLLATE nocase THEN 1 WHEN 'b' COLLATE nocase THEN 2 ELSE 0 END FROM d1
SELECT CASE WHEN n > 0 THEN t WHEN r < 0 THEN r END FROM d1
SELECT typeof(CASE WHEN 0 THEN 1 END), typeof(CASE WHEN 1 THEN 1.0 ELSE 'x' END)
SELECT quote(n), quote(t), quote(r), quote(b) FROM d1
SELECT hex(n), hex(t), hex(b), length(b), length(n), length(r) FROM d1
SELECT printf('%d %s %.3f %x', n, t, r, n) FROM d1
SELECT n IS NULL AND t IS NULL OR id = 1 FROM d1
SELECT NOT n IS NULL, NOT (n IS NULL), n IS NOT NULL, n NOTNULL, NOT n NOTNULL FROM d1
SELECT - - 5, - + 5, + - 5, ~ ~ 5, NOT NOT 0, - ~ 5, ~ - 5, -5 % 3, 5 % -3, -(5 % 3), 2 - -2, 2--2
SELECT 5 -- comment
SELECT 2 * 3 || 4, 2 || 3 * 4, 1 + 2 || 3, 1 || 2 + 3, 10 / 3 || 'x', -1 || 'x', 'a' || -1, 1 << 2 || 3, 2 & 3 || 1
SELECT 1 + 1 = 2, 1 < 2 = 1, 2 > 1 = 1, 1 = 1 = 1, 0 = 0 = 0, 1 <> 1 = 0, 1 = 2 <> 3, 3 - 1 > 1 AND 1, 1 AND 0 OR 1, NOT 1 OR 1, NOT (1 OR 1), 1 BETWEEN 0 AND 2 AND 0, 1 IN (1) + 1, 1 IN (2) = 0
SELECT 1 IS NULL IS NULL, NULL IS NULL = 1, 1 = NULL IS NULL, (1 = NULL) IS NULL, 1 IN (1, 2) IS NOT NULL, 'a' LIKE 'a' IS TRUE, 1 NOT IN (2) AND 1 NOT BETWEEN 5 AND 6, 5 NOT NULL AND 1
SELECT 'a' < 'b' COLLATE nocase, 'a' COLLATE nocase < 'B', 'A' < 'a', 'A' COLLATE nocase < 'a', 'a' COLLATE rtrim = 'a  ', 'a' || ' ' COLLATE rtrim = 'a'
SELECT DISTINCT t COLLATE nocase FROM (SELECT 'a' t UNION ALL SELECT 'A' UNION ALL SELECT 'b')
SELECT t, count(*) FROM (SELECT 'a' t UNION ALL SELECT 'A' UNION ALL SELECT 'b') GROUP BY t COLLATE nocase
SELECT max(t COLLATE nocase), min(t COLLATE nocase) FROM (SELECT 'a' t UNION ALL SELECT 'B')
SELECT count(DISTINCT t COLLATE nocase) FROM (SELECT 'a' t UNION ALL SELECT 'A' UNION ALL SELECT 'b')
SELECT group_concat(DISTINCT t COLLATE nocase) FROM (SELECT 'a' t UNION ALL SELECT 'A' UNION ALL SELECT 'b')
SELECT 0x10 + 1, 0xFF, -0x1, 0x7FFFFFFFFFFFFFFF + 1, 1e3, 1E-3, 1.5e+2, 00012, 1_2_3, 12e0
SELECT 9223372036854775807 + 0, 9223372036854775807 + 1, -9223372036854775807 - 2, 4611686018427387904 * 2, -9223372036854775808 / -1, 9223372036854775807 % -1, -9223372036854775808 % -1, 5000000000 * 5000000000, 3037000500 * 3037000500, 9223372036854775807 - -1
SELECT abs(-9223372036854775807), -(-9223372036854775807), - -9223372036854775808, -9223372036854775808 * -1, 9223372036854775808 - 1
SELECT 1/3, 1.0/3, -1/3, 1/-3, 7 % 3, -7 % 3, 7 % -3, 7.9 % 3, 7 % 3.9, '7' % '3', 7 / 2.0, 7 / '2', 7 / '2.0', 1e20 % 3, 5 / 0, 5 % 0, 5.0 / 0, 0 / 0.0, 1 / 0.1
SELECT 1 << 62, 1 << 63, 1 << 64, 1 << 65, -1 >> 1, -1 >> 64, -1 << 64, 1 << -1, 2 << -1, 8 >> -1, 1.5 << 1, '2' << 1, 'a' << 1, NULL << 1, 1 << NULL, -9223372036854775808 >> 63, 9223372036854775807 >> 62
SELECT 1 & 3.7, '5' & 4, 'a' | 1, x'35' | 1, -1 & 255, ~0, ~'a', ~NULL, 5 & NULL, 1 | NULL, 0 & NULL, 1e30 & 1, -1e30 | 0
SELECT max(1, '2', x'33', NULL), max(1, 2.0), max(2, 2.0), min(2.0, 2), typeof(max(2, 2.0)), typeof(min(2.0, 2)), max('a', 'A'), max(-1, -1.5), min('', 0), max(x'', 'zzz')
SELECT round(1.5), round(2.5), round(-1.5), round(0.5), round(1.25, 1), round(1.35, 1), round(-1.25, 1), round(12345.678, -1), round(1e15+0.5), round(1.0/3, 5), round(99.995, 2), round(0.15, 1), round(5, 2), round('3.7'), round(3.999999999999999, 10)
SELECT 0.1 + 0.2 = 0.3, 0.1 + 0.2, 1.1 + 2.2, 1e16 + 1, 123456789 * 1.0, 1e15, 1e14, 123456789012345.0, 1234567890123456.0, 0.00001, 0.0001, 100.0, 1.0, -1.0, 1e2
SELECT typeof(1e2), typeof(1e400), 1e400 = 1e500, -1e400 < 0, 1e400 - 1e400 IS NULL, 0 * 1e400 IS NULL, 1e308 * 10, -1e308 * 10
SELECT 'a' 'b'
SELECT ('a') 'b', 1 "c d", 2 AS 'e', 3 AS "f", 4 AS [g h], 5 AS `i`, 6 j
SELECT *, id FROM d1 WHERE id = 1
SELECT d1.*, d1.id AS k FROM d1 WHERE id = 1
SELECT count(*) c, sum(n) FILTER (WHERE n < 5) "s" FROM d1
SELECT id FROM d1 LIMIT 2, 3
SELECT id FROM d1 LIMIT 3 OFFSET 2
SELECT id FROM d1 LIMIT -1
SELECT id FROM d1 LIMIT 1 + 1 OFFSET 1 * 2
SELECT id FROM d1 LIMIT '1'
SELECT id FROM d1 LIMIT 1.0
SELECT id FROM d1 LIMIT '1.5'
SELECT id FROM d1 LIMIT x'31'
SELECT id FROM d1 LIMIT 0 OFFSET 1
SELECT id FROM d1 LIMIT 5 OFFSET 100
SELECT id FROM d1 ORDER BY id LIMIT 2 OFFSET -1
SELECT id FROM d1 LIMIT id
SELECT id FROM d1 LIMIT nosuch
SELECT id FROM d1 WHERE EXISTS (SELECT 1 LIMIT 0)
SELECT id FROM d1 WHERE id = (SELECT id FROM d1 ORDER BY id DESC LIMIT 1 OFFSET 1)
SELECT id FROM d1 WHERE id IN (SELECT id FROM d1 ORDER BY n DESC NULLS LAST LIMIT 2)
SELECT id + 0.0, id || '', id * '1' FROM d1 WHERE id < 3 ORDER BY 2 DESC
SELECT (id), ((id)), (+id) FROM d1 LIMIT 1
SELECT "id", 'id', `id`, [id] FROM d1 LIMIT 1
SELECT "d1"."id", [d1].[id], main.d1.id, "main"."d1"."id" FROM d1 LIMIT 1
SELECT D1.ID, Id, iD FROM d1 LIMIT 1
SELECT sum(id), SUM(id), Sum( id ) FROM d1
SELECT id+1, id + 1, id  +  1 FROM d1 LIMIT 1
SELECT (SELECT id FROM d1 LIMIT 1), exists(select 1), case when 1 then 2 end, cast(1 as text), 1 in (1), not 1, -id, id is null FROM d1 LIMIT 1
SELECT t.id FROM (SELECT id FROM d1) t LIMIT 1
SELECT * FROM (SELECT id AS a, n AS b FROM d1) LIMIT 1
SELECT * FROM (SELECT id, id + 1, count(*) FROM d1)
SELECT * FROM (SELECT 1 AS a UNION SELECT 2 AS b)
WITH c AS (SELECT id, n + 1 FROM d1) SELECT * FROM c LIMIT 1
WITH c(x, y) AS (SELECT id, n + 1 FROM d1) SELECT y, x, c.x AS z FROM c LIMIT 1
