//! What the JSON functions return; the results are those of SQLite 3.50.

#[test]
fn json_functions_agree_with_sqlite() {
    crate::expr::check(
        r#"
json(' { "this" : "is", "a": [ "test" ] } ')  ==  '{"this":"is","a":["test"]}'
json('{"a":1,}')  ==  '{"a":1}'
json('[1,2')  ==  error: malformed JSON
json('{a:1,''b'':2}')  ==  '{"a":1,"b":2}'
json('[0x10,+5,.5,5.,-.5,1e5,1E+5,NaN,Infinity,-inf]')  ==  '[16,5,0.5,5.0,-0.5,1e5,1E+5,null,9e999,-9e999]'
json('1')  ==  '1'
json('"a"')  ==  '"a"'
json('nul')  ==  error: malformed JSON
json('')  ==  error: malformed JSON
json(NULL)  ==  NULL
json('[1] x')  ==  error: malformed JSON
json('[01]')  ==  error: malformed JSON
json('[-]')  ==  error: malformed JSON
json('[1.e5]')  ==  '[1.0e5]'
json('[1e]')  ==  error: malformed JSON
json('// c'||char(10)||'[1,/* x */2]')  ==  '[1,2]'
json_array(1,2,'3',4.5,NULL)  ==  '[1,2,"3",4.5,null]'
json_array(json('[1]'),'[1]')  ==  '[[1],"[1]"]'
json_array(json_array(1))  ==  '[[1]]'
json_array(x'01')  ==  '[true]'
json_array()  ==  '[]'
json_array(1e999)  ==  '[9.0e+999]'
json_object('a',1,'b',json('{"c":2}'))  ==  '{"a":1,"b":{"c":2}}'
json_object('a')  ==  error: json_object() requires an even number of arguments
json_object(1,2)  ==  error: json_object() labels must be TEXT
json_object('a','x"y')  ==  '{"a":"x\"y"}'
json_array_length('[1,2,3]')  ==  3
json_array_length('{"a":[1,2]}','$.a')  ==  2
json_array_length('{"a":1}','$.a')  ==  0
json_array_length('[1]','$.z')  ==  NULL
json_extract('{"a":2,"c":[4,5,{"f":7}]}','$')  ==  '{"a":2,"c":[4,5,{"f":7}]}'
json_extract('{"a":2,"c":[4,5,{"f":7}]}','$.c')  ==  '[4,5,{"f":7}]'
json_extract('{"a":2,"c":[4,5,{"f":7}]}','$.c[2]')  ==  '{"f":7}'
json_extract('{"a":2,"c":[4,5,{"f":7}]}','$.c[2].f')  ==  7
json_extract('{"a":2,"c":[4,5],"f":7}','$.c','$.a')  ==  '[[4,5],2]'
json_extract('{"a":2,"c":[4,5],"f":7}','$.c[#-1]')  ==  5
json_extract('{"a":2}','$.x')  ==  NULL
json_extract('{"a":2}','$.x','$.a')  ==  '[null,2]'
json_extract('{"a":"xyz"}','$.a')  ==  'xyz'
json_extract('{"a":null}','$.a')  ==  NULL
json_extract('{"a":true}','$.a')  ==  1
json_extract('{"a":"\u00e4\n\ud83d\ude00"}','$.a')  ==  'ä\n😀'
json_extract('{"a b":1}','$."a b"')  ==  1
json_extract('{"a":1}','a')  ==  error: bad JSON path: 'a'
json_extract('{"a":1}','$a')  ==  error: bad JSON path: '$a'
json_extract('{"a":1}',NULL)  ==  NULL
json_extract('[1,2]','$[5]')  ==  NULL
json_extract('[1,2]','$[x]')  ==  error: bad JSON path: '$[x]'
json_extract('1.5e3','$')  ==  1500.0
json_extract('0x7fffffffffffffff','$')  ==  9223372036854775807
'{"a":2,"c":[4,5,{"f":7}]}' -> '$.c'  ==  '[4,5,{"f":7}]'
'{"a":2,"c":[4,5,{"f":7}]}' -> 'c'  ==  '[4,5,{"f":7}]'
'{"a":2,"c":[4,5,{"f":7}]}' ->> 'c'  ==  '[4,5,{"f":7}]'
'{"a":"x"}' -> 'a'  ==  '"x"'
'{"a":"x"}' ->> 'a'  ==  'x'
'[11,22,33]' -> 1  ==  '22'
'[11,22,33]' ->> 1  ==  22
'[11,22,33]' -> '[1]'  ==  '22'
'{"a":null}' -> 'a'  ==  'null'
'{"a":null}' ->> 'a'  ==  NULL
'{"a.b":1}' ->> 'a.b'  ==  1
json_insert('{"a":2,"c":4}','$.a',99)  ==  '{"a":2,"c":4}'
json_insert('{"a":2,"c":4}','$.e',99)  ==  '{"a":2,"c":4,"e":99}'
json_insert('[1,2,3]','$[#]',99)  ==  '[1,2,3,99]'
json_insert('[1,2,3]','$[3]',99)  ==  '[1,2,3,99]'
json_insert('[1,2,3]','$[4]',99)  ==  '[1,2,3]'
json_replace('{"a":2,"c":4}','$.a',99)  ==  '{"a":99,"c":4}'
json_replace('{"a":2,"c":4}','$.e',99)  ==  '{"a":2,"c":4}'
json_set('{"a":2,"c":4}','$.a',99,'$.e','x')  ==  '{"a":99,"c":4,"e":"x"}'
json_set('{"a":2,"c":4}','$.c','[97,96]')  ==  '{"a":2,"c":"[97,96]"}'
json_set('{"a":2,"c":4}','$.c',json('[97,96]'))  ==  '{"a":2,"c":[97,96]}'
json_set('{}','$.a.b.c',1)  ==  '{"a":{"b":{"c":1}}}'
json_set('{}','$.a[0]',1)  ==  '{"a":[1]}'
json_set('{}','$.a[#]',1)  ==  '{"a":[1]}'
json_set('{}','$.a[1]',1)  ==  '{}'
json_set('[]','$[0].x',1)  ==  '[{"x":1}]'
json_set('5','$.a',1)  ==  '5'
json_set('5','$',7)  ==  '7'
json_insert('5','$',7)  ==  '5'
json_set('{"a":1}','$.a')  ==  error: json_set() needs an odd number of arguments
json_set('{"a":1}',NULL,3)  ==  '{"a":1}'
json_set(NULL,'$.a',3)  ==  NULL
json_remove('[0,1,2,3,4]','$[2]')  ==  '[0,1,3,4]'
json_remove('[0,1,2,3,4]','$[2]','$[0]')  ==  '[1,3,4]'
json_remove('[0,1,2,3,4]','$[#-1]','$[0]')  ==  '[1,2,3]'
json_remove('{"x":25,"y":42}','$.y')  ==  '{"x":25}'
json_remove('{"x":25,"y":42}','$')  ==  NULL
json_remove('{"x":25}')  ==  '{"x":25}'
json_remove('{"x":25}','$.z')  ==  '{"x":25}'
json_patch('{"a":1,"b":2}','{"c":3,"d":4}')  ==  '{"a":1,"b":2,"c":3,"d":4}'
json_patch('{"a":[1,2],"b":2}','{"a":9}')  ==  '{"a":9,"b":2}'
json_patch('{"a":[1,2],"b":2}','{"a":null}')  ==  '{"b":2}'
json_patch('{"a":1,"b":2}','{"a":9,"b":null,"c":8}')  ==  '{"a":9,"c":8}'
json_patch('{"a":{"x":1,"y":2},"b":3}','{"a":{"y":9},"c":8}')  ==  '{"a":{"x":1,"y":9},"b":3,"c":8}'
json_patch('[1,2]','{"a":{"b":null,"c":1}}')  ==  '{"a":{"c":1}}'
json_patch('{"a":1}','5')  ==  '5'
json_type('{"a":[2,3.5,true,false,null,"x"]}')  ==  'object'
json_type('{"a":[2,3.5,true,false,null,"x"]}','$.a')  ==  'array'
json_type('{"a":[2,3.5,true,false,null,"x"]}','$.a[1]')  ==  'real'
json_type('{"a":[2,3.5,true,false,null,"x"]}','$.a[4]')  ==  'null'
json_type('{"a":[2,3.5,true,false,null,"x"]}','$.a[6]')  ==  NULL
json_valid('{"x":35}')  ==  1
json_valid('{"x":35')  ==  0
json_valid('{x:35}')  ==  0
json_valid(NULL)  ==  NULL
json_quote(3.14159)  ==  '3.14159'
json_quote('verdant')  ==  '"verdant"'
json_quote(json('[1]'))  ==  '[1]'
json_quote('[1]')  ==  '"[1]"'
json_quote('a'||char(1)||char(9)||'"\')  ==  '"a\u0001\t\"\\"'
json_quote(NULL)  ==  'null'
json_quote(x'30')  ==  error: JSON cannot hold BLOB values
json_error_position('{"a":1}')  ==  0
json_group_array('a')  ==  '["a"]'
json_group_object('k',json('[1]'))  ==  '{"k":[1]}'
json('[1,2,3')  ==  error: malformed JSON
json('{"a":1 "b":2}')  ==  error: malformed JSON
json('{1:2}')  ==  error: malformed JSON
json('["\u12"]')  ==  error: malformed JSON
json('["\q"]')  ==  error: malformed JSON
json('[tru]')  ==  error: malformed JSON
json('[1,,2]')  ==  error: malformed JSON
json('[,]')  ==  error: malformed JSON
json('{,}')  ==  error: malformed JSON
json('[1 2]')  ==  error: malformed JSON
json('{"a"}')  ==  error: malformed JSON
json('""')  ==  '""'
json('"\ud83d"')  ==  '"\ud83d"'
json_object('a',NULL)  ==  '{"a":null}'
json_array('abc'||char(10))  ==  '["abc\n"]'
json_array(9223372036854775807,-9223372036854775808)  ==  '[9223372036854775807,-9223372036854775808]'
json_array(0.1,1e100,-0.0)  ==  '[0.1,1.0e+100,0.0]'
json_pretty('[]')  ==  '[]'
json_set('{"a b":{"x.y":[10,20,30]},"a":{"b":2}}','$[0]',json('{}'))  ==  '{"a b":{"x.y":[10,20,30]},"a":{"b":2}}'
json_extract('[1,2.5,"three",[4],{},[]]','$.b[#-1]','$[0][0][0]','$.')  ==  error: bad JSON path: '$.'
json_set('5','$.z',9223372036854775807)  ==  '5'
json_object('k','[1,2.5,"three",[4],{},[]]','l',' 5 ')  ==  '{"k":"[1,2.5,\"three\",[4],{},[]]","l":" 5 "}'
json_insert('[[[1],2],3]','$[1]',json('{"a":1,"a":2}'))  ==  '[[[1],2],3]'
jsonb('{}')  ==  X'0C'
json_remove('[1,2.5,"three",[4],{},[]]','$.z','$[1]')  ==  '[1,"three",[4],{},[]]'
json_insert('{"a":1,"a":2}','$.',json('{}'))  ==  error: bad JSON path: '$.'
json_extract('{"a b":{"x.y":[10,20,30]},"a":{"b":2}}','$[3][0]','$[x]','$.d.e')  ==  '[null,null,null]'
json_extract('[]','$')  ==  '[]'
json_remove('{"a b":{"x.y":[10,20,30]},"a":{"b":2}}','$.b[#-1]','$.d.e','$.z.y[0]')  ==  '{"a b":{"x.y":[10,20,30]},"a":{"b":2}}'
jsonb_set('[[[1],2],3]','a','1e400')  ==  error: bad JSON path: 'a'
jsonb('[]')  ==  X'0B'
json_extract('{a:1,b:[0x10,.5,],c:''q''}','$.b')  ==  '[16,0.5]'
json_insert('[[[1],2],3]','$[#]','{a:1,b:[0x10,.5,],c:''q''}')  ==  '[[[1],2],3,"{a:1,b:[0x10,.5,],c:''q''}"]'
jsonb('"s"')  ==  X'1773'
json_remove('{"a":1,"a":2}','$.a','$[#-0]')  ==  '{"a":2}'
json_remove('[1,2.5,"three",[4],{},[]]','$."a b"."x.y"[1]','$.d.e')  ==  '[1,2.5,"three",[4],{},[]]'
json_set('[]','$.z.y[0]','{a:1,b:[0x10,.5,],c:''q''}','$.z',0.1)  ==  '[]'
json_remove('5','$[x]','$[#-0]','$.b[3]')  ==  '5'
json_object('k','{a:1,b:[0x10,.5,],c:''q''}','l','[a-c]*')  ==  '{"k":"{a:1,b:[0x10,.5,],c:''q''}","l":"[a-c]*"}'
json_extract('{a:1,b:[0x10,.5,],c:''q''}','$.b[#-1]','$[#]','$.z')  ==  '[0.5,null,null]'
jsonb('{"a":1,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}')  ==  X'CC1C1761133117628B133113323C1763001764AC176548785C7479176601'
jsonb_set('[[[1],2],3]','$.b',json('{}'))  ==  X'8B5B2B133113321333'
json_patch('5','[[[1],2],3]')  ==  '[[[1],2],3]'
json_remove('"s"','$[0]')  ==  '"s"'
json_insert('[[[1],2],3]','$[#-0]',jsonb('{"a":1,"a":2}'))  ==  '[[[1],2],3,{"a":1,"a":2}]'
json_object('k',json('{"a b":{"x.y":[10,20,30]},"a":{"b":2}}'),'l',-2.5)  ==  '{"k":{"a b":{"x.y":[10,20,30]},"a":{"b":2}},"l":-2.5}'
json_insert('{"a":1,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}','$[0][0][0]',json('"s"'))  ==  '{"a":1,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}'
json_set('{"a":1,"a":2}','$.a','{}')  ==  '{"a":"{}","a":2}'
json_extract('{}','$.z.y[0]','$[x]')  ==  '[null,null]'
json_replace('[]','$[#-1]',jsonb('{"a":1,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}'))  ==  '[]'
json_extract('{a:1,b:[0x10,.5,],c:''q''}','$.b[#-1]')  ==  0.5
json_set('[1,2.5,"three",[4],{},[]]','$.b',json('{}'))  ==  '[1,2.5,"three",[4],{},[]]'
json_insert('{}','a',NULL)  ==  error: bad JSON path: 'a'
json_remove('{}','$[9]','$[#-1]')  ==  '{}'
json_insert('[]','$[3][0]',jsonb('{"a":1,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}'))  ==  '[]'
json_object('k',123456.789,'l',2)  ==  '{"k":123456.789,"l":2}'
json_replace('{"a":1,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}','$.b[#-1]',10)  ==  '{"a":1,"b":[1,2,10],"d":{"e":"x\ty","f":true}}'
json_extract('{"a":1,"a":2}','$')  ==  '{"a":1,"a":2}'
jsonb_set('5','$[0][0][0]',jsonb('[]'))  ==  X'1335'
json_patch('5','{"a":1,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}')  ==  '{"a":1,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}'
jsonb_set('{"a b":{"x.y":[10,20,30]},"a":{"b":2}}','$.c','12')  ==  X'CC2037612062CC0E37782E799B23313023323023333017614C176213321A632A3132'
jsonb_set('{}','$[0]','[]')  ==  X'0C'
json_set('[[[1],2],3]','$[1]','{"a":1,"a":2}')  ==  '[[[1],2],"{\"a\":1,\"a\":2}"]'
json_set('{}','$.z','[1,2.5,"three",[4],{},[]]')  ==  '{"z":"[1,2.5,\"three\",[4],{},[]]"}'
json_replace('{a:1,b:[0x10,.5,],c:''q''}','$.',json('{a:1,b:[0x10,.5,],c:''q''}'))  ==  error: bad JSON path: '$.'
json_remove('{}','$.c','$[0]','$.')  ==  error: bad JSON path: '$.'
json_remove('{"a":1,"a":2}','$.b')  ==  '{"a":1,"a":2}'
json_set('{a:1,b:[0x10,.5,],c:''q''}','$[1]',x'31',NULL,'-0')  ==  error: JSON cannot hold BLOB values
json_set('{"a":1,"a":2}','$[#-1]',json('5'),NULL,1e999)  ==  '{"a":1,"a":2}'
json_object('k',-9223372036854775808,'l',' 5 ')  ==  '{"k":-9223372036854775808,"l":" 5 "}'
json_patch('{"a":1,"a":2}','{a:1,b:[0x10,.5,],c:''q''}')  ==  '{"a":1,"a":2,"b":[16,0.5],"c":"q"}'
json_set('"s"','a',-9223372036854775808,'$."a b"."x.y"[1]',9223372036854775807)  ==  error: bad JSON path: 'a'
json_insert('"s"',NULL,'0x1F')  ==  '"s"'
json_replace('{"a":1,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}','$[#]',1)  ==  '{"a":1,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}'
json_replace('[[[1],2],3]','a','{}')  ==  error: bad JSON path: 'a'
json_patch('{"a":1,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}','{"a":1,"a":2}')  ==  '{"a":2,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}'
json_object('k','{}','l',1e999)  ==  '{"k":"{}","l":9.0e+999}'
json_remove('[[[1],2],3]','$[1]','$[9]','$[#-0]')  ==  '[[[1],2]]'
json_insert('{"a":1,"a":2}','$[#-0]','5')  ==  '{"a":1,"a":2}'
json_object('k',jsonb('"s"'),'l','inf')  ==  '{"k":"s","l":"inf"}'
json_replace('[1,2.5,"three",[4],{},[]]','$.a','[]')  ==  '[1,2.5,"three",[4],{},[]]'
json_set('{"a":1,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}','$.b[2].c',jsonb('[]'))  ==  '{"a":1,"b":[1,2,{"c":[]}],"d":{"e":"x\ty","f":true}}'
json_remove('{"a":1,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}','a','$.d.e',NULL)  ==  error: bad JSON path: 'a'
json_patch('[1,2.5,"three",[4],{},[]]','{"a b":{"x.y":[10,20,30]},"a":{"b":2}}')  ==  '{"a b":{"x.y":[10,20,30]},"a":{"b":2}}'
json_type('{"a b":{"x.y":[10,20,30]},"a":{"b":2}}','$.')  ==  error: bad JSON path: '$.'
json_set('"s"',NULL,'[[[1],2],3]')  ==  '"s"'
json_patch('{"a b":{"x.y":[10,20,30]},"a":{"b":2}}','[]')  ==  '[]'
json_patch('[]','{a:1,b:[0x10,.5,],c:''q''}')  ==  '{"a":1,"b":[16,0.5],"c":"q"}'
json_extract('[[[1],2],3]','$[0][0][0]','$."a b"."x.y"[1]','$')  ==  '[1,null,[[[1],2],3]]'
json_extract('[]','$.b','$[x]')  ==  error: bad JSON path: '$[x]'
json_insert('[1,2.5,"three",[4],{},[]]',NULL,jsonb('{"a b":{"x.y":[10,20,30]},"a":{"b":2}}'))  ==  '[1,2.5,"three",[4],{},[]]'
json_extract('5','$[0][0][0]','$')  ==  '[null,5]'
json_remove('{a:1,b:[0x10,.5,],c:''q''}','$[x]','$.b[#-1]')  ==  '{"a":1,"b":[16],"c":"q"}'
json_remove('{a:1,b:[0x10,.5,],c:''q''}','$.b[2].c')  ==  '{"a":1,"b":[16,0.5],"c":"q"}'
'{a:1,b:[0x10,.5,],c:''q''}' -> '$.'  ==  error: bad JSON path: '$.'
json_extract('[1,2.5,"three",[4],{},[]]','$."a b"."x.y"[1]','$[3][0]')  ==  '[null,4]'
json_type('{a:1,b:[0x10,.5,],c:''q''}','$.b[#-1]')  ==  'real'
json_replace('{"a b":{"x.y":[10,20,30]},"a":{"b":2}}','$[#-0]',jsonb('{"a":1,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}'))  ==  '{"a b":{"x.y":[10,20,30]},"a":{"b":2}}'
json_extract('[[[1],2],3]','$','$[#-1]')  ==  '[[[[1],2],3],3]'
json_object('k',json('{"a b":{"x.y":[10,20,30]},"a":{"b":2}}'),'l',0.1)  ==  '{"k":{"a b":{"x.y":[10,20,30]},"a":{"b":2}},"l":0.1}'
json_array_length('{a:1,b:[0x10,.5,],c:''q''}','$.b[0]')  ==  0
json_pretty('{"a b":{"x.y":[10,20,30]},"a":{"b":2}}')  ==  '{\n    "a b": {\n        "x.y": [\n            10,\n            20,\n            30\n        ]\n    },\n    "a": {\n        "b": 2\n    }\n}'
'[[[1],2],3]' ->> -1  ==  3
json_set('{"a":1,"a":2}','$.z.y[0]',jsonb('[1,2.5,"three",[4],{},[]]'))  ==  '{"a":1,"a":2,"z":{"y":[[1,2.5,"three",[4],{},[]]]}}'
'{"a":1,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}' -> 'b'  ==  '[1,2,{"c":null}]'
json_set('{"a":1,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}','$.b[2].c','"s"')  ==  '{"a":1,"b":[1,2,{"c":"\"s\""}],"d":{"e":"x\ty","f":true}}'
jsonb('{"a":1,"a":2}')  ==  X'8C1761133117611332'
json_replace('{a:1,b:[0x10,.5,],c:''q''}','$.b','{"a b":{"x.y":[10,20,30]},"a":{"b":2}}')  ==  '{"a":1,"b":"{\"a b\":{\"x.y\":[10,20,30]},\"a\":{\"b\":2}}","c":"q"}'
jsonb('{a:1,b:[0x10,.5,],c:''q''}')  ==  X'CC131761133117628B4430783130262E3517631771'
json_replace('[1,2.5,"three",[4],{},[]]','$',json('{a:1,b:[0x10,.5,],c:''q''}'))  ==  '{"a":1,"b":[16,0.5],"c":"q"}'
json_pretty('{}')  ==  '{}'
json_object('k',jsonb('{"a b":{"x.y":[10,20,30]},"a":{"b":2}}'),'l',1e16)  ==  '{"k":{"a b":{"x.y":[10,20,30]},"a":{"b":2}},"l":1.0e+16}'
json_patch('{"a":1,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}','{"a b":{"x.y":[10,20,30]},"a":{"b":2}}')  ==  '{"a":{"b":2},"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true},"a b":{"x.y":[10,20,30]}}'
json_replace('[1,2.5,"three",[4],{},[]]','$[3][0]','0x1F')  ==  '[1,2.5,"three",["0x1F"],{},[]]'
json_type('[[[1],2],3]','a')  ==  error: bad JSON path: 'a'
jsonb_set('{}','$.b',jsonb('{a:1,b:[0x10,.5,],c:''q''}'))  ==  X'CC171A62CC131761133117628B4430783130262E3517631771'
json_replace('[]','$[x]',json('5'))  ==  error: bad JSON path: '$[x]'
json_replace('[[[1],2],3]','$.d.e',json('[]'))  ==  '[[[1],2],3]'
json_insert('5','$.z','{"a":1,"a":2}')  ==  '5'
json_extract('[1,2.5,"three",[4],{},[]]','$')  ==  '[1,2.5,"three",[4],{},[]]'
json_object('k','[1,2.5,"three",[4],{},[]]','l',x'31')  ==  error: JSON cannot hold BLOB values
json_extract('{}','$.z.y[0]','$."a b"."x.y"[1]','a')  ==  error: bad JSON path: 'a'
'[1,2.5,"three",[4],{},[]]' ->> 0  ==  1
json_remove('[]','$.z.y[0]')  ==  '[]'
json_object('k','a%b_c','l',10)  ==  '{"k":"a%b_c","l":10}'
jsonb_set('[]','$.z','{"a":1,"a":2}')  ==  X'0B'
jsonb('5')  ==  X'1335'
json_replace('"s"','$[1]',jsonb('5'))  ==  '"s"'
json_set('[1,2.5,"three",[4],{},[]]','$[#-1]','{a:1,b:[0x10,.5,],c:''q''}')  ==  '[1,2.5,"three",[4],{},"{a:1,b:[0x10,.5,],c:''q''}"]'
json_insert('[[[1],2],3]','$[#-0]','NaN')  ==  '[[[1],2],3,"NaN"]'
json_replace('[1,2.5,"three",[4],{},[]]','$.a',x'61006200')  ==  error: JSON cannot hold BLOB values
json_extract('{"a":1,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}','$.z','$')  ==  '[null,{"a":1,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}]'
json_extract('[[[1],2],3]','$')  ==  '[[[1],2],3]'
json_replace('{"a b":{"x.y":[10,20,30]},"a":{"b":2}}','$','"s"')  ==  '"\"s\""'
json_set('{}','$[#-0]',0.1)  ==  '{}'
json_extract('[[[1],2],3]','$[1]')  ==  3
json_remove('[1,2.5,"three",[4],{},[]]','$[0]')  ==  '[2.5,"three",[4],{},[]]'
json_type('[1,2.5,"three",[4],{},[]]','$[#-1]')  ==  'array'
jsonb_set('{"a":1,"a":2}','$.','{"a":1,"a":2}')  ==  error: bad JSON path: '$.'
json_set('[[[1],2],3]','$[#-9]',jsonb('{"a":1,"a":2}'))  ==  '[[[1],2],3]'
'{"a":1,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}' ->> '$.b[#-1]'  ==  '{"c":null}'
jsonb('{"a b":{"x.y":[10,20,30]},"a":{"b":2}}')  ==  X'CC1B37612062CC0E37782E799B23313023323023333017614C17621332'
json_set('[]','$[0]',jsonb('{"a":1,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}'))  ==  '[{"a":1,"b":[1,2,{"c":null}],"d":{"e":"x\ty","f":true}}]'
json_replace('{"a":1,"a":2}','$.b[#-1]','{"a":1,"a":2}')  ==  '{"a":1,"a":2}'
json_object('k',-0.0,'l',99999.5)  ==  '{"k":0.0,"l":99999.5}'
json_extract('{a:1,b:[0x10,.5,],c:''q''}','$[#-9]','$.b[2].c','$')  ==  '[null,null,{"a":1,"b":[16,0.5],"c":"q"}]'
jsonb_set('[]','$[x]',json('[1,2.5,"three",[4],{},[]]'))  ==  error: bad JSON path: '$[x]'
"#,
    );
}
