"""`seawall egress enforce`: a user reaches the proxy and nothing else, until the rules are taken away."""
import subprocess
from common import *

network()
Upstream(PUBLIC, 8080)
proxy = Serve(f"""
[[rules]]
name = "up"
hosts = ["{PUBLIC}"]
ports = [8080]
protocols = ["http"]
private = ["{PUBLIC}:8080"]
""")
PROBE = f"""
import socket
def way(port, request):
    try:
        with socket.create_connection((port == 3128 and "127.0.0.1" or "{PUBLIC}", port), 5) as s:
            s.sendall(request)
            got = b""
            while b"hello" not in got and (data := s.recv(65536)):
                got += data
            return "hello" if got.endswith(b"hello") else "nothing"
    except OSError:
        return "shut"
print(way(3128, b"GET http://{PUBLIC}:8080/ HTTP/1.1\\r\\nHost: {PUBLIC}:8080\\r\\nConnection: close\\r\\n\\r\\n"),
      way(8080, b"GET / HTTP/1.0\\r\\n\\r\\n"))
"""


def ways(uid=12345):
    command = ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "/usr/bin/python3", "-c", PROBE]
    return subprocess.run(command, capture_output=True, text=True, cwd="/").stdout.split()


def enforce(*words):
    done = subprocess.run([SEAWALL, "egress", "enforce", *words], capture_output=True, text=True)
    return done.returncode, (done.stdout + done.stderr).strip()


apply = ["apply", "--uid", "12345", "--proxy", "127.0.0.1:3128"]
code, said = enforce(*apply, "--print")
check(code == 0 and "meta skuid 12345" in said, said)
check(enforce("status") == (1, "not in place"), str(enforce("status")))
check(ways()[0] == "hello" and ways()[1] != "shut", f"before: {ways()}")
check(enforce(*apply) == (0, "uid 12345 reaches 127.0.0.1:3128 and nothing else"), "apply")
check(enforce(*apply)[0] == 0, "apply again")
check(ways() == ["hello", "shut"], f"under the rules: {ways()}")
check(ways(12346)[1] != "shut", "another user is not held")
code, said = enforce("status")
check(code == 0 and said.startswith("in place: ") and " 0 that" not in said, said)
check(enforce("apply", "--uid", "0", "--proxy", "127.0.0.1:3128")[0] == 3, "root is not held")
check(enforce("remove")[0] == 0 and ways()[1] != "shut", "removed")
check(enforce("remove")[0] == 0 and enforce("status")[0] == 1, "removed again")
proxy.stop()
print("enforce: ok")
