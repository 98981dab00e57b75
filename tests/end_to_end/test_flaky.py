"""`adapter: flaky`: a bad day, for drills. Nothing is sent, everything ends, and nobody takes it for the real thing."""
import collections

from harness import FAST_RETRY

FAULTS = {"rejected": 10, "dead": 5, "retry": 15, "provider": 5, "in_doubt": 10, "slow": 10, "hang": 5, "delay": "50ms"}


def flaky(**more):
    return {"adapter": "flaky", "faults": FAULTS, "timeout": "200ms", "retry": FAST_RETRY, **more}


def test_everything_ends_on_a_bad_day_and_each_fault_is_seen(make_gateway):
    heed = make_gateway({"email": flaky(), "sms": flaky(in_doubt="hold"), "webhook": flaky()}).start()
    heed.put(*({"id": f"c-{i}", "addresses": {"email": f"c{i}@example.com", "sms": f"+5491155550{i:03}", "webhook": f"https://example.com/{i}"},
                "preferences": [{"product": "card-alerts", "channels": ["sms", "email", "webhook"]}]} for i in range(150)))
    for i in range(150):
        heed.send(f"c-{i}")
    numbers = heed.wait_settled(60)
    codes = collections.Counter(contact["code"] for contact in heed.cli_json("log", "--limit", "10000"))
    assert {"flaky accepted", "flaky rejected", "flaky dead", "flaky retry", "flaky provider", "flaky in doubt", "flaky slow",
            "flaky hang"} <= codes.keys(), codes
    assert numbers["sent"] + numbers["delivered"] + numbers["in_doubt"] + numbers["failed"] == 150
    assert heed.cli_json("captured") == []


def test_check_and_the_log_say_that_it_is_for_drills(make_gateway):
    heed = make_gateway({"sms": flaky()})
    assert "is for drills" in heed.cli("check").stderr + heed.cli("check").stdout
    heed.start()
    assert heed.log_lines("is for drills")


def test_more_than_all_is_an_error(make_gateway):
    heed = make_gateway({"sms": flaky(faults={"rejected": 60, "retry": 60})})
    assert "come to 120 percent" in heed.cli("gateway").stderr
