"""What becomes of an attempt on a relay that refuses, breaks off, dawdles or talks nonsense: the contract's table, column
SMTP. A relay and a channel for each case; all cases run at once."""
import pytest

import harness
from harness import email_channel
from outcome_stand import Case, Stand
from smtp_servers import CLOSE, RESET, STALL, Dialogue, Say, ScriptedSmtp

OK = r"250( 2\.\d\.\d)?"
LONG = "All work and no play makes Jack a dull boy.\n" * 2000
LOGIN = "250-mail.test\r\n250-AUTH PLAIN LOGIN\r\n250 ENHANCEDSTATUSCODES"


def dead(code):
    return Case([Dialogue(RCPT=f"550 {code} no such user")], "failed", [("rejected", f"550 {code}", 1)], dead=True, seen=0)


def refused(code, seen=0, **dialogue):
    return Case([Dialogue(**dialogue)], "failed", [("rejected", code, 1)], seen=seen)


def later(code, **dialogue):
    """Nothing was taken: the attempt counts, and the next one is taken."""
    return Case([Dialogue(**dialogue), Dialogue()], "sent", [("retry", code, 1), ("sent", OK, 2)], seen=1)


def later_here(code, **dialogue):
    """The same, in one session."""
    return Case([Dialogue(**dialogue)], "sent", [("retry", code, 1), ("sent", OK, 2)], seen=1)


def at_fault(code, **dialogue):
    """The relay's own trouble: no attempt is counted."""
    return Case([Dialogue(**dialogue), Dialogue()], "sent", [("retry", code, 1), ("sent", OK, 1)], seen=1)


def doubt(code, seen=1, text="Hello", **dialogue):
    """It may have been taken: sent again, as the policy says."""
    return Case([Dialogue(**dialogue), Dialogue()], "sent", [("in_doubt", code, 1), ("sent", OK, 2)], seen=seen, text=text)


CASES = {
    "all-is-well": Case([Dialogue()], "sent", [("sent", OK, 1)], seen=1),
    "byte-by-byte": Case([Dialogue(byte_by_byte=0.002)], "sent", [("sent", OK, 1)], seen=1),
    "a-long-mail": Case([Dialogue()], "sent", [("sent", OK, 1)], seen=1, text=LONG),

    **{"dead-" + code.replace(".", "-"): dead(code) for code in ("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10")},
    "dead-5-1-1-below": Case([Dialogue(RCPT="550-see below\r\n550 5.1.1 no such user")], "failed", [("rejected", "550 5.1.1", 1)], dead=True, seen=0),
    "rcpt-550": refused("550", RCPT="550 not here"),
    "rcpt-550-5-7-1": refused(r"550 5\.7\.1", RCPT="550-5.7.1 we do not\r\n550 5.7.1 like you"),
    "data-554": refused(r"554 5\.6\.0", DATA="554 5.6.0 no"),
    "body-552": refused(r"552 5\.3\.4", seen=1, body="552 5.3.4 too big"),

    "rcpt-451": later_here(r"451 4\.3\.0", RCPT=["451 4.3.0 later", "250 ok"]),
    "data-451": later(r"451 4\.3\.0", DATA="451 4.3.0 later"),
    "body-452": Case([Dialogue(body=["452 4.3.1 full", "250 2.0.0 ok"])], "sent", [("retry", r"452 4\.3\.1", 1), ("sent", OK, 2)], seen=2),

    "greeting-421": at_fault(r"421 4\.3\.2", connect=Say("421 4.3.2 busy", then_close=True)),
    "ehlo-421": at_fault(r"421 4\.3\.2", EHLO=Say("421 4.3.2 busy", then_close=True)),
    "mail-421": at_fault(r"421 4\.3\.2", MAIL=Say("421 4.3.2 busy", then_close=True)),
    "rcpt-421": at_fault(r"421 4\.3\.2", RCPT=Say("421 4.3.2 busy", then_close=True)),
    "data-421": at_fault(r"421 4\.3\.2", DATA=Say("421 4.3.2 busy", then_close=True)),
    "body-421": Case([Dialogue(body=Say("421 4.3.2 busy", then_close=True)), Dialogue()], "sent",
                     [("retry", r"421 4\.3\.2", 1), ("sent", OK, 1)], seen=2),
    "greeting-554": at_fault(r"554 5\.3\.2", connect=Say("554 5.3.2 no service", then_close=True)),
    "mail-550": at_fault(r"550 5\.7\.1", MAIL="550 5.7.1 who are you"),
    "mail-451": at_fault(r"451 4\.1\.8", MAIL="451 4.1.8 can't check you"),
    "auth-535": at_fault(r"535 5\.7\.8", EHLO=LOGIN, AUTH="535 5.7.8 wrong"),
    "closed-at-once": later("cut", connect=CLOSE),
    "closed-at-ehlo": later("cut", EHLO=CLOSE),
    "nonsense-at-once": later("syntax", connect="what?"),
    "silent-at-once": later("timeout", connect=STALL),
    # from the third session in a row on it is the relay and not the mail; each gateway counts its own
    "closed-repeatedly": Case([*[Dialogue(connect=CLOSE)] * 4, Dialogue()], "sent",
                              [("retry", "cut", 1), ("retry", "cut", 2), *[(state, code, 3 if harness.GATEWAYS == 1 else None)
                                                                          for state, code in (("retry", "cut"), ("retry", "cut"), ("sent", OK))]],
                              seen=1),

    "closed-at-mail": later("cut", MAIL=CLOSE),
    "closed-after-mail": later("cut", MAIL=Say("250 2.1.0 ok", then_close=True)),
    "closed-at-rcpt": later("cut", RCPT=CLOSE),
    "reset-at-rcpt": later("cut", RCPT=RESET),
    "closed-at-data": later("cut", DATA=CLOSE),
    "silent-at-mail": later("timeout", MAIL=STALL),
    "silent-at-rcpt": later("timeout", RCPT=STALL),
    "nonsense-at-mail": later("syntax", MAIL="what?"),
    "nonsense-at-rcpt": later("syntax", RCPT="what?"),
    "nonsense-at-data": later("syntax", DATA="what?"),

    "closed-after-data": doubt("cut", DATA=Say("354 go on", then_close=True)),
    "closed-in-the-body": doubt("cut", cut_in_body=10),
    "closed-in-a-long-body": doubt("cut", cut_in_body=20000, text=LONG),
    "closed-before-the-reply": doubt("cut", seen=2, body=CLOSE),
    "reset-before-the-reply": doubt("cut", seen=2, body=RESET),
    "silent-before-the-reply": doubt("timeout", seen=2, body=STALL),
    "nonsense-for-a-reply": doubt("syntax", seen=2, body="what?"),
    "held-in-doubt": Case([Dialogue(body=CLOSE), Dialogue()], "in_doubt", [("in_doubt", "cut", 1)], seen=1),
}



@pytest.fixture(scope="module")
def stand():
    stand = Stand(CASES)
    relays, channels, places = {}, {}, {}
    try:
        for name, case in CASES.items():
            relay = relays[name] = ScriptedSmtp(*case.peer)
            more = {"sessions": 1, "timeout": "1s" if "silent" in name else "15s"}
            if name == "auth-535":
                case.peer[1].answers.update(EHLO=LOGIN, AUTH="235 2.7.0 welcome")
                more["relay"] = relay.url.replace("smtp://", "smtp://heed:open-sesame@")
            if name == "held-in-doubt":
                more["in_doubt"] = "hold"
            channels[name] = email_channel(relay, **more)
            places[name] = (name, f"{name}@example.com")
        stand.relays = relays
        yield stand.start(channels, places)
    finally:
        stand.close()
        for relay in relays.values():
            relay.close()


@pytest.fixture(autouse=True)
def log_of_the_stand(request, stand):
    request.node.heed_gateways = [stand.gateway]


@pytest.mark.parametrize("name", CASES)
def test_each_ends_as_the_table_says(stand, name):
    contacts = stand.check(name)
    # RCPT and DATA go in one write: a relay that says 354 without a recipient gets an empty body
    assert len([body for body in stand.relays[name].bodies if b"Subject: Hi" in body]) == CASES[name].seen
    assert all(contact["address"].endswith("@example.com") for contact in contacts)


def test_every_mail_of_a_message_has_the_same_message_id(stand):
    stand.check("closed-before-the-reply")
    first, second = (body.lower() for body in stand.relays["closed-before-the-reply"].bodies)
    ids = [[line for line in body.split(b"\r\n") if line.startswith(b"message-id:")] for body in (first, second)]
    assert len(ids[0]) == 1 and ids[0] == ids[1]


def test_a_refusal_is_told_in_the_relays_own_words(stand):
    contact, = stand.check("dead-5-1-1")
    assert contact["code"] == "550 5.1.1" and "no such user" in contact["detail"]
    contact, = stand.check("rcpt-550-5-7-1")
    assert "we do not" in contact["detail"] and "like you" in contact["detail"]


def test_what_a_relay_is_at_fault_for_is_said_and_a_doubt_too(stand):
    for name, codes in {"mail-550": ["provider_at_fault", "accepted"], "rcpt-451": ["retry", "accepted"],
                        "held-in-doubt": ["in_doubt", "doubt_held"], "dead-5-1-1": ["address_died", "no_channel_left"],
                        "rcpt-550": ["channel_rejected", "no_channel_left"]}.items():
        stand.check(name)
        reasons = stand.gateway.reasons("m-" + name)
        assert set(codes) & set(reasons), (name, reasons)
        assert reasons[-1] == codes[-1], (name, reasons)


def test_nothing_is_lost_and_the_sum_holds(stand):
    for name in CASES:
        stand.check(name)
    numbers = stand.gateway.sum_holds()
    assert numbers["admitted"] == len(CASES) and numbers["dead"] == 0
    states = [case.state for case in CASES.values()]
    assert {state: numbers[state] for state in ("sent", "failed", "in_doubt")} == {
        state: states.count(state) for state in ("sent", "failed", "in_doubt")}


def test_no_secret_is_in_the_log(stand):
    stand.check("auth-535")
    assert "open-sesame" not in stand.gateway.stderr()
