//! What cannot be written, and a full disk.
use super::*;

#[test]
fn a_refused_put_leaves_the_ends_of_jobs() {
    let folder = Folder::new();
    let mut store = folder.store();
    let jobs = [Job::new(1, "f", b"a"), Job::new(2, "f", b"b")];
    commit(&mut store, &puts(&jobs));
    store.close().unwrap();
    folder.sql(
        "CREATE TRIGGER no_entry BEFORE INSERT ON gearman_queue WHEN NEW.function_name = 'refused'
         BEGIN SELECT RAISE(ABORT, 'no entry'); END",
    );
    let mut store = folder.store();
    assert_eq!(replayed(&mut store).len(), 2);
    let (good, bad) = (Job::new(3, "f", b"c"), Job::new(4, "refused", b"d"));
    let committed = store.commit(&[&puts(&[good.clone(), bad]), &dones(&jobs[..1])]);
    let said = committed.puts.unwrap_err().to_string();
    assert!(said.contains("no entry") && said.contains("queue.db"), "{said}");
    committed.dones.unwrap();
    // Nothing is broken for those who come later.
    commit(&mut store, &puts(std::slice::from_ref(&good)));
    store.close().unwrap();
    assert_eq!(replayed(&mut folder.store()), [jobs[1].clone(), good]);
}

#[test]
fn ends_that_could_not_be_written_are_told_and_may_be_tried_again() {
    let folder = Folder::new();
    let mut store = folder.store();
    let job = Job::new(1, "f", b"a");
    commit(&mut store, &puts(std::slice::from_ref(&job)));
    store.close().unwrap();
    folder.sql(
        "CREATE TRIGGER no_exit BEFORE DELETE ON gearman_queue BEGIN SELECT RAISE(ABORT, 'no exit'); END",
    );
    let mut store = folder.store();
    replayed(&mut store);
    let committed = store.commit(&[&dones(std::slice::from_ref(&job))]);
    committed.puts.unwrap();
    let said = committed.dones.unwrap_err().to_string();
    assert!(said.contains("no exit"), "{said}");
    store.table.as_ref().unwrap().run("DROP TRIGGER no_exit");
    let next = Job::new(2, "f", b"b");
    let all = [dones(std::slice::from_ref(&job)), puts(std::slice::from_ref(&next))].concat();
    commit(&mut store, &all);
    store.close().unwrap();
    assert_eq!(replayed(&mut folder.store()), [next]);
}

#[test]
fn a_full_database_refuses_puts_until_jobs_end() {
    let folder = Folder::new();
    let mut store = folder.store();
    let big = |sequence| Job { workload: vec![7; 20_000], ..Job::new(sequence, "f", b"") };
    commit(&mut store, &puts(&[big(1)]));
    store.table.as_ref().unwrap().run("PRAGMA max_page_count = 32");
    let mut kept = vec![big(1)];
    let refusal = loop {
        let next = big(kept.len() as u64 + 1);
        match store.commit(&[&puts(std::slice::from_ref(&next))]) {
            Committed { puts: Ok(()), dones: Ok(()), .. } => kept.push(next),
            Committed { puts: Err(refusal), dones, .. } => {
                dones.unwrap();
                break refusal;
            }
            other => panic!("{other:?}"),
        }
        assert!(kept.len() < 100, "the database is never full");
    };
    assert!(matches!(refusal, StoreError::Full { .. }), "{refusal:?}");
    let committed = store.commit(&[&puts(&[big(50)]), &dones(&kept[..2])]);
    committed.dones.unwrap();
    // Their room is free now, whether or not that put was refused.
    commit(&mut store, &dones(&[big(50)]));
    commit(&mut store, &puts(&[big(60)]));
    store.close().unwrap();
    kept.drain(..2);
    kept.push(big(60));
    assert_eq!(replayed(&mut folder.store()), kept);
}

#[test]
fn the_reserve_has_room_while_it_is_held() {
    use std::os::unix::fs::MetadataExt;
    let folder = Folder::new();
    let mut reserve = Reserve::of(&folder.file());
    let path = folder.0.file("queue.db.ringgear-reserve");
    assert!(!path.exists() && reserve.bytes() == 0);
    assert!(reserve.hold());
    let held = reserve.bytes();
    assert!(held > reserve.log_bytes() && reserve.allows(held));
    assert!(fs::metadata(&path).unwrap().blocks() * 512 >= held);
    // One that a crash has left is given up at the next start, and one that is held at an orderly end.
    reserve = Reserve::of(&folder.file());
    assert!(!path.exists() && reserve.bytes() == 0);
    folder.store().close().unwrap();
    assert!(!path.exists());
}
