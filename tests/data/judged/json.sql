SELECT json('{"a":1, "b":[1,2]}'), json(' [1 , 2] '), json('1'), json('"x"'), json('null'), json(NULL), json('{a:1}'), json('[1,]'), json('{"a":1,}'), json('''x'''), json('+1'), json('.5'), json('5.'), json('0x1F'), json('Infinity'), json('-Infinity'), json('NaN'), json('// c
b"')
SELECT json('{')
SELECT json('')
SELECT json('[1 2]')
SELECT json('{"a"}')
SELECT json('tru')
SELECT json('"abc')
SELECT json('01')
SELECT json('1e')
SELECT json(x'00')
SELECT json('{"a":1}x')
SELECT json_valid('{"a":1}'), json_valid('{a:1}'), json_valid('{a:1}',1), json_valid('{a:1}',2), json_valid('{a:1}',6), json_valid(NULL), json_valid('x'), json_valid(jsonb('1'),4), json_valid(jsonb('1'),8), json_valid(jsonb('1')), json_valid('1',5), json_valid('',1), json_valid(5), json_valid(1.5)
SELECT json_valid('1',0)
SELECT json_valid('1',16)
SELECT json_array(), json_array(1,'a',NULL,2.5), json_array(json('[1]')), json_array('[1]'), json_array(json_array(1,2),3), json_array(1e100), json_array(1.0), json_array('a"b\c'||char(10)||char(1)), json_array(true), json_array(1e400), json_array('é😀')
SELECT json_array(x'00')
SELECT json_object(), json_object('a',1), json_object('a',json('[1]'),'b',NULL), json_object('a',1,'a',2), json_object('a"b',1)
SELECT json_object('a')
SELECT json_object(1,2)
SELECT json_object(NULL,2)
SELECT json_object('a',x'00')
SELECT json_array_length('[1,2,3]'), json_array_length('{}'), json_array_length('5'), json_array_length('{"a":[1,2]}','$.a'), json_array_length('{"a":1}','$.b'), json_array_length(NULL), json_array_length('[]'), json_array_length('[[1],[2,3]]','$[1]')
SELECT json_array_length('x')
SELECT json_array_length('[1]','x')
SELECT json_extract('{"a":{"b":[10,20,{"c":"x"}]}}','$.a.b[2].c'), json_extract('[1,2,3]','$[#-1]'), json_extract('[1,2,3]','$[#]'), json_extract('[1,2,3]','$[5]'), json_extract('{"a":1}','$.a','$.b'), json_extract('{"a":1}','$'), json_extract('{"a":[1]}','$.a'), json_extract('{"a":"x"}','$.a'), json_extract('{"a":null}','$.a'), json_extract('{"a":true}','$.a'), json_extract('{"a":1.50}','$.a'), json_extract(NULL,'$'), json_extract('{}',NULL), json_extract('{"a":1}'), json_extract('{"a b":1}','$."a b"'), json_extract('{"a b":1}','$.a b'), json_extract('{"":5}','$.""'), json_extract('{"a":{"":5}}','$.a.'), typeof(json_extract('[1.0]','$[0]')), json_extract('["\u0041\n"]','$[0]')
SELECT json_extract('{"a":1}','a')
SELECT json_extract('{"a":1}','$a')
SELECT json_extract('{"a":1}','$.a[')
SELECT json_extract('{"a":1}','$.a[x]')
SELECT json_extract('{"a":1}','')
SELECT json_extract('[1]','$[-1]')
SELECT json_extract('[1]','$[#-0]')
SELECT json_extract()
SELECT json_extract('[1,2,3]','$[#-4]'), json_extract('[1,2,3]','$[#-3]'), json_extract('[[1,2],[3]]','$[0][1]'), json_extract('{"a":[{"b":1},{"b":2}]}','$.a[1].b'), json_extract('[9223372036854775807,9223372036854775808,1e3,-0,0.0]','$[0]','$[1]','$[2]','$[3]','$[4]'), json_extract('[9223372036854775808]','$[0]'), json_extract('[1e3]','$[0]'), json_extract('{"a":1,"a":2}','$.a')
SELECT json_insert('{"a":1}','$.a',9), json_insert('{"a":1}','$.b',9), json_insert('[1,2]','$[#]',3), json_insert('[1,2]','$[1]',3), json_insert('[1]','$[5]',3), json_insert('{}','$.a.b',1), json_insert('{"a":1}','$.c',json('[1]')), json_insert('{"a":1}','$.c','[1]'), json_insert('{}','$.a',1,'$.b',2), json_insert(NULL,'$.a',1), json_insert('{}',NULL,1), json_insert('{"a":1}')
SELECT json_replace('{"a":1}','$.a',9), json_replace('{"a":1}','$.b',9), json_replace('[1,2]','$[#-1]',5), json_replace('{"a":1}','$',5), json_replace('{"a":{"b":1}}','$.a',json('{"c":2}')), json_replace('5','$','x')
SELECT json_set('{"a":1}','$.a',9), json_set('{"a":1}','$.b',9), json_set('[1,2]','$[#]',3), json_set('{}','$.x[0]',1), json_set('{}','$.x.y',1), json_set('{"a":[]}','$.a[#]','v'), json_set('{"a":1}','$.a',NULL), json_set('{"a":1}','$.a',1.5,'$.b','q'), json_set('[]','$[0].a',1), json_set('[0,1]','$[1]','new')
SELECT json_set('{}','$.a')
SELECT json_set('{}','x',1)
SELECT json_set('{}','$.a',x'00')
SELECT json_remove('{"a":1,"b":2}','$.a'), json_remove('[1,2,3]','$[0]'), json_remove('[1,2,3]','$[0]','$[0]'), json_remove('[1,2,3]','$[#-1]'), json_remove('{"a":1}','$.x'), json_remove('{"a":1}','$'), json_remove('{"a":1}'), json_remove('{"a":{"b":1,"c":2}}','$.a.b'), json_remove(NULL,'$.a'), json_remove('[1]',NULL)
SELECT json_type('{"a":[2,3.5,true,false,null,"x"]}'), json_type('[1]','$[0]'), json_type('{"a":[2,3.5,true,false,null,"x",{}]}','$.a'), json_type('[1.5]','$[0]'), json_type('[true]','$[0]'), json_type('[false]','$[0]'), json_type('[null]','$[0]'), json_type('["x"]','$[0]'), json_type('[{}]','$[0]'), json_type('[1]','$[3]'), json_type(NULL), json_type('1e3'), json_type('0x1f')
SELECT json_quote(1), json_quote('a"b'), json_quote(NULL), json_quote(1.5), json_quote(json('[1]')), json_quote('[1]')
SELECT json_quote(x'00')
SELECT json_patch('{"a":1,"b":2}','{"a":9}'), json_patch('{"a":1,"b":2}','{"a":null}'), json_patch('{"a":[1,2]}','{"a":{"x":1}}'), json_patch('[1,2]','{"a":1}'), json_patch('{"a":1}','5'), json_patch('{"a":{"b":1,"c":2}}','{"a":{"b":null,"d":3}}'), json_patch(NULL,'{}'), json_patch('{}',NULL), json_patch('{"a":1}','[1]'), json_patch('{}','{"a":{"b":null}}')
SELECT json_pretty('{"a":[1,2,{}],"b":{},"c":[]}'), json_pretty('[1,[2]]','  '), json_pretty('5'), json_pretty(NULL), json_pretty('[1]',NULL)
SELECT json_error_position('{"a":1}'), json_error_position('{"a":'), json_error_position('[1,x]'), json_error_position(NULL), json_error_position(''), json_error_position('{a:1}'), json_error_position('[1 2]')
SELECT key, value, type, atom, id, parent, fullkey, path FROM json_each('{"a":1,"b":[2,"x"],"c":null}')
SELECT key, value, type, atom, parent IS NULL, fullkey, path FROM json_tree('{"a":1,"b":[2,"x",{"c":true}]}')
SELECT key, value, type, fullkey, path FROM json_each('{"a":{"b":[1,2]}}','$.a.b')
SELECT key, value, type, fullkey, path FROM json_tree('{"a":{"b":[1,2]}}','$.a')
SELECT key, value, fullkey FROM json_each('5')
SELECT key, value, fullkey FROM json_each('[]')
SELECT key, value, fullkey FROM json_each(NULL)
SELECT * FROM json_each('x')
SELECT * FROM json_each('[1]','x')
SELECT * FROM json_each('[1]','$.x')
SELECT * FROM json_each('[1]',NULL)
SELECT * FROM json_each
SELECT * FROM json_each()
SELECT * FROM json_each('[1]','$',1)
SELECT value FROM json_each WHERE json='[1,2,3]'
SELECT value FROM json_each WHERE json='{"a":[7,8]}' AND root='$.a'
SELECT json, root, value FROM json_each('[1,2]')
SELECT value FROM json_each('[1,2,3,4]') WHERE key>1
SELECT value FROM json_each('[3,1,2]') ORDER BY value DESC LIMIT 2
SELECT count(*) FROM json_tree('[1,[2,[3,[4]]]]')
SELECT fullkey, atom FROM json_tree('[1,[2,[3,[4]]]]') WHERE atom IS NOT NULL
SELECT fullkey FROM json_tree('{"a b":1,"c.d":[1],"1x":2,"_y":3,"":4}')
SELECT rowid, key FROM json_each('[1,2]')
SELECT sum(value) FROM json_each('[1,2.5,"3",null]')
SELECT typeof(value) FROM json_each('[1,2.5,"3",null,true,[],{}]')
CREATE TABLE j(id INTEGER PRIMARY KEY, d TEXT)
INSERT INTO j VALUES(1,'{"n":[1,2,3],"k":"a"}'),(2,'{"n":[],"k":"b"}'),(3,NULL),(4,'{"n":{"x":1}}')
SELECT j.id, e.value FROM j, json_each(j.d,'$.n') e
SELECT j.id, e.value FROM j LEFT JOIN json_each(j.d,'$.n') e
SELECT j.id, e.key, e.value FROM j JOIN json_tree(j.d) e WHERE e.type='integer'
SELECT id FROM j WHERE EXISTS(SELECT 1 FROM json_each(d,'$.n') WHERE value=2)
SELECT id, (SELECT sum(value) FROM json_each(d,'$.n')) FROM j
SELECT id FROM j WHERE 2 IN (SELECT value FROM json_each(d,'$.n'))
SELECT id, d->>'k' AS k FROM j ORDER BY k
SELECT json_group_array(id) FROM j
SELECT json_group_array(json(d)) FROM j
SELECT json_group_array(json(d)) FILTER (WHERE d IS NOT NULL) FROM j
SELECT json_group_object(d->>'k', id) FROM j WHERE d->>'k' IS NOT NULL
SELECT json_group_object(NULL, id) FROM j
SELECT json_group_array(DISTINCT id%2) FROM j
SELECT d->>'k' , count(*) FROM j GROUP BY d->>'k'
SELECT json_object('id',id,'k',d->>'k','n',d->'n') FROM j
SELECT json_array(d->'n', d->>'n') FROM j WHERE id=1
SELECT d->'$.n[0]', d->>'$.n[0]', d->'n'->0, d->'n'->>-1, d->'nope', d->>'nope' FROM j
SELECT typeof('[1]'->0), typeof('[1]'->>0), typeof('["a"]'->>0), typeof('[null]'->0), typeof('[null]'->>0), '[true]'->>0, typeof('[1.5]'->>0), '["a"]'->0, '{"a":[1,{"b":2}]}'->>'a'
SELECT json('[1e5,1E5,1.0,-0,-0.0,0.1e-3,123456789012345678901234567890]'), json_extract('[1e5]','$'), json('["\u00e9\ud83d\ude00\/\b"]'), json_extract('["\u00e9\ud83d\ude00\/\b"]','$[0]')
SELECT json_set('{"a":1,"b":2}','$.a',json_object('x',1)), json_set('{"a":1}','$.a','{"x":1}'), json_set('{"a":1}','$.a',json('{"x":1}')->'x'), json_insert('{"a":[1,2]}','$.a[#]',99,'$.a[#]',100)
SELECT json_each.value FROM json_each('[1,2]'), (SELECT 1) AS z
SELECT e1.value, e2.value FROM json_each('[1,2]') e1, json_each('[3,4]') e2
SELECT e2.value FROM json_each('[[1,2],[3]]') e1, json_each(e1.value) e2
SELECT key, value FROM json_each(jsonb('{"a":1}'))
SELECT json_extract('{"a":1}', '$.a', 5)
SELECT json_tree.path, json_tree.key FROM json_tree('{"a":{"b":1}}') WHERE json_tree.key = 'b'
SELECT name, type, pk FROM pragma_table_info('j')
SELECT * FROM pragma_table_info('nosuch')
SELECT m.name, p.name FROM sqlite_schema m, pragma_table_info(m.name) p
SELECT name FROM pragma_table_xinfo('j')
SELECT * FROM pragma_index_list('j')
SELECT count(*)>10 FROM pragma_function_list
SELECT count(*) FROM pragma_collation_list
SELECT name, wr, strict, ncol FROM pragma_table_list('j')
SELECT name FROM pragma_table_info WHERE arg='j'
SELECT * FROM pragma_foreign_key_list('j')
SELECT "notnull", dflt_value FROM pragma_table_info('j')
SELECT json_group_array(json_object('id',id)) FROM (SELECT id FROM j ORDER BY id DESC)
SELECT json_extract(d,'$.n') FROM j WHERE json_extract(d,'$.k')='a'
CREATE INDEX jk ON j(json_extract(d,'$.k'))
SELECT id FROM j WHERE json_extract(d,'$.k')='b'
SELECT id FROM j WHERE d->>'$.k'='b'
UPDATE j SET d=json_set(d,'$.k','zz') WHERE id=2
SELECT id FROM j WHERE json_extract(d,'$.k')='zz'
SELECT json(replace(hex(zeroblob(600)),'00','[')||replace(hex(zeroblob(600)),'00',']')) IS NOT NULL
SELECT json_valid(replace(hex(zeroblob(1001)),'00','[')||replace(hex(zeroblob(1001)),'00',']'))
SELECT json_valid(replace(hex(zeroblob(1000)),'00','[')||replace(hex(zeroblob(1000)),'00',']'))
