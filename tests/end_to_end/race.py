"""A race: forty customers change their minds while messages stream at full speed to three receivers. The receivers and the
stream are processes of their own. All times are of one clock (CLOCK_MONOTONIC): an arrival is when the receiver saw the
first byte that made the message known, before it answered."""
import asyncio
import contextlib
import http.client
import json
import multiprocessing
import random
import re
import socket
import threading
import time

import harness
import page
import redis as redis_client

CHANNELS = ("email", "sms", "webhook")
BACKLOG = 1500     # entries in the stream: more are added only below this, so that it is never empty
LINK = ".link"     # how a message's name ends whose mail is looked at for its List-Unsubscribe
PAUSE = 0.3        # seconds at the most between an answer and the next change of the customer


# --- receivers: what arrived, when, and where to ---

class _Http(asyncio.Protocol):
    """Webhooks and the SMS company in one; requests come one after another on a connection."""

    def __init__(self, arrived):
        self.arrived, self.data, self.at = arrived, b"", 0.0

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.at = self.at or time.monotonic()
        self.data += data
        while (head := self.data.find(b"\r\n\r\n")) >= 0:
            length = int(re.search(rb"(?i)content-length: *(\d+)", self.data[:head]).group(1))
            if len(self.data) < head + 4 + length:
                return
            target, body = self.data.split(b" ", 2)[1].decode(), self.data[head + 4:head + 4 + length]
            self.data = self.data[head + 4 + length:]
            self._answer(target, body)
            self.at = time.monotonic() if self.data else 0.0

    def _answer(self, target, body):
        if target.startswith("/hook/"):
            self.arrived.append((self.at, "webhook", target, json.loads(body)["id"]))
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        else:
            name = re.search(rb"(?:^|&)Body=([^&]*)", body).group(1).decode()
            self.arrived.append((self.at, "sms", "", name))
            answer = b'{"sid":"SM%d","status":"queued"}' % len(self.arrived)
            self.transport.write(b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                                 % (len(answer), answer))


class _Smtp(asyncio.Protocol):
    def __init__(self, arrived, links):
        self.arrived, self.links, self.data, self.body, self.at = arrived, links, b"", False, 0.0

    def connection_made(self, transport):
        self.transport = transport
        transport.write(b"220 race\r\n")

    def data_received(self, data):
        self.data += data
        if self.body:
            self.at = self.at or time.monotonic()
            self._take_body()
        while not self.body and (end := self.data.find(b"\r\n")) >= 0:
            line, self.data = self.data[:end].upper(), self.data[end + 2:]
            self._command(line)
            if self.body and self.data:
                self.at = time.monotonic()
                self._take_body()

    def _command(self, line):
        if line.startswith(b"EHLO"):
            self.transport.write(b"250-race\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
        elif line == b"DATA":
            self.body = True
            self.transport.write(b"354 go on\r\n")
        elif line == b"QUIT":
            self.transport.write(b"221 bye\r\n")
            self.transport.close()
        else:
            self.transport.write(b"250 ok\r\n")

    def _take_body(self):
        end = self.data.find(b"\r\n.\r\n")
        if end < 0:
            return
        name = re.search(rb"(?im)^subject: (\S+)", self.data[:end]).group(1).decode()
        self.arrived.append((self.at, "email", "", name))
        if name.endswith(LINK):
            self.links[name] = re.search(rb"(?i)\nlist-unsubscribe:\s*<([^>]+)>", self.data[:end]).group(1).decode()
        self.data, self.body, self.at = self.data[end + 5:], False, 0.0
        self.transport.write(b"250 taken\r\n")


def _receive(pipe):
    arrived, links = [], {}

    async def serve():
        loop = asyncio.get_running_loop()
        web = await loop.create_server(lambda: _Http(arrived), "127.0.0.1", 0, backlog=512)
        mail = await loop.create_server(lambda: _Smtp(arrived, links), "127.0.0.1", 0, backlog=512)
        pipe.send([server.sockets[0].getsockname()[1] for server in (web, mail)])
        while not pipe.poll() or pipe.recv() != "stop":
            if links:
                pipe.send(links.copy())
                links.clear()
            await asyncio.sleep(0.05)

    harness.end_with_us()
    asyncio.run(serve())
    pipe.send(arrived)


class Receivers:
    """`url`, `smtp`; links(count): {message: its List-Unsubscribe}; stop() gives [(when, channel, path, message), …]."""

    def __init__(self):
        context = multiprocessing.get_context("fork")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_receive, args=(other,), daemon=True)
        self._process.start()
        web, mail = self._pipe.recv()
        self.url, self.smtp = f"http://127.0.0.1:{web}", f"smtp://127.0.0.1:{mail}"

    def links(self, count):
        found = {}
        while len(found) < count:
            assert self._pipe.poll(harness.PATIENCE), f"{count - len(found)} mails did not come"
            found.update(self._pipe.recv())
        return found

    def stop(self):
        self._pipe.send("stop")
        arrived = self._pipe.recv()
        self._process.join(10)
        return sorted(arrived)

    def close(self):
        self._process.kill()


# --- the stream ---

def _stream(redis_socket, stream, customers, products, pipe):
    harness.end_with_us()
    client = redis_client.Redis(unix_socket_path=redis_socket)
    number = 0
    while not pipe.poll():
        if client.xlen(stream) > BACKLOG:
            time.sleep(0.005)
            continue
        batch = client.pipeline(transaction=False)
        for _ in range(250):
            customer = customers[number % len(customers)]
            name = f"{customer}.{number}"
            batch.xadd(stream, {"message": json.dumps({"id": name, "customer": customer, "product": random.choice(products),
                                                       "content": {"subject": name, "text": name}})})
            number += 1
        batch.execute()
    pipe.send(number)


class Stream:
    """Messages for the customers, in turn, as fast as they are taken; each is named CUSTOMER.NUMBER."""

    def __init__(self, gateway, customers, products):
        context = multiprocessing.get_context("fork")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_stream, args=(gateway.redis.socket, gateway.stream(), customers, products, other), daemon=True)
        self._process.start()

    def stop(self):
        """How many there were."""
        self._pipe.send("stop")
        count = self._pipe.recv()
        self._process.join(10)
        return count

    def close(self):
        self._process.kill()


# --- customers who change their minds ---

class Customer(threading.Thread):
    """Changes again and again until `end`, each time when the last one was answered. `changes`: [(asked, answered, what,
    listed), …]; a change that was refused (503) leaves `what` as it was. `listed`: the ids, or where a page is answered how
    many it says."""

    def __init__(self, gateway, name, end):
        super().__init__(daemon=True)
        self.gateway, self.name, self.end = gateway, name, end
        self.changes, self.refused, self.error = [], 0, None
        self.random = random.Random(name)

    def run(self):
        try:
            while time.monotonic() < self.end:
                what = self.decide()
                self.look()
                asked = time.monotonic()
                status, answer = self.ask(what)
                answered = time.monotonic()
                if status == 503:
                    self.refused += 1
                    self.changes.append((asked, answered, self.now(), None))
                else:
                    assert status in (200, 201), (status, answer)
                    listed = answer["on_their_way"]
                    self.changes.append((asked, answered, what, listed if isinstance(listed, int) else set(listed)))
                time.sleep(self.random.uniform(0, PAUSE))
        except Exception as error:       # told by the test
            self.error = error

    def now(self):
        return self.changes[-1][2] if self.changes else self.first()

    # --- what it may do: a channel, or none; an address ---

    def first(self):
        return "email"

    def decide(self):
        return self.random.choice([*CHANNELS, *CHANNELS, ""])

    def look(self):
        """What is done before it asks, and not timed."""

    def ask(self, what):
        return self._api("PUT", f"/v1/customers/{self.name}/preferences/{self.product()}", {"channels": [what] if what else []})

    def product(self):
        return "card-alerts"

    def fits(self, what, channel, path):
        return channel == what

    def _api(self, method, path, body):
        connection = http.client.HTTPConnection("localhost", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(30)
        with contextlib.closing(connection):
            connection.sock.connect(self.gateway.socket)
            connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())


class OfAll(Customer):
    """Chooses for all products, having chosen for none."""

    def product(self):
        return "*"


class AllAtOnce(Customer):
    """All preferences in one commit."""

    def ask(self, what):
        choice = {"channels": [what] if what else []}
        return self._api("PUT", f"/v1/customers/{self.name}/preferences",
                         {"preferences": [{"product": "card-alerts", **choice}, {"product": "card-alerts/fraud", **choice}]})


class Moving(Customer):
    """Has webhooks sent to other places."""

    def first(self):
        return f"/hook/{self.name}/0"

    def decide(self):
        return f"/hook/{self.name}/{self.random.randrange(1000)}"

    def ask(self, what):
        return self._api("PATCH", f"/v1/customers/{self.name}", {"addresses": {"webhook": self.gateway.receivers.url + what}})

    def fits(self, what, channel, path):
        return channel == "webhook" and path == what


class AtTheCommandLine(Customer):
    def ask(self, what):
        done = self.gateway.cli("prefer", self.name, "card-alerts", *(["--channels", what] if what else ["--stop"]), "--json", seconds=60)
        if done.returncode == 1 and "nothing was changed" in done.stderr:
            return 503, None
        assert done.returncode == 0, done.stderr
        return 200, json.loads(done.stdout)


def percentile(times, part):
    """In milliseconds."""
    return sorted(times)[min(len(times) - 1, int(len(times) * part))] * 1000


def _page_answer(opened):
    count = re.search(r"(One message|(\d+) messages) had already left", opened.text)
    return opened.status, {"on_their_way": int(count[2] or 1) if count else 0}


class OnThePage(Customer):
    """Presses a button of the page: one tap to move it, or to stop it."""

    def look(self):
        self.page = (page.link(self.gateway, self.name, product="card-alerts") if not self.changes else self.page).get()

    def ask(self, what):
        return _page_answer(self.page.post(self.page.form(f"move:{what}" if what else "stop", product="card-alerts")))

    def decide(self):
        return self.random.choice([channel for channel in (*CHANNELS, "") if channel != self.now()])


class OneClick(Customer):
    """Unsubscribes as a mail program does, and has it sent again by the API. `url`: a List-Unsubscribe."""

    url = ""

    def decide(self):
        return "" if self.now() else self.random.choice(CHANNELS)

    def ask(self, what):
        return super().ask(what) if what else _page_answer(page.Page(self.gateway, self.url).post({"List-Unsubscribe": "One-Click"}))


def facts(receivers, customer, number):
    return {"id": customer.name, "addresses": {"email": f"{customer.name}@example.com", "sms": f"+54911555502{number:02}",
                                               "webhook": f"{receivers.url}/hook/{customer.name}/0"},
            "preferences": [{"product": "card-alerts", "channels": ["webhook"]}] if isinstance(customer, Moving) else []}


def breaches(customer, arrived):
    """What arrived against a choice that was confirmed, and was not listed by its answer."""
    found, at, told = [], 0, {}
    for when, channel, path, message in arrived:
        while at < len(customer.changes) and customer.changes[at][1] <= when:
            at += 1        # `at` changes were answered before it arrived
        what, listed = (customer.changes[at - 1][2], customer.changes[at - 1][3]) if at else (customer.first(), set())
        asked_since = at < len(customer.changes) and customer.changes[at][0] <= when
        if customer.fits(what, channel, path) or listed is None:
            continue
        if isinstance(listed, int):    # a page says how many, not which
            told.setdefault(at, set()).add(message)
            if len(told[at]) <= listed:
                continue
        elif message in listed:
            continue
        if asked_since and customer.fits(customer.changes[at][2], channel, path):
            continue
        found.append((when, channel, path, message, what))
    return found
