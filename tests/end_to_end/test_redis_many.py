"""The queue in many places: partitions on one Redis, a Redis Cluster, a Redis with sentinels. Nothing that was put in is lost,
also when a master is killed or slots move, and no message arrives twice."""
import json
import zlib

import pytest

import harness
from harness import wait_for
from redis_many import Cluster, Sentinels

PARTITIONS = 4
COUNT = 200
LANES = ("urgent", "normal", "bulk")


@pytest.fixture
def cluster(folder):
    many = Cluster(folder / "c")
    yield many.start()
    many.stop()


@pytest.fixture
def sentinels(folder):
    many = Sentinels(folder / "s")
    yield many.start()
    many.stop()


@pytest.fixture
def make(folder, receiver, request):
    """A gateway that runs, on whatever Redis; its customers c-0 to c-19 have webhooks."""
    gateways = request.node.heed_gateways = []

    def of(redis, **queue):
        gateway = harness.Gateway(folder / f"g{len(gateways) + 1}", redis, {"webhook": harness.webhook_channel()},
                                  config={"queue": queue, "gateway": {"lease": "3s"}})
        gateways.append(gateway)
        gateway.start()
        for i in range(20):
            gateway.api("PUT", f"/v1/customers/c-{i}", {"addresses": {"webhook": f"{receiver.url}/hook/{i}"},
                                                        "preferences": [{"product": "card-alerts", "channels": ["webhook"]}]})
        return gateway

    yield of
    for gateway in gateways:
        gateway.close()


def message(number, **more):
    return {"customer": f"c-{number % 20}", "product": "card-alerts", "content": {"text": str(number)}, **more}


def stream(number, lane, partition):
    return f"heed:outbound{harness.LANES[lane]}" + ("" if partition is None else f":{{{partition}}}")


def put(client, first, count, spread=(None, 0, 1, 2, 3)):
    """Into every lane and partition, and what has no braces; the ids."""
    for number in range(first, first + count):
        key = stream(number, LANES[number % 3], spread[number // 3 % len(spread)])
        client.xadd(key, {"message": json.dumps(message(number, id=f"m-{number}"))})
    return [f"m-{number}" for number in range(first, first + count)]


def arrive_once(gateway, receiver, ids):
    wait_for(lambda: len({request.json["id"] for request in list(receiver.requests)}) == len(ids), 60, "all to arrive", pause=0.1)
    got = [request.json["id"] for request in receiver.requests]
    assert sorted(got) == sorted(ids)
    numbers = wait_for(gateway.settled, 60, "all to be let go of", pause=0.2)
    assert numbers["admitted"] == numbers["delivered"] == len(ids) and numbers["dead"] == 0


def test_partitions_are_read_and_a_customer_has_one(make, redis, receiver):
    gateway = make(redis, partitions=PARTITIONS)
    ids = put(redis.client, 0, COUNT)
    arrive_once(gateway, receiver, ids)
    gateway.stop()
    printed = gateway.cli_json("send", "--customer", "c-7", "--product", "card-alerts", "--template", "payment-received",
                               "--data", '{"amount": "1"}', "--lane", "urgent")[0]
    n = zlib.crc32(b"c-7") % PARTITIONS
    assert printed["stream"] == f"heed:outbound:urgent:{{{n}}}" and redis.client.xlen(printed["stream"]) == 1
    assert printed["id"] == f"heed:outbound:urgent:{n}:{printed['entry']}"
    assert gateway.queue()["waiting"]["urgent"] == 1
    gateway.start()
    gateway.wait_state(printed["id"], "delivered")


def test_a_dead_letter_goes_back_to_its_partition(make, redis, receiver):
    gateway = make(redis, partitions=PARTITIONS)
    entry = redis.client.xadd("heed:outbound:{2}", {"message": json.dumps(message(1, customer="late"))})
    wait_for(lambda: gateway.dead(), what="the dead letter")
    assert gateway.dead()[0]["stream"] == "heed:outbound:{2}"
    gateway.api("PUT", "/v1/customers/late", {"addresses": {"webhook": f"{receiver.url}/late"},
                                              "preferences": [{"product": "card-alerts", "channels": ["webhook"]}]})
    assert gateway.cli_ok("dead", "retry", "--all") == f"heed:outbound:2:{entry}\n"
    gateway.wait_state(f"heed:outbound:2:{entry}", "delivered")
    assert gateway.dead() == []


def test_a_cluster_survives_a_master_and_a_move_of_slots(make, cluster, receiver):
    gateway = make(cluster, partitions=PARTITIONS)
    assert "answers" in gateway.cli_ok("check")
    ids = put(cluster.client, 0, COUNT)
    arrive_once(gateway, receiver, ids)
    # slots move away under it: MOVED and ASK
    masters = cluster.masters_alive()
    target, source = masters[0], masters[1]
    cluster.cli("--cluster", "reshard", f"127.0.0.1:{target.port}", "--cluster-from", source.client.cluster("myid"), "--cluster-to",
                target.client.cluster("myid"), "--cluster-slots", "5461", "--cluster-yes")
    ids += put(cluster.client, COUNT, COUNT)
    arrive_once(gateway, receiver, ids)
    # a master dies, and its replica takes over
    victim = next(node for node in cluster.masters_alive() if any(cluster.has(node, stream(0, lane, p)) for lane in LANES for p in range(4)))
    before = {node.port for node in cluster.masters_alive()}
    victim.stop()
    wait_for(lambda: len({node.port for node in cluster.masters_alive()} - before) == 1 and
             all(node.client.cluster("info")["cluster_state"] == "ok" for node in cluster.nodes if node.process), 60, "the replica to take over")
    cluster.client.nodes_manager.initialize()
    ids += put(cluster.client, 2 * COUNT, COUNT)
    arrive_once(gateway, receiver, ids)
    wait_for(lambda: len(gateway.events()) >= 3 * len(ids), 60, "what was queued, sending and delivered", pause=0.2)


def test_with_sentinels_the_new_master_is_found(make, sentinels, receiver):
    gateway = make(sentinels)
    ids = put(sentinels.client, 0, 60, spread=(None,))
    arrive_once(gateway, receiver, ids)
    sentinels.master.stop()
    wait_for(lambda: sentinels.watchers[0].client.sentinel_get_master_addr_by_name("heed")[1] == sentinels.replica.port, 60, "a new master")
    wait_for(lambda: sentinels.replica.client.info("replication")["role"] == "master", 30, "the replica to be it")
    ids += put(sentinels.client, 60, 60, spread=(None,))
    arrive_once(gateway, receiver, ids)
