"""From XADD to the receiver on an idle machine: median and tail, printed, never asserted. `make latency`.

One message at a time, so that nothing waits for anything else: the clock stops at the first byte of a request,
and at the end of a mail."""
import argparse
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "end_to_end"))

import harness
from http_receiver import Answer, HttpReceiver
from smtp_servers import MailServer


def measure(gateway, customer, product, count, arrived):
    """Milliseconds, one a message. `arrived` gives the moments of arrival, monotonic, so far."""
    times = []
    for _ in range(count):
        before = len(arrived())
        start = time.monotonic()
        gateway.send(customer, product)
        harness.wait_for(lambda: len(arrived()) > before, what="the message to arrive", pause=0.0005)
        times.append((arrived()[before] - start) * 1000)
        time.sleep(0.005)  # back to idle
    return times


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--count", type=int, default=300)
    count = words.parse_args().count
    folder = harness.short_folder()
    redis = harness.Redis(folder / "r").start()
    receiver, sms, mail = HttpReceiver(), HttpReceiver(), MailServer()
    sms.script(harness.TWILIO_PATH, lambda request: Answer(201, {"sid": f"SM{len(sms.requests)}"}))
    gateway = harness.Gateway(folder / "g", redis, {"webhook": harness.webhook_channel(), "sms": harness.twilio_channel(sms),
                                                    "email": harness.email_channel(mail)})
    try:
        gateway.start()
        gateway.put({"id": "c-1", "addresses": {"webhook": receiver.url + "/hook", "sms": "+15005550001", "email": "a@example.com"}})
        sources = {"webhook": lambda: [r.at for r in receiver.requests], "sms": lambda: [r.at for r in sms.requests],
                   "email": lambda: [m.at for m in mail.mails]}
        print(f"XADD to receiver, {count} messages one at a time, milliseconds")
        print(f"{'':9} {'median':>8} {'p90':>8} {'p99':>8} {'max':>8}")
        for channel, arrived in sources.items():
            gateway.prefer("c-1", "card-alerts", channel)
            measure(gateway, "c-1", "card-alerts", 20, arrived)  # connections are open, caches warm
            times = sorted(measure(gateway, "c-1", "card-alerts", count, arrived))
            at = lambda share: times[min(len(times) - 1, int(len(times) * share))]
            print(f"{channel:9} {statistics.median(times):8.2f} {at(0.9):8.2f} {at(0.99):8.2f} {times[-1]:8.2f}")
    finally:
        gateway.close()
        redis.kill()
        for server in (receiver, sms):
            server.close()
        mail.close()


if __name__ == "__main__":
    main()
