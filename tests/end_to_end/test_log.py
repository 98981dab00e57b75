"""What heed tells: the log, also while it is followed, a customer's history, the events, the sum, and why."""
import json
import re
import signal
import subprocess
import threading
import time

import pytest

import harness
from harness import merged, wait_for
from http_receiver import Answer

CONTACT = ["seq", "at", "messages", "customer", "product", "channel", "direction", "state", "attempt", "provider", "provider_ref", "address",
           "template", "summary", "reason", "preference", "meta"]
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


class Follower:
    """`heed log --follow --json`, and what it printed."""

    def __init__(self, heed, *words):
        self.lines = []
        self.process = subprocess.Popen([harness.HEED, "--config", str(heed.config_file), "log", "--follow", "--json", *words], text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        preexec_fn=harness.end_with_us)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(10)
        self.reader.join(10)

    def of(self, message):
        return [(line["attempt"], line["state"]) for line in list(self.lines) if message in line["messages"]]


@pytest.fixture
def ana(heed, receiver):
    heed.put({"id": "c-1", "name": "Ana", "addresses": {"email": "ana@example.com", "sms": "+5491155550100",
                                                        "webhook": {"url": receiver.url + "/hook?token=secret"}}})
    return heed


def send_on(heed, channel, **more):
    heed.prefer("c-1", more.get("product", "card-alerts"), channel)
    message = heed.send("c-1", **more)
    heed.wait_state(message, "sent", "delivered")
    return message


# --- a contact ---

def test_a_contact_is_what_the_contract_says_to_the_letter(ana):
    message = send_on(ana, "sms", id="m-1", meta={"order": "7"})
    contact, = ana.contacts(message)
    assert list(contact)[:len(CONTACT)] == CONTACT and set(contact) - set(CONTACT) <= {"code", "detail", "segments"}
    assert re.fullmatch(MOMENT, contact["at"]) and isinstance(contact["seq"], int)
    expected = {"messages": ["m-1"], "customer": "c-1", "product": "card-alerts", "channel": "sms", "direction": "out", "state": "sent",
                "attempt": 1, "provider": "twilio", "provider_ref": "SM1", "address": "+549…0100", "template": "payment-received",
                "summary": "Payment of 12.50", "preference": 1, "meta": {"order": "7"}}
    assert {key: contact[key] for key in expected} == expected
    assert contact["reason"] == {"code": "chosen", "args": {"channel": "sms", "product": "card-alerts"}, "says": contact["reason"]["says"]}
    assert contact["reason"]["says"]


@pytest.mark.parametrize("channel, masked", [("sms", "+549…0100"), ("email", "a…@example.com"), ("webhook", "http://127.0.0.1:PORT")])
def test_addresses_are_masked(ana, receiver, channel, masked):
    contact, = ana.contacts(send_on(ana, channel))
    assert contact["address"] == masked.replace("PORT", str(receiver.port))
    words = ana.cli_ok("log") + ana.cli_ok("history", "c-1") + ana.cli_ok("log", "--json") + ana.stderr()
    for secret in ("ana@example.com", "5550100", "token=secret"):
        assert secret not in words


def test_a_message_that_ends_without_an_attempt_has_one_line(ana):
    ana.prefer("c-1", "card-alerts")
    message = ana.send("c-1")
    ana.wait_state(message, "suppressed")
    line, = ana.contacts(message)
    assert (line["channel"], line["attempt"], line["state"], line["address"]) == ("", 0, "suppressed", "")
    assert line["reason"]["code"] == "stopped" and line["preference"] == 1


# --- the log, the history ---

def test_the_log_is_oldest_first_and_the_history_newest_first(ana):
    sent = [send_on(ana, channel) for channel in ("sms", "email", "webhook", "sms")]
    assert [c["messages"] for c in ana.cli_json("log")] == [[m] for m in sent]
    assert [c["messages"] for c in ana.cli_json("history", "c-1")] == [[m] for m in reversed(sent)]
    assert [c["messages"] for c in ana.cli_json("log", "--limit", "2")] == [[m] for m in sent[2:]]
    assert [c["messages"] for c in ana.cli_json("history", "c-1", "--limit", "2")] == [[sent[3]], [sent[2]]]
    assert ana.cli("history", "nobody").returncode == 1


def test_the_log_is_filtered(ana):
    ana.put({"id": "c-2", "addresses": {"email": "bo@example.com"}})
    first = send_on(ana, "sms")
    time.sleep(0.01)
    ana.prefer("c-1", "card-alerts/fraud", "email")
    part = ana.send("c-1", product="card-alerts/fraud")
    ana.wait_state(part, "sent")
    other = ana.send("c-2")
    ana.wait_state(other, "sent")
    stopped = ana.send("c-2", product="offers")
    ana.wait_state(stopped, "suppressed")

    def logged(*words):
        return [c["messages"][0] for c in ana.cli_json("log", *words)]

    assert logged("--customer", "c-2") == [other, stopped]
    assert logged("--product", "card-alerts") == [first, part, other]
    assert logged("--product", "card-alerts/fraud") == [part]
    assert logged("--channel", "email") == [part, other]
    assert logged("--state", "suppressed") == [stopped]
    assert logged("--customer", "c-1", "--channel", "sms", "--state", "sent") == [first]
    since = [c["at"] for c in ana.cli_json("log")][1]
    assert logged("--since", since) == [part, other, stopped]
    assert logged("--since", "2999-01-01T00:00:00Z") == []
    for words in (["--state", "happy"], ["--since", "yesterday"], ["--limit", "many"]):
        assert ana.cli("log", *words).returncode == 2


def test_many_contacts_are_read_page_by_page(ana, receiver):
    ana.prefer("c-1", "card-alerts", "webhook")
    sent = [ana.send("c-1") for _ in range(1200)]
    ana.wait_settled()
    logged = ana.cli_json("log", "--limit", "100000")
    assert {m for c in logged for m in c["messages"]} == set(sent)
    seqs = [c["seq"] for c in logged]
    assert seqs == sorted(set(seqs))
    assert [c["seq"] for c in ana.cli_json("history", "c-1", "--limit", "100000")] == seqs[::-1]


# --- follow ---

def test_a_line_is_printed_again_when_it_changes(ana, receiver):
    go_on = threading.Event()
    receiver.script("/hook", lambda request: (go_on.wait(10), Answer(500))[1], Answer())
    ana.prefer("c-1", "card-alerts", "webhook")
    with Follower(ana) as follower:
        message = ana.send("c-1")
        wait_for(lambda: follower.of(message) == [(1, "sending")], what="the first line")
        go_on.set()
        wait_for(lambda: (2, "delivered") in follower.of(message), what="the last line")
        lines = [line for line in follower.of(message) if line != (2, "sending")]     # may have been too short to be seen
        assert lines == [(1, "sending"), (1, "retry"), (2, "delivered")]


def test_follow_misses_none_under_a_stream_and_over_a_crash(ana, receiver):
    ana.prefer("c-1", "card-alerts", "webhook")
    before = ana.send("c-1")
    ana.wait_state(before, "delivered")
    with Follower(ana) as follower, Follower(ana, "--state", "delivered") as delivered:
        wait_for(lambda: follower.of(before) and delivered.of(before), what="what was there before")
        sent = [ana.send("c-1") for _ in range(500)]
        wait_for(lambda: len(receiver.requests) > 200)
        ana.kill()
        ana.start()
        sent += [ana.send("c-1") for _ in range(500)]
        ana.wait_settled()
        final = {(c["seq"], c["state"]) for c in ana.cli_json("log", "--limit", "100000")}
        wait_for(lambda: final <= {(line["seq"], line["state"]) for line in list(follower.lines)}, what="all lines")
        wait_for(lambda: {m for line in list(delivered.lines) for m in line["messages"]} >= set(sent), what="all that were delivered")
    last = {line["seq"]: line["state"] for line in follower.lines}
    assert set(last.items()) == final                                            # the last line of each is how it is
    assert {line["state"] for line in delivered.lines} == {"delivered"}


def test_follow_ends_when_told(ana):
    with Follower(ana) as follower:
        follower.process.send_signal(signal.SIGTERM)
        follower.process.wait(10)


# --- events ---

def test_events_are_cloudevents_with_what_applies(ana):
    message = send_on(ana, "sms", id="m-1", meta={"order": "7"})
    queued, sending, sent = wait_for(lambda: (lambda e: e if len(e) == 3 else None)(ana.events(message)))
    for event in (queued, sending, sent):
        assert event["specversion"] == "1.0" and event["source"] and event["id"] and re.fullmatch(MOMENT, event["time"])
        assert event["subject"] == "m-1" and event["datacontenttype"] == "application/json"
        assert {k: event["data"][k] for k in ("message", "customer", "product", "meta")} == {
            "message": "m-1", "customer": "c-1", "product": "card-alerts", "meta": {"order": "7"}}
    assert [e["type"] for e in (queued, sending, sent)] == ["heed.message.queued", "heed.message.sending", "heed.message.sent"]
    assert (sent["data"]["channel"], sent["data"]["attempt"], sent["data"]["provider"], sent["data"]["provider_ref"]) == ("sms", 1, "twilio", "SM1")
    assert sent["data"]["reason"]["code"] == "accepted" and "channel" not in queued["data"]
    changed, = [e for e in ana.events("c-1") if e["type"] == "heed.preference.changed"]
    assert changed["data"]["product"] == "card-alerts"


def test_events_of_a_message_are_in_order_and_come_at_least_once_over_kills(ana, receiver):
    ana.prefer("c-1", "card-alerts", "webhook")
    sent = []
    for _ in range(5):
        sent += [ana.send("c-1") for _ in range(100)]
        wait_for(lambda: len(receiver.requests) >= len(sent) - 60)
        ana.kill()
        ana.start()
    ana.wait_settled()
    wait_for(lambda: {e["subject"] for e in ana.events() if e["type"] == "heed.message.delivered"} >= set(sent), what="all last events")
    told = {}
    for event in ana.events():
        assert told.setdefault(event["id"], event) == event       # the same id is the same event
    of = {}
    for event in told.values():
        of.setdefault(event["subject"], []).append(event["type"].removeprefix("heed.message."))
    for message in sent:
        states = of[message]
        assert states[:2] == ["queued", "sending"] and states[-1] == "delivered" and states.count("delivered") == 1, states
        for at, state in enumerate(states):
            if state == "in_doubt":
                assert states[at - 1] == "sending" and states[at + 1] == "sending", states


# --- the sum, and why ---

def test_the_sum_is_printed_as_the_contract_says(ana):
    send_on(ana, "sms")
    ana.send("nobody")
    wait_for(ana.dead)
    numbers = ana.queue()
    assert list(numbers)[:14] == ["admitted", *harness.STATES, "dead", "waiting"]
    assert (numbers["admitted"], numbers["sent"], numbers["dead"]) == (1, 1, 1)
    assert numbers["waiting"] == {"urgent": 0, "normal": 0, "bulk": 0}


def test_what_waits_in_redis_is_counted_by_lane(ana):
    ana.stop()
    for lane, count in (("urgent", 1), ("normal", 2), ("bulk", 3)):
        for _ in range(count):
            ana.send("c-1", lane=lane)
    assert ana.queue()["waiting"] == {"urgent": 1, "normal": 2, "bulk": 3}


def test_why_is_told_as_the_contract_says(ana, sms):
    ana.prefer("c-1", "card-alerts", "sms", "email")
    sms.script(harness.TWILIO_PATH, Answer(400))
    message = ana.send("c-1")
    ana.wait_state(message, "sent")
    why = ana.explain(message)
    assert list(why) == ["message", "state", "channel", "until", "reasons"]
    assert (why["message"], why["state"], why["channel"], why["until"]) == (message, "sent", "email", None)
    assert all(list(reason) == ["code", "args", "says"] and reason["says"] for reason in why["reasons"])
    assert [reason["code"] for reason in why["reasons"]] == ["channel_rejected", "chosen", "accepted"]
    would = ana.cli_object("explain", "--customer", "c-1", "--product", "offers")
    assert (would["message"], would["state"], would["channel"]) == (None, "suppressed", None)
    assert would["reasons"][-1]["code"] == "no_opt_in"
    assert ana.cli("explain", "no-such-message").returncode == 1


def test_until_is_when_a_retry_is_due(make_gateway, receiver):
    heed = make_gateway({"webhook": harness.webhook_channel(retry=merged(harness.FAST_RETRY, {"first": "1m", "max": "2m", "give_up_after": "1h"}))},
                        products={"card-alerts": {"title": {"en": "Card"}, "purpose": "service", "channels": ["webhook"], "default": ["webhook"]}}
                        ).start()
    heed.put({"id": "c-1", "addresses": {"webhook": receiver.url + "/hook"}})
    receiver.script("/hook", Answer(503))
    message = heed.send("c-1")
    heed.wait_state(message, "deferred")
    why = heed.explain(message)
    assert re.fullmatch(MOMENT, why["until"]) and why["until"] > heed.contacts(message)[0]["at"] and why["channel"] == "webhook"
