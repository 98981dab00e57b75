"""config/openapi.yaml says what the API does: every request in it is sent, every answer held against it (the harness does
that for all tests), every route of the table is in it, and nothing else."""
import contextlib
import http.client
import json
import os
import re
import shutil
import subprocess
import urllib.parse

import pytest
import yaml

from described import DESCRIPTION, OPERATIONS
from harness import ROOT, Gateway, Redis, http_doors, short_folder, twilio_channel, webhook_channel
from http_receiver import Answer, HttpReceiver
from page import Page

ALL = ["send", "read", "history", "write", "ops"]
TOKENS = {"all": {"name": "all", "scopes": ALL}, "offers": {"name": "offers", "scopes": ALL, "products": ["offers"]},
          **{f"no-{scope}": {"name": f"no-{scope}", "scopes": [s for s in ALL if s != scope]} for scope in ALL},
          **{f"only-{scope}": {"name": f"only-{scope}", "scopes": [scope]} for scope in ALL}}
ROUTES = re.findall(r'\{"(\w+)", "([^"]+)", \w+, (\w+), ([\w| ]+), ([\w| ]+), (NULL|"[^"]*")\}',
                    (ROOT / "gateway/api_routes.c").read_text())


def route_of(operation):
    return re.sub(r"\{\w+\}", ":", operation.path)


OVER_TCP = [operation for operation in OPERATIONS if not operation.public]


@pytest.fixture(scope="module")
def world():
    """A gateway that has had a day: something delivered, something in doubt, something failed, something that waits."""
    folder = short_folder()
    redis, sms, hooks = Redis(folder / "r").start(), HttpReceiver(), HttpReceiver()
    sms.script("/2010-04-01/Accounts/AC1/Messages.json", lambda request: Answer(201, {"sid": "SM1"}))
    hooks.script("/failed", lambda request: Answer(410))
    gateway = Gateway(folder / "g", redis, {"webhook": webhook_channel(), "sms": twilio_channel(sms, in_doubt="hold"),
                                            "email": {"adapter": "capture"}}, config=http_doors(tokens=TOKENS))
    gateway.failing = hooks.url + "/failed"
    gateway.start()
    gateway.put({"id": "c-1042", "addresses": {"email": "ana@example.com", "webhook": hooks.url + "/fine"}},
                {"id": "c-doubt", "addresses": {"sms": "+5491155550100"}}, {"id": "c-failed", "addresses": {"webhook": gateway.failing}})
    gateway.prefer("c-1042", "card-alerts", "webhook", "email")
    gateway.prefer("c-doubt", "card-alerts", "sms")
    gateway.prefer("c-failed", "card-alerts", "webhook")
    yield gateway, sms
    gateway.close()
    redis.kill()
    sms.close()
    hooks.close()
    shutil.rmtree(folder, ignore_errors=True)


def a_doubt(gateway, sms, id=None):
    sms.script("/2010-04-01/Accounts/AC1/Messages.json", lambda request: Answer(201, {}), lambda request: Answer(201, {"sid": "SM1"}))
    message = gateway.send("c-doubt", **({"id": id} if id else {}))
    gateway.wait_state(message, "in_doubt")
    return {"message": message}


def one_that_failed(gateway, sms, id=None):
    gateway.put({"id": "c-failed", "addresses": {"webhook": gateway.failing}})
    message = gateway.send("c-failed", **({"id": id} if id else {}))
    gateway.wait_state(message, "failed")
    gateway.put({"id": "c-failed", "addresses": {"email": "ben@example.com"}})
    return {"message": message}


def one_that_waits(gateway, sms):
    message = gateway.send("c-1042", send_at="2999-01-01T00:00:00Z")
    gateway.wait_state(message, "deferred")
    return {"message": message}


def one_to_erase(gateway, sms):
    gateway.put({"id": "c-gone", "addresses": {"email": "gone@example.com"}})
    return {"customer": "c-gone"}


def a_hold(gateway, sms):
    gateway.api("POST", "/v1/holds", {"campaign": "spring", "why": "a test"})
    return {}


def what_was_sent(gateway, sms):
    gateway.send("c-1042", id="order-4711")
    gateway.wait_state("order-4711", "delivered", "sent")
    return {}


BEFORE = {"settleMessage": a_doubt, "retryMessage": one_that_failed, "takeBack": one_that_waits, "cancelMessage": one_that_waits,
          "eraseCustomer": one_to_erase, "release": a_hold, "getMessage": what_was_sent, "explain": what_was_sent}


def ask(gateway, operation, body=None, arguments=None, query=None, **more):
    query = operation.queries()[0] if query is None else query
    return gateway.http(operation.method, operation.address(**(arguments or {})) + (query and "?" + query), body, **more)


@pytest.mark.parametrize("operation", OVER_TCP, ids=lambda o: o.id)
def test_each_documented_request_does_what_it_says(world, operation):
    gateway, sms = world
    for name, body in (operation.bodies or {"": None}).items():
        for query in operation.queries():
            if operation.id == "release" and "campaign" not in query:
                continue
            arguments = BEFORE.get(operation.id, lambda *_: {})(gateway, sms)
            headers = {p["name"]: p["example"] for p in operation.parameters if p["in"] == "header" and "example" in p}
            if isinstance(body, list):
                headers.pop("Idempotency-Key", None)
            status, _, answer = ask(gateway, operation, body, arguments, query, headers=headers)
            assert status < 300, (operation.id, name, query, status, answer)


def at_the_public_door(gateway, operation, token, query="", form=None, content_type="application/x-www-form-urlencoded"):
    body = None if form is None else urllib.parse.urlencode(form).encode()
    return gateway.http(operation.method, operation.address(token=token) + (query and "?" + query), body, door="public",
                        headers={} if form is None else {"Content-Type": content_type})[0]


def test_each_public_request_is_answered_as_described(world):
    gateway, _ = world
    gateway.put({"id": "c-page", "addresses": {"email": "page@example.com"}})
    gateway.wait_state(gateway.send("c-page"), "sent")
    mail = gateway.cli_object("captured", "--customer", "c-page")["content"]
    page = Page(gateway, gateway.http_json("POST", "/v1/customers/c-page/link", {"level": "full"})[1]["url"]).get()
    token, click = page.path[3:], re.search(r"/u/([\w-]+)>", mail)[1]
    asked = {"getPage": lambda o: [at_the_public_door(gateway, o, token, query) for query in o.queries()],
             "postPage": lambda o: [at_the_public_door(gateway, o, token, form=page.form("save", product="card-alerts"))],
             "getAsset": lambda o: [at_the_public_door(gateway, o, "")],
             "askUnsubscribe": lambda o: [at_the_public_door(gateway, o, click)],
             "unsubscribe": lambda o: [at_the_public_door(gateway, o, click, form={"List-Unsubscribe": "One-Click"})]}
    refused = {"getCallback", "postCallback"}    # what is signed is told in test_callbacks.py
    for operation in OPERATIONS:
        if operation.public and operation.id in refused:
            assert at_the_public_door(gateway, operation, "", form=None if operation.method == "GET" else {"a": "b"}) in (403, 404, 405)
        elif operation.public:
            assert set(asked.pop(operation.id)(operation)) == {200}, operation.id
            if operation.parameters[0]["name"] == "token":
                assert at_the_public_door(gateway, operation, "A" * 36, form=None if operation.method == "GET" else {"do": "stop"}) == 404
    assert not asked


@pytest.mark.parametrize("operation", [o for o in OVER_TCP if o.scopes], ids=lambda o: o.id)
def test_each_wants_a_token_with_its_scope(world, operation):
    gateway, _ = world
    body = next(iter(operation.bodies.values()), None)
    assert ask(gateway, operation, body, token=None)[0] == 401
    assert ask(gateway, operation, body, token="forged")[0] == 401
    for scope in ALL:
        status, headers, answer = ask(gateway, operation, body, {"message": "m-none", "customer": "c-none"}, token=f"only-{scope}")
        if scope in operation.scopes:
            assert status not in (401, 403), (scope, status, answer)
        else:
            assert status == 403 and "insufficient_scope" in headers["WWW-Authenticate"], (scope, status)
    if operation.about.get("x-all-products"):
        assert ask(gateway, operation, body, token="offers")[0] == 403


@pytest.mark.parametrize("operation", [o for o in OVER_TCP if o.bodies], ids=lambda o: o.id)
def test_each_that_takes_json_refuses_what_is_none(world, operation):
    gateway, _ = world
    body = b"{}"
    assert ask(gateway, operation, body, headers={"Content-Type": "text/plain"})[0] == 415
    nothing = [] if operation.about["requestBody"].get("required") is False else [b""]
    for broken in (*nothing, b"{", b"[1,2", b"nul", b'{"a":1,"a":2}', b'"\xff"', b"[" * 100_000, b"\x00"):
        assert ask(gateway, operation, broken, headers={"Content-Type": "application/json"})[0] == 400, broken[:20]
    for wrong in (b"7", b'"x"', b"null", b'{"pigeons":7}', b"[[]]", b"[null]", b"{}"):
        status = ask(gateway, operation, wrong, {"message": "m-none"}, headers={"Content-Type": "application/json"})[0]
        assert status < 500, (wrong, status)


def test_the_examples_of_the_readme_work_and_leave_no_route_out(world):
    gateway, sms = world
    block = re.search(r"^```sh api\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S).group(1)
    a_doubt(gateway, sms, "m-doubt")
    one_that_failed(gateway, sms, "m-failed")
    for message in ("m-waits", "m-later"):
        gateway.wait_state(gateway.send("c-1042", id=message, send_at="2999-01-01T00:00:00Z"), "deferred")
    host = gateway.config["http"]["internal"]
    done = subprocess.run(["bash", "-e", "-c", block], env={**os.environ, "HEED_API": f"http://{host}", "HEED_TOKEN": "all"},
                          text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    asked = re.findall(r"^api (\w+) '?([^\s'?]+)", block, re.M)
    for operation in OVER_TCP:
        assert any(operation.fits(method, path) for method, path in asked), f"{operation.method} {operation.path} is not in the README"


def test_the_public_examples_of_the_readme_work_and_leave_no_route_out(world):
    gateway, _ = world
    block = re.search(r"^```sh public\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S).group(1)
    gateway.put({"id": "c-reads", "addresses": {"email": "reads@example.com"}})
    gateway.wait_state(gateway.send("c-reads"), "sent")
    known = {"HEED_PUBLIC": gateway.config["http"]["public_url"],
             "LINK": gateway.http_json("POST", "/v1/customers/c-reads/link")[1]["url"].rpartition("/")[2],
             "STOP": re.search(r"/u/([\w-]+)>", gateway.cli_object("captured", "--customer", "c-reads")["content"])[1]}
    done = subprocess.run(["bash", "-e", "-c", block], env={**os.environ, **known}, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert "Sus mensajes" in done.stdout and "is stopped" in done.stdout and '"status":403' in done.stdout
    assert gateway.api("GET", "/v1/customers/c-reads/preferences/card-alerts")[1]["changed_by"] == "unsubscribe"
    asked = re.findall(r'^public (\w+) [\'"]?([^\s\'"?]+)', block, re.M)
    for operation in OPERATIONS:
        assert not operation.public or any(operation.fits(method, path) for method, path in asked), operation.id


def test_the_table_of_routes_and_the_description_are_the_same():
    there = {(method, path): more for method, path, *more in ROUTES}
    described = {(o.method, route_of(o)): o for o in OPERATIONS}
    assert set(there) == set(described)
    assert len(ROUTES) == (ROOT / "gateway/api_routes.c").read_text().count('\t{"')
    for key, (body, scopes, flags, query) in there.items():
        wanted = [] if scopes == "0" else [scope.strip().lower() for scope in scopes.split("|")]
        assert sorted(described[key].scopes) == sorted(wanted), key
        assert bool(described[key].about.get("x-all-products")) == ("ROUTE_WHOLE" in flags), key
        assert described[key].public == ("ROUTE_PUBLIC" in flags), key
        assert (body == "BODY_MAYBE") == (described[key].about.get("requestBody", {}).get("required") is False), key
        if query != "NULL":
            assert sorted(query.strip('"').split()) == sorted(p["name"] for p in described[key].parameters if p["in"] == "query"), key


def halves(value, where=""):
    """A sentence with a comma in it that nobody quoted: YAML takes its second half for a key."""
    if isinstance(value, dict):
        return [f"{where}: {key}" for key in value if value[key] is None] + [x for key in value for x in halves(value[key], f"{where}/{key}")]
    return [x for i, one in enumerate(value) for x in halves(one, f"{where}/{i}")] if isinstance(value, list) else []


def test_no_sentence_of_the_descriptions_ends_at_its_comma():
    for name in ("openapi.yaml", "asyncapi.yaml"):
        assert halves(yaml.safe_load((ROOT / "config" / name).read_text())) == []


def test_the_description_is_served_as_it_is_written(world):
    assert world[0].http_json("GET", "/openapi.json", token=None)[1] == DESCRIPTION


def test_a_path_is_split_and_then_decoded(world):
    gateway, _ = world
    gateway.put({"id": "a/b", "addresses": {"email": "ab@example.com"}})
    assert gateway.http_json("GET", "/v1/customers/a%2Fb")[1]["id"] == "a/b"
    for star in ("*", "%2A"):
        assert gateway.http_json("GET", f"/v1/customers/a%2Fb/preferences/{star}")[1]["product"] == "*"
    part = gateway.http_json("PUT", "/v1/customers/a%2Fb/preferences/card-alerts%2Ffraud", {"channels": ["email"]})
    assert part[1]["product"] == "card-alerts/fraud"
    plus = gateway.http_json("GET", "/v1/customers?address=" + urllib.parse.quote("ab@example.com"))
    assert [c["id"] for c in plus[1]["customers"]] == ["a/b"]


def test_a_change_under_a_condition_is_not_made_as_if_it_had_none(world):
    for condition in ("If-Match", "If-None-Match"):
        status, _, body = world[0].http("PATCH", "/v1/customers/c-1042", {"name": "Eva"}, headers={condition: '"3"'})
        assert status == 412 and json.loads(body)["field"] == condition
        assert world[0].http("GET", "/v1/customers/c-1042", headers={condition: '"3"'})[0] == 200


def test_a_header_that_is_there_twice_counts_twice(world):
    with contextlib.closing(http.client.HTTPConnection(*world[0].config["http"]["internal"].split(":"), timeout=30)) as connection:
        connection.putrequest("GET", "/v1/queue")
        for name, value in (("Authorization", "Bearer all"), ("Accept", "text/html"), ("Accept", "application/json")):
            connection.putheader(name, value)
        connection.endheaders()
        assert connection.getresponse().status == 200


def test_a_wrong_method_is_told_which_are_right(world):
    status, headers, _ = world[0].http("POST", "/v1/customers/c-1042")
    assert status == 405 and headers["Allow"] == "GET, HEAD, PUT, PATCH, DELETE"
