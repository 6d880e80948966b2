//! Whole runs whose load is made by agents. They live in this process, and talk over sockets as on other machines.
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use super::{BACKGROUND, FOREGROUND, OPEN, setting};
use crate::machine::standin::{Fault, StandIn};
use crate::plan::terms::Plan;
use crate::result::outcome::Outcome;
use crate::run::agent::serve_one;
use crate::run::conduct::{Setting, conduct};
use crate::run::progress::Progress;

/// An agent for one run; gives where it listens.
fn agent(threads: usize) -> (String, JoinHandle<std::io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = listener.local_addr().unwrap().to_string();
    (name, thread::spawn(move || serve_one(listener.accept().unwrap().0, threads, &[])))
}

fn run_with(fault: Fault, phases: &str, threads: &[usize]) -> std::io::Result<Outcome> {
    let stand_in = StandIn::start(fault).unwrap();
    let plan: Plan = toml::from_str(&format!("name = 'test'\nabout = 'A test.'\n{phases}")).unwrap();
    let (agents, ends): (Vec<_>, Vec<_>) = threads.iter().map(|&threads| agent(threads)).unzip();
    let setting = Setting { agents, ..setting(stand_in.address()) };
    let finding = conduct(&plan, &setting, None, &mut Progress::new("test", true))?;
    for end in ends {
        end.join().unwrap().unwrap();
    }
    assert_eq!(finding.outcome.agents.len(), threads.len());
    assert_eq!(finding.outcome.threads, threads.iter().sum::<usize>());
    Ok(finding.outcome)
}

#[test]
fn several_agents_are_one_load() {
    let outcome = run_with(Fault::None, FOREGROUND, &[1, 2]).unwrap();
    assert!(outcome.tally.is_clean() && outcome.finished(), "{:?}", outcome.tally);
    assert_eq!(outcome.phases[0].jobs, 2000);
    assert_eq!(outcome.phases[0].connections, 7);
    for span in &outcome.phases[0].groups[0].spans {
        assert_eq!(span.response.count, 2000, "{}", span.span);
    }

    let outcome = run_with(Fault::None, BACKGROUND, &[1, 1]).unwrap();
    assert!(outcome.tally.is_clean() && outcome.finished(), "{:?}", outcome.tally);
    assert_eq!((outcome.phases[0].jobs, outcome.phases[1].jobs, outcome.left), (2000, 2000, 0));

    let outcome = run_with(Fault::None, OPEN, &[1, 1]).unwrap();
    let fates = outcome.phases[0].fates.unwrap();
    assert!((499..=501).contains(&fates.due) && fates.unanswered() == 0, "{fates:?}");
    assert!(outcome.phases[0].generator.cpu_per_job > 0.0);
}

/// One job, given to workers of two machines: neither sees that.
#[test]
fn faults_are_seen_across_agents() {
    let doubled = run_with(Fault::Double, BACKGROUND, &[1, 1]).unwrap().tally;
    assert_eq!(doubled.doubled, 40, "{doubled:?}");
    let lost = run_with(Fault::Lose, BACKGROUND, &[1, 1]).unwrap().tally;
    assert_eq!(lost.lost, 40, "{lost:?}");
    assert_eq!(run_with(Fault::AlterWorkload, BACKGROUND, &[2, 1]).unwrap().tally.altered, 40);
}

#[test]
fn what_agents_cannot_do_is_said() {
    let error =
        run_with(Fault::None, &BACKGROUND.replace("drain = true", "drain = true\nreconnect = true"), &[1]);
    assert!(error.unwrap_err().to_string().contains("--agents: plans that reconnect"));
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let stand_in = StandIn::start(Fault::None).unwrap();
    let plan: Plan = toml::from_str(&format!("name = 'test'\nabout = 'A test.'\n{OPEN}")).unwrap();
    let refused = |name: &str| {
        let setting = Setting { agents: vec![name.to_owned()], ..setting(stand_in.address()) };
        conduct(&plan, &setting, None, &mut Progress::new("test", true)).unwrap_err().to_string()
    };
    let error = refused(&nobody);
    assert!(error.contains(&nobody) && error.contains("ringgear-load agent"), "{error}");
    // A job server is no agent.
    let other = StandIn::start(Fault::None).unwrap();
    assert!(refused(&other.address().to_string()).contains("the agent"));
}
