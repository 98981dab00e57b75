"""The promise, as the receivers see it: once a change is confirmed, nothing arrives against it but what its answer listed.
HEED_PROMISE_SECONDS=60 (`make promise SECONDS=60`) is the long form."""
import collections
import os
import time

import pytest

import harness
from race import (LINK, AllAtOnce, AtTheCommandLine, Customer, Moving, OfAll, OneClick, OnThePage, Receivers, Stream, breaches, facts,
                  percentile)

SECONDS = float(os.environ.get("HEED_PROMISE_SECONDS", "6"))
CUSTOMERS = [Customer] * 14 + [OfAll] * 5 + [AllAtOnce] * 5 + [Moving] * 6 + [AtTheCommandLine] * 2 + [OnThePage] * 4 + [OneClick] * 4


@pytest.fixture
def receivers():
    servers = Receivers()
    yield servers
    servers.close()


@pytest.fixture
def gateway(folder, redis, receivers):
    channels = {"email": harness.email_channel(receivers, relay=receivers.smtp, sessions=4), "sms": harness.twilio_channel(receivers),
                "webhook": harness.webhook_channel()}
    gateway = harness.Gateway(folder / "g", redis, channels, config=harness.http_doors())
    gateway.receivers = receivers
    yield gateway
    gateway.close()


def bring_links(gateway, receivers, customers):
    """To those who unsubscribe: a mail whose headers have it."""
    for customer in customers:
        gateway.xadd({"id": customer.name + LINK, "customer": customer.name, "product": "card-alerts",
                      "content": {"subject": customer.name + LINK, "text": "to stop it"}})
    links = receivers.links(len(customers))
    for customer in customers:
        customer.url = links[customer.name + LINK]


def test_forty_customers_change_their_minds_under_full_load(gateway, receivers, request):
    request.node.heed_gateways = [gateway]
    gateway.start()
    end = time.monotonic() + SECONDS
    customers = [kind(gateway, f"c{number}", end) for number, kind in enumerate(CUSTOMERS)]
    gateway.put(*[facts(receivers, customer, number) for number, customer in enumerate(customers)])
    bring_links(gateway, receivers, [customer for customer in customers if isinstance(customer, OneClick)])
    stream = Stream(gateway, [customer.name for customer in customers], ["card-alerts", "card-alerts/fraud"])
    try:
        end = time.monotonic() + SECONDS
        for customer in customers:
            customer.end = end
            customer.start()
        for customer in customers:
            customer.join(SECONDS + 60)
            assert not customer.is_alive() and customer.error is None, customer.error
        sent = stream.stop()
    finally:
        stream.close()
    gateway.stop(60)
    arrived = collections.defaultdict(list)
    all_arrived = receivers.stop()
    for arrival in all_arrived:
        arrived[arrival[3].split(".")[0]].append(arrival)
    found = [breach for customer in customers for breach in breaches(customer, arrived[customer.name])]
    times = [answered - asked for customer in customers for asked, answered, _, listed in customer.changes
             if listed is not None and not isinstance(customer, AtTheCommandLine)]
    listed = sum(change[3] if isinstance(change[3], int) else len(change[3] or ()) for customer in customers for change in customer.changes)
    print(f"\n{len(all_arrived)} of {sent} messages arrived in {SECONDS:.0f} s ({len(all_arrived) / SECONDS:.0f}/s) while {len(customers)} "
          f"customers changed {len(times)} times; {listed} listed as on their way, {sum(c.refused for c in customers)} refused (503); "
          f"answered in p50 {percentile(times, .5):.1f} ms, p99 {percentile(times, .99):.1f} ms, at most {percentile(times, 1):.1f} ms")
    assert not found, f"{len(found)} arrived against a confirmed choice, such as {found[:3]}"
    assert len(times) > len(customers) and len(all_arrived) > 20 * len(customers), "no race"
    assert all(len(customer.changes) > 1 for customer in customers)
    assert len({channel for _, channel, _, _ in all_arrived}) == 3
