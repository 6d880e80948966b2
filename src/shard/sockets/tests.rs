//! Each way of serving sockets, on real ones.
use super::portions::{DIRECT_PIECE, SHARED_PIECE};
use super::*;
use rustix::io::Errno;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;

/// Every way, with so many receive buffers.
fn each(buffers: u16) -> [Sockets; 3] {
    [SocketsKind::Uring(RingSize::FULL), SocketsKind::Uring(RingSize::SMALL), SocketsKind::Epoll]
        .map(|kind| Sockets::new(kind, buffers).unwrap())
}

const TOKEN: Token = Token { index: 5, generation: u32::MAX };

fn portion(sockets: &Sockets) -> u16 {
    match sockets {
        Sockets::Uring(uring) => uring.portion(),
        Sockets::Epoll(epoll) => epoll.portion(),
    }
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

/// The next completion, which is to come.
fn wait(sockets: &mut Sockets) -> Completion {
    loop {
        sockets.enter().unwrap();
        if let Some(completion) = sockets.next() {
            return completion;
        }
        std::thread::yield_now();
    }
}

#[test]
fn what_is_sent_arrives_and_the_buffer_comes_back() {
    for mut sockets in each(16) {
        let (near, far) = pair();
        sockets.receive(TOKEN, far.as_fd());
        let other = Token { index: 0, generation: 1 };
        sockets.send(other, near.as_fd(), b"hello".to_vec().into());
        let (mut came, mut sent) = (Vec::new(), None);
        while came.len() < 5 || sent.is_none() {
            match wait(&mut sockets) {
                Completion::Received { token: TOKEN, what: Received::Bytes(buffer), more: true } => {
                    came.extend_from_slice(sockets.bytes(&buffer));
                    sockets.recycle(buffer);
                }
                Completion::Sent { token, bytes: Ok(5), buffer } if token == other => sent = buffer,
                completion => panic!("{completion:?}"),
            }
        }
        assert_eq!((&came[..], sent.as_deref()), (&b"hello"[..], Some(&b"hello"[..])));
        drop(near);
        let end = wait(&mut sockets);
        assert!(
            matches!(end, Completion::Received { token: TOKEN, what: Received::End, more: false }),
            "{end:?}"
        );
    }
}

#[test]
fn buffers_that_are_kept_hold_the_peer_back() {
    for mut sockets in each(16) {
        let (near, far) = pair();
        sockets.receive(TOKEN, far.as_fd());
        let all: Vec<u8> = (0..16 * 4096 + 100_000_u32).map(|at| (at % 251) as u8).collect();
        let sender = {
            let all = all.clone();
            std::thread::spawn(move || std::io::Write::write_all(&mut &near, &all).map(|()| near))
        };
        let (mut kept, mut came, mut arrived) = (Vec::new(), Vec::new(), 0);
        let mut held_back = false;
        while arrived < all.len() {
            match wait(&mut sockets) {
                Completion::Received { what: Received::Bytes(buffer), .. } => {
                    arrived += sockets.bytes(&buffer).len();
                    kept.push(buffer);
                }
                Completion::Received { what: Received::Failed(Errno::NOBUFS), more: false, .. } => {
                    assert_eq!(kept.len(), 16);
                    held_back = true;
                    read_and_recycle(&mut sockets, &mut kept, &mut came);
                    sockets.receive(TOKEN, far.as_fd());
                }
                completion => panic!("{completion:?}"),
            }
        }
        read_and_recycle(&mut sockets, &mut kept, &mut came);
        assert!(held_back && came == all);
        drop(sender.join());
    }
}

fn read_and_recycle(sockets: &mut Sockets, kept: &mut Vec<Buffer>, came: &mut Vec<u8>) {
    for buffer in kept.drain(..) {
        came.extend_from_slice(sockets.bytes(&buffer));
        sockets.recycle(buffer);
    }
}

#[test]
fn what_is_stopped_says_so() {
    for mut sockets in each(16) {
        let (near, _far) = pair();
        sockets.receive(TOKEN, near.as_fd());
        sockets.enter().unwrap();
        sockets.stop_receiving(TOKEN);
        let stopped = wait(&mut sockets);
        assert!(
            matches!(
                stopped,
                Completion::Received { what: Received::Failed(Errno::CANCELED), more: false, .. }
            ),
            "{stopped:?}"
        );
        // More than the kernel takes without a reader.
        sockets.send(TOKEN, near.as_fd(), vec![7; 64 << 20].into());
        sockets.enter().unwrap();
        sockets.stop_sending(TOKEN);
        loop {
            if let Completion::Sent { buffer: Some(buffer), bytes, .. } = wait(&mut sockets) {
                assert!(bytes.is_err() && buffer.len() == 64 << 20);
                break;
            }
        }
    }
}

#[test]
fn the_alarm_goes_off_at_the_earliest_time_set() {
    for mut sockets in each(16) {
        let now = crate::shard::clock::instant();
        let second = std::time::Duration::from_secs(1);
        sockets.set_alarm(now.after(1000 * second));
        sockets.set_alarm(now.after(second / 1000));
        sockets.set_alarm(now.after(2000 * second));
        let mut gone_off = None;
        while gone_off.is_none() {
            // What sets it anew ends a wait, too.
            sockets.wait().unwrap();
            gone_off = sockets.next();
        }
        assert!(matches!(gone_off, Some(Completion::Alarm)), "{gone_off:?}");
        assert!(crate::shard::clock::instant() >= now.after(second / 1000));
    }
}

#[test]
fn a_bell_ends_the_wait() {
    for mut sockets in each(16) {
        let bell = rustix::event::eventfd(0, rustix::event::EventfdFlags::NONBLOCK).unwrap();
        sockets.listen(bell.as_fd());
        for _ in 0..3 {
            let ringer = bell.try_clone().unwrap();
            let ringer = std::thread::spawn(move || rustix::io::write(&ringer, &1_u64.to_ne_bytes()));
            loop {
                sockets.wait().unwrap();
                match sockets.next() {
                    Some(Completion::Rung { more: true }) => break,
                    other => assert!(other.is_none(), "{other:?}"),
                }
            }
            assert_eq!(ringer.join().unwrap(), Ok(8));
            assert_eq!(rustix::io::read(&bell, &mut [0; 8]), Ok(8));
        }
    }
}

/// A parcel with so many payloads that are not the same, and what arrives of it.
fn mixed(payloads: usize, length: usize) -> (Parcel, Vec<u8>) {
    let (mut parcel, mut all) = (Parcel::default(), Vec::new());
    for at in 0..payloads {
        let payload: Vec<u8> = (0..length).map(|n| (n * 7 + at) as u8).collect();
        let head = format!("payload {at}:");
        parcel.gathered().extend_from_slice(head.as_bytes());
        all.extend_from_slice(head.as_bytes());
        all.extend_from_slice(&payload);
        parcel.share(payload.into());
    }
    parcel.gathered().extend_from_slice(b"the end");
    all.extend_from_slice(b"the end");
    (parcel, all)
}

#[test]
fn shared_payloads_arrive_where_they_stand() {
    for (payloads, length) in [(1, 1), (1, 3 << 20), (200, 20_000)] {
        for mut sockets in each(16) {
            let (near, mut far) = pair();
            let (parcel, all) = mixed(payloads, length);
            let most = all.len();
            let reader = std::thread::spawn(move || {
                let mut came = vec![0; most];
                std::io::Read::read_exact(&mut far, &mut came).map(|()| came)
            });
            sockets.send(TOKEN, near.as_fd(), parcel);
            let mut sent = 0;
            loop {
                let Completion::Sent { token: TOKEN, bytes, buffer } = wait(&mut sockets) else { panic!() };
                sent += bytes.unwrap();
                if buffer.is_some() {
                    break;
                }
            }
            assert_eq!(sent, all.len());
            assert!(reader.join().unwrap().unwrap() == all);
        }
    }
}

/// A result for many is sent to a few at a time: what is ordered in one call of the kernel has a bound.
#[test]
fn many_large_sends_take_turns_and_can_be_stopped_while_they_wait() {
    for mut sockets in each(16) {
        let payload = bytes::Bytes::from(vec![7; SHARED_PIECE]);
        let pairs: Vec<_> = (0..20).map(|_| pair()).collect();
        let token = |index| Token { index, generation: 1 };
        for (index, (near, _)) in pairs.iter().enumerate() {
            let mut parcel = Parcel::from(b"head".to_vec());
            parcel.share(payload.clone());
            sockets.send(token(index as u32), near.as_fd(), parcel);
        }
        assert!(!sockets.is_quiet() && sockets.has_more());
        sockets.stop_sending(token(19));
        let mut stopped = false;
        while !stopped {
            match wait(&mut sockets) {
                Completion::Sent { token: Token { index: 19, .. }, bytes, buffer: Some(_) } => {
                    stopped = bytes.is_err();
                    assert!(stopped);
                }
                Completion::Sent { bytes, .. } => assert!(bytes.is_ok()),
                completion => panic!("{completion:?}"),
            }
        }
        while !sockets.is_quiet() {
            sockets.enter().unwrap();
            while sockets.next().is_some() {}
        }
    }
}

#[test]
fn a_large_packet_is_received_into_its_own_bytes() {
    for mut sockets in each(16) {
        let (near, far) = pair();
        let all: Vec<u8> = (0..2 * DIRECT_PIECE + 100).map(|at| (at % 251) as u8).collect();
        let sender = {
            let all = all.clone();
            std::thread::spawn(move || std::io::Write::write_all(&mut &near, &all).map(|()| near))
        };
        // The beginning comes into a buffer of the sockets, once.
        sockets.receive_once(TOKEN, far.as_fd());
        let Completion::Received { token: TOKEN, what: Received::Bytes(beginning), more: false } =
            wait(&mut sockets)
        else {
            panic!()
        };
        let mut bytes = Large::from(Vec::with_capacity(all.len()));
        bytes.extend_from_slice(sockets.bytes(&beginning));
        sockets.recycle(beginning);
        let place = bytes.as_ptr();
        while bytes.len() < all.len() {
            let missing = all.len() - bytes.len();
            sockets.receive_direct(TOKEN, far.as_fd(), std::mem::take(&mut bytes), missing);
            let Completion::Received { token: TOKEN, what: Received::Direct(back, Ok(count)), more: false } =
                wait(&mut sockets)
            else {
                panic!()
            };
            assert_eq!(count, missing.min(DIRECT_PIECE));
            bytes = back;
        }
        assert!(*bytes == all && bytes.as_ptr() == place);
        // What has come of a piece when it is stopped, or when the peer ends, is there.
        let near = sender.join().unwrap().unwrap();
        for stop in [true, false] {
            std::io::Write::write_all(&mut &near, b"some").unwrap();
            sockets.receive_direct(TOKEN, far.as_fd(), Vec::with_capacity(100).into(), 100);
            for _ in 0..3 {
                sockets.enter().unwrap();
                assert!(sockets.next().is_none());
            }
            if stop {
                sockets.stop_direct(TOKEN);
            } else {
                near.shutdown(std::net::Shutdown::Write).unwrap();
            }
            let Completion::Received { what: Received::Direct(back, result), .. } = wait(&mut sockets) else {
                panic!()
            };
            assert_eq!((&back[..], result), (&b"some"[..], Ok(4)));
        }
    }
}

#[test]
fn what_is_lent_grows_in_need_and_shrinks_in_calm() {
    for mut sockets in each(1024) {
        let first = portion(&sockets);
        (0..10).for_each(|_| sockets.lend_more());
        assert_eq!(portion(&sockets), 1024);
        // While many wait to be read, few are lent, whatever it was.
        sockets.tend_buffers(true);
        assert!(portion(&sockets) < first);
        (0..10_000).for_each(|_| sockets.tend_buffers(false));
        assert_eq!(portion(&sockets), first);
    }
}

#[test]
fn a_socket_that_leaves_is_served_elsewhere() {
    for (mut here, mut there) in each(16).into_iter().zip(each(16)) {
        let (near, far) = pair();
        for (sockets, bytes) in [(&mut here, b"first"), (&mut there, b"other")] {
            std::io::Write::write_all(&mut &near, bytes).unwrap();
            sockets.receive_once(TOKEN, far.as_fd());
            let Completion::Received { what: Received::Bytes(buffer), more: false, .. } = wait(sockets)
            else {
                panic!()
            };
            assert_eq!(sockets.bytes(&buffer), bytes);
            sockets.recycle(buffer);
            sockets.release(TOKEN, far.as_fd());
        }
        // Nobody is told of what comes now.
        std::io::Write::write_all(&mut &near, b"later").unwrap();
        for sockets in [&mut here, &mut there] {
            for _ in 0..3 {
                sockets.enter().unwrap();
                assert!(sockets.next().is_none() && sockets.is_quiet());
            }
        }
    }
}

/// Bytes to which a descriptor is attached end a receive, although there are more behind them.
#[test]
fn descriptors_that_come_along_hold_nothing_up() {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    for mut sockets in each(16) {
        let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        for part in [&b"one"[..], b"two", b"three"] {
            let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let attached = [far.as_fd()];
            let mut along = SendAncillaryBuffer::new(&mut space);
            assert!(along.push(SendAncillaryMessage::ScmRights(&attached)));
            sendmsg(&near, &[std::io::IoSlice::new(part)], &mut along, SendFlags::empty()).unwrap();
        }
        sockets.receive(TOKEN, far.as_fd());
        let mut came = Vec::new();
        while came != b"onetwothree" {
            let Completion::Received { what: Received::Bytes(buffer), more: true, .. } = wait(&mut sockets)
            else {
                panic!()
            };
            came.extend_from_slice(sockets.bytes(&buffer));
            sockets.recycle(buffer);
        }
    }
}
