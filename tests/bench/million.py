#!/usr/bin/python3
"""A store with a million of something, made with SQL from a small one that heed made itself, and how long heed takes over it.

    million.py audit      a million contacts of 100,000 customers: `heed audit`
    million.py restart    a million deferred messages: from the start of the process until it answers, after a kill

MILLION=… makes it another number; KEEP=1 leaves the folder.
"""
import os
import pathlib
import shutil
import sqlite3
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "end_to_end"))
import harness

import stage

MILLION = int(os.environ.get("MILLION", "1000000"))
CUSTOMERS = max(1, MILLION // 10)
FOREVER = 2**63 - 1
SERIES = "WITH RECURSIVE series (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM series WHERE i < {}) "


def small_store(folder, redis):
    """One customer with a choice, and one message that was sent."""
    channels = {"email": {"adapter": "capture"}}
    gateway = harness.Gateway(folder / "g", redis, channels, config={"store": {"url": f"sqlite:{folder}/g/heed.db"}}).start()
    gateway.put({"id": "seed", "timezone": "Europe/Madrid", "addresses": {"email": "seed@example.com"},
                 "preferences": [{"product": "card-alerts", "channels": ["email"], "hours": "mon-sun 00:00-24:00"}]})
    gateway.wait_state(gateway.send("seed"), "sent")
    assert gateway.stop() == 0
    return gateway


def copy_rows(db, table, times, where, **columns):
    """So many copies of one row, with what is different as SQL over the series' i."""
    names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(columns.get(name, f"r.{name}") for name in names)
    db.execute(SERIES.format(times) + f"INSERT INTO {table} SELECT {values} FROM series, (SELECT * FROM {table} WHERE {where} LIMIT 1) r")


def number(db, name, more=0):
    db.execute("INSERT INTO number VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + ?", (name, more, more))
    return db.execute("SELECT value FROM number WHERE name = ?", (name,)).fetchone()[0]


def add_customers(db):
    """Each with facts, an address and a choice, in the log as well. Their numbers begin behind these."""
    customer, address, change = (number(db, f"last.{name}") for name in ("customer", "address", "change"))
    copy_rows(db, "customer", CUSTOMERS, "id = 'seed'", n=f"{customer} + i", id="'bulk-' || i", seq=f"{change} + 2 * i - 1")
    copy_rows(db, "address", CUSTOMERS, "value LIKE 'seed%'", n=f"{address} + i", value="'bulk-' || i || '@example.com'")
    copy_rows(db, "customer_address", CUSTOMERS, "customer = 1", customer=f"{customer} + i", address=f"{address} + i")
    copy_rows(db, "preference", CUSTOMERS, "customer = 1", customer=f"{customer} + i", seq=f"{change} + 2 * i")
    db.execute("UPDATE customer SET (addresses, choices) = (SELECT b.addresses, b.choices FROM customer_beside b WHERE b.n = customer.n) "
               "WHERE n > ?", (customer,))
    copy_rows(db, "change_log", CUSTOMERS, "kind = 1", seq=f"{change} + 2 * i - 1", customer=f"{customer} + i",
              new_value="replace(r.new_value, 'seed@', 'bulk-' || i || '@')")
    copy_rows(db, "change_log", CUSTOMERS, "kind = 0", seq=f"{change} + 2 * i", customer=f"{customer} + i")
    for name, more in (("customer", CUSTOMERS), ("address", CUSTOMERS), ("change", 2 * CUSTOMERS)):
        number(db, f"last.{name}", more)
    return customer, address, change


def add_contacts(db):
    customer, address, change = add_customers(db)
    message, contact, changed = (number(db, f"last.{name}") for name in ("message", "contact", "changed"))
    month = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'contact_[0-9]*' ORDER BY name DESC").fetchone()[0]
    whose = f"1 + (i * 7919) % {CUSTOMERS}"     # all over the place, as messages come
    copy_rows(db, "message", MILLION, "id IS NOT NULL", n=f"{message} + i", id="'bulk-' || i", customer=f"{customer} + {whose}",
              contact=f"{contact} + i")
    copy_rows(db, month, MILLION, "channel = 'email'", seq=f"{contact} + i", changed=f"{changed} + i", customer=f"{customer} + {whose}",
              message=f"{message} + i", address=f"{address} + {whose}", provider_ref="''",
              customer_seq=f"{change} + 2 * ({whose}) - 1", preference_seq=f"{change} + 2 * ({whose})",
              log_seq=f"{change} + {2 * CUSTOMERS}")
    stage.list_contacts(db, month, contact)
    for name in ("last.message", "last.contact", "last.changed", "admitted", "state.sent"):
        number(db, name, MILLION)


def add_deferred(db):
    message, tomorrow = number(db, "last.message"), (int(time.time()) + 86400) * 1000000
    copy_rows(db, "message", MILLION, "id IS NOT NULL", n=f"{message} + i", id="'bulk-' || i", state="1", due=f"{tomorrow} + i",
              waits_for="''", contact="0", channel="''", attempts="0", tries="0")
    db.execute(f"INSERT INTO waiting (waits_for, lane, due, message, customer) SELECT waits_for, lane, due, n, customer FROM message WHERE n > {message}")
    for name in ("last.message", "admitted", "state.deferred"):
        number(db, name, MILLION)


def grow(gateway, how):
    db = sqlite3.connect(gateway.folder / "heed.db")
    db.execute("PRAGMA synchronous = OFF")
    how(db)
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    print(f"the store has {(gateway.folder / 'heed.db').stat().st_size / 1e6:.0f} MB", flush=True)


def audit(gateway):
    grow(gateway, add_contacts)
    for run in ("first", "again"):
        start = time.monotonic()
        words = gateway.cli_ok("audit", seconds=600)
        print(f"audit, {run}: {time.monotonic() - start:.1f} s: {words.strip()}", flush=True)


def restart(gateway):
    grow(gateway, add_deferred)
    for number_of_start in range(1, 6):
        start = time.monotonic()
        gateway.start(ready=False)
        harness.wait_for(gateway._ready, 60, "the gateway", pause=0.002)
        took = time.monotonic() - start
        deferred = gateway.sum_holds()["deferred"]
        print(f"start {number_of_start}, with {deferred} deferred messages: ready in {took * 1000:.0f} ms", flush=True)
        gateway.kill()


def main():
    folder = harness.short_folder()
    redis = harness.Redis(folder).start()
    gateway = None
    try:
        gateway = small_store(folder, redis)
        {"audit": audit, "restart": restart}[sys.argv[1]](gateway)
    finally:
        if gateway:
            gateway.close()
        redis.stop()
        if not os.environ.get("KEEP"):
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
