"""A relay that is down under load costs no message, no attempt and no other channel anything, and what it held goes out
within seconds of its return."""
import time

import harness
from harness import wait_for
from load import Load, arrived, contacts_by_message, put_customers

DOWN_SECONDS = 10       # that messages keep coming in for
BACK_SECONDS = 6        # the breaker's longest pause, and one more
SLOW = 8                # more for a machine that is busy


def test_a_relay_that_is_down_costs_nothing(heed, receiver, sms, mail):
    put_customers(heed, receiver)
    mail.down()
    with Load(heed, each=2, pause=0.05) as load:
        until = time.monotonic() + DOWN_SECONDS
        while time.monotonic() < until:
            # whatever is in Redis now for the other channels goes out while the relay is down
            others = [name for name in list(load.ids) if not name.startswith("email")]
            wait_for(lambda: len(sms.requests) + len(receiver.requests) >= len(others), what="SMS and webhooks to go on")
            time.sleep(0.2)
    others = load.of("sms") + load.of("webhook")
    wait_for(lambda: len(sms.requests) + len(receiver.requests) == len(others), what="all SMS and webhooks")
    numbers = wait_for(lambda: (lambda n: n if n["deferred"] == len(load.of("email")) else None)(heed.sum_holds()),
                       what="all mails to be held")
    assert numbers["failed"] == numbers["in_doubt"] == 0 and numbers["sent"] + numbers["delivered"] == len(others)
    assert mail.mails == [] and len(heed.log_lines("is at fault")) == 1
    assert "provider_at_fault" in heed.reasons(load.of("email")[-1])

    mail.up()
    back = time.monotonic()
    wait_for(lambda: mail.mails, BACK_SECONDS + SLOW, "the first held mail")
    wait_for(lambda: len(mail.mails) == len(load.of("email")), what="all held mails")
    first = mail.mails[0].at - back
    assert first < BACK_SECONDS + SLOW, first
    numbers = heed.wait_settled()
    assert numbers["sent"] + numbers["delivered"] == numbers["admitted"] == len(load.ids)

    assert set(arrived(receiver, sms, mail).values()) == {1}
    contacts = contacts_by_message(heed)
    for name in load.ids:
        channel = name.split(".")[0]
        assert {c["channel"] for c in contacts[name]} == {channel}          # no message moved
        assert {c["attempt"] for c in contacts[name]} == {1}                # and no attempt was counted
        assert {c["state"] for c in contacts[name][:-1]} <= {"retry"}
    probes = [c for each in contacts.values() for c in each if c["state"] == "retry"]
    assert probes and len(probes) < 60       # one at a time tries whether the relay is back


def test_the_clock_of_give_up_after_stands_while_the_relay_is_down(make_gateway, receiver, sms, mail):
    gateway = make_gateway({"email": harness.email_channel(mail, retry={"first": "100ms", "max": "500ms", "give_up_after": "1s"})},
                           products={"card-alerts": {"title": {"en": "Card"}, "purpose": "service", "channels": ["email"],
                                                     "default": ["email"]}}).start()
    gateway.put({"id": "c-1", "addresses": {"email": "ana@example.com"}})
    mail.down()
    message = gateway.send("c-1")
    wait_for(lambda: len([c for c in gateway.contacts(message) if c["state"] == "retry"]) >= 3, what="three tries")   # 3 s of pauses
    assert gateway.state(message) in ("deferred", "sending")
    mail.up()
    gateway.wait_state(message, "sent")
