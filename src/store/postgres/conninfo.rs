//! Connection strings as libpq reads them: `key=value` words, or a `postgresql://` URI, into words and values. What the
//! words mean is not known here; what stands in for those that are missing is `surroundings.rs`.

/// Reads a connection string. The words come in their order; of one that comes twice the last counts, as in libpq.
pub(super) fn read(text: &str) -> Result<Vec<(String, String)>, String> {
    let uri = ["postgresql://", "postgres://"].into_iter().find_map(|scheme| text.strip_prefix(scheme));
    match uri {
        Some(rest) => uri_words(rest),
        None => words(text),
    }
}

/// `key = 'value'`, with blanks around `=` where one likes; a backslash takes what follows as it is.
fn words(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end =
            rest.find(|letter: char| letter == '=' || letter.is_ascii_whitespace()).unwrap_or(rest.len());
        let (key, behind) = rest.split_at(end);
        let Some(behind) = behind.trim_start().strip_prefix('=') else {
            return Err(format!("there is no = behind {key}"));
        };
        let (value, behind) = value(behind.trim_start()).ok_or("a quote is not closed")?;
        if key.is_empty() {
            return Err("there is no word before an =".to_owned());
        }
        found.push((key.to_owned(), value));
        rest = behind.trim_start();
    }
    Ok(found)
}

/// A value, and what stands behind it; `None` if its quote is not closed.
fn value(text: &str) -> Option<(String, &str)> {
    let (text, quoted) = text.strip_prefix('\'').map_or((text, false), |inside| (inside, true));
    let mut found = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => found.extend(letters.next().map(|(_, letter)| letter)),
            '\'' if quoted => return Some((found, &text[at + 1..])),
            _ if !quoted && letter.is_ascii_whitespace() => return Some((found, &text[at..])),
            _ => found.push(letter),
        }
    }
    (!quoted).then_some((found, ""))
}

/// `[user[:password]@][host[:port]][,...][/dbname][?word=value[&...]]`.
fn uri_words(rest: &str) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    let mut add = |key: &str, value: &str| -> Result<(), String> {
        if !value.is_empty() {
            found.push((key.to_owned(), decoded(value)?));
        }
        Ok(())
    };
    let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let (place, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, hosts) = place.rsplit_once('@').unwrap_or(("", place));
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    add("user", user)?;
    add("password", password)?;
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',') {
        let (name, port) = host_and_port(host)?;
        names.push(name);
        ports.push(port);
    }
    if names.iter().any(|name| !name.is_empty()) {
        add("host", &names.join(","))?;
    }
    if ports.iter().any(|port| !port.is_empty()) {
        add("port", &ports.join(","))?;
    }
    add("dbname", database)?;
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        let Some((key, value)) = parameter.split_once('=') else {
            return Err(format!("there is no = behind {parameter}"));
        };
        let key = decoded(key)?;
        // An older way to ask for the same, of JDBC.
        match (key.as_str(), value) {
            ("ssl", "true") => add("sslmode", "require")?,
            _ => add(&key, value)?,
        }
    }
    Ok(found)
}

/// Takes `[::1]:5432` and `name:5432` apart.
fn host_and_port(text: &str) -> Result<(&str, &str), String> {
    if let Some(inside) = text.strip_prefix('[') {
        let (host, behind) = inside.split_once(']').ok_or_else(|| format!("there is no ] behind {text}"))?;
        return match behind.strip_prefix(':') {
            Some(port) => Ok((host, port)),
            None if behind.is_empty() => Ok((host, "")),
            None => Err(format!("after ] in {text} there can be a port only")),
        };
    }
    Ok(text.split_once(':').unwrap_or((text, "")))
}

/// Undoes `%41`.
fn decoded(text: &str) -> Result<String, String> {
    let wrong = || format!("{text} has a % without two hexadecimal digits behind it, or makes no text");
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let digits = rest.first_chunk::<2>().ok_or_else(wrong)?;
        let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.contains('+'));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).ok_or_else(wrong)?;
        bytes.push(byte);
        rest = &rest[2..];
    }
    if bytes.contains(&0) {
        return Err(wrong());
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_words(text: &str) -> Result<Vec<String>, String> {
        Ok(read(text)?.into_iter().map(|(key, value)| format!("{key}={value}")).collect())
    }

    #[test]
    fn words_are_read_as_libpq_reads_them() {
        for (text, words) in [
            ("", &[][..]),
            ("  ", &[]),
            ("host=a port=1", &["host=a", "port=1"]),
            ("host = a\n port  =1 ", &["host=a", "port=1"]),
            ("password='it''s'", &[]),
            (r"password='it\'s a \\' user=u", &[r"password=it's a \", "user=u"]),
            (r"password=a\ b dbname=", &["password=a b", "dbname="]),
            ("host=''", &["host="]),
            ("options='-c search_path=jobs'", &["options=-c search_path=jobs"]),
        ] {
            if text == "password='it''s'" {
                assert!(read_words(text).is_err(), "two values side by side are no words");
                continue;
            }
            assert_eq!(read_words(text).unwrap(), words, "{text}");
        }
        for (text, wrong) in [
            ("host", "there is no = behind host"),
            ("host=a b", "there is no = behind b"),
            ("=a", "there is no word before an ="),
            ("host='a", "a quote is not closed"),
        ] {
            assert_eq!(read_words(text).unwrap_err(), wrong, "{text}");
        }
    }

    #[test]
    fn uris_are_read_as_libpq_reads_them() {
        for (text, words) in [
            ("postgresql://", &[][..]),
            ("postgres://h", &["host=h"]),
            ("postgresql:///d?host=/run/pg", &["dbname=d", "host=/run/pg"]),
            (
                "postgresql://u:p%40ss@h:5433/d",
                &["user=u", "password=p@ss", "host=h", "port=5433", "dbname=d"],
            ),
            ("postgresql://%2Frun%2Fpg/d", &["host=/run/pg", "dbname=d"]),
            ("postgresql://[::1]:1,b:2/d", &["host=::1,b", "port=1,2", "dbname=d"]),
            ("postgresql://a,b:2/", &["host=a,b", "port=,2"]),
            (
                "postgresql://a,b/d?target_session_attrs=read-write&ssl=true",
                &["host=a,b", "dbname=d", "target_session_attrs=read-write", "sslmode=require"],
            ),
        ] {
            assert_eq!(read_words(text).unwrap(), words, "{text}");
        }
        for text in [
            "postgresql://[::1",
            "postgresql://[::1]x",
            "postgresql://h/d?x",
            "postgresql://%4/d",
            "postgresql://%00",
        ] {
            assert!(read_words(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        /// Whatever an operator writes is read or refused, and what libpq's own rules quote comes back.
        #[test]
        fn any_text_is_read_or_refused(text in "(postgresql://)?[a-z=' \\\\%@:/?&\\[\\],\u{e9}0]{0,30}", value in ".{0,20}") {
            let _ = read(&text);
            let quoted = value.replace('\\', r"\\").replace('\'', r"\'");
            proptest::prop_assert_eq!(read(&format!("a=1 b='{quoted}'c=")), Ok(vec![
                ("a".to_owned(), "1".to_owned()),
                ("b".to_owned(), value),
                ("c".to_owned(), String::new()),
            ]));
        }
    }
}
