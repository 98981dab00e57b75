"""The audit from outside: status 0 and a line of numbers where all is well, beside a gateway that runs; 1 and what is wrong."""
import json
import sqlite3

import pytest

from harness import STORE
from load import Load, put_customers


def test_the_audit_is_silent_beside_a_gateway_under_load(heed, receiver):
    put_customers(heed, receiver)
    with Load(heed, each=4, pause=0.02):
        for _ in range(5):
            assert heed.cli_json("audit") == []
    heed.wait_settled()
    words = heed.cli_ok("audit")
    assert "each contact was allowed" in words and " 0 contacts" not in words, words


@pytest.mark.skipif(STORE != "sqlite", reason="changes the file")
def test_what_is_wrong_is_listed_and_the_status_says_so(heed, receiver):
    put_customers(heed, receiver)
    message = heed.send("webhook-1")
    heed.wait_state(message, "delivered")
    heed.stop()
    heed.audited = False
    with sqlite3.connect(heed.folder / "heed.db") as db:
        db.execute("UPDATE change_log SET new_value = '{\"channels\":[]}' WHERE kind = 0")
        db.execute("UPDATE number SET value = value + 1 WHERE name = 'admitted'")
    audit = heed.cli("audit", "--json")
    assert audit.returncode == 1 and audit.stderr == ""
    findings = {finding["code"]: finding for finding in map(json.loads, audit.stdout.splitlines())}
    assert findings.keys() == {"not_allowed", "sum"}
    assert findings["not_allowed"]["message"] == message and "the customer stopped card-alerts" in findings["not_allowed"]["says"]
    audit = heed.cli("audit")
    assert audit.returncode == 1 and "2 findings" in audit.stdout


def test_without_a_store_it_says_so(make_gateway):
    audit = make_gateway({"webhook": {"adapter": "webhook"}}).cli("audit")
    assert audit.returncode == 1 and "heed migrate" in audit.stderr
