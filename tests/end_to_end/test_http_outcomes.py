"""What becomes of an attempt on an HTTP receiver or an SMS company that refuses, breaks off, dawdles or talks nonsense: the
contract's table, columns webhook and HTTP provider. All cases run at once."""
import base64
import email.utils
import hashlib
import hmac
import time

import pytest

import harness
from harness import twilio_channel, wait_for, webhook_channel
from http_receiver import Answer, HttpReceiver, redirect, retry_after
from outcome_stand import Case, Stand

TAKEN = Answer(201, {"sid": "SM1", "status": "queued"})
SECRET = "whsec_" + base64.b64encode(b"the first secret, 32 bytes long!").decode()
NEWER = "whsec_" + base64.b64encode(b"a newer one, which replaces that").decode()


def in_seconds(seconds):
    """A Retry-After that is a date."""
    return lambda request: Answer(429, headers={"Retry-After": email.utils.formatdate(time.time() + seconds, usegmt=True)})


# --- webhooks: the answers of a path, one after the other ---

def refused(status, answer=None):
    return Case([answer or Answer(status)], "failed", [("rejected", str(status), 1)])


def later(status, *answers):
    answers = answers or (Answer(status),)
    tries = [("retry", str(status), i + 1) for i in range(len(answers))]
    return Case([*answers, Answer()], "delivered", [*tries, ("delivered", "200", len(answers) + 1)])


def doubt(code, answer):
    return Case([answer, Answer()], "delivered", [("in_doubt", code, 1), ("delivered", "200", 2)])


WEBHOOKS = {
    **{f"hook-{status}": Case([Answer(status)], "delivered", [("delivered", str(status), 1)]) for status in (200, 202, 204)},
    **{f"hook-{status}": refused(status) for status in (400, 401, 403, 404)},
    "hook-redirect": refused(302, redirect("/elsewhere")),
    "hook-410": Case([Answer(410)], "failed", [("rejected", "410", 1)], dead=True),
    **{f"hook-{status}": later(status) for status in (408, 429, 500, 503)},
    "hook-503-repeatedly": later(503, *[Answer(503)] * 5),
    "hook-429-in-seconds": later(429, retry_after(2)),
    "hook-429-by-date": later(429, in_seconds(3)),
    "hook-endless-body": Case([Answer(200, endless=True)], "delivered", [("delivered", "200", 1)]),
    "hook-cut-in-the-answer": Case([Answer(200, "0123456789", cut="body")], "delivered", [("delivered", "200", 1)]),
    "hook-byte-by-byte": Case([Answer(200, byte_by_byte=0.002)], "delivered", [("delivered", "200", 1)]),
    "hook-cut-before": doubt(r"curl \d+", Answer(cut="before")),
    "hook-cut-after": doubt(r"curl \d+", Answer(cut="after")),
    "hook-reset-after": doubt(r"curl \d+", Answer(cut="after", reset=True)),
    "hook-cut-in-the-status": doubt(r"curl \d+", Answer(cut="status")),
    "hook-nonsense": doubt(r"curl \d+", Answer(raw=b"what?\r\n\r\n")),
    "hook-silent": doubt(r"curl 28", Answer(delay=10)),
    "hook-held": Case([Answer(cut="after"), Answer()], "in_doubt", [("in_doubt", r"curl \d+", 1)]),
}


# --- a provider ---

def sms_refused(code, status, dead=False):
    return Case([Answer(status, {"code": code, "message": "no"}) if code else Answer(status)], "failed",
                [("rejected", f"{status} {code}" if code else str(status), 1)], dead=dead)


def sms_later(status, *answers):
    answers = answers or (Answer(status),)
    tries = [("retry", str(status), i + 1) for i in range(len(answers))]
    return Case([*answers, TAKEN], "sent", [*tries, ("sent", "201", len(answers) + 1)])


def sms_at_fault(code, answer):
    return Case([answer, TAKEN], "sent", [("retry", code, 1), ("sent", "201", 1)])


def sms_doubt(code, answer):
    """The policy of a provider's channel is to hold."""
    return Case([answer, TAKEN], "in_doubt", [("in_doubt", code, 1)])


PROVIDERS = {
    "sms-taken": Case([TAKEN], "sent", [("sent", "201", 1)]),
    "sms-21211": sms_refused(21211, 400, dead=True),
    "sms-21610": sms_refused(21610, 400),
    **{f"sms-{status}": sms_refused(None, status) for status in (400, 404, 410)},
    "sms-redirect": Case([redirect("/elsewhere")], "failed", [("rejected", "302", 1)]),
    "sms-401": sms_at_fault("401", Answer(401)),
    "sms-403": sms_at_fault("403", Answer(403)),
    "sms-20003": sms_at_fault("400 20003", Answer(400, {"code": 20003, "message": "Authenticate"})),
    **{f"sms-{status}": sms_later(status) for status in (408, 429, 500, 503)},
    "sms-429-in-seconds": sms_later(429, retry_after(2)),
    "sms-429-by-date": sms_later(429, in_seconds(3)),
    # from the third one in a row on it is the provider and not the message; each gateway counts its own
    "sms-503-repeatedly": Case([*[Answer(503)] * 4, TAKEN], "sent",
                               [("retry", "503", 1), ("retry", "503", 2), *[(state, code, 3 if harness.GATEWAYS == 1 else None)
                                                                            for state, code in (("retry", "503"), ("retry", "503"), ("sent", "201"))]]),
    "sms-endless-body": sms_doubt("201", Answer(201, {"status": "queued"}, endless=True)),
    "sms-no-id": sms_doubt("201", Answer(201, {"status": "queued"})),
    "sms-not-json": sms_doubt("200", Answer(200, "fine")),
    "sms-cut-in-the-answer": sms_doubt("201", Answer(201, {"sid": "SM12345"}, cut="body")),
    "sms-cut-before": sms_doubt(r"curl \d+", Answer(cut="before")),
    "sms-cut-after": sms_doubt(r"curl \d+", Answer(cut="after")),
    "sms-cut-in-the-status": sms_doubt(r"curl \d+", Answer(cut="status")),
    "sms-nonsense": sms_doubt(r"curl \d+", Answer(raw=b"what?\r\n\r\n")),
    "sms-silent": sms_doubt("curl 28", Answer(delay=10)),
    "sms-resent": Case([Answer(cut="after"), TAKEN], "sent", [("in_doubt", r"curl \d+", 1), ("sent", "201", 2)]),
}

# --- inside addresses, which a customer's webhook must not name unless the company says so ---

INSIDE = {"loopback": "127.0.0.1", "by-name": "localhost", "other-loopback": "127.8.8.8", "v6": "[::1]", "mapped": "[::ffff:127.0.0.1]",
          "any": "0.0.0.0", "private": "10.1.2.3", "private-16": "192.168.1.1", "metadata": "169.254.169.254", "short": "127.1",
          "decimal": "2130706433"}
GUARDED = {f"inside-{name}": Case([Answer()], "failed", [("rejected", "blocked", 1)]) for name in INSIDE}
GUARDED["plain-http"] = Case([Answer()], "failed", [("rejected", "blocked", 1)])

CASES = {**WEBHOOKS, **PROVIDERS, **GUARDED}


def silent(name):
    return "1s" if name.endswith("silent") else "15s"


@pytest.fixture(scope="module")
def stand():
    receiver, stand = HttpReceiver(), Stand(CASES)
    channels = {"webhook": webhook_channel(timeout="15s"), "quick": webhook_channel(timeout="1s"),
                "hold": webhook_channel(in_doubt="hold"), "guarded": webhook_channel(allow_private=False),
                "secure": webhook_channel(allow_http=False)}
    places = {}
    for name, case in WEBHOOKS.items():
        receiver.script("/" + name, *case.peer)
        channel = "quick" if name == "hook-silent" else "hold" if name == "hook-held" else "webhook"
        places[name] = (channel, {"url": f"{receiver.url}/{name}", "secret": [NEWER, SECRET]})
    for number, (name, case) in enumerate(PROVIDERS.items()):
        receiver.script(f"/{name}{harness.TWILIO_PATH}", *case.peer)
        channels[name] = twilio_channel(receiver, timeout=silent(name), settings={"base_url": f"{receiver.url}/{name}"},
                                        **({"in_doubt": "resend"} if name == "sms-resent" else {}))
        places[name] = (name, f"+54911555501{number:02}")
    for name, host in INSIDE.items():
        places[f"inside-{name}"] = ("guarded", f"http://{host}:{receiver.port}/inside-{name}")
    places["plain-http"] = ("secure", f"{receiver.url}/plain-http")
    try:
        stand.receiver = receiver
        yield stand.start(channels, places)
    finally:
        stand.close()
        receiver.close()


@pytest.fixture(autouse=True)
def log_of_the_stand(request):
    if "stand" in request.fixturenames:
        request.node.heed_gateways = [request.getfixturevalue("stand").gateway]


def requests_of(stand, name):
    stand.check(name)
    return stand.receiver.to("/" + name + (harness.TWILIO_PATH if name in PROVIDERS else ""))


@pytest.mark.parametrize("name", CASES)
def test_each_ends_as_the_table_says(stand, name):
    requests = requests_of(stand, name)
    assert len(requests) == (0 if name in GUARDED else len(CASES[name].contacts))


def test_a_redirect_is_not_followed(stand):
    for name in ("hook-redirect", "sms-redirect"):
        requests_of(stand, name)
    assert stand.receiver.to("/elsewhere") == []


@pytest.mark.parametrize("name, least", [("hook-429-in-seconds", 2), ("hook-429-by-date", 1.9), ("sms-429-in-seconds", 2),
                                         ("sms-429-by-date", 1.9)])
def test_retry_after_counts(stand, name, least):
    first, second = requests_of(stand, name)
    assert second.at - first.at >= least


def test_the_providers_id_is_kept(stand):
    contact, = stand.check("sms-taken")
    assert contact["provider_ref"] == "SM1" and contact["provider"] == "twilio" and contact["address"].startswith("+549")


def test_a_doubt_is_not_moved_to_the_provider_again(stand):
    stand.check("sms-cut-after")
    assert stand.gateway.reasons("m-sms-cut-after")[-1] == "doubt_held"


def test_nothing_is_lost_and_the_sum_holds(stand):
    for name in CASES:
        stand.check(name)
    numbers = stand.gateway.sum_holds()
    states = [case.state for case in CASES.values()]
    assert numbers["admitted"] == len(CASES) and numbers["dead"] == 0
    for state in ("sent", "delivered", "failed", "in_doubt"):
        assert numbers[state] == states.count(state)


# --- signatures ---

def signature(secret, request):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f'{request.headers["webhook-id"]}.{request.headers["webhook-timestamp"]}.'.encode() + request.body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def test_every_attempt_is_signed_with_every_secret_newest_first(stand):
    for name in ("hook-200", "hook-503-repeatedly", "hook-cut-after"):
        for request in requests_of(stand, name):
            assert request.headers["webhook-signature"] == f"{signature(NEWER, request)} {signature(SECRET, request)}"


def test_all_attempts_have_the_messages_id_and_each_its_own_time(stand):
    requests = requests_of(stand, "hook-429-in-seconds")
    assert {request.headers["webhook-id"] for request in requests} == {"m-hook-429-in-seconds"}
    first, second = (int(request.headers["webhook-timestamp"]) for request in requests)
    assert first < second
    for request in requests:
        assert abs(int(request.headers["webhook-timestamp"]) - request.time) < 5


def test_a_webhook_for_which_there_is_only_content_says_what_the_contract_says(stand):
    request, = requests_of(stand, "hook-200")
    assert request.json == {"id": "m-hook-200", "product": "card-alerts", "subject": "Hi", "text": "Hello"}
    assert request.method == "POST" and request.headers["content-type"] == "application/json"


def test_an_address_without_a_secret_is_not_signed(make_gateway, receiver):
    gateway = make_gateway({"webhook": webhook_channel()}, products={
        "card-alerts": {"title": {"en": "Card"}, "purpose": "service", "channels": ["webhook"], "default": ["webhook"]}}).start()
    gateway.put({"id": "c-1", "addresses": {"webhook": receiver.url + "/hook"}})
    gateway.wait_state(gateway.send("c-1"), "delivered")
    headers = receiver.requests[0].headers
    assert "webhook-id" in headers and "webhook-timestamp" in headers and "webhook-signature" not in headers


# --- who refuses the connection ---

def test_a_receiver_that_refuses_connections_is_tried_again_and_one_that_cuts_them_is_in_doubt_at_most(heed, receiver):
    gone, cutting = HttpReceiver(), HttpReceiver()
    gone.down()
    cutting.cut_connections(1)
    heed.put({"id": "gone", "addresses": {"webhook": gone.url + "/hook"}}, {"id": "cut", "addresses": {"webhook": cutting.url + "/hook"}})
    for customer in ("gone", "cut"):
        heed.prefer(customer, "card-alerts", "webhook")
    at_gone, at_cut = heed.send("gone"), heed.send("cut")
    try:
        wait_for(lambda: len(heed.contacts(at_gone)) >= 2 and heed.contacts(at_gone)[0]["state"] == "retry")
        gone.up()
        for message in (at_gone, at_cut):
            heed.wait_state(message, "delivered")
        *tries, taken = heed.contacts(at_gone)
        assert {c["state"] for c in tries} == {"retry"} and taken["attempt"] == len(tries) + 1
        first, second = heed.contacts(at_cut)
        assert first["state"] in ("in_doubt", "retry") and second["state"] == "delivered"
        assert len(gone.requests) == len(cutting.requests) == 1
    finally:
        gone.close()
        cutting.close()


def test_a_provider_that_refuses_connections_costs_no_attempt(heed, sms):
    heed.put({"id": "c-1", "addresses": {"sms": "+5491155550100"}})
    heed.prefer("c-1", "card-alerts", "sms")
    sms.down()
    message = heed.send("c-1")
    wait_for(lambda: [c["state"] for c in heed.contacts(message)] == ["retry"])
    assert heed.state(message) == "deferred" and "provider_at_fault" in heed.reasons(message)
    sms.up()
    heed.wait_state(message, "sent")
    assert {contact["attempt"] for contact in heed.contacts(message)} == {1}
