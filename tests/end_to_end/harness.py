"""What the end-to-end tests stand on: a private Redis, a gateway in a folder of its own, and the words to ask them. Every
wait is bounded; nothing needs the network; what is started here is ended here, by its own process id."""
import contextlib
import ctypes
import datetime
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time

import redis as redis_client
import yaml

import described

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEED = os.environ.get("HEED_BIN", str(ROOT / "build/heed"))
PATIENCE = 20.0        # seconds: the default of every wait
PATH_MAX = 100         # bytes of a Unix socket's path
LANES = {"urgent": ":urgent", "normal": "", "bulk": ":bulk"}
STATES = ["queued", "deferred", "sending", "sent", "delivered", "in_doubt", "suppressed", "held_out", "expired", "cancelled",
          "failed"]

STATE_NUMBERS = {state: number for number, state in enumerate(
    ["queued", "deferred", "sending", "sent", "delivered", "in_doubt", "suppressed", "held_out", "expired", "cancelled", "failed"])}

_libc = ctypes.CDLL(None)


def end_with_us():
    """In a child: it is killed when the thread that started it ends, however that happens."""
    _libc.prctl(1, signal.SIGKILL)


def wait_for(condition, seconds=PATIENCE, what="", pause=0.02):
    """Returns what `condition` returns, once that is true."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"waited {seconds} s in vain for {what or getattr(condition, '__name__', condition)}; last: {value!r}")
        time.sleep(pause)


def stays(condition, seconds=0.5, what="", pause=0.02):
    """True if the condition holds the whole time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert condition(), f"did not stay so: {what or getattr(condition, '__name__', condition)}"
        time.sleep(pause)
    return True


def short_folder():
    """Unix sockets have short paths, so a test's folder has one too."""
    return pathlib.Path(tempfile.mkdtemp(prefix="heed-", dir="/tmp"))


def moment(seconds):
    """In so many seconds, as the contract writes it."""
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def merged(base, extra):
    """`extra` over `base`, objects key by key; None takes a key away."""
    out = dict(base)
    for key, value in extra.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, dict) and isinstance(out.get(key), dict):
            out[key] = merged(out[key], value)
        else:
            out[key] = value
    return out


class _Plain(yaml.SafeDumper):
    """YAML without anchors: a value that is there twice is written twice."""

    def ignore_aliases(self, data):
        return True


def yaml_text(value):
    return yaml.dump(value, Dumper=_Plain, sort_keys=False, allow_unicode=True)


class Redis:
    """A private Redis on a Unix socket, which keeps everything over a restart."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.socket = str(self.folder / "redis.sock")
        assert len(self.socket.encode()) < PATH_MAX, self.socket
        self.url = "unix:" + self.socket
        self.client = redis_client.Redis(unix_socket_path=self.socket, decode_responses=True, socket_timeout=PATIENCE)
        self.process = None

    def start(self):
        self.mend()
        log = open(self.folder / "redis.log", "ab")
        with log:
            self.process = subprocess.Popen(
                ["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", str(self.folder), "--appendonly", "yes",
                 "--appendfsync", "always", "--save", ""],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=end_with_us)
        wait_for(self.answers, what="Redis to answer")
        return self

    def mend(self):
        """As the README says: a transaction that a kill tore is cut off whole. Redis alone cuts off the last command, keeps the MULTI,
        and after one more kill before the next EXEC throws away what it confirmed in between."""
        for manifest in self.folder.glob("appendonlydir/*.manifest"):
            done = subprocess.run(["redis-check-aof", "--fix", str(manifest)], input="y\n", text=True, capture_output=True, timeout=60)
            assert done.returncode == 0, done.stdout + done.stderr

    def answers(self):
        with contextlib.suppress(redis_client.RedisError):
            return self.client.ping()
        return False

    def stop(self, with_signal=signal.SIGTERM):
        if self.process:
            self.process.send_signal(with_signal)
            self.process.wait(PATIENCE)
            self.process = None
            self.client.connection_pool.disconnect()

    def kill(self):
        self.stop(signal.SIGKILL)

    def restart(self, with_signal=signal.SIGKILL):
        self.stop(with_signal)
        self.start()


# --- where a gateway keeps everything ---

# "sqlite", or "postgresql": then each gateway has a schema of its own in the server that HEED_TEST_POSTGRES names.
STORE = os.environ.get("HEED_TEST_STORE", "sqlite")
SERVER = os.environ.get("HEED_TEST_POSTGRES", "")
# How many gateways work for each that a test starts, on its store and its queue; for a store that several share.
GATEWAYS = int(os.environ.get("HEED_TEST_GATEWAYS", "1")) if STORE == "postgresql" else 1


def ask_server(sql):
    """The answer of the tests' PostgreSQL as psql prints it: a line a row, | between the columns."""
    done = subprocess.run(["psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-c", sql, SERVER], text=True, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")


def ask_store(url, sql):
    """Of a store in the tests' server."""
    return ask_server(f"SET search_path = {schema_of(url)}; {sql}")


def schema_of(url):
    schema = re.search(r"search_path%3D(s[0-9a-f]{16})", url)
    return schema[1] if schema else None


def cut_connections(url):
    """Those that a store's gateways and commands have with the server."""
    ask_server(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{schema_of(url)}'")


def store_url(folder, store=STORE):
    """Of a store of its own, which goes with the folder (see forget_store)."""
    if store != "postgresql":
        return f"sqlite:{folder}/heed.db"
    schema = "s" + hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    ask_server(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    return f"{SERVER}{'&' if '?' in SERVER else '?'}options=-csearch_path%3D{schema}&application_name={schema}"


def forget_store(url):
    """A store in the tests' server goes; a file goes with its folder."""
    if schema_of(url):
        ask_server(f"SET client_min_messages = warning; DROP SCHEMA IF EXISTS {schema_of(url)} CASCADE")


def store_rows(url, sql):
    """What a query finds in a store of either kind, as tuples."""
    if schema_of(url):
        found = ask_store(url, f"SELECT coalesce(json_agg(to_json(r)), '[]') FROM ({sql}) r")
        return [tuple(row.values()) for row in json.loads(found)]
    with contextlib.closing(sqlite3.connect(f"file:{url[len('sqlite:'):]}?mode=ro", uri=True)) as db:
        return db.execute(sql).fetchall()


def change_store(url, *statements):
    """Behind the gateway's back: it must not run."""
    if schema_of(url):
        ask_store(url, "; ".join(statements))
        return
    with contextlib.closing(sqlite3.connect(url[len("sqlite:"):], isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def store_text(url):
    """Of a store in the tests' server: all that is in it, as bytes."""
    return subprocess.run(["pg_dump", "--data-only", "--schema", schema_of(url), SERVER], stdin=subprocess.DEVNULL, check=True,
                          stdout=subprocess.PIPE, timeout=60).stdout


@contextlib.contextmanager
def store_held(url):
    """Nobody can commit to it meanwhile."""
    if schema_of(url):
        with subprocess.Popen(["psql", "-qAt", SERVER], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            holder.stdin.write(f"SET search_path = {schema_of(url)}; BEGIN; LOCK TABLE position; SELECT 'held';\n")
            holder.stdin.flush()
            assert holder.stdout.readline() == "held\n"
            yield
            holder.stdin.close()
    else:
        with contextlib.closing(sqlite3.connect(url[len("sqlite:"):], isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            yield
            db.execute("ROLLBACK")


# --- what a gateway is set up with, unless a test says otherwise ---

FAST_RETRY = {"first": "100ms", "factor": 2, "max": "500ms", "give_up_after": "30s"}

PRODUCTS = {
    "card-alerts": {"title": {"en": "Card alerts", "es": "Avisos de tarjeta"}, "description": {"en": "Every payment with your card"},
                    "purpose": "service", "channels": ["sms", "email", "webhook"], "default": ["email"]},
    "card-alerts/fraud": {"title": {"en": "Fraud warnings"}, "purpose": "critical"},
    "offers": {"title": {"en": "Offers"}, "purpose": "marketing", "channels": ["sms", "email", "webhook"], "default": []},
}

TEMPLATES = {
    "payment-received/email.subject": "You paid {{amount}}",
    "payment-received/email.text": "Hello {{customer.name}}, you paid {{amount}}.\n",
    "payment-received/email.html": "<p>Hello {{customer.name}}, you paid {{amount}}.</p>\n",
    "payment-received/sms": "You paid {{amount}}",
    "payment-received/webhook": '{"id":"{{message.id}}","amount":"{{amount}}"}',
    "payment-received/summary": "Payment of {{amount}}",
    "payment-received/es/email.subject": "Pagaste {{amount}}",
    "payment-received/es/email.text": "Hola {{customer.name}}, pagaste {{amount}}.\n",
    "payment-received/es/sms": "Pagaste {{amount}}",
    "payment-received/required": "amount\n",
}


def webhook_channel(**more):
    return merged({"adapter": "webhook", "allow_private": True, "allow_http": True, "timeout": "3s", "retry": FAST_RETRY}, more)


def free_port(host="127.0.0.1"):
    """One that was free a moment ago."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as one:
        one.bind((host, 0))
        return one.getsockname()[1]


SECRET = "an-end-to-end-secret-of-32-bytes-or-more"


def http_doors(host="127.0.0.1", tokens=None, **more):
    """The listeners `internal` and `public` on free ports, for a gateway's `config`. `tokens`: {token: {name, scopes,
    products}}; without, "all" may everything."""
    tokens = tokens or {"all": {"name": "all", "scopes": ["send", "read", "history", "write", "ops"]}}
    internal, public = free_port(host), free_port(host)
    shown = f"[{host}]" if ":" in host else host
    return {"secrets": [SECRET],
            "http": merged({"internal": f"{shown}:{internal}", "public": f"{shown}:{public}", "public_url": f"http://{shown}:{public}",
                            "tokens": [{**about, "sha256": hashlib.sha256(token.encode()).hexdigest()}
                                       for token, about in tokens.items()]}, more)}


def email_channel(server, **more):
    """`server`: MailServer, ScriptedSmtp, or anything with a url."""
    return merged({"adapter": "smtp", "relay": server.url, "from": "Example Bank <messages@example.com>",
                   "envelope_from": "bounces@example.com", "sessions": 2, "timeout": "3s", "retry": FAST_RETRY}, more)


def twilio_channel(receiver, **more):
    """An SMS company's API, played by a receiver (see twilio_takes)."""
    return merged({"adapter": "http", "provider": str(ROOT / "config/providers/twilio.yaml"), "timeout": "3s", "retry": FAST_RETRY,
                   "settings": {"base_url": receiver.url, "account_sid": "AC1", "auth_token": "secret-token", "from": "+15005550006"}},
                  more)


TWILIO_PATH = "/2010-04-01/Accounts/AC1/Messages.json"


class Gateway:
    """A gateway in its own folder. `config` is laid over the usual one key by key; `channels` is the whole section."""

    is_other = False    # one of several that a test did not start by itself

    def __init__(self, folder, redis, channels, config=None, products=None, templates=None, name="g1"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.redis = redis
        self.socket = str(self.folder / "heed.sock")
        assert len(self.socket.encode()) < PATH_MAX, self.socket
        self.config_file = self.folder / "heed.yaml"
        self.stderr_file = self.folder / "gateway.log"
        self.config = merged({"gateway": {"name": name, "drain": "5s"},
                              "queue": {"redis": redis.url if redis else "unix:" + str(self.folder / "no-redis")},
                              "store": {"url": store_url(self.folder)}, "http": {"socket": self.socket},
                              "products": "products.yaml", "templates": "templates", "channels": channels}, config or {})
        self.products = PRODUCTS if products is None else products
        self.templates = TEMPLATES if templates is None else templates
        self.words = []    # behind `heed gateway`
        self.program = HEED
        self.audited = True     # when the test is over; not where it broke the store itself
        self.process = None
        self.others = []   # that work beside it without being asked for (GATEWAYS)
        self.write()

    def beside(self, number=2):
        """Another gateway on the same store and queue, set up as this one is now; not started."""
        other = Gateway(f"{self.folder}-{number}", self.redis, self.config["channels"], products=self.products, templates=self.templates,
                        config=merged(self.config, {"gateway": {"name": f'{self.config["gateway"]["name"]}-{number}'},
                                                    "http": {"socket": f"{self.folder}-{number}/heed.sock"}}))
        other.words = self.words
        other.is_other = True
        return other

    def _others_beside(self):
        """The others of this run of the tests; listeners are this one's alone."""
        for number in range(2, GATEWAYS + 1):
            other = self.beside(number)
            other.config["http"] = {**self.config["http"], "socket": other.socket}
            for door in ("public", "internal"):
                if other.config["http"].get(door):
                    other.config["http"][door] = f"127.0.0.1:{free_port()}"
            other.config["channels"] = self.config["channels"]
            other.write()
            if (self.folder / "providers").exists():
                shutil.copytree(self.folder / "providers", other.folder / "providers", dirs_exist_ok=True)
            for path in (other.folder, *other.folder.rglob("*")):
                shutil.chown(path, self.folder.stat().st_uid, self.folder.stat().st_gid)
            yield other

    # --- its files ---

    def write(self):
        """The configuration as the attributes say; `reload` or a start makes it count."""
        self.config_file.write_text(yaml_text(self.config))
        (self.folder / "products.yaml").write_text(yaml_text(self.products))
        shutil.rmtree(self.folder / "templates", ignore_errors=True)
        (self.folder / "templates/messages").mkdir(parents=True)
        for name, text in self.templates.items():
            path = self.folder / "templates" / (name if name.startswith("partials/") else "messages/" + name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    # --- its life ---

    def start(self, ready=True, env=None, under=(), seconds=PATIENCE):
        """`under`: the words of a program that runs it (valgrind)."""
        assert self.process is None, "it runs"
        with open(self.stderr_file, "ab") as log:
            self.process = subprocess.Popen([*under, self.program, "--config", str(self.config_file), "gateway", *self.words],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **(env or {})}, preexec_fn=end_with_us)
        if ready:
            wait_for(self._ready, seconds, "the gateway to be ready")
        if ready and GATEWAYS > 1 and not self.is_other:
            self.others = [other.start(ready, env, under, seconds) for other in self._others_beside()]
        return self

    def _ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the gateway ended with {self.process.returncode}:\n" + self.stderr()[-4000:])
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.api("GET", "/v1/queue")[0] == 200
        return False

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        for one in [self, *self.others]:
            one.process.send_signal(number)

    def wait(self, seconds=PATIENCE):
        """Until it ended; its status."""
        status = self.process.wait(seconds)
        self.process = None
        for other in self.others:
            other.wait(seconds)
        self.others = []
        return status

    def stop(self, seconds=PATIENCE):
        """SIGTERM; its status (None: it did not run)."""
        if self.process is None:
            return None
        self.signal(signal.SIGTERM)
        try:
            return self.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the gateway did not end within {seconds} s of SIGTERM:\n" + self.stderr()[-4000:]) from None

    def kill(self):
        """SIGKILL, as a crash."""
        if self.process is not None:
            for one in [self, *self.others]:
                one.process.kill()
            self.wait()

    def restart(self):
        self.stop()
        return self.start()

    def reload(self):
        """SIGHUP, and waits until it says what became of it."""
        for other in self.others:
            other.products, other.templates = self.products, self.templates
            other.config = merged(self.config, {"gateway": {"name": other.config["gateway"]["name"]}, "http": other.config["http"]})
            other.config["channels"] = self.config["channels"]
            other.write()
            other.reload()
        before = len(self.log_lines("configuration was"))
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(self.log_lines("configuration was")) > before, what="the reload")

    def close(self):
        try:
            self.stop()
        finally:
            self.kill()

    def audit(self):
        """Each contact was allowed, and the sum holds. A configuration or a store that the test broke is not asked."""
        url = self.config["store"]["url"]
        if self.audited and (not url.startswith("sqlite:") or pathlib.Path(url[len("sqlite:"):]).exists()):
            self.write()
            audit = self.cli("audit", "--json", seconds=60)
            assert not audit.stdout, audit.stdout

    # --- what it says ---

    def stderr(self):
        return self.stderr_file.read_text(errors="replace") if self.stderr_file.exists() else ""

    def log_lines(self, part=""):
        return [line for line in self.stderr().splitlines() if part in line]

    # --- its store, directly ---

    @property
    def store(self):
        return self.config["store"]["url"]

    def rows(self, sql):
        return store_rows(self.store, sql)

    # --- the command line ---

    def cli(self, *args, input=None, seconds=PATIENCE, env=None):
        return subprocess.run([HEED, "--config", str(self.config_file), *map(str, args)], input=input, text=True, errors="replace",
                              capture_output=True, timeout=seconds, env={**os.environ, **(env or {})},
                              **({} if input is not None else {"stdin": subprocess.DEVNULL}))

    def cli_ok(self, *args, **more):
        """Standard output; any other status than 0 is a failure of the test."""
        done = self.cli(*args, **more)
        assert done.returncode == 0, f"heed {' '.join(map(str, args))}: status {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def cli_json(self, *args, **more):
        """The objects, one a line, that --json prints."""
        return [json.loads(line) for line in self.cli_ok(*args, "--json", **more).splitlines()]

    def cli_object(self, *args, **more):
        objects = self.cli_json(*args, **more)
        assert len(objects) == 1, objects
        return objects[0]

    # --- the API on the Unix socket ---

    def api(self, method, path, body=None, seconds=PATIENCE):
        """(status, JSON or None)"""
        connection = http.client.HTTPConnection("localhost", timeout=seconds)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(seconds)
        with contextlib.closing(connection):
            connection.sock.connect(self.socket)
            connection.request(method, path, json.dumps(body) if body is not None else None,
                               {"Content-Type": "application/json"} if body is not None else {})
            answer = connection.getresponse()
            data = answer.read()
            return answer.status, json.loads(data) if data else None

    # --- the listeners (http_doors) ---

    def http(self, method, path, body=None, token="all", door="internal", headers=None, seconds=PATIENCE):
        """Over TCP: (status, headers, bytes). `body`: bytes as they are, anything else as JSON."""
        host, _, port = self.config["http"][door].rpartition(":")
        headers = dict(headers or {})
        if token is not None and door == "internal":
            headers.setdefault("Authorization", f"Bearer {token}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        with contextlib.closing(http.client.HTTPConnection(host.strip("[]"), int(port), timeout=seconds)) as connection:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
            described.check(method, path, answer.status, answer.headers, data, public=door == "public")
            return answer.status, answer.headers, data

    def http_json(self, method, path, body=None, **more):
        """Over TCP: (status, JSON or None)"""
        status, _, data = self.http(method, path, body, **more)
        return status, json.loads(data) if data else None

    # --- customers, messages ---

    def put(self, *customers):
        """Customers, each an object as the contract has it."""
        for customer in customers:
            self.cli_ok("customer", "put", "-", input=json.dumps(customer))

    def prefer(self, customer, product, *channels):
        """No channels: stops it. Answers as `heed prefer --json` does."""
        return self.cli_object("prefer", customer, product, *(["--channels", ",".join(channels)] if channels else ["--stop"]))

    def stream(self, lane="normal"):
        return self.config["queue"].get("prefix", "heed") + ":outbound" + LANES[lane]

    def xadd(self, message, lane="normal"):
        """Enqueues as an application does; a str goes as it is. The message's id."""
        text = message if isinstance(message, str) else json.dumps(message)
        entry = self.redis.client.xadd(self.stream(lane), {"message": text})
        own = message.get("id") if isinstance(message, dict) else None
        return own or f"{self.stream(lane)}:{entry}"

    def send(self, customer, product="card-alerts", lane="normal", amount="12.50", **more):
        """A usual message, by XADD; `more` are its other keys. Its id."""
        message = {"customer": customer, "product": product, "template": "payment-received", "data": {"amount": amount}, **more}
        return self.xadd(message, lane)

    def state(self, message):
        """Of a message, "" while heed does not know it."""
        done = self.cli("explain", message, "--json")
        return json.loads(done.stdout)["state"] if done.returncode == 0 else ""

    def wait_state(self, message, *states, seconds=PATIENCE):
        return wait_for(lambda: (lambda s: s if s in states else "")(self.state(message)), seconds,
                        f"{message} to be {' or '.join(states)}", pause=0.05)

    def explain(self, message):
        return self.cli_object("explain", message)

    def reasons(self, message):
        """The codes of why it went where it went."""
        return [reason["code"] for reason in self.explain(message)["reasons"]]

    def contacts(self, message):
        """All contacts of a message, oldest first."""
        return [c for c in self.cli_json("log", "--limit", "100000") if message in c["messages"]]

    def queue(self):
        return self.cli_object("queue")

    def sum_holds(self):
        """Admitted is the sum of all states; the numbers."""
        numbers = self.queue()
        assert numbers["admitted"] == sum(numbers[state] for state in STATES), numbers
        return numbers

    def settled(self):
        """Nothing waits, in Redis or in the store, and nothing is being sent."""
        numbers = self.sum_holds()
        if numbers["waiting"] is None:     # Redis does not answer
            return None
        left = numbers["queued"] + numbers["deferred"] + numbers["sending"] + sum(numbers["waiting"].values())
        return None if left else numbers

    def wait_settled(self, seconds=PATIENCE):
        return wait_for(self.settled, seconds, "all messages to end", pause=0.1)

    # --- what went out through Redis ---

    def key(self, name):
        return f'{self.config["queue"].get("prefix", "heed")}:{name}'

    def dead(self):
        """Dead letters, oldest first, each with its own id as `dead_id`."""
        return [{**fields, "dead_id": entry} for entry, fields in self.redis.client.xrange(self.key("dead"))]

    def events(self, subject=None):
        events = [json.loads(fields["event"]) for _, fields in self.redis.client.xrange(self.key("events"))]
        return [e for e in events if subject is None or e.get("subject") == subject]

    def event_types(self, message):
        """Without repetitions (an event that is there twice has the same id)."""
        seen = {}
        for event in self.events(message):
            seen.setdefault(event["id"], event["type"])
        return list(seen.values())
