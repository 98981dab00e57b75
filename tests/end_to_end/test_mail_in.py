"""Mail that comes back to a heed: bounces, complaints, auto-replies, answers; by `heed inbound email`."""
import json
import re

import harness
from harness import email_channel, wait_for

ANA = {"id": "c-1", "name": "Ana", "addresses": {"email": "ana@customer.test", "webhook": {"url": "http://127.0.0.1:9/x"}}}
TWO = {"card-alerts": {"title": {"en": "Card alerts"}, "channels": ["email", "webhook"], "default": ["email"]},
       "offers": {"title": {"en": "Offers"}, "channels": ["email"], "default": ["email"]}}


def report(action, status, said, headers, recipient="ana@customer.test"):
    """A bounce as a relay writes it, with the head of the mail that came back."""
    return f"""Return-Path: <>
From: MAILER-DAEMON@mx.relay.test (Mail Delivery System)
To: bounces@bank.test
Subject: Undelivered Mail Returned to Sender
Message-ID: <{abs(hash((action, status, headers)))}@mx.relay.test>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.relay.test

Final-Recipient: rfc822; {recipient}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {said}

--b
Content-Type: text/rfc822-headers

{headers}

--b--
"""


def complaint(headers, feedback="abuse"):
    return f"""From: abuse@provider.test
To: fbl@bank.test
Subject: complaint
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: message/feedback-report

Feedback-Type: {feedback}
Version: 1

--b
Content-Type: text/rfc822-headers

{headers}

--b--
"""


def head(mail):
    return mail.content.decode().split("\r\n\r\n")[0].replace("\r\n", "\n")


def take(heed, mail, *words):
    return heed.cli_object("inbound", "email", *words, input=mail)


def sent(heed, mail, product="card-alerts"):
    """A message that was taken by the relay, and the mail that the relay has."""
    before = len(mail.mails)
    message = heed.send("c-1", product)
    heed.wait_state(message, "sent")
    wait_for(lambda: len(mail.mails) > before, what="the mail")
    return message, mail.mails[-1]


def is_dead(heed):
    return [entry["state"] for entry in heed.cli_object("customer", "show", "c-1")["states"]] == ["dead"]


def gateway(make_gateway, mail, **more):
    heed = make_gateway({"email": email_channel(mail, **more)}, products=TWO).start()
    heed.put({**ANA, "addresses": {"email": "ana@customer.test"}})
    return heed


def test_a_bounce_makes_the_address_dead_and_the_message_fail(make_gateway, mail):
    heed = gateway(make_gateway, mail)
    message, out = sent(heed, mail)
    answer = take(heed, report("failed", "5.1.1", "550 5.1.1 no such user", head(out)))
    assert answer["matched"] and answer["effect"] == "dead" and answer["customers"] == ["c-1"]
    heed.wait_state(message, "failed")
    assert is_dead(heed)
    wait_for(lambda: any(e["type"] == "heed.address.dead" for e in heed.events("c-1")), what="the event")
    came, went = heed.cli_json("history", "c-1")
    assert came["direction"] == "in" and came["code"] == "5.1.1" and came["messages"] == [message]
    assert went["state"] == "rejected" and went["code"] == "5.1.1" and "no such user" in went["detail"]
    heed.sum_holds()


def test_a_mail_that_comes_twice_is_recorded_once(make_gateway, mail):
    heed = gateway(make_gateway, mail)
    _, out = sent(heed, mail)
    bounce = report("failed", "5.7.1", "554 5.7.1 policy", head(out))
    first, again = take(heed, bounce), take(heed, "Delivered-To: x@bank.test\n" + bounce)
    assert again["repeated"] and again["contact"] == first["contact"]
    assert len(heed.cli_json("history", "c-1")) == 2


def test_a_refusal_has_the_next_channel_of_the_list_tried(make_gateway, mail, receiver):
    from harness import webhook_channel
    heed = make_gateway({"email": email_channel(mail), "webhook": webhook_channel()}, products=TWO).start()
    heed.put({**ANA, "addresses": {"email": "ana@customer.test", "webhook": {"url": receiver.url + "/hook"}}})
    heed.prefer("c-1", "card-alerts", "email", "webhook")
    message, out = sent(heed, mail)
    assert take(heed, report("failed", "5.7.1", "554 5.7.1 spam", head(out)))["effect"] == "rejected"
    heed.wait_state(message, "delivered")
    assert not is_dead(heed)
    assert [c["channel"] for c in heed.contacts(message) if c["direction"] == "out"] == ["email", "webhook"]


def test_what_a_relay_gave_up_for_a_passing_cause_is_sent_again(make_gateway, mail):
    heed = gateway(make_gateway, mail)
    message, out = sent(heed, mail)
    assert take(heed, report("failed", "4.2.2", "452 4.2.2 mailbox full", head(out)))["effect"] == "retry"
    wait_for(lambda: len(mail.mails) == 2, what="the mail again")
    heed.wait_state(message, "sent")
    assert [c["state"] for c in heed.contacts(message) if c["direction"] == "out"] == ["retry", "sent"]
    assert mail.mails[0].message["Message-ID"] == mail.mails[1].message["Message-ID"]


def test_what_is_only_delayed_or_delivered_changes_nothing(make_gateway, mail):
    heed = gateway(make_gateway, mail)
    message, out = sent(heed, mail)
    for action, status in ("delayed", "4.2.2"), ("delivered", "2.0.0"), ("relayed", "2.1.5"):
        answer = take(heed, report(action, status, "words", head(out)))
        assert answer["matched"] and answer["effect"] == "nothing"
    assert heed.state(message) == "sent" and not is_dead(heed)
    assert len(heed.cli_json("history", "c-1")) == 4


def test_the_envelope_names_the_attempt(make_gateway, mail):
    heed = gateway(make_gateway, mail, envelope_from="bounces+{token}@bank.test")
    message, out = sent(heed, mail)
    assert re.fullmatch(r"bounces\+[a-z2-7]{15,27}@bank\.test", out.sender)
    # nothing came back but whom the bounce is for
    bounce = report("failed", "5.1.1", "550 5.1.1 gone", "Subject: x").replace("To: bounces@bank.test", "To: somebody@bank.test")
    assert not take(heed, bounce)["matched"]
    answer = take(heed, bounce.replace("Return-Path", "X-Other: 1\nReturn-Path"), "--recipient", out.sender.upper())
    assert answer.get("repeated")
    answer = take(heed, bounce.replace("550 5.1.1 gone", "550 5.1.1 gone now"), "--recipient", out.sender.upper())
    assert answer["matched"] and answer["effect"] == "dead"
    heed.wait_state(message, "failed")


def test_nothing_is_guessed(make_gateway, mail):
    heed = gateway(make_gateway, mail)
    message, out = sent(heed, mail)
    ours = out.message["Message-ID"]
    left, domain = ours.strip("<>").split("@")
    forged = left[:-1] + ("a" if left[-1] != "a" else "b")
    for other in (f"Message-ID: <{message}@{domain}>", f"Message-ID: <{forged}@{domain}>", "Message-ID: <x@y>", "Subject: x"):
        answer = take(heed, report("failed", "5.1.1", "550 5.1.1 no such user", other))
        assert not answer["matched"] and answer["effect"] == "nothing" and answer["customers"] == [], other
    assert heed.state(message) == "sent" and not is_dead(heed)


def test_a_complaint_stops_the_product_and_only_that(make_gateway, mail):
    heed = gateway(make_gateway, mail)
    _, out = sent(heed, mail)
    assert take(heed, complaint(head(out), "not-spam"))["effect"] == "nothing"
    assert take(heed, complaint(head(out)))["effect"] == "stops"
    choice = heed.cli_object("prefer", "c-1", "card-alerts")
    assert choice["channels"] == [] and choice["changed_by"] == "complaint"
    heed.wait_state(heed.send("c-1"), "suppressed")
    heed.wait_state(heed.send("c-1", "offers"), "sent")
    assert not is_dead(heed)


def test_an_auto_reply_changes_nothing(make_gateway, mail):
    heed = gateway(make_gateway, mail)
    message, out = sent(heed, mail)
    answer = take(heed, f"""Return-Path: <>
From: Ana <ana@customer.test>
To: messages@example.com
Subject: Out of office
In-Reply-To: {out.message['Message-ID']}
Auto-Submitted: auto-replied

My mailbox is full; user unknown.
""")
    assert answer["kind"] == "auto-reply" and answer["matched"] and answer["effect"] == "nothing"
    assert heed.state(message) == "sent" and not is_dead(heed)
    assert heed.redis.client.xlen(heed.key("inbound")) == 0


def test_what_somebody_answers_goes_to_inbound_apart_from_what_they_quote(make_gateway, mail):
    heed = gateway(make_gateway, mail)
    message, out = sent(heed, mail)
    answer = take(heed, f"""From: Ana Maria <ana.maria@elsewhere.test>
To: messages@example.com
Subject: Re: You paid 12.50
In-Reply-To: {out.message['Message-ID']}
Content-Type: text/plain; charset=utf-8

No fui yo. ¿Qué hago?

El lun, 2 nov 2026 a las 10:00, Bank <messages@example.com> escribió:
> Hello Ana, you paid 12.50.
""")
    assert answer["kind"] == "reply" and answer["matched"] and answer["customers"] == ["c-1"]
    entry = wait_for(lambda: heed.redis.client.xrange(heed.key("inbound")), what="the event")[0][1]
    event = json.loads(entry["event"])
    assert event["type"] == "heed.contact.received" and event["subject"] == "c-1"
    assert event["data"]["text"] == "No fui yo. ¿Qué hago?" and "you paid 12.50" in event["data"]["quoted"]
    assert event["data"]["message"] == message and event["data"]["address"] == "ana.maria@elsewhere.test"
    assert heed.cli_json("history", "c-1")[0]["summary"] == "No fui yo. ¿Qué hago?"


def test_it_works_without_a_gateway_and_a_mail_server_keeps_what_cannot_be_taken(make_gateway, mail):
    heed = gateway(make_gateway, mail)
    message, out = sent(heed, mail)
    bounce = report("failed", "5.1.1", "550 5.1.1 no such user", head(out))
    heed.stop()
    assert take(heed, bounce, "--check")["kind"] == "bounce"
    assert take(heed, bounce)["effect"] == "dead"
    assert heed.explain(message)["state"] in ("deferred", "failed")
    heed.start().wait_state(message, "failed")
    heed.stop()
    store = heed.store
    heed.config["store"]["url"] = "postgresql://nobody@/nothing?host=/nowhere" if harness.schema_of(store) else f"sqlite:{heed.folder}"
    heed.write()
    done = heed.cli("inbound", "email", "--sysexits", input=bounce)
    assert done.returncode == 75 and done.stderr
    assert heed.cli("inbound", "email", input=bounce).returncode == 1
    assert heed.cli("inbound", "email", "--sysexits", input="").returncode == 65
    assert heed.cli("inbound", "pigeon", "--check", "--sysexits", input=bounce).returncode == 0
    heed.config["store"]["url"] = store
