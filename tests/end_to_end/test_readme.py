"""The README does what it says: its commands are run as they are printed, with the sample configuration, against a Redis, a
mail relay and a gateway of the test's own. Fences: `sh test` and `python test` are run in order, `sh gateway` runs on."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest
from harness import PATIENCE, ROOT, end_with_us, wait_for

README = (ROOT / "README.md").read_text()
BUILD_SECONDS = 300


def blocks():
    return re.findall(r"^```(sh|python) (test|gateway)\n(.*?)^```$", README, re.M | re.S)


class Reader:
    """Somebody who types what the README says. Where it says Redis and the relay on their usual ports, private ones are meant."""

    def __init__(self, folder, redis, mail):
        self.folder, self.redis, self.process = folder, redis, None
        self.write_config(mail)
        wrapper = folder / "redis-cli"
        wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("redis-cli")} -s {redis.socket} "$@"\n')
        wrapper.chmod(0o755)
        ours = {"HEED_CONFIG": str(folder / "config/heed.yaml"), "PATH": f"{folder}:{os.environ['PATH']}"}
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))} | ours

    def write_config(self, mail):
        shutil.copytree(ROOT / "config", self.folder / "config")
        sample = (ROOT / "config/heed.yaml").read_text()
        private, relays = re.subn(r"smtp://127\.0\.0\.1:25\b", mail.url, sample)
        assert relays == 1
        private += (f'\nqueue: {{ redis: "{self.redis.url}" }}\nhttp: {{ socket: "{self.folder}/h.sock" }}\n'
                    f'templates: "{ROOT}/templates"\n')
        (self.folder / "config/heed.yaml").write_text(private)
        (self.folder / "var").mkdir()

    def shell(self, words):
        """What `export PATH=…` says holds for what follows."""
        path = self.folder / "path"
        done = subprocess.run(["bash", "-e", "-c", f'{words}\necho "$PATH" > {path}'], cwd=ROOT, env=self.environment, text=True,
                              timeout=BUILD_SECONDS, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, f"{words}\nstatus {done.returncode}:\n{done.stdout}"
        self.environment["PATH"] = path.read_text().strip()
        return done.stdout

    def python(self, words):
        private = words.replace("redis.Redis()", f'redis.Redis(unix_socket_path="{self.redis.socket}")')
        subprocess.run(["/usr/bin/python3", "-c", private], check=True, timeout=PATIENCE, env=self.environment)

    def gateway(self, words):
        with open(self.folder / "gateway.log", "wb") as log:
            self.process = subprocess.Popen(["bash", "-c", "exec " + words.strip()], cwd=ROOT, env=self.environment,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=end_with_us)
        wait_for(self.gateway_answers, what="the gateway to answer")

    def gateway_answers(self):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.folder / "h.sock")) == 0

    def settle(self):
        """What was enqueued is admitted and sent: what a person waits for before the next paragraph."""
        def quiet():
            queue = json.loads(self.shell("heed queue --json"))
            return not (any(queue["waiting"].values()) or queue["queued"] or queue["deferred"] or queue["sending"])
        wait_for(quiet, what="messages to arrive")

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE)


@pytest.fixture
def reader(folder, redis, mail):
    reader = Reader(folder, redis, mail)
    yield reader
    reader.stop()


def test_every_command_works_as_printed_and_the_mails_arrive(reader, mail):
    run = {"sh test": reader.shell, "python test": reader.python, "sh gateway": reader.gateway}
    for language, kind, words in blocks():
        run[f"{language} {kind}"](words)
        if reader.process:
            reader.settle()
    assert sorted((seen.recipients[0], seen.message["Subject"]) for seen in mail.mails) == [
        ("ana@example.com", "Ha recibido 12.50 EUR"), ("ana@example.com", "Ha recibido 7.00"),
        ("ana@example.com", "Ha recibido 8.00"), ("clara@example.com", "Zahlungseingang: 5.00")]
    queue = json.loads(reader.shell("heed queue --json"))
    assert (queue["admitted"], queue["dead"]) == (4, 0)


def test_its_anchors_lead_somewhere():
    headings = {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in re.findall(r"^#+ (.*)$", README, re.M)}
    assert set(re.findall(r"\]\(#([^)]*)\)", README)) <= headings


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
