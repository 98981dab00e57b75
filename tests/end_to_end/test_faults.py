"""What is missing on our own side: room on the disk, descriptors, the right time. The gateway takes nothing meanwhile and says
why, keeps what it has, and goes on by itself when the cause is gone."""
import os
import re
import resource
import struct
import subprocess
import threading

import pytest

import harness
from harness import ROOT, STORE, wait_for
from http_receiver import Answer
from load import contacts_by_message

alone = pytest.mark.skipif(STORE != "sqlite", reason="about a store in a file")
PATIENCE = 60


@pytest.fixture
def small_disk(folder):
    """A file system of 8 MiB."""
    path = folder / "disk"
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(path)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"may not mount: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


class Disk:
    """Full, and not any more."""

    def __init__(self, path):
        self.filler = path / "filler"

    def breaks(self, _):
        with open(self.filler, "wb", buffering=0) as out:
            for size in (1 << 16, 1 << 12):
                try:
                    while True:
                        out.write(b"\0" * size)
                except OSError:
                    pass

    def mends(self, _):
        self.filler.unlink()


class FileLimit:
    """No file grows; as a quota."""

    def _set(self, heed, soft):
        resource.prlimit(heed.process.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))

    def breaks(self, heed):
        self._set(heed, os.stat(heed.folder / "heed.db-wal").st_size)

    def mends(self, heed):
        self._set(heed, resource.RLIM_INFINITY)


class ReadOnly:
    """A database of its own, whose transactions are read-only."""

    def __init__(self):
        self.name = f"read_only_{os.getpid()}"
        harness.ask_server(f"CREATE DATABASE {self.name}")
        self.url = re.sub(r"/[^/?]*\?", f"/{self.name}?", harness.SERVER, count=1)

    def _set(self, words):
        harness.ask_server(f"ALTER DATABASE {self.name} {words}; "
                           f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.name}'")

    def breaks(self, _):
        self._set("SET default_transaction_read_only = on")

    def mends(self, _):
        self._set("RESET default_transaction_read_only")


def not_ready(heed):
    status, answer = heed.api("GET", "/readyz")
    return answer["detail"] if status == 503 else ""


def is_ready(heed):
    return heed.api("GET", "/readyz")[0] == 200


def stops_and_goes_on(heed, receiver, fault, words):
    """While the store can't be written: nothing is taken, nothing begun, no outcome and no choice lost; then all arrives, once."""
    held, answered = threading.Event(), threading.Event()

    def answer(request):
        if request.path == "/held":
            answered.set()
            assert held.wait(PATIENCE)
        return Answer(200)

    receiver.default = answer
    heed.start()
    heed.put(*({"id": f"c-{n}", "addresses": {"webhook": f"{receiver.url}/{n}"}} for n in range(4)),
             {"id": "c-held", "addresses": {"webhook": f"{receiver.url}/held"}})
    for customer in ["c-0", "c-1", "c-2", "c-3", "c-held"]:
        heed.prefer(customer, "card-alerts", "webhook")
    heed.wait_state(heed.send("c-0", id="before"), "delivered")
    heed.send("c-held", id="under-way")
    assert answered.wait(PATIENCE)
    heed.wait_state("under-way", "sending")

    fault.breaks(heed)
    ids = [heed.send(f"c-{n % 4}", id=f"m-{n}") for n in range(12)]
    wait_for(lambda: words in not_ready(heed), PATIENCE, "readyz to say it")
    held.set()                                             # its outcome can't be stored either
    assert heed.cli("prefer", "c-1", "card-alerts", "--stop").returncode == 1
    assert heed.log_lines("nothing is taken from the queue until it works again")
    assert heed.redis.client.xlen(heed.stream()) == 12     # none is acknowledged
    assert words in heed.cli("queue").stderr

    fault.mends(heed)
    wait_for(lambda: is_ready(heed), PATIENCE, "the gateway to be ready again")
    heed.wait_settled(PATIENCE)
    assert heed.log_lines("the store works again")
    seen = [request.json["id"] for request in receiver.requests]
    assert sorted(seen) == sorted(["before", "under-way", *ids])
    contacts = contacts_by_message(heed)
    assert all([contact["state"] for contact in contacts[name]] == ["delivered"] for name in [*ids, "under-way"]), contacts
    assert heed.cli_object("prefer", "c-1", "card-alerts")["channels"] == ["webhook"]
    assert not heed.cli_object("queue").get("troubles")


@alone
def test_a_full_disk_is_waited_for(small_disk, make_gateway, receiver):
    heed = make_gateway({"webhook": harness.webhook_channel(timeout="60s")}, config={"store": {"url": f"sqlite:{small_disk}/heed.db"}})
    stops_and_goes_on(heed, receiver, Disk(small_disk), "is full")


@alone
def test_a_file_that_may_not_grow_is_waited_for(make_gateway, receiver):
    heed = make_gateway({"webhook": harness.webhook_channel(timeout="60s")})
    stops_and_goes_on(heed, receiver, FileLimit(), "disk I/O error")


@pytest.mark.skipif(STORE != "postgresql", reason="about a server")
def test_a_server_that_is_read_only_is_waited_for(make_gateway, receiver):
    fault = ReadOnly()
    stops_and_goes_on(make_gateway({"webhook": harness.webhook_channel(timeout="60s")}, config={"store": {"url": fault.url}}),
                      receiver, fault, "read-only")


@alone
def test_a_store_that_is_read_only_at_the_start_says_so_and_is_left_alone(small_disk, make_gateway):
    heed = make_gateway({"webhook": harness.webhook_channel()}, config={"store": {"url": f"sqlite:{small_disk}/heed.db"}})
    heed.start().stop()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    heed.start(ready=False)
    assert heed.wait() == 1
    assert "Read-only file system" in heed.stderr()
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    heed.start()


# --- no descriptors ---

def processor_time(heed):
    """Seconds that it has used."""
    fields = open(f"/proc/{heed.process.pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Descriptors:
    """The process may open no more than it has now."""

    def __init__(self, heed):
        self.process = heed.process
        self.before = resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE)

    def __enter__(self):
        used = {int(name) for name in os.listdir(f"/proc/{self.process.pid}/fd")}
        free = next(number for number in range(len(used) + 1) if number not in used)
        resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (free, self.before[1]))

    def __exit__(self, *_):
        resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, self.before)


def test_without_descriptors_nothing_is_taken_and_nobody_is_blamed(heed, receiver, sms, mail):
    heed.put({"id": "c-hook", "addresses": {"webhook": receiver.url + "/"}}, {"id": "c-sms", "addresses": {"sms": "+5491155550100"}},
             {"id": "c-mail", "addresses": {"email": "ana@example.com"}})
    channels = {"c-hook": "webhook", "c-sms": "sms", "c-mail": "email"}
    for customer, channel in channels.items():
        heed.prefer(customer, "card-alerts", channel)
    with Descriptors(heed):
        ids = [heed.send(customer, id=f"{customer}.{n}") for n in range(4) for customer in channels]
        wait_for(lambda: "no file descriptors" in not_ready(heed), PATIENCE, "readyz to say it")
        used = processor_time(heed)
        assert "no file descriptors" in heed.cli("queue").stderr
        assert harness.stays(lambda: not_ready(heed), 1.5)
        assert processor_time(heed) - used < 0.75       # nothing goes round and round
        assert heed.prefer("c-mail", "offers", "email")["on_their_way"] == []
        more = [heed.send(customer, id=f"{customer}.more") for customer in channels]
    wait_for(lambda: is_ready(heed), PATIENCE, "the gateway to be ready again")
    heed.wait_settled(PATIENCE)
    for contacts in contacts_by_message(heed).values():
        assert contacts[-1]["state"] in ("sent", "delivered") and contacts[-1]["attempt"] == 1, contacts
        assert {contact["state"] for contact in contacts[:-1]} <= {"called_back"}, contacts
    assert len(receiver.requests) + len(sms.requests) + len(mail.mails) == len(ids) + len(more)
    assert not heed.log_lines("is at fault")
    assert heed.log_lines("there are file descriptors again")


# --- a clock that jumps ---

HOUR, DAY = 3600, 86400


@pytest.fixture(scope="module")
def shifted_clock(tmp_path_factory):
    library = tmp_path_factory.mktemp("clock") / "shifted_clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(ROOT / "tests/end_to_end/shifted_clock.c")], check=True)
    return library


class Clock:
    def __init__(self, file, library):
        self.file = file
        self.jumps(0)
        self.env = {"LD_PRELOAD": str(library), "SHIFTED_CLOCK": str(file)}

    def jumps(self, seconds):
        """To so far from the right time."""
        with open(self.file, "r+b" if self.file.exists() else "wb") as out:
            out.write(struct.pack("q", seconds))


@pytest.fixture
def clock(folder, shifted_clock):
    return Clock(folder / "clock", shifted_clock)


@alone
def test_a_clock_that_jumps_and_comes_back_expires_and_fails_nothing(make_gateway, receiver, clock):
    heed = make_gateway({"webhook": harness.webhook_channel(retry={"first": "2s", "factor": 1, "max": "2s", "give_up_after": "1h"})})
    heed.start(env=clock.env)
    heed.put({"id": "c-1", "addresses": {"webhook": receiver.url + "/"}})
    heed.prefer("c-1", "card-alerts", "webhook")
    receiver.script("/", Answer(503), Answer(200))
    heed.send("c-1", id="again")
    wait_for(lambda: receiver.requests, what="the first try")
    heed.wait_state("again", "deferred")
    for jump in (DAY, -DAY):
        clock.jumps(jump)
        wait_for(lambda: "the clock jumped" in not_ready(heed), PATIENCE, "readyz to say it")
        heed.send("c-1", id=f"short{jump}", expires_at=harness.moment(HOUR))
        assert harness.stays(lambda jump=jump: heed.state(f"short{jump}") == "", 0.5)
        clock.jumps(0)
        wait_for(lambda: is_ready(heed), PATIENCE, "the gateway to be ready again")
        heed.wait_state(f"short{jump}", "delivered")
    heed.wait_state("again", "delivered")
    assert len(receiver.requests) == 4 and heed.log_lines("the clock is followed again")


@alone
def test_a_clock_that_stays_where_it_jumped_to_is_followed(make_gateway, receiver, clock):
    heed = make_gateway({"webhook": harness.webhook_channel(retry={"first": "6s", "factor": 1, "max": "6s", "give_up_after": "10m"})})
    heed.start(env=clock.env)
    heed.put({"id": "c-1", "addresses": {"webhook": receiver.url + "/"}})
    heed.prefer("c-1", "card-alerts", "webhook")
    receiver.script("/", Answer(503), Answer(200))
    heed.send("c-1", id="again")
    wait_for(lambda: receiver.requests, what="the first try")
    heed.send("c-1", id="later", send_at=harness.moment(DAY))
    heed.wait_state("later", "deferred")
    clock.jumps(-DAY)
    wait_for(lambda: not_ready(heed), PATIENCE, "readyz to say it")
    heed.wait_state("again", "delivered", seconds=PATIENCE)     # neither a day later nor given up
    assert heed.state("later") == "deferred"
    assert [contact["state"] for contact in heed.contacts("again")] == ["retry", "delivered"]
    assert is_ready(heed)
    heed.kill()                                                 # and back, between two runs
    clock.jumps(0)
    heed.start(env=clock.env)
    heed.wait_state(heed.send("c-1", id="now"), "delivered")
    assert heed.state("later") == "deferred"
