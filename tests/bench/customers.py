"""Does a message cost more where there are more customers? Webhooks to customers taken at random, through a gateway on PostgreSQL
(or SQLite) with 10,000 and with 10,000,000 of them, in turns. CPU a message of each part; on PostgreSQL, what the server says of
the lookups and of the admission. The customers are copied inside the store from one that heed made; their log is not.

    tests/bench/customers.py [--store sqlite] [--customers 10000 10000000] [--messages 20000] [--rounds 3] [--buffers 8GB]
    tests/bench/customers.py --store sqlite --contacts 10000000    # and the larger store has as many contacts, too
"""
import argparse
import contextlib
import json
import pathlib
import random
import shutil
import sqlite3
import statistics
import sys
import time

import scale
import stage
from stage import harness

sys.path.insert(0, str(pathlib.Path(stage.ROOT) / "tests"))
import postgres  # noqa: E402

SETTINGS = {"fsync": "on",  "max_wal_size": "4GB", "shared_preload_libraries": "pg_stat_statements",
            "maintenance_work_mem": "1GB", "checkpoint_timeout": "30min", "wal_level": "minimal", "max_wal_senders": "0",
            "max_parallel_maintenance_workers": "1"}
TABLES = ["customer", "address", "customer_address", "preference"]
# what of pg_stat_statements belongs to what
PARTS = {"lookup": ["%JOIN customer k ON k.id = u.id%", "%FROM address WHERE moved%", "%FROM customer_address l JOIN address a%",
                    "%JOIN preference p ON p.customer = u.customer%"],
         "admission": ["INSERT INTO message %"]}
SECONDS = 3600
SEED = "c-00000000"     # whom the others are copied from
FIRST = 10000000        # what the numbers begin behind


def say(words):
    print(words, flush=True)


# --- a store with so many customers ---

class OnSqlite:
    series = "(WITH RECURSIVE series (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM series WHERE i < {}) SELECT i FROM series)"

    def __init__(self, folder):
        self.url, self.file = f"sqlite:{folder}/heed.db", folder / "heed.db"

    def run(self, *statements):
        with contextlib.closing(sqlite3.connect(self.file)) as db:
            for statement in statements:
                db.execute(statement)
            db.commit()
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def columns(self, table):
        with contextlib.closing(sqlite3.connect(self.file)) as db:
            return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]

    def without_indexes(self, statements):
        self.run(*statements)

    def numbers(self, count):
        return [f"INSERT INTO number VALUES ('last.{name}', {count}) ON CONFLICT (name) DO UPDATE SET value = {count}"
                for name in ("customer", "address", "change")]

    def done(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as db:
            return (db.execute("SELECT value FROM number WHERE name = 'state.delivered'").fetchone() or [0])[0]

    def begin(self):
        pass

    def used(self):
        return {}

    def parts(self, messages):
        return ""

    @staticmethod
    def padded(number):
        return f"printf('%08d', {number})"


class OnPostgres:
    series = "generate_series(1, {}) s (i)"

    def __init__(self, server, name):
        self.server, self.name, self.url = server, name, server.url(name)
        server.ask(f"CREATE DATABASE {name}")
        server.ask("CREATE EXTENSION pg_stat_statements; CREATE EXTENSION pg_prewarm", name)

    def run(self, *statements):
        for statement in statements:
            self.server.ask(statement, self.name, SECONDS)

    def without_indexes(self, statements):
        """Runs them and makes the indexes afterwards: a fraction of the time."""
        which = ", ".join(f"'{table}'::regclass" for table in TABLES)
        keys = [line.split("|", 2) for line in self.server.ask(
            "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype IN ('p', 'u') AND "
            f"conrelid IN ({which})", self.name).splitlines()]
        others = [line.split("|", 1) for line in self.server.ask(
            "SELECT indexrelid::regclass, pg_get_indexdef(indexrelid) FROM pg_index i WHERE NOT EXISTS (SELECT 1 FROM pg_constraint c "
            f"WHERE c.conindid = i.indexrelid) AND indrelid IN ({which})", self.name).splitlines()]
        self.run(*(f"ALTER TABLE {table} DROP CONSTRAINT {key}" for table, key, _ in keys), *(f"DROP INDEX {name}" for name, _ in others),
                 *statements, *(f"ALTER TABLE {table} ADD CONSTRAINT {key} {text}" for table, key, text in keys), *(text for _, text in others))

    def columns(self, table):
        return self.server.ask(f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position",
                               self.name).split()

    def numbers(self, count):
        return [*(f"SELECT setval('{name}', {count})" for name in ("customer_n", "address_n", "change_seq")), "VACUUM (ANALYZE)", "CHECKPOINT"]

    def done(self):
        return int(self.server.ask("SELECT coalesce(states[5], 0) FROM position", self.name))

    def begin(self):
        """All customers are in its memory, as they are where it has enough of it."""
        which = ", ".join(f"'{table}'::regclass" for table in TABLES)
        self.server.ask(f"SELECT sum(pg_prewarm(oid)) FROM pg_class WHERE oid IN ({which}) OR oid IN (SELECT indexrelid FROM pg_index "
                        f"WHERE indrelid IN ({which}))", self.name, SECONDS)
        self.server.ask("CHECKPOINT")
        self.server.ask("SELECT pg_stat_statements_reset()", self.name)

    def used(self):
        seconds = 0
        for pid in [self.server.process.pid, *stage.children_of(self.server.process.pid)]:
            with contextlib.suppress(OSError):    # it ended just now
                seconds += stage.cpu_of(pid)
        return {"postgres": seconds}

    def parts(self, messages):
        told = []
        for part, like in PARTS.items():
            where = " OR ".join(f"query LIKE '{words}'" for words in like)
            time_, read = self.server.ask(f"SELECT coalesce(sum(total_exec_time), 0) * 1000, coalesce(sum(shared_blks_read), 0) FROM "
                                          f"pg_stat_statements WHERE {where}", self.name).split("|")
            told.append(f"{part} {float(time_) / messages:.1f} µs and {int(read) / messages:.2f} pages read")
        return "; the server's own account: " + ", ".join(told)

    @staticmethod
    def padded(number):
        return f"lpad(({number})::text, 8, '0')"


def add_customers(store, count):
    """Each with an address and a choice; their numbers begin behind the seed's."""
    def copies(table, where, **made):
        columns = store.columns(table)
        values = ", ".join(made.get(name, f"r.{name}") for name in columns)
        return (f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {store.series.format(count)}, "
                f"(SELECT * FROM {table} WHERE {where} LIMIT 1) r")

    name, n = f"'c-' || {store.padded('i')}", f"{FIRST} + i"
    # what stands beside a customer says its address's number and value; all are of one length
    beside = f"'{len(str(FIRST))}:' || ({n}) || replace(substr(r.addresses, 4), '{SEED}', {name})"
    store.without_indexes([
        copies("customer", f"id = '{SEED}'", n=n, id=name, seq=f"{FIRST} + 2 * i", addresses=beside),
        copies("address", f"value LIKE '%/hook/{SEED}'", n=n, value=f"replace(r.value, '{SEED}', {name})", seq="r.seq"),
        copies("customer_address", "position >= 0", customer=n, address=n),
        copies("preference", "product = 'card-alerts'", customer=n)])
    store.run(*store.numbers(FIRST + 2 * count))


class Stand:
    """A gateway on a store of so many customers."""

    def __init__(self, folder, redis, nginx, store, customers):
        self.store, self.customers, self.sent = store, customers, 0
        self.random = random.Random(customers)
        self.gateway = harness.Gateway(folder, redis, {"webhook": harness.webhook_channel(timeout="30s")}, products={
            "card-alerts": {"title": {"en": "Card"}, "purpose": "service", "channels": ["webhook"], "default": []}},
            config={"store": {"url": store.url}, "queue": {"events_max": 10000, "prefix": f"heed{customers}"}}).start()
        self.gateway.put({"id": SEED, "name": "Ana Díaz", "addresses": {"webhook": f"{nginx.url}/hook/{SEED}"},
                          "preferences": [{"product": "card-alerts", "channels": ["webhook"]}]})
        self.gateway.stop()
        began = time.monotonic()
        add_customers(store, customers)
        say(f"{customers:,} customers made in {time.monotonic() - began:.0f} s")

    def measure(self, messages):
        pipe = self.gateway.redis.client.pipeline(transaction=False)
        for number in range(self.sent, self.sent + messages):
            pipe.xadd(self.gateway.stream(), {"message": json.dumps({
                "id": f"m-{number:09}", "customer": f"c-{self.random.randrange(1, self.customers + 1):08}", "product": "card-alerts",
                "content": {"text": f"You paid {number % 1000}.50 EUR to Carter & Sons"}})})
            if number % 1000 == 999:
                pipe.execute()
        pipe.execute()
        self.sent += messages
        self.store.begin()
        before = self.store.used()
        began = time.monotonic()
        self.gateway.start()
        harness.wait_for(lambda: self.store.done() >= self.sent, 600, "all to be delivered", pause=0.1)
        took = time.monotonic() - began
        used = {"heed": stage.cpu_of(self.gateway.process.pid), **{k: v - before[k] for k, v in self.store.used().items()}}
        cost = {name: seconds * 1e6 / messages for name, seconds in used.items()}
        parts = self.store.parts(messages)
        self.gateway.stop()
        say(f"{self.customers:>12,} customers {messages / took:8.0f}/s   CPU µs a message: "
            + ", ".join(f"{k} {v:.0f}" for k, v in cost.items()) + parts)
        return sum(cost.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--customers", type=int, nargs="+", default=[10000, 10000000])
    parser.add_argument("--messages", type=int, default=20000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--buffers", default="8GB", help="PostgreSQL's shared_buffers; the system's own cache has the rest")
    parser.add_argument("--contacts", type=int, default=0, help="SQLite: of the last store, copied by SQL")
    words = parser.parse_args()
    if words.contacts and words.store != "sqlite":
        parser.error("--contacts goes with --store sqlite")
    folder = harness.short_folder()
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        redis = harness.Redis(folder / "r").start()
        stack.callback(redis.kill)
        nginx = stage.Nginx(folder / "n")
        stack.callback(nginx.close)
        server = None
        if words.store == "postgresql":
            server = postgres.Postgres(settings={**SETTINGS, "shared_buffers": words.buffers}).start()
            stack.callback(server.close)
        stands = []
        for count in words.customers:
            (folder / f"g{count}").mkdir()
            store = OnPostgres(server, f"c{count}") if server else OnSqlite(folder / f"g{count}")
            stands.append(Stand(folder / f"g{count}", redis, nginx, store, count))
            stack.callback(stands[-1].gateway.close)
        for stand in stands:
            stand.measure(words.messages // 4)    # what is cold once
        if words.contacts:
            began = time.monotonic()
            came = scale.add_contacts(stands[-1].store.file, stands[-1].customers, words.contacts, began + SECONDS, FIRST)
            say(f"{came:,} contacts made in {time.monotonic() - began:.0f} s")
            stands[-1].measure(words.messages // 4)
        costs = [[stand.measure(words.messages) for stand in stands] for _ in range(words.rounds)]
        medians = [statistics.median(column) for column in zip(*costs)]
        spread = [f"{min(column):.0f} to {max(column):.0f}" for column in zip(*costs)]
        for stand, median, about in zip(stands, medians, spread):
            say(f"{stand.customers:>12,} customers: {median:.0f} µs a message ({about}), {median / medians[0]:.2f} of the first")


if __name__ == "__main__":
    main()
