"""The shipped providers against what their descriptions say: each request as documented, and what becomes of a message
after each kind of answer. One gateway with a channel for each; a receiver plays them all and answers by the case that stands
in the text. And the worked example of config/providers/README.md, from nothing to a first message."""
import base64
import json
import re

import pytest
import yaml
from harness import FAST_RETRY, ROOT, wait_for
from http_receiver import Answer, HttpReceiver

FOLDER = ROOT / "config/providers"


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def digits(to):
    return to.lstrip("+")


def meta_error(code):
    return {"error": {"message": "(#%d) no" % code, "type": "OAuthException", "code": code}}


def infobip(group, name):
    return {"messages": [{"to": "1", "status": {"groupId": group, "groupName": "G", "id": 1, "name": name, "description": "d"},
                          "messageId": "ib-1"}]}


def telnyx_error(code, pointer=None):
    return {"errors": [{"code": code, "title": "t", "detail": "d", **({"source": {"pointer": pointer}} if pointer else {})}]}


TWILIO = {"account_sid": "AC1", "auth_token": "secret-token", "from": "+15005550006"}

# settings; request(to, text, id): what must arrive; ref: the id in the first answer; cases: what is answered, by what
# it means. A case is named by its kind: taken, permanent, dead, later, company, doubt; with a number, another of the kind.
PROVIDERS = {
    "twilio": dict(
        settings=TWILIO, ref="SM1",
        request=lambda to, text, id: dict(
            path="/2010-04-01/Accounts/AC1/Messages.json", auth=basic("AC1", "secret-token"),
            form={"To": to, "From": "+15005550006", "Body": text}),
        cases={"taken": (201, {"sid": "SM1", "status": "queued"}), "permanent": (400, {"code": 21610, "message": "unsubscribed"}),
               "dead": (400, {"code": 21211, "message": "not valid"}), "later": (429, {"code": 20429}),
               "company": (401, {"code": 20003, "message": "Authenticate"})}),
    "twilio-voice": dict(
        settings={**TWILIO, "language": "es-MX"}, ref="CA1",
        request=lambda to, text, id: dict(
            path="/2010-04-01/Accounts/AC1/Calls.json", auth=basic("AC1", "secret-token"),
            form={"To": to, "From": "+15005550006",
                  "Twiml": '<Response><Say language="es-MX">'
                           + text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
                           + "</Say></Response>"}),
        cases={"taken": (201, {"sid": "CA1", "status": "queued"}), "permanent": (400, {"code": 21215, "message": "not authorized"}),
               "dead": (400, {"code": 21217, "message": "not valid"}), "later": (503, ""),
               "company": (400, {"code": 21210, "message": "From not verified"})}),
    "vonage": dict(
        settings={"api_key": "abcd", "api_secret": "hush-hush", "from": "Bank"}, ref="0A1",
        request=lambda to, text, id: dict(
            path="/sms/json", form={"api_key": "abcd", "api_secret": "hush-hush", "from": "Bank", "to": digits(to), "text": text,
                                    "type": "unicode", "client-ref": id}),
        cases={"taken": (200, {"message-count": "2", "messages": [{"status": "0", "message-id": "0A1"},
                                                                   {"status": "0", "message-id": "0A2"}]}),
               "permanent": (200, {"messages": [{"status": "7", "error-text": "Number barred"}]}),
               "dead": (200, {"messages": [{"status": "6", "error-text": "Unroutable"}]}),
               "later": (200, {"messages": [{"status": "1", "error-text": "Throughput rate exceeded"}]}),
               "company": (200, {"messages": [{"status": "9", "error-text": "Quota exceeded"}]}),
               "doubt": (200, {"messages": [{"status": "0", "message-id": "0A3"}, {"status": "1"}]})}),
    "messagebird": dict(
        settings={"access_key": "live_key1", "from": "Bank"}, ref="mb1",
        request=lambda to, text, id: dict(
            path="/messages", auth="AccessKey live_key1",
            json={"originator": "Bank", "recipients": [digits(to)], "body": text, "datacoding": "unicode", "reference": id}),
        cases={"taken": (201, {"id": "mb1", "recipients": {"totalSentCount": 1}}),
               "permanent": (422, {"errors": [{"code": 10, "description": "body is too long", "parameter": "body"}]}),
               "dead": (422, {"errors": [{"code": 9, "description": "no (correct) recipients found", "parameter": "recipients"}]}),
               "later": (500, {"errors": [{"code": 99, "description": "internal"}]}),
               "company": (401, {"errors": [{"code": 2, "description": "Request not allowed", "parameter": "access_key"}]})}),
    "telegram": dict(
        settings={"token": "110201543:AAHdq"}, ref="77",
        request=lambda to, text, id: dict(path="/bot110201543:AAHdq/sendMessage", json={"chat_id": to, "text": text}),
        cases={"taken": (200, {"ok": True, "result": {"message_id": 77}}),
               "permanent": (403, {"ok": False, "error_code": 403, "description": "Forbidden: bot was blocked by the user"}),
               "dead": (400, {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"}),
               "later": (429, {"ok": False, "error_code": 429, "description": "Too Many Requests: retry after 1",
                               "parameters": {"retry_after": 1}}),
               "company": (401, {"ok": False, "error_code": 401, "description": "Unauthorized"})}),
    "slack": dict(
        settings={"token": "xoxb-1"}, ref="1503435956.000247",
        request=lambda to, text, id: dict(path="/api/chat.postMessage", auth="Bearer xoxb-1", json={"channel": to, "text": text}),
        cases={"taken": (200, {"ok": True, "channel": "C1", "ts": "1503435956.000247"}),
               "permanent": (200, {"ok": False, "error": "msg_too_long"}), "dead": (200, {"ok": False, "error": "channel_not_found"}),
               "later": (429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "1"}),
               "company": (200, {"ok": False, "error": "token_revoked"}), "doubt": (200, {"ok": False, "error": "fatal_error"})}),
    "discord": dict(
        settings={"token": "dc-1"}, ref="1102",
        request=lambda to, text, id: dict(path=f"/api/v10/channels/{to}/messages", auth="Bot dc-1",
                                          json={"content": text, "allowed_mentions": {"parse": []}}),
        cases={"taken": (200, {"id": "1102"}), "permanent": (403, {"code": 50007, "message": "Cannot send messages to this user"}),
               "dead": (404, {"code": 10003, "message": "Unknown Channel"}),
               "later": (429, {"message": "You are being rate limited.", "retry_after": 0.9, "global": False}),
               "company": (401, {"code": 0, "message": "401: Unauthorized"})}),
    "mattermost": dict(
        settings={"token": "mm-1"}, ref="p1",
        request=lambda to, text, id: dict(path="/api/v4/posts", auth="Bearer mm-1", json={"channel_id": to, "message": text}),
        cases={"taken": (201, {"id": "p1"}), "permanent": (403, {"id": "api.context.permissions.app_error", "message": "no"}),
               "dead": (404, {"id": "store.sql_channel.get.existing.app_error", "message": "no such channel"}),
               "later": (429, "limit exceeded"), "company": (401, {"id": "api.context.session_expired.app_error", "message": "login"})}),
    "matrix": dict(
        settings={"access_token": "syt_1"}, ref="$e1:example.com",
        request=lambda to, text, id: dict(method="PUT", path=f"/_matrix/client/v3/rooms/{to}/send/m.room.message/{id}",
                                          auth="Bearer syt_1", json={"msgtype": "m.text", "body": text}),
        cases={"taken": (200, {"event_id": "$e1:example.com"}), "permanent": (403, {"errcode": "M_FORBIDDEN", "error": "not in the room"}),
               "dead": (404, {"errcode": "M_NOT_FOUND", "error": "no such room"}),
               "later": (429, {"errcode": "M_LIMIT_EXCEEDED", "error": "slow", "retry_after_ms": 900}),
               "company": (401, {"errcode": "M_UNKNOWN_TOKEN", "error": "who?"})}),
    "discourse": dict(
        settings={"api_key": "dk-1", "api_username": "bank"}, ref="501",
        request=lambda to, text, id: dict(
            path="/posts.json", headers={"api-key": "dk-1", "api-username": "bank"},
            json={"title": "A message for you: Product of discourse", "raw": text, "target_recipients": to, "archetype": "private_message"}),
        cases={"taken": (200, {"id": 501, "topic_id": 9}), "permanent": (422, {"action": "create_post", "errors": ["Body is too short"]}),
               "dead": (422, {"action": "create_post", "errors": ["You must select a valid user."]}),
               "later": (429, {"errors": ["Slow down"], "error_type": "rate_limit", "extras": {"wait_seconds": 1}}),
               "company": (403, {"errors": ["not permitted"], "error_type": "invalid_access"})}),
    "whatsapp": dict(
        settings={"phone_number_id": "1060", "access_token": "EAA1", "template": "notice", "language": "es"}, ref="wamid.1",
        request=lambda to, text, id: dict(
            path="/v20.0/1060/messages", auth="Bearer EAA1",
            json={"messaging_product": "whatsapp", "recipient_type": "individual", "to": to, "type": "template",
                  "template": {"name": "notice", "language": {"code": "es"},
                               "components": [{"type": "body", "parameters": [{"type": "text", "text": text}]}]},
                  "biz_opaque_callback_data": id}),
        cases={"taken": (200, {"messaging_product": "whatsapp", "messages": [{"id": "wamid.1"}]}),
               "permanent": (400, meta_error(131047)), "dead": (400, meta_error(131026)), "later": (400, meta_error(130429)),
               "company": (401, meta_error(190))}),
    "ntfy": dict(
        settings={"token": "tk_1"}, ref="n1",
        request=lambda to, text, id: dict(path="", auth="Bearer tk_1", json={"topic": to, "title": "Product of ntfy", "message": text}),
        cases={"taken": (200, {"id": "n1", "event": "message"}), "permanent": (413, {"code": 41303, "http": 413, "error": "too large"}),
               "dead": (400, {"code": 40009, "http": 400, "error": "invalid request: topic invalid"}),
               "later": (429, {"code": 42901, "http": 429, "error": "limit reached"}),
               "company": (401, {"code": 40101, "http": 401, "error": "unauthorized"})}),
    "plivo": dict(
        settings={"auth_id": "MA1", "auth_token": "pl-1-token", "from": "14150000000"}, ref="db3c",
        request=lambda to, text, id: dict(path="/v1/Account/MA1/Message/", auth=basic("MA1", "pl-1-token"),
                                          json={"src": "14150000000", "dst": digits(to), "text": text}),
        cases={"taken": (202, {"message": "message(s) queued", "message_uuid": ["db3c"], "api_id": "a"}),
               "permanent": (400, {"api_id": "a", "error": "text is too long"}),
               "dead": (400, {"api_id": "a", "error": "dst is invalid"}), "later": (429, {"error": "rate_limit_exceeded"}),
               "company": (401, {"error": "authentication_failed"})}),
    "sinch": dict(
        settings={"service_plan_id": "sp1", "api_token": "si-1", "from": "12345"}, ref="01F",
        request=lambda to, text, id: dict(path="/xms/v1/sp1/batches", auth="Bearer si-1",
                                          json={"from": "12345", "to": [to], "body": text, "client_reference": id}),
        cases={"taken": (201, {"id": "01F", "canceled": False}),
               "permanent": (400, {"code": "syntax_constraint_violation", "text": "too long"}),
               "dead": (403, {"code": "illegal_number_type", "text": "not there"}), "later": (500, ""),
               "company": (403, {"code": "blocked_account", "text": "blocked"})}),
    "infobip": dict(
        settings={"api_key": "ib-key", "from": "Bank"}, ref="ib-1",
        request=lambda to, text, id: dict(
            path="/sms/2/text/advanced", auth="App ib-key",
            json={"messages": [{"destinations": [{"to": digits(to)}], "from": "Bank", "text": text, "callbackData": id}]}),
        cases={"taken": (200, infobip(1, "PENDING_ENROUTE")), "permanent": (200, infobip(5, "REJECTED_NETWORK")),
               "dead": (200, infobip(5, "REJECTED_DESTINATION")), "later": (200, infobip(5, "REJECTED_SYSTEM_ERROR")),
               "company": (200, infobip(5, "REJECTED_NOT_ENOUGH_CREDITS")),
               "company2": (401, {"requestError": {"serviceException": {"messageId": "UNAUTHORIZED", "text": "Invalid login details"}}})}),
    "telnyx": dict(
        settings={"api_key": "KEY1", "from": "+15550001111"}, ref="t1",
        request=lambda to, text, id: dict(path="/v2/messages", auth="Bearer KEY1", json={"from": "+15550001111", "to": to, "text": text}),
        cases={"taken": (200, {"data": {"id": "t1", "record_type": "message"}}), "permanent": (403, telnyx_error("40300")),
               "dead": (400, telnyx_error("10002", "/to")), "dead2": (400, telnyx_error("40310")), "later": (429, telnyx_error("10011")),
               "company": (401, telnyx_error("10009")), "company2": (400, telnyx_error("10002", "/from"))}),
    "kannel": dict(
        settings={"username": "heed", "password": "p&ss", "from": "Bank"}, ref=None,
        request=lambda to, text, id: dict(
            method="GET", path="/cgi-bin/sendsms",
            query={"username": "heed", "password": "p&ss", "from": "Bank", "to": to, "text": text, "charset": "UTF-8", "coding": "2"}),
        cases={"taken": (202, "0: Accepted for delivery"), "permanent": (403, "Not routable. Do not try again."),
               "later": (503, "Temporal failure, try again later."), "company": (403, "Authorization failed for sendsms")}),
}

# The states of its attempts, their numbers (what is the company's own trouble does not count), and a reason at the end.
ENDS = {"taken": (["sent"], [1], "accepted"), "permanent": (["rejected"], [1], "channel_rejected"),
        "dead": (["rejected"], [1], "address_dead"), "later": (["retry", "sent"], [1, 2], "accepted"),
        "company": (["retry", "sent"], [1, 1], "accepted"), "doubt": (["in_doubt"], [1], "in_doubt")}


def kind(case):
    return case.rstrip("0123456789")


def text_of(case):
    return f'Hola "Ana" & <Bob>: 5 € más. case-{case}.'


class Companies(HttpReceiver):
    """Plays all providers, each below a path of its own. The first request of a case gets its answer, later ones `taken`."""

    def __init__(self):
        self.seen = {}
        super().__init__(default=self.play)

    def play(self, request):
        name, case = self.case_of(request)
        first = not self.seen.get((name, case))
        self.seen.setdefault((name, case), []).append(request)
        status, body, *headers = PROVIDERS[name]["cases"][case if first else "taken"]
        return Answer(status, body, headers[0] if headers else {})

    @staticmethod
    def case_of(request):
        return request.path.split("/")[1], re.search(rb"case-([a-z0-9]+)", request.body + request.target.encode())[1].decode()


@pytest.fixture
def companies():
    server = Companies()
    yield server
    server.close()


def address_of(name, number):
    described = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    return f"+1555{number:07d}" if described.get("address", "phone") == "phone" else f"a{number}"


def checked(name, request, to, text, message):
    expected = PROVIDERS[name]["request"](to, text, message)
    assert request.method == expected.get("method", "POST"), name
    assert request.path == f"/{name}{expected['path']}", name
    if "auth" in expected:
        assert request.headers["authorization"] == expected["auth"], name
    for header, value in expected.get("headers", {}).items():
        assert request.headers[header] == value, name
    for part in ("form", "json", "query"):
        if part in expected:
            assert getattr(request, part) == expected[part], name
    types = {"form": "application/x-www-form-urlencoded", "json": "application/json"}
    for part, content_type in types.items():
        if part in expected:
            assert request.headers["content-type"] == content_type, name


def test_each_provider_is_shipped_with_a_test():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(PROVIDERS)


def test_each_provider_gets_its_request_and_each_answer_means_what_it_documents(make_gateway, companies):
    heed = make_gateway(
        {name: {"adapter": "http", "provider": str(FOLDER / f"{name}.yaml"), "timeout": "5s", "retry": FAST_RETRY,
                "settings": {**p["settings"], "base_url": f"{companies.url}/{name}"}} for name, p in PROVIDERS.items()},
        products={f"p-{name}": {"title": {"en": f"Product of {name}"}, "channels": [name], "default": [name]} for name in PROVIDERS})
    heed.start()
    cases = [(name, case) for name, p in PROVIDERS.items() for case in p["cases"]]
    addresses = {pair: address_of(pair[0], i) for i, pair in enumerate(cases)}
    people = heed.folder / "people.jsonl"
    people.write_text("".join(json.dumps({"id": f"{name}.{case}", "addresses": {name: to}}) + "\n"
                              for (name, case), to in addresses.items()))
    heed.cli_ok("customer", "import", people)

    def run(pairs):
        """Sends one message for each and waits until all have come to their end."""
        for name, case in pairs:
            heed.xadd({"id": f"{name}.{case}", "customer": f"{name}.{case}", "product": f"p-{name}", "content": {"text": text_of(case)}})
        last = {}

        def ended():
            last.clear()
            for contact in heed.cli_json("log", "--limit", "100000"):
                for message in contact["messages"]:
                    if contact["attempt"]:
                        last.setdefault(message, []).append(contact)
            states = {pair: [c["state"] for c in last.get(".".join(pair), [])] for pair in pairs}
            wrong.clear()
            wrong.update({pair: s for pair, s in states.items() if s != ENDS[kind(pair[1])][0]})
            return not wrong

        wrong = {}
        try:
            wait_for(ended, 25, "all to end", pause=0.3)
        except AssertionError:
            raise AssertionError(f"ended otherwise: {wrong}") from None
        for name, case in pairs:
            message, (_, attempts, reason) = f"{name}.{case}", ENDS[kind(case)]
            assert [c["attempt"] for c in last[message]] == attempts, message
            reasons = heed.reasons(message)
            assert reason in reasons, (message, reasons)
            for request in companies.seen[name, case]:
                checked(name, request, addresses[name, case], text_of(case), message)
            if last[message][-1]["state"] == "sent":
                assert last[message][-1]["provider_ref"] == (PROVIDERS[name]["ref"] or ""), message

    # the company's own trouble holds all of a provider's messages, so it comes last, one after the other
    run([pair for pair in cases if kind(pair[1]) != "company"])
    for name in ("slack", "telegram", "discord", "matrix", "discourse"):     # which say how long to wait
        first, second = companies.seen[name, "later"]
        assert second.at - first.at >= 0.85, name
    run([pair for pair in cases if pair[1] == "company"])
    run([pair for pair in cases if pair[1] == "company2"])
    assert heed.sum_holds()["dead"] == 0
    assert "secret-token" not in heed.stderr() and "hush-hush" not in heed.stderr()


# --- the worked example ---

def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", (FOLDER / "README.md").read_text(), re.S)


def test_the_worked_example_of_the_readme_runs_from_nothing_to_a_first_message(make_gateway, receiver):
    described, channel, product = (yaml.safe_load(block) for block in blocks("yaml")[:3])
    customer, message, answer, refusal = (json.loads(block) for block in blocks("json")[:4])
    path = "/v1/messages"
    receiver.script(path, Answer(422, refusal), Answer(202, answer))
    channels = channel["channels"]
    channels["push"]["settings"].update(api_key="key-1", base_url=receiver.url)
    heed = make_gateway(channels, products=product)
    (heed.folder / "providers").mkdir()
    (heed.folder / "providers" / f"{described['name']}.yaml").write_text(blocks("yaml")[0])
    heed.cli_ok("migrate")
    heed.cli_ok("check")
    heed.start()
    heed.put({**customer, "id": "other"}, customer)
    refused = heed.xadd({**message, "customer": "other"})
    heed.wait_state(refused, "failed")
    assert "address_dead" in heed.reasons(refused)
    heed.put(customer)     # written again, it lives
    sent = heed.xadd(message)
    heed.wait_state(sent, "sent")
    request = receiver.to(path)[-1]
    assert request.headers["authorization"] == "Bearer key-1"
    assert request.json == {"device": customer["addresses"]["push"], "text": message["content"]["text"], "reference": sent}
    assert heed.contacts(sent)[-1]["provider_ref"] == answer["id"]


def test_a_mistake_in_the_worked_example_is_named_by_its_line(make_gateway):
    described, channel, product = (yaml.safe_load(block) for block in blocks("yaml")[:3])
    heed = make_gateway(channel["channels"], products=product)
    (heed.folder / "providers").mkdir()
    file = heed.folder / "providers" / f"{described['name']}.yaml"
    lines = blocks("yaml")[0].replace("{{text}}", "{{txt}}").splitlines()
    file.write_text("\n".join(lines) + "\n")
    number = next(i for i, line in enumerate(lines, 1) if "{{txt}}" in line)
    done = heed.cli("check", env={"PUSH_KEY": "key-1"})
    assert done.returncode == 2
    assert f"{file}:{number}: request.json.text: uses txt, which is not there; did you mean text?" in done.stdout + done.stderr
