"""Messages over HTTP: through the turn, with and without Redis."""
import uuid

import pytest

from harness import http_doors, stays, wait_for, webhook_channel

MESSAGE = {"customer": "c-1", "product": "card-alerts", "template": "payment-received", "data": {"amount": "1.00"}}


def message(**more):
    return {**MESSAGE, **more}


@pytest.fixture
def gateway(make_gateway, receiver):
    tokens = {"all": {"name": "all", "scopes": ["send", "read", "history", "write", "ops"]},
              "reader": {"name": "reader", "scopes": ["read"]},
              "offers": {"name": "offers", "scopes": ["send", "read", "history"], "products": ["offers"]}}
    gateway = make_gateway({"webhook": webhook_channel()}, config=http_doors(tokens=tokens)).start()
    gateway.put({"id": "c-1", "addresses": {"webhook": receiver.url + "/c-1"}})
    gateway.prefer("c-1", "card-alerts", "webhook")
    return gateway


def test_a_message_is_committed_when_it_is_answered_and_then_sent(gateway):
    status, answer = gateway.http_json("POST", "/v1/messages", message(id="m-1"))
    assert status == 202 and answer["id"] == "m-1" and answer["state"] in ("queued", "sending")
    status, seen = gateway.http_json("GET", "/v1/messages/m-1?wait=20s")
    assert status == 200 and seen["state"] == "delivered" and seen["contacts"][0]["channel"] == "webhook"


def test_an_id_is_made_where_none_was_given(gateway):
    ids = [gateway.http_json("POST", "/v1/messages", message())[1]["id"] for _ in range(2)]
    assert ids[0] < ids[1] and uuid.UUID(ids[0]).version == 7
    assert gateway.http_json("GET", f"/v1/messages/{ids[0]}")[0] == 200


def test_the_idempotency_key_serves_as_id(gateway):
    key = {"Idempotency-Key": '"k-1"'}
    assert gateway.http_json("POST", "/v1/messages", message(), headers=key)[1]["id"] == "k-1"
    assert gateway.http_json("POST", "/v1/messages", message(), headers={"Idempotency-Key": "k-1"})[0] == 202
    status, problem = gateway.http_json("POST", "/v1/messages", message(campaign="other"), headers=key)
    assert status == 409 and problem["field"] == "id"
    assert gateway.http_json("POST", "/v1/messages", message(id="k-2"), headers=key)[0] == 422
    assert gateway.http_json("POST", "/v1/messages", [message()], headers=key)[0] == 422
    for unfit in ("a b", "", '""', "a" * 129):
        assert gateway.http_json("POST", "/v1/messages", message(), headers={"Idempotency-Key": unfit})[0] == 422, unfit
    assert gateway.queue()["admitted"] == 1


def test_what_is_wrong_with_a_message_is_named(gateway):
    for wrong, field in (({"customer": "nobody"}, "customer"), ({"product": "pigeons"}, "product"), ({"template": "none"}, "template"),
                         ({"data": {}}, "data"), ({"colour": 1}, "colour"), ({"id": "a b"}, "id"), ({"purpose": "critical"}, "purpose")):
        status, problem = gateway.http_json("POST", "/v1/messages", message(**wrong))
        assert status == 422 and problem["field"] == field, problem
    assert gateway.queue()["admitted"] == 0


def test_each_of_a_batch_is_answered_for_itself(gateway):
    batch = [message(id="b-1"), message(id="b-2", customer="nobody"), message(id="b-1"), message(id="b-3", product=7)]
    status, answers = gateway.http_json("POST", "/v1/messages", batch)
    assert status == 202
    assert [a.get("status", 202) for a in answers] == [202, 422, 202, 422]
    assert answers[1]["id"] == "b-2" and answers[1]["field"] == "customer"
    assert gateway.queue()["admitted"] == 1


def test_a_batch_of_a_thousand_goes_through_and_one_more_does_not(gateway):
    batch = [message(id=f"t-{i}") for i in range(1000)]
    status, answers = gateway.http_json("POST", "/v1/messages", batch)
    assert status == 202 and {a["state"] for a in answers} <= {"queued", "sending", "delivered"}
    assert gateway.queue()["admitted"] == 1000
    assert gateway.http_json("POST", "/v1/messages", batch + [message()])[0] == 422
    assert gateway.http_json("POST", "/v1/messages", []) == (202, [])
    gateway.wait_settled(60)


def test_it_works_without_redis(gateway, redis):
    redis.kill()
    status, answer = gateway.http_json("POST", "/v1/messages", message(id="m-1"))
    assert status == 202
    wait_for(lambda: gateway.http_json("GET", "/v1/messages/m-1")[1]["state"] == "delivered", what="the webhook")


def test_check_says_what_would_happen_and_sends_nothing(gateway, receiver):
    gateway.prefer("c-1", "offers")
    batch = [message(id="m-1"), message(product="offers"), message(customer="nobody"), message(send_at="2999-01-01T00:00:00Z")]
    status, answers = gateway.http_json("POST", "/v1/messages?check=true", batch)
    assert status == 200
    assert answers[0]["state"] == "queued" and answers[0]["channel"] == "webhook" and answers[0]["id"] == "m-1"
    assert answers[1]["state"] == "suppressed" and answers[1]["reasons"]
    assert answers[2]["status"] == 422 and answers[2]["field"] == "customer"
    assert answers[3]["state"] == "deferred" and answers[3]["until"] == "2999-01-01T00:00:00.000Z"
    assert gateway.http_json("POST", "/v1/messages?check=true", message())[1]["state"] == "queued"
    assert gateway.queue()["admitted"] == 0 and stays(lambda: not receiver.requests, 0.2)
    for slip in ("check=maybe", "chek=true"):
        assert gateway.http_json("POST", f"/v1/messages?{slip}", message())[0] == 400


def test_check_knows_what_operators_hold_and_took_back(gateway):
    def check(**more):
        answer = gateway.http_json("POST", "/v1/messages?check=true", message(**more))[1]
        return answer["state"], answer["reasons"][-1]["says"]

    gateway.cli_ok("hold", "--campaign", "spring", "--why", "a wrong date")
    gateway.cli_ok("hold", "--lane", "bulk", "--why", "a full mailbox")
    gateway.cli_ok("cancel", "--campaign", "winter", "--why", "it is over")
    assert check(campaign="spring") == ("deferred", "campaign spring is held by cli: a wrong date")
    assert check(lane="bulk") == ("deferred", "lane bulk is held by cli: a full mailbox")
    assert check(campaign="winter") == ("cancelled", "it was taken back by cli: it is over")
    assert check(campaign="summer")[0] == check()[0] == "queued"
    for state, more in (("deferred", {"campaign": "spring"}), ("cancelled", {"campaign": "winter"})):    # and so it is
        assert gateway.http_json("POST", "/v1/messages", message(**more))[1]["state"] == state


def test_check_knows_what_is_there_already(gateway):
    gateway.http_json("POST", "/v1/messages", message(id="m-1"))
    gateway.http_json("GET", "/v1/messages/m-1?wait=20s")
    assert gateway.http_json("POST", "/v1/messages?check=true", message(id="m-1"))[1]["state"] == "delivered"
    assert gateway.http_json("POST", "/v1/messages?check=true", message(id="m-1", campaign="x"))[0] == 409
    twice = [message(id="m-2"), message(id="m-2"), message(id="m-2", campaign="x")]
    checked, sent = (gateway.http_json("POST", f"/v1/messages{query}", twice)[1] for query in ("?check=true", ""))
    assert [one.get("status") for one in checked] == [one.get("status") for one in sent] == [None, None, 409]


def test_a_token_sends_and_sees_its_products_only(gateway):
    assert gateway.http_json("POST", "/v1/messages", message(), token="reader")[0] == 403
    assert gateway.http_json("POST", "/v1/messages", message(), token="offers")[0] == 403
    gateway.http_json("POST", "/v1/messages", message(id="m-1"))
    assert gateway.http_json("GET", "/v1/messages/m-1", token="offers")[0] == 404
    assert gateway.http_json("DELETE", "/v1/messages/m-1", token="offers")[0] == 404
    assert gateway.http_json("POST", "/v1/explain", {"message": "m-1"}, token="offers")[0] == 404
    assert gateway.http_json("POST", "/v1/explain", {"customer": "c-1", "product": "card-alerts"}, token="offers")[0] == 403
    status, answers = gateway.http_json("POST", "/v1/messages", [message(), message(product="offers")], token="offers")
    assert status == 202 and answers[0]["status"] == 403 and answers[1]["state"] == "suppressed"


def test_the_bulk_lane_waits_outside_while_too_much_waits_inside(make_gateway, receiver):
    gateway = make_gateway({"webhook": webhook_channel()}, config={**http_doors(), "store": {"max_backlog": 1}}).start()
    gateway.put({"id": "c-1", "addresses": {"webhook": receiver.url + "/c-1"}})
    gateway.prefer("c-1", "card-alerts", "webhook")
    for i in range(3):
        gateway.http_json("POST", "/v1/messages", message(send_at="2999-01-01T00:00:00Z"))
    status, headers, _ = gateway.http("POST", "/v1/messages", message(lane="bulk"))
    assert status == 503 and int(headers["Retry-After"]) > 0
    assert gateway.http_json("POST", "/v1/messages", message(lane="urgent"))[0] == 202


def test_a_message_that_waits_is_taken_back(gateway):
    gateway.http_json("POST", "/v1/messages", message(id="m-1", send_at="2999-01-01T00:00:00Z"))
    assert gateway.http_json("GET", "/v1/messages/m-1?wait=100ms")[1]["state"] == "deferred"
    assert gateway.http_json("DELETE", "/v1/messages/m-1")[1]["state"] == "cancelled"
    assert gateway.http_json("DELETE", "/v1/messages/m-1")[0] == 200    # once more changes nothing
