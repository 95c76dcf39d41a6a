"""The real OpenClaw through the proxy: its own check of a proxy, and a gateway with two agents whose model is only to be
reached through it, over plain HTTP and over TLS that is opened, where the key is a placeholder."""
import http.server
import ssl
import subprocess
import urllib.request
from common import *

network()
certificate("model.test")
OC = os.environ["SEAWALL_OPENCLAW_DIR"] + "/node_modules/.bin/"
HOME = os.getcwd() + "/home"
os.makedirs(HOME + "/.openclaw")
os.makedirs(HOME + "/ws")
env = {"PATH": OC + ":/usr/bin:/bin", "HOME": HOME, "NO_COLOR": "1", "OPENCLAW_DISABLE_BONJOUR": "1"}
seen = []


class Model(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        seen.append((self.server.server_port, self.headers.get("Authorization", ""), body))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for delta, end in [({"role": "assistant", "content": "pong-" + str(self.server.server_port)}, None), ({}, "stop")]:
            part = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                    "choices": [{"index": 0, "delta": delta, "finish_reason": end}]}
            self.wfile.write(b"data: " + json.dumps(part).encode() + b"\n\n")
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def log_message(self, *_):
        pass


def model(port, tls):
    server = http.server.ThreadingHTTPServer((PUBLIC, port), Model)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain("cert.pem", "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()


model(8080, False)
model(443, True)
Upstream(PUBLIC, 8081)
with open("secret", "w") as file:
    file.write("the-real-model-key-1234")
os.chmod("secret", 0o600)
PLACEHOLDER = "swph_model_0123456789abcdef0123456789abcdef"
proxy = Serve(f"""
[hosts]
"model.test" = ["{PUBLIC}"]
[interception]
roots = "{os.getcwd()}/cert.pem"
[[secrets]]
name = "model"
placeholder = "{PLACEHOLDER}"
hosts = ["model.test"]
file = "{os.getcwd()}/secret"
[[rules]]
name = "plain model"
hosts = ["{PUBLIC}"]
ports = ["8080-8081"]
protocols = ["http", "raw"]
private = ["{PUBLIC}:8080", "{PUBLIC}:8081"]
[[rules]]
name = "model"
hosts = ["model.test"]
intercept = true
methods = ["POST"]
paths = ["/v1"]
private = ["{PUBLIC}:443"]
""")
done = subprocess.run([OC + "openclaw", "proxy", "validate", "--json", "--proxy-url", "http://127.0.0.1:3128",
                       "--allowed-url", f"http://{PUBLIC}:8081/"], env=env, capture_output=True, text=True, timeout=240)
said = json.loads(done.stdout)
check(said["ok"] and done.returncode == 0, done.stdout + done.stderr)
print("openclaw proxy validate:", ", ".join(f"{c['kind']} {'ok' if c['ok'] else 'failed'}" for c in said["checks"]))


def provider(url, key):
    return {"baseUrl": url, "apiKey": key, "api": "openai-completions", "models": [
        {"id": "m", "name": "m", "reasoning": False, "input": ["text"], "contextWindow": 128000, "maxTokens": 4096,
         "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}}]}


config = {
    "gateway": {"mode": "local", "bind": "loopback", "port": 19789, "auth": {"mode": "token", "token": "token-of-a-test-1"},
                "http": {"endpoints": {"chatCompletions": {"enabled": True}}}},
    "agents": {"defaults": {"workspace": HOME + "/ws", "model": {"primary": "plain/m"}, "skipBootstrap": True},
               "list": [{"id": "main", "default": True}, {"id": "second", "model": {"primary": "closed/m"}}]},
    "models": {"mode": "merge", "providers": {"plain": provider(f"http://{PUBLIC}:8080/v1", "k"),
                                              "closed": provider("https://model.test/v1", PLACEHOLDER)}},
    "proxy": {"proxyUrl": "http://127.0.0.1:3128"},
    "discovery": {"mdns": {"mode": "off"}},
    "plugins": {"enabled": False},
}
with open(HOME + "/.openclaw/openclaw.json", "w") as file:
    json.dump(config, file)
log = open("gateway.log", "w")
gateway = subprocess.Popen([OC + "openclaw", "gateway", "run"], stdout=log, stderr=subprocess.STDOUT,
                           env=env | {"NODE_EXTRA_CA_CERTS": os.getcwd() + "/policy.ca.pem"})


def logged():
    with open("gateway.log") as file:
        return file.read()[-3000:]


def turn(agent):
    body = json.dumps({"model": "openclaw/" + agent, "messages": [{"role": "user", "content": "ping"}]}).encode()
    request = urllib.request.Request("http://127.0.0.1:19789/v1/chat/completions", body, {
        "Authorization": "Bearer token-of-a-test-1", "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return answer.read().decode()


end = time.monotonic() + 420
while True:
    check(gateway.poll() is None and time.monotonic() < end, "the gateway starts: " + logged())
    try:
        urllib.request.urlopen("http://127.0.0.1:19789/readyz", timeout=5)
        break
    except OSError:
        time.sleep(0.5)
for agent, pong in [("main", "pong-8080"), ("second", "pong-443"), ("main", "pong-8080")]:
    try:
        answer = turn(agent)
    except OSError as error:
        answer = repr(error)
    check(pong in answer, f"{agent}: {answer}\n{logged()}\n{proxy.events()[-5:]}")
check(any(port == 443 and key == "Bearer the-real-model-key-1234" for port, key, _ in seen), "the key is put in")
check(not any(PLACEHOLDER in key for _, key, _ in seen), "no placeholder arrives")
allowed = {event["detail"]["rule"] for event in proxy.events() if event["kind"] == "egress.allowed"}
check({"plain model", "model"} <= allowed, f"both went through the proxy: {allowed}")
gateway.terminate()
gateway.wait(60)
proxy.stop()
print("openclaw: ok")
