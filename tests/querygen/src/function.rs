//! Calls of date, JSON and format functions.

use crate::Generator;
use crate::expr::Field;
use crate::schema::Kind;

const MOMENTS: [&str; 16] = [
    "'2024-02-29'",
    "'2023-12-31 23:59:59'",
    "'2000-01-01T00:00:00.500'",
    "'1969-07-20 20:17:40Z'",
    "'2024-03-31 12:00+02:00'",
    "'12:30'",
    "'0000-01-01'",
    "'9999-12-31'",
    "2460000.5",
    "0",
    "1700000000",
    "'2460000'",
    "'2024-13-01'",
    "''",
    "NULL",
    "'2021-01-03 04:05:06.789'",
];

const MODIFIERS: [&str; 35] = [
    "'+1 day'",
    "'-1 day'",
    "'+1 month'",
    "'-13 months'",
    "'+2 years'",
    "'+1.5 hours'",
    "'-90 minutes'",
    "'+30.25 seconds'",
    "'start of month'",
    "'start of year'",
    "'start of day'",
    "'weekday 0'",
    "'weekday 3'",
    "'weekday 6'",
    "'unixepoch'",
    "'julianday'",
    "'auto'",
    "'subsec'",
    "'subsecond'",
    "'+01:30'",
    "'-00:00:10.5'",
    "'+0001-02-03'",
    "'-0000-00-01 12:00'",
    "'ceiling'",
    "'floor'",
    "'+1'",
    "'nonsense'",
    "'+1 fortnight'",
    "'START OF MONTH'",
    "' +1 day'",
    "'1 day'",
    "'+24:00'",
    "'weekday 7'",
    "NULL",
    "'+10000 years'",
];

const FORMATS: [&str; 14] = [
    "'%Y-%m-%d'",
    "'%H:%M:%f'",
    "'%j|%W|%w|%u'",
    "'%s'",
    "'%J'",
    "'%e %k %I %l %p %P'",
    "'%G-W%V-%u %g'",
    "'%F %T %R'",
    "'%U'",
    "'%S%%'",
    "'%q'",
    "'%'",
    "''",
    "'%Y%Y%d'",
];

/// Documents; those from [`BAD_DOCUMENTS`] on are no JSON.
const DOCUMENTS: [&str; 22] = [
    r#"'{"a":1,"b":[1,2.5,"x",null,true],"c":{"d":"e"}}'"#,
    r#"'[1,2,3]'"#,
    r#"'[]'"#,
    r#"'{}'"#,
    r#"'null'"#,
    r#"'12'"#,
    r#"'-0.5e3'"#,
    r#"'"text"'"#,
    r#"'true'"#,
    r#"'[[1],[2,[3,{"a":[]}]]]'"#,
    r#"'{"a":"\u00e4\n\"q\"","":0,"x y":1}'"#,
    r#"'{a:1,b:''x'',/*c*/c:[+1,.5,0x1F,Infinity,],}'"#,
    r#"'{"a":1,"a":2}'"#,
    r#"' [ 1 , "b" ] '"#,
    r#"NULL"#,
    r#"'[9223372036854775807,9223372036854775808,1e400,-0]'"#,
    r#"'{"a":{"b":{"c":[10,20,{"d":30}]}}}'"#,
    r#"'["a","b","a"]'"#,
    r#"'{"a":'"#,
    r#"'[1,'"#,
    r#"'not json'"#,
    r#"''"#,
];

const BAD_DOCUMENTS: usize = 18;

/// Paths; those from [`BAD_PATHS`] on are none.
const PATHS: [&str; 22] = [
    "'$'",
    "'$.a'",
    "'$.b'",
    "'$.b[0]'",
    "'$.b[#-1]'",
    "'$.b[#]'",
    "'$[0]'",
    "'$[1]'",
    "'$[#-1]'",
    "'$[#]'",
    "'$[1][1]'",
    "'$.c.d'",
    r#"'$."x y"'"#,
    "'$.a.b.c[2].d'",
    "'$.new'",
    "'$.new.deep'",
    "'$[9]'",
    "NULL",
    "'$.'",
    "'a'",
    "'$[x]'",
    "''",
];
const BAD_PATHS: usize = 18;

impl Generator {
    /// A query without a table: calls that may fail, since they are computed once, whatever the plan.
    pub fn calls(&mut self) -> String {
        self.faulty = true;
        let calls: Vec<String> = (0..self.random.usize(1..4))
            .map(|_| match self.random.u8(..6) {
                0 => self.date(),
                1 => self.printf(&[]),
                2 => self.text_call(&[]),
                _ => self.json(&[]),
            })
            .collect();
        self.faulty = false;
        format!("SELECT {}", calls.join(", "))
    }

    fn document_text(&mut self) -> &'static str {
        let count = if self.faulty { DOCUMENTS.len() } else { BAD_DOCUMENTS };
        self.pick(&DOCUMENTS[..count])
    }

    fn path(&mut self) -> &'static str {
        let count = if self.faulty { PATHS.len() } else { BAD_PATHS };
        self.pick(&PATHS[..count])
    }

    /// A value that JSON can hold.
    fn json_value(&mut self, scope: &[Field]) -> String {
        if self.faulty {
            return self.printable(scope);
        }
        // Blobs are no JSON.
        let kind = self.pick(&[Kind::Int, Kind::Text, Kind::Real]);
        self.plain_literal(kind)
    }

    /// A document, mostly JSON.
    fn document(&mut self, scope: &[Field]) -> String {
        match self.random.u8(..12) {
            0 if self.faulty => self.leaf(scope, Kind::Text),
            1 => format!("jsonb({})", self.pick(&DOCUMENTS[..12])),
            2 => {
                let (a, b) = (self.json_value(scope), self.pick(&DOCUMENTS[..12]));
                format!("json_array({a}, json({b}), {b})")
            }
            3 => {
                let (a, b) = (self.json_value(scope), self.pick(&DOCUMENTS[..12]));
                format!("json_object('a', {a}, 'b', json({b}))")
            }
            _ => self.document_text().into(),
        }
    }

    /// A call of a date function.
    pub fn date(&mut self) -> String {
        let mut arguments = vec![self.pick(&MOMENTS).to_owned()];
        for _ in 0..self.pick(&[0, 0, 1, 1, 2, 3]) {
            arguments.push(self.pick(&MODIFIERS).into());
        }
        let arguments = arguments.join(", ");
        match self.random.u8(..12) {
            0..=1 => format!("date({arguments})"),
            2..=3 => format!("datetime({arguments})"),
            4 => format!("time({arguments})"),
            5 => format!("unixepoch({arguments})"),
            6 => format!("round(julianday({arguments}), 6)"),
            7 => format!("timediff({}, {})", self.pick(&MOMENTS), self.pick(&MOMENTS)),
            _ => format!("strftime({}, {arguments})", self.pick(&FORMATS)),
        }
    }

    /// A call of a JSON function.
    pub fn json(&mut self, scope: &[Field]) -> String {
        let document = self.document(scope);
        let path = self.path();
        let value = self.json_value(scope);
        match self.random.u8(..22) {
            0 | 1 => format!("json_extract({document}, {path})"),
            2 => format!("json_extract({document}, {path}, {})", self.path()),
            3 | 4 => {
                let path = if self.one_in(3) {
                    self.pick(&["'a'", "0", "-1", "'b'", "'x y'", "'[1]'", "NULL"])
                } else {
                    path
                };
                format!("({document} {} {path})", self.pick(&["->", "->>"]))
            }
            5 => format!("json({document})"),
            6 => format!("json_type({document}, {path})"),
            7 => format!("json_type({document})"),
            8 => format!(
                "json_array_length({document}{})",
                if self.one_in(2) { format!(", {path}") } else { String::new() }
            ),
            9 => format!("json_valid({document}{})", self.pick(&["", "", ", 1", ", 2", ", 5", ", 6", ", 8"])),
            10 => format!("json_quote({value})"),
            11 => format!("json_array({value}, {document}, json({}))", self.pick(&DOCUMENTS[..12])),
            12 => format!("json_object('k', {value}, 'd', {document})"),
            13 | 14 => {
                let f = self.pick(&["json_set", "json_insert", "json_replace"]);
                format!("{f}({document}, {path}, {value})")
            }
            15 => {
                let f = self.pick(&["json_set", "json_insert", "json_replace"]);
                format!(
                    "{f}({document}, {path}, json({}), {}, {value})",
                    self.pick(&DOCUMENTS[..12]),
                    self.path()
                )
            }
            16 => format!("json_remove({document}, {path})"),
            17 => format!("json_patch({document}, {})", self.document_text()),
            18 => format!("json_pretty({document})"),
            19 => format!("json_error_position({document})"),
            20 => format!("json(jsonb_set({document}, {path}, {value}))"),
            _ => format!("hex(jsonb({document}))"),
        }
    }

    /// A call of printf().
    pub fn printf(&mut self, scope: &[Field]) -> String {
        let format = self.pick(&[
            "'%d|'",
            "'%05d'",
            "'%x'",
            "'%+d'",
            "'<%4s>'",
            "'%-6s|'",
            "'%.2f'",
            "'%q'",
            "'%Q'",
            "'%s%%'",
            "'%c'",
            "'%10.3f|'",
            "'%e'",
            "'%g'",
            "'%G'",
            "'%X'",
            "'%o'",
            "'%u'",
            "'%,d'",
            "'%w'",
            "'%.3s'",
            "'%-5d|'",
            "'% d'",
            "'%#x'",
            "'%i'",
            "'%!.3s'",
            "'%08.3f'",
            "'%+.1e'",
            "'%z'",
            "'%'",
            "'%5'",
            "'%ld'",
            "'%lld'",
        ]);
        let value = self.printable(scope);
        let function = self.pick(&["printf", "format"]);
        if self.one_in(5) {
            let width = self.pick(&["5", "-5", "0", "NULL", "'3'"]);
            return format!("{function}('%*d|%s', {width}, {value}, {value})");
        }
        format!("{function}({format}, {value})")
    }

    /// A call of a function of text.
    pub fn text_call(&mut self, scope: &[Field]) -> String {
        let value = self.printable(scope);
        match self.random.u8(..10) {
            0 => format!(
                "char({}, {})",
                self.pick(&["65", "228", "0x1F600", "10"]),
                self.pick(&["66", "196", "'67'"])
            ),
            1 => format!(
                "{}({value}, {})",
                self.pick(&["ltrim", "rtrim", "trim"]),
                self.pick(&["'a'", "''", "NULL", "'ab '", "12"])
            ),
            2 => format!(
                "substr({value}, {}, {})",
                self.pick(&["-1", "0", "2", "-3", "NULL", "9223372036854775807"]),
                self.pick(&["-1", "0", "2", "100", "-9223372036854775807"])
            ),
            3 => format!(
                "replace({value}, {}, {})",
                self.pick(&["''", "'a'", "'1'", "NULL"]),
                self.pick(&["''", "'aa'", "NULL", "2"])
            ),
            4 => format!("coalesce(NULL, {value}, 1)"),
            5 => format!(
                "unistr({})",
                self.pick(&["'a\\0041'", "'\\+0000e4\\u00e4'", "'\\\\'", "NULL", "'plain'"])
            ),
            6 => format!("quote({value})"),
            7 => format!(
                "unhex({}, {})",
                self.pick(&["'61-62'", "'6162'", "'616'", "NULL", "'61 62'"]),
                self.pick(&["'-'", "' '", "''", "NULL"])
            ),
            8 => {
                format!("{}({value})", self.pick(&["upper", "lower", "hex", "typeof", "likely", "unlikely"]))
            }
            _ => format!("{}({value}, {value})", self.pick(&["nullif", "ifnull", "instr", "concat"])),
        }
    }
}
