"""Webhooks through one gateway on SQLite, then one, two (…) on one PostgreSQL: messages a second, and what a message costs each
part. `tests/bench/shared.py --messages 20000 --gateways 1 2`; PostgreSQL writes to its disk as in earnest (fsync on)."""
import argparse
import pathlib
import shutil
import sys
import time

import stage
from stage import harness

sys.path.insert(0, str(pathlib.Path(stage.ROOT) / "tests"))
import postgres  # noqa: E402


def server_seconds(server):
    """CPU of PostgreSQL and all its processes, those that ended included."""
    pids = [server.process.pid, *stage.children_of(server.process.pid)]
    return sum(stage.cpu_of(pid) for pid in pids)


def beside(heed, folder, name, url):
    """A gateway's own files, with another store and name."""
    folder.mkdir(parents=True)
    config = (heed.folder / "heed.yaml").read_text()
    config = config.replace(f"sqlite:{heed.folder}/heed.db", url).replace("name: bench", f"name: {name}")
    config = config.replace(str(heed.folder / "s"), str(folder / "s"))
    (folder / "heed.yaml").write_text(config)
    shutil.copyfile(heed.folder / "products.yaml", folder / "products.yaml")


def measure(words, server, gateways, folder):
    redis = nginx = sink = None
    processes = []
    try:
        redis, nginx, sink = stage.Redis(folder / "r"), stage.Nginx(folder / "n"), stage.Sink(folder / "m")
        heed = stage.Heed(folder / "h", redis, nginx, sink, words.customers)
        stage.fill(redis, "webhook", words.messages, words.customers)
        if gateways:
            name = f"bench{gateways}"
            server.ask(f"CREATE DATABASE {name}")
            url = server.url(name)
            heed.run("migrate", "--to", url)
            server.ask("ANALYZE", name)
            files = [folder / f"g{i}" for i in range(gateways)]
            for i, place in enumerate(files):
                beside(heed, place, f"bench-{i}", url)
        else:
            files = [heed.folder]
        before = {"nginx": stage.cpu_of(nginx.pid), "redis": stage.cpu_of(redis.pid), "postgres": server_seconds(server)}
        lsn = server.ask("SELECT pg_current_wal_lsn()")
        commits = server.ask("SELECT sum(xact_commit) FROM pg_stat_database")
        processes = [stage.start([stage.HEED, "--config", place / "heed.yaml", "gateway"], place / "log") for place in files]
        began = time.monotonic()
        done = heed.done if not gateways else lambda: int(server.ask("SELECT coalesce(states[5], 0) FROM position", name))
        while done() < words.messages:
            time.sleep(0.05)
            assert time.monotonic() < began + 600, f"only {done()} of {words.messages}"
        took = time.monotonic() - began
        per = 1e6 / words.messages
        cost = {"heed": sum(stage.cpu_of(p.pid) for p in processes) * per, "redis": (stage.cpu_of(redis.pid) - before["redis"]) * per,
                "nginx": (stage.cpu_of(nginx.pid) - before["nginx"]) * per, "postgres": (server_seconds(server) - before["postgres"]) * per}
        written = int(server.ask(f"SELECT pg_current_wal_lsn() - '{lsn}'"))
        time.sleep(1.2)
        turns = int(server.ask("SELECT sum(xact_commit) FROM pg_stat_database")) - int(commits)
        what = f"{gateways} on PostgreSQL" if gateways else "1 on SQLite"
        print(f"{what:16} {words.messages / took:8.0f}/s   CPU µs a message: " + ", ".join(f"{k} {v:.0f}" for k, v in cost.items())
              + (f"; WAL {written / words.messages:.0f} bytes, {turns / words.messages:.3f} transactions" if gateways else ""), flush=True)
    finally:
        for process in processes:
            stage.end(process)
        for one in (redis, nginx, sink):
            if one:
                one.close()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20000)
    parser.add_argument("--customers", type=int, default=10000)
    parser.add_argument("--gateways", type=int, nargs="+", default=[0, 1, 2])
    words = parser.parse_args()
    server = postgres.Postgres(settings={"fsync": "on", "shared_buffers": "256MB"}).start()
    try:
        for gateways in words.gateways:
            measure(words, server, gateways, harness.short_folder() / "b")
    finally:
        server.close()


if __name__ == "__main__":
    main()
