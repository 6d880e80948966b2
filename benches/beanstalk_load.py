"""Puts jobs of 100 bytes into a beanstalkd as fast as it answers. Arguments: port, connections, depth, seconds.

For `durable.sh` only; what Gearman servers are measured with is `ringgear-load`."""
import selectors
import socket
import sys
import time

port, connections, depth, seconds = map(int, sys.argv[1:])
put = b"put 0 0 60 100\r\n" + b"x" * 100 + b"\r\n"
selector = selectors.DefaultSelector()
for _ in range(connections):
    link = socket.create_connection(("127.0.0.1", port))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.setblocking(False)
    link.send(put * depth)
    selector.register(link, selectors.EVENT_READ)
begin = time.monotonic()
done = 0
while (now := time.monotonic()) < begin + seconds:
    for key, _ in selector.select(0.1):
        answers = key.fileobj.recv(1 << 16).count(b"\n")
        done += answers
        key.fileobj.send(put * answers)
print(f"{done / (now - begin):.0f} jobs/s")
