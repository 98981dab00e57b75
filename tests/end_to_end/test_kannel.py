"""A real Kannel takes the text messages over its HTTP interface and hands them to its fake SMSC, which shows what a telephone
would get: the alphabet, the segments and the text."""
import re
import shutil
import socket
import subprocess
import urllib.parse

import pytest
from harness import FAST_RETRY, PATIENCE, ROOT, end_with_us, http_doors, wait_for

FAKE_SMSC = "/usr/lib/kannel/test/fakesmsc"
CONF = """
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = none
smsbox-port = {box}
smsbox-interface = 127.0.0.1
box-allow-ip = 127.0.0.1
log-file = "{folder}/bearerbox.log"

group = smsc
smsc = fake
smsc-id = FAKE
port = {smsc}
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {box}
sendsms-interface = 127.0.0.1
sendsms-port = {sendsms}
http-request-retry = 60
http-queue-delay = 1
log-file = "{folder}/smsbox.log"

group = sendsms-user
username = heed
password = s3cret
concatenation = true
max-messages = 10

group = sms-service
keyword = default
max-messages = 0
{service}
"""


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Kannel:
    """bearerbox, smsbox and the fake SMSC, each on a port of its own."""

    def __init__(self, folder, service='text = ""'):
        self.folder = folder
        self.processes = []
        folder.mkdir()
        admin, box, smsc, self.port = free_ports(4)
        (folder / "kannel.conf").write_text(CONF.format(folder=folder, admin=admin, box=box, smsc=smsc, sendsms=self.port, service=service))
        self._start(["bearerbox", str(folder / "kannel.conf")], box)
        self._start(["smsbox", str(folder / "kannel.conf")], self.port)
        self.smsc = smsc
        self.telephone()

    def telephone(self, count=0, message="1 2 text none"):
        """The fake SMSC, which shows what comes, and sends so many of a message."""
        self._start([FAKE_SMSC, "-H", "127.0.0.1", "-r", str(self.smsc), "-m", str(count), message], None)
        wait_for(lambda: "Connecting" in self.shown(), what="the fake SMSC")

    def writes(self, text):
        """The customer does, to heed."""
        self.processes.pop().terminate()
        self.telephone(1, f"+5491155550100 12345 text {text}")

    def calls_again(self):
        return "Retrying request" in (self.folder / "smsbox.log").read_text(errors="replace")

    def _start(self, words, port):
        name = words[0].rsplit("/", 1)[-1]
        with open(self.folder / f"{name}.out", "wb") as out:
            self.processes.append(subprocess.Popen(words, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                                   preexec_fn=end_with_us))
        if port:
            wait_for(lambda: self._listens(port), what=name)

    def _listens(self, port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def shown(self):
        return (self.folder / "fakesmsc.out").read_text(errors="replace")

    def messages(self):
        """(sender, receiver, alphabet, udh, text) of each segment that arrived."""
        found = []
        for line in re.findall(r"Got message \d+: <(.*)>$", self.shown(), re.M):
            sender, receiver, kind, rest = line.split(" ", 3)
            udh = b""
            if kind == "udh":
                encoded, kind, rest = rest.split(" ", 2)
                udh = urllib.parse.unquote_to_bytes(encoded)
            raw = rest.encode() if kind == "text" else urllib.parse.unquote_to_bytes(rest.replace("+", " "))
            found.append((sender, receiver, kind, udh, raw))
        return found

    def close(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(PATIENCE)


@pytest.fixture
def kannel(folder):
    if not shutil.which("bearerbox"):
        pytest.skip("Kannel is not installed")
    server = Kannel(folder / "k")
    yield server
    server.close()


@pytest.fixture
def heed(kannel, make_gateway):
    channel = {"adapter": "http", "provider": str(ROOT / "config/providers/kannel.yaml"), "timeout": "5s", "retry": FAST_RETRY,
               "settings": {"base_url": f"http://127.0.0.1:{kannel.port}", "username": "heed", "password": "s3cret", "from": "12345"}}
    products = {"card-alerts": {"title": {"en": "Card alerts"}, "channels": ["sms"], "default": ["sms"]}}
    gateway = make_gateway({"sms": channel}, products=products).start()
    gateway.put({"id": "c-1", "addresses": {"sms": "+5491155550100"}})
    return gateway


def shown_after(heed, kannel, text, segments):
    message = heed.xadd({"customer": "c-1", "product": "card-alerts", "content": {"text": text}})
    heed.wait_state(message, "sent")
    wait_for(lambda: len(kannel.messages()) >= segments, what=f"{segments} segments")
    shown = kannel.messages()
    assert len(shown) == segments and {(s[0], s[1]) for s in shown} == {("12345", "+5491155550100")}
    assert heed.contacts(message)[0]["segments"] == segments
    return shown


def test_a_gsm_text_arrives_in_one_segment(heed, kannel):
    text = "Pagaste 12,50 € en {Café} [ñ] ~ à ü ß & 100%"
    (_, _, kind, udh, raw), = shown_after(heed, kannel, text, 1)
    assert (kind, udh, raw.decode()) == ("text", b"", text)


def test_a_text_beyond_gsm_arrives_as_ucs_2(heed, kannel):
    text = "Hola Ana 🙂 Ñandú żółw"
    (_, _, kind, udh, raw), = shown_after(heed, kannel, text, 1)
    assert (kind, udh, raw.decode("utf-16-be")) == ("ucs-2", b"", text)


@pytest.mark.parametrize("text, encoding", [("[Pago] " * 50, "utf-8"), ("Pagó 🙂 ż " * 17, "utf-16-be")], ids=["GSM-7", "UCS-2"])
def test_a_long_text_arrives_in_three_segments_that_join(heed, kannel, text, encoding):
    text = text.strip()
    shown = shown_after(heed, kannel, text, 3)
    assert [s[3][-2:] for s in shown] == [b"\x03\x01", b"\x03\x02", b"\x03\x03"], "of how many, which"
    assert len({s[3][:-2] for s in shown}) == 1, "the same reference"
    assert "".join(s[4].decode(encoding) for s in shown) == text


@pytest.fixture
def calling(folder, make_gateway):
    """A gateway that Kannel calls back, and the Kannel."""
    if not shutil.which("bearerbox"):
        pytest.skip("Kannel is not installed")
    doors = http_doors()
    url = f"{doors['http']['public_url']}/in/sms/kannel?key=s3cret-w0rd&id=%I&from=%p&to=%P&text=%b"
    server = Kannel(folder / "k", f'get-url = "{url}"')
    channel = {"adapter": "http", "provider": str(ROOT / "config/providers/kannel.yaml"), "timeout": "5s", "retry": FAST_RETRY,
               "settings": {"base_url": f"http://127.0.0.1:{server.port}", "username": "heed", "password": "s3cret", "from": "12345",
                            "callback_secret": "s3cret-w0rd"}}
    products = {"card-alerts": {"title": {"en": "Card alerts"}, "channels": ["sms"], "default": ["sms"]}}
    gateway = make_gateway({"sms": channel}, products=products, config=doors).start()
    gateway.put({"id": "c-1", "addresses": {"sms": "+5491155550100"}})
    yield gateway, server
    server.close()


def test_kannels_receipt_delivers_and_a_stop_that_it_brings_is_confirmed(calling):
    gateway, kannel = calling
    message = gateway.send("c-1")
    gateway.wait_state(message, "delivered", seconds=60)      # the fake SMSC reports each at once
    kannel.writes("Stop!")
    wait_for(lambda: gateway.cli_object("customer", "show", "c-1")["states"], 60, "the stop")
    stopped = wait_for(lambda: [s for s in kannel.messages() if b"no more messages" in s[4]], 60, "the confirmation")
    assert stopped[0][1] == "+5491155550100"
    later = gateway.send("c-1")
    gateway.wait_state(later, "suppressed")
    gateway.sum_holds()


def test_a_stop_that_kannel_brings_while_the_gateway_is_away_is_brought_again(calling):
    gateway, kannel = calling
    gateway.stop()
    kannel.writes("Stop!")
    wait_for(lambda: kannel.calls_again(), 60, "Kannel to call in vain")
    gateway.start()
    wait_for(lambda: gateway.cli_object("customer", "show", "c-1")["states"], 60, "the stop")
