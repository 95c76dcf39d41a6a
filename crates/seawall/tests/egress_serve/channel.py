"""The real OpenClaw under `seawall up`, with a channel that lives on WebSockets: its Mattermost plugin, one account over
wss and one over ws, against a stand-in for the chat server. TLS is opened by rule, and the model's key is a placeholder.
A message that comes in over the socket is answered through the model and by the channel's own API."""
import base64
import hashlib
import shutil
import ssl
import struct
import subprocess
from common import *

network()
certificate("model.test")
shutil.copy("cert.pem", "model.pem"), shutil.copy("key.pem", "model.key")
certificate("chat.test")
OC = os.environ["SEAWALL_OPENCLAW_DIR"] + "/node_modules/.bin/"
HOME = os.getcwd() + "/home"
STATE = HOME + "/.openclaw"
FOLDER = HOME + "/.local/state/seawall/default"
for path in [STATE, HOME + "/ws", FOLDER]:
    os.makedirs(path, exist_ok=True)
check(os.path.isdir(STATE + "/npm"), "the plugin was installed into this home, where there is a network")
KEY, BOT = "the-real-model-key-1234", "mmbottokenoftheteststandin"
PLACEHOLDER = "swph_model_0123456789abcdef0123456789abcdef"
env = {"PATH": OC + ":/usr/sbin:/usr/bin:/sbin:/bin", "HOME": HOME, "NO_COLOR": "1", "LANG": "C.UTF-8",
       "OPENCLAW_DISABLE_BONJOUR": "1", "SEAWALL_HOME": HOME + "/.local/state/seawall"}


class Chat:
    """As much of a Mattermost server as the plugin asks for: who it is, its socket, and posts."""

    def __init__(self, port, tls):
        self.name, self.posts, self.sockets, self.asked, self.tokens = f"{port}", [], [], [], []
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain("cert.pem", "key.pem")
        self.listener = socket.create_server((PUBLIC, port))
        threading.Thread(target=self.loop, daemon=True).start()

    def loop(self):
        while True:
            stream, _ = self.listener.accept()
            threading.Thread(target=self.one, args=(stream,), daemon=True).start()

    def one(self, stream):
        try:
            if self.context:
                stream = self.context.wrap_socket(stream, server_side=True)
            buffer = b""
            while True:
                while b"\r\n\r\n" not in buffer:
                    data = stream.recv(65536)
                    if not data:
                        return
                    buffer += data
                head, buffer = buffer.split(b"\r\n\r\n", 1)
                lines = head.decode().split("\r\n")
                fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
                method, path = lines[0].split(" ")[:2]
                self.asked.append(f"{method} {path}")
                if fields.get("upgrade", "").lower() == "websocket":
                    return self.socket(stream, fields, buffer)
                length = int(fields.get("content-length", 0))
                while len(buffer) < length:
                    buffer += stream.recv(65536)
                body, buffer = buffer[:length], buffer[length:]
                answer = json.dumps(self.answer(method, path.split("?")[0], body)).encode()
                stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
        except OSError:
            pass

    def answer(self, method, path, body):
        if path == "/api/v4/users/me":
            return {"id": "botbotbotbotbotbotbotbotbo", "username": "bot", "update_at": 1}
        if path.startswith("/api/v4/users/me/"):
            return []
        if path.startswith("/api/v4/users/"):
            return {"id": "adaadaadaadaadaadaadaadaad", "username": "ada", "update_at": 1}
        if path.startswith("/api/v4/channels"):
            return {"id": "dmdmdmdmdmdmdmdmdmdmdmdmdm", "type": "D", "name": "dm", "display_name": "dm", "team_id": ""}
        if method in ("POST", "PUT") and path.startswith("/api/v4/posts"):
            post = json.loads(body)
            self.posts.append(post.get("message", ""))
            return {"id": f"post{len(self.posts):022}", "channel_id": "dmdmdmdmdmdmdmdmdmdmdmdmdm", "message": post.get("message", "")}
        return {}

    def socket(self, stream, fields, buffer):
        key = fields["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest())
        stream.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")

        def take(n):
            nonlocal buffer
            while len(buffer) < n:
                data = stream.recv(65536)
                if not data:
                    raise OSError("end")
                buffer += data
            out, buffer = buffer[:n], buffer[n:]
            return out

        while True:
            first, second = take(2)
            length = second & 127
            if length == 126:
                length = struct.unpack("!H", take(2))[0]
            elif length == 127:
                length = struct.unpack("!Q", take(8))[0]
            mask, data = take(4), take(length)
            data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
            if first & 15 == 9:
                self.frame(stream, data, 10)
            elif first & 15 == 8:
                return
            elif first & 15 == 1:
                message = json.loads(data)
                if message.get("action") == "authentication_challenge":
                    self.tokens.append(message["data"]["token"])
                    self.frame(stream, json.dumps({"status": "OK", "seq_reply": message["seq"]}).encode())
                    self.sockets.append(stream)

    @staticmethod
    def frame(stream, data, kind=1):
        length = bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack("!H", len(data))
        stream.sendall(bytes([128 | kind]) + length + data)

    def say(self, text, number):
        post = {"id": f"in{number:024}", "channel_id": "dmdmdmdmdmdmdmdmdmdmdmdmdm", "user_id": "adaadaadaadaadaadaadaadaad",
                "message": text, "create_at": int(time.time() * 1000), "update_at": 1, "type": ""}
        event = {"event": "posted", "seq": number,
                 "data": {"channel_type": "D", "channel_name": "dm", "sender_name": "@ada", "post": json.dumps(post)},
                 "broadcast": {"channel_id": "dmdmdmdmdmdmdmdmdmdmdmdmdm"}}
        self.frame(self.sockets[-1], json.dumps(event).encode())


class Model:
    """Answers every turn with `pong`."""

    def __init__(self):
        self.keys = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain("model.pem", "model.key")
        self.listener = context.wrap_socket(socket.create_server((PUBLIC, 443)), server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.loop, daemon=True).start()

    def loop(self):
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                continue
            threading.Thread(target=self.one, args=(stream,), daemon=True).start()

    def one(self, stream):
        try:
            head = b""
            while b"\r\n\r\n" not in head:
                data = stream.recv(65536)
                if not data:
                    return
                head += data
            self.keys += [line.split(":", 1)[1].strip() for line in head.decode(errors="replace").split("\r\n")
                          if line.lower().startswith("authorization:")]
            out = b""
            for delta, end in [({"role": "assistant", "content": "pong"}, None), ({}, "stop")]:
                part = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                        "choices": [{"index": 0, "delta": delta, "finish_reason": end}]}
                out += b"data: " + json.dumps(part).encode() + b"\n\n"
            stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + out + b"data: [DONE]\n\n")
            # The rest of the request, so that closing does not reset the answer away.
            stream.settimeout(2)
            while stream.recv(65536):
                pass
        except OSError:
            pass
        stream.close()


model, secure, plain = Model(), Chat(8443, True), Chat(8065, False)
with open(FOLDER + "/roots.pem", "w") as file:
    file.write(open("cert.pem").read() + open("model.pem").read())
with open(FOLDER + "/model.key", "w") as file:
    file.write(KEY)
os.chmod(FOLDER + "/model.key", 0o600)
with open(FOLDER + "/seawall.toml", "w") as file:
    file.write(f"""
[gateway]
start_timeout_s = 280
[egress.hosts]
"model.test" = ["{PUBLIC}"]
"chat.test" = ["{PUBLIC}"]
[egress.interception]
roots = "{FOLDER}/roots.pem"
[[egress.secrets]]
name = "model"
placeholder = "{PLACEHOLDER}"
hosts = ["model.test"]
file = "{FOLDER}/model.key"
[[egress.rules]]
name = "model"
hosts = ["model.test"]
intercept = true
methods = ["POST"]
paths = ["/v1"]
private = ["{PUBLIC}:443"]
[[egress.rules]]
name = "secure chat"
hosts = ["chat.test"]
ports = [8443]
protocols = ["tls", "websocket"]
intercept = true
paths = ["/api/v4"]
private = ["{PUBLIC}:8443"]
[[egress.rules]]
name = "plain chat"
hosts = ["chat.test"]
ports = [8065]
protocols = ["http", "websocket"]
private = ["{PUBLIC}:8065"]
""")
account = {"enabled": True, "botToken": BOT, "dmPolicy": "open", "allowFrom": ["*"],
           "network": {"dangerouslyAllowPrivateNetwork": True}}
config = {
    "gateway": {"mode": "local", "bind": "loopback", "port": 19789, "auth": {"mode": "token", "token": "token-of-a-test-1"}},
    "agents": {"defaults": {"workspace": HOME + "/ws", "model": {"primary": "far/m"}, "skipBootstrap": True}},
    "models": {"mode": "merge", "providers": {"far": {
        "baseUrl": "https://model.test/v1", "apiKey": PLACEHOLDER, "api": "openai-completions", "models": [
            {"id": "m", "name": "m", "reasoning": False, "input": ["text"], "contextWindow": 128000, "maxTokens": 4096,
             "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}}]}}},
    "channels": {"mattermost": {"enabled": True, "accounts": {
        "secure": account | {"baseUrl": "https://chat.test:8443"},
        "plain": account | {"baseUrl": "http://chat.test:8065"}}}},
    "plugins": {"enabled": True, "allow": ["mattermost", "memory-core"], "entries": {"mattermost": {"enabled": True}}},
    "discovery": {"mdns": {"mode": "off"}},
    "logging": {"level": "debug", "file": STATE + "/gateway.log"},
}
with open(STATE + "/openclaw.json", "w") as file:
    json.dump(config, file)
os.chmod(STATE + "/openclaw.json", 0o600)
up = subprocess.Popen([SEAWALL, "up"], stdout=open("up.log", "w"), stderr=subprocess.STDOUT, env=env, cwd=HOME)


def text(path, last=3000):
    try:
        with open(path, errors="replace") as file:
            return file.read()[-last:]
    except OSError:
        return ""


def events():
    done = subprocess.run([SEAWALL, "events", "query", "--json", "--limit", "100000"], env=env, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def told(what):
    shown = [f"{e.get('kind')} {e.get('summary')}" for e in events() if e.get("plane") == "egress"][-25:]
    return "\n".join([what, text("up.log"), text(FOLDER + "/gateway.out"), text(STATE + "/gateway.log", 6000), *shown,
                      str(secure.asked[-10:]), str(plain.asked[-10:])])


def until(condition, what, seconds):
    end = time.monotonic() + seconds
    while not condition():
        if up.poll() is not None or time.monotonic() > end:
            check(False, told(what))
        time.sleep(0.1)


until(lambda: secure.sockets and plain.sockets, "both sockets are open", 400)
check(secure.tokens[0] == BOT and plain.tokens[0] == BOT, "the bot shows its token inside the sockets")
number = 0
for chat in [secure, plain, secure]:
    number += 1
    before = len(chat.posts)
    chat.say(f"ping {number}", number)
    until(lambda: any("pong" in post for post in chat.posts[before:]), f"an answer at {chat.name}", 180)
check(model.keys and all(key == "Bearer " + KEY for key in model.keys), f"the key is put in: {model.keys}")
allowed = [e["detail"] for e in events() if e.get("kind") == "egress.allowed"]
for rule in ["model", "secure chat", "plain chat"]:
    check(any(detail.get("rule") == rule for detail in allowed), told(f"{rule} is in the log"))
check(KEY not in text(STATE + "/gateway.log", 10**9) + text(STATE + "/openclaw.json", 10**9), "the gateway has no key")
up.terminate()
up.wait(60)
print("channel over wss and ws, opened TLS and a placeholder under seawall up: ok")
