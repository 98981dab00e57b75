"""Several gateways on one PostgreSQL and one queue: what holds for one holds for all of them together."""
import signal
import threading
import time

import pytest

import harness
from harness import wait_for, webhook_channel
from http_receiver import Answer

pytestmark = pytest.mark.skipif(harness.STORE != "postgresql" or harness.GATEWAYS > 1, reason="makes its own, on PostgreSQL")


@pytest.fixture
def pair(make_gateway, receiver):
    """Two gateways that run; webhooks go to `receiver`."""
    first = make_gateway({"webhook": webhook_channel()}, config={"gateway": {"lease": "3s"}}).start()
    second = first.beside().start()
    yield first, second
    second.close()


def customer(receiver, name="c-1", **more):
    return {"id": name, "addresses": {"webhook": {"url": receiver.url + "/" + name}}, **more}


def prefers(gateway, name, *channels):
    return gateway.prefer(name, "card-alerts", *channels)


def test_each_takes_a_part_and_nothing_is_sent_twice(pair, receiver):
    first, second = pair
    first.put(*[customer(receiver, f"c-{i}", preferences=[{"product": "card-alerts", "channels": ["webhook"]}]) for i in range(20)])
    ids = [first.send(f"c-{i % 20}", id=f"m-{i}") for i in range(400)]
    first.wait_settled()
    assert len(receiver.requests) == len(ids)
    assert first.sum_holds()["delivered"] == second.sum_holds()["delivered"] == len(ids)
    shares = harness.ask_store(first.config["store"]["url"], "SELECT count(DISTINCT gateway) FROM message")
    assert shares == "2", "one of them did nothing"


def test_events_of_both_come_out_once_and_in_order_for_a_message(pair, receiver):
    first, second = pair
    first.put(customer(receiver, preferences=[{"product": "card-alerts", "channels": ["webhook"]}]))
    receiver.script("/c-1", lambda request: Answer(503 if request.headers.get("webhook-id") and len(receiver.requests) % 3 else 200))
    ids = [first.send("c-1", id=f"m-{i}") for i in range(60)]
    first.wait_settled()
    wait_for(lambda: all(first.event_types(i)[-1:] == ["heed.message.delivered"] for i in ids), what="the last events")
    for one in ids:
        types = [t.removeprefix("heed.message.") for t in first.event_types(one)]
        assert types[0] == "queued" and types[1] == "sending" and types[-1] == "delivered", types
        for before, after in zip(types[1:], types[2:]):
            assert before != after, types
    seen = [e["id"] for e in first.events()]
    assert len(seen) == len(set(seen)), "an event came out twice though nobody stumbled"


def test_a_change_through_one_binds_the_other(pair, receiver):
    """The race: while one gateway's customers change their minds through the other, nothing leaves against a confirmed choice but
    what the answer listed."""
    first, second = pair
    first.put(*[customer(receiver, f"c-{i}", preferences=[{"product": "card-alerts", "channels": ["webhook"]}]) for i in range(8)])
    stop, listed, confirmed = threading.Event(), {}, {}

    def flood():
        number = 0
        while not stop.is_set():
            for i in range(8):
                first.send(f"c-{i}", id=f"m-{i}-{number}")
            number += 1
            time.sleep(0.01)

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        for i in range(8):
            wait_for(lambda i=i: any(r.path == f"/c-{i}" for r in list(receiver.requests)), what=f"a message to c-{i}")
            status, answer = second.api("PUT", f"/v1/customers/c-{i}/preferences/card-alerts", {"channels": []})
            assert status == 200, answer
            confirmed[i], listed[i] = time.time(), set(answer["on_their_way"])
        time.sleep(0.5)
    finally:
        stop.set()
        thread.join()
    first.wait_settled()
    for i in range(8):
        late = {r.headers["webhook-id"] for r in receiver.requests if r.path == f"/c-{i}" and r.time > confirmed[i] + 0.005}
        assert late <= listed[i], f"c-{i}: {late - listed[i]} left after the answer, and were not listed"
    first.sum_holds()


def test_what_is_held_through_one_does_not_leave_through_the_other(pair, receiver):
    first, second = pair
    first.put(customer(receiver, preferences=[{"product": "card-alerts", "channels": ["webhook"]}]))
    second.cli_ok("hold", "--campaign", "spring", "--why", "wrong text")
    ids = [first.send("c-1", id=f"m-{i}", campaign="spring") for i in range(20)]
    wait_for(lambda: first.queue()["deferred"] == 20, what="all to be held")
    assert not receiver.requests
    first.cli_ok("release", "--campaign", "spring")
    first.wait_settled()
    assert len(receiver.requests) == len(ids)


def test_a_rate_holds_for_all_together(make_gateway, receiver):
    first = make_gateway({"webhook": webhook_channel(rate="20/s")}, config={"gateway": {"lease": "3s"}}).start()
    second = first.beside().start()
    try:
        wait_for(lambda: first.log_lines("2 gateways share the rates"), what="the first to see the second")
        first.put(customer(receiver, preferences=[{"product": "card-alerts", "channels": ["webhook"]}]))
        for i in range(60):
            first.send("c-1", id=f"m-{i}")
        first.wait_settled()
        times = sorted(r.at for r in receiver.requests)
        assert len(times) == 60
        most = max(sum(1 for t in times if start <= t < start + 1) for start in times)
        assert most <= 22, f"{most} in a second"    # the receiver's clock is not the gateways'
    finally:
        second.close()


def test_what_becomes_due_at_the_same_moment_is_sent_once(pair, receiver):
    first, second = pair
    first.put(customer(receiver, preferences=[{"product": "card-alerts", "channels": ["webhook"]}]))
    first.cli_ok("prefer", "c-1", "card-alerts", "--pause-until", "2s")
    ids = [first.send("c-1", id=f"m-{i}") for i in range(60)]
    wait_for(lambda: first.queue()["deferred"] == len(ids), what="all to wait")
    first.wait_settled()
    assert sorted(r.headers["webhook-id"] for r in receiver.requests) == sorted(ids)


def test_of_one_that_is_killed_the_other_takes_over(pair, receiver):
    first, second = pair
    stuck = threading.Event()
    first.put(customer(receiver, preferences=[{"product": "card-alerts", "channels": ["webhook"]}]))
    receiver.script("/c-1", lambda request: stuck.wait(1) and None or Answer(200))
    ids = [first.send("c-1", id=f"m-{i}") for i in range(40)]
    wait_for(lambda: first.queue()["sending"] > 0, what="some to be on their way")
    second.kill()
    stuck.set()
    first.wait_settled(60)
    arrived = {r.headers["webhook-id"] for r in receiver.requests}
    assert arrived == set(ids)
    doubts = {i for i in ids if any(c["state"] == "in_doubt" for c in first.contacts(i))}
    twice = {i for i in ids if sum(r.headers["webhook-id"] == i for r in receiver.requests) > 1}
    assert twice <= doubts, twice - doubts


def test_one_that_stood_still_for_longer_than_its_lease_overwrites_nothing(pair, receiver):
    first, second = pair
    first.put(customer(receiver, preferences=[{"product": "card-alerts", "channels": ["webhook"]}]))
    load = [first.send("c-1", id=f"m-{i}") for i in range(100)]
    second.signal(signal.SIGSTOP)
    load += [first.send("c-1", id=f"n-{i}") for i in range(100)]
    wait_for(lambda: first.settled(), 60, "the first to do all, and take over the rest")
    second.signal(signal.SIGCONT)
    first.wait_settled(60)
    second.wait_settled(60)
    arrived = [r.headers["webhook-id"] for r in receiver.requests]
    assert set(arrived) == set(load)
    for one in {i for i in load if arrived.count(i) > 1}:
        assert any(c["state"] in ("in_doubt", "delivered") and "doubt" in str(first.explain(one)) for c in first.contacts(one)), one


def test_two_of_one_name_are_refused(pair):
    first, second = pair
    third = first.beside(3)
    third.config["gateway"]["name"] = first.config["gateway"]["name"]
    third.write()
    done = third.cli("gateway")
    assert done.returncode == 1 and "a gateway with the name g1 is at work" in done.stderr, done.stderr


def test_a_command_without_a_gateway_writes_beside_one_that_runs(pair, receiver):
    """Somewhere else, where no socket is: it writes to the store itself."""
    first, second = pair
    elsewhere = first.beside(3)
    elsewhere.put(customer(receiver, preferences=[{"product": "card-alerts", "channels": ["webhook"]}]))
    first.send("c-1", id="m-1")
    first.wait_state("m-1", "delivered")
    assert elsewhere.prefer("c-1", "card-alerts")["channels"] == []
    first.send("c-1", id="m-2")
    assert first.wait_state("m-2", "suppressed")


def test_connections_that_are_cut_lose_nothing(pair, receiver):
    """The connections of both are cut, again and again."""
    first, second = pair
    first.put(*[customer(receiver, f"c-{i}", preferences=[{"product": "card-alerts", "channels": ["webhook"]}]) for i in range(10)])
    ids = []
    for round in range(6):
        ids += [first.send(f"c-{i % 10}", id=f"m-{round}-{i}") for i in range(50)]
        harness.cut_connections(first.config["store"]["url"])
        time.sleep(0.05)
    first.wait_settled(60)
    arrived = [r.headers["webhook-id"] for r in receiver.requests]
    assert set(arrived) == set(ids)
    twice = {i for i in ids if arrived.count(i) > 1}
    doubtful = {i for i in twice if "doubt" in str(first.explain(i)) or any("doubt" in c["state"] for c in first.contacts(i))}
    assert twice == doubtful, twice - doubtful
    first.sum_holds()


def test_a_follower_misses_nothing_of_what_several_commit(pair, receiver):
    first, second = pair
    first.put(*[customer(receiver, f"c-{i}", preferences=[{"product": "card-alerts", "channels": ["webhook"]}]) for i in range(10)])
    seen, after, stop = set(), 0, threading.Event()
    ids = {f"m-{i}" for i in range(300)}

    def send():
        for i in range(300):
            first.send(f"c-{i % 10}", id=f"m-{i}")

    thread = threading.Thread(target=send)
    thread.start()
    until = time.monotonic() + 60
    while seen != ids and time.monotonic() < until:
        status, page = second.api("GET", f"/v1/log?after={after}&limit=50")
        assert status == 200, page
        for contact in page["contacts"]:
            if contact["state"] == "delivered":
                seen.update(contact["messages"])
        after = page["next"] if page.get("next") is not None else after
    thread.join()
    assert seen == ids, f"{len(ids - seen)} were missed"


def test_who_writes_without_knowing_of_the_copy_beside_a_customer_is_heard(make_gateway, receiver):
    """As a heed of before does that still runs: what it writes into the tables is what is chosen by."""
    gateway = make_gateway({"webhook": webhook_channel(), "sms": {"adapter": "capture"}}).start()
    gateway.put({**customer(receiver), "preferences": [{"product": "card-alerts", "channels": ["webhook"]}]},
                {**customer(receiver, "c-2"), "preferences": [{"product": "card-alerts", "channels": ["webhook"]}]},
                {**customer(receiver, "c-3"), "preferences": [{"product": "card-alerts", "channels": ["webhook"]}]})
    url = gateway.config["store"]["url"]
    n = {name: harness.ask_store(url, f"SELECT n FROM customer WHERE id = '{name}'") for name in ("c-1", "c-2", "c-3")}
    harness.ask_store(url, f"UPDATE preference SET channels = '[]' WHERE customer = {n['c-1']}")
    harness.ask_store(url, f"DELETE FROM customer_address WHERE customer = {n['c-2']}")
    harness.ask_store(url, "UPDATE address SET state = 2 WHERE value LIKE '%/c-3'")
    for name in n:
        gateway.send(name, id=f"to-{name}")
    gateway.wait_settled()
    assert not receiver.requests
    prefers(gateway, "c-1", "webhook")
    gateway.wait_state(gateway.send("c-1"), "delivered")
    assert harness.ask_store(url, "SELECT count(*) FROM customer WHERE addresses IS NULL AND choices IS NOT NULL") == "1", "only c-2's is away"
    gateway.audited = False     # the log says nothing of a hand
