//! Where workloads come from: words, standard input as a whole, its lines. Each is bounded.
use std::io::{self, BufRead, Read};

/// Workloads in order; the first that cannot be had is the last, with why.
pub(super) type Workloads = Box<dyn Iterator<Item = Result<Vec<u8>, String>> + Send>;

/// The words behind the function.
pub(super) fn words(words: Vec<Vec<u8>>, max: usize) -> Workloads {
    Box::new(
        words
            .into_iter()
            .map(move |word| if word.len() > max { Err(too_long("a workload", max)) } else { Ok(word) }),
    )
}

/// All of standard input.
pub(super) fn whole(max: usize) -> Workloads {
    Box::new(std::iter::once_with(move || {
        let mut workload = Vec::new();
        let read = io::stdin().lock().take(max as u64 + 1).read_to_end(&mut workload);
        read.map_err(|error| format!("standard input: {error}"))?;
        if workload.len() > max { Err(too_long("standard input", max)) } else { Ok(workload) }
    }))
}

/// The lines of standard input, without their ends.
pub(super) fn lines(max: usize) -> Workloads {
    let mut number = 0_u64;
    Box::new(std::iter::from_fn(move || {
        number += 1;
        line(&mut io::stdin().lock(), number, max).transpose()
    }))
}

fn line(input: &mut impl BufRead, number: u64, max: usize) -> Result<Option<Vec<u8>>, String> {
    let mut line = Vec::new();
    // With its end.
    let read = input.take(max as u64 + 1).read_until(b'\n', &mut line);
    if read.map_err(|error| format!("standard input, line {number}: {error}"))? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > max {
        return Err(too_long(&format!("line {number} of standard input"), max));
    }
    Ok(Some(line))
}

fn too_long(what: &str, max: usize) -> String {
    format!("{what} has more than {max} bytes; raise --max-bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_no_ends_and_are_bounded() {
        let mut input = &b"abc\n\nab\ntoo long\n"[..];
        let mut next = |number| line(&mut input, number, 3);
        assert_eq!(next(1), Ok(Some(b"abc".to_vec())));
        assert_eq!(next(2), Ok(Some(Vec::new())));
        assert_eq!(next(3), Ok(Some(b"ab".to_vec())));
        let why = "line 4 of standard input has more than 3 bytes; raise --max-bytes";
        assert_eq!(next(4), Err(why.to_owned()));
        assert_eq!(line(&mut &b"end"[..], 1, 3), Ok(Some(b"end".to_vec())));
        assert_eq!(line(&mut &b""[..], 1, 3), Ok(None));
    }
}
