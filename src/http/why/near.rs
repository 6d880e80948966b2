//! Names that were perhaps meant to be one. No more is known of them here than their bytes.

/// Whether two names are so alike that one may be a mistake for the other: in case, in blanks at the end, in a prefix up to a tab or
/// colon, or in one character.
pub(in crate::http) fn are_near(one: &[u8], other: &[u8]) -> bool {
    if one == other {
        return false;
    }
    let bare = |name: &[u8]| {
        let end = name.trim_ascii();
        let start = end.iter().rposition(|byte| matches!(byte, b'\t' | b':')).map_or(0, |at| at + 1);
        (end.to_ascii_lowercase(), end[start..].to_ascii_lowercase())
    };
    let ((a, short_a), (b, short_b)) = (bare(one), bare(other));
    a == b || short_a == b || a == short_b || one_edit(&a, &b)
}

/// Whether one byte was added, left out, changed, or swapped with its neighbour.
fn one_edit(a: &[u8], b: &[u8]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if long.len() - short.len() > 1 || long.len() < 3 {
        return false;
    }
    let same = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    let (rest_short, rest_long) = (&short[same..], &long[same..]);
    if short.len() < long.len() {
        return rest_long[1..] == *rest_short;
    }
    let swapped = rest_short.len() >= 2
        && (rest_short[0], rest_short[1]) == (rest_long[1], rest_long[0])
        && rest_short[2..] == rest_long[2..];
    swapped || rest_short.get(1..) == rest_long.get(1..)
}
