"""When customers want to hear it: hours, pauses, digests, caps, expiry, and a list with patience."""
import datetime
import json

import harness
from harness import PRODUCTS, TEMPLATES, merged, moment, stays, wait_for
from http_receiver import Answer

ANA = {"id": "c-1", "name": "Ana", "timezone": "UTC", "addresses": {"email": "ana@example.com", "sms": "+5491155550100"}}

DIGEST = {
    "digest/email.subject": "{{count}} about {{product.title}}",
    "digest/email.text": "{{#items}}* {{summary}}\n{{/items}}",
    "digest/sms": "{{#items}}{{summary}}; {{/items}}",
}


def hours(begin, length=60):
    """A window that opens in `begin` minutes, for `length` minutes, in UTC."""
    def clock(minutes):
        return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)).strftime("%H:%M")
    return f"{clock(begin)}-{clock(begin + length)}"


def gateway(make_gateway, sms, mail, products=None, config=None, templates=None, **channels):
    return make_gateway({"sms": harness.twilio_channel(sms, **channels), "email": harness.email_channel(mail)},
                        products=merged(PRODUCTS, products or {}), config=config, templates={**TEMPLATES, **DIGEST, **(templates or {})}).start()


# --- the choice: read, checked, printed ---

def test_the_whole_choice_is_taken_and_printed(heed):
    heed.put(ANA)
    choice = heed.cli_object("prefer", "c-1", "card-alerts", "--channels", "sms{hours=mon-fri 09:00-18:00,wait=2h},email", "--hours",
                             "mon-fri 08:00-20:00, sat 10:00-14:00", "--digest", "daily 08:00", "--pause-until", "2027-01-31T08:00:00Z")
    assert choice["channels"] == [{"channel": "sms", "hours": "mon-fri 09:00-18:00", "wait": "2h"}, "email"]
    assert choice["hours"] == "mon-fri 08:00-20:00, sat 10:00-14:00" and choice["digest"] == "daily 08:00"
    assert choice["paused_until"] == "2027-01-31T08:00:00.000Z"
    # the command line changes only what it is given
    choice = heed.cli_object("prefer", "c-1", "card-alerts", "--pause-until", "")
    assert choice["paused_until"] is None and choice["hours"] == "mon-fri 08:00-20:00, sat 10:00-14:00"
    shown = heed.cli_ok("prefer", "c-1", "card-alerts")
    for part in ("sms (mon-fri 09:00-18:00; waits 2h), then email", "hours mon-fri 08:00-20:00", "digest daily 08:00"):
        assert part in shown
    paused = heed.cli_object("prefer", "c-1", "card-alerts", "--pause-until", "3d")["paused_until"]
    assert moment(3 * 86400 - 60) < paused < moment(3 * 86400 + 60)


def test_bad_hours_get_an_error_that_shows_the_right_form(heed):
    heed.put(ANA)
    status, problem = heed.api("PUT", "/v1/customers/c-1/preferences/card-alerts", {"hours": "9 to 5"})
    assert status == 422 and "mon-fri 09:00-20:00" in problem["detail"], problem
    for words in (["--hours", "never"], ["--digest", "often"], ["--pause-until", "soon"], ["--channels", "sms{wait=long}"],
                  ["--channels", "sms{hours=x}"], ["--hours", b"\xff".decode(errors="surrogateescape")]):
        done = heed.cli("prefer", "c-1", "card-alerts", *words)
        assert done.returncode == 1 and "heed: " in done.stderr, (words, done)


def test_an_unknown_zone_is_an_error_wherever_it_is_written(heed, make_gateway):
    bad = {**ANA, "timezone": "Europe/Atlantis"}
    assert heed.api("PUT", "/v1/customers/c-1", bad)[0] == 422
    file = heed.folder / "c.jsonl"
    file.write_text(json.dumps(bad) + "\n")
    done = heed.cli("customer", "import", file)
    assert done.returncode == 1 and "timezone" in done.stdout + done.stderr
    other = make_gateway({"webhook": harness.webhook_channel()}, config={"customers": {"timezone": "Europe/Atlantis"}})
    done = other.cli("check")
    assert done.returncode != 0 and "customers.timezone" in done.stdout + done.stderr


def test_an_import_brings_hours_along_and_loosens_none(heed):
    file = heed.folder / "c.csv"
    file.write_text('id,email,sms,prefer:card-alerts\nc-1,ana@example.com,+5491155550100,'
                    '"sms{hours=mon-fri 09:00-18:00,wait=2h},email"\n')
    heed.cli_ok("customer", "import", file)
    choice = heed.cli_object("prefer", "c-1", "card-alerts")
    assert choice["channels"][0] == {"channel": "sms", "hours": "mon-fri 09:00-18:00", "wait": "2h"}
    heed.cli_ok("prefer", "c-1", "card-alerts", "--hours", "mon-fri 09:00-12:00")
    line = {"id": "c-1", "preferences": [{"product": "card-alerts", "hours": ""}]}
    (heed.folder / "c.jsonl").write_text(json.dumps(line) + "\n")
    heed.cli("customer", "import", heed.folder / "c.jsonl")
    assert heed.cli_object("prefer", "c-1", "card-alerts")["hours"] == "mon-fri 09:00-12:00"


# --- hours, pause, send_at ---

def test_deferred_for_hours_it_goes_out_on_the_channel_that_the_customer_moved_to(heed, sms, mail):
    heed.put(ANA)
    heed.cli_ok("prefer", "c-1", "card-alerts", "--channels", "email", "--hours", hours(120))
    message = heed.send("c-1")
    heed.wait_state(message, "deferred")
    why = heed.explain(message)
    assert why["until"] > moment(60 * 100) and why["reasons"][-1]["code"] == "outside_hours"
    assert "wants to hear it at other times" in why["reasons"][-1]["says"]
    heed.cli_ok("prefer", "c-1", "card-alerts", "--channels", "sms", "--hours", "")
    heed.wait_state(message, "sent")
    assert mail.mails == [] and [c["channel"] for c in heed.contacts(message)] == ["sms"]
    wait_for(lambda: heed.event_types(message) == ["heed.message.deferred", "heed.message.sending", "heed.message.sent"])


def test_deferred_for_hours_it_ends_as_suppressed_when_the_customer_stops(heed, sms, mail):
    heed.put(ANA)
    heed.cli_ok("prefer", "c-1", "card-alerts", "--channels", "email", "--hours", hours(120))
    message = heed.send("c-1")
    heed.wait_state(message, "deferred")
    heed.cli_ok("prefer", "c-1", "card-alerts", "--stop")
    assert heed.state(message) == "suppressed" and mail.mails == []
    heed.sum_holds()


def test_a_pause_holds_and_its_end_lets_go(heed, mail):
    heed.put(ANA)
    heed.cli_ok("prefer", "c-1", "card-alerts", "--pause-until", moment(1.5))
    message = heed.send("c-1")
    heed.wait_state(message, "deferred")
    assert heed.reasons(message) == ["paused"] and mail.mails == []
    heed.wait_state(message, "sent")


def test_send_at_and_expires_at(heed, mail):
    heed.put(ANA)
    later = heed.send("c-1", send_at=moment(1.2))
    gone = heed.send("c-1", send_at=moment(0.5), expires_at=moment(1), amount="1")
    heed.cli_ok("prefer", "c-1", "card-alerts/fraud", "--pause-until", moment(60))
    paused = heed.send("c-1", product="card-alerts/fraud", expires_at=moment(1))
    past = heed.send("c-1", expires_at=moment(-5))
    heed.wait_state(past, "expired")
    heed.wait_state(later, "deferred")
    heed.wait_state(paused, "expired")
    heed.wait_state(later, "sent")
    heed.wait_state(gone, "sent")
    assert heed.contacts(paused)[0]["channel"] == "" and heed.contacts(paused)[0]["state"] == "expired"
    wait_for(lambda: heed.event_types(paused) == ["heed.message.deferred", "heed.message.expired"])
    heed.sum_holds()


def test_the_command_line_says_when(heed):
    heed.put(ANA)
    [sent] = heed.cli_json("send", "--customer", "c-1", "--product", "card-alerts", "--text", "?", "--send-at", "1h", "--expires-at",
                           moment(7200))
    heed.wait_state(sent["id"], "deferred")
    assert moment(3500) < heed.explain(sent["id"])["until"] < moment(3700)
    done = heed.cli("send", "--customer", "c-1", "--product", "card-alerts", "--text", "?", "--send-at", "soon")
    assert done.returncode == 2 and "--send-at" in done.stderr


def test_what_waits_for_a_relay_that_is_down_expires_in_time(make_gateway, sms, mail):
    heed = gateway(make_gateway, sms, mail, {"card-alerts": {"expires_after": "2s"}})
    mail.close()
    heed.put(ANA)
    message = heed.send("c-1")
    heed.wait_state(message, "deferred")
    heed.wait_state(message, "expired", seconds=6)
    heed.sum_holds()


def test_urgent_is_held_by_nothing_and_a_stop_stops_it(make_gateway, sms, mail):
    heed = gateway(make_gateway, sms, mail, {"card-alerts/fraud": {"urgent": True}})
    heed.put(ANA)
    heed.cli_ok("prefer", "c-1", "card-alerts", "--channels", "email", "--hours", hours(120), "--digest", "weekly mon 08:00",
                "--pause-until", "30d")
    assert heed.wait_state(heed.send("c-1", product="card-alerts/fraud"), "sent")
    heed.cli_ok("prefer", "c-1", "card-alerts/fraud", "--stop")
    assert heed.wait_state(heed.send("c-1", product="card-alerts/fraud"), "suppressed")


def test_quiet_hours_hold_where_the_customer_has_none(make_gateway, sms, mail):
    heed = gateway(make_gateway, sms, mail, {"card-alerts": {"quiet_hours": hours(-30, 90)}})
    heed.put(ANA)
    message = heed.send("c-1")
    heed.wait_state(message, "deferred")
    assert heed.reasons(message) == ["quiet_hours"]
    heed.cli_ok("prefer", "c-1", "card-alerts", "--channels", "email", "--hours", hours(-10))
    heed.wait_state(message, "sent")


# --- digests ---

def test_a_digest_is_one_contact_with_the_summary_of_each(make_gateway, sms, mail):
    heed = gateway(make_gateway, sms, mail)
    heed.put(ANA)
    heed.cli_ok("prefer", "c-1", "card-alerts", "--channels", "email", "--digest", "hourly")
    messages = [heed.send("c-1", amount=str(i)) for i in range(3)]
    for message in messages:
        heed.wait_state(message, "deferred")
    assert heed.reasons(messages[0]) == ["digest"]
    due = heed.explain(messages[0])["until"]
    assert due[14:] == "00:00.000Z" and mail.mails == []
    # nobody waits for the full hour: at once, each for itself
    heed.cli_ok("prefer", "c-1", "card-alerts", "--digest", "immediate")
    for message in messages:
        heed.wait_state(message, "sent")
    assert len(mail.mails) == 3


def test_a_digest_that_falls_due_goes_out_as_one(make_gateway, sms, mail):
    heed = gateway(make_gateway, sms, mail)
    zone = "UTC"
    now = datetime.datetime.now(datetime.timezone.utc)
    # the next full minute, or the one behind it: the test waits for it
    at = (now + datetime.timedelta(seconds=15)).replace(second=0, microsecond=0) + datetime.timedelta(minutes=1)
    heed.put({**ANA, "timezone": zone})
    heed.cli_ok("prefer", "c-1", "card-alerts", "--channels", "email", "--digest", at.strftime("daily %H:%M"))
    messages = []
    for i in range(3):    # one after the other: two gateways may admit them in any order
        messages.append(heed.send("c-1", amount=str(i), meta={"order": str(i)}))
        heed.wait_state(messages[-1], "deferred")
    assert heed.explain(messages[0])["until"] == at.strftime("%Y-%m-%dT%H:%M:00.000Z")
    for message in messages:
        heed.wait_state(message, "sent", seconds=90)
    assert len(mail.mails) == 1
    assert mail.mails[0].message["subject"] == "3 about Card alerts"
    assert mail.mails[0].text("plain").splitlines()[:3] == ["* Payment of 0", "* Payment of 1", "* Payment of 2"]
    contacts = [heed.contacts(message) for message in messages]
    assert contacts[0] == contacts[1] == contacts[2] and sorted(contacts[0][0]["messages"]) == sorted(messages)
    assert contacts[0][0]["template"] == "digest" and heed.cli_json("history", "c-1")[0]["messages"] == contacts[0][0]["messages"]
    for i, message in enumerate(messages):
        wait_for(lambda: heed.event_types(message) == ["heed.message.deferred", "heed.message.sending", "heed.message.sent"])
        assert {event["data"]["meta"]["order"] for event in heed.events(message)} == {str(i)}
        assert heed.cli("explain", message).returncode == 0
    heed.sum_holds()


# --- caps ---

def test_a_cap_holds_under_a_burst(make_gateway, sms, mail):
    heed = gateway(make_gateway, sms, mail, {"card-alerts": {"cap": "5/week"}})
    heed.put(ANA)
    heed.put({**ANA, "id": "c-2", "addresses": {"email": "bob@example.com"}})
    for i in range(200):
        heed.send("c-1" if i % 2 else "c-2", amount=str(i))
    wait_for(lambda: heed.queue()["admitted"] == 200)
    wait_for(lambda: len(mail.mails) >= 10)
    assert stays(lambda: len(mail.mails) == 10, 1)
    assert len(mail.to("ana@example.com")) == len(mail.to("bob@example.com")) == 5
    assert wait_for(lambda: heed.queue()["sent"] == 10)
    numbers = heed.sum_holds()
    assert numbers["sent"] == 10 and numbers["deferred"] == 190
    answer = heed.cli_object("explain", "--customer", "c-1", "--product", "card-alerts")
    assert answer["state"] == "deferred" and answer["reasons"][0]["code"] == "cap" and answer["until"] > moment(0)
    # critical is outside caps
    heed.wait_state(heed.send("c-1", product="card-alerts/fraud"), "sent")


def test_all_advertising_together_has_a_limit(make_gateway, sms, mail):
    heed = gateway(make_gateway, sms, mail, {"news": {"purpose": "marketing", "channels": ["email"]}}, {"limits": {"marketing": "2/week"}})
    heed.put(ANA)
    heed.cli_ok("prefer", "c-1", "offers", "--channels", "email")
    heed.cli_ok("prefer", "c-1", "news", "--channels", "email")
    messages = [heed.send("c-1", product="news" if i % 2 else "offers", amount=str(i)) for i in range(4)]
    wait_for(lambda: heed.queue()["sent"] == 2)
    assert stays(lambda: heed.queue()["sent"] == 2)
    held = [m for m in messages if heed.state(m) == "deferred"]
    assert len(held) == 2 and heed.reasons(held[0]) == ["marketing_cap"]


# --- a list with patience ---

def test_when_its_wait_runs_out_the_next_channel_is_tried(heed, sms, mail):
    sms.script(harness.TWILIO_PATH, lambda request: Answer(408, {"message": "it took too long"}))
    heed.put(ANA)
    heed.cli_ok("prefer", "c-1", "card-alerts", "--channels", "sms{wait=1s},email")
    message = heed.send("c-1")
    heed.wait_state(message, "sent")
    contacts = heed.contacts(message)
    assert contacts[-1]["channel"] == "email" and contacts[-1]["state"] == "sent"
    assert [r["code"] for r in heed.explain(message)["reasons"]] == ["wait_over", "chosen", "accepted"]
    assert len(mail.mails) == 1


def test_a_provider_that_asks_for_less_is_waited_for(heed, sms, mail):
    sms.script(harness.TWILIO_PATH, *[Answer(429, {"code": 20429, "message": "slow down"})] * 6,
               lambda request: Answer(201, {"sid": "SM1", "status": "queued"}))
    heed.put(ANA)
    heed.cli_ok("prefer", "c-1", "card-alerts", "--channels", "sms{wait=500ms},email")
    message = heed.send("c-1")
    heed.wait_state(message, "sent")
    assert [c["channel"] for c in heed.contacts(message)] == ["sms"] * 7 and mail.mails == []


def test_the_hours_of_a_channel_use_up_its_wait(heed, sms, mail):
    heed.put(ANA)
    heed.cli_ok("prefer", "c-1", "card-alerts", "--channels", f"sms{{hours={hours(120)},wait=1s}},email")
    message = heed.send("c-1")
    heed.wait_state(message, "deferred")
    heed.wait_state(message, "sent")
    assert [c["channel"] for c in heed.contacts(message)] == ["email"] and sms.requests == []


# --- explain ---

def test_explain_says_what_would_happen_at_another_time(heed):
    heed.put({**ANA, "timezone": "America/Argentina/Buenos_Aires"})
    heed.cli_ok("prefer", "c-1", "card-alerts", "--channels", "email", "--hours", "mon-fri 09:00-20:00")
    def at(time):
        return heed.cli_object("explain", "--customer", "c-1", "--product", "card-alerts", "--at", time)
    answer = at("2026-11-23T15:00:00Z")
    assert answer["state"] == "queued" and answer["channel"] == "email" and answer["until"] is None
    answer = at("2026-11-20T23:30:00Z")    # a Friday, 20:30 there
    assert answer["state"] == "deferred" and answer["until"] == "2026-11-23T12:00:00.000Z" and answer["channel"] == "email"
    assert heed.cli("explain", "--customer", "c-1", "--product", "card-alerts", "--at", "noon").returncode == 2


def test_what_waits_survives_a_crash(heed, mail):
    heed.put(ANA)
    message = heed.send("c-1", send_at=moment(2))
    heed.wait_state(message, "deferred")
    heed.kill()
    heed.start()
    heed.wait_state(message, "sent")
    assert len(mail.mails) == 1
