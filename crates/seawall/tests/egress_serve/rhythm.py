"""Patterns over time, which are told and not refused: a client that calls at even intervals, one that carries something out
in small pieces, and one that does neither. Takes five and a half minutes, since that is how long the patterns are."""
import random
from common import *

network()
for port in (8080, 8081, 8082):
    Upstream(PUBLIC, port)
proxy = Serve(f"""
[hosts]
"beacon.test" = ["{PUBLIC}"]
"drip.test" = ["{PUBLIC}"]
"work.test" = ["{PUBLIC}"]
[[rules]]
name = "all"
hosts = [".test"]
ports = ["8080-8082"]
protocols = ["http"]
private = ["{PUBLIC}:8080", "{PUBLIC}:8081", "{PUBLIC}:8082"]
""")
begun = time.monotonic()
random.seed(1)


def at(second, host, path="/"):
    time.sleep(max(0, begun + second - time.monotonic()))
    check(" 200 " in ask(get(host, path)), f"{host} is not refused")


def beacon():
    for n in range(17):
        at(n * 6, "beacon.test:8080", "/poll")


def drip():
    for n in range(66):
        at(n * 5, "drip.test:8081", f"/pixel?{random.getrandbits(64):x}")


def work():
    for second in sorted(random.uniform(0, 330) for _ in range(60)):
        at(second, "work.test:8082", f"/page{random.randrange(20)}")


threads = [threading.Thread(target=each) for each in (beacon, drip, work)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
proxy.wait_for(lambda e: e["kind"] == "egress.beacon" and e["detail"]["host"] == "beacon.test", "the beacon", 5)
proxy.wait_for(lambda e: e["kind"] == "egress.drip" and e["detail"]["host"] == "drip.test", "the drip", 5)
told = [e for e in proxy.events() if e["kind"] in ("egress.beacon", "egress.drip")]
check(all(e["severity"] == "medium" for e in told), str(told))
check(not any(e["detail"]["host"] == "work.test" for e in told), f"work is no pattern: {told}")
print("rhythm:", "; ".join(e["summary"] for e in told))
proxy.stop()
