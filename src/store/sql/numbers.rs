//! Numbers of jobs as databases have them, with a sign; and new ones for rows that have none of ours.
use super::error::RowError;
use crate::engine::JobId;
use crate::engine::slot::{SLOTS, Slot};

/// Rows with higher numbers leave no room for the numbers of new jobs: handles have 18 digits.
const ROW_MAX: i64 = 1 << 59;

/// A job's number as the number of a row.
pub(crate) fn row_of(id: JobId) -> Result<i64, RowError> {
    row(id.number())
}

fn row(number: u64) -> Result<i64, RowError> {
    i64::try_from(number).map_err(|_| RowError::Number(number))
}

/// The job that a row of this number and function is of, if we gave the number: the slot is that of the function.
pub(crate) fn job_of(row: i64, function: &[u8]) -> Option<JobId> {
    let id = JobId::from_number(u64::try_from(row).ok()?)?;
    (id.slot() == Slot::of(function)).then_some(id)
}

/// Numbers above all that are taken.
#[derive(Debug)]
pub(crate) struct NewNumbers {
    /// No number of this sequence is taken.
    sequence: u64,
}

impl NewNumbers {
    /// Above this number of a job or row, which is the highest.
    pub(crate) fn above(highest: i64) -> Result<NewNumbers, RowError> {
        if highest > ROW_MAX {
            return Err(RowError::NoNumbers(highest));
        }
        Ok(NewNumbers { sequence: highest.unsigned_abs() / u64::from(SLOTS) + 1 })
    }

    /// One for a row whose job gets its own number later: any of this sequence will do.
    pub(crate) fn row(&mut self) -> Result<i64, RowError> {
        let number = row(self.sequence * u64::from(SLOTS));
        self.sequence += 1;
        number
    }

    /// One for a job of this function.
    pub(crate) fn job(&mut self, function: &[u8]) -> JobId {
        self.sequence += 1;
        JobId::new(self.sequence, Slot::of(function))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_of_jobs_whose_function_they_have() {
        let id = JobId::new(77, Slot::of(b"rev"));
        let row = row_of(id).unwrap();
        assert_eq!(job_of(row, b"rev"), Some(id));
        assert_eq!(job_of(row, b"other"), None);
        assert_eq!(job_of(-1, b"rev"), None);
    }

    #[test]
    fn new_numbers_are_above_all_others() {
        let highest = row_of(JobId::new(77, Slot::of(b"rev"))).unwrap();
        let mut numbers = NewNumbers::above(highest).unwrap();
        let row = numbers.row().unwrap();
        let id = numbers.job(b"f");
        assert!(row > highest && row_of(id).unwrap() > row && id.slot() == Slot::of(b"f"));
        assert_eq!(NewNumbers::above(ROW_MAX + 1).unwrap_err(), RowError::NoNumbers(ROW_MAX + 1));
    }
}
