"""What operators and their machines watch: health, metrics, and the log as it grows."""
import contextlib
import http.client
import json
import queue
import socket
import subprocess
import threading
import time

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text_format

from harness import PATIENCE, STATES, http_doors, twilio_channel, wait_for, webhook_channel
from http_receiver import Answer

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def gateway(make_gateway, receiver, sms):
    tokens = {"all": {"name": "all", "scopes": ["send", "read", "history", "write", "ops"]},
              "offers": {"name": "offers", "scopes": ["history"], "products": ["offers"]},
              "two": {"name": "two", "scopes": ["history"], "products": ["offers", "card-alerts"]}}
    gateway = make_gateway({"webhook": webhook_channel(), "sms": twilio_channel(sms)}, config=http_doors(tokens=tokens)).start()
    gateway.put({"id": "c-1", "addresses": {"webhook": receiver.url + "/c-1", "sms": "+5491155550100"}})
    gateway.prefer("c-1", "card-alerts", "webhook", "sms")
    return gateway


def samples(families):
    return {(s.name, *sorted(s.labels.items())): s.value for family in families for s in family.samples}


def metrics(gateway):
    return samples(text_format(gateway.http("GET", "/metrics", token=None)[2].decode()))


# --- health ---

def test_a_gateway_that_turns_is_alive_and_ready_and_needs_no_token_to_say_so(gateway):
    assert gateway.http_json("GET", "/healthz", token=None)[1]["status"] == "ok"
    assert gateway.http_json("GET", "/readyz", token=None)[1] == {"status": "ready", "store": "ok", "redis": "ok"}
    status, headers, body = gateway.http("HEAD", "/healthz", token=None)
    assert status == 200 and body == b"" and int(headers["Content-Length"]) > 0


def test_redis_is_reported_and_not_required(gateway, redis):
    redis.kill()
    wait_for(lambda: gateway.http_json("GET", "/readyz", token=None)[1]["redis"] == "away", what="Redis to be missed")
    status, answer = gateway.http_json("GET", "/readyz", token=None)
    assert status == 200 and answer["redis_error"]
    assert metrics(gateway)["heed_redis_up",] == 0


def test_it_is_alive_while_nothing_happens(gateway):
    time.sleep(1.5)    # longer than an idle turn waits
    assert samples(text_format(gateway.http("GET", "/metrics", token=None)[2].decode()))["heed_turn_beat_age_seconds",] < 5


# --- metrics ---

def test_prometheus_finds_nothing_to_say_against_the_metrics(gateway):
    gateway.send("c-1")
    gateway.wait_settled()
    status, headers, text = gateway.http("GET", "/metrics", token=None)
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=PATIENCE)
    assert done.returncode == 0 and not done.stdout + done.stderr, done.stdout + done.stderr


def test_the_open_form_is_read_by_the_client_library(gateway):
    gateway.send("c-1")
    gateway.wait_settled()
    status, headers, text = gateway.http("GET", "/metrics", token=None, headers={"Accept": OPENMETRICS + ",text/plain;q=0.5"})
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    families = list(openmetrics(text.decode()))
    assert {f.name for f in families} >= {"heed_admitted", "heed_messages", "heed_contacts", "heed_turn_seconds", "heed_breaker_open"}
    assert samples(families)["heed_admitted_total",] == 1


def test_the_metrics_tell_the_sum_and_what_came_of_attempts(gateway, receiver):
    receiver.script("/c-1", Answer(503), Answer(200), Answer(410))
    for _ in range(2):
        gateway.send("c-1")
        gateway.wait_settled()
    seen = metrics(gateway)
    assert seen["heed_admitted_total",] == 2 == sum(seen["heed_messages", ("state", state)] for state in STATES)

    of_each = [seen, *map(metrics, gateway.others)]    # each counts its own

    def outcomes(channel, provider, outcome):
        name = ("heed_contacts_total", ("channel", channel), ("outcome", outcome), ("provider", provider))
        return sum(one.get(name, 0) for one in of_each)
    assert (outcomes("webhook", "", "retry"), outcomes("webhook", "", "delivered"), outcomes("webhook", "", "rejected")) == (1, 1, 1)
    assert outcomes("sms", "twilio", "sent") == 1
    assert seen["heed_turn_seconds_count",] == seen["heed_turns_total",] > 0
    assert seen["heed_store_size_bytes",] > 4096 and seen["heed_redis_up",] == 1
    assert seen["heed_breaker_open", ("channel", "sms"), ("provider", "twilio")] == 0


def test_a_breaker_that_opens_and_a_hold_are_seen(gateway, sms):
    sms.default = None
    gateway.cli_ok("hold", "--channel", "webhook", "--why", "a test")
    wait_for(lambda: metrics(gateway)["heed_channel_held", ("channel", "webhook"), ("provider", "")] == 1, what="the hold")
    assert metrics(gateway)["heed_holds",] == 1
    sms.down()
    gateway.prefer("c-1", "card-alerts", "sms")
    gateway.send("c-1")
    wait_for(lambda: metrics(gateway)["heed_breaker_open", ("channel", "sms"), ("provider", "twilio")] == 1, what="the breaker")


# --- the log as it grows ---

class Stream:
    """Reads server-sent events in a thread."""

    def __init__(self, gateway, path="/v1/log", token="all", last=None):
        host, _, port = gateway.config["http"]["internal"].rpartition(":")
        self.connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
        headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {token}"}
        if last:
            headers["Last-Event-ID"] = last
        self.connection.request("GET", path, headers=headers)
        self.socket = self.connection.sock    # the library lets go of it
        self.answer = self.connection.getresponse()
        self.last, self.ended = last, threading.Event()
        self.events = queue.Queue()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        event = {}
        with contextlib.suppress(OSError, http.client.HTTPException, AttributeError, ValueError):
            while line := self.answer.readline():
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    event[name] = value
                elif "data" in event:
                    self.last = event["id"]
                    self.events.put(json.loads(event["data"]))
                    event = {}
        self.ended.set()

    def next(self):
        return self.events.get(timeout=PATIENCE)

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)    # wakes the thread
        self.thread.join(PATIENCE)


def test_the_log_can_be_followed_and_misses_none(gateway):
    stream = Stream(gateway)
    assert stream.answer.status == 200 and stream.answer.headers["Content-Type"] == "text/event-stream"
    ids = {gateway.send("c-1", id=f"m-{i}") for i in range(200)}
    seen = {}
    while len([m for m, state in seen.items() if state == "delivered"]) < 200:
        contact = stream.next()
        seen[contact["messages"][0]] = contact["state"]
    assert set(seen) == ids
    stream.close()


def test_who_was_cut_off_goes_on_where_he_was(gateway):
    first = Stream(gateway)
    gateway.send("c-1", id="m-1")
    while first.next()["state"] != "delivered":
        pass
    first.close()
    gateway.send("c-1", id="m-2")
    gateway.wait_settled()
    again = Stream(gateway, last=first.last)
    contact = again.next()
    assert contact["messages"] == ["m-2"]
    again.close()
    status, page = gateway.http_json("GET", f"/v1/log?after={first.last}")
    assert [c["messages"] for c in page["contacts"]] == [["m-2"]] and page["next"] != first.last


def test_a_stream_ends_with_the_tokens_it_was_opened_under(gateway):
    stream = Stream(gateway)
    gateway.reload()
    assert stream.ended.wait(PATIENCE)


def test_the_gateway_ends_while_streams_are_open(gateway):
    streams = [Stream(gateway) for _ in range(5)]
    assert gateway.stop() == 0
    assert all(stream.ended.wait(PATIENCE) for stream in streams)


def test_there_are_so_many_streams_at_most_and_others_are_served_beside_them(gateway):
    streams = [Stream(gateway) for _ in range(32)]
    assert [s.answer.status for s in streams] == [200] * 32
    over = Stream(gateway)
    assert over.answer.status == 503 and over.answer.headers["Retry-After"]
    assert gateway.http("GET", "/v1/queue")[0] == 200
    for stream in streams:
        stream.close()
    gateway.send("c-1")
    wait_for(lambda: Stream(gateway).answer.status == 200, what="room for a stream")


def test_so_many_calls_wait_at_most_and_others_are_served_beside_them(gateway):
    def wait(answers):
        answers.append(gateway.http("GET", "/v1/log?after=999999999&wait=4s")[0])
    answers, begun = [], time.monotonic()
    threads = [threading.Thread(target=wait, args=(answers,)) for _ in range(200)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(answers) >= 72 or time.monotonic() > begun + 3, what="those that are too many")
    assert gateway.http_json("GET", "/healthz", token=None)[1]["status"] == "ok"
    for thread in threads:
        thread.join()
    assert answers == [200] * 200


def test_a_token_follows_its_products_only(gateway):
    gateway.send("c-1", id="m-1")
    gateway.wait_settled()
    assert gateway.http_json("GET", "/v1/log", token="offers")[1]["contacts"] == []
    assert gateway.http_json("GET", "/v1/customers/c-1/history", token="offers")[1]["contacts"] == []
    assert gateway.http_json("GET", "/v1/log?product=card-alerts", token="offers")[0] == 403
    assert len(gateway.http_json("GET", "/v1/log", token="two")[1]["contacts"]) == 1
    assert len(gateway.http_json("GET", "/v1/customers/c-1/history", token="two")[1]["contacts"]) == 1
    assert len(gateway.http_json("GET", "/v1/log?product=card-alerts", token="two")[1]["contacts"]) == 1
    assert gateway.http("GET", "/v1/log", headers={"Accept": "text/html"})[0] == 406
