"""make demo: a whole heed on this machine, with customers who chose plainly different things (story.py), messages that
are really enqueued, and the other side (receivers.py), where one sees them arrive.

DEMO=once ends by itself: status 0 once every message is where it belongs, 1 with what is missing. All that is left
behind is in var/demo/."""
import ctypes
import fcntl
import hashlib
import http.client
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

sys.dont_write_bytecode = True

import story  # noqa: E402
from receivers import Arrivals, HttpReceiver, MailSink  # noqa: E402
from view import View  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEED = ROOT / "build" / "heed"
WORK = ROOT / "var" / "demo"
SOCKET_PATH_MAX = 100  # of the 107 that Unix allows
READY_SECONDS = 20
ARRIVE_SECONDS = 60  # for all messages together
READ_SECONDS = 6  # what was told stays on the screen, before the live view
QUIET_SECONDS = 1  # what should not arrive is waited for so long
ENDED_UNSENT = {"suppressed", "failed", "expired", "cancelled"}
SETTLED = {"sent", "delivered"} | ENDED_UNSENT


class Trouble(Exception):
    """Something that the person who runs the demo has to know; ends it with status 1."""


# --- the terminal ---

COLOURS = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
WIDTHS = (16, 20, 24, 26, 46)  # for whom, about what, what they chose, where it arrived, what they read; why is last
WHERE = 3  # the one with a colour


def paint(code, words):
    return f"\033[{code}m{words}\033[0m" if COLOURS and code else words


def bold(words):
    return paint("1", words)


def say(words=""):
    print(words, flush=True)


def cell(words, width, colour=""):
    words = words if len(words) < width else words[:width - 2] + "…"
    return paint(colour, words) + " " * (width - len(words))


def row(cells, why, colour=""):
    """One line. Where the window is too narrow for it, what is read and why stand below."""
    cells = [cell(words, width, colour if i == WHERE else "") for i, (words, width) in enumerate(zip(cells, WIDTHS))]
    if sys.stdout.isatty() and shutil.get_terminal_size().columns < sum(WIDTHS) + len(why):
        cells[WHERE + 1] = "\n    " + cells[WHERE + 1].rstrip() + "  " * (cells[WHERE + 1].strip() != "")
    say("".join(cells) + why)


# --- processes ---

def port(wanted):
    """That one, or any, where somebody has it already."""
    for number in (wanted, 0):
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", number))
                return one.getsockname()[1]
            except OSError:
                pass
    raise Trouble("there is no free port on 127.0.0.1")



def die_with_parent():
    """In a child: whatever ends the demo, nothing of it is left running."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


class Process:
    """Started in a session of its own, so that Ctrl-C reaches only the demo, which ends the rest in order."""

    def __init__(self, name, command):
        self.name, self.log = name, WORK / f"{name}.log"
        with open(self.log, "wb") as log:
            try:
                self.child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                              start_new_session=True, preexec_fn=die_with_parent)
            except FileNotFoundError:
                raise Trouble(f"{command[0]} is not there; `make demo` installs and builds what is missing") from None

    def wait_for(self, path):
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            if self.child.poll() is not None:
                raise Trouble(f"{self.name} ended at once:\n{self.tail()}")
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(str(path))
                    return
                except OSError:
                    time.sleep(0.02)
        raise Trouble(f"{self.name} does not answer on {path} after {READY_SECONDS} s:\n{self.tail()}")

    def tail(self):
        return "\n".join("    " + line for line in self.log.read_text(errors="replace").splitlines()[-15:])

    def stop(self):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(30)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()


class Demo:
    """All of it, started and stopped in order."""

    def __init__(self):
        self.config = WORK / "heed.yaml"
        self.arrivals = Arrivals()
        self.running = []  # what has a stop()
        self.sockets = WORK
        self.failed = []
        self.customers = {customer.id: customer for customer in story.CUSTOMERS}
        self.told = set()  # messages that have their line
        self.lines = []    # what was told, for the live view
        self.view = None

    def start(self):
        if len(str(WORK / "redis.sock")) > SOCKET_PATH_MAX:
            self.sockets = pathlib.Path(tempfile.mkdtemp(prefix="heed-demo-"))
        mail = MailSink(self.arrivals)
        self.running.append(mail)
        self.web = HttpReceiver(self.arrivals, "ACdemo", "demo-token", story.WEBHOOK_SECRET)
        self.running.append(self.web)
        self.write_config(mail.port, self.web.port)
        redis = Process("redis", ["redis-server", "--port", "0", "--unixsocket", str(self.sockets / "redis.sock"),
                                  "--unixsocketperm", "700", "--appendonly", "yes", "--save", "", "--dir", str(WORK)])
        self.running.append(redis)
        redis.wait_for(self.sockets / "redis.sock")
        gateway = Process("gateway", [str(HEED), "--config", str(self.config), "gateway"])
        self.running.append(gateway)
        gateway.wait_for(self.sockets / "heed.sock")
        self.gateway = gateway

    def write_config(self, mail_port, http_port):
        text = (ROOT / "tests/demo/heed.yaml").read_text()
        for name, value in (("SOCKETS", self.sockets), ("MAIL", mail_port), ("HTTP", http_port), ("PUBLIC", port(8480)),
                            ("INTERNAL", port(8481)), ("TOKEN", hashlib.sha256(b"demo").hexdigest()), ("SECRET", secrets.token_urlsafe(48))):
            text = text.replace(f"@{name}@", str(value))
        self.config.touch(mode=0o600)  # it holds a secret, if only the demo's
        self.config.write_text(text.replace("demo.py writes this file to var/demo/ with the @PLACES@ filled in.",
                                            "Written by tests/demo/demo.py; made anew by the next `make demo`."))

    def stop(self):
        while self.running:
            self.running.pop().stop()
        if self.sockets != WORK:
            shutil.rmtree(self.sockets, ignore_errors=True)

    # --- heed's own commands ---

    def heed(self, *words, input=None):
        done = subprocess.run([str(HEED), "--config", str(self.config), *words], input=input, text=True, timeout=60,
                              capture_output=True, cwd=ROOT)
        if done.returncode != 0:
            raise Trouble(f"heed {' '.join(words)}: status {done.returncode}: {done.stderr.strip()}\n{self.gateway.tail()}")
        return done.stdout

    def explain(self, message):
        """None while it is still on its way into the store."""
        done = subprocess.run([str(HEED), "--config", str(self.config), "explain", message, "--json"], text=True,
                              timeout=60, capture_output=True, cwd=ROOT)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def chosen(self, customer, product):
        """What the customer said that speaks for the product, in words: for itself, what it is a part of, or all."""
        known = json.loads(self.heed("customer", "show", customer, "--json"))
        chose = {one["product"]: one["channels"] for one in known["preferences"]}
        parent = product.partition("/")[0]
        for name, behind in ((product, ""), (parent, f" for {parent}"), ("*", " for everything")):
            if name in chose:
                channels = [one if isinstance(one, str) else one["channel"] for one in chose[name]]
                stopped = "stopped" + (" everything" if name == "*" else behind.replace(" for", ""))
                return ", then ".join(channels) + behind if channels else stopped
        return "nothing"

    # --- the story ---

    def load_customers(self):
        file = WORK / "customers.jsonl"
        base = f"http://127.0.0.1:{self.web.port}"
        file.write_text("".join(json.dumps(customer.record(base), ensure_ascii=False) + "\n" for customer in story.CUSTOMERS))
        self.heed("customer", "import", str(file))

    def send(self, messages):
        file = "".join(json.dumps(message.record(), ensure_ascii=False) + "\n" for message in messages)
        self.heed("send", "--file", "-", input=file)

    def address(self, customer, channel):
        return self.customers[customer].addresses.get(channel, "")

    def tell(self, customer, product, chose, place, shows, why, good):
        name = self.customers[customer].name if customer in self.customers else customer
        read = f"“{shows}”" if shows else ""
        self.lines.append(((name, product, place, read), why, bool(shows)))
        if self.view:
            self.view.arrived(*self.lines[-1])
        else:
            row((name, product, chose, place, read), why, "32" if good else "31")

    def follow(self, message, end):
        """Waits until the message is where the story says, and tells it in a line."""
        chose = self.chosen(message.customer, message.product)
        self.told.add(message.id)
        arrival, answer = self.wait_for(message, end)
        good = arrival is not None if message.arrives else answer["state"] == "suppressed"
        if arrival:
            place, shows = f"{arrival.channel} {arrival.address}", arrival.shows
        else:
            place, shows = f"nowhere ({answer['state']})", ""
        self.tell(message.customer, message.product, chose, place, shows, why_of(answer), good)
        if not good:
            self.failed.append(f"{message.id} for {message.customer}: should go to {message.arrives or 'nobody'}; "
                               f"it is {answer['state']}")

    def wait_for(self, message, end):
        """What was seen at its receiver, and what heed says of it, once both are there or will not come."""
        address = self.address(message.customer, message.arrives)
        arrival, answer = None, {"state": "not admitted", "reasons": []}
        while True:
            arrival = arrival or self.arrivals.take(lambda seen: (seen.channel, seen.address) == (message.arrives, address)
                                                    and message.shows in seen.shows, 0.1)
            answer = self.explain(message.id) or answer
            arrives = answer["state"] not in ENDED_UNSENT
            if (arrival or not arrives) and answer["state"] in SETTLED or time.monotonic() >= end:
                return arrival, answer

    def act(self, messages):
        end = time.monotonic() + ARRIVE_SECONDS
        self.send(messages)
        for message in messages:
            self.follow(message, end)

    def play(self):
        self.load_customers()
        say(f"{len(self.customers)} customers are loaded, each with a choice of their own; now messages are enqueued for them.\n")
        row(("FOR", "ABOUT", "HAD CHOSEN", "ARRIVED AT", "READS"), "WHY")
        self.act(story.MESSAGES)
        customer, product, channels = story.CHANGE
        command = f"heed prefer {customer} {product} --channels {channels}"
        say(f"\n{self.customers[customer].name} changes his mind: {bold(command)}")
        say("  " + self.heed("prefer", customer, product, "--channels", channels).strip().replace("\n", "\n  ") + "\n")
        self.act(story.AFTER_CHANGE)
        self.look_for_strays()

    def look_for_strays(self):
        """Nothing may have arrived that nobody waits for."""
        time.sleep(QUIET_SECONDS)
        with self.arrivals.changed:
            for seen in self.arrivals.list:
                self.failed.append(f"“{seen.shows}” arrived by {seen.channel} at {seen.address}, and should not have")
            self.failed += self.arrivals.trouble
        queue = json.loads(self.heed("queue", "--json"))
        count = len(story.MESSAGES) + len(story.AFTER_CHANGE)
        if queue["admitted"] != count or queue.get("dead"):
            self.failed.append(f"{count} messages were enqueued; heed admitted {queue['admitted']}, "
                               f"and {queue.get('dead')} are dead letters")

    def verdict(self):
        say()
        for words in self.failed:
            say(paint("31", "not as it should be: ") + words)
        if self.failed:
            say(f"the gateway's log is {self.gateway.log.relative_to(ROOT)}")
        else:
            count = len(story.MESSAGES) + len(story.AFTER_CHANGE)
            say(f"{bold('All is where it belongs')}: {count} messages, each on the channel that its customer chose, or not sent "
                "where the customer had said no.")
        return 1 if self.failed else 0

    # --- the customers' pages ---

    def page(self, customer, *words):
        return self.heed("link", customer, *words).strip()

    def show_pages(self):
        """Links that work as long as the demo runs."""
        self.pages = [(customer, what, self.page(customer, *words)) for customer, what, words in story.PAGES]
        say(f"\n{bold('The pages of some customers')}, as a message's link or the bank's own application opens them:\n")
        for customer, what, url in self.pages:
            say(f"  {cell(self.customers[customer].name, WIDTHS[0])}{cell(what, WIDTHS[3])} {url}")
            with urllib.request.urlopen(url, timeout=READY_SECONDS) as answer:
                if answer.status != 200:
                    self.failed.append(f"the page of {customer} answers {answer.status}")

    # --- afterwards ---

    def invite(self):
        heed = f"build/heed --config {self.config.relative_to(ROOT)}"
        say(f"""
It goes on running until Ctrl-C. In a second terminal, in {ROOT}:

    {heed} prefer ana card-alerts --channels sms
    {heed} send --customer ana --product card-alerts --template payment-received --data '{{"amount":"3.20"}}'
    {heed} explain demo-3
    {heed} log --follow
    {heed} history felix
    {heed} queue

What you send is told here as well.
""")

    def pause_to_read(self):
        say("\nIn a moment: the live view, in which you see what you change and send from a second terminal.")
        time.sleep(READ_SECONDS)

    def keep_telling(self):
        """A line for each message that somebody else enqueues, until Ctrl-C."""
        log = subprocess.Popen([str(HEED), "--config", str(self.config), "log", "--follow", "--limit", "0", "--json"],
                               cwd=ROOT, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent)
        try:
            for line in log.stdout:
                contact = json.loads(line)
                for message in contact["messages"]:
                    self.tell_other(message, contact)
        finally:
            log.terminate()
            log.wait()
        raise Trouble(f"the log ended:\n{self.gateway.tail()}")

    # --- the live view ---

    def ask(self, path):
        """The gateway's API on its Unix socket."""
        connection = http.client.HTTPConnection("heed", timeout=10)
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(str(self.sockets / "heed.sock"))
            connection.request("GET", path)
            return json.load(connection.getresponse())
        finally:
            connection.close()

    def choice_now(self, customer, product):
        """What applies, in words; in parentheses where the customer chose nothing for this product itself."""
        path = f"/v1/customers/{customer}/preferences/{urllib.parse.quote(product, safe='')}"
        choice = self.ask(path)
        channels = [one if isinstance(one, str) else one["channel"] for one in choice.get("channels") or []]
        words = ", ".join(channels) or ("stopped" if choice["version"] else "–" if product == "*" else "no")
        return words if choice["version"] else f"({words})"

    def watch_choices(self, view, products, alive):
        while alive():
            for customer in self.customers.values():
                view.customer(customer.id, customer.name, {product: self.choice_now(customer.id, product) for product in products})
            queue = self.ask("/v1/queue")
            view.sums("admitted " + str(queue["admitted"]) + " = " + " + ".join(
                f"{queue[state]} {state}" for state in ("queued", "deferred", "sending", "sent", "delivered", "in_doubt", "suppressed",
                                                        "expired", "cancelled", "failed") if queue[state]))
            time.sleep(0.5)

    def live(self):
        """Until Ctrl-C: customers, their choices and what arrives, as others change and send."""
        products = {"*": "all products", **{name: name for name in story.PRODUCTS}}
        heed = f"build/heed --config {self.config.relative_to(ROOT)}"
        view = View(list(products.items()),
                    [f"Try in a second terminal, in {ROOT} (Ctrl-C ends the demo):",
                     f"  {heed} prefer ana card-alerts --channels sms",
                     f"  {heed} send --customer ana --product card-alerts --template payment-received --data '{{\"amount\":\"3.20\"}}'",
                     f"or change it on {self.customers[self.pages[0][0]].name}'s page: {self.pages[0][2]}"],
                    COLOURS)
        ended = []

        def thread(work):
            def run():
                try:
                    work()
                except BaseException as trouble:  # told by the main thread
                    ended.append(trouble)
                    view.dirty.set()
            threading.Thread(target=run, daemon=True).start()

        for line in self.lines:
            view.arrived(*line)
        self.view = view
        thread(lambda: self.watch_choices(view, products, lambda: not ended))
        thread(self.keep_telling)
        with view:
            view.run(lambda: not ended)
        raise ended[0] if isinstance(ended[0], Trouble) else Trouble(f"the gateway does not answer any more: {ended[0]}\n{self.gateway.tail()}")

    def tell_other(self, message, contact):
        if message in self.told or contact["state"] not in SETTLED:
            return
        self.told.add(message)
        customer, place, shows = contact["customer"], f"nowhere ({contact['state']})", ""
        if contact["channel"]:
            known = self.customers.get(customer)
            arrival = self.arrivals.take(lambda seen: seen.channel == contact["channel"] and
                                         (not known or seen.address == self.address(customer, seen.channel)), 5)
            if arrival:
                place, shows = f"{arrival.channel} {arrival.address}", arrival.shows
        answer = self.explain(message) or {"reasons": []}
        chose = self.chosen(customer, contact["product"])
        self.tell(customer, contact["product"], chose, place, shows, why_of(answer), bool(shows))


def why_of(answer):
    """The rules that spoke, in words: those that decided, without what merely confirms that it was taken."""
    says = [reason["says"] for reason in answer["reasons"] if reason["code"] not in ("accepted", "waits_turn")]
    return "; ".join(dict.fromkeys(says))


def only_demo():
    """Two at once would take each other's files away. The lock ends with the process."""
    WORK.parent.mkdir(exist_ok=True)
    lock = open(WORK.parent / "demo.lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Trouble(f"another demo is running here (it holds {WORK.parent / 'demo.lock'})") from None
    return lock


def interrupted(signum, frame):
    raise KeyboardInterrupt


def main():
    once = os.environ.get("DEMO") == "once"
    signal.signal(signal.SIGTERM, interrupted)
    demo, status = Demo(), 1
    try:
        lock = only_demo()  # noqa: F841: held until the end
        shutil.rmtree(WORK, ignore_errors=True)
        WORK.mkdir(parents=True)
        demo.start()
        demo.play()
        demo.show_pages()
        status = demo.verdict()
        if not once and sys.stdout.isatty():
            demo.pause_to_read()
            demo.live()
        elif not once:
            demo.invite()
            demo.keep_telling()
    except Trouble as trouble:
        say(f"demo: {trouble}")
        status = 1
    except KeyboardInterrupt:
        say("\nending")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        demo.stop()
    return status


if __name__ == "__main__":
    sys.exit(main())
