"""Every example that a command's help prints is run as it stands, by a shell, against a gateway with sample data."""
import csv
import json
import os
import re
import signal
import subprocess

import pytest

import harness
from harness import wait_for
from http_receiver import Answer

NOT_YET = set()
RUNS_ON = {"heed --config config/heed.yaml gateway": "is ready", "heed log --follow": "m-1"}   # until it is told to end; first it says this


def help_of(command):
    return subprocess.run([harness.HEED, command, "--help"], text=True, capture_output=True, check=True, timeout=harness.PATIENCE).stdout


def commands():
    listed = subprocess.run([harness.HEED, "help"], text=True, capture_output=True, check=True, timeout=harness.PATIENCE).stdout
    return re.findall(r"^  ([a-z]+) ", listed, re.M)


def examples(command):
    """A line that ends with a backslash goes on."""
    part = re.search(r"^Examples?:\n((?:  .*\n)+)", help_of(command), re.M)
    return re.findall(r"^  ((?:.*\\\n)*.*)$", part[1], re.M) if part else []


EXAMPLES = [(command, example) for command in commands() for example in examples(command)]


def stage(heed, folder):
    """What the examples speak of: customer c-1042, message m-1 (sent), m-7 (in doubt), m-8 (failed), a dead letter, files."""
    (folder / "config").symlink_to(heed.folder)
    ana = {"id": "c-1042", "name": "Ana", "addresses": {"email": "ana@example.com", "sms": "+5491155550100"}}
    heed.put(ana, {"id": "c-7", "addresses": {"sms": "+5491155550177"}}, {"id": "c-8", "addresses": {"sms": "+5491155550188"}})
    for customer in ("c-7", "c-8"):
        heed.prefer(customer, "card-alerts", "sms")
    message = {"customer": "c-1042", "product": "card-alerts", "template": "payment-received", "data": {"amount": "1"}}
    (folder / "messages.jsonl").write_text(json.dumps(message) + "\n")
    with open(folder / "customers.csv", "w", newline="") as file:
        csv.writer(file).writerows([["id", "email"], ["c-1042", "ana@example.com"]])
    for name, customer, state in (("m-1", "c-1042", "sent"), ("m-7", "c-7", "in_doubt"), ("m-8", "c-8", "failed")):
        heed.send(customer, id=name)
        heed.wait_state(name, state)
    heed.xadd("not a message")
    wait_for(heed.dead, what="a dead letter")


@pytest.fixture
def heed(make_gateway, receiver, sms, mail):
    """With listeners: links lead somewhere."""
    return make_gateway({"webhook": harness.webhook_channel(), "sms": harness.twilio_channel(sms), "email": harness.email_channel(mail)},
                        config=harness.http_doors()).start()


@pytest.fixture
def staged(heed, folder, sms):
    def answer(request):
        if b"188" in request.body:
            return Answer(400, {"code": 21211, "message": "no such number"})
        return Answer(201, {"no": "id"}) if b"177" in request.body else Answer(201, {"sid": "SM1", "status": "queued"})

    sms.script(harness.TWILIO_PATH, answer)
    stage(heed, folder)
    (folder / "bin").mkdir()
    (folder / "bin/heed").symlink_to(harness.HEED)
    return heed


def run(example, heed, folder):
    return subprocess.Popen(["sh", "-c", example], cwd=folder, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, preexec_fn=harness.end_with_us,
                            env={**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}", "HEED_CONFIG": str(heed.config_file)})


def test_every_command_has_an_example():
    assert {command for command in commands() if not examples(command)} == NOT_YET


def test_every_example_works_as_it_is_printed(staged, folder):
    for command, example in EXAMPLES:
        if example in RUNS_ON or "db.example.com" in example:    # test_move_up.py moves to a PostgreSQL that is there
            continue
        if command == "migrate":
            staged.stop()     # its help says so
        process = run(example, staged, folder)
        said, _ = process.communicate(timeout=harness.PATIENCE)
        assert process.returncode == 0, f"{example}\n{said}"
        if command == "migrate":
            staged.start()


@pytest.mark.parametrize("example", RUNS_ON)
def test_an_example_that_runs_on_does_so_until_it_is_told_to_end(staged, folder, example):
    assert example in [each for _, each in EXAMPLES]
    if example.endswith("gateway"):
        staged.stop()
    process = run("exec " + example, staged, folder)
    said = ""
    while RUNS_ON[example] not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    process.send_signal(signal.SIGTERM)
    assert process.wait(harness.PATIENCE) in (0, -signal.SIGTERM)
    process.stdout.close()
