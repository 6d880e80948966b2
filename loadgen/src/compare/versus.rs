//! `versus`: the whole comparison of Ringgear with another job server from one word. It only fills in what the command line leaves
//! out; the run itself is the one of `rounds.rs`.
use std::path::PathBuf;

use crate::args::{AGAINST, Rounds, Run};
use crate::compare::files;
use crate::job::names::slug;
use crate::machine::{cores, server};
use crate::plan::terms::Plan;

/// Seconds of each measured phase of a round, if nobody says how many.
const SECONDS: f64 = 5.0;

/// The plan, if nobody names one.
const PLAN: &str = "steady";

/// Where servers are installed that are not on everybody's path.
const PLACES: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin"];

/// Fills in what is not said: both commands, their names, cores, rounds, seconds and the folder.
///
/// # Errors
/// A sentence, where one of both cannot be found.
pub(crate) fn fill_in(
    other: &str,
    mut run: Run,
    plan: impl Fn(&Run) -> Result<Plan, String>,
) -> Result<Run, String> {
    run.plan.plan.get_or_insert_with(|| PLAN.to_owned());
    if run.plan.replay.is_none() {
        run.plan.seconds.get_or_insert(SECONDS);
    }
    let kills = plan(&run)?.kills();
    let theirs = find(other)?;
    let name =
        theirs.file_name().map_or_else(|| other.to_owned(), |name| name.to_string_lossy().into_owned());
    if run.server.is_none() && run.server_command.is_none() {
        let ours = server::ringgear().ok_or_else(|| {
            "there is no `ringgear` beside this program or on the path: name one with --server-command"
                .to_owned()
        })?;
        run.server_command = Some(server::usual(&ours, kills));
    }
    if run.against.is_none() && run.against_command.is_none() {
        run.against_command = Some(server::usual(&theirs, kills));
    }
    run.label.get_or_insert_with(|| "ringgear".to_owned());
    // Ringgear beside another build of itself.
    let same = run.label.as_deref().map(slug) == Some(slug(&name));
    if run.against_label == AGAINST {
        run.against_label = if same { format!("{name}-other") } else { name };
    }
    run.rounds.get_or_insert(Rounds::Auto);
    pin(&mut run);
    if run.out.is_none() {
        run.out =
            Some(files::dated(&format!("{}-vs-{}", run.label.as_deref().unwrap_or(""), run.against_label)));
    }
    Ok(run)
}

/// The half of the cores for each, or neither is pinned where there is one only.
fn pin(run: &mut Run) {
    let cores = cores::allowed();
    if cores.len() < 2 || !run.server_core.is_empty() || !run.load_core.is_empty() {
        return;
    }
    let (server, load) = cores.split_at(cores.len() / 2);
    (run.server_core, run.load_core) = (server.to_vec(), load.to_vec());
}

/// A program by its path or name.
fn find(program: &str) -> Result<PathBuf, String> {
    if program.contains('/') {
        let path = PathBuf::from(program);
        return if path.is_file() { Ok(path) } else { Err(format!("{program}: there is no such file")) };
    }
    server::on_path(program, &PLACES).ok_or_else(|| {
        format!(
            "{program} is not on the path, nor in {}: install it (Debian: apt install gearman-job-server), name its path, or \
             give --against-command",
            PLACES.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Arguments, Verb};
    use clap::Parser;
    use std::path::Path;

    fn filled(words: &str) -> Result<Run, String> {
        let words = format!("ringgear-load versus {words}");
        let arguments = Arguments::try_parse_from(words.split(' ')).map_err(|error| error.to_string())?;
        let Some(Verb::Versus { other, run }) = arguments.command else { panic!("another verb") };
        fill_in(&other, *run, |run| crate::plan::overrides::plan(&run.plan))
    }

    /// A program that surely is there, and our own by name.
    const OURS: &str = "--server-command ours";

    #[test]
    fn one_word_is_enough() {
        let run = filled(&format!("/bin/sh {OURS}")).unwrap();
        assert_eq!(run.against_command.as_deref(), Some("'/bin/sh' --port {port} --listen 127.0.0.1"));
        assert_eq!((run.label.as_deref(), run.against_label.as_str()), (Some("ringgear"), "sh"));
        assert_eq!((run.rounds, run.plan.seconds), (Some(Rounds::Auto), Some(SECONDS)));
        let out = run.out.unwrap().to_string_lossy().into_owned();
        assert!(out.contains("ringgear-vs-sh-20"), "{out}");
        assert_eq!(run.plan.plan.as_deref(), Some(PLAN));
        assert_eq!(run.server_core.is_empty(), run.load_core.is_empty());
    }

    #[test]
    fn what_is_said_stays() {
        let run =
            filled(&format!("/bin/sh drain --seconds 9 --rounds 3 --label a --out b --load-core 0 {OURS}"))
                .unwrap();
        assert_eq!((run.plan.plan.as_deref(), run.plan.seconds), (Some("drain"), Some(9.0)));
        assert_eq!((run.rounds, run.label.as_deref()), (Some(Rounds::Number(3)), Some("a")));
        assert_eq!((run.out, run.server_core), (Some(PathBuf::from("b")), vec![]));
    }

    #[test]
    fn what_is_killed_gets_a_store() {
        assert!(server::usual(Path::new("/x/gearmand"), true).contains("--libsqlite3-db {dir}/queue.db"));
        let run = filled(&format!("/bin/sh crash {OURS}")).unwrap();
        assert!(run.against_command.unwrap().ends_with("--data-dir {dir}"));
    }

    #[test]
    fn what_is_not_there_is_told_with_what_to_do() {
        let error = filled(&format!("no-such-server {OURS}")).unwrap_err();
        assert!(error.contains("no-such-server") && error.contains("--against-command"), "{error}");
        assert!(filled("/no/such/server --server-command x").unwrap_err().contains("/no/such/server"));
    }
}
