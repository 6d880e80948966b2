//! The words of a form that a browser sends. Values in, values out; what they mean is said by who asks for them.
use super::super::multipart::{FormPart, split};
use super::super::target::decode;
use bytes::Bytes;

/// Words of a form; more are refused.
const FORM_WORDS_MAX: usize = 512;

/// A form as it was sent.
#[derive(Debug)]
pub(in super::super) struct SentForm {
    pub(in super::super) bytes: Bytes,
    /// What stands between its parts, if it has some.
    pub(in super::super) boundary: Option<Vec<u8>>,
}

/// Names and values, in their order; one name may stand there several times.
#[derive(Debug, Default)]
pub(super) struct PageForm {
    words: Vec<(Vec<u8>, Vec<u8>)>,
    /// The file that was chosen.
    file: Option<Bytes>,
}

impl PageForm {
    /// Reads the body of a form. An error is one sentence.
    pub(super) fn read(body: &[u8]) -> Result<PageForm, String> {
        let text = std::str::from_utf8(body).map_err(|_| "a form is text: other bytes stand in it as %XX")?;
        let mut words = Vec::new();
        for word in text.split('&').filter(|word| !word.is_empty()) {
            if words.len() == FORM_WORDS_MAX {
                return Err(format!("the form has more than {FORM_WORDS_MAX} words: choose less at a time"));
            }
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            words.push((decode(name, true)?, decode(value, true)?));
        }
        Ok(PageForm { words, file: None })
    }

    /// Reads either kind of form. An error is one sentence.
    pub(super) fn of(sent: &SentForm) -> Result<PageForm, String> {
        let Some(boundary) = &sent.boundary else { return PageForm::read(&sent.bytes) };
        let mut form = PageForm::default();
        for FormPart { name, file, bytes } in split(&sent.bytes, boundary)? {
            match file {
                None => form.words.push((name, bytes.to_vec())),
                // Browsers send a part for the field of a file though none was chosen.
                Some(called) if called.is_empty() && bytes.is_empty() => {}
                Some(_) if form.file.is_some() => return Err("a form has one file".to_owned()),
                Some(_) => form.file = Some(bytes),
            }
        }
        Ok(form)
    }

    /// The bytes of the file that was chosen, if one was.
    pub(super) fn file(&self) -> Option<&Bytes> {
        self.file.as_ref()
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.words.iter().filter(move |(given, _)| given == name.as_bytes()).map(|(_, value)| &value[..])
    }

    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.words.iter().find(|(given, _)| given == name.as_bytes()).map(|(_, value)| &value[..])
    }

    /// Text without blanks around it; `None` if nothing was typed.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(self.bytes(name)?).trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// A whole number; `None` if nothing was typed.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, String> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.replace(',', "").parse();
        number.map(Some).map_err(|_| format!("{name} is a whole number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read() {
        let form = PageForm::read(b"reason=a+b%21&job=1&job=%ff&n=1,000&empty=").unwrap();
        assert_eq!(form.text("reason").as_deref(), Some("a b!"));
        assert_eq!(form.all("job").collect::<Vec<_>>(), [&b"1"[..], b"\xff"]);
        assert_eq!((form.number("n"), form.number("none")), (Ok(Some(1000)), Ok(None)));
        assert_eq!((form.text("empty"), form.bytes("empty")), (None, Some(&b""[..])));
        assert!(form.number("reason").is_err());
        assert!(PageForm::read(b"a=%f").is_err() && PageForm::read(b"\xff").is_err());
        assert!(PageForm::read("a&".repeat(600).as_bytes()).is_err());
    }
}
