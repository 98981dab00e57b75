"""What the benchmarks stand on: servers on loopback in a folder of their own, customers, messages, and what each process
has used. All that is started here is ended here, by its own process id."""
import contextlib
import hashlib
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/end_to_end"))

import certificates
import harness
import redis as redis_client

HEED = os.environ.get("HEED_BIN", str(ROOT / "build/heed"))
CACHE = ROOT / "var/bench"          # stores with customers, which take a while to make
CHANNELS = ["webhook", "email", "sms"]
SECRETS = 1000                      # of receivers' companies; each signs for many customers
BATCH = 1000
BASE = 20000                        # customers that are imported; the rest is copied from them


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(port):
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


def start(words, log, **more):
    with open(log, "ab") as out:
        return subprocess.Popen([str(w) for w in words], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                preexec_fn=harness.end_with_us, **more)


def end(process, with_signal=signal.SIGTERM, seconds=60):
    if process and process.poll() is None:
        process.send_signal(with_signal)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(seconds)


def cpu_by_thread(pid):
    """Seconds on a CPU, by the name of the thread (numbers behind it taken off)."""
    used = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            name = (task / "comm").read_text().strip().rstrip("0123456789").rstrip("-")
            used[name] = used.get(name, 0) + int((task / "schedstat").read_text().split()[0]) / 1e9
    return used


def cpu_of(pid):
    """Seconds on a CPU of the process, threads that ended included."""
    words = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def children_of(pid):
    return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def memory_of(pid):
    """Resident bytes: now, and the most so far."""
    words = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    kb = lambda name: int(words.get(name, "0 kB").split()[0]) * 1024
    return kb("VmRSS"), kb("VmHWM")


class Redis:
    """As somebody who must not lose messages runs it: AOF, written to the disk every second."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.socket = str(self.folder / "redis.sock")
        self.url = "unix:" + self.socket
        self.process = start(["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", self.folder, "--appendonly", "yes",
                              "--appendfsync", "everysec", "--save", "", "--auto-aof-rewrite-percentage", "0"], self.folder / "redis.log")
        self.client = redis_client.Redis(unix_socket_path=self.socket, socket_timeout=60)
        harness.wait_for(self._answers, what="Redis to answer")
        self.pid = self.process.pid

    def _answers(self):
        with contextlib.suppress(redis_client.RedisError):
            return self.client.ping()
        return False

    def close(self):
        self.client.close()
        end(self.process, signal.SIGKILL)


class Nginx:
    """Takes webhooks (204) and text messages as Kannel takes them (202), and counts."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.port = free_port()
        (self.folder / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; pid {self.folder}/nginx.pid; error_log {self.folder}/error.log;
{"user " + pwd.getpwuid(os.getuid()).pw_name + ";" if os.getuid() == 0 else ""}
events {{ worker_connections 2048; }}
http {{
  log_format at '$msec $http_webhook_id'; map $http_webhook_id $timed {{ default 0; ~^at- 1; }}
  access_log {self.folder}/latency.log at if=$timed buffer=64k flush=1s; keepalive_requests 100000000; keepalive_timeout 600s;
  client_body_temp_path {self.folder}/b; proxy_temp_path {self.folder}/p; fastcgi_temp_path {self.folder}/f;
  uwsgi_temp_path {self.folder}/u; scgi_temp_path {self.folder}/s;
  server {{
    listen 127.0.0.1:{self.port} backlog=1024;
    location /hook {{ return 204; }}
    location /cgi-bin/sendsms {{ default_type text/plain; return 202 "0: Accepted for delivery"; }}
    location /count {{ stub_status; }}
  }}
}}
""")
        self.process = start(["nginx", "-p", self.folder, "-c", self.folder / "nginx.conf"], self.folder / "log")
        self.asked = 0
        harness.wait_for(lambda: answers(self.port), what="nginx to answer")
        self.url = f"http://127.0.0.1:{self.port}"
        self.count()
        self.pid = children_of(self.process.pid)[0]

    def count(self):
        """Requests so far, but for these."""
        words = urllib.request.urlopen(self.url + "/count", timeout=10).read().split()
        self.asked += 1
        return int(words[9]) - self.asked

    def close(self):
        end(self.process)


class Sink:
    """Postfix's smtp-sink: takes every mail and counts it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.port = free_port()
        as_root = ["-u", "nobody"] if os.getuid() == 0 else []
        self.process = start(["smtp-sink", "-c", *as_root, f"127.0.0.1:{self.port}", "1024"], self.folder / "count")
        harness.wait_for(lambda: answers(self.port), what="smtp-sink to answer")
        self.pid = self.process.pid

    def count(self):
        """Mails so far: it writes a line over itself, `sess=N quit=N mesg=N`."""
        with open(self.folder / "count", "rb") as f:
            f.seek(0, os.SEEK_END)
            f.seek(max(0, f.tell() - 200))
            words = f.read().split(b"mesg=")
        return int(words[-1].split()[0]) if len(words) > 1 and words[-1].split() else 0

    def close(self):
        end(self.process)


class TlsDoor:
    """nginx, which takes the TLS off in front of the sink, for what goes through libcurl."""

    def __init__(self, folder, sink):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.port = free_port()
        certificates.relay_certificate(self.folder)
        self.ca = self.folder / "ca.pem"
        (self.folder / "nginx.conf").write_text(f"""
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off; worker_processes 1; pid {self.folder}/nginx.pid; error_log {self.folder}/error.log;
{"user " + pwd.getpwuid(os.getuid()).pw_name + ";" if os.getuid() == 0 else ""}
events {{ worker_connections 512; }}
stream {{
  server {{
    listen 127.0.0.1:{self.port} ssl; tcp_nodelay on;
    ssl_certificate {self.folder}/relay.pem; ssl_certificate_key {self.folder}/relay.key;
    proxy_pass 127.0.0.1:{sink.port};
  }}
}}
""")
        self.process = start(["nginx", "-p", self.folder, "-c", self.folder / "nginx.conf"], self.folder / "log")
        harness.wait_for(lambda: answers(self.port), what="nginx to take TLS")
        self.pid = children_of(self.process.pid)[0]

    def close(self):
        end(self.process)


# --- what is sent, and to whom ---

PRODUCTS = {f"alerts-{channel}": {"title": {"en": f"Alerts by {channel}"}, "description": {"en": "Payments"}, "channels": CHANNELS,
                                  "default": [channel]} for channel in CHANNELS}


NOBODY = "http://127.0.0.1:10001"    # until the receiver's port is known


def customer_csv(path, count, nginx_url):
    """A quarter of them has made a choice."""
    with open(path, "w") as out:
        out.write("id,name,locale,email,sms,webhook,webhook.secret," + ",".join(f"prefer:alerts-{c}" for c in CHANNELS) + "\n")
        for i in range(count):
            chosen = CHANNELS[i // 4 % 3] if i % 4 == 0 else None
            out.write(f"c-{i},Customer {i},en,c{i}@example.com,+4915{i:09d},{nginx_url}/hook/{i % SECRETS},{secret_of(i)},"
                      + ",".join(c if c == chosen else "" for c in CHANNELS) + "\n")


def multiply(path, base, times):
    """`times` as many customers as were imported, by SQL: the import is measured for itself."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        # a store that is lost is made again; what random keys touch is in memory
        db.executescript("PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 20000; PRAGMA cache_size = -600000")
        columns = lambda table: [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        addresses = db.execute("SELECT max(n) FROM address").fetchone()[0]

        def copy(table, changed, k, where="1"):
            names = columns(table)
            made = ", ".join(changed.get(name, name) for name in names)
            db.execute(f"INSERT INTO {table} ({', '.join(names)}) SELECT {made} FROM {table} WHERE {where}")

        for k in range(1, times):
            more, far = k * base, k * addresses
            copy("customer", {"n": f"n + {more}", "id": f"'c-' || (n - 1 + {more})", "name": f"'Customer ' || (n - 1 + {more})"}, k,
                 f"n <= {base}")
            copy("address", {"n": f"n + {far}", "value":
                             f"CASE channel WHEN 'email' THEN 'c' || (CAST(substr(value, 2) AS INTEGER) + {more}) || '@example.com' "
                             f"ELSE '+4915' || printf('%09d', CAST(substr(value, 6) AS INTEGER) + {more}) END"}, k,
                 f"n <= {addresses} AND channel <> 'webhook'")
            copy("customer_address", {"customer": f"customer + {more}", "address":
                                      f"CASE WHEN (SELECT channel FROM address WHERE n = address) = 'webhook' THEN address ELSE address + {far} END"},
                 k, f"customer <= {base}")
            copy("preference", {"customer": f"customer + {more}"}, k, f"customer <= {base}")
        db.execute("UPDATE customer SET (addresses, choices) = (SELECT b.addresses, b.choices FROM customer_beside b "
                   "WHERE b.n = customer.n)")
        db.execute("UPDATE number SET value = (SELECT max(n) FROM customer) WHERE name = 'last.customer'")
        db.execute("UPDATE number SET value = (SELECT max(n) FROM address) WHERE name = 'last.address'")
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def list_contacts(db, table, behind):
    """By customer, as heed does it (adapters/store_sqlite_runs.c): a run for each block of numbers."""
    block, step = 131072, 128
    last = db.execute(f"SELECT max(seq) FROM {table}").fetchone()[0]
    db.execute("UPDATE customer_contact SET run = run / ? * ?", (step, step))     # what comes is behind what is there
    for first in range((behind + 1) // block * block, last + 1, block):
        db.execute(f"INSERT INTO customer_contact SELECT ?, customer, seq FROM {table} WHERE seq > ? AND seq >= ? AND seq < ? ORDER BY customer, seq",
                   (first // block * step, behind, first, first + block))


def secret_of(i):
    return "whsec_" + f"{i % SECRETS:032d}"


def customer_of(i, customers):
    """Spread over all of them, with no order that an index would like."""
    return i * 7919 % customers


def message(i, channel, customers, run=""):
    text = {"customer": f"c-{customer_of(i, customers)}", "product": f"alerts-{channel}", "template": "payment-received",
            "data": {"amount": f"{i % 1000}.50", "currency": "EUR", "from": "Carter & Sons", "reference": f"INV-{i}"}}
    return json.dumps({"id": f"{run}m-{i}", **text} if run else text)


def channel_of(i, load):
    return CHANNELS[i % 3] if load == "mix" else load


def fill(redis, load, count, customers, stream="heed:outbound", start=0, run=""):
    """Puts the messages in."""
    for begin in range(start, start + count, BATCH):
        pipe = redis.client.pipeline(transaction=False)
        for i in range(begin, min(begin + BATCH, start + count)):
            pipe.execute_command("XADD", stream, "*", "message", message(i, channel_of(i, load), customers, run))
        pipe.execute()


def schema_hash():
    """A store that an earlier heed made is not taken."""
    steps = sorted((ROOT / "config/schema").glob("*.sql"))
    return hashlib.sha256(b"".join(step.read_bytes() for step in steps)).hexdigest()[:8]


class Heed:
    """A gateway on a store that has customers already."""

    def __init__(self, folder, redis, nginx, sink, customers, channels=None, binary=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.binary = binary or HEED
        self.redis = redis
        self.customers = customers
        self.process = None
        config = {
            "gateway": {"name": "bench"}, "queue": {"redis": redis.url, "events_max": 10000},
            "store": {"url": f"sqlite:{self.folder}/heed.db"}, "http": {"socket": str(self.folder / "s")},
            "products": "products.yaml", "templates": str(ROOT / "templates"),
            "channels": channels or {
                "email": {"adapter": "smtp", "relay": f"smtp://127.0.0.1:{sink.port}", "from": "Example Bank <messages@example.com>",
                          "envelope_from": "bounces@example.com", "sessions": 8},
                "sms": {"adapter": "http", "provider": str(ROOT / "config/providers/kannel.yaml"),
                        "settings": {"base_url": nginx.url, "username": "bench", "password": "bench-password", "from": "Bank"}},
                "webhook": {"adapter": "webhook", "allow_private": True, "allow_http": True}}}
        (self.folder / "heed.yaml").write_text(harness.yaml_text(config))
        (self.folder / "products.yaml").write_text(harness.yaml_text(PRODUCTS))
        self.make_customers(nginx)

    def run(self, *words, seconds=600):
        return subprocess.run([self.binary, "--config", str(self.folder / "heed.yaml"), *words], check=True, capture_output=True,
                              text=True, timeout=seconds)

    def make_customers(self, nginx):
        """Copied from a store that was made once. The receiver's port is another each time: it is put in place here."""
        kept = CACHE / f"store-{self.customers}-{schema_hash()}.db"
        if not kept.exists():
            CACHE.mkdir(parents=True, exist_ok=True)
            base = min(self.customers, BASE)
            customer_csv(self.folder / "customers.csv", base, NOBODY)
            self.run("customer", "import", str(self.folder / "customers.csv"))
            (self.folder / "customers.csv").unlink()
            multiply(self.folder / "heed.db", base, self.customers // base)
            shutil.copyfile(self.folder / "heed.db", str(kept) + ".new")
            os.rename(str(kept) + ".new", kept)
        shutil.copyfile(kept, self.folder / "heed.db")
        with contextlib.closing(sqlite3.connect(self.folder / "heed.db")) as db:
            # as long as the other, so that what stands beside the customers stays right as well
            assert len(nginx.url) == len(NOBODY), nginx.url
            db.execute("UPDATE address SET value = replace(value, ?, ?) WHERE channel = 'webhook'", (NOBODY, nginx.url))
            db.execute("UPDATE customer SET addresses = replace(addresses, ?, ?)", (NOBODY, nginx.url))
            db.commit()
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def mail_through(self, relay, ca=None):
        """From the next start on."""
        config = harness.yaml.safe_load((self.folder / "heed.yaml").read_text())
        email = config["channels"]["email"]
        email["relay"] = relay
        email.pop("ca", None)
        if ca:
            email["ca"] = str(ca)
        (self.folder / "heed.yaml").write_text(harness.yaml_text(config))

    def start(self, under=()):
        began = time.monotonic()
        self.process = start([*under, self.binary, "--config", self.folder / "heed.yaml", "gateway"], self.folder / "log")
        harness.wait_for(lambda: os.path.exists(self.folder / "s") or self.process.poll() is not None, 60, "the gateway's socket", 0.001)
        assert self.process.poll() is None, (self.folder / "log").read_text()[-4000:]
        self.ready = time.monotonic() - began
        self.pid = self.process.pid
        return self

    def states(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.folder}/heed.db?mode=ro", uri=True)) as db:
            return dict(db.execute("SELECT name, value FROM number"))

    def done(self):
        """Messages whose outcome is committed."""
        states = self.states()
        return sum(states.get("state." + s, 0) for s in ("sent", "delivered", "failed", "suppressed", "expired", "in_doubt"))

    def stop(self):
        end(self.process)
        self.process = None
