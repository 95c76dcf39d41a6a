"""A killed proxy, a full disk, no descriptors, slow clients, upstreams that hang or lie: nothing gets out undecided, and
the proxy goes on by itself."""
import random
import resource
from common import *

network()
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
policy = """
[limits]
head_seconds = 2
tunnel_idle_seconds = 2
connect_seconds = 2
[[rules]]
name = "up"
hosts = ["127.0.0.1"]
ports = ["8080-8090"]
protocols = ["http"]
private = [%s]
""" % ", ".join(f'"127.0.0.1:{port}"' for port in range(8080, 8091))
host = "127.0.0.1:8080"
up = Upstream("127.0.0.1", 8080)


def allowed(proxy):
    """Requests in the log, and what of it is not a whole line."""
    with open(proxy.log, "rb") as file:
        lines = file.read().split(b"\n")
    whole = [json.loads(line) for line in lines[:-1] if line]
    return sum(event["kind"] == "egress.allowed" for event in whole)


# kill -9 under load: each request that arrived is in the log, and the next start goes on from there.
proxy = Serve(policy)
rounds = 20 if LONG else 3
for n in range(rounds):
    stop = threading.Event()

    def load():
        while not stop.is_set():
            try:
                ask(get(host, f"/{random.random()}"), timeout=5)
            except OSError:
                pass

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    seen = len(up.seen)
    end = time.monotonic() + 20
    while len(up.seen) < seen + 30 and time.monotonic() < end:
        time.sleep(0.01)
    check(len(up.seen) >= seen + 30, "there is load")
    proxy.stop(signal.SIGKILL)
    stop.set()
    for thread in threads:
        thread.join()
    time.sleep(0.1)
    check(allowed(proxy) >= len(up.seen), f"{len(up.seen)} arrived, {allowed(proxy)} in the log")
    proxy.start()
check(" 200 " in ask(get(host)), "it serves again")
proxy.stop()

# A disk that is full: nothing passes. With room again, all goes on without a restart.
os.mkdir("small")
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", "small"], check=True)
proxy = Serve(policy, log="small/ev.jsonl")
earlier = len(up.seen)
check(" 200 " in ask(get(host)), "before")
fill = os.open("small/fill", os.O_WRONLY | os.O_CREAT)
try:
    while True:
        os.write(fill, b"x" * 4096)
except OSError:
    os.close(fill)
refused = False
for _ in range(60):
    answer = ask(get(host, "/full"))
    refused = refused or " 503 " in answer
    check(" 503 " in answer or " 200 " in answer, answer)
check(refused and "X-Seawall-Cause: log" in answer, "a full disk refuses: " + answer)
check(allowed(proxy) >= len(up.seen) - earlier, "what passed is in the log")
os.unlink("small/fill")
check(" 200 " in ask(get(host, "/room")), "with room it goes on")
proxy.stop()

# No descriptors left: clients wait or are refused, and when some are back it goes on.
proxy = Serve(policy, wrap=["prlimit", "--nofile=40:40"])
crowd = []
for _ in range(80):
    crowd.append(socket.create_connection(("127.0.0.1", 3128)))
time.sleep(0.3)
check(proxy.process.poll() is None, "it lives without descriptors")
for stream in crowd:
    stream.close()
check(" 200 " in ask(get(host, "/after")), "it goes on")
proxy.stop()

# Slow clients: heads that come a byte at a time hold nobody up and end.
proxy = Serve(policy)
slow = [socket.create_connection(("127.0.0.1", 3128)) for _ in range(500 if LONG else 100)]
begun = time.monotonic()
for round in range(3):
    for stream in slow:
        try:
            stream.send(b"GET /"[round:round + 1])
        except OSError:
            pass
    check(" 200 " in ask(get(host, "/fast")), "others are served")
    time.sleep(0.2)
for stream in slow:
    stream.settimeout(20)
    while stream.recv(4096):
        pass
check(time.monotonic() - begun < 15, "slow heads end")

# Upstreams that hang, close, lie about lengths, send garbage or two answers for one.
ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
for port, answer, told in [
    (8081, None, "did not answer in time"),
    (8082, b"\x00\x01\x02\r\n\r\n", "malformed"),
    (8083, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "there twice"),
    (8084, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", "both a length and chunks"),
    (8085, b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "without being asked"),
    (8086, b"HTTP/1.1 100 Continue\r\n\r\n" * 200, "without end"),
    (8087, b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000, "did not answer in time"),
    (8089, ok + ok, None),
]:
    Upstream("127.0.0.1", port, answer)
    got = ask(get(f"127.0.0.1:{port}"))
    if port == 8086:
        # Interim answers go on as they come; there is no other.
        check(" 200 " not in got, got)
    elif told is None:
        # The second answer is nobody's: not the next request's either.
        check(got.endswith("ok") and got.count("HTTP/1.1") == 1, got)
    else:
        check(" 502 " in got and (told in got or "too long" in got), f"{port}: {got}")
# A body that stops before its length: the client sees that it was cut.
Upstream("127.0.0.1", 8088, b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello")
got = ask(get("127.0.0.1:8088"))
check(not got.endswith("hello" * 10) and not whole(got.encode()), got)
check(" 200 " in ask(get(host, "/last")), "it still serves")
proxy.stop()
print("storms: ok")
