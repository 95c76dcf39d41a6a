"""DNS over TLS against a server of our own: only to the name in its certificate."""
import ssl
import struct
import subprocess
from common import *

network()
certificate("dns.test")
asked = []


def respond(question):
    """The answer to a question of type A; none of AAAA."""
    end = 12
    while question[end]:
        end += question[end] + 1
    name, kind = question[12:end + 1], struct.unpack("!H", question[end + 1:end + 3])[0]
    asked.append(name)
    head = question[:2] + struct.pack("!HHHHH", 0x8180, 1, int(kind == 1), 0, 0) + question[12:end + 5]
    if kind != 1:
        return head
    return head + b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 3600, 4) + socket.inet_aton(PUBLIC)


def exactly(stream, n):
    out = b""
    while len(out) < n:
        data = stream.recv(n - len(out))
        if not data:
            raise OSError("end")
        out += data
    return out


def over_tls(stream):
    while True:
        question = exactly(stream, struct.unpack("!H", exactly(stream, 2))[0])
        answer = respond(question)
        stream.sendall(struct.pack("!H", len(answer)) + answer)


def serve(port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("cert.pem", "key.pem")
    context.set_alpn_protocols(["dot"])
    listener = socket.create_server(("127.0.0.1", port))

    def one(stream):
        try:
            with context.wrap_socket(stream, server_side=True) as tls:
                over_tls(tls)
        except OSError:
            pass

    def loop():
        while True:
            stream, _ = listener.accept()
            threading.Thread(target=one, args=(stream,), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()


serve(853)
Upstream(PUBLIC, 8080)
policy = """
[dns]
servers = ["127.0.0.1"]
transport = "tls"
server_name = "NAME"
roots = "ROOTS"
max_ttl_seconds = 2
[limits]
resolve_seconds = 4
[[rules]]
name = "site"
hosts = ["site.test"]
ports = [8080]
protocols = ["http"]
private = ["93.184.215.14:8080"]
"""
here = os.getcwd()
proxy = Serve(policy.replace("NAME", "dns.test").replace("ROOTS", here + "/cert.pem"))
request = get("site.test:8080")
check(" 200 " in (answer := ask(request)), answer)
first = len(asked)
check(first > 0, "it was asked over TLS")
check(" 200 " in ask(request) and len(asked) == first, "the answer is kept")
end = time.monotonic() + 10
while len(asked) == first and time.monotonic() < end:
    time.sleep(0.3)
    ask(request)
check(len(asked) > first, "not for the hour that the server names")
proxy.stop()
for name, roots, port in [("other.test", here + "/cert.pem", 3129), ("dns.test", None, 3130)]:
    before = len(asked)
    text = policy.replace("NAME", name).replace("ROOTS", roots or "")
    if roots is None:
        text = text.replace('roots = ""\n', "")
    proxy = Serve(text, log=f"ev{port}.jsonl", port=port)
    answer = ask(request, port)
    check(" 502 " in answer and len(asked) == before, f"{name} {roots}: {answer}")
    proxy.stop()
print("encrypted dns: ok")
