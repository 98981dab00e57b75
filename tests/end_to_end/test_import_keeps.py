"""An import never loosens a choice that the customer made; what it may do beside, it does."""
import http.server
import json
import socketserver
import threading

import pytest

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


class Busy(http.server.BaseHTTPRequestHandler):
    """A gateway that can make no more than `most` customers binding in time, until `busy` calls were made."""
    lists, most, busy = [], 3, 1000
    address_string = staticmethod(str)

    def do_PATCH(self):
        customers = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.lists.append([customer["id"] for customer in customers])
        few = len(customers) <= self.most or len(self.lists) > self.busy
        body = json.dumps([{"status": 200}] * len(customers) if few else {"status": 503, "detail": "busy; nothing was changed"}).encode()
        self.send_response(200 if few else 503)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json" if few else "application/problem+json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def import_at(gateway, busy, count):
    """What was asked, call by call."""
    (gateway.folder / "import.jsonl").write_text("".join(json.dumps({"id": f"c-{i}"}) + "\n" for i in range(count)))
    with socketserver.ThreadingUnixStreamServer(gateway.socket, busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        printed = gateway.cli_object("customer", "import", gateway.folder / "import.jsonl")
        server.shutdown()
    assert printed == {"imported": count, "failed": 0, "kept": 0}
    return busy.lists


def test_an_import_that_is_refused_by_a_busy_gateway_goes_on_in_smaller_parts(make_gateway):
    lists = import_at(make_gateway({"email": {"adapter": "capture"}}), type("Few", (Busy,), {"lists": []}), 10)
    assert [len(part) for part in lists] == [10, 5, 2, 2, 2, 2, 2]
    assert sum(lists[2:], []) == [f"c-{i}" for i in range(10)]


def test_and_in_larger_ones_again_once_it_has_time(make_gateway):
    lists = import_at(make_gateway({"email": {"adapter": "capture"}}), type("Once", (Busy,), {"lists": [], "busy": 2}), 80)
    assert [len(part) for part in lists] == [80, 40] + 4 * [20]
    lists = import_at(make_gateway({"email": {"adapter": "capture"}}),
                      type("Long", (Busy,), {"lists": [], "most": 1, "busy": 10}), 80)
    assert [len(part) for part in lists] == [80, 40, 20, 10, 5, 2] + 16 * [1] + 16 * [2] + 8 * [4]
    assert sum(lists[6:], []) == [f"c-{i}" for i in range(80)]
