"""What waits, in numbers: printed, and asserted where a promise is at stake. `make load`; WHEN="due lanes campaign" chooses parts.

due       100,000 messages deferred, all falling due in one second: how they go out, and the gateway's memory
lanes     urgent messages on an idle gateway, and with 1,000,000 in bulk
campaign  500,000 in bulk held in the middle, released, cancelled: nothing leaves after the hold but what was on its way"""
import argparse
import datetime
import json
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "end_to_end"))

import harness
from nginx_receiver import NginxReceiver

CUSTOMERS = 1000
SLICE = 1000
PATIENCE = 1800


class Stand:
    def __init__(self):
        self.folder = harness.short_folder()
        self.redis = harness.Redis(self.folder / "r").start()
        self.nginx = NginxReceiver(self.folder / "n").start()
        self.gateway = harness.Gateway(self.folder / "g", self.redis, {"webhook": harness.webhook_channel()})
        self.gateway.start()
        file = self.gateway.folder / "customers.jsonl"
        file.write_text("".join(json.dumps({"id": f"c-{i}", "addresses": {"webhook": f"{self.nginx.url}/hook/{i}"},
                                            "preferences": [{"product": "card-alerts", "channels": ["webhook"]}]}) + "\n"
                                for i in range(CUSTOMERS)))
        self.gateway.cli_ok("customer", "import", file, seconds=120)

    def close(self):
        self.gateway.close()
        self.nginx.stop()
        self.redis.kill()

    def enqueue(self, count, prefix, lane="bulk", first=0, **more):
        for start in range(first, first + count, SLICE):
            pipe = self.redis.client.pipeline(transaction=False)
            for n in range(start, min(start + SLICE, first + count)):
                pipe.xadd(self.gateway.stream(lane), {"message": json.dumps({
                    "id": f"{prefix}-{n}", "customer": f"c-{n % CUSTOMERS}", "product": "card-alerts", "content": {"text": "hello"}, **more})})
            pipe.execute()

    def memory(self):
        status = pathlib.Path(f"/proc/{self.gateway.process.pid}/status").read_text()
        return {line.split(":")[0]: int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(("VmRSS", "VmHWM"))}

    def wait(self, condition, what, pause=0.5):
        return harness.wait_for(condition, PATIENCE, what, pause=pause)


def due(stand):
    count = 100000
    at = time.time() + 90
    stand.enqueue(1000, "warm", "normal")
    stand.wait(lambda: stand.nginx.count() >= 1000, "the first thousand")
    before = stand.memory()
    stand.enqueue(count, "due", "normal", send_at=datetime.datetime.fromtimestamp(at, datetime.timezone.utc).isoformat())
    stand.wait(lambda: stand.gateway.sum_holds()["deferred"] == count, "all to be deferred")
    spare = at - time.time()
    deferred = stand.memory()
    stand.wait(lambda: stand.nginx.count() >= 1000 + count, "all to arrive")
    times = sorted(arrival for arrival, path in stand.nginx.arrivals())[1000:]
    gaps = [b - a for a, b in zip(times, times[1:])]
    after = stand.memory()
    assert times[0] >= at - 0.001, "one left before its time"
    stand.wait(lambda: stand.gateway.sum_holds()["delivered"] == 1000 + count, "all to be recorded")
    print(f"due: {count} deferred, {spare:.0f} s before their time; the first arrived {times[0] - at:.3f} s after it, the last {times[-1] - at:.1f} s "
          f"({count / (times[-1] - times[0]):.0f}/s), the longest silence between two {max(gaps) * 1000:.0f} ms")
    print(f"     resident {before['VmRSS']:.0f} MB before, {deferred['VmRSS']:.0f} MB with them deferred, {after['VmHWM']:.0f} MB at the most")


def urgent_times(stand, prefix, count):
    begun = {}
    for n in range(count):
        begun[f"/urgent/{prefix}/{n}"] = time.time()
        stand.gateway.xadd({"id": f"{prefix}-{n}", "customer": f"u-{prefix}-{n}", "product": "card-alerts", "content": {"text": "now"}}, "urgent")
        time.sleep(0.05)
    found = lambda: {path: arrival for arrival, path in stand.nginx.arrivals(f"/urgent/{prefix}/")}
    stand.wait(lambda: begun.keys() <= found().keys(), "the urgent ones", pause=0.5)
    return sorted((arrival - begun[path]) * 1000 for path, arrival in found().items())


def lanes(stand):
    count, urgent = 1000000, 100
    for prefix in ("idle", "busy"):
        for n in range(urgent):
            stand.gateway.api("PUT", f"/v1/customers/u-{prefix}-{n}", {
                "addresses": {"webhook": f"{stand.nginx.url}/urgent/{prefix}/{n}"}, "preferences": [{"product": "card-alerts", "channels": ["webhook"]}]})
    idle = urgent_times(stand, "idle", urgent)
    stand.enqueue(count, "bulk")
    stand.wait(lambda: stand.gateway.queue()["admitted"] > count / 4, "a quarter to be admitted")
    busy = urgent_times(stand, "busy", urgent)
    n = stand.gateway.sum_holds()
    left = n["queued"] + n["waiting"]["bulk"]
    assert left > 0, "bulk was over before the end"
    show = lambda t: f"median {statistics.median(t):.1f} ms, p90 {t[int(len(t) * .9)]:.1f}, worst {t[-1]:.1f}"
    print(f"lanes: urgent on an idle gateway {show(idle)}; with {count} in bulk ({n['waiting']['bulk']} still in Redis, {n['queued']} in the store) {show(busy)}")
    print(f"     resident {stand.memory()['VmHWM']:.0f} MB at the most")


def campaign(stand):
    count = 500000
    before = stand.nginx.count()
    stand.enqueue(count, "spring", campaign="spring")
    stand.wait(lambda: stand.nginx.count() - before > count / 50, "some to arrive")
    begun = time.time()
    answer = stand.gateway.cli_object("hold", "--campaign", "spring", "--why", "wrong date", seconds=60)
    held = time.time()
    stand.wait(lambda: stand.gateway.queue()["sending"] == 0, "what was on its way")
    settled = stand.nginx.count()
    late = sum(arrival > held + 0.002 for arrival, path in stand.nginx.arrivals())
    assert late <= answer["on_their_way_count"], (late, answer["on_their_way_count"])
    stand.wait(lambda: (lambda n: n["deferred"] + n["delivered"] >= count and n["waiting"]["bulk"] == 0)(stand.gateway.sum_holds()), "the rest to be held")
    assert stand.nginx.count() == settled, "something left after the hold"
    print(f"campaign: held after {settled - before} of {count}; confirmed in {(held - begun) * 1000:.0f} ms (the command's start included), "
          f"{answer['on_their_way_count']} were on their way, {late} arrived after it; nothing else left while the rest was admitted")
    stand.gateway.cli_ok("release", "--campaign", "spring")
    stand.wait(lambda: stand.nginx.count() > settled + 20000, "it to go on")
    begun = time.time()
    stand.gateway.cli_ok("cancel", "--campaign", "spring", "--why", "no more", seconds=60)
    confirmed = time.time()
    stand.wait(lambda: not any(stand.gateway.queue()[state] for state in ("queued", "deferred", "sending")), "the rest to end")
    n = stand.gateway.sum_holds()
    assert n["delivered"] + n["cancelled"] == count, n
    print(f"     released it went on; cancelled in {(confirmed - begun) * 1000:.0f} ms, all ended {time.time() - confirmed:.0f} s later: "
          f"{n['delivered']} delivered, {n['cancelled']} cancelled, the sum holds; resident {stand.memory()['VmHWM']:.0f} MB at the most")


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("parts", nargs="*", default=["due", "lanes", "campaign"])
    for part in words.parse_args().parts or ["due", "lanes", "campaign"]:
        stand = Stand()
        try:
            {"due": due, "lanes": lanes, "campaign": campaign}[part](stand)
        finally:
            stand.close()


if __name__ == "__main__":
    main()
