//! A real Prometheus that scrapes a server, and the alerts that come with Ringgear.
use crate::client::{Answered, Looked, answered};
use crate::submit;
use crate::support::packets::*;
use crate::support::scratch::Scratch;
use crate::support::server::*;
use crate::worker::Worker;
use serde_json::Value;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const MISSING: &str = "Prometheus is there: apt-get install prometheus";

fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/packaging/prometheus/ringgear.rules.yml")
}

/// A Prometheus that looks at a server every second; ended with its handle.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    _folder: Scratch,
}

impl Prometheus {
    #[track_caller]
    fn start(target: SocketAddr) -> Prometheus {
        let folder = Scratch::new();
        let rules = rules();
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{rules:?}]\nscrape_configs:\n  \
             - job_name: ringgear\n    static_configs: [{{targets: [\"{target}\"]}}]\n"
        );
        std::fs::write(folder.file("prometheus.yml"), config).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", folder.path("prometheus.yml")))
            .arg(format!("--storage.tsdb.path={}", folder.path("data")))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.file("log")).unwrap())
            .spawn()
            .expect(MISSING);
        let mut this = Prometheus { child, address, _folder: folder };
        wait_until("Prometheus answers", || {
            assert_eq!(this.child.try_wait().unwrap(), None, "{}", this.log());
            TcpStream::connect(address).is_ok() && this.answer("/-/ready").status == 200
        });
        this
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self._folder.file("log")).unwrap()
    }

    /// The answer of its own interface. In HTTP/1.0 nothing comes in chunks.
    #[track_caller]
    fn answer(&self, path: &str) -> Answered {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
        answered(&mut stream)
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        let answered = self.answer(path);
        serde_json::from_str(&answered.body).unwrap_or_else(|error| panic!("{path}: {error}: {answered:?}"))
    }

    /// The values of an expression, with one label of each.
    #[track_caller]
    fn values(&self, expression: &str, label: &str) -> Vec<(String, String)> {
        let letter = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        };
        let encoded: String = expression.bytes().map(letter).collect();
        let answer = self.get(&format!("/api/v1/query?query={encoded}"));
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        let results = answer["data"]["result"].as_array().unwrap();
        let words = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        results.iter().map(|one| (words(&one["metric"][label]), words(&one["value"][1]))).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_real_prometheus_scrapes_it_and_raises_the_alert_of_a_forgotten_queue() {
    let looked = Looked::start(&["-t", "2"]);
    let mut client = looked.server.connect();
    let functions = [&b"mail"[..], b"with \"quotes\" \\ and \xff"];
    for function in functions {
        submit(&mut client, function, "one");
    }
    submit(&mut client, b"mail", "another");
    let prometheus = Prometheus::start(looked.http);
    let mail = "gearman_jobs_waiting{function=\"mail\"}";
    wait_until("it has scraped", || prometheus.values(mail, "function") == [("mail".into(), "2".into())]);
    assert_eq!(prometheus.values("up", "job"), [("ringgear".into(), "1".into())]);
    let odd = prometheus.values("gearman_jobs_waiting{function!=\"mail\"}", "function");
    assert_eq!(odd, [("with \"quotes\" \\ and \\xff".into(), "1".into())]);
    // Every rule is read, and none has failed on what this server tells.
    wait_until("the alert waits for its five minutes", || {
        !prometheus.values("ALERTS{alertname=\"RinggearFunctionUnattended\"}", "function").is_empty()
    });
    let groups = prometheus.get("/api/v1/rules");
    let rules = groups["data"]["groups"][0]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 8);
    for rule in rules {
        assert_eq!((&rule["health"], &rule["lastError"]), (&"ok".into(), &Value::Null), "{rule}");
    }
    let alerts = prometheus.values("ALERTS", "alertname");
    assert!(alerts.iter().all(|(name, _)| name == "RinggearFunctionUnattended"), "{alerts:?}");
    // With a worker there is no reason for it any more.
    for function in functions {
        client.write_all(&request(CAN_DO, function)).unwrap();
    }
    wait_until("it is over", || prometheus.values("ALERTS", "alertname").is_empty());
}

/// Each panel of the board that comes along shows something of a server that has jobs and a store.
#[test]
fn every_query_of_the_board_is_answered() {
    let folder = Scratch::new();
    let looked = Looked::start(&["-t", "2", "--data-dir", &folder.path("data")]);
    let path = rules().with_file_name("ringgear.board.json");
    let board: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    // As Grafana asks where all servers and functions are chosen; here is scraped once a second.
    let asked = |text: &Value| {
        let text = text.as_str().unwrap();
        let text =
            text.replace("$instance", ".*").replace("$function", ".*").replace("$__rate_interval", "5s");
        assert!(!text.contains('$'), "{text}");
        text
    };
    let panels = board["panels"].as_array().unwrap();
    let targets = panels.iter().filter(|panel| panel["type"] != "row").flat_map(|panel| {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty() && !panel["title"].as_str().unwrap().is_empty(), "{panel}");
        targets.iter().map(|target| asked(&target["expr"]))
    });
    let mut left: Vec<String> = targets.collect();
    assert!(left.len() >= 30, "{}", left.len());
    let prometheus = Prometheus::start(looked.http);
    let (mut client, mut worker) = (looked.server.connect(), Worker::of(&looked.server, "mail"));
    let mut jobs = 0;
    wait_until("every query has an answer", || {
        jobs += 1;
        submit(&mut client, b"mail", &format!("u{jobs}"));
        let held = worker.grab();
        worker.say(WORK_COMPLETE, &held, b"");
        left.retain(|query| prometheus.values(query, "instance").is_empty());
        if jobs % 20 == 0 {
            eprintln!("without an answer so far: {left:?}");
        }
        left.is_empty()
    });
    // Nothing is wrong here, so that there is nothing to mark; but it can be asked.
    for annotation in board["annotations"]["list"].as_array().unwrap() {
        prometheus.values(&asked(&annotation["expr"]), "alertname");
    }
}

/// What the alerts ask for is told by this server, also where nothing was ever counted.
#[test]
fn alerts_ask_for_what_there_is() {
    let looked = Looked::start(&[]);
    submit(&mut looked.server.connect(), b"f", "u");
    let metrics = looked.metrics();
    let text = std::fs::read_to_string(rules()).unwrap();
    let expressions: String = text.lines().filter(|line| line.trim_start().starts_with("expr:")).collect();
    let words = expressions.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let series: Vec<&str> =
        words.filter(|word| word.starts_with("ringgear_") || word.starts_with("gearman_")).collect();
    assert!(series.len() > 8, "{series:?}");
    for series in series {
        let there = metrics.lines().any(|line| {
            line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{'))
        });
        assert!(there, "{series}");
    }
}

/// Each alert is raised by what it is for, and not by a server in order.
#[test]
fn alerts_are_raised_by_their_reasons() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http/alerts.test.yml");
    for words in [vec!["check", "rules"], vec!["test", "rules"]] {
        let file = if words[0] == "check" { rules() } else { tests.clone() };
        let said = Command::new("promtool").args(words).arg(file).output().expect(MISSING);
        assert!(said.status.success(), "{said:?}");
    }
}
