//! What functions of text, choice and numbers return; the results are those of SQLite 3.50.

#[test]
fn text_functions_agree_with_sqlite() {
    crate::expr::check(
        r#"
length('abc')  ==  3
length('äbc')  ==  3
length(NULL)  ==  NULL
length(12.5)  ==  4
length(x'0102')  ==  2
substr('hello',2)  ==  'ello'
substr('hello',2,3)  ==  'ell'
substr('hello',0,2)  ==  'h'
substr('hello',-3,2)  ==  'll'
substr('hello',-3,-2)  ==  'he'
substr('hello',3,-2)  ==  'he'
substr('hello',-10,7)  ==  'he'
substr('hello',10,-7)  ==  'llo'
substr('hello',0,-2)  ==  ''
substr('hello',0)  ==  'hello'
substr('hello',2,-9223372036854775808)  ==  'h'
substr('hello',-9223372036854775808,3)  ==  ''
substr('hällo',2,3)  ==  'äll'
substr(x'0102030405',2,2)  ==  X'0203'
substr(x'0102030405',-2)  ==  X'0405'
substr('hello',NULL)  ==  NULL
substr(12345,2,2)  ==  '23'
upper('aäb')  ==  'AäB'
lower('AÄB')  ==  'aÄb'
trim('  a b  ')  ==  'a b'
trim('xxaxx','x')  ==  'a'
ltrim('xyxa','xy')  ==  'a'
rtrim('axyx','xy')  ==  'a'
trim('a',NULL)  ==  NULL
trim('abc','')  ==  'abc'
replace('aaa','a','bb')  ==  'bbbbbb'
replace('abc','','x')  ==  'abc'
replace('abc','b',NULL)  ==  NULL
replace(123,2,9)  ==  '193'
instr('hello','l')  ==  3
instr('hällo','l')  ==  3
instr('hello','z')  ==  0
instr('hello','')  ==  1
instr(x'010203',x'03')  ==  3
instr(12345,34)  ==  3
hex('abc')  ==  '616263'
hex(NULL)  ==  ''
hex(12)  ==  '3132'
hex(x'00ff')  ==  '00FF'
char(65,228,128512)  ==  'Aä😀'
char()  ==  ''
unicode('ä')  ==  228
unicode('')  ==  NULL
quote('it''s')  ==  '''it''''s'''
quote(x'00ff')  ==  'X''00FF'''
quote(1.5)  ==  '1.5'
quote(NULL)  ==  'NULL'
soundex('Robert')  ==  'R163'
soundex('Tymczak')  ==  'T522'
soundex('Pfister')  ==  'P236'
soundex('')  ==  '?000'
soundex(NULL)  ==  '?000'
soundex('  a')  ==  'A000'
soundex('Ashcraft')  ==  'A226'
coalesce(NULL,NULL,3)  ==  3
ifnull(NULL,'a')  ==  'a'
iif(1,2,3)  ==  2
iif(0,2,3)  ==  3
iif(NULL,2,3)  ==  3
nullif(1,1)  ==  NULL
nullif(1,1.0)  ==  NULL
nullif(1,'1')  ==  1
max(1,2.5,'a')  ==  'a'
max(1,NULL)  ==  NULL
min(1,2.5,x'00')  ==  1
max('a','B')  ==  'a'
typeof(1.0)  ==  'real'
typeof(x'')  ==  'blob'
like('a%','ABC')  ==  1
like('a_c','abc')  ==  1
like('10\%','10%','\')  ==  1
like('%ä%','xäy')  ==  1
glob('a*','abc')  ==  1
glob('[a-c]','b')  ==  1
glob('[^a-c]','b')  ==  0
glob('[]]',']')  ==  1
glob('[','[')  ==  0
glob('*[0-9]','ab1')  ==  1
glob('a[b-]c','a-c')  ==  1
glob('[a-]x','-x')  ==  1
zeroblob(3)  ==  X'000000'
zeroblob(-1)  ==  X''
likelihood(5,0.5)  ==  5
likely(3)  ==  3
unicode('abc')  ==  97
hex(zeroblob(2))  ==  '0000'
sqlite_compileoption_used('X')  ==  0
12||'a'  ==  '12a'
1.0||''  ==  '1.0'
cast('12abc' as integer)  ==  12
cast(1e20 as text)  ==  '1.0e+20'
cast('1e5' as numeric)  ==  100000
cast(x'31' as integer)  ==  1
group_concat('a')  ==  'a'
sum('1')  ==  1
sum('1x')  ==  1.0
total(NULL)  ==  0.0
avg(3)  ==  3.0
count(NULL)  ==  0
typeof(-2.5)  ==  'real'
sum(-3)  ==  -3
abs(' 5 ')  ==  5.0
typeof('1.0')  ==  'text'
octet_length(coalesce(x'ff',-9223372036854775808,2))  ==  1
ltrim(x'6162')  ==  'ab'
unicode(2.675)  ==  50
glob(octet_length('0x1F'),replace('.5','9223372036854775808','[a-c]*'))  ==  0
avg('12abc')  ==  12.0
soundex(1e17)  ==  'E000'
unicode('A  ')  ==  65
nullif(10,'0x1F')  ==  10
lower('a%b_c')  ==  'a%b_c'
glob(0.1,2)  ==  0
min(10,0.5)  ==  0.5
typeof('[a-c]*')  ==  'text'
typeof('12')  ==  'text'
octet_length(instr('0x1F','12abc'))  ==  1
ltrim(ltrim('9223372036854775807','NaN'))  ==  '9223372036854775807'
iif(sum(x'6162'),0,substr(-3,'9223372036854775808','[a-c]*'))  ==  ''
avg('äöü')  ==  0.0
abs(group_concat('0x1F','abcabc'))  ==  0.0
upper(100)  ==  '100'
ifnull(NULL,'12')  ==  '12'
round(json_group_array('9223372036854775808'))  ==  0.0
unicode(4294967296)  ==  52
concat_ws('äöü','a%b_c')  ==  'a%b_c'
coalesce(x'6162',9223372036854775807)  ==  X'6162'
unicode(-0.0)  ==  48
char()  ==  ''
sign(1e16)  ==  1
group_concat(' 5 ','inf')  ==  ' 5 '
rtrim(json_array(2.675,'0x1F',3),x'6162')  ==  '[2.675,"0x1F",3]'
avg(1)  ==  1.0
substr(' 5 ',avg(-0.0),'1e400')  ==  ''
concat_ws(99999.5,'9223372036854775807',1e17)  ==  '922337203685477580799999.51.0e+17'
nullif(x'ff','9223372036854775808')  ==  X'FF'
soundex(9007199254740993)  ==  '?000'
quote(x'61006200')  ==  'X''61006200'''
length(0)  ==  1
unicode('9223372036854775807')  ==  57
ifnull('12',0)  ==  '12'
substr('日本語',rtrim('.5'))  ==  '日本語'
iif(0.1,rtrim(1e-10))  ==  '1.0e-10'
sum('12')  ==  12
length(x'ff')  ==  1
ltrim(10)  ==  '10'
instr(-1,2)  ==  0
coalesce(1e17,'.5',1e-10,1e-10)  ==  1.0e+17
lower(1e-10)  ==  '1.0e-10'
instr('1e400',9007199254740993)  ==  0
hex(group_concat('abcabc'))  ==  '616263616263'
group_concat(-3)  ==  '-3'
substr(2,octet_length('1.0'))  ==  ''
typeof(NULL)  ==  'null'
iif(100,5,99999.5)  ==  5
replace(4294967296,iif(1.5,0,'-0',-9223372036854775808,'abc'),'1.5e3x')  ==  '4294967296'
unicode('日本語')  ==  26085
unicode(-9223372036854775808)  ==  45
group_concat('1.0',' 5 ')  ==  '1.0'
char('1e400',9223372036854775807)  ==  '�'
length(-2.5)  ==  4
like('日本語',-2.5)  ==  0
unicode(-9223372036854775808)  ==  45
max(10,'1e400','12',-0.0)  ==  '1e400'
min(x'ff',lower('A  '),99999.5)  ==  99999.5
like('NaN',x'6162',1e-10)  ==  error: ESCAPE expression must be a single character
sum(1.5)  ==  1.5
quote(' 5 ')  ==  ''' 5 '''
instr('12','.5')  ==  0
typeof('inf')  ==  'text'
avg('-0')  ==  0.0
abs('.5')  ==  0.5
quote('NaN')  ==  '''NaN'''
lower(99999.5)  ==  '99999.5'
quote('äöü')  ==  '''äöü'''
nullif(json_valid(1e17),x'31')  ==  1
upper(99999.5)  ==  '99999.5'
iif('0x1F',group_concat('日本語',1),1e15,3,'-0')  ==  3
sum(-2.5)  ==  -2.5
unicode(-0.0)  ==  48
quote(replace(x'ff','9223372036854775807','日本語'))  ==  '''�'''
like(2,json_quote(5),' 5 ')  ==  error: ESCAPE expression must be a single character
unicode('1.5e3x')  ==  49
octet_length(sum('1.5e3x'))  ==  6
ifnull(1e15,like(0.5,'A  '))  ==  1.0e+15
typeof(100)  ==  'integer'
like('1.5e3x',123456.789,'.5')  ==  error: ESCAPE expression must be a single character
instr('',2.675)  ==  0
replace(123456.789,1.5,x'31')  ==  '123456.789'
ifnull('',123456.789)  ==  ''
lower(1e-10)  ==  '1.0e-10'
substr('abcabc',9007199254740993,1)  ==  ''
soundex(NULL)  ==  '?000'
soundex('äöü')  ==  '?000'
quote(-2.5)  ==  '-2.5'
round(0.1,substr(0.1,'NaN'))  ==  0.0
concat('a%b_c')  ==  'a%b_c'
lower(0)  ==  '0'
iif('1.5e3x',1e17,'1.5e3x','abc')  ==  1.0e+17
"#,
    );
}

#[test]
fn math_functions_give_numbers_or_null() {
    crate::expr::check(
        r#"
abs(-5)  ==  5
abs('-5.5x')  ==  5.5
abs('abc')  ==  0.0
abs(-9223372036854775808)  ==  error: integer overflow
abs(NULL)  ==  NULL
abs(x'2d35')  ==  5.0
round(2.5)  ==  3.0
round(-2.5)  ==  -3.0
round(1.005,2)  ==  1.0
round(2.675,2)  ==  2.67
round(123.456,-1)  ==  123.0
round(123.456,1)  ==  123.5
round(1e300,2)  ==  1.0e+300
round('12.5x')  ==  13.0
round(NULL)  ==  NULL
round(1,NULL)  ==  NULL
round(0.49999999999999994)  ==  1.0
round(12345678901234567)  ==  1.2345678901234568e+16
round(0.15,1)  ==  0.1
round(0.25,1)  ==  0.3
round(0.35,1)  ==  0.3
round(-0.04,1)  ==  0.0
round(1234.5678,3)  ==  1234.568
round(9.995,2)  ==  9.99
round(99999.99999,3)  ==  100000.0
round(1.1,30)  ==  1.1
round(5e-324,20)  ==  0.0
sign(-2)  ==  -1
sign('x')  ==  NULL
sign(0.0)  ==  0
sign('1.5')  ==  1
sqrt(2)  ==  1.4142135623730951
sqrt(-1)  ==  NULL
sqrt(NULL)  ==  NULL
sqrt('4')  ==  2.0
sqrt('4x')  ==  NULL
pow(2,10)  ==  1024.0
pow(0,0)  ==  1.0
ceil(1.2)  ==  2.0
ceil(3)  ==  3
floor(-1.2)  ==  -2.0
trunc(-1.7)  ==  -1.0
trunc('2.5')  ==  2.0
ln(2)  ==  0.6931471805599453
log(100)  ==  2.0
log(2,8)  ==  3.0
log2(8)  ==  3.0
log10(1000)  ==  3.0
log(0)  ==  NULL
log(-1)  ==  NULL
log(1,5)  ==  NULL
mod(7,3)  ==  1.0
mod(-7.5,2)  ==  -1.5
mod(1,0)  ==  NULL
pi()  ==  3.141592653589793
radians(180)  ==  3.141592653589793
degrees(3.14159)  ==  179.9998479605043
sin(1)  ==  0.8414709848078965
acos(2)  ==  NULL
atan2(1,2)  ==  0.4636476090008061
exp(1)  ==  2.718281828459045
exp(1000)  ==  9.0e+999
cosh(1)  ==  1.5430806348152437
asinh(1)  ==  0.881373587019543
"#,
    );
}
