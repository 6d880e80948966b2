//! What checks need: packages, compiled programs, and the command that starts a check.
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// What a library, and so its check, is written in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Language {
    C,
    Node,
    Perl,
    Php,
    Python,
    Rust,
}

/// Where the checks are.
fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// Where everything that no Debian package puts somewhere else is put.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients")
}

/// Installs what is missing, once for all tests.
fn install() -> Result<(), String> {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| {
        fs::create_dir_all(folder()).map_err(|error| error.to_string())?;
        let script = sources().join("install.sh");
        succeed(Command::new(&script).arg(folder())).map(|_| ())
    });
    installed.clone()
}

/// The command that starts a library's check, without its arguments.
pub(crate) fn command(name: &str, language: Language) -> Result<Command, String> {
    install()?;
    let mut command = match language {
        Language::C => Command::new(compile(name)?),
        Language::Node => {
            let mut node = interpreter("node", &sources().join("node").join(format!("{name}.js")));
            node.env("NODE_PATH", folder().join("node/node_modules"));
            node
        }
        Language::Perl => interpreter("perl", &sources().join("perl").join(format!("{name}.pl"))),
        Language::Php => interpreter("php8.2", &sources().join("php").join(format!("{name}.php"))),
        Language::Python => {
            let source = sources().join("python").join(format!("{name}.py"));
            let mut python = interpreter(folder().join("venv/bin/python"), &source);
            // The checks import from each other, and nothing is to be written between them.
            python.env("PYTHONDONTWRITEBYTECODE", "1");
            python
        }
        Language::Rust => Command::new(build(name)?),
    };
    command.env("CLIENTS_DIR", folder());
    Ok(command)
}

fn interpreter(program: impl AsRef<OsStr>, source: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg(source);
    command
}

/// Builds a Rust check: a program of a crate that is not in our workspace, since its dependencies are none of ours.
fn build(name: &str) -> Result<PathBuf, String> {
    let folder = folder().join("rust");
    succeed(
        Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "--bin", name, "--manifest-path"])
            .arg(sources().join("rust/Cargo.toml"))
            .arg("--target-dir")
            .arg(&folder),
    )?;
    Ok(folder.join("debug").join(name))
}

fn compile(name: &str) -> Result<PathBuf, String> {
    let source = sources().join("c").join(name).with_extension("c");
    let program = folder().join(name);
    succeed(
        Command::new("cc")
            .args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&program)
            .arg(source)
            .arg("-lgearman"),
    )?;
    Ok(program)
}

/// Runs a program to its end, which must be a good one.
fn succeed(command: &mut Command) -> Result<Output, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    Err(format!("{command:?}: {}\n{said}", output.status))
}
