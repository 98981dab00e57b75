"""Several gateways, one PostgreSQL, one Redis, and everything goes wrong: gateways are killed, one is stopped for longer than its
lease and woken up, PostgreSQL and Redis crash, and customers change their minds through whichever gateway answers. Counts what was
lost, what came twice without a doubt, and what left against a confirmed choice; all three have to be 0.

    make torture-cluster [MESSAGES=20000] [GATEWAYS=4]
"""
import collections
import os
import pathlib
import random
import shutil
import signal
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/end_to_end")]

import harness  # noqa: E402
import postgres  # noqa: E402
from harness import wait_for, webhook_channel  # noqa: E402
from http_receiver import HttpReceiver  # noqa: E402

MESSAGES = int(os.environ.get("MESSAGES", "20000"))
COUNT = int(os.environ.get("GATEWAYS", "4"))
CUSTOMERS = 200
CHANGING = 40    # of them change their minds, again and again
LEASE = 3
PATIENCE = 600


class Torture:
    def __init__(self):
        self.folder = harness.short_folder()
        self.server = postgres.Postgres().start()
        harness.SERVER, harness.STORE = self.server.url(), "postgresql"
        self.redis = harness.Redis(self.folder / "r").start()
        self.receiver = HttpReceiver()
        first = harness.Gateway(self.folder / "g1", self.redis, {"webhook": webhook_channel()},
                                config={"gateway": {"lease": f"{LEASE}s"}, "store": {"url": harness.store_url(self.folder / "g1", "postgresql")}})
        self.gateways = [first.start()] + [first.beside(n).start() for n in range(2, COUNT + 1)]
        self.sent, self.refused, self.changes, self.violations = [], 0, [], []
        self.stop = threading.Event()
        self.did = collections.Counter()

    def close(self):
        for gateway in self.gateways:
            if gateway.process:
                gateway.process.kill()
                gateway.wait()
        self.receiver.close()
        self.redis.kill()
        self.server.close()
        if not os.environ.get("HEED_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- what applications and customers do ---

    def people(self):
        for i in range(0, CUSTOMERS, 50):
            lines = [{"id": f"c-{n}", "addresses": {"webhook": {"url": f"{self.receiver.url}/c-{n}"}},
                      "preferences": [{"product": "card-alerts", "channels": ["webhook"]}]} for n in range(i, i + 50)]
            self.gateways[0].put(*lines)

    def send(self):
        pace = random.Random(1)
        while len(self.sent) < MESSAGES:
            pipe = []
            for _ in range(50):
                message = f"m-{len(self.sent) + len(pipe)}"
                pipe.append((message, pace.randrange(CUSTOMERS)))
            for message, customer in pipe:
                while True:
                    try:
                        self.gateways[0].send(f"c-{customer}", id=message)
                        break
                    except Exception:    # Redis is being restarted: an application tries again
                        time.sleep(0.05)
                self.sent.append((message, customer))

    def change_minds(self):
        """Stops and starts again; what leaves between a confirmed stop and the next start, and was not listed, is a violation."""
        chance = random.Random(2)
        while not self.stop.is_set():
            customer, gateway = chance.randrange(CHANGING), chance.choice(self.gateways)
            status, answer = self.prefer(gateway, customer, [])
            if status != 200:
                self.refused += 1
                time.sleep(0.05)
                continue
            confirmed, listed = time.time(), set(answer["on_their_way"])
            time.sleep(chance.uniform(0.02, 0.3))
            before = time.time()
            while not self.stop.is_set():
                status, answer = self.prefer(chance.choice(self.gateways), customer, ["webhook"])
                if status == 200:
                    break
                time.sleep(0.05)
            self.changes.append((customer, confirmed, before, listed))

    def prefer(self, gateway, customer, channels):
        start = time.monotonic()
        try:
            status, answer = gateway.api("PUT", f"/v1/customers/c-{customer}/preferences/card-alerts", {"channels": channels}, 10)
        except Exception:
            return 0, None
        if status == 200:
            self.took.append(time.monotonic() - start)
        return status, answer

    took = []

    # --- what goes wrong ---

    def kill_one(self, chance):
        gateway = chance.choice(self.gateways[1:])
        gateway.kill()
        time.sleep(chance.uniform(0, 1))
        for _ in range(10):    # PostgreSQL may be away at this moment
            try:
                gateway.start()
                return
            except AssertionError:
                if gateway.process:
                    gateway.process.kill()
                    gateway.wait()
                time.sleep(1)

    def freeze_one(self, chance):
        gateway = chance.choice(self.gateways[1:])
        gateway.process.send_signal(signal.SIGSTOP)
        time.sleep(LEASE * 2.5)
        gateway.process.send_signal(signal.SIGCONT)

    def crash_postgres(self, chance):
        self.server.stop(signal.SIGQUIT)
        time.sleep(chance.uniform(0, 1))
        self.server.start()

    def crash_redis(self, chance):
        self.redis.restart()

    def go_wrong(self, sender):
        chance = random.Random(3)
        while sender.is_alive():
            what = chance.choice([self.kill_one, self.kill_one, self.freeze_one, self.crash_postgres, self.crash_redis])
            what(chance)
            self.did[what.__name__] += 1
            time.sleep(chance.uniform(0.5, 2))

    # --- the verdict ---

    def judge(self):
        store = self.gateways[0].config["store"]["url"]
        arrived = collections.Counter(r.headers["webhook-id"] for r in self.receiver.requests)
        states = dict(line.split("|") for line in harness.ask_store(store, "SELECT id, state FROM message").splitlines())
        doubts = set(harness.ask_store(store, "SELECT DISTINCT m.id FROM contact c JOIN message m ON m.n = c.message WHERE c.state = 5 OR "
                                              "c.late > 0 OR c.reason LIKE 'doubt%'").splitlines())
        suppressed = {i for i, state in states.items() if state == str(harness.STATE_NUMBERS["suppressed"])}
        lost = [m for m, _ in self.sent if m not in states or (not arrived[m] and m not in suppressed)]
        twice = [m for m, n in arrived.items() if n > 1 and m not in doubts]
        against = []
        by_customer = collections.defaultdict(list)
        for r in self.receiver.requests:
            by_customer[r.path].append(r)
        for customer, confirmed, before, listed in self.changes:
            against += [r.headers["webhook-id"] for r in by_customer[f"/c-{customer}"]
                        if confirmed + 0.01 < r.time < before and r.headers["webhook-id"] not in listed]
        took = sorted(self.took)
        print(f"{len(self.sent)} messages, {len(self.gateways)} gateways; {dict(self.did)}; {len(self.changes)} stops confirmed "
              f"(p99 of an answer {took[int(len(took) * .99)] * 1000:.0f} ms), {self.refused} refused with 503 or unanswered")
        print(f"lost: {len(lost)}; twice: {sum(n > 1 for n in arrived.values())}, without a doubt: {len(twice)}; "
              f"against a confirmed choice: {len(against)}")
        for name, some in (("lost", lost), ("twice", twice), ("against", against)):
            if some:
                print(f"  {name}: {some[:10]}")
        self.gateways[0].sum_holds()
        audit = self.gateways[0].cli("audit", seconds=PATIENCE)
        audited = "not yet" not in audit.stderr
        if audited:
            print(f"heed audit: status {audit.returncode} {(audit.stdout + audit.stderr)[-400:].strip()}")
        return not (lost or twice or against or (audited and audit.returncode))

    def run(self):
        self.people()
        threads = [threading.Thread(target=f, daemon=True) for f in (self.send, self.change_minds)]
        start = time.monotonic()
        for thread in threads:
            thread.start()
        self.go_wrong(threads[0])    # here: what a thread starts ends with it
        self.stop.set()
        for thread in threads:
            thread.join()
        wait_for(self.settled, PATIENCE, "all messages to end", pause=1)
        print(f"{time.monotonic() - start:.0f} s")
        return self.judge()

    def settled(self):
        try:
            return self.gateways[0].settled()
        except AssertionError as error:
            if "status 1" in str(error):    # the store was away a moment ago
                return False
            raise


def main():
    torture = Torture()
    try:
        good = torture.run()
    finally:
        torture.close()
    print("good" if good else "NOT GOOD")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
