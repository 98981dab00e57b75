"""An import never loosens a choice that the customer made; what it may do beside, it does."""
import json
import subprocess

import pytest

import harness
from harness import stays

ADDRESSES = {"email": "a@example.com", "sms": "+15005550001"}


@pytest.fixture
def ana(heed):
    heed.put({"id": "c-1", "addresses": ADDRESSES})
    return heed


def imported(heed, product, channels):
    """The products whose choice was kept."""
    file = heed.folder / "import.jsonl"
    file.write_text(json.dumps({"id": "c-1", "preferences": [{"product": product, "channels": channels}]}) + "\n")
    heed.cli_ok("customer", "import", file)
    return heed.cli_object("prefer", "c-1", product)["channels"]


def test_a_stop_of_everything_stands_against_an_import_for_one_product(ana):
    ana.prefer("c-1", "*")
    assert imported(ana, "card-alerts", ["sms"]) in ([], None)
    assert imported(ana, "offers", ["sms"]) in ([], None)
    assert ana.cli_object("explain", "--customer", "c-1", "--product", "offers")["state"] == "suppressed"


def test_a_stop_of_a_product_stands_against_an_import_for_its_part(ana):
    ana.prefer("c-1", "card-alerts")
    imported(ana, "card-alerts/fraud", ["sms"])
    assert ana.cli_object("explain", "--customer", "c-1", "--product", "card-alerts/fraud")["state"] == "suppressed"


def test_what_one_import_tightened_the_next_may_not_loosen_beyond_the_customers_choice(ana):
    ana.prefer("c-1", "card-alerts", "email")
    assert imported(ana, "card-alerts", []) == []
    assert imported(ana, "card-alerts", ["sms"]) == []
    assert imported(ana, "card-alerts", ["email"]) == ["email"]


def test_an_import_may_change_what_an_import_said(ana):
    assert imported(ana, "card-alerts", ["sms"]) == ["sms"]
    assert imported(ana, "card-alerts", ["email", "sms"]) == ["email", "sms"]


def test_an_import_that_is_refused_by_a_busy_store_goes_on_in_smaller_parts(heed):
    file = heed.folder / "import.jsonl"
    file.write_text("".join(json.dumps({"id": f"c-{i}", "addresses": {"email": f"{i}@example.com"}}) + "\n" for i in range(20)))
    with harness.store_held(heed.store):
        process = subprocess.Popen([harness.HEED, "--config", heed.config_file, "customer", "import", file, "--json"], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        stays(lambda: process.poll() is None, 3)    # longer than a change may take
    said, complaints = process.communicate(timeout=60)
    assert process.returncode == 0 and json.loads(said) == {"imported": 20, "failed": 0, "kept": 0}, complaints
