CREATE TABLE t(a INTEGER, b TEXT, c REAL, d BLOB, e NUMERIC, f);
INSERT INTO t VALUES(1,'1',1.0,x'31',1,1),(2,'abc',2.5,x'616263','2','2'),(NULL,NULL,NULL,NULL,NULL,NULL),(-5,'-5','-5','-5','-5','-5'),(9223372036854775807,'9223372036854775807',9.3e18,x'','1e2','1e2'),('x',' 1 ','y','z','0x10','0x10'),(3.5,3.5,3,3,3.0,3.0)
SELECT typeof(a),typeof(b),typeof(c),typeof(d),typeof(e),typeof(f), * FROM t
SELECT a=b, a=c, a=d, a=e, a=f, b=c, b=d, b=e, b=f, c=d, c=e, c=f, d=e, d=f, e=f FROM t
SELECT a<b, a<c, a<d, a<e, a<f, b<c, b<d, b<e, b<f, c<d, c<e, c<f, d<e, d<f, e<f FROM t
SELECT a IS b, a IS NOT c, a IS DISTINCT FROM d, a IS NOT DISTINCT FROM e FROM t
SELECT a='1', b=1, c='1', d='1', e='1', f='1', f=1 FROM t
SELECT +a='1', +b=1, +c='1', +d='1', +e='1', +f='1', +f=1 FROM t
SELECT a IN ('1','x'), b IN (1,'abc'), c IN ('2.5'), d IN ('z',x'31'), e IN ('2'), f IN ('2',1) FROM t
SELECT a IN (SELECT b FROM t), b IN (SELECT a FROM t), f IN (SELECT b FROM t), d IN (SELECT b FROM t) FROM t
SELECT a NOT IN (), a IN (), NULL IN (), NULL NOT IN (), NULL IN (1), 1 IN (NULL,1), 1 IN (NULL,2), 1 NOT IN (NULL,2) FROM t LIMIT 1
SELECT a IN t FROM (SELECT 1 AS a)
CREATE TABLE one(x)
INSERT INTO one VALUES(1),(2),('3'),(NULL)
SELECT 1 IN one, 3 IN one, '3' IN one, 4 IN one, 4 NOT IN one, NULL IN one
SELECT 1 IN main.one, 1 IN (one)
SELECT 1 IN one WHERE 1 IN one
SELECT 1 IN json_each('[1,2]')
SELECT (1,2) IN (SELECT 1,2), (1,NULL) IN (SELECT 1,2), (1,2) IN (VALUES(1,2),(3,4)), (2,1) IN (VALUES(1,NULL)), (1,1) IN (VALUES(1,NULL))
SELECT (1,2) IN ((1,2),(3,4))
SELECT (1,2) = (1,2), (1,2) < (1,3), (1,NULL) < (1,3), (1,NULL)<(2,3), (1,2) IS (1,2), (1,NULL) IS (1,NULL), (1,NULL) IS NOT (1,NULL), (1,2) <> (1,NULL), (1,2)<>(2,NULL)
SELECT (1,2) BETWEEN (1,1) AND (1,3), (1,2) NOT BETWEEN (1,1) AND (1,3), (1,2) BETWEEN (1,3) AND (1,1)
SELECT (1,2) = (SELECT 1,2), (1,2) > (SELECT 1,1), (SELECT 1,2) = (1,2), (SELECT 1,2)=(SELECT 1,2)
SELECT (1,2)=(1,2,3)
SELECT (1,2)=1
SELECT 1=(1,2)
SELECT (1,2)
SELECT (SELECT 1,2)
SELECT (1,2)+1
SELECT (1,2) IS NULL
SELECT CASE (1,2) WHEN (1,2) THEN 'y' ELSE 'n' END
SELECT abs((1,2))
SELECT 1 WHERE (1,2)
SELECT 1 IN (1,2,(3,4))
SELECT (1,2) IN (1,2)
SELECT 1 IN (SELECT 1,2)
SELECT (1,2) IN (SELECT 1)
SELECT 1 IN one IN (1)
SELECT 5 BETWEEN 1 AND 10 AND 0, 5 BETWEEN 1 AND (10 AND 0), 1 BETWEEN 1 AND 2 = 1, NOT 1 BETWEEN 2 AND 3
SELECT NOT 1 = 2, NOT 0 AND 0, NOT (0 AND 0), NOT 1 IS NULL, NOT NULL IS NULL, -1 IS NULL, ~1+2, -2*3, - -1, -~1, ~-1, +-+1, NOT NOT 5
SELECT 1+2*3, 10-4-3, 2*3%4, 7/2*2, 1||2+3, 1||2*3, 2*3||4, 1<<2+1, 1+1<<2, 1|2&3, 1<2<3, 3>2>1, 1=1=1, 1==1, 1<>2!=3, 5&3=1, 5&(3=1)
SELECT 1 < 2 = 1, 1 = 2 < 3, 1 IS 2 < 3, 1 = 1 IS 1, 1 LIKE 1 = 1, 2 = 1 LIKE 1, 1 AND 0 OR 1, 1 OR 0 AND 0, 1 IS NOT NULL AND 0, NULL ISNULL, NULL NOTNULL, 1 NOT NULL, NULL IS NOT NULL, 1 NOTNULL ISNULL
SELECT 1 COLLATE nocase = 2, 'a' = 'A' COLLATE nocase, 'a' COLLATE nocase = 'A', ('a' = 'A') COLLATE nocase, 'a'||'b' COLLATE nocase = 'AB', ('a'||'b') COLLATE nocase = 'AB', 'a' COLLATE binary = 'A' COLLATE nocase, 'a' COLLATE nocase = 'A' COLLATE binary
SELECT 'a  ' = 'a' COLLATE rtrim, 'a' COLLATE rtrim = 'a   ', 'a ' < 'a' COLLATE rtrim, 'a b' = 'a' COLLATE rtrim
SELECT 'a' = 'b' COLLATE foo
SELECT 1 ORDER BY 1 COLLATE foo
SELECT cast('12abc' AS INTEGER), cast(' 12' AS INT), cast('1e3' AS INTEGER), cast('1e3' AS REAL), cast('-0x10' AS INTEGER), cast('0x10' AS INT), cast(x'3132' AS INTEGER), cast('9223372036854775808' AS INTEGER), cast('-9223372036854775809' AS INTEGER), cast(1e30 AS INTEGER), cast(-1e30 AS INTEGER), cast(9.9 AS INT), cast(-9.9 AS INT), cast('  ' AS INT), cast('' AS REAL), cast('.5' AS REAL), cast('5.' AS REAL), cast('+5' AS INT), cast('1e' AS REAL), cast('1e+' AS REAL)
SELECT cast(1 AS TEXT), cast(1.0 AS TEXT), cast(1e100 AS TEXT), cast(x'616263' AS TEXT), cast('abc' AS BLOB), cast(123 AS BLOB), cast(1.5 AS BLOB), cast(NULL AS BLOB), cast('abc' AS NUMERIC), cast('1.0' AS NUMERIC), cast('1e5' AS NUMERIC), cast('1.5' AS NUMERIC), cast(1.0 AS NUMERIC), cast('9223372036854775807' AS NUMERIC), cast('9223372036854775808' AS NUMERIC), cast('  1  ' AS NUMERIC), cast(1e5 AS NUMERIC)
SELECT typeof(cast(1.0 AS NUMERIC)), typeof(cast('1.0' AS NUMERIC)), typeof(cast('1e400' AS NUMERIC)), typeof(cast(x'31' AS NUMERIC)), typeof(cast(5 AS real)), typeof(cast('a' AS varchar(10))), typeof(cast(1 AS "char")), typeof(cast(1 AS nothing)), typeof(cast('1' AS floating point)), typeof(cast('1' AS xint)), typeof(cast(2.5 AS decimal(10,2))), typeof(cast('5' AS date)), typeof(cast('5' AS boolean)), cast('5x' AS any), typeof(cast('5' AS blobby)), typeof(cast('5' AS string))
SELECT 9223372036854775807+1, 9223372036854775807*2, -9223372036854775808-1, -(-9223372036854775808), 9223372036854775807- -1, -9223372036854775808*-1, -9223372036854775808/-1, -9223372036854775808%-1, 5%-3, -5%3, 5.5%2, 5/0, 5%0, 5/0.0, 5.0%0, 7/2, -7/2, 7/-2, 7.0/2, '7'/2, '7.0'/2, 1%0.5, 'abc'+1, x'31'+1, '3'*'4', '1e2'+0, ' 5 '+0, '5x'+0, NULL+1, 1-NULL
SELECT 0x10000000000000000
SELECT 1__0
SELECT 1_
SELECT 0x
SELECT 12abc
SELECT 1e
SELECT 1.5.5
SELECT x'1'
SELECT x'zz'
SELECT X'aB'
SELECT 'it''s', 'a"b', '', 'é', '日本', 'a' 'b'
SELECT "a" FROM t LIMIT 1
SELECT [a], `a`, "a" FROM t LIMIT 1
SELECT true, false, TRUE+1, typeof(true), true IS true, 2 IS true, 2 IS NOT true, 0 IS false, NULL IS true, NULL IS NOT true, NULL IS false, 0.1 IS true, 'a' IS true, '1' IS TRUE, 1 = true, 2 = true, not true
SELECT 1<<0, 1<<1, 1<<63, 1<<64, 1<<-1, 8>>1, 8>>64, -8>>1, -8>>64, -8>>100, 1<<100, 8>>-1, 1<<62, -1<<1, -1>>63, 1.9<<1, '3'<<1, 'a'|1, NULL&1, 0&NULL, ~NULL, ~'5', ~1.9, ~9223372036854775807, 5|2.9, 1<<-64, 1>>-64
SELECT 'a' LIKE 'a' ESCAPE 'ab'
SELECT 'a' LIKE 'a' ESCAPE ''
SELECT 'a_c' LIKE 'aX_c' ESCAPE 'X', 'a%' LIKE 'a%%' ESCAPE '%', 'aXc' LIKE 'aXXc' ESCAPE 'X', 'abc' LIKE 'abcX' ESCAPE 'X', 'AxC' LIKE 'axXc' ESCAPE 'x'
SELECT 'abc' GLOB 'a*', 'abc' GLOB 'A*', 'abc' GLOB 'a?c', 'abc' GLOB '[a-c]bc', 'abc' GLOB '[^a]bc', 'a]c' GLOB 'a[]]c', 'a-c' GLOB 'a[a-]c', 'a*c' GLOB 'a[*]c', 'abc' GLOB '*', '' GLOB '*', '' GLOB '', 'abc' GLOB 'ab[', 'abc' GLOB '[', 'é' GLOB '?', 'a^' GLOB 'a[b^]', 'a' GLOB '[!b]', NULL GLOB 'a', 1 GLOB 1, 'ac' GLOB 'a[b-]', 'b' GLOB '[c-a]'
SELECT 'abc' NOT LIKE 'a%', 'abc' NOT GLOB 'a*', like('a%','abc'), glob('a*','abc'), like('a%','a%','x'), like('a','b','cc')
SELECT 'a' REGEXP 'a'
SELECT 'a' MATCH 'a'
SELECT CASE WHEN NULL THEN 1 END, CASE 1 WHEN 1 THEN 'a' WHEN 1 THEN 'b' END, CASE NULL WHEN NULL THEN 1 ELSE 2 END, CASE WHEN 0.5 THEN 1 ELSE 2 END, CASE WHEN 'a' THEN 1 ELSE 2 END, CASE WHEN '1a' THEN 1 ELSE 2 END, CASE 1 WHEN '1' THEN 'y' ELSE 'n' END, CASE '1' WHEN 1 THEN 'y' ELSE 'n' END
SELECT CASE a WHEN '1' THEN 'y' ELSE 'n' END, CASE f WHEN '1' THEN 'y' ELSE 'n' END FROM t
SELECT CASE END
SELECT CASE 1 END
SELECT CASE 1 ELSE 2 END
SELECT '{"a":1,"b":[1,2,{"c":null}],"d":"x","e":1.5,"f":true}' -> 'a', '{"a":1,"b":[1,2]}' -> '$.b', '{"a":1,"b":[1,2]}' -> 'b' -> 0, '{"a":1,"b":[1,2]}' ->> 'b', '{"d":"x"}' -> 'd', '{"d":"x"}' ->> 'd', '[1,2,3]' -> 1, '[1,2,3]' ->> -1, '[1,2,3]' -> '$[#-1]', '{"a":null}' -> 'a', '{"a":null}' ->> 'a', '{}' -> 'x', NULL -> 'x', '{}' -> NULL, '{"a.b":5}' -> 'a.b', '{"a.b":5}' ->> '$."a.b"', '{"1":5}' -> 1, '{"1":5}' -> '1', '[1,2]' -> '0', '{"f":true}' ->> 'f'
SELECT 'x' -> 'a'
SELECT '{"a":1}' -> '$.'
SELECT '{"a":1}' -> '$['
SELECT '{"a":{"b":2}}' -> 'a' ->> 'b' + 1
SELECT '{"a":{"b":2}}' ->> '$.a.b' || 'x', 1 + '{"a":4}' ->> 'a', -'[5]'->>0
SELECT 1 IS NOT 2, 1 IS NOT NULL, 1 IS NOT DISTINCT FROM 1, NULL IS NOT DISTINCT FROM NULL, 1 IS DISTINCT FROM NULL
SELECT a, a BETWEEN '0' AND '5', f BETWEEN 0 AND 5, f BETWEEN '0' AND '5', b BETWEEN 0 AND 5 FROM t
SELECT count(*) FROM t WHERE a > '1'
SELECT * FROM t WHERE b > 1
SELECT * FROM t WHERE b >= x'00'
SELECT * FROM t WHERE (a,b) > (1,'1')
SELECT a FROM t WHERE 'abc'
SELECT a FROM t WHERE '1abc'
SELECT a FROM t WHERE 0.0001
SELECT a FROM t WHERE a
SELECT a FROM t WHERE NOT a
SELECT a FROM t WHERE b AND c
SELECT max(a,b,c,d), min(a,b,c,d), max(1,'a'), min(1,'a',x'00'), max(1,NULL) FROM t
SELECT max('a' COLLATE nocase,'B'), min('a','B'), max('B' COLLATE nocase,'a')
SELECT nullif(1,1), nullif(1,'1'), nullif('a','A' COLLATE nocase), nullif('a' COLLATE nocase,'A'), ifnull(NULL,2), coalesce(NULL,NULL,3), coalesce(NULL,NULL), iif(1,2,3), iif(0,2,3), iif(NULL,2), iif(0,1,0,2,3), if(1,2), iif(0,2)
SELECT coalesce(1)
SELECT coalesce()
SELECT iif(1)
SELECT nullif(1)
SELECT foo(1)
SELECT abs(1,2)
SELECT abs(-9223372036854775808)
SELECT abs('-5'), abs('x'), abs(NULL), abs(-1.5), abs(x'2d35'), typeof(abs('-5'))
SELECT length('abc'), length(x'0102'), length(12345), length(1.5), length(NULL), length('é'), octet_length('é'), octet_length(12), length(''), length('a'||char(0)||'b'), octet_length(1.0)
SELECT a+b, a-b, a*b, a/b, a%b FROM t
SELECT -a, +a, ~a, NOT a, -b, ~b, NOT b, -c, -d, -e, -f FROM t
SELECT a FROM t WHERE a IN (1,2,3) AND b NOT IN ('1')
SELECT likely(1), unlikely(0), likelihood(1,0.5)
SELECT likelihood(1,2)
SELECT likelihood(1,a) FROM t
SELECT 1 AND NULL, 0 AND NULL, 1 OR NULL, 0 OR NULL, NULL AND NULL, 'a' AND 1, '1' AND 1, x'31' AND 1, 0.5 AND 1
SELECT EXISTS(SELECT 1), EXISTS(SELECT NULL), NOT EXISTS(SELECT 1 WHERE 0), EXISTS(SELECT 1)+1, EXISTS(VALUES(1))
SELECT ifnull(1)
SELECT 1;;
SELECT
SELECT 1,
SELECT * 
SELECT 1 FROM
SELECT 1 WHERE
SELECT 1 ORDER
SELECT (1
SELECT 1)
SELECT 1 +
SELECT 'abc
SELECT "abc
SELECT [abc
SELECT `abc
SELECT /* comment */ 1 -- tail
SELECT /* unclosed 1
SELECT 1 /* ok
SELECT ?0
SELECT ?99999
SELECT #1
SELECT 1 ~ 2
SELECT ! 1
SELECT 1 ! 2
SELECT a.b.c.d FROM t
SELECT main.t.a FROM t LIMIT 1
SELECT t.* , main.t.* FROM t LIMIT 1
SELECT nosuch.* FROM t
SELECT nosuch FROM t
SELECT t.nosuch FROM t
SELECT x.a FROM t
SELECT rowid, _rowid_, oid, t.rowid FROM t
SELECT RAISE(IGNORE)
SELECT 1 IS 1 IS 1, 1 IS NOT 1 IS 0
SELECT 1 NOT IN (1), NOT 1 IN (1), 1 NOT BETWEEN 0 AND 2, 'a' NOT LIKE 'b' ESCAPE 'c'
SELECT 2 NOT 3
SELECT -9223372036854775808 = -9223372036854775808.0, 9223372036854775807 = 9223372036854775807.0, 9223372036854775807 < 9223372036854775808.0, 9007199254740993 = 9007199254740992.0, 9007199254740993 > 9007199254740992.0
SELECT 1 < 'a', 'a' < x'00', NULL < 1, 1.5 < 'a', x'ff' > 'zzz', x'00' < x'0000', '' < x''
SELECT round(2.5), round(-2.5), round(2.567,2), round(1e20,2), round(5), typeof(round(5)), round('2.5'), round('x'), round(NULL), round(2.5,NULL), round(1234.5,-2), round(0.285,2), round(9223372036854775807), round(1.005,2), round(4.5,0),round(2.55,1), round(1e300,5), round(123.456,50)
SELECT typeof(1+1.0), typeof(1||1), typeof(1/2), typeof(1/2.0), typeof('1'+1), typeof('1.0'+1), typeof(+'1'), typeof(-'1'), typeof(-'a'), typeof(1=1), typeof(NULL+1), typeof(1.0%2), typeof('5'%2), typeof(-'1.5'), typeof(1<<1)
