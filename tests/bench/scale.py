"""`make bench-scale`: what a message costs as the store grows, and what it takes to look into a large one. The rows that make
it large are copied by SQL; what is measured goes through heed. Bounded in time: what there was no time to copy is said."""
import argparse
import contextlib
import http.client
import json
import shutil
import socket
import sqlite3
import statistics
import time

import stage
from stage import harness

SAMPLE = 2000


def log(words):
    print(words, flush=True)


class Door(http.client.HTTPConnection):
    """The API on the gateway's Unix socket."""

    def __init__(self, path):
        super().__init__("heed", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.path)

    def get(self, path):
        began = time.monotonic()
        self.request("GET", path)
        answer = self.getresponse()
        body = answer.read()
        assert answer.status == 200, body[:500]
        return (time.monotonic() - began) * 1000, json.loads(body)


def grow(path, table, made, count, sample, until):
    """Copies the `sample` first rows of a table until there are `count` more, or the time is up: how many came; `made`: SQL by
    column, with {k}. Indexes are made afterwards, from what is sorted: a fraction of the time."""
    copied = 0
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -600000")
        names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        indexes = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL", (table,)).fetchall()
        for name, _ in indexes:
            db.execute(f"DROP INDEX {name}")
        for k in range(1, count // sample + 1):
            if time.monotonic() > until:
                break
            copied += sample
            values = ", ".join(made[name].format(k=k * sample) if name in made else name for name in names)
            db.execute(f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} WHERE rowid IN "
                       f"(SELECT rowid FROM {table} ORDER BY rowid LIMIT {sample})")
        for _, words in indexes:
            db.execute(words)
        db.commit()
    return copied


def add_contacts(path, customers, count, until, first_customer=0):
    """Over all customers, so that each has his share. How many came."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        table = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'contact_[0-9]*' ORDER BY name DESC").fetchone()[0]
        first, changed = db.execute(f"SELECT max(seq), max(changed) FROM {table}").fetchone()
    copied = grow(path, table, {"seq": f"{first} + seq + {{k}}", "changed": f"{changed} + seq + {{k}}",
                                "customer": f"({first} + seq + {{k}}) * 7919 % {customers} + {first_customer} + 1"}, count, SAMPLE, until)
    with contextlib.closing(sqlite3.connect(path)) as db:
        top = db.execute(f"SELECT max(seq), max(changed) FROM {table}").fetchone()
        stage.list_contacts(db, table, first)
        db.executemany("REPLACE INTO number (name, value) VALUES (?, ?)", [("last.contact", top[0]), ("last.changed", top[1])])
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return copied


def add_deferred(heed, count, until):
    """Messages that wait until the year 2100. How many came."""
    path, due = heed.folder / "heed.db", 4102444800 * 1000000
    with contextlib.closing(sqlite3.connect(path)) as db:
        top = db.execute("SELECT max(n) FROM message").fetchone()[0]
        deferred = db.execute("SELECT value FROM number WHERE name = 'state.deferred'").fetchone()
    grow(path, "message", {"n": f"{top} + n + {{k}}", "id": f"'d-' || ({top} + n + {{k}})", "state": "1", "waits_for": "''",
                           "due": str(due), "lease": "0"}, count, SAMPLE, until)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("INSERT INTO waiting (waits_for, lane, due, message, customer) SELECT waits_for, lane, due, n, customer FROM message "
                   "WHERE n > ?", (top,))
        added = db.execute("SELECT count(*), coalesce(max(n), ?) FROM message WHERE n > ?", (top, top)).fetchone()
        db.execute("REPLACE INTO number (name, value) VALUES ('state.deferred', ?)", ((deferred[0] if deferred else 0) + added[0],))
        db.execute("UPDATE number SET value = value + ? WHERE name = 'admitted'", (added[0],))
        db.execute("REPLACE INTO number (name, value) VALUES ('last.message', ?)", (added[1],))
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return added[0]


def cost(heed, count, run):
    """Messages a second, and CPU us of the process for one."""
    stage.fill(heed.redis, "webhook", count, heed.customers, start=run * 1000003)
    base = heed.done()
    heed.start()
    try:
        began, used = time.monotonic(), stage.cpu_of(heed.pid)
        harness.wait_for(lambda: heed.done() >= base + count, 120, "the messages", 0.02)
        return count / (time.monotonic() - began), (stage.cpu_of(heed.pid) - used) * 1e6 / count, heed.ready, stage.memory_of(heed.pid)[1]
    finally:
        heed.stop()


def show(what, heed, first, count, rounds, run):
    """In turns with the first, so that the machine's drift cancels."""
    pairs = [(cost(first, count, run + 2 * i), cost(heed, count, run + 2 * i + 1)) for i in range(rounds)]
    rates, cpus = [[[one[i] for one in side] for side in zip(*pairs)] for i in (0, 1)]
    ratios = [before / after for before, after in zip(*cpus)]
    log(f"| {what} | {statistics.median(rates[1]):,.0f} ({statistics.median(rates[0]):,.0f}) | {statistics.median(cpus[1]):.0f} "
        f"({statistics.median(cpus[0]):.0f}) | {statistics.median(ratios) * 100:.0f} % ({min(ratios) * 100:.0f} to {max(ratios) * 100:.0f}) "
        f"| {max(pair[1][2] for pair in pairs) * 1000:.0f} | {max(pair[1][3] for pair in pairs) / 1e6:.0f} |")
    return run + 2 * rounds


def look(heed):
    heed.start()
    try:
        door = Door(str(heed.folder / "s"))
        times = [door.get(f"/v1/customers/c-{i * 7919 % heed.customers}/history?limit=50")[0] for i in range(50)]
        log(f"history, the last 50 contacts of one customer: median {statistics.median(times):.1f} ms, highest {max(times):.1f}")
        times = [door.get("/v1/log?limit=100")[0] for _ in range(20)]
        log(f"log, the last 100 contacts: median {statistics.median(times):.1f} ms, highest {max(times):.1f}")
        door.close()
    finally:
        heed.stop()


def import_time(folder, heed, count):
    lines = folder / "import.csv"
    with open(lines, "w") as out:
        out.write("id,name,locale,email\n")
        for i in range(count):
            out.write(f"i-{i},Customer {i},en,i{i}@example.com\n")
    began = time.monotonic()
    heed.run("customer", "import", str(lines), seconds=1200)
    took = time.monotonic() - began
    log(f"import of {count:,} customers by CSV: {took:.1f} s, {took * 1e6 / count:.0f} us each")


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--contacts", type=int, nargs="*", default=[1000000, 10000000])
    words.add_argument("--customers", type=int, nargs="*", default=[10000, 1000000])
    words.add_argument("--deferred", type=int, default=1000000)
    words.add_argument("--imported", type=int, default=1000000)
    words.add_argument("--messages", type=int, default=20000)
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--minutes", type=float, default=20.0, help="nothing is copied any more after two thirds of them")
    words = words.parse_args()
    until = time.monotonic() + words.minutes * 60 * 2 / 3
    folder = harness.short_folder()
    redis, nginx, sink = stage.Redis(folder / "r"), stage.Nginx(folder / "n"), stage.Sink(folder / "m")
    run, rounds = 1, words.rounds
    try:
        log("| in the store | webhooks/s (at the first) | CPU us each (at the first) | the first's CPU against it | ready ms | resident MB |\n"
            "| --- | --- | --- | --- | --- | --- |")
        first = stage.Heed(folder / "first", redis, nginx, sink, words.customers[0])
        for customers in words.customers:
            heed = stage.Heed(folder / f"h{customers}", redis, nginx, sink, customers)
            run = show(f"{customers:,} customers", heed, first, words.messages, rounds, run)
        there = 0
        for contacts in words.contacts:
            there += add_contacts(heed.folder / "heed.db", heed.customers, contacts - there, until)
            run = show(f"and {there:,} contacts", heed, first, words.messages, rounds, run)
        if words.deferred:
            deferred = add_deferred(heed, words.deferred, until)
            run = show(f"and {deferred:,} deferred", heed, first, words.messages, rounds, run)
        log("")
        look(heed)
        import_time(folder, stage.Heed(folder / "hi", redis, nginx, sink, 10), words.imported)
    finally:
        for server in (redis, nginx, sink):
            server.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
