"""Messages on their way in: what can't be admitted is a dead letter with an error of its own; the same id is the same
message."""
import json

import pytest

from harness import GATEWAYS, email_channel, stays, wait_for

ANA = {"id": "c-1", "name": "Ana", "addresses": {"email": "ana@example.com"}}

BAD = {
    "not JSON": ("{", "not JSON"),
    "not an object": ("[1]", "must be a JSON object"),
    "a key twice": ('{"customer":"c-1","customer":"c-2","product":"card-alerts","template":"payment-received"}', "duplicate"),
    "no customer": ({"product": "card-alerts", "template": "payment-received"}, "customer"),
    "no product": ({"customer": "c-1", "template": "payment-received"}, "product"),
    "neither template nor content": ({"customer": "c-1", "product": "card-alerts"}, "template"),
    "template and content": ({"customer": "c-1", "product": "card-alerts", "template": "payment-received", "content": {"text": "x"}},
                             "content"),
    "content without text": ({"customer": "c-1", "product": "card-alerts", "content": {"subject": "x"}}, "content.text"),
    "wrong type": ({"customer": 7, "product": "card-alerts", "template": "payment-received"}, "customer: must be a string"),
    "data is no object": ({"customer": "c-1", "product": "card-alerts", "template": "payment-received", "data": [1]}, "data"),
    "unknown key": ({"customer": "c-1", "product": "card-alerts", "template": "payment-received", "colour": "red"}, "colour"),
    "bad id": ({"id": "a b", "customer": "c-1", "product": "card-alerts", "template": "payment-received"}, "id"),
    "bad locale": ({"customer": "c-1", "product": "card-alerts", "template": "payment-received", "locale": "spanish!"}, "locale"),
    "bad purpose": ({"customer": "c-1", "product": "card-alerts", "template": "payment-received", "purpose": "fun"}, "purpose"),
    "looser purpose": ({"customer": "c-1", "product": "offers", "template": "payment-received", "purpose": "critical",
                        "data": {"amount": "1"}}, "purpose"),
    "bad lane": ({"customer": "c-1", "product": "card-alerts", "template": "payment-received", "lane": "fast"}, "lane"),
    "meta is not of strings": ({"customer": "c-1", "product": "card-alerts", "template": "payment-received", "meta": {"a": 1}}, "meta.a"),
    "too much meta": ({"customer": "c-1", "product": "card-alerts", "template": "payment-received", "meta": {"a": "x" * 2100}}, "meta"),
    "unknown customer": ({"customer": "nobody", "product": "card-alerts", "template": "payment-received", "data": {"amount": "1"}},
                         "nobody"),
    "unknown product": ({"customer": "c-1", "product": "nothing", "template": "payment-received"}, "nothing"),
    "unknown template": ({"customer": "c-1", "product": "card-alerts", "template": "no-such"}, "no-such"),
    "a missing required name": ({"customer": "c-1", "product": "card-alerts", "template": "payment-received"}, "amount"),
    "too large": ({"customer": "c-1", "product": "card-alerts", "template": "payment-received", "data": {"a": "x" * 262144}}, "262144"),
    "nested too deep": ('{"customer":"c-1","product":"card-alerts","template":"payment-received","data":{"a":' + "[" * 100 + "]" * 100 + "}}",
                        "nested"),
    "no moment": ({"customer": "c-1", "product": "card-alerts", "template": "payment-received", "send_at": "tomorrow"}, "send_at"),
    "expires before it may go": ({"customer": "c-1", "product": "card-alerts", "template": "payment-received",
                                  "send_at": "2030-01-01T00:00:00Z", "expires_at": "2029-01-01T00:00:00Z"}, "expires_at"),
}


def test_what_cannot_be_admitted_is_a_dead_letter_with_an_error_of_its_own(heed):
    heed.put(ANA)
    sent = {heed.xadd(message): (case, word) for case, (message, word) in BAD.items()}
    dead = wait_for(lambda: (lambda d: d if len(d) >= len(BAD) else None)(heed.dead()), what="all dead letters")
    by_entry = {letter["id"]: letter for letter in dead}
    for (case, (message, word)) in BAD.items():
        text = message if isinstance(message, str) else json.dumps(message)
        letters = [letter for letter in by_entry.values() if letter["message"] == text]
        assert len(letters) == 1, case
        assert word in letters[0]["error"], (case, letters[0]["error"])
        assert letters[0]["stream"] == "heed:outbound" and letters[0]["at"].endswith("Z")
    assert len(dead) == len(BAD) == len(sent)
    assert len({letter["error"] for letter in dead}) >= len(BAD) - 1
    assert heed.sum_holds()["admitted"] == 0 and heed.queue()["dead"] == len(BAD)
    wait_for(lambda: heed.redis.client.xlen("heed:outbound") == 0, what="the stream to be empty")


def test_over_dead_max_nothing_more_is_read_until_there_are_fewer(make_gateway, mail):
    gateway = make_gateway({"email": email_channel(mail)}, config={"queue": {"dead_max": 3}}).start()
    if GATEWAYS > 1:
        pytest.skip("each gateway may read one more")
    gateway.put(ANA)
    for i in range(3):
        gateway.xadd(f"nonsense {i}")
    gateway.wait_state(gateway.send("c-1"), "sent")     # three are not over three
    for i in range(20):
        gateway.xadd(f"more nonsense {i}")
    message = gateway.send("c-1")
    trouble, = wait_for(lambda: gateway.queue().get("troubles"), what="the gateway to say so")
    assert trouble["cause"] == "dead_letters" and trouble["says"] == "4 dead letters, over the 3 of queue.dead_max"
    stays(lambda: len(gateway.dead()) == 4)
    assert gateway.queue()["waiting"]["normal"] == 20 and gateway.api("GET", "/readyz")[0] == 200
    gateway.redis.client.delete("heed:outbound")        # the rest of the nonsense
    gateway.cli_ok("dead", "drop", gateway.dead()[0]["dead_id"])
    gateway.xadd({"id": message, "customer": "c-1", "product": "card-alerts", "content": {"text": "Hello"}})
    gateway.wait_state(message, "sent")


@pytest.mark.parametrize("fields", [{"msg": "{}"}, {"message": "{}", "other": "x"}])
def test_any_other_field_than_message_is_an_error(heed, fields):
    heed.redis.client.xadd("heed:outbound", fields)
    letter = wait_for(heed.dead)[0]
    assert "message" in letter["error"]


def test_a_dead_letter_is_sent_once_its_cause_is_mended_and_keeps_its_id(heed, mail):
    message = heed.send("c-1")
    letter = wait_for(heed.dead)[0]
    heed.put(ANA)
    heed.cli_ok("dead", "retry", letter["dead_id"])
    heed.wait_state(message, "sent")
    assert heed.dead() == [] and len(mail.to("ana@example.com")) == 1


def test_all_dead_letters_are_retried_or_dropped(heed, mail):
    messages = [heed.send("c-1", amount=str(i)) for i in range(5)]
    wait_for(lambda: len(heed.dead()) == 5)
    heed.put(ANA)
    heed.cli_ok("dead", "retry", "--all")
    for message in messages:
        heed.wait_state(message, "sent")
    heed.send("nobody")
    letter = wait_for(heed.dead)[0]
    heed.cli_ok("dead", "drop", letter["dead_id"])
    assert heed.dead() == [] and len(mail.mails) == 5


def test_the_same_id_is_sent_once_also_across_a_restart(heed, mail):
    heed.put(ANA)
    for _ in range(3):
        heed.send("c-1", id="m-1")
    heed.wait_state("m-1", "sent")
    heed.restart()
    heed.send("c-1", id="m-1")
    heed.wait_settled()
    assert len(mail.mails) == 1 and heed.dead() == [] and heed.queue()["admitted"] == 1


def test_a_known_id_is_not_judged_by_todays_configuration(heed, mail):
    heed.put(ANA)
    heed.send("c-1", id="m-1")
    heed.wait_state("m-1", "sent")
    heed.templates = {name: text for name, text in heed.templates.items() if not name.startswith("payment-received")}
    heed.write()
    heed.reload()
    heed.send("c-1", id="m-1")
    wait_for(lambda: heed.redis.client.xlen("heed:outbound") == 0, what="the repetition to be taken")
    assert heed.dead() == [] and len(mail.mails) == 1


def test_the_same_id_with_other_content_is_an_error(heed, mail):
    heed.put(ANA)
    heed.send("c-1", id="m-1")
    heed.wait_state("m-1", "sent")
    heed.send("c-1", id="m-1", amount="99")
    letter = wait_for(heed.dead)[0]
    assert "m-1" in letter["error"] and len(mail.mails) == 1


def test_a_message_without_an_id_gets_that_of_its_stream_and_entry(heed):
    heed.put(ANA)
    message = heed.send("c-1", lane="urgent")
    assert message.startswith("heed:outbound:urgent:")
    heed.wait_state(message, "sent")


def test_content_goes_as_it_is(heed, mail):
    heed.put(ANA)
    message = heed.xadd({"customer": "c-1", "product": "card-alerts",
                         "content": {"subject": "{{x}} ñ 🙂", "text": "a <b> {{y}}\n", "html": "<p>{{z}}</p>"}})
    heed.wait_state(message, "sent")
    got = mail.mails[0]
    assert got.message["subject"] == "{{x}} ñ 🙂"
    assert got.text("plain").strip() == "a <b> {{y}}" and got.text("html").strip() == "<p>{{z}}</p>"


def test_meta_and_traceparent_are_carried_on(heed, receiver):
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    heed.put({"id": "c-1", "addresses": {"webhook": receiver.url + "/hook"}})
    heed.prefer("c-1", "card-alerts", "webhook")
    message = heed.send("c-1", meta={"order": "7"}, traceparent=trace)
    heed.wait_state(message, "delivered")
    assert receiver.requests[0].headers["traceparent"] == trace
    wait_for(lambda: "heed.message.delivered" in heed.event_types(message))
    assert all(event["data"]["meta"] == {"order": "7"} and event["traceparent"] == trace for event in heed.events(message))
    assert heed.contacts(message)[0]["meta"] == {"order": "7"}
