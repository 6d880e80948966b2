//! Numbers as people read them, alike on pages and in terminals. Units and words beside them are the affair of whoever shows them.

/// A number with commas between thousands.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How many a second.
pub(crate) fn rate(number: f64) -> String {
    match number {
        _ if number < 0.005 => "0".to_owned(),
        _ if number < 9.95 => format!("{number:.1}"),
        // Rates are far below the bound.
        _ => thousands(number.round() as u64),
    }
}
