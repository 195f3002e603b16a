//! A query's constants as parameters.

use dosql::Value;

/// The statement with a parameter for each constant, the same for the same constant, and their values.
pub fn as_parameters(sql: &str) -> (String, Vec<Value>) {
    let (mut text, mut spelled, mut values) = (String::new(), Vec::new(), Vec::new());
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let len = token(rest);
        let (token, after) = rest.split_at(len);
        // Such a number may be that of a column of the result.
        let column = after.starts_with(" COLLATE") || text.ends_with("ORDER BY ");
        let value = if column { None } else { constant(token, first) };
        match value {
            Some(value) => {
                let known = spelled.iter().position(|other| *other == token);
                let number = known.unwrap_or_else(|| {
                    spelled.push(token);
                    values.push(value);
                    spelled.len() - 1
                });
                text += &format!("?{}", number + 1);
            }
            None => text += token,
        }
        rest = after;
    }
    (text, values)
}

/// The length of the word, the text, the number or the single character that comes first.
fn token(sql: &str) -> usize {
    let bytes = sql.as_bytes();
    let quoted = |from: usize| {
        let mut at = from;
        loop {
            at += sql[at..].find('\'').map_or(sql.len() - at, |found| found + 1);
            if bytes.get(at) != Some(&b'\'') {
                return at;
            }
            at += 1;
        }
    };
    match bytes[0] {
        b'\'' => quoted(1),
        b'x' if bytes.get(1) == Some(&b'\'') => quoted(2),
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' => {
            let number = bytes[0].is_ascii_digit();
            let inside = |(at, c): &(usize, char)| {
                let exponent = || sql[..*at].ends_with('e') && !sql.starts_with("0x");
                c.is_ascii_alphanumeric() || *c == '_' || (number && (*c == '.' || (*c == '-' && exponent())))
            };
            sql.char_indices().take_while(inside).last().map_or(1, |(at, c)| at + c.len_utf8())
        }
        _ => sql.chars().next().map_or(1, char::len_utf8),
    }
}

/// The value of a constant.
fn constant(token: &str, first: char) -> Option<Value> {
    match first {
        '\'' => {
            let inside = token.get(1..token.len() - 1)?;
            Some(Value::Text(inside.replace("''", "'").as_str().into()))
        }
        'x' if token.starts_with("x'") => {
            let digits = token.get(2..token.len() - 1)?;
            let bytes: Option<Vec<u8>> = (0..digits.len() / 2)
                .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok())
                .collect();
            Some(Value::Blob(bytes?.as_slice().into()))
        }
        '0'..='9' => match token.strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(hex, 16).ok().map(Value::Integer),
            None if token.contains(['.', 'e']) => token.parse().ok().map(Value::Real),
            // One above the largest integer: with a minus in front it is the smallest.
            None => token.parse().ok().map(Value::Integer),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_become_parameters_and_equal_ones_the_same() {
        let (sql, values) = as_parameters(
            "SELECT x1.a + 1.5, 'it''s', x'61', 1e-3 FROM t1 AS x1 WHERE a = 1.5 ORDER BY 1 COLLATE BINARY LIMIT 2",
        );
        assert_eq!(
            sql,
            "SELECT x1.a + ?1, ?2, ?3, ?4 FROM t1 AS x1 WHERE a = ?1 ORDER BY 1 COLLATE BINARY LIMIT ?5"
        );
        let wanted = [
            Value::Real(1.5),
            Value::Text("it's".into()),
            Value::Blob(b"a"[..].into()),
            Value::Real(1e-3),
            Value::Integer(2),
        ];
        assert_eq!(values, wanted);
    }
}
