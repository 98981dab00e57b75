"""Memory and open files are flat over 100,000 messages, and valgrind has nothing to say of a short life."""
import json
import pathlib
import socket
import statistics
import subprocess

import pytest

import harness
from harness import wait_for
from http_receiver import Answer
from load import CHANNELS, put_customers

WARM_UP = 30000             # the store's page cache of 16 MB is full by then
SLICES, MESSAGES = 7, 10000
SLICE = 1000                # messages put in the queue at a time
CUSTOMERS = 100
# A leak grows with every slice, while a buffer that is bounded (events on their way to Redis, most of all) comes and goes by
# some MB: so the medians of the first and of the second half are compared. kB of resident memory for a slice.
SLICE_GROWTH_MAX = 512 if harness.STORE == "sqlite" else 2048    # what a server answers comes and goes by the megabyte
FILES_MAX = 8               # more than before
SECONDS = 240               # for the longest slice, on a machine that is busy

NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ return 200; }} }}
}}
"""


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def nginx(folder):
    """The URL of a receiver that is never in the way."""
    place = folder / "n"
    place.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (place / "nginx.conf").write_text(NGINX.format(folder=place, port=port))
    server = subprocess.Popen(["/usr/sbin/nginx", "-p", str(place), "-e", str(place / "nginx.log"), "-c", str(place / "nginx.conf")],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=harness.end_with_us)
    wait_for(lambda: answers(port), what="nginx to answer")
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait(10)


def memory(gateway):
    """kB that are resident, without the pages of files."""
    lines = pathlib.Path(f"/proc/{gateway.process.pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def files(gateway):
    return len(list(pathlib.Path(f"/proc/{gateway.process.pid}/fd").iterdir()))


def enqueue(gateway, first, count):
    text = "Hello, this is a message of a usual length, which nobody is going to read. " * 3
    for start in range(first, first + count, SLICE):
        pipe = gateway.redis.client.pipeline(transaction=False)
        for number in range(start, start + SLICE):
            pipe.xadd("heed:outbound", {"message": json.dumps({"id": f"m-{number:06}", "customer": f"c-{number % CUSTOMERS}",
                                                               "product": "card-alerts", "content": {"text": text}})})
        pipe.execute()


def through(gateway, first, count):
    enqueue(gateway, first, count)
    wait_for(lambda: (lambda n: n["delivered"] == first + count and not any(n["waiting"].values()))(gateway.sum_holds()), SECONDS,
             "all to be delivered", pause=0.2)
    wait_for(lambda: gateway.redis.client.xlen("heed:outbound") == 0, what="the stream to be empty")


def test_memory_and_open_files_are_flat_over_100000_messages(make_gateway, nginx):
    gateway = make_gateway({"webhook": harness.webhook_channel(timeout="30s")}, config={"queue": {"events_max": 1000}}, products={
        "card-alerts": {"title": {"en": "Card"}, "purpose": "service", "channels": ["webhook"], "default": ["webhook"]}}).start()
    file = gateway.folder / "customers.jsonl"
    file.write_text("".join(json.dumps({"id": f"c-{i}", "addresses": {"webhook": f"{nginx}/{i}"}}) + "\n" for i in range(CUSTOMERS)))
    gateway.cli_ok("customer", "import", file)
    through(gateway, 0, WARM_UP)
    resident, files_before = [memory(gateway)], files(gateway)
    for number in range(SLICES):
        through(gateway, WARM_UP + number * MESSAGES, MESSAGES)
        resident.append(memory(gateway))
    print(f"memory {resident} kB; open files {files_before}, then {files(gateway)}")
    half = len(resident) // 2
    grown = statistics.median(resident[half:]) - statistics.median(resident[:half])
    assert grown < half * SLICE_GROWTH_MAX, resident
    assert files(gateway) - files_before < FILES_MAX
    assert gateway.queue()["dead"] == 0


VALGRIND = ["valgrind", "--quiet", "--leak-check=full", "--show-leak-kinds=definite,indirect", "--errors-for-leak-kinds=definite,indirect",
            "--error-exitcode=99", "--num-callers=30"]


def test_valgrind_is_silent_over_a_short_life(make_gateway, receiver, sms, mail):
    gateway = make_gateway({"webhook": harness.webhook_channel(timeout="30s"), "sms": harness.twilio_channel(sms, timeout="30s"),
                            "email": harness.email_channel(mail, timeout="30s")}).start(under=VALGRIND, seconds=60)
    put_customers(gateway, receiver)
    receiver.script("/hook/1", Answer(500), Answer(delay=1), Answer())
    mail.refuse["c1@example.com"] = "550 5.1.1 no such user"
    sms.script(harness.TWILIO_PATH, Answer(401), Answer(cut="after"), *[sms._scripts[harness.TWILIO_PATH][0]])
    sent = [gateway.send(f"{channel}-{i}") for i in range(10) for channel in CHANNELS]
    gateway.xadd("not json")
    gateway.prefer("webhook-1", "card-alerts")
    gateway.prefer("webhook-2", "card-alerts", "email")
    numbers = gateway.wait_settled(60)
    assert numbers["admitted"] == len(sent) and numbers["dead"] == 1
    gateway.cli_json("log", "--limit", "10")
    gateway.cli_json("history", "email-1")
    gateway.cli("settle", "nothing", "sent")
    gateway.cli_json("customer", "find", "c2@example.com")
    gateway.reload()
    for channel in CHANNELS:
        gateway.wait_state(gateway.send(f"{channel}-5"), "sent", "delivered", seconds=60)
    for i in range(20):
        gateway.send(f"webhook-{i}")
    status = gateway.stop(90)
    said = gateway.log_lines("==")
    assert status == 0 and said == [], "\n".join(said[:120])
