"""What follows an outcome: the next channel, an address that is dead, giving up, a doubt that is settled, and a choice that
changes while messages are under way."""
import threading
import time

import pytest

import harness
from harness import FAST_RETRY, TWILIO_PATH, merged, stays, wait_for, webhook_channel
from http_receiver import Answer

NUMBER = "+5491155550100"
TAKEN = Answer(201, {"sid": "SM1", "status": "queued"})
ANA = {"id": "c-1", "addresses": {"sms": NUMBER, "email": "ana@example.com"},
       "preferences": [{"product": "card-alerts", "channels": ["sms", "email"]}]}
DEAD = Answer(400, {"code": 21211, "message": "not a number"})


def ends(heed, message):
    return [(c["channel"], c["state"], c["attempt"]) for c in heed.contacts(message)]


# --- the next channel ---

def test_the_next_channel_is_tried_when_one_failed_for_good(heed, sms, mail):
    heed.put(ANA)
    sms.script(TWILIO_PATH, Answer(400, {"code": 21610, "message": "no"}))
    message = heed.send("c-1")
    heed.wait_state(message, "sent")
    assert ends(heed, message) == [("sms", "rejected", 1), ("email", "sent", 2)]
    assert "channel_rejected" in heed.reasons(message) and len(mail.to("ana@example.com")) == 1
    wait_for(lambda: heed.event_types(message)[-1] == "heed.message.sent")
    assert heed.event_types(message) == ["heed.message.queued", "heed.message.sending", "heed.message.sending", "heed.message.sent"]


def test_a_message_has_failed_when_no_channel_is_left(heed, sms, mail):
    heed.put(ANA)
    sms.script(TWILIO_PATH, Answer(400))
    mail.refuse["ana@example.com"] = "550 5.7.1 no"
    message = heed.send("c-1")
    heed.wait_state(message, "failed")
    assert ends(heed, message) == [("sms", "rejected", 1), ("email", "rejected", 2)]
    assert heed.reasons(message)[-1] == "no_channel_left"


def test_a_channel_that_is_not_in_the_list_is_never_used(heed, sms, mail, receiver):
    heed.put(merged(ANA, {"addresses": {"webhook": receiver.url + "/hook"}, "preferences": [{"product": "card-alerts", "channels": ["sms"]}]}))
    sms.script(TWILIO_PATH, Answer(400))
    message = heed.send("c-1")
    heed.wait_state(message, "failed")
    assert mail.mails == [] and receiver.requests == []


# --- dead addresses ---

def test_a_dead_address_is_passed_over_until_it_is_put_again(heed, sms, mail):
    heed.put(ANA)
    heed.put({**ANA, "id": "c-2"})
    sms.script(TWILIO_PATH, DEAD, TAKEN)
    first = heed.send("c-1")
    heed.wait_state(first, "sent")
    second = heed.send("c-1")
    heed.wait_state(second, "sent")
    assert ends(heed, first) == [("sms", "rejected", 1), ("email", "sent", 2)] and ends(heed, second) == [("email", "sent", 1)]
    assert "address_dead" in heed.reasons(second) and len(sms.requests) == 1
    for customer in ("c-1", "c-2"):     # both have the number
        event, = wait_for(lambda: [e for e in heed.events(customer) if e["type"] == "heed.address.dead"])
        assert event["data"] == {"customer": customer, "channel": "sms", "provider": "twilio"}
    heed.put(ANA)
    third = heed.send("c-1")
    heed.wait_state(third, "sent")
    assert ends(heed, third) == [("sms", "sent", 1)]


def test_the_first_address_that_is_usable_is_taken(heed, sms):
    heed.put(merged(ANA, {"addresses": {"sms": [NUMBER, "+5491155550101"]}}))
    sms.script(TWILIO_PATH, DEAD, TAKEN)
    message = heed.send("c-1")
    heed.wait_state(message, "sent")
    assert [request.form["To"] for request in sms.requests] == [NUMBER, "+5491155550101"]
    assert ends(heed, message) == [("sms", "rejected", 1), ("sms", "sent", 2)]


# --- giving up, trying again ---

def test_a_message_that_was_given_up_is_sent_by_heed_retry(make_gateway, receiver):
    heed = make_gateway({"webhook": webhook_channel(retry=merged(FAST_RETRY, {"give_up_after": "1s"}))}, products={
        "card-alerts": {"title": {"en": "Card"}, "purpose": "service", "channels": ["webhook"], "default": ["webhook"]}}).start()
    heed.put({"id": "c-1", "addresses": {"webhook": receiver.url + "/hook"}})
    receiver.script("/hook", Answer(500))
    message = heed.send("c-1")
    heed.wait_state(message, "failed")
    assert "gave_up" in heed.reasons(message) and len(receiver.requests) > 1
    receiver.script("/hook", Answer(200))
    assert heed.cli_object("retry", message)["message"] == message
    heed.wait_state(message, "delivered")
    done = heed.cli("retry", message)
    assert done.returncode == 1 and "delivered" in done.stderr
    assert heed.sum_holds()["admitted"] == 1


# --- doubts ---

@pytest.mark.parametrize("word, state, copies", [("sent", "sent", 1), ("failed", "failed", 1), ("resend", "sent", 2)])
def test_a_doubt_is_settled(heed, sms, word, state, copies):
    heed.put(ANA)
    sms.script(TWILIO_PATH, Answer(cut="after"), TAKEN)
    message = heed.send("c-1")
    heed.wait_state(message, "in_doubt")
    stays(lambda: heed.state(message) == "in_doubt", 0.5)
    heed.cli_ok("settle", message, word)
    heed.wait_state(message, state)
    assert len(sms.requests) == copies
    assert ("settled" if word != "resend" else "accepted") in heed.reasons(message)
    done = heed.cli("settle", message, "sent")
    assert done.returncode == 1 and state in done.stderr
    assert heed.sum_holds()["admitted"] == 1


def test_a_doubt_is_not_moved_to_the_next_channel(heed, sms, mail):
    heed.put(ANA)
    sms.script(TWILIO_PATH, Answer(cut="after"), TAKEN)
    message = heed.send("c-1")
    heed.wait_state(message, "in_doubt")
    heed.prefer("c-1", "card-alerts", "email")
    later = heed.send("c-1")
    heed.wait_state(later, "sent")
    assert heed.state(message) == "in_doubt" and len(mail.mails) == 1 and len(sms.requests) == 1


# --- a choice that changes ---

def test_what_is_being_sent_is_listed_as_on_its_way(heed, receiver):
    heed.put({"id": "c-1", "addresses": {"webhook": receiver.url + "/slow", "email": "ana@example.com"}})
    heed.prefer("c-1", "card-alerts", "webhook")
    go_on = threading.Event()
    receiver.script("/slow", lambda request: (go_on.wait(10), Answer())[1])
    message = heed.send("c-1")
    heed.wait_state(message, "sending")
    for product in ("card-alerts", "*"):
        assert heed.prefer("c-1", product, "email")["on_their_way"] == ([message] if product == "card-alerts" else [])
    assert heed.prefer("c-1", "offers", "email")["on_their_way"] == []
    go_on.set()
    heed.wait_state(message, "delivered")
    assert heed.prefer("c-1", "card-alerts", "webhook")["on_their_way"] == []


def test_what_waits_moves_to_the_new_choice_or_is_suppressed(heed, mail, receiver):
    heed.put({"id": "moves", "addresses": {"webhook": receiver.url + "/hook", "email": "ana@example.com"}},
             {"id": "stops", "addresses": {"email": "bo@example.com"}})
    mail.down()
    moves, stops = [heed.send("moves") for _ in range(5)], [heed.send("stops") for _ in range(5)]
    for message in moves + stops:
        heed.wait_state(message, "deferred")
    assert heed.prefer("moves", "card-alerts", "webhook")["channels"] == ["webhook"]
    heed.prefer("stops", "card-alerts")
    for message in moves:
        heed.wait_state(message, "delivered")
    for message in stops:
        heed.wait_state(message, "suppressed")
        assert heed.reasons(message)[-1] == "stopped"
    mail.up()
    heed.wait_state(heed.send("stops", product="card-alerts"), "suppressed")
    assert mail.mails == [] and heed.wait_settled()["suppressed"] == 6


def test_the_answer_binds_under_a_stream_of_messages(heed, receiver, mail):
    heed.put({"id": "c-1", "addresses": {"webhook": receiver.url + "/hook", "email": "ana@example.com"}})
    heed.prefer("c-1", "card-alerts", "webhook")
    receiver.script("/hook", Answer(delay=0.01))
    sent, stop = [], threading.Event()

    def stream():
        client = harness.redis_client.Redis(unix_socket_path=heed.redis.socket)
        while not stop.is_set():
            name = f"m-{len(sent)}"
            sent.append(name)
            client.xadd("heed:outbound", {"message": '{"id":"%s","customer":"c-1","product":"card-alerts","content":{"subject":"%s","text":"x"}}'
                                                     % (name, name)})
            time.sleep(0.002)

    feeder = threading.Thread(target=stream, daemon=True)
    feeder.start()
    left = []
    try:
        for _ in range(4):
            wait_for(lambda seen=len(receiver.requests): len(receiver.requests) > seen + 20)
            listed = set(heed.prefer("c-1", "card-alerts", "email")["on_their_way"])
            answered = time.monotonic()
            wait_for(lambda seen=len(mail.mails): len(mail.mails) > seen + 20)
            until = time.monotonic()
            left.append([r for r in list(receiver.requests) if answered < r.at < until and r.json["id"] not in listed])
            heed.prefer("c-1", "card-alerts", "webhook")
    finally:
        stop.set()
        feeder.join(10)
    assert left == [[], [], [], []]
    numbers = heed.wait_settled()
    assert numbers["sent"] + numbers["delivered"] == numbers["admitted"] == len(sent)
    got = [r.json["id"] for r in receiver.requests] + [str(m.message["subject"]) for m in mail.mails]
    assert sorted(got) == sorted(sent)


def test_the_clock_of_giving_up_does_not_run_for_what_was_never_begun(make_gateway, mail):
    """A stop puts back what has not begun; however long it lasts, nothing was tried."""
    mail.delay = 0.3
    heed = make_gateway({"email": harness.email_channel(mail, sessions=1, retry={**harness.FAST_RETRY, "give_up_after": "3s"})},
                        config={"gateway": {"drain": "1s"}})
    heed.start()
    heed.put({"id": "c-1", "addresses": {"email": "a@example.com"}})
    messages = [heed.send("c-1") for _ in range(30)]
    harness.wait_for(lambda: mail.mails, what="the first mail")
    heed.stop()
    stopped = time.monotonic()
    harness.wait_for(lambda: time.monotonic() > stopped + 3.5, what="the time to give up to be over")
    mail.delay = 0
    heed.start()
    numbers = heed.wait_settled()
    assert numbers["failed"] == 0 and numbers["sent"] + numbers["in_doubt"] == len(messages)
