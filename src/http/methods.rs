//! Which methods mean something at which path: what can be looked at, what is ordered, and what is said of the others (`Allow`).

/// Whether something is ordered, submitted or sent there.
pub(super) fn takes_posts(path: &[&[u8]]) -> bool {
    match path {
        [b"login" | b"logout" | b"submit"] | [b"order", _] | [b"api", b"v1", b"jobs"] => true,
        [b"api", b"v1", rest @ ..] => is_order(rest),
        _ => false,
    }
}

/// Whether an order of the API has this path, below `/api/v1`.
fn is_order(path: &[&[u8]]) -> bool {
    matches!(
        path,
        [b"functions", _, b"pause" | b"resume" | b"limits"]
            | [b"jobs", b"batch"]
            | [b"jobs", _, b"cancel" | b"retry"]
            | [b"connections", _, b"close"]
            | [b"server", b"log-level" | b"drain"]
    )
}

/// Whether the API tells something there and takes nothing.
pub(super) fn is_told_only(path: &[&[u8]]) -> bool {
    let [b"api", b"v1", path @ ..] = path else { return false };
    match path {
        [
            b"functions" | b"workers" | b"connections" | b"dead" | b"counters" | b"server" | b"audit"
            | b"events" | b"overview",
        ]
        | [b"openapi.json"]
        | [b"functions", _]
        | [b"functions", _, b"why" | b"workers"]
        | [b"jobs", _, b"why" | b"workload"] => true,
        [b"jobs", what] => *what != b"batch",
        _ => false,
    }
}

/// Whether something is ordered there and nothing is told.
pub(super) fn is_ordered_only(path: &[&[u8]]) -> bool {
    matches!(path, [b"api", b"v1", rest @ ..] if is_order(rest))
}

/// The methods that mean something there.
pub(super) fn allowed(path: &[&[u8]]) -> &'static str {
    let looked_at = match path {
        [b"logout"] => false,
        [b"api", b"v1", rest @ ..] => !is_order(rest),
        _ => true,
    };
    match (looked_at, takes_posts(path)) {
        (true, true) => "GET, HEAD, POST",
        (true, false) => "GET, HEAD",
        (false, _) => "POST",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<&[u8]> {
        text.split('/').skip(1).map(str::as_bytes).collect()
    }

    #[test]
    fn each_path_has_its_methods() {
        for (text, methods) in [
            ("/", "GET, HEAD"),
            ("/submit", "GET, HEAD, POST"),
            ("/order/pause", "GET, HEAD, POST"),
            ("/logout", "POST"),
            ("/api/v1/jobs", "GET, HEAD, POST"),
            ("/api/v1/jobs/H:x:1", "GET, HEAD"),
            ("/api/v1/jobs/batch", "POST"),
            ("/api/v1/jobs/H:x:1/cancel", "POST"),
            ("/api/v1/functions/f/why", "GET, HEAD"),
            ("/api/v1/functions/pause", "GET, HEAD"),
            ("/api/v1/server/drain", "POST"),
        ] {
            assert_eq!(allowed(&path(text)), methods, "{text}");
            assert!(!(is_told_only(&path(text)) && takes_posts(&path(text))), "{text}");
        }
        assert!(is_told_only(&path("/api/v1/server")) && is_told_only(&path("/api/v1/jobs/H:x:1")));
        assert!(is_ordered_only(&path("/api/v1/server/drain")) && !is_ordered_only(&path("/api/v1/jobs")));
        assert!(!is_told_only(&path("/api/v1/nothing")) && !is_told_only(&path("/metrics")));
    }
}
