//! What the kernel knows about a process: CPU time, context switches, memory. Only /proc is read; the job
//! server need not cooperate.
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// One look at a process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    /// CPU time of each thread, in nanoseconds.
    pub(crate) threads: BTreeMap<u32, u64>,
    /// User and system time of the whole process, in clock ticks of 10 ms: coarse, but told apart.
    pub(crate) user_ticks: u64,
    /// See `user_ticks`.
    pub(crate) system_ticks: u64,
    /// Context switches because it waited.
    pub(crate) voluntary: u64,
    /// Context switches because others wanted the core.
    pub(crate) involuntary: u64,
    /// Resident memory in bytes.
    pub(crate) rss: u64,
    /// The most that it ever was.
    pub(crate) peak: u64,
}

impl Look {
    /// Looks at a process; `None` if it is gone or may not be seen.
    pub(crate) fn at(pid: u32) -> Option<Look> {
        let mut look = Look::default();
        for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
            let Some(tid) = task.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            look.threads.insert(tid, thread_time(&task.path()));
            if let Ok(status) = fs::read_to_string(task.path().join("status")) {
                look.voluntary += field(&status, "voluntary_ctxt_switches:");
                look.involuntary += field(&status, "nonvoluntary_ctxt_switches:");
            }
        }
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        (look.user_ticks, look.system_ticks) = times(&stat)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        look.rss = field(&status, "VmRSS:") * 1024;
        look.peak = field(&status, "VmHWM:") * 1024;
        Some(look)
    }

    /// CPU time of all threads since an earlier look, in nanoseconds.
    pub(crate) fn cpu_since(&self, earlier: &Look) -> u64 {
        self.since(earlier).sum()
    }

    /// CPU time of the thread that used most since an earlier look, in nanoseconds.
    pub(crate) fn busiest_since(&self, earlier: &Look) -> u64 {
        self.since(earlier).max().unwrap_or(0)
    }

    fn since<'a>(&'a self, earlier: &'a Look) -> impl Iterator<Item = u64> + 'a {
        let before = |tid| earlier.threads.get(tid).copied().unwrap_or(0);
        self.threads.iter().map(move |(tid, time)| time.saturating_sub(before(tid)))
    }
}

/// Resident memory of a process in bytes.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    // The unit is pages; of 4 KiB wherever this runs.
    Some(statm.split(' ').nth(1)?.parse::<u64>().ok()? * 4096)
}

/// The most threads of a process that are asked for their times one by one.
const THREADS_MAX: usize = 256;

/// CPU time of all threads of a process so far, in nanoseconds; of one with very many threads in steps of 10 ms.
pub(crate) fn cpu(pid: u32) -> Option<u64> {
    let tasks: Vec<_> =
        fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten().take(THREADS_MAX + 1).collect();
    if tasks.len() <= THREADS_MAX {
        return Some(tasks.iter().map(|task| thread_time(&task.path())).sum());
    }
    let (user, system) = times(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    Some((user + system) * (1e9 / TICKS) as u64)
}

/// CPU time of one thread of this process, in nanoseconds.
pub(crate) fn own_thread(tid: u32) -> u64 {
    thread_time(Path::new(&format!("/proc/self/task/{tid}")))
}

/// Time that all cores together were busy, and that the hypervisor gave to others, in clock ticks.
pub(crate) fn machine_ticks() -> Option<(u64, u64)> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().next()?;
    let numbers: Vec<u64> = line.split_whitespace().skip(1).filter_map(|text| text.parse().ok()).collect();
    let [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = numbers[..] else { return None };
    Some((user + nice + system + irq + softirq, steal))
}

/// Clock ticks a second, as every Linux on our machines has it.
pub(crate) const TICKS: f64 = 100.0;

/// The process that listens on a port of this machine, if it may be seen.
pub(crate) fn listener(port: u16) -> Option<u32> {
    let mut inodes = vec![];
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = fs::read_to_string(table).unwrap_or_default();
        inodes.extend(text.lines().skip(1).filter_map(|line| listening(line, port)));
    }
    let sockets: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut links = open.filter_map(|entry| fs::read_link(entry.path()).ok());
        links.any(|link| link.to_str().is_some_and(|link| sockets.iter().any(|socket| socket == link)))
    })
}

/// A process's command line.
pub(crate) fn command_line(pid: u32) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = bytes.split(|&byte| byte == 0).map(String::from_utf8_lossy).collect::<Vec<_>>();
    Some(words.join(" ").trim_end().to_owned())
}

/// The inode of a listening socket in a line of /proc/net/tcp.
fn listening(line: &str, port: u16) -> Option<u64> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let local = columns.get(1)?.rsplit_once(':')?.1;
    let listens = columns.get(3) == Some(&"0A");
    (listens && u16::from_str_radix(local, 16) == Ok(port)).then(|| columns.get(9)?.parse().ok())?
}

fn thread_time(task: &Path) -> u64 {
    let text = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    if let Some(time) = text.split(' ').next().and_then(|text| text.parse().ok()) {
        return time;
    }
    // Kernels without schedstat still count ticks.
    let stat = fs::read_to_string(task.join("stat")).unwrap_or_default();
    times(&stat).map_or(0, |(user, system)| (user + system) * (1e9 / TICKS) as u64)
}

/// User and system time in the text of a `stat` file. The name in it may hold spaces and parentheses.
fn times(stat: &str) -> Option<(u64, u64)> {
    let mut columns = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some((columns.next()?.parse().ok()?, columns.next()?.parse().ok()?))
}

/// The number after a name at the beginning of a line.
fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn the_process_itself_can_be_seen() {
        let look = Look::at(std::process::id()).unwrap();
        assert!(look.rss > 0 && look.peak >= look.rss);
        assert!(!look.threads.is_empty());
        assert!(resident(std::process::id()).unwrap() > 0 && cpu(std::process::id()).unwrap() > 0);
        assert!(machine_ticks().unwrap().0 > 0);
    }

    #[test]
    fn a_listener_is_found_by_its_port() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(listener(port), Some(std::process::id()));
    }

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let stat = "1 (a) b) S 0 1 1 0 -1 4194560 1 2 3 4 55 66 7 8 20 0 1 0";
        assert_eq!(times(stat), Some((55, 66)));
    }
}
