//! How much memory this process may have: the least of all limits that hold for it, in whatever form they are set.
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::sysinfo::sysinfo;
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of memory that this process may hope for: the machine's, or less where its container, its unit or whoever
/// started it allows less. What the system does not tell is no limit.
pub(super) fn allowed() -> u64 {
    let physical = sysinfo().map_or(u64::MAX, |system| system.ram_total());
    let space = getrlimit(Resource::RLIMIT_AS).map_or(u64::MAX, |(current, _)| current);
    allowed_by(Path::new("/"), physical).min(space)
}

/// The least of `physical` and of what the control groups of this process allow, as told by files below `root`.
fn allowed_by(root: &Path, physical: u64) -> u64 {
    let text = |path: &str| fs::read(root.join(path)).map(|text| String::from_utf8_lossy(&text).into_owned());
    let (Ok(groups), Ok(mounts)) = (text("proc/self/cgroup"), text("proc/self/mountinfo")) else {
        return physical;
    };
    let mounts: Vec<Mount> = mounts.lines().filter_map(mount).collect();
    let limits = groups.lines().filter_map(group).flat_map(|group| {
        let mounts = mounts.iter().filter(move |mount| mount.unified == group.unified);
        mounts.flat_map(move |mount| levels(root, mount, &group.path))
    });
    limits.fold(physical, u64::min)
}

/// Where a hierarchy of control groups that know memory is mounted.
struct Mount {
    /// Version 2.
    unified: bool,
    /// The group that is seen there.
    root: String,
    point: PathBuf,
}

/// `36 35 98:0 /root /point options fields... - type source options`
fn mount(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let (root, point) = (unescape(before.next()?), unescape(before.next()?));
    let mut after = after.split(' ');
    let (kind, _, options) = (after.next()?, after.next()?, after.next().unwrap_or_default());
    let unified = match kind {
        "cgroup2" => true,
        "cgroup" if options.split(',').any(|option| option == "memory") => false,
        _ => return None,
    };
    Some(Mount { unified, root, point: point.trim_start_matches('/').into() })
}

/// Blanks in paths are written `\040`, and so on.
fn unescape(text: &str) -> String {
    ["\\040 ", "\\011\t", "\\012\n", "\\134\\"].iter().fold(text.to_owned(), |text, pair| {
        let (escape, byte) = pair.split_at(4);
        text.replace(escape, byte)
    })
}

/// The group that this process is in, in one hierarchy.
struct Group {
    unified: bool,
    path: String,
}

/// `0::/path` in version 2, `4:cpu,memory:/path` in version 1.
fn group(line: &str) -> Option<Group> {
    let mut parts = line.splitn(3, ':');
    let (number, kinds, path) = (parts.next()?, parts.next()?, parts.next()?);
    let unified = number == "0" && kinds.is_empty();
    let known = unified || kinds.split(',').any(|kind| kind == "memory");
    known.then(|| Group { unified, path: path.to_owned() })
}

/// The limits of a group and of all above it, as far as they are to be seen.
fn levels(root: &Path, mount: &Mount, path: &str) -> Vec<u64> {
    let file = if mount.unified { "memory.max" } else { "memory.limit_in_bytes" };
    // What is mounted may be a group in the middle, and the path may lead outside of it.
    let inside = path.strip_prefix(mount.root.trim_end_matches('/')).unwrap_or_default();
    let inside = inside.trim_start_matches('/');
    let inside = if inside.split('/').any(|part| part == "..") { "" } else { inside };
    let top = root.join(&mount.point);
    let group = top.join(inside);
    let levels = group.ancestors().take_while(|level| level.starts_with(&top));
    let number = |level: &Path| fs::read_to_string(level.join(file)).ok()?.trim().parse().ok();
    levels.filter_map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHYSICAL: u64 = 1 << 40;

    /// A scratch folder with these files; it goes when it is dropped.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str, files: &[(&str, &str)]) -> Tree {
            let root = std::env::temp_dir().join(format!("ringgear-memory-{}-{name}", std::process::id()));
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Tree(root)
        }

        fn allowed(&self) -> u64 {
            allowed_by(&self.0, PHYSICAL)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1: &str = "\
29 23 0:24 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n\
33 29 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
34 29 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";

    #[test]
    fn without_groups_it_is_the_machines() {
        assert_eq!(Tree::new("none", &[("proc/self/other", "")]).allowed(), PHYSICAL);
        let files = [("proc/self/cgroup", "0::/\n"), ("proc/self/mountinfo", V2)];
        assert_eq!(Tree::new("no-limit", &files).allowed(), PHYSICAL);
        assert!(allowed() > 0);
    }

    #[test]
    fn the_least_limit_of_all_groups_above_counts() {
        let unit = "sys/fs/cgroup/system.slice/ringgear.service/memory.max";
        let slice = "sys/fs/cgroup/system.slice/memory.max";
        let of = |name, in_unit, in_slice| {
            let files = [
                ("proc/self/cgroup", "0::/system.slice/ringgear.service\n"),
                ("proc/self/mountinfo", V2),
                (unit, in_unit),
                (slice, in_slice),
            ];
            Tree::new(name, &files).allowed()
        };
        assert_eq!(of("unit", "67108864\n", "max\n"), 64 << 20);
        assert_eq!(of("slice", "max\n", "1000000\n"), 1_000_000);
        assert_eq!(of("both", "2000000\n", "1000000\n"), 1_000_000);
        assert_eq!(of("neither", "max\n", "max\n"), PHYSICAL);
    }

    #[test]
    fn a_container_sees_its_own_group_at_the_top() {
        let top = ("sys/fs/cgroup/memory.max", "5000000\n");
        for (name, group) in [("own", "0::/\n"), ("outside", "0::/../../other\n")] {
            let files = [("proc/self/cgroup", group), ("proc/self/mountinfo", V2), top];
            assert_eq!(Tree::new(name, &files).allowed(), 5_000_000, "{group}");
        }
    }

    #[test]
    fn the_first_version_has_other_names() {
        let groups = "12:cpu:/elsewhere\n4:memory:/user/job\n0::/\n";
        let files = [
            ("proc/self/cgroup", groups),
            ("proc/self/mountinfo", V1),
            ("sys/fs/cgroup/memory/user/memory.limit_in_bytes", "3000000\n"),
            ("sys/fs/cgroup/memory/user/job/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/cpu/elsewhere/memory.limit_in_bytes", "1\n"),
        ];
        assert_eq!(Tree::new("v1", &files).allowed(), 3_000_000);
    }

    #[test]
    fn what_is_mounted_may_be_the_group_itself() {
        let mounts = "34 29 0:29 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let files = [
            ("proc/self/cgroup", "4:memory:/docker/abc\n"),
            ("proc/self/mountinfo", mounts),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "4000000\n"),
        ];
        assert_eq!(Tree::new("bind", &files).allowed(), 4_000_000);
    }

    #[test]
    fn mount_points_may_have_blanks() {
        let mounts = "30 23 0:26 / /my\\040groups rw - cgroup2 cgroup2 rw\n";
        let files = [
            ("proc/self/cgroup", "0::/a\n"),
            ("proc/self/mountinfo", mounts),
            ("my groups/a/memory.max", "6000000\n"),
        ];
        assert_eq!(Tree::new("blank", &files).allowed(), 6_000_000);
    }
}
