"""Trying an integration: nothing leaves, what would have left is kept, and the address says the outcome."""
import base64
import email
import email.policy
import hashlib
import hmac
import json

from harness import ROOT, email_channel, webhook_channel

SECRET = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
TWILIO = {"adapter": "http", "provider": str(ROOT / "config/providers/twilio.yaml"),
          "settings": {"account_sid": "AC1", "auth_token": "secret-token", "from": "+15005550006"}}
CAPTURED = {name: {"adapter": "capture", "retry": {"first": "100ms", "max": "200ms", "give_up_after": "2s"}}
            for name in ("email", "sms", "webhook")}
ANA = {"id": "ana", "name": "Ana Díaz", "addresses": {
    "email": "ana@example.com", "sms": "+5491155550199", "webhook": {"url": "https://ana.example.com/hook", "secret": "whsec_" + SECRET}}}


class NoRelay:
    """Nobody answers there: what is sent and not captured is seen by that."""
    url = "smtp://127.0.0.1:9"


def headers_and_body(content):
    """Of a captured request."""
    head, body = content.split("\n\n", 1)
    first, *lines = head.split("\n")
    return first, dict(line.split(": ", 1) for line in lines), body


def captured(gateway, *words):
    return gateway.cli_json("captured", *words)


def send_to(gateway, channel, customer="ana", **more):
    gateway.prefer(customer, "card-alerts", channel)
    return gateway.send(customer, **more)


def test_each_channel_keeps_what_it_would_have_sent(make_gateway):
    gateway = make_gateway(CAPTURED).start()
    gateway.put(ANA)
    assert gateway.wait_state(send_to(gateway, "email"), "sent", "failed") == "sent"
    assert gateway.wait_state(send_to(gateway, "sms", amount="10 €"), "sent", "failed") == "sent"
    hook = send_to(gateway, "webhook")
    assert gateway.wait_state(hook, "delivered", "failed") == "delivered"

    mail, text, request = captured(gateway)
    message = email.message_from_string(mail["content"], policy=email.policy.default)
    assert message["To"].addresses[0].display_name == "Ana Díaz" and message["Subject"] == "You paid 12.50"
    assert "\r\n" in mail["content"] and "captured" in mail and "segments" not in mail
    assert text["content"] == "You paid 10 €" and text["segments"] == 1
    line, headers, body = headers_and_body(request["content"])
    assert line == "POST https://ana.example.com/hook" and json.loads(body) == {"id": hook, "amount": "12.50"}
    signed = f'{headers["webhook-id"]}.{headers["webhook-timestamp"]}.{body}'.encode()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(
        hmac.digest(base64.b64decode(SECRET), signed, hashlib.sha256)).decode()


def test_what_was_captured_is_marked_and_found_again(make_gateway):
    gateway = make_gateway(CAPTURED).start()
    gateway.put(ANA, ANA | {"id": "eve"})
    for customer in ("ana", "eve"):
        for channel in ("sms", "email"):
            gateway.wait_state(send_to(gateway, channel, customer), "sent")
    gateway.restart()
    assert all(contact["captured"] is True and "content" not in contact for contact in gateway.cli_json("log"))
    assert [c["customer"] for c in captured(gateway, "--channel", "sms")] == ["ana", "eve"]
    assert [c["channel"] for c in captured(gateway, "--customer", "eve")] == ["sms", "email"]
    assert [c["channel"] for c in captured(gateway, "--limit", "1")] == ["email"]
    gateway.stop()
    assert len(captured(gateway)) == 4
    words = gateway.cli_ok("captured", "--channel", "sms", "--limit", "1")
    assert words.startswith("--- 20") and " sms eve " in words and "sent 1 segment\nYou paid 12.50\n" in words


def test_the_address_says_the_outcome(make_gateway):
    gateway = make_gateway(CAPTURED).start()
    ends = {"email": ["ana+{}@example.com"], "webhook": ["https://example.com/hook+{}?a=b"]}
    asked = {"sent": ("sent", "delivered"), "rejected": ("failed",), "retry": ("deferred", "failed"), "doubt": ("in_doubt",)}
    for word, number in zip(asked, ("01", "02", "03", "04")):
        gateway.put({"id": word, "addresses": {"email": ends["email"][0].format(word), "sms": "+54911555501" + number,
                                               "webhook": ends["webhook"][0].format(word)}})
        for channel in ("email", "sms", "webhook"):
            message = send_to(gateway, channel, word)
            gateway.wait_state(message, *asked[word])
            first = gateway.contacts(message)[0]
            assert first["state"] in {"sent": ("sent", "delivered"), "doubt": ("in_doubt",)}.get(word, (word,)), (channel, word)
            assert captured(gateway, "--customer", word, "--channel", channel)


def test_a_rejected_message_goes_on_to_the_next_channel(make_gateway):
    gateway = make_gateway(CAPTURED).start()
    gateway.put(ANA | {"addresses": {"sms": "+5491155550102", "email": "ana@example.com"}})
    gateway.prefer("ana", "card-alerts", "sms", "email")
    message = gateway.send("ana")
    gateway.wait_state(message, "sent")
    assert [(c["channel"], c["state"]) for c in gateway.contacts(message)] == [("sms", "rejected"), ("email", "sent")]


def test_with_capture_nothing_leaves_any_channel(make_gateway):
    gateway = make_gateway({"email": email_channel(NoRelay), "sms": TWILIO, "webhook": webhook_channel()})
    gateway.words = ["--capture"]
    gateway.start()
    gateway.put(ANA)
    for channel, state in (("email", "sent"), ("sms", "sent"), ("webhook", "delivered")):
        assert gateway.wait_state(send_to(gateway, channel), state, "failed") == state
    gateway.reload()
    assert gateway.wait_state(send_to(gateway, "sms"), "sent", "failed") == "sent"

    mail, text, hook, _ = captured(gateway)
    assert "From: Example Bank <messages@example.com>" in mail["content"]
    line, headers, body = headers_and_body(text["content"])
    assert line == "POST https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json" and text["provider"] == "twilio"
    assert body == "To=%2B5491155550199&From=%2B15005550006&Body=You%20paid%2012.50"
    assert base64.b64decode(headers["Authorization"].split()[1]) == b"AC1:hidden" and "secret-token" not in json.dumps(text)
    assert hook["content"].startswith("POST https://ana.example.com/hook\n")


def test_a_captured_channel_may_keep_the_keys_of_whom_it_stands_in_for(make_gateway):
    gateway = make_gateway({"text": TWILIO | {"adapter": "capture"}, "post": email_channel(NoRelay, adapter="capture")},
                           products={"news": {"title": {"en": "News"}, "channels": ["text", "post"], "default": ["text"]}}).start()
    gateway.put({"id": "ana", "addresses": {"text": "0054 911 5555 0199", "post": "ana@example.com"}})
    content = {"subject": "News", "text": "Hello"}
    gateway.wait_state(gateway.xadd({"id": "m1", "customer": "ana", "product": "news", "content": content}), "sent")
    gateway.prefer("ana", "news", "post")
    gateway.wait_state(gateway.xadd({"id": "m2", "customer": "ana", "product": "news", "content": content}), "sent")
    text, mail = captured(gateway)
    assert "To=%2B5491155550199" in text["content"] and text["segments"] == 1
    assert "Subject: News" in mail["content"]
