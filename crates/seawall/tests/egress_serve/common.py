"""What the scripts share: the proxy as a process, upstreams on addresses of this namespace, and a client of raw bytes."""
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

SEAWALL = os.environ["SEAWALL"]
LONG = os.environ.get("SEAWALL_LONG") == "1"
# An address that counts as public; in this namespace it is ours.
PUBLIC = "93.184.215.14"


def network():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "addr", "add", PUBLIC + "/32", "dev", "lo"], check=True)


class Serve:
    """`seawall egress serve` with a policy."""

    def __init__(self, policy, log="ev.jsonl", port=3128, wrap=()):
        with open("policy.toml", "w") as file:
            file.write(policy)
        self.log, self.port = log, port
        self.start(wrap)

    def start(self, wrap=()):
        command = [*wrap, SEAWALL, "egress", "serve", "--listen", f"127.0.0.1:{self.port}",
                   "--policy", "policy.toml", "--log", self.log]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        while True:
            line = self.process.stdout.readline()
            assert line, "the proxy did not start"
            if line.startswith("listening"):
                return

    def events(self):
        with open(self.log) as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    def wait_for(self, condition, what, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if any(condition(event) for event in self.events()):
                return
            time.sleep(0.02)
        raise AssertionError("no event: " + what)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)
        while "read again" not in self.process.stdout.readline():
            pass

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(20)
        self.process.stdout.close()


class Upstream:
    """Answers each request head with `hello`, and keeps what it got."""

    def __init__(self, address, port, answer=b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"):
        self.seen, self.accepted, self.answer = [], 0, answer
        self.listener = socket.create_server((address, port), backlog=4096)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            stream, _ = self.listener.accept()
            self.accepted += 1
            threading.Thread(target=self.one, args=(stream,), daemon=True).start()

    def one(self, stream):
        head = b""
        try:
            while data := stream.recv(65536):
                head += data
                while b"\r\n\r\n" in head:
                    one, head = head.split(b"\r\n\r\n", 1)
                    self.seen.append(one)
                    if self.answer is not None:
                        stream.sendall(self.answer)
        except OSError:
            pass
        stream.close()


def ask(request, port=3128, timeout=20):
    """The whole answer to one request."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as stream:
        stream.sendall(request)
        out = b""
        while b"\r\n\r\n" not in out or not whole(out):
            data = stream.recv(65536)
            if not data:
                break
            out += data
        return out.decode(errors="replace")


def whole(out):
    head, body = out.split(b"\r\n\r\n", 1)
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return len(body) >= int(line.split(b":")[1])
    return True


def get(host, path="/"):
    return f"GET http://{host}{path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def certificate(name):
    """A certificate of its own for a name, in `cert.pem` and `key.pem`."""
    with open("req.conf", "w") as file:
        file.write(f"[req]\ndistinguished_name = dn\nx509_extensions = ext\nprompt = no\n[dn]\nCN = {name}\n"
                   f"[ext]\nsubjectAltName = DNS:{name}\nbasicConstraints = critical, CA:FALSE\n")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-config", "req.conf", "-keyout", "key.pem", "-out", "cert.pem"], check=True,
                   stderr=subprocess.DEVNULL)


def check(condition, what):
    if not condition:
        print("FAILED:", what, file=sys.stderr)
        sys.exit(1)
