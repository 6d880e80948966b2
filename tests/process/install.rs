//! `src/packaging/`: what is put where, and that the unit starts what this program is.
use super::*;

fn install(folder: &Scratch, options: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/packaging/install.sh");
    let mut command = Command::new(script);
    command.args(options).env("DESTDIR", folder.path("").trim_end_matches('/')).env("PROGRAM", PROGRAM);
    run(&mut command)
}

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.symlink_metadata().unwrap().is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path.to_str().unwrap().to_owned()),
        }
    }
    found.sort();
    found
}

#[test]
fn the_link_is_there_only_when_it_is_asked_for() {
    let folder = Scratch::new();
    let output = install(&folder, &["/usr"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let expected = [
        "lib/systemd/system/ringgear.service",
        "sbin/ringgear",
        "share/bash-completion/completions/ringgear",
        "share/fish/vendor_completions.d/ringgear.fish",
        "share/ringgear/logrotate",
        "share/ringgear/ringgear.board.json",
        "share/ringgear/ringgear.rules.yml",
        "share/zsh/site-functions/_ringgear",
    ];
    let (pages, others): (Vec<String>, Vec<String>) =
        files(&folder.file("")).into_iter().partition(|file| file.contains("/share/man/"));
    assert_eq!(others, expected.map(|file| folder.path(&format!("usr/{file}"))));
    for page in ["man8/ringgear.8", "man8/ringgear-store.8", "man7/ringgear-limits.7"] {
        assert!(pages.contains(&folder.path(&format!("usr/share/man/{page}"))), "{page}: {pages:?}");
    }

    // Twice, for upgrades.
    for _ in 0..2 {
        let output = install(&folder, &["--as-gearmand", "/usr"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let output = run(Command::new(folder.path("usr/sbin/gearmand")).arg("--version"));
    assert!(text(&output.stdout).contains("ringgear"), "{}", text(&output.stdout));
}

#[test]
fn another_gearmand_is_left_alone() {
    let folder = Scratch::new();
    fs::create_dir_all(folder.file("usr/local/sbin")).unwrap();
    let link = folder.path("usr/local/sbin/gearmand");
    fs::write(&link, "the real one").unwrap();
    let output = install(&folder, &["--as-gearmand"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&format!("{link} is there already")), "{}", text(&output.stderr));
    assert_eq!(files(&folder.file("")), std::slice::from_ref(&link));
    assert_eq!(fs::read_to_string(&link).unwrap(), "the real one");
}

#[test]
fn the_unit_starts_this_program() {
    let folder = Scratch::new();
    assert!(install(&folder, &["/usr"]).status.success());
    let unit = fs::read_to_string(folder.file("usr/lib/systemd/system/ringgear.service")).unwrap();
    let value = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap();
    assert_eq!((value("Type"), value("ExecStart")), ("notify", "/usr/sbin/ringgear $RINGGEAR_OPTIONS"));
    let options = value("Environment").strip_prefix("RINGGEAR_OPTIONS=").unwrap().replace("%S", "/var/lib");
    let output = run(Command::new(PROGRAM).arg("--check-args").args(options.split(' ')));
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// By systemd's own reckoning, from 0, where a service may nothing, to 10: alone, and in gearmand's place.
#[test]
fn the_unit_may_little() {
    const MOST: &str = "2.0";
    let folder = Scratch::new();
    assert!(install(&folder, &["--as-gearmand", "/usr"]).status.success());
    let beside = folder.file("etc/systemd/system/ringgear.service.d");
    for in_gearmands_place in [false, true] {
        if in_gearmands_place {
            fs::create_dir_all(&beside).unwrap();
            let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/packaging");
            fs::copy(sources.join("gearmand.conf"), beside.join("gearmand.conf")).unwrap();
        }
        let root = format!("--root={}", folder.path("").trim_end_matches('/'));
        let threshold = format!("--threshold={}", MOST.replace('.', ""));
        let output = Command::new("systemd-analyze")
            .args(["security", "--offline=true", &root, &threshold, "ringgear.service"])
            .output()
            .expect("systemd-analyze of systemd 250 or newer is needed: apt-get install systemd");
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(said.contains("Overall exposure level for ringgear.service: "), "{said}");
        assert!(output.status.success(), "it may more than {MOST}: {said}");
    }
}

/// What `ringgear.service` becomes in gearmand's place.
#[test]
fn the_unit_in_gearmands_place_starts_this_program() {
    let unit = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/packaging/gearmand.conf"))
        .unwrap();
    let options =
        unit.lines().find_map(|line| line.strip_prefix("Environment=\"PARAMS=")?.strip_suffix('"')).unwrap();
    let output = run(Command::new(PROGRAM).arg("--check-args").args(options.split(' ')));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let start = unit.lines().rfind(|line| line.starts_with("ExecStart=")).unwrap();
    let pid_file = unit.lines().find_map(|line| line.strip_prefix("PIDFile=")).unwrap();
    assert_eq!(
        start,
        format!("ExecStart=/usr/sbin/gearmand --pid-file={pid_file} $PARAMS $RINGGEAR_OPTIONS")
    );
}
