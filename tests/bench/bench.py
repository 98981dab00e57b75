"""`make bench`: heed, beside the usual Node stack and Kannel, and beside what the parts allow. One run, everything on
loopback, the contenders in turns (A B A B), so that the machine's drift cancels; bounded in time; one table of medians, with
the lowest and the highest, and the CPU that each process used for a message."""
import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import time

import stage
from stage import ROOT, harness

NODE = ROOT / "var/bench/node"
PEER = ROOT / "tests/peers/bullmq"
LOADS = ["webhook", "email", "mix"]
PATIENCE = 60
LATENCY_SECONDS = 45


def log(words):
    print(words, flush=True)


class Table:
    """What was seen, by contender and load."""

    def __init__(self):
        self.seen = {}

    def add(self, contender, load, rate, cpu):
        self.seen.setdefault((contender, load), []).append((rate, cpu))
        log(f"  {contender}, {load}: {rate:,.0f}/s; " + ", ".join(f"{n} {v:.0f}" for n, v in cpu.items() if v >= 0.5) + " us")

    def median(self, contender, load):
        rates = [rate for rate, _ in self.seen.get((contender, load), [])]
        return statistics.median(rates) if rates else 0.0

    def show(self):
        log("\n| | | messages/s: median | lowest | highest | CPU us a message, by process |\n| --- | --- | --- | --- | --- | --- |")
        for (contender, load), runs in self.seen.items():
            rates = [rate for rate, _ in runs]
            cpu = {name: statistics.median(run[1].get(name, 0) for run in runs) for name in runs[0][1]}
            log(f"| {contender} | {load} | {statistics.median(rates):,.0f} | {min(rates):,.0f} | {max(rates):,.0f} | "
                + ", ".join(f"{n} {v:.0f}" for n, v in cpu.items() if v >= 0.5) + " |")


class Receivers:
    def __init__(self, folder):
        self.nginx, self.sink = stage.Nginx(folder / "n"), stage.Sink(folder / "m")

    def count(self):
        return self.nginx.count() + self.sink.count()

    def wait(self, count, alive, warm):
        """Until so many more arrived: the seconds that the last three quarters took, and how many that were. In the first a
        program starts and warms up: `warm` is called behind it."""
        before = last = self.count()
        first, at_first, until = None, 0, time.monotonic() + PATIENCE
        while last - before < count:
            assert time.monotonic() < until, f"{last - before} of {count} arrived in {PATIENCE} s"
            assert alive(), "it ended"
            time.sleep(0.01)
            now, last = time.monotonic(), self.count()
            if first is None and last - before >= count // 4:
                first, at_first = now, last
                warm()
        return time.monotonic() - first, before + count - at_first

    def close(self):
        self.nginx.close()
        self.sink.close()


def measure(receivers, count, processes, alive, begin, settled):
    """Messages a second, and CPU by process, of what `begin` sets going: of all contenders without what they need to start."""
    processes = {"nginx": lambda: [receivers.nginx.pid], "smtp-sink": lambda: [receivers.sink.pid], **processes}
    used = lambda: {name: sum(stage.cpu_of(pid) for pid in pids()) for name, pids in processes.items()}
    before = {}
    begin()
    seconds, counted = receivers.wait(count, alive, lambda: before.update(used()))
    harness.wait_for(settled, PATIENCE, "what was sent to be recorded")
    after = used()
    return counted / max(seconds, 1e-3), {name: (after[name] - before[name]) * 1e6 / counted for name in after}


class HeedRuns:
    name = "heed"

    def __init__(self, folder, receivers, customers):
        self.receivers, self.customers, self.runs = receivers, customers, 0
        self.redis = stage.Redis(folder / "hr")
        self.heed = stage.Heed(folder / "h", self.redis, receivers.nginx, receivers.sink, customers)
        self.memory, self.ready = 0, []
        self.door = stage.TlsDoor(folder / "t", receivers.sink)

    def run(self, load, count, tls=False):
        """`tls`: mails go through libcurl, not libesmtp; nginx takes the TLS off before the sink."""
        heed, redis = self.heed, self.redis
        if tls:
            heed.mail_through(f"smtps://127.0.0.1:{self.door.port}", self.door.ca)
        else:
            heed.mail_through(f"smtp://127.0.0.1:{self.receivers.sink.port}")
        more = {"nginx (TLS)": lambda: [self.door.pid]} if tls else {}
        self.runs += 1
        stage.fill(redis, load, count, self.customers, start=self.runs * 1000003)
        done = heed.done() + count if self.runs > 1 else count
        pids = lambda: [heed.pid] if heed.process else []
        try:
            result = measure(self.receivers, count, {"heed": pids, "redis": lambda: [redis.pid], **more}, lambda: heed.process.poll() is None,
                             heed.start, lambda: heed.done() >= done and redis.client.xlen("heed:outbound") == 0)
            self.ready.append(heed.ready)
            self.memory = max(self.memory, stage.memory_of(heed.pid)[1])
            return result
        finally:
            heed.stop()

    def close(self):
        self.heed.stop()
        self.redis.close()
        self.door.close()


class BullRuns:
    def __init__(self, folder, receivers, customers, processes):
        self.name = f"BullMQ, {processes} process" + ("es" if processes > 1 else "")
        self.folder, self.receivers, self.customers, self.count = folder / f"b{processes}", receivers, customers, processes
        self.folder.mkdir()
        self.redis = stage.Redis(self.folder / "r")
        self.workers, self.filled, self.runs = [], set(), 0
        self.config = self.folder / "config.json"
        self.config.write_text(json.dumps({"redis": self.redis.socket, "http": receivers.nginx.url, "smtp": receivers.sink.port,
                                           "db": str(self.folder / "history.db"), "templates": str(ROOT / "templates")}))

    def know(self, count, start):
        """The customers of these messages, as hashes; a quarter of them has chosen."""
        pipe = self.redis.client.pipeline(transaction=False)
        for i in {stage.customer_of(m, self.customers) for m in range(start, start + count)} - self.filled:
            self.filled.add(i)
            pipe.hset(f"customer:c-{i}", mapping={
                "name": f"Customer {i}", "email": json.dumps({"address": f"c{i}@example.com"}), "sms": json.dumps({"number": f"+4915{i:09d}"}),
                "webhook": json.dumps({"path": f"/hook/{i % stage.SECRETS}", "secret": stage.secret_of(i)})})
            if i % 4 == 0:
                channel = stage.CHANNELS[i // 4 % 3]
                pipe.hset(f"preferences:c-{i}", f"alerts-{channel}", json.dumps([channel]))
            if len(pipe) >= stage.BATCH:
                pipe.execute()
        pipe.execute()

    def begin(self):
        env = {**os.environ, "NODE_PATH": str(NODE / "node_modules"), "NODE_ENV": "production"}
        self.workers = [stage.start(["node", PEER / "worker.js", self.config], self.folder / "log", env=env) for _ in range(self.count)]

    def run(self, load, count):
        self.runs += 1
        start = self.runs * 1000003
        self.know(count, start)
        jobs = self.folder / "jobs.jsonl"
        with open(jobs, "w") as out:
            for i in range(start, start + count):
                message = json.loads(stage.message(i, stage.channel_of(i, load), self.customers))
                out.write(json.dumps({key: message[key] for key in ("customer", "product", "data")}) + "\n")
        env = {**os.environ, "NODE_PATH": str(NODE / "node_modules")}
        subprocess.run(["node", PEER / "fill.js", self.redis.socket, jobs], check=True, env=env, timeout=PATIENCE)
        left = lambda: self.redis.client.zcard("bull:messages:completed") + self.redis.client.llen("bull:messages:wait") + self.redis.client.llen("bull:messages:active")
        try:
            return measure(self.receivers, count, {"node": lambda: [w.pid for w in self.workers], "redis": lambda: [self.redis.pid]},
                           lambda: all(w.poll() is None for w in self.workers), self.begin, lambda: left() == 0)
        finally:
            for worker in self.workers:
                stage.end(worker, seconds=10)
            self.workers = []
            self.redis.client.delete(*(self.redis.client.keys("bull:*") or ["none"]))

    def close(self):
        for worker in self.workers:
            stage.end(worker)
        self.redis.close()


class Kannel:
    """bearerbox and smsbox, text messages over HTTP to the same nginx; wrk asks."""
    name = "Kannel"

    def __init__(self, folder, receivers):
        self.folder, self.receivers = folder / "k", receivers
        self.folder.mkdir()
        admin, smsbox, self.port = (stage.free_port() for _ in range(3))
        (self.folder / "kannel.conf").write_text(f"""
group = core
admin-port = {admin}
admin-password = bench
smsbox-port = {smsbox}
log-level = 4
box-allow-ip = 127.0.0.1

group = smsc
smsc = http
smsc-id = bench
system-type = kannel
smsc-username = bench
smsc-password = bench-password
port = {stage.free_port()}
connect-allow-ip = 127.0.0.1
send-url = {receivers.nginx.url}/cgi-bin/sendsms
max-pending-submits = 128

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {self.port}
log-level = 4

group = sendsms-user
username = bench
password = bench-password
max-messages = 10
""")
        conf = self.folder / "kannel.conf"
        self.bearer = stage.start(["/usr/sbin/bearerbox", conf], self.folder / "log", cwd=self.folder)
        harness.wait_for(lambda: stage.answers(smsbox), what="bearerbox")
        self.box = stage.start(["/usr/sbin/smsbox", conf], self.folder / "log", cwd=self.folder)
        harness.wait_for(lambda: stage.answers(self.port), what="smsbox")

    def run(self, seconds):
        before = {"kannel": sum(stage.cpu_of(p.pid) for p in (self.bearer, self.box)), "nginx": stage.cpu_of(self.receivers.nginx.pid)}
        came, began = self.receivers.nginx.count(), time.monotonic()
        subprocess.run(["wrk", "-t1", "-c32", f"-d{seconds}s", f"http://127.0.0.1:{self.port}/cgi-bin/sendsms?username=bench&"
                        "password=bench-password&from=Bank&to=%2B4915000000001&text=You+received+12.50+EUR"], check=True,
                       capture_output=True, timeout=PATIENCE)
        took, count = time.monotonic() - began, self.receivers.nginx.count() - came
        after = {"kannel": sum(stage.cpu_of(p.pid) for p in (self.bearer, self.box)), "nginx": stage.cpu_of(self.receivers.nginx.pid)}
        return count / took, {name: (after[name] - before[name]) * 1e6 / max(count, 1) for name in after}

    def close(self):
        stage.end(self.box)
        stage.end(self.bearer)


# --- what the parts allow ---

def limit_wrk(receivers, folder, seconds):
    (folder / "post.lua").write_text('wrk.method = "POST"\nwrk.headers["content-type"] = "application/json"\nwrk.body = string.rep("x", 220)\n')
    before, came, began = stage.cpu_of(receivers.nginx.pid), receivers.nginx.count(), time.monotonic()
    subprocess.run(["wrk", "-t1", "-c128", f"-d{seconds}s", "-s", folder / "post.lua", receivers.nginx.url + "/hook/1"], check=True,
                   capture_output=True, timeout=PATIENCE)
    count = receivers.nginx.count() - came
    return count / (time.monotonic() - began), {"nginx": (stage.cpu_of(receivers.nginx.pid) - before) * 1e6 / count}


def limit_smtp(receivers, count):
    before, began = stage.cpu_of(receivers.sink.pid), time.monotonic()
    subprocess.run(["smtp-source", "-s", "8", "-m", str(count), "-l", "1500", f"127.0.0.1:{receivers.sink.port}"], check=True,
                   capture_output=True, timeout=PATIENCE)
    return count / (time.monotonic() - began), {"smtp-sink": (stage.cpu_of(receivers.sink.pid) - before) * 1e6 / count}


def limit_redis(redis, count):
    """XREADGROUP and XACK by 500, from a client that looks at nothing."""
    stage.fill(redis, "webhook", count, 1000, stream="limit")
    redis.client.execute_command("XGROUP", "CREATE", "limit", "g", "0")
    before, began, left = stage.cpu_of(redis.pid), time.monotonic(), count
    while left > 0:
        entries = redis.client.execute_command("XREADGROUP", "GROUP", "g", "c", "COUNT", "500", "STREAMS", "limit", ">")[0][1]
        redis.client.execute_command("XACK", "limit", "g", *[entry[0] for entry in entries])
        left -= len(entries)
    took = time.monotonic() - began
    redis.client.delete("limit")
    return count / took, {"redis": (stage.cpu_of(redis.pid) - before) * 1e6 / count}


# --- latency ---

def latency(runs, receivers, rate, seconds):
    """From XADD to nginx's log, in milliseconds: the message's id says when it was put in."""
    heed, redis = runs.heed, runs.redis
    logged = receivers.nginx.folder / "latency.log"
    start_size = logged.stat().st_size
    count = int(rate * seconds)
    base = heed.done()
    heed.start()
    try:
        began, sent = time.time(), 0
        while sent < count:
            due = min(count, int((time.time() - began) * rate) + 1)
            if due > sent:
                pipe = redis.client.pipeline(transaction=False)
                for i in range(sent, due):
                    text = json.loads(stage.message(i, "webhook", runs.customers))
                    text["id"] = f"at-{time.time():.6f}-{i}"
                    pipe.execute_command("XADD", "heed:outbound", "*", "message", json.dumps(text))
                pipe.execute()
                sent = due
            time.sleep(0.0005)
        took = time.time() - began
        harness.wait_for(lambda: heed.done() >= base + count, PATIENCE, "the messages to arrive")
        time.sleep(1.2)  # nginx writes its log every second
    finally:
        heed.stop()
    with open(logged) as log_file:
        log_file.seek(start_size)
        times = sorted(max(0.0, (float(at) - float(identity.split("-")[1])) * 1000)
                       for at, identity in (line.split() for line in log_file if " at-" in line))
    at = lambda share: times[min(len(times) - 1, int(len(times) * share))]
    return len(times) / took, at(0.5), at(0.99), at(0.999)


def peer_ready():
    """The packages of the peer, once: better-sqlite3 is compiled against the headers that came with Node."""
    stamp = NODE / "package.json"
    if (NODE / "ready").exists() and stamp.exists() and stamp.read_text() == (PEER / "package.json").read_text():
        return
    NODE.mkdir(parents=True, exist_ok=True)
    shutil.copy(PEER / "package.json", stamp)
    env = {**os.environ, "npm_config_build_from_source": "true"}
    if pathlib.Path("/usr/include/node/node.h").exists():
        env["npm_config_nodedir"] = "/usr"
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"], cwd=NODE, check=True, env=env, timeout=600)
    (NODE / "ready").write_text("")


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--customers", type=int, default=1000000)
    words.add_argument("--messages", type=int, default=20000, help="in a run of heed; the others get fewer, by their pace")
    words.add_argument("--minutes", type=float, default=9.0, help="no round begins after them")
    words = words.parse_args()
    began, folder, table, opened = time.monotonic(), harness.short_folder(), Table(), []
    load_before = os.getloadavg()[0]
    try:
        peer_ready()
        receivers = Receivers(folder)
        opened.append(receivers)
        log(f"{words.customers:,} customers, a quarter of them with a choice; {os.cpu_count()} cores, load {load_before:.1f} before")
        heed = HeedRuns(folder, receivers, words.customers)
        opened.append(heed)
        peers = [BullRuns(folder, receivers, words.customers, n) for n in (1, 2)]
        opened.extend(peers)
        kannel = Kannel(folder, receivers)
        opened.append(kannel)
        longest = 0.0
        for round_ in range(words.rounds):
            if round_ and time.monotonic() - began + longest > words.minutes * 60 - LATENCY_SECONDS:
                log("the time is up")
                break
            log(f"round {round_ + 1}")
            round_began = time.monotonic()
            for load in LOADS:
                for contender in (heed, *peers):
                    share = 1.0 if contender is heed else 0.4
                    table.add(contender.name, load, *contender.run(load, int(words.messages * share)))
            table.add("heed, mail by libcurl and TLS", "email", *heed.run("email", words.messages, tls=True))
            table.add("Kannel", "sms", *kannel.run(3))
            table.add("limit: wrk alone", "webhook", *limit_wrk(receivers, folder, 3))
            table.add("limit: smtp-source alone", "email", *limit_smtp(receivers, words.messages))
            table.add("limit: XREADGROUP and XACK alone", "-", *limit_redis(heed.redis, words.messages))
            longest = max(longest, time.monotonic() - round_began)
        table.show()
        log("")
        for load, wanted in (("mix", 8), ("email", 7), ("webhook", 4)):
            best = max(table.median(peer.name, load) for peer in peers)
            log(f"{load}: {table.median('heed', load) / best:.1f} times the better BullMQ figure ({wanted} or more is wanted)")
        log("\nXADD to the receiver, webhooks\n| messages/s | p50 ms | p99 ms | p99.9 ms |\n| --- | --- | --- | --- |")
        for rate, seconds in ((10, 5), (1000, 5), (5000, 4)):
            if time.monotonic() - began > words.minutes * 60:
                break
            reached, p50, p99, p999 = latency(heed, receivers, rate, seconds)
            log(f"| {rate:,} (reached {reached:,.0f}) | {p50:.1f} | {p99:.1f} | {p999:.1f} |")
        log(f"\nresident at most {heed.memory / 1e6:.0f} MB; ready in {statistics.median(heed.ready) * 1000:.0f} ms "
            f"(highest {max(heed.ready) * 1000:.0f}); binary {os.path.getsize(stage.HEED) / 1e6:.1f} MB with symbols")
        log(f"load average {os.getloadavg()[0]:.1f} at the end; {time.monotonic() - began:.0f} s in all")
    finally:
        for server in reversed(opened):
            with contextlib.suppress(Exception):
                server.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
