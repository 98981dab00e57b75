"""Holds, cancels and lanes, from outside: what operators stop stops, and an urgent message does not wait for bulk.

HEED_BULK=1000000 runs the lanes' test with as many in bulk."""
import json
import os
import time

import harness
from harness import wait_for

CAMPAIGN = 20000
BULK = int(os.environ.get("HEED_BULK", "20000"))
SLICE = 1000
CUSTOMERS = 100
LISTED = 1000       # ids in an answer at the most
SECONDS = 120 + BULK // 2000
WAITING = ("queued", "deferred", "sending")


def put_customers(gateway, receiver):
    gateway.put(*({"id": f"c-{i}", "addresses": {"webhook": f"{receiver.url}/hook/{i}"}} for i in range(CUSTOMERS)))
    for i in range(CUSTOMERS):
        gateway.prefer(f"c-{i}", "card-alerts", "webhook")


def enqueue(gateway, count, campaign, lane="bulk", first=0):
    for start in range(first, first + count, SLICE):
        pipe = gateway.redis.client.pipeline(transaction=False)
        for number in range(start, min(start + SLICE, first + count)):
            pipe.xadd(gateway.stream(lane), {"message": json.dumps({
                "id": f"{campaign}-{number}", "customer": f"c-{number % CUSTOMERS}", "product": "card-alerts", "campaign": campaign,
                "content": {"text": "hello"}})})
        pipe.execute()


def delivered(gateway):
    return gateway.sum_holds()["delivered"]


def all_admitted(gateway, count):
    return (lambda n: n["admitted"] == count and not any(n["waiting"].values()))(gateway.sum_holds())


def test_a_campaign_is_held_in_the_middle_released_and_cancelled(heed, receiver):
    put_customers(heed, receiver)
    enqueue(heed, CAMPAIGN, "spring")
    wait_for(lambda: delivered(heed) >= 500, SECONDS, "some to be delivered")

    answer = heed.cli_object("hold", "--campaign", "spring", "--why", "wrong date")
    assert answer["by"] == "cli" and answer["why"] == "wrong date"
    on_their_way = answer["on_their_way"]
    assert len(on_their_way) == min(answer["on_their_way_count"], LISTED)
    wait_for(lambda: heed.queue()["sending"] == 0, SECONDS, "what was on its way to arrive")
    stopped = len(receiver.requests)
    assert stopped < CAMPAIGN, "it was held too late to show anything"
    wait_for(lambda: all_admitted(heed, CAMPAIGN), SECONDS, "the rest to be admitted", pause=0.2)
    wait_for(lambda: heed.queue()["queued"] == 0, SECONDS, "the rest to be deferred", pause=0.2)
    n = heed.sum_holds()
    assert len(receiver.requests) == stopped == n["delivered"]
    assert n["deferred"] == CAMPAIGN - stopped
    last = f"spring-{CAMPAIGN - 1}"
    reason = heed.explain(last)["reasons"][-1]
    assert reason["code"] == "held" and reason["args"]["why"] == "wrong date" and heed.explain(last)["until"] is None
    # others go
    heed.send("c-1", id="other")
    heed.wait_state("other", "delivered")

    heed.cli_ok("release", "--campaign", "spring")
    wait_for(lambda: delivered(heed) > stopped + 500, SECONDS, "it to go on")
    heed.cli_ok("cancel", "--campaign", "spring", "--why", "no more")
    wait_for(lambda: not any(heed.queue()[state] for state in WAITING), SECONDS, "the rest to end", pause=0.2)
    n = heed.sum_holds()
    assert n["delivered"] + n["cancelled"] == CAMPAIGN + 1 and n["cancelled"] > 0
    assert len(receiver.requests) == n["delivered"]
    assert heed.explain(last)["reasons"][-1]["code"] == "cancelled"
    enqueue(heed, 100, "spring", first=CAMPAIGN)
    wait_for(lambda: all_admitted(heed, CAMPAIGN + 101), SECONDS, "what still comes of it")
    assert heed.sum_holds()["cancelled"] == n["cancelled"] + 100
    ids = [request.json["id"] for request in receiver.requests]
    assert len(ids) == len(set(ids)), "one was sent twice"


def test_holds_are_listed_and_one_message_is_taken_back(heed, receiver):
    put_customers(heed, receiver)
    heed.cli_ok("hold", "--lane", "bulk", "--why", "night")
    heed.send("c-1", id="m-1", lane="bulk")
    heed.wait_state("m-1", "deferred")
    held = heed.cli_object("hold", "--list")["holds"]
    assert [(hold["kind"], hold["name"], hold["why"]) for hold in held] == [("lane", "bulk", "night")]
    heed.restart()
    assert heed.state("m-1") == "deferred"
    heed.cli_ok("cancel", "m-1", "--why", "not meant")
    assert heed.state("m-1") == "cancelled"
    assert [contact["state"] for contact in heed.contacts("m-1")] == ["cancelled"]
    again = heed.cli("cancel", "no-such")
    assert again.returncode == 1 and "unknown" in again.stderr
    heed.cli_ok("release", "--lane", "bulk")
    heed.send("c-1", id="m-2", lane="bulk")
    heed.wait_state("m-2", "delivered")
    assert heed.cli("hold", "--why", "x").returncode == 2
    assert heed.cli("hold", "--lane", "bulk").returncode == 2


def latency(gateway, receiver, number):
    """Seconds from XADD until the receiver has it."""
    name = f"urgent-{number}"
    begun = time.monotonic()
    gateway.send(f"c-{number % CUSTOMERS}", id=name, lane="urgent")
    wait_for(lambda: any(request.json["id"] == name for request in reversed(receiver.requests[-2000:])), SECONDS, name, pause=0.002)
    return time.monotonic() - begun


def test_what_would_happen_to_a_message_counts_what_is_held(heed):
    heed.put({"id": "c-1", "addresses": {"webhook": "https://example.com/hook"}})
    def asked(**more):
        message = {"customer": "c-1", "product": "card-alerts/fraud", "content": {"text": "?"}, **more}
        return heed.api("POST", "/v1/messages?check=true", message)[1]
    heed.prefer("c-1", "card-alerts", "webhook")
    heed.cli_ok("hold", "--product", "card-alerts", "--why", "wrong amounts")
    for answer in (asked(), heed.cli_object("explain", "--customer", "c-1", "--product", "card-alerts/fraud")):
        assert (answer["state"], answer["channel"], answer["until"]) == ("deferred", "webhook", None)
        assert answer["reasons"][-1]["code"] == "held" and "wrong amounts" in answer["reasons"][-1]["says"]
    heed.cli_ok("release", "--product", "card-alerts")
    assert asked()["state"] == "queued"
    heed.cli_ok("hold", "--lane", "bulk", "--why", "later")
    assert (asked()["state"], asked(lane="bulk")["state"]) == ("queued", "deferred")
    heed.cli_ok("hold", "--channel", "webhook", "--why", "certificates")
    assert asked()["reasons"][-1]["args"]["kind"] == "channel"
    heed.cli_ok("cancel", "--campaign", "spring")
    assert (asked(campaign="spring")["state"], asked(campaign="autumn")["state"]) == ("cancelled", "deferred")


def test_an_urgent_message_does_not_wait_for_bulk(heed, receiver):
    put_customers(heed, receiver)
    idle = sorted(latency(heed, receiver, number) for number in range(20))
    enqueue(heed, BULK, "bulk")
    wait_for(lambda: delivered(heed) > 500, SECONDS, "bulk to be under way", pause=0.2)
    busy, more = [], 0
    for number in range(20, 60):
        n = heed.queue()
        left = n["queued"] + n["waiting"]["bulk"]
        if left < BULK / 2:    # however fast it is, bulk is not over
            enqueue(heed, BULK, f"more-{more}")
            more += 1
        busy.append(latency(heed, receiver, number))
    busy.sort()
    print(f"urgent with {BULK} in bulk, {left} of them left at the end: median {busy[20] * 1000:.0f} ms, worst {busy[-1] * 1000:.0f} ms; "
          f"idle: median {idle[10] * 1000:.0f} ms, worst {idle[-1] * 1000:.0f} ms")
    assert left > 0
    assert busy[20] < 0.5 and busy[-1] < harness.PATIENCE
