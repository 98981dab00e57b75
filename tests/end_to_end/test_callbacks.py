"""What comes back from an SMS company: receipts, replies, and what is not from it."""
import json
import os
import random
import threading
import time
import urllib.parse

import pytest
from callbacks import public_url, receipt, twilio_calls, twilio_signature, writes
from harness import TWILIO_PATH, email_channel, http_doors, stays, twilio_channel, wait_for
from http_receiver import Answer

NUMBER = "+5491155550100"
HOSTILE = int(os.environ.get("HEED_HOSTILE", "1500"))
PRODUCTS = {"card-alerts": {"title": {"en": "Card alerts", "es": "Avisos de tarjeta"}, "channels": ["sms", "email"], "default": ["sms"]},
            "terms": {"title": {"en": "Terms"}, "channels": ["sms", "email"], "default": ["sms"], "may_stop": False}}


@pytest.fixture
def gateway(make_gateway, sms, mail):
    tokens = {"all": {"name": "all", "scopes": ["send", "read", "history", "write", "ops"]},
              "reader": {"name": "reader", "scopes": ["read"]}}
    gateway = make_gateway({"sms": twilio_channel(sms), "email": email_channel(mail)}, products=PRODUCTS,
                           config=http_doors(tokens=tokens)).start()
    gateway.put({"id": "c-1", "name": "Ana", "locale": "en", "addresses": {"sms": NUMBER, "email": "ana@example.com"}})
    return gateway


def sid_of(gateway, message):
    return gateway.contacts(message)[-1]["provider_ref"]


def inbound(gateway):
    """What heed:inbound has."""
    return [json.loads(fields["event"]) for _, fields in gateway.redis.client.xrange(gateway.key("inbound"))]


def texts_to(sms, number=NUMBER):
    return [r.form["Body"] for r in sms.to(TWILIO_PATH) if r.form["To"] == number]


# --- receipts ---

def test_a_receipt_is_asked_for_and_delivers(gateway, sms):
    message = gateway.send("c-1")
    gateway.wait_state(message, "sent")
    contact = gateway.contacts(message)[0]
    assert sms.to(TWILIO_PATH)[0].form["StatusCallback"] == public_url(gateway, f"/in/sms/twilio?attempt={contact['seq']}")
    assert receipt(gateway, sid_of(gateway, message), "sent") == 200
    assert gateway.state(message) == "sent"
    assert receipt(gateway, sid_of(gateway, message), "delivered", path=f"/in/sms/twilio?attempt={contact['seq']}") == 200
    assert gateway.state(message) == "delivered"
    assert receipt(gateway, sid_of(gateway, message), "undelivered", ErrorCode="30003") == 200
    assert gateway.state(message) == "delivered"
    gateway.sum_holds()


def test_what_did_not_arrive_goes_to_the_next_channel_and_a_number_that_is_gone_is_dead(gateway, mail):
    gateway.prefer("c-1", "card-alerts", "sms", "email")
    message = gateway.send("c-1")
    gateway.wait_state(message, "sent")
    assert receipt(gateway, sid_of(gateway, message), "undelivered", ErrorCode="30005") == 200
    wait_for(lambda: [c["channel"] + ":" + c["state"] for c in gateway.contacts(message)] == ["sms:rejected", "email:sent"],
             what="the mail")
    assert gateway.cli_object("customer", "show", "c-1")["states"] == [{"channel": "sms", "address": NUMBER, "state": "dead"}]
    gateway.sum_holds()


def test_a_receipt_may_be_faster_than_the_answer_to_its_submit(gateway, sms):
    called = []

    def slow(request):
        url = urllib.parse.urlsplit(request.form["StatusCallback"])
        called.append(receipt(gateway, "SM77", "delivered", path=f"{url.path}?{url.query}"))
        return Answer(201, {"sid": "SM77"}, delay=0.3)

    sms.script(TWILIO_PATH, slow)
    message = gateway.send("c-1")
    gateway.wait_state(message, "delivered")
    assert called == [200]
    gateway.sum_holds()


def test_a_late_receipt_settles_a_doubt_of_which_nobody_knows_the_reference(gateway, sms):
    sms.script(TWILIO_PATH, Answer(cut="after"))
    message = gateway.send("c-1")
    gateway.wait_state(message, "in_doubt")
    url = urllib.parse.urlsplit(sms.to(TWILIO_PATH)[0].form["StatusCallback"])
    assert receipt(gateway, "SM99", "delivered", path=f"{url.path}?{url.query}") == 200
    assert gateway.state(message) == "delivered"
    gateway.sum_holds()


def test_a_receipt_of_something_unknown_changes_nothing(gateway):
    message = gateway.send("c-1")
    gateway.wait_state(message, "sent")
    assert receipt(gateway, "SM-of-somebody-else", "delivered") == 200
    assert gateway.state(message) == "sent"


# --- who calls ---

def test_who_is_not_signed_is_not_heard(gateway):
    message = gateway.send("c-1")
    gateway.wait_state(message, "sent")
    sid = sid_of(gateway, message)
    fields = {"MessageSid": sid, "MessageStatus": "delivered"}
    good = twilio_signature(public_url(gateway, "/in/sms/twilio"), fields)
    for signature in ("", "x", good[:-1], good.swapcase(), twilio_signature(public_url(gateway, "/in/sms/twilio?x=1"), fields)):
        assert twilio_calls(gateway, fields, signature=signature) == 403
    assert twilio_calls(gateway, {**fields, "ErrorCode": "1"}, signature=good) == 403
    assert twilio_calls(gateway, fields, token="other") == 403
    assert twilio_calls(gateway, fields, path="/in/sms/vonage") == 404
    assert twilio_calls(gateway, fields, path="/in/email/twilio") == 404
    assert twilio_calls(gateway, fields, path="/in/pigeon/twilio") == 404
    assert gateway.state(message) == "sent"
    assert gateway.http("POST", "/in/sms/twilio", b"", door="internal")[0] == 404
    metrics = gateway.http("GET", "/metrics", token=None)[2].decode()
    assert 'heed_callbacks_total{kind="unsigned"} 7' in metrics
    assert twilio_calls(gateway, fields) == 200
    assert gateway.state(message) == "delivered"


def test_hostile_callbacks_leave_it_as_it_was(gateway):
    """Broken, huge and forged ones: bounded memory, no crash, nothing changed. HEED_HOSTILE says how many."""
    message = gateway.send("c-1")
    gateway.wait_state(message, "sent")
    dice = random.Random(7)

    def junk(size):
        return dice.randbytes(size)

    bodies = [lambda: junk(dice.randrange(2000)), lambda: b"&" * 5000, lambda: b"a=1&" * 3000, lambda: b"%" * 4000,
              lambda: b"MessageSid=" + b"%00" * 500 + b"&MessageStatus=delivered", lambda: b"[" * 20000, lambda: b'{"a":' * 3000,
              lambda: b'{"results":[' + b"{}," * 3000 + b"{}]}", lambda: b"Body=" + b"x" * 900_000, lambda: b""]
    kinds = ["application/x-www-form-urlencoded", "application/json", "text/plain", "multipart/form-data; boundary=x", "", "\xff"]

    def resident():
        with open(f"/proc/{gateway.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    before = None
    statuses = set()
    for i in range(HOSTILE):
        headers = {"Content-Type": dice.choice(kinds)} | {"X-Twilio-Signature": dice.choice(["", "a" * 5000, "=" * 28, "\x01"])}
        headers = {k: v for k, v in headers.items() if v and "\x01" not in v}
        if i % 50 == 0:
            headers |= {f"X-{n}": "y" * 200 for n in range(60)}
        path = dice.choice(["/in/sms/twilio", "/in/sms/twilio?" + "a=b&" * 400, "/in/sms/twilio?attempt=%ff%00", "/in/%00/x", "/in/sms/twilio/x"])
        status = gateway.http(dice.choice(["POST", "POST", "GET"]), path, dice.choice(bodies)(), door="public", headers=headers)[0]
        statuses.add(status)
        if i == HOSTILE // 3:
            before = resident()
    assert statuses <= {400, 403, 404, 413, 431}, statuses
    assert resident() < before + 64 * 1024
    assert gateway.running() and gateway.state(message) == "sent"
    assert not inbound(gateway)


def test_signed_and_strange_is_taken_for_what_it_is(gateway):
    assert writes(gateway, "EXAMPLE", "letters for a number", "SMx1") == 200
    assert writes(gateway, NUMBER, "a" * 100_000, "SMx2") == 200
    assert writes(gateway, NUMBER, "\u0001\ufffd\ud7ff\U0001f6d1 no keyword", "SMx3") == 200
    assert writes(gateway, "", "nobody", "SMx4") == 200
    assert writes(gateway, "EXAMPLE", "STOP", "SMx5") == 200
    assert writes(gateway, "12345", "start", "SMx6") == 200
    assert receipt(gateway, "S" * 5000, "delivered") == 200
    wait_for(lambda: len(inbound(gateway)) == 5, what="those that were passed on")
    assert len(inbound(gateway)[1]["data"]["text"]) == 64 * 1024


# --- replies ---

def test_a_reply_is_passed_on_once_and_stands_in_the_history(gateway):
    message = gateway.send("c-1", meta={"order": "7"})
    gateway.wait_state(message, "sent")
    for _ in range(2):    # Twilio repeats what it had no answer to
        assert writes(gateway, NUMBER, "Was that me?", "SMin1") == 200
    events = wait_for(lambda: inbound(gateway), what="the event")
    assert len(events) == 1 and events[0]["type"] == "heed.contact.received" and events[0]["subject"] == "c-1"
    data = events[0]["data"]
    assert {k: data[k] for k in ("customer", "message", "product", "channel", "provider", "provider_ref", "text", "meta", "address")} == {
        "customer": "c-1", "message": message, "product": "card-alerts", "channel": "sms", "provider": "twilio",
        "provider_ref": "SMin1", "text": "Was that me?", "meta": {"order": "7"}, "address": NUMBER}
    newest, out = gateway.cli_json("history", "c-1")[:2]
    assert (newest["direction"], newest["kind"], newest["summary"], newest["messages"], newest["address"]) == (
        "in", "reply", "Was that me?", [message], "+549…0100")
    assert out["direction"] == "out"
    assert "Was that me?" in gateway.cli_ok("log", "--customer", "c-1")
    assert [c["summary"] for c in gateway.cli_json("log", "--state", "received")] == ["Was that me?"]
    assert gateway.event_types(message) == [f"heed.message.{state}" for state in ("queued", "sending", "sent")]


def test_stop_while_messages_stream_lets_nothing_leave_after_it_for_anybody_with_that_number(gateway, sms):
    sms.script(TWILIO_PATH, lambda request: Answer(201, {"sid": f"SM{len(sms.requests) + 1}"}, delay=0.01))
    gateway.put({"id": "c-2", "name": "Bob", "addresses": {"sms": NUMBER}}, {"id": "c-3", "addresses": {"sms": "+5491155550199"}})
    messages = []

    def stream():
        for i in range(300):
            messages.append(gateway.send(f"c-{1 + i % 3}", amount=f"{i}.00"))

    sender = threading.Thread(target=stream)
    sender.start()
    wait_for(lambda: len(texts_to(sms)) > 30, what="the stream")
    assert writes(gateway, NUMBER, " stop. ", "SMstop") == 200
    confirmed = time.monotonic()
    sender.join()
    gateway.wait_settled(60)
    log = gateway.cli_json("log", "--limit", "100000")
    stop = next(c for c in log if c.get("kind") == "keyword")
    later = [c for c in log if c["seq"] > stop["seq"] and c["direction"] == "out" and c["attempt"] and c["customer"] in ("c-1", "c-2")]
    assert [c["reason"]["code"] for c in later] == ["answer"]
    late = {r.form["Body"] for r in sms.to(TWILIO_PATH) if r.form["To"] == NUMBER and r.at > confirmed}
    begun = {c["summary"] for c in log if c["seq"] < stop["seq"]}
    assert {text for text in late if "no more messages" not in text} <= {s.replace("Payment of", "You paid") for s in begun}
    states = [gateway.state(m) for m in messages]
    assert all(states[i] in ("sent", "suppressed") for i in range(300)) and states.count("suppressed") > 50
    assert all(states[i] == "sent" for i in range(2, 300, 3))       # another number
    assert sum("no more messages" in text for text in texts_to(sms)) == 1
    assert len([e for e in gateway.events() if e["type"] == "heed.address.stopped"]) == 2
    gateway.sum_holds()


def test_the_customers_own_words_change_the_choice(gateway, sms):
    message = gateway.send("c-1")
    gateway.wait_state(message, "sent")
    assert writes(gateway, NUMBER, "WHY?", "SM-1") == 200
    wait_for(lambda: any("sms is the first channel" in text for text in texts_to(sms)), what="the answer")
    assert writes(gateway, NUMBER, "email", "SM-2") == 200
    shown = gateway.cli_object("prefer", "c-1", "card-alerts")
    assert shown["channels"] == ["email"] and shown["changed_by"] == "reply"
    assert writes(gateway, NUMBER, "SMS", "SM-3") == 200
    assert gateway.cli_object("prefer", "c-1", "card-alerts")["channels"] == ["sms"]
    assert writes(gateway, NUMBER, "later", "SM-4") == 200
    assert gateway.cli_object("prefer", "c-1", "card-alerts")["paused_until"]
    assert writes(gateway, NUMBER, "STOP avisos de tarjeta", "SM-5") == 200
    assert gateway.cli_object("prefer", "c-1", "card-alerts")["channels"] == []
    assert writes(gateway, NUMBER, "stop terms", "SM-6") == 200
    assert gateway.cli_object("prefer", "c-1", "terms")["version"] == 0
    stays(lambda: len(texts_to(sms)) == 2, what="one answer an hour")
    assert not inbound(gateway)


def test_start_and_help(gateway, sms):
    assert writes(gateway, NUMBER, "STOP", "SM-1") == 200
    wait_for(lambda: len(texts_to(sms)) == 1, what="the confirmation")
    assert gateway.cli_object("customer", "show", "c-1")["states"][0]["state"] == "stopped"
    assert writes(gateway, NUMBER, "Start!", "SM-2") == 200
    assert not gateway.cli_object("customer", "show", "c-1").get("states")
    gateway.put({"id": "c-2", "locale": "es", "addresses": {"sms": "+5491155550111"}})
    assert writes(gateway, "+5491155550111", "Ayuda", "SM-3") == 200
    wait_for(lambda: any("BAJA" in text for text in texts_to(sms, "+5491155550111")), what="the help in Spanish")


# --- contacts of others ---

def test_a_contact_that_another_system_had_is_in_the_history(gateway):
    call = {"customer": "c-1", "channel": "voice", "direction": "in", "at": "2026-01-02T10:00:00Z", "text": "asked for a new card",
            "product": "card-alerts", "provider": "call-centre", "provider_ref": "call-7"}
    status, answer = gateway.http_json("POST", "/v1/contacts", call)
    assert status == 201 and answer["customers"] == ["c-1"]
    assert gateway.http_json("POST", "/v1/contacts", call)[0] == 200
    gateway.put({"id": "c-9"})     # whose call is not in his history is not told that it was
    status, problem = gateway.http_json("POST", "/v1/contacts", {**call, "customer": "c-9"})
    assert status == 409 and problem["field"] == "provider_ref" and not gateway.cli_json("history", "c-9")
    lines = gateway.cli_json("history", "c-1")
    assert len(lines) == 1
    assert {k: lines[0][k] for k in ("kind", "direction", "channel", "at", "summary", "product", "provider")} == {
        "kind": "recorded", "direction": "in", "channel": "voice", "at": "2026-01-02T10:00:00.000Z", "summary": "asked for a new card",
        "product": "card-alerts", "provider": "call-centre"}
    assert gateway.http_json("POST", "/v1/contacts", {"customer": "c-1", "channel": "visit", "summary": "came by"})[0] == 201
    assert gateway.cli_json("history", "c-1")[0]["summary"] == "came by"
    assert not inbound(gateway)


@pytest.mark.parametrize("wrong,status", [
    ({"customer": "nobody"}, 404), ({"customer": ""}, 422), ({"channel": "Voice Mail"}, 422), ({"direction": "up"}, 422),
    ({"at": "yesterday"}, 422), ({"at": "2999-01-01T00:00:00Z"}, 422), ({"product": "pigeons"}, 422), ({"text": 7}, 422), ({"colour": "red"}, 422)])
def test_what_is_wrong_with_a_contact_is_named(gateway, wrong, status):
    good = {"customer": "c-1", "channel": "visit", "text": "came by"}
    assert gateway.http_json("POST", "/v1/contacts", {**good, **wrong})[0] == status
    assert gateway.cli_json("history", "c-1") == []


def test_who_may_only_read_records_nothing(gateway):
    assert gateway.http_json("POST", "/v1/contacts", {"customer": "c-1", "channel": "visit", "text": "x"}, token="reader")[0] == 403
