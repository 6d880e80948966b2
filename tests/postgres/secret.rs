//! TLS between the store and the database: who is believed, who is not, and what is said then. Certificates are made with openssl.
use super::*;
use ringgear::store::StoreError;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use support::scratch::Scratch;

/// Runs openssl in a folder.
#[track_caller]
fn openssl(folder: &Path, words: &str) {
    let done = Command::new("openssl").args(words.split(' ')).current_dir(folder).output();
    let done = done.expect("openssl is there: apt-get install openssl");
    assert!(done.status.success(), "{words}: {}", String::from_utf8_lossy(&done.stderr));
}

/// An authority, and a certificate and key that it has signed: `NAME.crt`, `NAME.key`, `NAME-ca.crt`.
fn certify(folder: &Path, name: &str, subject: &str, extension: &str) {
    openssl(
        folder,
        &format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=authority \
             -addext basicConstraints=critical,CA:TRUE -keyout {name}-ca.key -out {name}-ca.crt"
        ),
    );
    openssl(
        folder,
        &format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={subject} -keyout {name}.key -out {name}.csr"
        ),
    );
    fs::write(folder.join("extension"), format!("basicConstraints=CA:FALSE\n{extension}\n")).unwrap();
    openssl(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA {name}-ca.crt -CAkey {name}-ca.key -CAcreateserial -days 2 -extfile extension -out {name}.crt"
        ),
    );
}

/// Opens the store, or says why not.
fn try_open(conninfo: &str) -> Result<PostgresStore, String> {
    let opened = PostgresStore::open(PostgresOptions::of(conninfo));
    opened.map_err(|error| {
        assert!(matches!(error, StoreError::Refused { .. } | StoreError::Database { .. }), "{error:?}");
        error.to_string()
    })
}

#[test]
fn who_is_asked_to_be_secret_is() {
    let folder = Scratch::new();
    let files = folder.file("");
    certify(&files, "server", "db", "subjectAltName=DNS:localhost");
    certify(&files, "stranger", "db", "subjectAltName=DNS:localhost");
    certify(&files, "client", "u", "extendedKeyUsage=clientAuth");
    let cluster = PostgresCluster::start();
    cluster.database("d");
    cluster.sql("d", "CREATE ROLE u LOGIN; GRANT ALL ON SCHEMA public TO u");
    for (name, to) in
        [("server.crt", "server.crt"), ("server.key", "server.key"), ("client-ca.crt", "root.crt")]
    {
        let to = cluster.data().join(to);
        fs::copy(files.join(name), &to).unwrap();
        // Read by who runs the server, who is not us if we are root.
        let owner = fs::metadata(cluster.data()).unwrap();
        use std::os::unix::fs::MetadataExt;
        if rustix::process::getuid().is_root() {
            std::os::unix::fs::chown(&to, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let place = |host: &str, more: &str| {
        format!("host={host} hostaddr=127.0.0.1 port={} dbname=d user=u {more}", cluster.port())
    };
    // It does not speak TLS yet.
    let refused = try_open(&place("localhost", "sslmode=require")).unwrap_err();
    assert!(refused.contains("server does not support TLS"), "{refused}");
    try_open(&place("localhost", "sslmode=prefer")).unwrap();

    let hba = "local all all trust\nhostssl d u 127.0.0.1/32 trust\n";
    fs::write(cluster.data().join("pg_hba.conf"), hba).unwrap();
    cluster.sql("d", "ALTER SYSTEM SET ssl_ca_file = 'root.crt'");
    cluster.sql("d", "ALTER SYSTEM SET ssl = on");
    cluster.sql("d", "SELECT pg_reload_conf()");
    support::server::wait_until("it speaks TLS", || cluster.sql("d", "SHOW ssl") == "on");
    let refused = try_open(&place("localhost", "sslmode=disable")).unwrap_err();
    assert!(refused.contains("no encryption"), "{refused}");
    let root = |name: &str| format!("sslrootcert={}", folder.path(name));
    let (ours, others) = (root("server-ca.crt"), root("stranger-ca.crt"));
    for (host, more) in [
        ("localhost", "sslmode=prefer".to_owned()),
        ("localhost", "sslmode=require".to_owned()),
        ("nowhere", format!("sslmode=require {ours}")),
        ("nowhere", format!("sslmode=verify-ca {ours}")),
        ("localhost", format!("sslmode=verify-full {ours}")),
    ] {
        let mut store = try_open(&place(host, &more)).unwrap_or_else(|error| panic!("{more}: {error}"));
        replayed(&mut store);
        let sql = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'ringgear'";
        assert_eq!(cluster.sql("d", sql), "t", "{more}");
        put(&mut store, &[job(1, b"u", b"w")]);
        store.close().unwrap();
    }
    let name = "does not let this server keep jobs there: ";
    for (host, more, said) in [
        ("nowhere", format!("sslmode=verify-full {ours}"), "not valid for name"),
        ("localhost", format!("sslmode=verify-full {others}"), "invalid peer certificate"),
        ("localhost", format!("sslmode=verify-ca {others}"), "invalid peer certificate"),
        ("localhost", format!("sslmode=require {others}"), "invalid peer certificate"),
        ("localhost", "sslmode=verify-full sslrootcert=system".to_owned(), "invalid peer certificate"),
    ] {
        let refused = try_open(&place(host, &more)).unwrap_err();
        assert!(refused.contains(name) && refused.contains(said), "{more}: {refused}");
    }
    let refused = try_open(&place("localhost", "sslmode=verify-full sslrootcert=/nowhere")).unwrap_err();
    assert!(
        refused.starts_with("--libpq-conninfo, sslrootcert: /nowhere is no file with certificates"),
        "{refused}"
    );

    // Who we are is shown by a certificate.
    fs::write(cluster.data().join("pg_hba.conf"), "local all all trust\nhostssl d u 127.0.0.1/32 cert\n")
        .unwrap();
    cluster.sql("d", "SELECT pg_reload_conf()");
    let own =
        format!("sslmode=require sslcert={} sslkey={}", folder.path("client.crt"), folder.path("client.key"));
    support::server::wait_until("it asks for a certificate", || {
        try_open(&place("localhost", "sslmode=require")).is_err()
    });
    let mut store = try_open(&place("localhost", &own)).unwrap();
    assert_eq!(replayed(&mut store).len(), 1);
}
