"""One load through one gateway: messages a second, and what each thread used. For the profile, and to compare two builds:
`tests/bench/quick.py webhook --messages 30000 --binary A --binary B --rounds 3`."""
import argparse
import shutil
import statistics
import time

import stage
from stage import harness


def once(words, binary, folder, round_):
    redis = nginx = sink = heed = None
    folder = folder / f"{round_}"
    try:
        redis, nginx, sink = stage.Redis(folder / "r"), stage.Nginx(folder / "n"), stage.Sink(folder / "m")
        heed = stage.Heed(folder / "h", redis, nginx, sink, words.customers, binary=binary)
        stage.fill(redis, words.load, words.messages, words.customers)
        before = {"nginx": stage.cpu_of(nginx.pid), "redis": stage.cpu_of(redis.pid), "smtp-sink": stage.cpu_of(sink.pid)}
        under = words.under.split() if words.under else ()
        heed.start(under)
        began = time.monotonic()
        while heed.done() < words.messages:
            time.sleep(0.02)
            assert heed.process.poll() is None, "it ended"
            assert time.monotonic() < began + words.patience, f"only {heed.done()} of {words.messages}"
        took = time.monotonic() - began
        time.sleep(0.3)
        threads = stage.cpu_by_thread(heed.pid)
        used = {name: value * 1e6 / words.messages for name, value in threads.items()}
        whole = sum(used.values())
        others = {n: (stage.cpu_of(p.pid) - before[n]) * 1e6 / words.messages for n, p in
                  (("nginx", nginx), ("redis", redis), ("smtp-sink", sink))}
        arrived = nginx.count() + sink.count()
        rss, most = stage.memory_of(heed.pid)
        return words.messages / took, whole, used, others, most / 1e6, arrived
    finally:
        if heed:
            heed.stop()
        for server in (redis, nginx, sink):
            if server:
                server.close()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("load", choices=[*stage.CHANNELS, "mix"])
    words.add_argument("--messages", type=int, default=30000)
    words.add_argument("--customers", type=int, default=20000)
    words.add_argument("--binary", action="append")
    words.add_argument("--rounds", type=int, default=1)
    words.add_argument("--under", default="")
    words.add_argument("--patience", type=float, default=120)
    words = words.parse_args()
    folder = harness.short_folder()
    seen = {}
    try:
        for round_ in range(words.rounds):
            for i, binary in enumerate(words.binary or [stage.HEED]):
                rate, whole, used, others, most, arrived = once(words, binary, folder, f"{round_}-{i}")
                seen.setdefault(binary, []).append((rate, whole))
                print(f"{binary} {words.load}: {rate:.0f}/s, {whole:.1f} us CPU a message, {most:.0f} MB, {arrived} arrived; "
                      + ", ".join(f"{n} {v:.1f}" for n, v in sorted(used.items(), key=lambda x: -x[1]) if v >= 0.1)
                      + " | " + ", ".join(f"{n} {v:.1f}" for n, v in others.items()), flush=True)
        if words.rounds > 1:
            for binary, values in seen.items():
                print(f"{binary}: median {statistics.median(v[0] for v in values):.0f}/s, {statistics.median(v[1] for v in values):.1f} us")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
