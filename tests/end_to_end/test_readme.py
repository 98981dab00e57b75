"""The README does what it says: its commands are run as they are printed, with the sample configuration, against a Redis, a
mail relay and a gateway of the test's own. Fences: `sh test` and `python test` are run in order, `sh gateway` runs on."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
SECONDS = 20

sys.path.insert(0, str(ROOT / "tests/demo"))
from receivers import Arrivals, MailSink  # noqa: E402


def blocks():
    return re.findall(r"^```(sh|python) (test|gateway)\n(.*?)^```$", README, re.M | re.S)


def connects(path):
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def wait_until(true, what):
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end, f"after {SECONDS} s: {what}"
        time.sleep(0.05)


class Reader:
    """Somebody who types what the README says. Where it says Redis on its usual port, a private one is meant."""

    def __init__(self, folder, mail_port):
        self.folder = folder
        self.processes = []
        self.write_config(mail_port)
        wrapper = folder / "redis-cli"
        wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("redis-cli")} -s {folder}/r.sock "$@"\n')
        wrapper.chmod(0o755)
        self.environment = dict(os.environ, HEED_CONFIG=str(folder / "config/heed.yaml"), PATH=f"{folder}:{os.environ['PATH']}",
                                PYTHONDONTWRITEBYTECODE="1")
        for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
            self.environment.pop(name, None)
        self.start(["redis-server", "--port", "0", "--unixsocket", f"{folder}/r.sock", "--appendonly", "yes",
                    "--save", "", "--dir", str(folder)])
        wait_until(lambda: connects(folder / "r.sock"), "Redis does not answer")

    def write_config(self, mail_port):
        shutil.copytree(ROOT / "config", self.folder / "config")
        sample = (ROOT / "config/heed.yaml").read_text()
        private, relays = re.subn(r"smtp://127\.0\.0\.1:25\b", f"smtp://127.0.0.1:{mail_port}", sample)
        assert relays == 1
        private += (f'\nqueue: {{ redis: "unix:{self.folder}/r.sock" }}\nhttp: {{ socket: "{self.folder}/h.sock" }}\n'
                    f'templates: "{ROOT}/templates"\n')
        (self.folder / "config/heed.yaml").write_text(private)
        (self.folder / "var").mkdir()

    def start(self, command):
        with open(self.folder / "log", "ab") as log:
            self.processes.append(subprocess.Popen(command, cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL,
                                                   stdout=log, stderr=log))

    def shell(self, words):
        """The folder of the binary is on PATH once the README has said so."""
        done = subprocess.run(["bash", "-e", "-c", words + "\necho \"$PATH\" >&3"], cwd=ROOT, env=self.environment, text=True,
                              timeout=300, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              preexec_fn=self.give_path_out, close_fds=False)
        assert done.returncode == 0, f"{words}\nstatus {done.returncode}:\n{done.stdout}\n{self.log()}"
        self.environment["PATH"] = (self.folder / "path").read_text().strip()
        return done.stdout

    def give_path_out(self):
        os.dup2(os.open(self.folder / "path", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 3)

    def python(self, words):
        private = words.replace("redis.Redis()", f'redis.Redis(unix_socket_path="{self.folder}/r.sock")')
        subprocess.run(["/usr/bin/python3", "-c", private], check=True, timeout=60, env=self.environment)
        return ""

    def gateway(self, words):
        self.start(["bash", "-c", "exec " + words.strip()])
        wait_until(lambda: connects(self.folder / "h.sock"), f"the gateway does not answer:\n{self.log()}")

    def settle(self):
        """What was enqueued is admitted and sent: what a person waits for before the next paragraph."""
        def quiet():
            queue = json.loads(self.shell("heed queue --json"))
            return not (any(queue["waiting"].values()) or queue["queued"] or queue["deferred"] or queue["sending"])
        if connects(self.folder / "h.sock"):
            wait_until(quiet, "messages are still on their way")

    def log(self):
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@pytest.fixture
def mail():
    arrivals = Arrivals()
    sink = MailSink(arrivals)
    yield sink
    sink.stop()


@pytest.fixture
def reader(mail):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="readme-"))
    reader = Reader(folder, mail.port)
    yield reader
    reader.stop()
    shutil.rmtree(folder, ignore_errors=True)


def test_every_command_works_as_printed_and_the_mails_arrive(reader, mail):
    output = ""
    for language, kind, words in blocks():
        if kind == "gateway":
            reader.gateway(words)
        else:
            output += reader.python(words) if language == "python" else reader.shell(words)
        reader.settle()
    arrived = [(seen.address, seen.shows) for seen in mail.arrivals.list]
    assert sorted(arrived) == [("ana@example.com", "Ha recibido 12.50 EUR"), ("ana@example.com", "Ha recibido 7.00"),
                               ("ana@example.com", "Ha recibido 8.00"), ("clara@example.com", "Zahlungseingang: 5.00")], output
    queue = json.loads(reader.shell("heed queue --json"))
    assert queue["admitted"] == 4 and queue["dead"] == 0


def named_in_the_tour():
    """The modules of the tour's tables, by path without suffix: a header stands for the file of the same name."""
    tour = README[README.index("## The tour"):]
    for room, table in re.findall(r"^\| file in (\w+)/ (.*?)\n\n", tour, re.M | re.S):
        for name in re.findall(r"`([\w*/]+(?:\.[ch]|/|\*))`", table):
            found = list((ROOT / room).glob(name)) or list(ROOT.glob(name))
            assert found, f"{room}/{name} is in the tour and not in the tree"
            for path in found:
                yield from (path.iterdir() if path.is_dir() else [path])


def test_the_tour_names_every_module_and_no_file_that_is_not_there():
    named = {path.with_suffix("") for path in named_in_the_tour()}
    there = {path.with_suffix("") for room in ("gateway", "adapters") for path in (ROOT / room).rglob("*.[ch]")}
    missing = sorted(str(path.relative_to(ROOT)) for path in there - named)
    assert not missing, "the tour does not name " + ", ".join(missing)
