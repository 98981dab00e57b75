"""SMS done right: segments are counted and bounded, never cut; numbers are kept in one form."""
import json

import pytest
from harness import TWILIO_PATH, twilio_channel

CONTENT = "x" * 153 + "{" + "y" * 160    # an escape sequence ends the first segment early: three segments


@pytest.fixture
def heed(make_gateway, sms):
    channel = twilio_channel(sms, max_segments=3, numbers={"country": "54", "trunk": "0", "digits": 10})
    return make_gateway({"sms": channel}, products={"card-alerts": {"title": {"en": "Card"}, "channels": ["sms"], "default": ["sms"]}}
                        ).start()


def send_text(heed, text):
    return heed.xadd({"customer": "ana", "product": "card-alerts", "content": {"text": text}})


def test_the_contact_says_how_many_segments_it_took(heed, sms):
    heed.put({"id": "ana", "addresses": {"sms": "+5491155550199"}})
    for text, segments in (("a" * 160, 1), ("a" * 161, 2), ("ж" * 70, 1), ("ж" * 135, 3), (CONTENT, 3)):
        message = send_text(heed, text)
        heed.wait_state(message, "sent")
        assert [c["segments"] for c in heed.contacts(message)] == [segments]
    assert len(sms.requests) == 5


def test_a_text_over_max_segments_fails_and_nothing_is_sent(heed, sms):
    heed.put({"id": "ana", "addresses": {"sms": "+5491155550199"}})
    message = send_text(heed, "ж" * (3 * 67 + 1))
    heed.wait_state(message, "failed")
    contact, = heed.contacts(message)
    assert "4 segments" in contact["detail"] and "max_segments: 3" in contact["detail"] and contact["segments"] == 4
    assert heed.explain(message)["reasons"][-1]["code"] == "unsendable"
    assert not sms.requests


def test_a_preview_says_the_segments_and_what_would_not_be_sent(heed):
    heed.stop()
    heed.templates["long/sms"] = "{{#list}}{{.}}{{/list}}"
    heed.write()
    words = ["render", "long", "sms", "--data"]
    assert heed.cli_object(*words, json.dumps({"list": ["x" * 161]}))["segments"] == 2
    done = heed.cli(*words, json.dumps({"list": ["x" * 500]}))
    assert done.returncode == 1 and "takes 4 segments" in done.stderr and not done.stdout


def test_a_national_number_is_kept_in_its_international_form_and_found_in_both(heed, sms):
    heed.put({"id": "ana", "addresses": {"sms": "(011) 5555-0199"}})
    file = heed.folder / "c.csv"
    file.write_text("id,sms\neve,011 5555.0199\nzoe,0049 30 1234567\nbad,15 5555 0199\n")
    done = heed.cli("customer", "import", file)
    assert "bad" in done.stdout + done.stderr and "begins neither with + and the country nor with 0" in done.stdout + done.stderr
    for address in ("+541155550199", "0054 11 5555 0199", "011 5555 0199"):
        assert sorted(c["id"] for c in heed.cli_json("customer", "find", address)) == ["ana", "eve"], address
    assert [c["id"] for c in heed.cli_json("customer", "find", "+49301234567")] == ["zoe"]
    heed.wait_state(send_text(heed, "Hello"), "sent")
    assert sms.requests[0].path == TWILIO_PATH and "To=%2B541155550199&" in sms.requests[0].body.decode()
