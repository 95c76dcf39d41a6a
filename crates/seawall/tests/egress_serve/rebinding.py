"""A name whose owner turns it from a public address to ones inside: with a real dnsmasq and a time to live of 0."""
import signal
import subprocess
import time
from common import *

network()


def answers(*addresses):
    with open("hosts", "w") as file:
        file.writelines(f"{address} turn.evil.test\n" for address in addresses)


answers(PUBLIC)
dns = subprocess.Popen(["dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--user=root", "--pid-file",
                        "--port=5353", "--listen-address=127.0.0.1", "--bind-interfaces", "--addn-hosts=" + os.path.abspath("hosts"),
                        "--local-ttl=0", "--log-queries", "--log-facility=" + os.path.abspath("dns.log")])
outside, inside = Upstream(PUBLIC, 8080), Upstream("127.0.0.1", 8080)
policy = """
[dns]
servers = ["127.0.0.1:5353"]
[[rules]]
name = "site"
hosts = [".evil.test"]
ports = [8080]
protocols = ["http"]
private = ["93.184.215.14:8080"]
"""
proxy = Serve(policy)
request = get("turn.evil.test:8080")
end = time.monotonic() + 10
while " 200 " not in (answer := ask(request)):
    check(time.monotonic() < end, "the public address is reached: " + answer)
    time.sleep(0.05)


def looked_up():
    return sum(event["kind"] == "egress.lookup" for event in proxy.events())


def turn(*addresses):
    answers(*addresses)
    dns.send_signal(signal.SIGHUP)
    want = set(addresses)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with open("dns.log") as file:
            if sum(" read " in line and "/hosts" in line for line in file) > turn.reads:
                turn.reads += 1
                return
        time.sleep(0.02)
    check(False, "dnsmasq reads its addresses again")


turn.reads = 1
for addresses, cause in [
    (["127.0.0.1"], "address"),
    (["169.254.169.254"], "metadata"),
    ([PUBLIC, "127.0.0.1"], "address"),
    ([PUBLIC, "10.0.0.1"], "address"),
    ([PUBLIC, "::ffff:127.0.0.1"], "address"),
    ([PUBLIC, "64:ff9b::7f00:1"], "address"),
    (["fd00:ec2::254"], "metadata"),
    (["0.0.0.0"], "address"),
]:
    turn(*addresses)
    before = looked_up()
    answer = ask(request)
    check(" 403 " in answer and f"X-Seawall-Cause: {cause}" in answer, f"{addresses}: {answer}")
    # One look-up for the judgement and the dial: there is no second one that could differ.
    check(looked_up() == before + 1, f"{addresses}: {looked_up() - before} look-ups")
turn(PUBLIC)
check(" 200 " in ask(request), "and back again")
# An address of this host that looks public is inside too, unless the rule names it with its port.
own = Upstream(PUBLIC, 8081)
with open("policy.toml", "w") as file:
    file.write(policy.replace("ports = [8080]", "ports = [8080, 8081]"))
proxy.reload()
answer = ask(get("turn.evil.test:8081"))
check(" 403 " in answer and "an address of this host" in answer and not own.seen, answer)
check(inside.accepted == 0, "nothing arrived inside")
# Without the guard the attack succeeds: the same name, opted in to.
with open("policy.toml", "w") as file:
    file.write(policy.split("[[rules]]")[0] + "[[rules]]" + policy.split("[[rules]]")[1].replace(
        'private = [', 'private = ["127.0.0.1:8080", '))
turn("127.0.0.1")
proxy.reload()
check(" 200 " in ask(request) and inside.accepted == 1, "the opted-in address is reached")
# A name that no rule allows is not looked up at all.
ask(get("c2VjcmV0.other.test:8080"))
with open("dns.log") as file:
    check("other.test" not in file.read(), "a refused name was looked up")
kinds = [event["kind"] for event in proxy.events()]
check(kinds.count("egress.lookup") >= 10, f"the look-up log: {kinds}")
proxy.stop()
dns.terminate()
dns.wait()
print("rebinding: ok")
