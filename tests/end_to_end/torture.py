#!/usr/bin/python3
"""Kills, under load, over all three channels, with receivers that fail: nothing may be lost, nothing unrecorded, and a second
copy may come only of what is marked in doubt.

    torture.py gateway    KILLS=1000: half at random moments, half at the labelled steps (gateway/crash_labels.h)
    torture.py redis      KILLS=50: Redis is killed and started again, with appendfsync always

SEED=… makes the moments the same again, as far as threads allow.
"""
import asyncio
import collections
import json
import os
import random
import re
import shutil
import sys
import threading
import time

import harness
import redis as redis_client
from harness import ROOT, wait_for
from http_receiver import Answer, HttpReceiver
from load import CHANNELS, CUSTOMERS, contacts_by_message, put_customers
from smtp_servers import MailServer

CRASHING = ROOT / "build/crash/heed"
LABELS = re.findall(r"^CRASH\((\w+),", (ROOT / "gateway/crash_labels.h").read_text(), re.M)
AT_START = [label for label in LABELS if label.startswith("start_") or label == "turn_recovered"]
BURST = 24        # messages before each kill
PATIENCE = 60     # seconds: of every wait here, on a machine that does other things
RETRY = {"first": "50ms", "factor": 2, "max": "400ms", "give_up_after": "10m"}


# --- receivers that fail ---

class Faults:
    """What becomes of each request: by weight. Counts what was taken, whatever was answered then."""

    def __init__(self, seed):
        self.taken = collections.Counter()
        self.faults = collections.Counter()
        self.kind = True      # from `heal` on, everything is taken
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def heal(self):
        self.kind = False

    def fate(self, name):
        with self._lock:
            fate = self._random.choices(["ok", "slow", "later", "refused", "cut"], [60, 30, 4, 2, 4])[0] if self.kind else "ok"
            self.faults[fate] += 1
            if fate in ("ok", "slow", "cut"):
                self.taken[name] += 1
            return fate, self._random.uniform(0.02, 0.3) if fate == "slow" else 0

    def webhook(self, request):
        fate, delay = self.fate(request.json["id"])
        return {"later": Answer(503), "refused": Answer(404), "cut": Answer(cut="after")}.get(fate, Answer(200, delay=delay))

    def sms(self, request):
        fate, delay = self.fate(request.form["Body"])
        return {"later": Answer(429), "refused": Answer(400, {"code": 21612}), "cut": Answer(cut="after")}.get(
            fate, Answer(201, {"sid": f"SM{request.connection}-{time.monotonic_ns()}", "status": "queued"}, delay=delay))


class FaultyMail(MailServer):
    def __init__(self, faults):
        self.faults = faults
        super().__init__()

    async def handle_DATA(self, server, session, envelope):
        subject = re.search(rb"^Subject: (\S+)", envelope.content, re.M | re.I)[1].decode()
        fate, delay = self.faults.fate(subject)
        await asyncio.sleep(delay)
        if fate == "cut":
            server.transport.abort()
        return {"later": "451 4.3.0 later", "refused": "554 5.7.1 not this one"}.get(fate, "250 2.0.0 queued")


# --- the stand ---

class Stand:
    def __init__(self, seed):
        self.folder = harness.short_folder()
        self.random = random.Random(seed)
        self.faults = Faults(seed)
        self.redis = harness.Redis(self.folder / "r").start()
        self.hooks, self.sms, self.mail = HttpReceiver(), HttpReceiver(), FaultyMail(self.faults)
        self.hooks.default = self.faults.webhook
        self.sms.script(harness.TWILIO_PATH, self.faults.sms)
        more = {"retry": RETRY, "timeout": "5s"}
        self.heed = harness.Gateway(self.folder / "g", self.redis, {
            "webhook": harness.webhook_channel(**more), "sms": harness.twilio_channel(self.sms, **more),
            "email": harness.email_channel(self.mail, sessions=4, **more)})
        self.ids = []
        self.kills = collections.Counter()

    def close(self):
        failed = sys.exc_info()[0] is not None
        self.heed.close()
        self.redis.kill()
        for server in (self.hooks, self.sms, self.mail):
            server.close()
        harness.forget_store(self.heed.config["store"]["url"])
        if failed:
            print(f"kept: {self.folder}", flush=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def put(self):
        put_customers(self.heed, self.hooks)

    def burst(self, count=BURST):
        pipe = self.redis.client.pipeline(transaction=False)
        for _ in range(count):
            number = len(self.ids)
            channel = CHANNELS[number % len(CHANNELS)]
            self.ids.append(f"{channel}.{number}")
            pipe.xadd(self.heed.stream(), {"message": json.dumps({
                "id": self.ids[-1], "customer": f"{channel}-{number // 3 % CUSTOMERS}", "product": "card-alerts",
                "content": {"subject": self.ids[-1], "text": self.ids[-1]}})})
        pipe.execute()

    def sound(self):
        """The sum and the audit hold, as after every restart."""
        self.heed.sum_holds()
        audit = self.heed.cli("audit", seconds=PATIENCE)
        assert audit.returncode == 0, audit.stdout + audit.stderr

    # --- kills of the gateway ---

    def kill_at_random(self):
        before, more = sum(self.faults.taken.values()), self.random.randint(0, BURST - 4)
        self.burst()
        wait_for(lambda: sum(self.faults.taken.values()) >= before + more, PATIENCE, "messages to arrive", pause=0.002)
        time.sleep(self.random.uniform(0, 0.03))
        self.heed.kill()
        self.kills["random"] += 1

    def kill_at(self, label):
        """The gateway is down: it is started to crash there, and does."""
        first = label in AT_START
        hit = 1 if first or label.startswith("courier") or label.startswith("reader") else self.random.randint(1, 8)
        if first:
            self.burst()
        self.heed.start(ready=False, env={"HEED_CRASH": f"{label}:{hit}"})
        until = time.monotonic() + PATIENCE
        while self.heed.running():
            if not first:
                self.burst(6)
            assert time.monotonic() < until, f"{label} was not reached"
            for _ in range(20):
                if self.heed.running():
                    time.sleep(0.005)
        status = self.heed.wait()
        assert status == -9, f"{label}: it ended with {status}\n{self.heed.stderr()[-2000:]}"
        self.kills[label] += 1

    def start(self):
        self.heed.start(seconds=PATIENCE)
        self.sound()

    # --- what must be true in the end ---

    def ended(self):
        """Everything that can end has. A text message in doubt is held; a mail or webhook in doubt goes again, until it is taken or
        refused for good (and then stays in doubt: the first copy may have arrived)."""
        if not self.heed.settled():
            return None
        contacts = contacts_by_message(self.heed)
        over = {"sent", "delivered", "rejected"}
        return contacts if all(list_[-1]["state"] in (over | {"in_doubt"} if name.startswith("sms") else over)
                               for name, list_ in contacts.items()) else None

    def verify(self):
        self.faults.heal()
        self.start()
        contacts = wait_for(self.ended, 300, "everything to end", pause=0.5)
        numbers = self.heed.sum_holds()
        taken = self.faults.taken
        assert numbers["admitted"] == len(self.ids) and numbers["dead"] == 0, numbers
        assert set(taken) <= set(self.ids)
        for name in self.ids:
            states = collections.Counter(contact["state"] for contact in contacts[name])
            yes, doubts = states["sent"] + states["delivered"], states["in_doubt"]
            assert taken[name] or doubts or states["rejected"], f"{name} is lost: {states}"
            assert taken[name] >= yes, f"{name}: {states}, and it came {taken[name]} times"
            assert taken[name] <= yes + doubts, f"{name} came {taken[name]} times, which is not recorded: {states}"
            assert taken[name] <= 1 or doubts >= taken[name] - 1, f"{name}: a copy without the mark: {states}"
        self.sound()
        return contacts

    def report(self, contacts):
        """What a kill leaves, by channel: attempts in doubt, and those that would be without the file of what has begun."""
        doubts, saved, answered = collections.Counter(), collections.Counter(), collections.Counter()
        for contact in (contact for list_ in contacts.values() for contact in list_):
            if contact["state"] == "in_doubt":
                (answered if contact["code"] else doubts)[contact["channel"]] += 1
            elif contact["state"] == "called_back":
                saved[contact["channel"]] += 1
        kills = sum(self.kills.values())
        copies = sum(count - 1 for count in self.faults.taken.values() if count > 1)
        print(f"{kills} kills ({self.kills['random']} at random moments, the rest at {len(self.kills) - 1} labelled steps), "
              f"{len(self.ids)} messages: 0 lost, 0 unrecorded, {copies} second copies, each marked in doubt")
        print(f"receivers: {dict(self.faults.faults)}")
        for channel in CHANNELS:
            print(f"{channel}: {saved[channel] + doubts[channel]} attempts under way at a kill, {doubts[channel]} of them in doubt "
                  f"({doubts[channel] / kills:.2f} a kill; {(saved[channel] + doubts[channel]) / kills:.2f} without the file); "
                  f"{answered[channel]} in doubt by a cut", flush=True)


def torture_gateway(kills, seed, stand=None):
    stand = stand or Stand(seed)
    try:
        stand.heed.program = str(CRASHING)
        stand.heed.start()
        stand.put()
        order = LABELS * (kills // 2 // len(LABELS) + 1)
        for number in range(kills):
            if number % 2:
                stand.heed.stop()
                stand.kill_at(order[number // 2])
            else:
                stand.kill_at_random()
            stand.start()
            if number % 50 == 49 and kills > 100:
                print(f"{number + 1} kills, {len(stand.ids)} messages", flush=True)
        stand.heed.kill()
        contacts = stand.verify()
        stand.report(contacts)
        return stand.kills
    finally:
        stand.close()


# --- kills of Redis ---

class Writer(threading.Thread):
    """Adds messages one by one, and knows which of them Redis has confirmed."""

    def __init__(self, stand):
        super().__init__(daemon=True)
        self.stand, self.sure, self.unsure = stand, [], []
        self.stop = threading.Event()
        self.client = redis_client.Redis(unix_socket_path=stand.redis.socket, decode_responses=True, socket_timeout=5)

    def run(self):
        number = 0
        while not self.stop.is_set():
            channel = CHANNELS[number % len(CHANNELS)]
            name = f"{channel}.{number}"
            try:
                self.client.xadd(self.stand.heed.stream(), {"message": json.dumps({
                    "id": name, "customer": f"{channel}-{number // 3 % CUSTOMERS}", "product": "card-alerts",
                    "content": {"subject": name, "text": name}})})
                self.sure.append(name)
                time.sleep(0.004)
            except (redis_client.RedisError, AttributeError):    # its library trips over a reset of a Unix socket
                self.unsure.append(name)
                time.sleep(0.02)
            number += 1


def torture_redis(kills, seed, stand=None):
    stand = stand or Stand(seed)
    try:
        stand.heed.start()
        stand.put()
        writer = Writer(stand)
        writer.start()
        for number in range(kills):
            wait_for(lambda seen=len(writer.sure): len(writer.sure) >= seen + stand.random.randint(5, 40), PATIENCE, "the load")
            time.sleep(stand.random.uniform(0, 0.02))
            stand.redis.restart()
        wait_for(lambda seen=len(writer.sure): len(writer.sure) > seen, PATIENCE, "the load after the last restart")
        writer.stop.set()
        writer.join(30)
        stand.faults.heal()
        contacts = wait_for(stand.ended, 300, "everything to end", pause=0.5)
        numbers, taken = stand.heed.sum_holds(), stand.faults.taken
        lost = [name for name in writer.sure if name not in contacts]
        assert not lost, f"Redis had confirmed {lost}"
        assert set(contacts) <= set(writer.sure + writer.unsure) and numbers["admitted"] == len(contacts)
        for name, list_ in contacts.items():
            states = collections.Counter(contact["state"] for contact in list_)
            assert taken[name] <= 1 or states["in_doubt"] >= taken[name] - 1, f"{name}: a copy without the mark: {states}"
            assert taken[name] or states["in_doubt"] or states["rejected"], f"{name} is lost: {states}"
        wait_for(lambda: stand.redis.client.xlen(stand.heed.stream()) == 0, PATIENCE, "the stream to be empty")
        stand.sound()
        print(f"Redis killed and started {kills} times: {len(writer.sure)} XADDs confirmed, 0 of them lost, none sent twice without the "
              f"mark; of {len(writer.unsure)} without an answer {sum(name in contacts for name in writer.unsure)} had arrived", flush=True)
    finally:
        stand.close()


if __name__ == "__main__":
    what = sys.argv[1] if len(sys.argv) > 1 else "gateway"
    chosen = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
    print(f"SEED={chosen}", flush=True)
    if what == "gateway":
        torture_gateway(int(os.environ.get("KILLS", "1000")), chosen)
    else:
        torture_redis(int(os.environ.get("KILLS", "50")), chosen)
