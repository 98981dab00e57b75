"""config/asyncapi.yaml says what is in Redis: its examples are admitted, and what comes out reads as described."""
import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from harness import wait_for
from http_receiver import Answer

DESCRIPTION = yaml.safe_load((Path(__file__).resolve().parents[2] / "config/asyncapi.yaml").read_text())
LANES = {"normal": "outbound", "urgent": "urgent", "bulk": "bulk"}


def check(name, value):
    jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": DESCRIPTION["components"]}).validate(value)


def test_the_examples_are_admitted_from_every_lane(heed):
    heed.put({"id": "c-1042", "addresses": {"email": "ana@example.com"}})
    for lane, channel in LANES.items():
        assert DESCRIPTION["channels"][channel]["address"] == heed.stream(lane)
        for example in DESCRIPTION["components"]["messages"]["Message"]["examples"]:
            check("Message", example["payload"])
            heed.xadd({**example["payload"], "id": f"{lane}-{example['name']}"}, lane)
    heed.wait_settled()
    assert heed.queue()["admitted"] == 6 and not heed.dead()


def test_each_event_reads_as_described(heed, receiver):
    heed.put({"id": "c-1", "addresses": {"webhook": receiver.url + "/gone", "email": "ana@example.com"}})
    receiver.script("/gone", Answer(410))
    heed.prefer("c-1", "card-alerts", "webhook", "email")
    heed.send("c-1", meta={"order": "7"})
    heed.send("c-1", product="offers")
    heed.send("c-1", send_at="2999-01-01T00:00:00Z", id="m-late")
    heed.wait_state("m-late", "deferred")
    heed.cli_ok("cancel", "m-late")
    heed.wait_settled()
    wanted = {"changed", "queued", "sending", "dead", "sent", "suppressed", "deferred", "cancelled"}
    wait_for(lambda: {e["type"].rpartition(".")[2] for e in heed.events()} >= wanted, what="an event of each kind")
    for event in heed.events():
        check("Event", event)


def test_what_customers_said_reads_as_described(heed):
    heed.put({"id": "c-1", "addresses": {"email": "ana@example.com"}})
    for sender in ("ana@example.com", "nobody@example.com"):
        heed.cli_ok("inbound", "email", input=f"From: {sender}\nTo: messages@example.com\nSubject: Hello\n\nIt was not me.\n")
    said = wait_for(lambda: (lambda entries: entries if len(entries) == 2 else None)(
        heed.redis.client.xrange(DESCRIPTION["channels"]["inbound"]["address"])), what="both")
    for _, fields in said:
        assert list(fields) == ["event"]
        event = json.loads(fields["event"])
        check("Event", event)
        assert event["type"] == "heed.contact.received" and event["data"]["text"] == "It was not me."


def test_dead_letters_read_as_described(heed):
    for text in ("{", "{}", json.dumps({"customer": "nobody", "product": "card-alerts", "content": {"text": "x"}}), '{"pigeons":1}'):
        heed.xadd(text)
    entries = []

    def all_dead():
        entries[:] = [fields for _, fields in heed.redis.client.xrange(heed.key("dead"))]
        return len(entries) == 4
    wait_for(all_dead, what="four dead letters")
    for fields in entries:
        check("DeadLetter", fields)


def test_what_is_not_described_is_not_taken():
    for wrong in ({}, {"customer": "c", "product": "p"}, {"customer": "c", "product": "p", "template": "t", "colour": 1},
                  {"customer": "c", "product": "p", "template": "t", "content": {"text": "x"}}):
        with pytest.raises(jsonschema.ValidationError):
            check("Message", wrong)
