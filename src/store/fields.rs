//! Fields of a put record: what came into the format after its fixed part, or what few jobs have. What else stands in a
//! record is `record/mod.rs`.
//!
//! A field is a tag (1 byte), a length (1 byte) and so many bytes. The low 7 bits of the tag are its number, not 0. Fields
//! stand in the order of their numbers, each once, and take [`FIELDS_MAX`] bytes at the most. Numbers are given one after
//! the other, so what a version does not know stands behind all that it knows.
//!
//! A field that is not known is carried along with its job, unless the highest bit of its tag says that nobody may have the
//! job who does not understand it ([`MUST`]): then the start stops.
//!
//! | tag | bytes | what | since |
//! |---|---|---|---|
//! | 1 | 8 | when the job was accepted, in milliseconds since 1970 | 0.2.0 |
use crate::engine::{Epoch, MORE_MAX};

/// The most bytes that the fields of a job take.
pub const FIELDS_MAX: usize = 512;
/// In a tag: whoever does not know the field must not pass over it.
pub const MUST: u8 = 0x80;

/// When the job was accepted.
const ACCEPTED: u8 = 1;
const ACCEPTED_BYTES: usize = 2 + 8;
/// The highest number that this version knows.
const KNOWN: u8 = ACCEPTED;

// There is room for what this version knows beside what it carries along.
const _: () = assert!(ACCEPTED_BYTES + MORE_MAX <= FIELDS_MAX);

/// The fields of one job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields<'a> {
    /// When it was accepted.
    pub(super) accepted: Option<Epoch>,
    /// Those that are not known, as they stand in the record: at most [`MORE_MAX`] bytes.
    pub(super) more: &'a [u8],
}

/// Why bytes are not the fields of a job that may be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldsError {
    /// They make no sense.
    Nonsense,
    /// There is a field with this tag that is not known and must be understood.
    Unknown(u8),
}

impl<'a> Fields<'a> {
    /// How many bytes they take.
    pub(super) fn len(&self) -> usize {
        self.accepted.map_or(0, |_| ACCEPTED_BYTES) + self.more.len()
    }

    /// Appends them.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        if let Some(Epoch(milliseconds)) = self.accepted {
            out.extend_from_slice(&[ACCEPTED, 8]);
            out.extend_from_slice(&milliseconds.to_le_bytes());
        }
        out.extend_from_slice(self.more);
    }

    /// Reads them: these bytes and no others.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Fields<'a>, FieldsError> {
        if bytes.len() > FIELDS_MAX {
            return Err(FieldsError::Nonsense);
        }
        let mut fields = Fields::default();
        let (mut rest, mut last) = (bytes, 0);
        while !rest.is_empty() {
            let (tag, value, behind) = split(rest).ok_or(FieldsError::Nonsense)?;
            let number = tag & !MUST;
            if number <= last {
                return Err(FieldsError::Nonsense);
            }
            if number > KNOWN && tag & MUST != 0 {
                return Err(FieldsError::Unknown(tag));
            }
            if number > KNOWN && fields.more.is_empty() {
                fields.more = rest;
            }
            if number <= KNOWN {
                let milliseconds = value.try_into().map_err(|_| FieldsError::Nonsense)?;
                if tag != ACCEPTED {
                    return Err(FieldsError::Nonsense);
                }
                fields.accepted = Some(Epoch(u64::from_le_bytes(milliseconds)));
            }
            (rest, last) = (behind, number);
        }
        if fields.more.len() > MORE_MAX {
            return Err(FieldsError::Nonsense);
        }
        Ok(fields)
    }
}

/// The first field: its tag, its bytes, and what is behind it.
fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, length], rest) = bytes.split_first_chunk()?;
    let (value, behind) = rest.split_at_checked(usize::from(length))?;
    Some((tag, value, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field with so many bytes.
    fn field(tag: u8, length: u8) -> Vec<u8> {
        [&[tag, length][..], &vec![7; usize::from(length)]].concat()
    }

    #[test]
    fn what_is_not_known_is_carried_along() {
        let more = [field(2, 0), field(5, 255), field(100, 3)].concat();
        for (accepted, more) in
            [(None, &[][..]), (Some(Epoch(5)), &[]), (None, &more), (Some(Epoch(0)), &more)]
        {
            let fields = Fields { accepted, more };
            let mut bytes = Vec::new();
            fields.write(&mut bytes);
            assert_eq!(bytes.len(), fields.len());
            assert_eq!(Fields::read(&bytes), Ok(fields));
        }
    }

    #[test]
    fn what_must_be_understood_is_not_passed_over() {
        for before in [&[][..], &field(1, 8), &field(2, 3)] {
            let bytes = [before, &field(MUST | 3, 4), &field(4, 1)].concat();
            assert_eq!(Fields::read(&bytes), Err(FieldsError::Unknown(MUST | 3)));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let most = [field(2, 255), field(3, 239)].concat();
        assert_eq!((most.len(), Fields::read(&most).map(|fields| fields.more.len())), (498, Ok(498)));
        for bytes in [
            field(0, 1),
            field(MUST, 1),
            field(1, 7),
            field(1, 9),
            field(MUST | 1, 8),
            vec![2],
            vec![2, 1],
            [field(2, 1), field(2, 1)].concat(),
            [field(3, 1), field(2, 1)].concat(),
            [most.clone(), field(4, 1)].concat(),
            [most, field(4, 255)].concat(),
        ] {
            assert_eq!(Fields::read(&bytes), Err(FieldsError::Nonsense), "{bytes:?}");
        }
    }
}
