"""A customer's rights: everything as JSON, and to be forgotten. And what is kept, for how long."""
import contextlib
import datetime
import http.client
import json
import sqlite3
import threading
import time

import pytest

import harness
from harness import wait_for
from http_receiver import Answer

NAME = "Quetzalcoatl Ñandú"
PHONE = "+5491155550177"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def customer(receiver, name="ana"):
    return {"id": name, "name": NAME, "locale": "es-AR", "timezone": "America/Argentina/Buenos_Aires",
            "addresses": {"email": f"{name}.secret@example.com", "sms": PHONE,
                          "webhook": {"url": f"{receiver.url}/hook/{name}-secret", "secret": SECRET}},
            "preferences": [{"product": "card-alerts", "channels": ["email", "webhook"], "source": "branch of Quetzalcoatl",
                             "evidence": {"wording": "Dear Quetzalcoatl, yes?"}}]}


TRACES = ["ana.secret", "Quetzalcoatl", PHONE, "ana-secret", "4242.42", SECRET, "meta-of-ana"]


def message(name, **more):
    return {"id": name, "customer": "ana", "product": "card-alerts", "template": "payment-received",
            "data": {"amount": "4242.42"}, "meta": {"order": "meta-of-ana"}, **more}


def traces(gateway):
    """What of the customer stands in any of the store's files; of a server's (whose own they are), in any of its rows."""
    if harness.schema_of(gateway.store):
        texts = [harness.store_text(gateway.store)]
    else:
        texts = [path.read_bytes() for path in gateway.folder.glob("heed.db*") if path.suffix != ".lock"]
    return sorted({trace for text in texts for trace in TRACES if trace.encode() in text})


def erase(gateway, name="ana"):
    return gateway.cli_object("customer", "erase", name, "--yes", seconds=60)


# --- export ---

def test_the_export_has_everything_and_no_secret(heed, receiver):
    heed.put(customer(receiver))
    heed.xadd(message("m-1"))
    heed.xadd(message("m-2", send_at="2100-01-01T00:00:00Z"))
    heed.wait_state("m-1", "sent")
    heed.wait_state("m-2", "deferred")
    heed.prefer("ana", "card-alerts", "webhook")
    whole = heed.cli_object("customer", "export", "ana")
    assert whole["customer"]["name"] == NAME and whole["customer"]["addresses"]["sms"] == PHONE
    assert whole["preferences"][0]["channels"] == ["webhook"] and whole["preferences"][0]["version"] == 2
    kinds = [change["kind"] for change in whole["changes"]]
    assert kinds.count("preference") == 2 and kinds.count("customer") >= 1
    assert any(change["evidence"] == {"wording": "Dear Quetzalcoatl, yes?"} for change in whole["changes"])
    messages = {each["id"]: each for each in whole["messages"]}
    assert messages["m-1"]["state"] == "sent" and messages["m-2"]["state"] == "deferred"
    assert messages["m-1"]["message"]["data"] == {"amount": "4242.42"} and messages["m-2"]["reasons"][0]["says"]
    assert len(messages) == len(whole["messages"]) == 2
    assert [contact["address"] for contact in whole["contacts"]] == ["ana.secret@example.com"]
    assert SECRET not in json.dumps(whole)
    status, same = heed.api("GET", "/v1/customers/ana/export")
    assert status == 200 and {**same, "exported_at": 0} == {**whole, "exported_at": 0}
    assert heed.api("GET", "/v1/customers/nobody/export")[0] == 404
    assert heed.cli("customer", "export", "nobody").returncode == 1


def test_a_large_export_is_whole_and_needs_no_gateway(heed, receiver):
    heed.put(customer(receiver))
    heed.prefer("ana", "card-alerts", "webhook")
    for number in range(300):
        heed.xadd(message(f"m-{number}"))
    heed.wait_settled(60)
    heed.stop()
    whole = json.loads(heed.cli_ok("customer", "export", "ana", seconds=60))
    assert len(whole["messages"]) == len({each["id"] for each in whole["messages"]}) == 300
    assert len(whole["contacts"]) == 300


# --- erasure ---

def test_what_was_known_of_an_erased_customer_is_gone_everywhere(heed, receiver, redis):
    heed.put(customer(receiver))
    heed.put({"id": "bob", "addresses": {"email": "bob@example.com"}})
    heed.xadd(message("m-1"))
    heed.xadd(message("m-2", send_at="2100-01-01T00:00:00Z"))
    heed.xadd({**message("bad"), "product": "no-such"})
    heed.xadd({**message("bad-2"), "customer": "bob", "unknown": "for ana.secret@example.com"})
    heed.xadd({"id": "bobs", "customer": "bob", "product": "no-such", "content": {"text": "x"}})
    heed.wait_state("m-1", "sent")
    heed.wait_state("m-2", "deferred")
    wait_for(lambda: heed.queue()["dead"] == 3, what="the dead letters")
    before = heed.queue()
    assert traces(heed)
    answer = erase(heed)
    assert answer["finished"] and answer["on_their_way"] == [] and answer["dead"] == 2
    name = answer["erased"]
    assert name.startswith("erased:")
    assert traces(heed) == []
    assert [letter["error"] for letter in heed.cli_json("dead", "list")] == ["product: no-such is not in the products file"]
    # nobody of this id; what was sent stands under the other name
    assert heed.cli("customer", "show", "ana").returncode == 1 and heed.api("GET", "/v1/customers/ana/export")[0] == 404
    assert heed.cli_json("customer", "find", "bob@example.com")[0]["id"] == "bob"
    assert heed.state("m-1") == "sent" and heed.state("m-2") == "cancelled"
    log = [line for line in heed.cli_json("log") if line["messages"] == ["m-1"]]
    assert log[0]["customer"] == name and log[0]["summary"] == "" and log[0]["state"] == "sent" and log[0]["preference"] == 1
    after = heed.queue()
    assert after["admitted"] == before["admitted"] and after["cancelled"] == before["cancelled"] + 1
    assert after["admitted"] == sum(after[state] for state in harness.STATES)
    # again: nothing to do, and it says so
    assert erase(heed)["erased"] == name
    assert heed.cli("customer", "erase", "nobody", "--yes").returncode == 1


def test_what_comes_for_an_erased_customer_is_refused_and_not_kept(heed, receiver):
    heed.put(customer(receiver))
    heed.xadd(message("m-1"))
    heed.wait_state("m-1", "sent")
    erase(heed)
    heed.xadd(message("m-9"))
    heed.xadd(message("m-1"))
    wait_for(lambda: heed.queue()["dead"] == 2, what="the dead letters")
    for letter in heed.cli_json("dead", "list"):
        assert "was erased" in letter["error"] and not [trace for trace in TRACES if trace in json.dumps(letter)]
    assert traces(heed) == []


def test_an_import_does_not_bring_back_who_was_erased_unless_it_is_asked_to(heed, receiver, folder):
    heed.put(customer(receiver))
    name = erase(heed)["erased"]
    file = folder / "nightly.jsonl"
    file.write_text(json.dumps(customer(receiver)) + "\n" + json.dumps({"id": "new", "addresses": {"sms": PHONE}}) + "\n")
    done = heed.cli("customer", "import", file)
    assert done.returncode == 1 and done.stderr.count("was erased") == 2 and "0 imported" in done.stdout
    assert heed.cli("customer", "put", "-", input=json.dumps(customer(receiver))).returncode == 1
    assert heed.api("PUT", "/v1/customers/ana", customer(receiver))[0] == 409
    assert traces(heed) == []
    heed.cli_ok("customer", "import", file, "--recreate")
    assert heed.cli_object("customer", "show", "ana")["name"] == NAME
    heed.xadd(message("m-5"))
    heed.wait_state("m-5", "sent")
    # and once more
    again = erase(heed)["erased"]
    assert again == name and heed.cli_object("customer", "find", PHONE)["id"] == "new"
    assert traces(heed) == [PHONE]


def test_an_erased_stop_is_still_a_stop_when_the_address_comes_back(heed, receiver):
    heed.put(customer(receiver))
    heed.stop()
    harness.change_store(heed.store, "UPDATE address SET state = 2, moved = 1 WHERE channel = 'sms'")
    heed.start()
    erase(heed)
    assert heed.api("PUT", "/v1/customers/ana?recreate=true", customer(receiver))[0] == 201
    assert heed.cli_object("customer", "show", "ana")["states"] == [{"channel": "sms", "address": PHONE, "state": "stopped"}]


def test_what_is_on_its_way_is_listed_and_what_it_brings_back_goes_too(heed, receiver):
    heed.put(customer(receiver))
    heed.prefer("ana", "card-alerts", "webhook")
    receiver.script("/hook/ana-secret", Answer(200, delay=2))
    heed.xadd(message("m-1"))
    heed.wait_state("m-1", "sending")
    wait_for(lambda: receiver.connections, what="the request")
    answer = erase(heed)
    assert answer["on_their_way"] == ["m-1"] and answer["finished"]
    assert heed.state("m-1") == "delivered"
    assert traces(heed) == []
    if harness.GATEWAYS == 1:    # what another gateway is sending it tells of as it was (README, "What is not there yet")
        assert "meta" not in heed.events("m-1")[-1]["data"]


def test_an_erasure_that_is_cut_off_goes_on_at_the_next_start(heed, receiver):
    heed.put(customer(receiver))
    heed.prefer("ana", "card-alerts", "webhook")
    for number in range(600):
        heed.xadd(message(f"m-{number}"))
    heed.xadd({**message("bad"), "product": "no-such"})
    heed.wait_settled(60)

    def ask():
        with contextlib.suppress(OSError, http.client.HTTPException):
            heed.api("DELETE", "/v1/customers/ana", seconds=60)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    wait_for(lambda: heed.api("GET", "/v1/customers/ana")[0] == 404, what="the first commit", pause=0)
    heed.kill()
    heed.start()
    wait_for(lambda: traces(heed) == [], seconds=60, what="the rest to go")
    asking.join(60)
    assert erase(heed)["finished"] and heed.queue()["dead"] == 0


def test_it_asks_before_it_erases(heed, receiver):
    heed.put(customer(receiver))
    done = heed.cli("customer", "erase", "ana")
    assert done.returncode == 1 and "--yes" in done.stderr
    assert heed.cli_object("customer", "show", "ana")["name"] == NAME


def test_the_erasure_of_one_alone_without_a_gateway(heed, receiver):
    heed.put(customer(receiver))
    heed.stop()
    assert erase(heed)["finished"]
    assert traces(heed) == []


# --- pruning ---

def age_in_server(gateway, days):
    """Into the partition of its new month, which is made first."""
    (at,), = gateway.rows("SELECT max(at) FROM contact")
    then = time.gmtime(at / 1e6 - days * 86400)
    first, after = ((datetime.datetime(then.tm_year + (month == 13), month % 12 or 12, 1, tzinfo=datetime.timezone.utc).timestamp())
                    for month in (then.tm_mon, then.tm_mon + 1))
    harness.change_store(gateway.store, f"CREATE TABLE IF NOT EXISTS contact_{time.strftime('%Y%m', then)} PARTITION OF contact "
                         f"FOR VALUES FROM ({int(first * 1e6)}) TO ({int(after * 1e6)})", f"UPDATE contact SET at = at - {days * 86400 * 1000000}")


def age(gateway, days):
    """Everything is so much older."""
    if harness.schema_of(gateway.store):
        age_in_server(gateway, days)
        return
    with sqlite3.connect(gateway.folder / "heed.db") as store:
        for (table,) in store.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'contact_2*'").fetchall():
            at = store.execute(f"SELECT max(at) FROM {table}").fetchone()[0] or time.time() * 1e6
            month = time.strftime("%Y%m", time.gmtime(at / 1e6 - days * 86400))
            store.execute(f"UPDATE {table} SET at = at - ?", (days * 86400 * 1000000,))
            if table != f"contact_{month}":
                store.execute(f"ALTER TABLE {table} RENAME TO contact_{month}")


@pytest.mark.parametrize("alone", [False, True], ids=["by the gateway", "alone"])
def test_what_was_kept_long_enough_goes_and_the_sum_stays(heed, receiver, alone):
    heed.put(customer(receiver))
    heed.xadd(message("m-1"))
    heed.xadd(message("m-2", send_at="2100-01-01T00:00:00Z"))
    heed.wait_state("m-1", "sent")
    heed.wait_state("m-2", "deferred")
    assert heed.cli_object("prune") == {"contacts": 0, "messages": 0, "contents": 0, "finished": True}
    heed.stop()
    age(heed, 100)
    if not alone:
        heed.start()
    assert heed.cli_object("prune")["contents"] == 1
    line = heed.cli_json("log")[0]
    assert line["summary"] == "" and line["meta"] == {} and line["state"] == "sent"
    heed.stop()
    age(heed, 400)
    if not alone:
        heed.start()
    done = heed.cli_object("prune")
    assert done["contacts"] == 1 and done["messages"] == 1
    assert heed.cli_json("log") == [] and heed.cli("explain", "m-1").returncode == 1
    numbers = heed.cli_object("queue")
    assert numbers["admitted"] == 2 and numbers["sent"] == 1 and numbers["deferred"] == 1
    if alone:
        heed.start()
    heed.xadd(message("m-1"))     # the id is new again
    heed.wait_state("m-1", "sent")
    assert heed.cli_object("queue")["admitted"] == 3
