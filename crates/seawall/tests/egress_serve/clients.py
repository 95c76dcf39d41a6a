"""What real clients do through opened TLS: curl with both versions of HTTP, Python's urllib and ssl, requests where it is
there, git, openssl, and Node with its fetch and https; each by the setting that docs/egress.md names."""
import shutil
import ssl
import subprocess
from common import *

network()
certificate("site.test")
seen = []


def serve():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("cert.pem", "key.pem")
    listener = socket.create_server((PUBLIC, 443))

    def one(stream):
        try:
            with context.wrap_socket(stream, server_side=True) as tls:
                head = b""
                while data := tls.recv(65536):
                    head += data
                    while b"\r\n\r\n" in head:
                        first, head = head.split(b"\r\n\r\n", 1)
                        seen.append(first.decode())
                        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        except OSError:
            pass

    while True:
        stream, _ = listener.accept()
        threading.Thread(target=one, args=(stream,), daemon=True).start()


threading.Thread(target=serve, daemon=True).start()
here = os.getcwd()
with open("secret", "w") as file:
    file.write("the-real-value-1234")
os.chmod("secret", 0o600)
PLACEHOLDER = "swph_api_0123456789abcdef0123456789abcdef"
proxy = Serve(f"""
[hosts]
"site.test" = ["{PUBLIC}"]
[interception]
roots = "{here}/cert.pem"
[[secrets]]
name = "api"
placeholder = "{PLACEHOLDER}"
hosts = ["site.test"]
file = "{here}/secret"
[[rules]]
name = "site"
hosts = ["site.test"]
intercept = true
private = ["{PUBLIC}:443"]
paths = ["/open", "/repo"]
""")
BUNDLE, OWN = here + "/policy.ca-bundle.pem", here + "/policy.ca.pem"
base = {"PATH": os.environ["PATH"], "HOME": here, "HTTPS_PROXY": "http://127.0.0.1:3128",
        "https_proxy": "http://127.0.0.1:3128", "GIT_TERMINAL_PROMPT": "0"}
URL, AUTH = "https://site.test/open", "Bearer " + PLACEHOLDER


def client(name, command, setting, expect="hello"):
    """It works with the setting, and without it the client trusts nothing."""
    count = len(seen)
    done = subprocess.run(command, env=base | setting, capture_output=True, text=True, timeout=60)
    said = done.stdout + done.stderr
    check(expect in said, f"{name}: {said}")
    check(len(seen) > count, f"{name}: nothing arrived")
    count = len(seen)
    if setting:
        subprocess.run(command, env=base, capture_output=True, text=True, timeout=60)
        check(len(seen) == count, f"{name}: it trusts without being told to")
    print(name, "ok")


for version in ["--http2", "--http1.1"]:
    command = ["curl", "-sS", version, "-w", " %{http_version}", "-H", "Authorization: " + AUTH, URL]
    client("curl " + version, command, {"CURL_CA_BUNDLE": BUNDLE},
           "hello 2" if version == "--http2" else "hello 1.1")
done = subprocess.run(["curl", "-sS", "--http2", "-o", "/dev/null", "-w", "%{http_code}", URL + "-not"],
                      env=base | {"CURL_CA_BUNDLE": BUNDLE}, capture_output=True, text=True)
check(done.stdout == "403", "a path that is not allowed, over HTTP/2: " + done.stdout + done.stderr)
urllib = ("import urllib.request as u; print(u.urlopen(u.Request(%r, headers={'Authorization': %r})).read())" % (URL, AUTH))
client("python urllib", [sys.executable, "-c", urllib], {"SSL_CERT_FILE": BUNDLE})
if subprocess.run([sys.executable, "-c", "import requests"], capture_output=True).returncode == 0:
    code = "import requests; print(requests.get(%r, headers={'Authorization': %r}).text)" % (URL, AUTH)
    client("python requests", [sys.executable, "-c", code], {"REQUESTS_CA_BUNDLE": BUNDLE})
else:
    print("skipped: python requests is not installed")
command = ["git", "-c", "http.extraHeader=Authorization: " + AUTH, "ls-remote", "https://site.test/repo"]
client("git", command, {"GIT_SSL_CAINFO": BUNDLE}, "")
command = ["openssl", "s_client", "-proxy", "127.0.0.1:3128", "-connect", "site.test:443", "-servername", "site.test",
           "-verify_return_error", "-quiet", "-ign_eof", "-CAfile", BUNDLE]
done = subprocess.run(command, env=base, capture_output=True, text=True, timeout=60,
                      input=f"GET /open HTTP/1.1\r\nHost: site.test\r\nAuthorization: {AUTH}\r\nConnection: close\r\n\r\n")
check("hello" in done.stdout, "openssl: " + done.stdout + done.stderr)
print("openssl ok")
node = os.environ.get("SEAWALL_OPENCLAW_DIR", "")
node = os.path.join(node, "node_modules/.bin/node") if node else shutil.which("node")
if node and os.path.exists(node):
    major = subprocess.run([node, "-v"], capture_output=True, text=True).stdout
    if major.startswith("v24."):
        code = "fetch(%r, {headers: {authorization: %r}}).then(r => r.text()).then(console.log)" % (URL, AUTH)
        client("node fetch", [node, "-e", code], {"NODE_EXTRA_CA_CERTS": OWN, "NODE_USE_ENV_PROXY": "1"})
        code = ("require('https').get(%r, {headers: {authorization: %r}}, r => r.on('data', d => console.log(String(d))))"
                % (URL, AUTH))
        client("node https", [node, "-e", code], {"NODE_EXTRA_CA_CERTS": OWN, "NODE_USE_ENV_PROXY": "1"})
    else:
        print("skipped: node is", major.strip(), "and knows no proxy of the environment")
else:
    print("skipped: no node")
heads = [head for head in seen if "uthorization" in head]
check(len(heads) >= 6 and all("the-real-value-1234" in head for head in heads), "each got the value: " + repr(seen))
check(not any(PLACEHOLDER in head for head in seen), "no placeholder arrived")
# A client without a name in TLS, and one that asks for another one.
for name in [[], ["-servername", "other.test"]]:
    command = ["openssl", "s_client", "-proxy", "127.0.0.1:3128", "-connect", "site.test:443",
               *(name or ["-noservername"]), "-CAfile", BUNDLE]
    done = subprocess.run(command, env=base, capture_output=True, text=True, timeout=60, input="")
    check("BEGIN CERTIFICATE" not in done.stdout, f"{name}: {done.stdout}")
proxy.stop()
print("clients: ok")
