//! `ringgear man` and `ringgear completions`: manual pages and completions, made from the options and the pages of help. What
//! these say stands where they are defined; the words of all subcommands are handed in.
use super::{help, words};
use clap::{Arg, Command, ValueHint, value_parser};
use clap_complete::Shell;
use clap_mangen::Man;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the pages say they are about.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The words of `ringgear man`.
pub(super) fn man_command() -> Command {
    let dir =
        Arg::new("DIR").help("Where to write them; made if it is not there").value_hint(ValueHint::DirPath);
    Command::new("man")
        .about("Print the manual page ringgear(8), or write all manual pages to a directory")
        .arg(dir.value_parser(value_parser!(PathBuf)))
}

/// The words of `ringgear completions`.
pub(super) fn completions_command() -> Command {
    let shell = Arg::new("SHELL").required(true).value_parser(["bash", "zsh", "fish"]);
    Command::new("completions")
        .about("Print what a shell needs to complete words of `ringgear`")
        .arg(shell.help("The shell"))
}

/// `ringgear man [DIR]`: the status is 0 if they are printed or written, 1 if they cannot be, 2 for a wrong line.
pub(super) fn man(words: impl Iterator<Item = OsString>, everything: &mut Command) -> ExitCode {
    let given = match words::matches(man_command(), "ringgear man", words, words::USAGE) {
        Ok(given) => given,
        Err(status) => return status,
    };
    let written = match given.get_one::<PathBuf>("DIR") {
        Some(dir) => {
            write_all(everything, dir).map_err(|(path, error)| format!("{}: {error}", path.display()))
        }
        None => print_one(everything).map_err(|error| error.to_string()),
    };
    told("ringgear man", written)
}

/// `ringgear completions SHELL`, with the same statuses.
pub(super) fn completions(words: impl Iterator<Item = OsString>, everything: &mut Command) -> ExitCode {
    let given = match words::matches(completions_command(), "ringgear completions", words, words::USAGE) {
        Ok(given) => given,
        Err(status) => return status,
    };
    let shell = match given.get_one::<String>("SHELL").map(String::as_str) {
        Some("zsh") => Shell::Zsh,
        Some("fish") => Shell::Fish,
        _ => Shell::Bash,
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, everything, "ringgear", &mut text);
    told("ringgear completions", print(&text).map_err(|error| error.to_string()))
}

fn told(name: &str, done: Result<(), String>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(io::stderr(), "{name}: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Whoever closed the pipe does not want to read on.
fn print(text: &[u8]) -> io::Result<()> {
    match io::stdout().write_all(text).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

fn print_one(everything: &mut Command) -> io::Result<()> {
    everything.build();
    print(&of_command(everything)?)
}

/// Everything that is in section 8, a page for each command, and in section 7, a page for each topic. An error comes with the
/// file that could not be written.
fn write_all(everything: &mut Command, dir: &Path) -> Result<(), (PathBuf, io::Error)> {
    fs::create_dir_all(dir).map_err(|error| (dir.to_owned(), error))?;
    everything.build();
    let mut commands = vec![&*everything];
    while let Some(command) = commands.pop() {
        commands.extend(command.get_subcommands());
        let path = dir.join(format!("{}.8", name_of(command)));
        of_command(command).and_then(|page| fs::write(&path, page)).map_err(|error| (path, error))?;
    }
    for (topic, page) in help::manual_pages(VERSION) {
        let path = dir.join(format!("ringgear-{topic}.7"));
        fs::write(&path, page).map_err(|error| (path, error))?;
    }
    Ok(())
}

/// The name of a command's page. It has one when its tree was built.
fn name_of(command: &Command) -> String {
    command.get_display_name().unwrap_or(command.get_name()).to_owned()
}

fn of_command(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let name = name_of(command);
    let server = name == command.get_name();
    let man = Man::new(command.clone());
    let man = man
        .title(name.to_uppercase())
        .section("8")
        .date(" ")
        .source(format!("ringgear {VERSION}"))
        .manual("Ringgear");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    match server {
        // All of its options in one paragraph would tell nothing.
        true => page.extend_from_slice(SYNOPSIS.as_bytes()),
        false => man.render_synopsis_section(&mut page)?,
    }
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if server {
        page.extend_from_slice(FILES.as_bytes());
    }
    page.extend_from_slice(b".SH \"SEE ALSO\"\n");
    if !server {
        page.extend_from_slice(b".BR ringgear (8),\n");
    }
    let topics: Vec<&str> = help::manual_pages(VERSION).map(|(topic, _)| topic).collect();
    for topic in &topics {
        let comma = if Some(topic) == topics.last() { "" } else { "," };
        writeln!(page, ".BR ringgear\\-{topic} (7){comma}")?;
    }
    Ok(page)
}

/// How the program is called.
const SYNOPSIS: &str = "\
.SH SYNOPSIS
\\fBringgear\\fR [\\fIOPTIONS\\fR]
.br
\\fBringgear\\fR \\fISUBCOMMAND\\fR [\\fIWORDS\\fR]
";

/// What options do not tell.
const FILES: &str = "\
.SH ENVIRONMENT
.TP
\\fBGEARMAND_PORT\\fR
The port, where no option says another
.TP
\\fBGEARMAND_SERVER_PEM\\fR, \\fBGEARMAND_SERVER_KEY\\fR, \\fBGEARMAND_CA_CERTIFICATE\\fR
Files for TLS, whatever options say
.TP
\\fBRUNTIME_DIRECTORY\\fR
Where the unix socket for orders is, as systemd says it
.TP
\\fBRINGGEAR_CONTROL\\fR, \\fBRINGGEAR_TOKEN\\fR, \\fBRINGGEAR_TOKEN_FILE\\fR
For subcommands: where the HTTP side of the server is, and a token for it, or a file with one
.SH FILES
.TP
\\fI/etc/gearmand.conf\\fR
More options, in gearmand\\*(Aqs format
.TP
\\fI/etc/default/ringgear\\fR
Options for the unit of systemd: \\fBRINGGEAR_OPTIONS\\fR=\"...\"
.TP
\\fI/run/ringgear/control.sock\\fR
The unix socket for orders, where no option says another
.TP
\\fI/var/lib/ringgear\\fR
Background jobs, with that unit
.SH \"EXIT STATUS\"
0 at an end that was asked for, 1 for a mistake on the command line, and otherwise a number of sysexits.h, with a sentence on standard
error and in the log.
";
