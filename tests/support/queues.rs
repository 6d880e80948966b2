//! Debian's gearmand with its queue in a database, in turn with a store of ours: started, worked off, ended.
use super::gearmand::{Server, gearmand};
use super::packets::*;
use super::server::{PATIENCE, echo, read_packet, request};
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;

/// Starts it with these options, of which `option` is there only if it was built with that database.
pub(crate) fn start(database: &str, option: &str, options: &[&str]) -> Result<Server, String> {
    let program = gearmand()?;
    let help = Command::new(&program).arg("--help").output().unwrap();
    assert!(
        String::from_utf8_lossy(&help.stdout).contains(option),
        "{} was built without {database}; install Debian's with `apt-get install gearman-job-server`",
        program.display()
    );
    let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
    Server::start(&program, &options)
}

/// Ends it as its init script does.
#[track_caller]
pub(crate) fn stop(mut server: Server) {
    server.signal("SIGTERM").unwrap();
    let status = server.wait();
    assert!(status.is_some_and(|status| status.success()), "{status:?}\n{}", server.last_words());
}

pub(crate) fn connect(server: &mut Server) -> TcpStream {
    let stream = server.connect().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Works off what it has for a function, in its order: the uniques and workloads.
#[track_caller]
pub(crate) fn work_off(server: &mut Server, function: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut stream = connect(server);
    stream.write_all(&request(CAN_DO, function)).unwrap();
    let mut jobs = Vec::new();
    loop {
        stream.write_all(&request(GRAB_JOB_UNIQ, b"")).unwrap();
        let (number, data) = read_packet(&mut stream);
        if number == NO_JOB {
            break;
        }
        assert_eq!(number, JOB_ASSIGN_UNIQ);
        let parts: Vec<&[u8]> = data.splitn(4, |&byte| byte == 0).collect();
        assert_eq!(parts[1], function);
        jobs.push((parts[2].to_vec(), parts[3].to_vec()));
        stream.write_all(&request(WORK_COMPLETE, &[parts[0], b"\0"].concat())).unwrap();
    }
    echo(&mut stream, b"all done");
    jobs
}
