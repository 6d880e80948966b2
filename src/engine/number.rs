//! Numbers in text, taken apart as C does. What becomes of one that is too large differs from use to use.

/// The sign and the decimal digits at the beginning of a text: white space and one sign may stand before them, and
/// anything else is where they end. True is negative.
pub(crate) fn sign_and_digits(text: &[u8]) -> (bool, impl Iterator<Item = i64> + '_) {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    (negative, digits.map(|digit| i64::from(digit - b'0')))
}
