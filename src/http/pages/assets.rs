//! Style and scripts of the pages: their bytes, and the names under which they are kept by browsers. A name has a sum of the bytes in it, so
//! that other bytes have another name.
use std::hash::{DefaultHasher, Hasher};
use std::sync::LazyLock;

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file that a page needs.
struct Asset {
    name: &'static str,
    ending: &'static str,
    kind: &'static str,
    text: &'static str,
}

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AssetName {
    Style,
    ChartStyle,
    Swaps,
    Chart,
    Own,
}

const ASSETS: [Asset; 5] = [
    Asset { name: "ringgear", ending: "css", kind: CSS, text: include_str!("assets/ringgear.css") },
    Asset { name: "uplot", ending: "css", kind: CSS, text: include_str!("assets/uPlot.min.css") },
    Asset { name: "htmx", ending: "js", kind: SCRIPT, text: include_str!("assets/htmx.min.js") },
    Asset { name: "uplot", ending: "js", kind: SCRIPT, text: include_str!("assets/uPlot.iife.min.js") },
    Asset { name: "ringgear", ending: "js", kind: SCRIPT, text: include_str!("assets/ringgear.js") },
];

static NAMES: LazyLock<[String; 5]> = LazyLock::new(|| {
    ASSETS.each_ref().map(|asset| {
        let mut sum = DefaultHasher::new();
        sum.write(asset.text.as_bytes());
        format!("{}-{:016x}.{}", asset.name, sum.finish(), asset.ending)
    })
});

/// Where a page finds one.
pub(super) fn path(which: AssetName) -> String {
    format!("/assets/{}", NAMES[which as usize])
}

/// The style sheet, for those who ask for it by its plain name.
pub(in super::super) const STYLE: &str = ASSETS[AssetName::Style as usize].text;

/// What stands under a name: its kind, and the text.
pub(super) fn find(name: &[u8]) -> Option<(&'static str, &'static str)> {
    let at = NAMES.iter().position(|known| known.as_bytes() == name)?;
    Some((ASSETS[at].kind, ASSETS[at].text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_name_and_no_other() {
        use AssetName::*;
        for (at, which) in [Style, ChartStyle, Swaps, Chart, Own].into_iter().enumerate() {
            let path = path(which);
            let name = path.strip_prefix("/assets/").unwrap();
            assert_eq!(find(name.as_bytes()), Some((ASSETS[at].kind, ASSETS[at].text)));
        }
        assert_eq!(find(b"ringgear.css"), None);
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    }
}
