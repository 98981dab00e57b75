"""From SQLite to PostgreSQL: whole, checked, and nothing waits longer than it takes."""
import sqlite3

import pytest

import harness
from harness import webhook_channel
from http_receiver import Answer

pytestmark = pytest.mark.skipif(not harness.SERVER or harness.STORE != "sqlite", reason="moves from SQLite to the tests' PostgreSQL")


@pytest.fixture
def target(folder):
    url = harness.store_url(folder / "target", "postgresql")
    yield url
    harness.forget_store(url)


@pytest.fixture
def stopped(make_gateway, receiver):
    """A gateway that was at work for a while, and has ended: something of every kind is in its store."""
    heed = make_gateway({"webhook": webhook_channel(retry={"first": "1h", "factor": 2, "max": "1h", "give_up_after": "2h"})}).start()
    heed.put(*[{"id": f"c-{i}", "name": "Ana Díaz", "addresses": {"webhook": {"url": f"{receiver.url}/c-{i}"}},
                "preferences": [{"product": "card-alerts", "channels": ["webhook"]}]} for i in range(30)])
    receiver.script("/c-1", lambda request: Answer(503))
    receiver.script("/c-2", lambda request: Answer(410))
    for i in range(90):
        heed.send(f"c-{i % 30}", id=f"m-{i}", **({"campaign": "spring"} if i % 2 else {}))
    heed.prefer("c-3", "card-alerts")
    heed.cli_ok("hold", "--campaign", "autumn", "--why", "not yet")
    heed.send("c-4", id="held", campaign="autumn")
    harness.wait_for(lambda: heed.queue()["deferred"] == 4 and heed.queue()["queued"] == 0 and heed.queue()["sending"] == 0, what="the rest to end")
    heed.stop()
    return heed


def told(heed):
    return {"log": heed.cli_json("log", "--limit", "1000"), "queue": heed.queue(), "customer": heed.cli_json("customer", "show", "c-2"),
            "explained": heed.explain("m-1"), "held": heed.explain("held")}


def test_everything_is_there_and_goes_on(stopped, target, receiver):
    heed = stopped
    before = told(heed)
    heed.send("c-5", id="meanwhile")    # it waits in Redis
    tables = {line["table"]: line["rows"] for line in heed.cli_json("migrate", "--to", target)}
    assert tables["message"] == 91 and tables["customer"] == 30 and tables["hold"] == 1
    heed.config["store"]["url"] = target
    heed.write()
    after = told(heed)
    for numbers in (before["queue"], after["queue"]):
        del numbers["ages"], numbers["waiting"]
    assert after == before
    heed.start()
    assert heed.wait_state("meanwhile", "delivered")
    heed.cli_ok("release", "--campaign", "autumn")
    assert heed.wait_state("held", "delivered")
    heed.sum_holds()
    seqs = [c["seq"] for c in heed.cli_json("log", "--limit", "1000")]
    assert len(seqs) == len(set(seqs)) and seqs == sorted(seqs)


def test_into_a_store_that_is_not_empty_nothing_is_copied(stopped, target):
    heed = stopped
    heed.cli_ok("migrate", "--to", target)
    again = heed.cli("migrate", "--to", target)
    assert again.returncode == 1 and "is not empty" in again.stderr and "nothing was copied" in again.stderr


def test_while_a_gateway_runs_nothing_is_copied(stopped, target):
    heed = stopped.start()
    done = heed.cli("migrate", "--to", target)
    assert done.returncode == 1 and "held by process" in done.stderr
    assert heed.queue()["admitted"] == 91


def test_no_column_is_left_behind(stopped, target):
    """What SQLite keeps, PostgreSQL keeps: but for the waiting index, the lists of customers' contacts, the numbers and how far pruning came, which are made anew."""
    heed = stopped
    copied = {line["table"] for line in heed.cli_json("migrate", "--to", target)}
    store = sqlite3.connect(f"{heed.folder}/heed.db")
    tables = [name for (name,) in store.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    for table in set(tables) - {"meta", "number", "waiting", "pruned", "customer_contact"}:
        mine = {row[1] for row in store.execute(f"PRAGMA table_info({table})")}
        name = "contact" if table.startswith("contact_2") else table
        theirs = harness.ask_store(target, "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() AND "
                                           f"table_name = '{name}'").split("\n")
        assert name in copied and mine == set(theirs), f"{table}: {mine ^ set(theirs)}"
