//! Evaluates SQL expressions made of literals, function calls, CAST, `->` and `->>`: enough to run functions from a
//! table of text, and no more.

use std::sync::Arc;

use dosql_base::{Env, ManualClock, Result, SeededEntropy, Timestamp};
use dosql_sql::func::{Accumulator, Context, JsonArgs, JsonResult, Kind, lookup};
use dosql_sql::value::{Affinity, Collation, Value, ValueRef, arith, cast};

/// 2024-02-29 12:34:56.789 UTC
pub(crate) const NOW: u64 = 1_709_210_096_789_000;

struct Parser<'t> {
    text: &'t str,
    at: usize,
    env: &'t Env,
}

/// The value of an expression; the outer error says that it is beyond this evaluator, the inner one is SQL's.
pub(crate) fn eval(text: &str) -> std::result::Result<Result<Value>, String> {
    let now = Timestamp::from_micros(NOW);
    let env = Env::new(Arc::new(ManualClock::at(now)), Arc::new(SeededEntropy::new(1)));
    let mut parser = Parser { text, at: 0, env: &env };
    let value = match parser.expression() {
        Ok((value, _)) => Ok(value),
        Err(Stop::Sql(error)) => return Ok(Err(error)),
        Err(Stop::Beyond(why)) => return Err(why),
    };
    parser.space();
    if parser.at < text.len() { Err(format!("left over: {}", &text[parser.at..])) } else { Ok(value) }
}

/// Why an evaluation stopped.
pub(crate) enum Stop {
    Sql(dosql_base::Error),
    Beyond(String),
}

impl From<dosql_base::Error> for Stop {
    fn from(error: dosql_base::Error) -> Self {
        Stop::Sql(error)
    }
}

type Evaluated = std::result::Result<(Value, JsonResult), Stop>;

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.space();
        let eaten = self.rest().get(..token.len()).is_some_and(|start| start.eq_ignore_ascii_case(token));
        self.at += if eaten { token.len() } else { 0 };
        eaten
    }

    fn beyond<T>(&self) -> std::result::Result<T, Stop> {
        Err(Stop::Beyond(format!("at {}", self.rest())))
    }

    fn word(&mut self) -> &'t str {
        self.space();
        let rest = self.rest();
        let len = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        self.at += len;
        &rest[..len]
    }

    fn expression(&mut self) -> Evaluated {
        let mut left = self.primary()?;
        loop {
            let operator = ["->>", "->", "||"].into_iter().find(|operator| self.eat(operator));
            let Some(operator) = operator else { return Ok(left) };
            let right = self.primary()?;
            left = match operator {
                "||" => (arith::concat(left.0.as_ref(), right.0.as_ref()), JsonResult::No),
                _ => self.call(operator, &[left, right])?,
            };
        }
    }

    fn primary(&mut self) -> Evaluated {
        self.space();
        let plain = |value| Ok((value, JsonResult::No));
        match self.rest().as_bytes().first() {
            Some(b'(') => {
                self.at += 1;
                let inner = self.expression()?;
                if self.eat(")") { Ok(inner) } else { self.beyond() }
            }
            Some(b'-') => {
                self.at += 1;
                if self.eat("9223372036854775808") {
                    return plain(Value::Integer(i64::MIN));
                }
                let inner = self.primary()?;
                plain(arith::neg(inner.0.as_ref()))
            }
            Some(b'+') => {
                self.at += 1;
                self.primary()
            }
            Some(b'\'') => plain(Value::from(self.string()?)),
            Some(b'0'..=b'9' | b'.') => self.number(),
            Some(byte) if byte.is_ascii_alphabetic() => self.named(),
            _ => self.beyond(),
        }
    }

    fn string(&mut self) -> std::result::Result<String, Stop> {
        let mut out = String::new();
        self.at += 1;
        loop {
            let Some(end) = self.rest().find('\'') else { return self.beyond() };
            out.push_str(&self.rest()[..end]);
            self.at += end + 1;
            if !self.rest().starts_with('\'') {
                return Ok(out);
            }
            out.push('\'');
            self.at += 1;
        }
    }

    fn number(&mut self) -> Evaluated {
        let rest = self.rest();
        let mut len = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        if rest[len..].starts_with(['e', 'E']) {
            len += 1 + usize::from(rest[len + 1..].starts_with(['+', '-']));
            len += rest[len..].bytes().take_while(u8::is_ascii_digit).count();
        }
        self.at += len;
        if self.rest().starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            return self.beyond();
        }
        Ok((cast(ValueRef::Text(&rest[..len]), number_type(&rest[..len])), JsonResult::No))
    }

    fn named(&mut self) -> Evaluated {
        let name = self.word();
        let plain = |value| Ok((value, JsonResult::No));
        if self.rest().starts_with('\'') && name.eq_ignore_ascii_case("x") {
            let hex = self.string()?;
            let (value, _) = self.call("unhex", &[(Value::from(hex), JsonResult::No)])?;
            return plain(value);
        }
        if self.eat("(") {
            return if name.eq_ignore_ascii_case("cast") { self.cast() } else { self.arguments(name) };
        }
        match name.to_ascii_lowercase().as_str() {
            "null" => plain(Value::Null),
            "true" => plain(Value::Integer(1)),
            "false" => plain(Value::Integer(0)),
            _ => self.beyond(),
        }
    }

    fn cast(&mut self) -> Evaluated {
        let (value, _) = self.expression()?;
        if !self.eat("as") {
            return self.beyond();
        }
        let declared = self.word();
        if !self.eat(")") {
            return self.beyond();
        }
        Ok((cast(value.as_ref(), Affinity::of_declared_type(declared)), JsonResult::No))
    }

    fn arguments(&mut self, name: &str) -> Evaluated {
        let mut args = Vec::new();
        if !self.eat(")") {
            loop {
                args.push(self.expression()?);
                if self.eat(")") {
                    break;
                }
                if !self.eat(",") {
                    return self.beyond();
                }
            }
        }
        self.call(name, &args)
    }

    fn call(&self, name: &str, args: &[(Value, JsonResult)]) -> Evaluated {
        let function = lookup(name, args.len())?;
        let mut context = Context::new(self.env, Timestamp::from_micros(NOW));
        context.json = JsonArgs::default();
        for (index, (_, json)) in args.iter().enumerate() {
            context.json.set(index, *json);
        }
        let values: Vec<ValueRef<'_>> = args.iter().map(|(value, _)| value.as_ref()).collect();
        let value = match function.kind {
            Kind::Scalar { f, .. } => f(&mut context, &values, Collation::Binary)?,
            Kind::Aggregate(kind) => {
                // An aggregate over a table of one row.
                let mut accumulator = Accumulator::new(kind, Collation::Binary);
                accumulator.step(&mut context, &values)?;
                accumulator.finish()?
            }
            Kind::Window(_) => return self.beyond(),
        };
        Ok((value, function.json))
    }
}

fn number_type(text: &str) -> Affinity {
    if text.contains(['.', 'e', 'E']) { Affinity::Real } else { Affinity::Numeric }
}

/// Evaluates each line `expression  ==  result` of `table`: the result is an SQL literal, or `error: ` and a message.
pub(crate) fn check(table: &str) {
    let mut wrong = Vec::new();
    for line in table.lines().filter(|line| !line.is_empty()) {
        let (expression, expected) = line.split_once("  ==  ").expect("a line has a result");
        let found = match eval(expression).expect("an expression that this evaluator knows") {
            Ok(value) => value.to_string().replace('\n', "\\n"),
            Err(error) => format!("error: {}", error.message()),
        };
        if found != expected {
            wrong.push(format!("{expression}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
