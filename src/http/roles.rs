//! What somebody may do over HTTP, and who that is. Values only: how somebody shows who he is stands in `guard.rs`, what a role is good
//! for with whoever asks for it.
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// Something that may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HttpRole {
    /// See numbers and lists: names of functions, jobs and workers, no payloads.
    Read,
    /// See payloads.
    Peek,
    /// Submit jobs.
    Submit,
    /// Give orders: pause, cancel, retry, limits, drain.
    Operate,
}

impl HttpRole {
    pub(crate) const ALL: [HttpRole; 4] =
        [HttpRole::Read, HttpRole::Peek, HttpRole::Submit, HttpRole::Operate];

    /// Its name.
    pub(crate) fn word(self) -> &'static str {
        match self {
            HttpRole::Read => "read",
            HttpRole::Peek => "peek",
            HttpRole::Submit => "submit",
            HttpRole::Operate => "operate",
        }
    }

    /// By its name, or the first letter of it.
    fn of(word: &str) -> Option<HttpRole> {
        HttpRole::ALL.into_iter().find(|role| role.word() == word || &role.word()[..1] == word)
    }
}

/// Several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RoleSet(u8);

impl RoleSet {
    pub(crate) const NONE: RoleSet = RoleSet(0);
    pub(crate) const ALL: RoleSet = RoleSet(0b1111);

    pub(crate) fn of(roles: &[HttpRole]) -> RoleSet {
        RoleSet(roles.iter().fold(0, |set, &role| set | 1 << role as u8))
    }

    pub(crate) fn has(self, role: HttpRole) -> bool {
        self.0 & 1 << role as u8 != 0
    }

    /// Names with commas between them. An error is one sentence.
    pub(crate) fn read(text: &str) -> Result<RoleSet, String> {
        let mut roles = Vec::new();
        for word in text.split(',') {
            roles.push(HttpRole::of(word).ok_or_else(|| {
                format!(
                    "'{}' is no role; roles are read, peek, submit and operate, with commas between them",
                    word.escape_default()
                )
            })?);
        }
        Ok(RoleSet::of(&roles))
    }
}

impl fmt::Display for RoleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> =
            HttpRole::ALL.into_iter().filter(|&role| self.has(role)).map(HttpRole::word).collect();
        f.write_str(&words.join(","))
    }
}

/// Names of functions in which `*` stands for any bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FunctionPatterns(Vec<Vec<u8>>);

impl FunctionPatterns {
    /// With commas between them.
    pub(crate) fn read(text: &str) -> Result<FunctionPatterns, String> {
        let patterns: Vec<Vec<u8>> = text.split(',').map(|pattern| pattern.as_bytes().to_vec()).collect();
        match patterns.iter().any(Vec::is_empty) {
            true => Err("functions= wants names with commas between them, in which * is any text".to_owned()),
            false => Ok(FunctionPatterns(patterns)),
        }
    }

    pub(crate) fn include(&self, function: &[u8]) -> bool {
        self.0.iter().any(|pattern| fits(pattern, function))
    }
}

/// In a time that is at most the product of both lengths.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    // The last star, and how much of the name it stands for.
    let mut star: Option<(usize, usize)> = None;
    while from < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(byte) if *byte == name[from] => {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((place, taken)) => {
                    star = Some((place, taken + 1));
                    (at, from) = (place + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// How somebody has shown who he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Not at all: what everybody may who comes this way.
    Nothing,
    /// By the system's word: the user at the other end of a unix socket.
    User,
    /// By a token in the head of the request.
    Token,
    /// By a cookie that was given for a token. A browser sends it whoever made it ask.
    Cookie,
}

/// Who made a request, and what he may.
#[derive(Clone, Debug)]
pub(super) struct HttpCaller {
    /// `anonymous`, `user 0`, or the name of a token.
    pub(super) name: String,
    /// Where he asks from; none for a unix socket.
    pub(super) address: Option<SocketAddr>,
    pub(super) shown: Shown,
    pub(super) roles: RoleSet,
    /// The only functions whose payloads he may see, for which he may submit, to which he may give orders.
    pub(super) functions: Option<Arc<FunctionPatterns>>,
}

impl HttpCaller {
    /// Whether he may do this with everything that there is. Reading is never limited to functions.
    pub(super) fn may(&self, role: HttpRole) -> bool {
        self.roles.has(role) && (role == HttpRole::Read || self.functions.is_none())
    }

    /// Whether he may do this with this function.
    pub(super) fn may_with(&self, role: HttpRole, function: &[u8]) -> bool {
        let fits = || self.functions.as_ref().is_none_or(|functions| functions.include(function));
        self.roles.has(role) && (role == HttpRole::Read || fits())
    }

    /// Where he asks from, in words.
    pub(super) fn place(&self) -> String {
        self.address.map_or_else(|| "the unix socket".to_owned(), |address| address.to_string())
    }

    /// Why he may not, and what to do, a sentence.
    pub(super) fn lacks(&self, role: HttpRole) -> String {
        let role_word = role.word();
        match self.roles.has(role) {
            true => format!(
                "{} may {role_word} some functions only, and this is about others; use a token without functions=",
                self.name
            ),
            false => format!(
                "{} may not do this, which takes the role {role_word}: use a token that has it (--control-tokens), or the unix socket as the \
                 user of the server",
                self.name
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_words_or_letters() {
        let set = RoleSet::read("read,o").unwrap();
        assert!(
            set.has(HttpRole::Read)
                && set.has(HttpRole::Operate)
                && !set.has(HttpRole::Peek)
                && !set.has(HttpRole::Submit)
        );
        assert_eq!(
            (set.to_string(), RoleSet::ALL.to_string()),
            ("read,operate".into(), "read,peek,submit,operate".into())
        );
        assert_eq!(RoleSet::of(&HttpRole::ALL), RoleSet::ALL);
        for wrong in ["", "read,", "all", "R", "re", "read, peek"] {
            assert!(RoleSet::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_star_is_any_text() {
        let patterns = FunctionPatterns::read("mail-*,exact,*x*y").unwrap();
        for function in ["mail-", "mail-a", "exact", "xy", "axbyy", "xxy"] {
            assert!(patterns.include(function.as_bytes()), "{function}");
        }
        for function in ["", "mail", "exact2", "x", "yx", "xya"] {
            assert!(!patterns.include(function.as_bytes()), "{function}");
        }
        assert!(FunctionPatterns::read("*").unwrap().include(b""));
        assert!(FunctionPatterns::read("a,,b").is_err());
    }

    #[test]
    fn what_is_about_everything_is_not_for_who_has_some_functions() {
        let functions = Some(Arc::new(FunctionPatterns::read("a*").unwrap()));
        let caller = HttpCaller {
            name: "x".into(),
            address: None,
            shown: Shown::Token,
            roles: RoleSet::ALL,
            functions,
        };
        assert!(caller.may(HttpRole::Read) && !caller.may(HttpRole::Operate) && !caller.may(HttpRole::Peek));
        assert!(caller.may_with(HttpRole::Operate, b"ab") && !caller.may_with(HttpRole::Operate, b"b"));
        assert!(caller.may_with(HttpRole::Read, b"b"));
        assert!(caller.lacks(HttpRole::Operate).contains("some functions only"));
        let reader = HttpCaller { roles: RoleSet::of(&[HttpRole::Read]), functions: None, ..caller };
        assert!(!reader.may_with(HttpRole::Submit, b"ab"));
        assert!(reader.lacks(HttpRole::Submit).contains("takes the role submit"));
    }
}
