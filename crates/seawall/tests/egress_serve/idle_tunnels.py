"""Tunnels that nobody speaks in: 1,000, or with SEAWALL_LONG=1 10,000, or as many as there are descriptors for (two each).
Others are served meanwhile, and the memory is told."""
import base64
import hashlib
import resource
from common import *

network()
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
COUNT = min(10_000 if LONG else 1_000, (hard - 600) // 2)
# One client gets at most three quarters of the places.
CLIENTS = [f"client{n}" for n in range(4)]
policy = """
[limits]
head_seconds = 600
"""
for client in CLIENTS:
    policy += f"""
[[clients]]
user = "{client}"
secret_sha256 = "{hashlib.sha256(client.encode()).hexdigest()}"
identity = {{ agent = "{client}" }}
"""
policy += """
[[rules]]
name = "up"
hosts = ["127.0.0.1"]
ports = [8080]
protocols = ["http", "raw"]
private = ["127.0.0.1:8080"]
"""
held = []
listener = socket.create_server(("127.0.0.1", 8080), backlog=4096)


def hold():
    while True:
        stream, _ = listener.accept()
        if len(held) < COUNT:
            held.append(stream)
            continue
        stream.recv(4096)
        stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        stream.close()


threading.Thread(target=hold, daemon=True).start()
proxy = Serve(policy)


def memory():
    with open(f"/proc/{proxy.process.pid}/smaps_rollup") as file:
        lines = dict(line.split(":") for line in file if ":" in line and line[0].isalpha())
    return int(lines["Pss"].split()[0]) / 1024


def proof(n):
    client = CLIENTS[n % len(CLIENTS)]
    return b"Proxy-Authorization: Basic " + base64.b64encode(f"{client}:{client}".encode()) + b"\r\n\r\n"


before = memory()
tunnels = []
for n in range(COUNT):
    stream = socket.create_connection(("127.0.0.1", 3128))
    stream.sendall(b"CONNECT 127.0.0.1:8080 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n" + proof(n))
    tunnels.append(stream)
for stream in tunnels:
    stream.settimeout(60)
    check(b" 200 " in stream.recv(4096), "a tunnel is made")
end = time.monotonic() + 20
while len(held) < COUNT and time.monotonic() < end:
    time.sleep(0.02)
after = memory()
begun = time.monotonic()
check(ask(get("127.0.0.1:8080")[:-2] + proof(0)).endswith("hello"), "others are served")
print(f"{COUNT} idle tunnels: {before:.1f} MiB before, {after:.1f} MiB with them, "
      f"another request in {(time.monotonic() - begun) * 1000:.1f} ms")
# The last one still works, and what both ends let go is given back.
tunnels[-1].sendall(b"x")
check(held[-1].recv(1) == b"x", "a tunnel still carries")
for stream in tunnels + held:
    stream.close()
end = time.monotonic() + 20
while len(os.listdir(f"/proc/{proxy.process.pid}/fd")) > 40 and time.monotonic() < end:
    time.sleep(0.02)
check(len(os.listdir(f"/proc/{proxy.process.pid}/fd")) <= 40, "descriptors are given back")
# Generous: a debug build. The figures are in bench/README.md.
check(after - before < COUNT * 0.03 + 5, f"{after - before:.1f} MiB for {COUNT} tunnels")
proxy.stop()
