"""Several gateways, one PostgreSQL, a Redis Cluster of three masters with replicas, and everything goes wrong: gateways are killed,
one is stopped for longer than its lease and woken up, PostgreSQL crashes, masters of Redis are killed or stand still, and customers
change their minds through whichever gateway answers. What was lost, what came twice without a doubt, what left against a confirmed
choice, and the events that are missing have to be 0, but for writes that Redis had acknowledged and that a failover took with it:
those are counted, and named. verdict.py says what became of each message.

    make torture-cluster [MESSAGES=20000] [GATEWAYS=4] [SEED=3]

So many messages at least: each thing goes wrong once, however short it is. It waits for as long as something still moves.
"""
import collections
import contextlib
import json
import logging
import os
import pathlib
import random
import shutil
import signal
import sys
import threading
import time
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/end_to_end")]

import redis as redis_client  # noqa: E402

import harness  # noqa: E402
import postgres  # noqa: E402
from harness import wait_for, webhook_channel  # noqa: E402
from race import Receivers, percentile  # noqa: E402
from redis_many import Cluster  # noqa: E402
from verdict import NEVER, Attempt, Message, Verdict  # noqa: E402

MESSAGES = int(os.environ.get("MESSAGES", "20000"))
COUNT = int(os.environ.get("GATEWAYS", "4"))
SEED = int(os.environ.get("SEED", "3"))    # of what goes wrong, and when
CUSTOMERS = 200
CHANGING = 40       # of them change their minds, again and again
MINDS = 4           # at a time
PARTITIONS = 8
BATCH = 100         # messages put in at once
BACKLOG = 3000      # that wait: more are put in only below this
LEASE = 5
STILL = 60          # seconds without any change, above all leases and pauses: what has not ended by then never will
PATIENCE = 900
REPLICATED = 2.0    # seconds before a master dies from which on what it acknowledged may not be with its replica
REDIS_ERRORS = Exception    # the client library in the middle of a failover: it even copies its own locks
STATES = {str(number): state for state, number in harness.STATE_NUMBERS.items()} | {
    "11": "retry", "12": "rejected", "13": "called_back"}    # of a contact


class Torture:
    def __init__(self):
        self.folder = harness.short_folder()
        self.server = postgres.Postgres().start()
        harness.SERVER, harness.STORE = self.server.url(), "postgresql"
        self.cluster = Cluster(self.folder / "r").start()
        self.receivers = Receivers()
        first = harness.Gateway(self.folder / "g1", self.cluster, {"webhook": webhook_channel(
            timeout="15s", retry={"first": "100ms", "factor": 2, "max": "2s", "give_up_after": "1h"})}, config={
            "gateway": {"lease": f"{LEASE}s"}, "queue": {"partitions": PARTITIONS, "events_max": 2000000 + 20 * MESSAGES},
            "store": {"url": harness.store_url(self.folder / "g1", "postgresql")}})
        self.gateways = [first.start()] + [first.beside(n).start() for n in range(2, COUNT + 1)]
        self.sent = {}          # message: (when it was acknowledged, its stream)
        self.refused, self.changes, self.took = 0, [], []
        self.failovers = []     # (since when writes may be lost, until when, the streams)
        self.stop = threading.Event()
        self.did = collections.Counter()
        self.each_once = threading.Event()      # everything has gone wrong once
        self.fell = []          # gateways that ended though nobody had killed them

    def close(self):
        for gateway in self.gateways:
            if gateway.process:
                gateway.process.kill()
                gateway.wait()
        self.receivers.close()
        self.cluster.kill()
        self.server.close()
        if not os.environ.get("HEED_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- what applications and customers do ---

    def people(self):
        for i in range(0, CUSTOMERS, 50):
            lines = [{"id": f"c-{n}", "addresses": {"webhook": {"url": f"{self.receivers.url}/hook/c-{n}"}},
                      "preferences": [{"product": "card-alerts", "channels": ["webhook"]}]} for n in range(i, i + 50)]
            self.gateways[0].put(*lines)

    def client(self):
        """Of the cluster as it is now."""
        for node in self.cluster.nodes:
            with contextlib.suppress(REDIS_ERRORS):
                return redis_client.RedisCluster(host="127.0.0.1", port=node.port, decode_responses=True, socket_timeout=2)
        raise AssertionError("no node of the cluster answers")

    @staticmethod
    def stream(customer):
        return f"heed:outbound:{{{zlib.crc32(f'c-{customer}'.encode()) % PARTITIONS}}}"

    def put_in(self, client, batch):
        """Once all are acknowledged; True. Asked again, they are the same messages."""
        pipe = client.pipeline()
        for message, customer in batch:
            pipe.xadd(self.stream(customer), {"message": json.dumps({"id": message, "customer": f"c-{customer}", "product": "card-alerts",
                                                                     "content": {"text": message}})})
        pipe.execute()
        now = time.monotonic()
        self.sent.update((message, (now, self.stream(customer))) for message, customer in batch)

    def waiting(self, client):
        return sum(client.xlen(f"heed:outbound:{{{n}}}") for n in range(PARTITIONS))

    def send(self):
        """All of them, and more, slowly, until everything has gone wrong once."""
        pace, client = random.Random(1), self.client()
        while len(self.sent) < MESSAGES or not self.each_once.is_set():
            first = len(self.sent)
            last = first + BATCH if first >= MESSAGES else min(first + BATCH, MESSAGES)
            batch = [(f"m-{n}", pace.randrange(CUSTOMERS)) for n in range(first, last)]
            if first >= MESSAGES:
                time.sleep(0.2)
            while batch[0][0] not in self.sent:
                try:
                    while self.waiting(client) > BACKLOG:
                        time.sleep(0.02)
                    self.put_in(client, batch)
                except REDIS_ERRORS:    # a failover is under way: an application tries again
                    time.sleep(0.2)
                    with contextlib.suppress(AssertionError):
                        client = self.client()

    def change_minds(self, which):
        """Stops and starts again; what arrives between a confirmed stop and the next start, and was not listed, is a violation."""
        chance = random.Random(f"mind {which}")
        while not self.stop.is_set():
            customer = chance.randrange(which, CHANGING, MINDS)
            status, answer = self.prefer(chance.choice(self.gateways), customer, [])
            if status != 200:
                self.refused += 1
                time.sleep(0.05)
                continue
            confirmed, listed = time.monotonic(), set(answer["on_their_way"])
            time.sleep(chance.uniform(0.02, 0.3))
            before = time.monotonic()
            while not self.stop.is_set():
                if self.prefer(chance.choice(self.gateways), customer, ["webhook"])[0] == 200:
                    break
                time.sleep(0.05)
            self.changes.append((customer, confirmed, before, listed))

    def prefer(self, gateway, customer, channels):
        start = time.monotonic()
        try:
            status, answer = gateway.api("PUT", f"/v1/customers/c-{customer}/preferences/card-alerts", {"channels": channels}, 10)
        except Exception:    # it was killed, or stands still
            return 0, None
        if status == 200:
            self.took.append(time.monotonic() - start)
        return status, answer

    # --- what goes wrong ---

    def one_that_runs(self, chance):
        """The first is left alone: it is the one that is asked how things are."""
        gateway = chance.choice(self.gateways[1:])
        if not gateway.running():
            self.fell.append(f"{gateway.config['gateway']['name']}, status {gateway.wait()}: {gateway.stderr()[-300:]}")
            self.start_again(gateway)
        return gateway

    @staticmethod
    def start_again(gateway):
        for _ in range(10):    # PostgreSQL may be away at this moment
            try:
                return gateway.start()
            except AssertionError:
                if gateway.process:
                    gateway.process.kill()
                    gateway.wait()
                time.sleep(1)
        raise AssertionError("a gateway did not start again: " + gateway.stderr()[-1000:])

    def kill_a_gateway(self, chance):
        gateway = self.one_that_runs(chance)
        gateway.kill()
        time.sleep(chance.uniform(0, 1))
        self.start_again(gateway)

    def freeze_a_gateway(self, chance):
        gateway = self.one_that_runs(chance)
        gateway.process.send_signal(signal.SIGSTOP)
        time.sleep(LEASE * 2.5)
        gateway.process.send_signal(signal.SIGCONT)

    def crash_postgresql(self, chance):
        self.server.stop(signal.SIGQUIT)
        time.sleep(chance.uniform(0, 1))
        self.server.start()

    def master(self, chance):
        victim = chance.choice(self.cluster.masters_alive())
        client = self.client()
        streams = {f"heed:outbound:{{{n}}}" for n in range(PARTITIONS)}
        return victim, {stream for stream in streams if client.get_node_from_key(stream).port == victim.port}

    def others_are_masters(self, victim):
        with contextlib.suppress(REDIS_ERRORS):
            others = [node for node in self.cluster.nodes if node is not victim]
            return (sum(node.client.info("replication")["role"] == "master" for node in others) == self.cluster.masters and
                    all(node.client.cluster("info")["cluster_state"] == "ok" for node in others))
        return False

    def is_replica(self, node):
        with contextlib.suppress(REDIS_ERRORS):
            return node.client.info("replication").get("master_link_status") == "up"
        return False

    def kill_a_master(self, chance):
        victim, streams = self.master(chance)
        since = time.monotonic() - REPLICATED
        victim.stop()
        wait_for(lambda: self.others_are_masters(victim), 60, "the replica to take over", pause=0.2)
        self.failovers.append((since, time.monotonic(), streams))
        victim.start()
        wait_for(lambda: self.is_replica(victim), 60, "the old master to be a replica", pause=0.2)

    def freeze_a_master(self, chance):
        """It goes on acknowledging when it is woken, until it hears that it is not the master any more."""
        victim, streams = self.master(chance)
        since = time.monotonic() - REPLICATED
        victim.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: self.others_are_masters(victim), 60, "the replica to take over", pause=0.2)
        victim.process.send_signal(signal.SIGCONT)
        wait_for(lambda: self.is_replica(victim), 60, "the old master to be a replica", pause=0.2)
        self.failovers.append((since, time.monotonic(), streams))

    def go_wrong(self, sender):
        chance = random.Random(SEED)
        kinds = [self.kill_a_gateway, self.freeze_a_gateway, self.crash_postgresql, self.kill_a_master, self.freeze_a_master]
        while sender.is_alive():
            chance.shuffle(kinds)
            for what in kinds:
                if not sender.is_alive():
                    break
                what(chance)
                self.did[what.__name__] += 1
                time.sleep(chance.uniform(0.5, 2))
            self.each_once.set()

    # --- the end ---

    def left(self):
        """What still waits, is sent, or is to be published; None: the store or Redis was away a moment ago. A doubt that is not to be
        sent again, since its customer stopped meanwhile, is at its end."""
        try:
            numbers = self.gateways[0].sum_holds()
            events, doubts = harness.ask_store(self.gateways[0].store, "SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM message "
                                                                       f"WHERE state = 5 AND due < {NEVER})").split("|")
        except AssertionError as error:
            if "status 1" in str(error):
                return None
            raise
        if numbers["waiting"] is None:
            return None
        return {**{state: numbers[state] for state in ("queued", "deferred", "sending")}, "doubts": int(doubts), "events": int(events),
                "in Redis": sum(numbers["waiting"].values()), "admitted": numbers["admitted"]}

    def wait_ended(self):
        """Until nothing is left, or nothing moves any more. True: nothing is left."""
        seen, since = None, time.monotonic()
        while time.monotonic() - since < STILL:
            left = self.left()
            if left and not sum(count for name, count in left.items() if name != "admitted"):
                return True
            if left != seen:
                seen, since = left, time.monotonic()
            time.sleep(0.5)
        print(f"NOTHING MOVES for {STILL} s: {seen}")
        self.name_what_is_left()
        return False

    def name_what_is_left(self):
        client = self.client()
        for stream in [f"heed:outbound:{{{n}}}" for n in range(PARTITIONS)]:
            entries = client.xrange(stream, count=5)
            held = client.xpending_range(stream, "heed", "-", "+", 5)
            if entries or held:
                print(f"  {stream}: {[(entry, json.loads(fields['message'])['id']) for entry, fields in entries]}, held: "
                      f"{[(one['message_id'], one['consumer'], one['time_since_delivered'], one['times_delivered']) for one in held]}")
        rows = harness.ask_store(self.gateways[0].store, "SELECT id, state, due, lease, gateway, epoch, waits_for, reasons FROM message WHERE "
                                                         f"state IN (0, 1, 2) OR (state = 5 AND due < {NEVER}) LIMIT 20")
        print("\n".join(f"  {row}" for row in rows.splitlines()))

    # --- the verdict ---

    def lost_by_redis(self, message):
        """Acknowledged by a master that died, or stood still, before its replica had it."""
        when, stream = self.sent[message]
        return any(since <= when <= until and stream in streams for since, until, streams in self.failovers)

    def events_missing(self, messages):
        """Messages of which `heed:events` does not tell the end."""
        told, client, after = collections.defaultdict(set), self.client(), "-"
        while entries := client.xrange("heed:events", after, "+", 10000):
            for _, entry in entries:
                event = json.loads(entry["event"])
                told[event["subject"]].add(event["type"].rsplit(".", 1)[-1])
            after = "(" + entries[-1][0]
        return [name for name, message in messages.items() if message.state not in told[name]]

    def stored(self):
        """{id: Message}; with the reasons of those that do not count as delivered."""
        store = self.gateways[0].store
        messages = {}
        for line in harness.ask_store(store, "SELECT id, state, due FROM message").splitlines():
            name, state, due = line.split("|")
            messages[name] = Message(STATES[state], int(due))
        for line in harness.ask_store(store, "SELECT m.id, c.state, c.reason, c.late > 0 FROM contact c JOIN message m ON m.n = c.message "
                                             "WHERE c.attempt > 0 ORDER BY c.seq").splitlines():
            name, state, reason, late = line.split("|")
            messages[name].attempts.append(Attempt(STATES[state], reason, late == "t"))
        for line in harness.ask_store(store, "SELECT id, reasons FROM message WHERE state <> 4").splitlines():
            name, reasons = line.split("|", 1)
            messages[name].reasons = [reason["code"] for reason in json.loads(reasons)]
        return messages

    def against(self, arrivals):
        """Messages that arrived between a confirmed stop and the next start, and were not listed."""
        found, by_customer = [], collections.defaultdict(list)
        for when, _, path, name in arrivals:
            by_customer[path].append((when, name))
        for customer, confirmed, before, listed in self.changes:
            found += [name for when, name in by_customer[f"/hook/c-{customer}"] if confirmed < when < before and name not in listed]
        return found

    def judge(self, ended):
        arrivals = self.receivers.stop()
        arrived = collections.Counter(name for _, _, _, name in arrivals)
        messages = self.stored()
        verdict = Verdict(self.sent, arrived, messages, self.lost_by_redis)
        against, silent = self.against(arrivals), self.events_missing(messages)
        numbers = self.gateways[0].sum_holds()
        audit = self.gateways[0].cli("audit", seconds=PATIENCE)
        half, most = percentile(self.took, .5), percentile(self.took, .99)
        print(f"{len(self.sent)} messages, {len(self.gateways)} gateways; {dict(self.did)}, {len(self.failovers)} failovers of Redis; "
              f"{len(self.changes)} stops confirmed (an answer: p50 {half:.0f} ms, p99 {most:.0f} ms), {self.refused} refused with 503 or "
              "unanswered")
        print(*verdict.tell(), sep="\n")
        print(f"against a confirmed choice: {len(against)} {against[:10]}; events missing: {len(silent)} {silent[:10]}; dead letters: "
              f"{numbers['dead']}; gateways that fell: {len(self.fell)} {self.fell}")
        print(f"heed audit: status {audit.returncode} {(audit.stdout + audit.stderr)[-400:].strip()}")
        return ended and not (verdict.faults or against or silent or audit.returncode or numbers["dead"] or self.fell)

    def run(self):
        self.people()
        sender = threading.Thread(target=self.send, daemon=True)
        minds = [threading.Thread(target=self.change_minds, args=(n,), daemon=True) for n in range(MINDS)]
        start = time.monotonic()
        for thread in [sender, *minds]:
            thread.start()
        self.go_wrong(sender)    # here: what a thread starts ends with it
        self.stop.set()
        for thread in [sender, *minds]:
            thread.join()
        put_in = time.monotonic() - start
        ended = self.wait_ended()
        print(f"put in for {put_in:.0f} s, at the end after {time.monotonic() - start:.0f} s; the machine's load: "
              f"{', '.join(f'{load:.1f}' for load in os.getloadavg())}")
        self.fell += [gateway.stderr()[-300:] for gateway in self.gateways if not gateway.running()]
        return self.judge(ended)


def main():
    sys.stdout.reconfigure(line_buffering=True)
    logging.disable()    # the client library tells of every failover at length,
    sys.unraisablehook = lambda _: None    # and trips over connections that it had not made yet
    torture = Torture()
    try:
        good = torture.run()
    finally:
        torture.close()
    print("good" if good else "NOT GOOD")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
