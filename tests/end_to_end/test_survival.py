"""What survives: a gateway that is told to end, one that is killed, a Redis that is killed or comes back without its group.
Nothing is lost, the sum holds, and a second copy is there only where a contact says that it may be."""
import pytest

import harness
from harness import STORE, wait_for
from http_receiver import Answer
from load import Load, arrived, contacts_by_message, put_customers

KILLS = 20


def more(load, count=60):
    """Until so many more messages were put in the queue."""
    wait_for(lambda seen=len(load.ids): len(load.ids) >= seen + count, what="the load")


def sizes(receiver, sms, mail):
    return len(receiver.requests) + len(sms.requests) + len(mail.mails)


def more_arrive(receiver, sms, mail, count=60):
    wait_for(lambda seen=sizes(receiver, sms, mail): sizes(receiver, sms, mail) >= seen + count, what="messages to arrive")


def last_contacts(heed):
    return [contacts[-1] for contacts in contacts_by_message(heed).values()]


def all_arrived_once(heed, load, receiver, sms, mail):
    numbers = heed.wait_settled(60)
    assert numbers["admitted"] == len(load.ids) == numbers["sent"] + numbers["delivered"], numbers
    copies = arrived(receiver, sms, mail)
    assert copies.keys() == set(load.ids) and set(copies.values()) == {1}


# --- the gateway ---

def test_sigterm_under_load_loses_nothing_and_repeats_nothing(heed, receiver, sms, mail):
    put_customers(heed, receiver)
    with Load(heed, each=4, pause=0.01) as load:
        for _ in range(5):
            more_arrive(receiver, sms, mail)
            assert heed.stop() == 0
            more(load)
            heed.start()
            heed.sum_holds()
    all_arrived_once(heed, load, receiver, sms, mail)
    assert heed.dead() == []


def test_sigterm_waits_for_what_is_under_way_and_puts_back_the_rest(heed, receiver):
    put_customers(heed, receiver)
    receiver.default = Answer(delay=0.5)
    ids = [heed.xadd({"id": f"m-{i}", "customer": "webhook-1", "product": "card-alerts", "content": {"text": "x"}}) for i in range(30)]
    wait_for(lambda: heed.queue()["sending"])
    assert heed.stop() == 0
    numbers = heed.start().sum_holds()
    assert numbers["in_doubt"] == 0
    heed.wait_settled()
    assert sorted(r.json["id"] for r in receiver.requests) == sorted(ids)


def test_twenty_kills_under_load_lose_nothing_and_repeat_only_what_is_in_doubt(heed, receiver, sms, mail):
    put_customers(heed, receiver)
    with Load(heed, each=4, pause=0.02) as load:
        for number in range(KILLS):
            more_arrive(receiver, sms, mail, 20 + 7 * (number % 5))     # not always at the same place
            heed.kill()
            heed.start()
            heed.sum_holds()
    heed.wait_settled(60)
    wait_for(lambda: all(c["channel"] == "sms" for c in last_contacts(heed) if c["state"] == "in_doubt"), what="all that may to be sent again",
             pause=0.5)
    numbers = heed.wait_settled()
    assert numbers["admitted"] == len(load.ids) and numbers["dead"] == 0
    assert numbers["sent"] + numbers["delivered"] + numbers["in_doubt"] == len(load.ids), numbers
    copies, contacts = arrived(receiver, sms, mail), contacts_by_message(heed)
    doubts = {name: [c for c in contacts[name] if c["state"] == "in_doubt"] for name in load.ids}
    held = {name for name in load.ids if contacts[name][-1]["state"] == "in_doubt"}
    assert len(held) == numbers["in_doubt"]
    for name in load.ids:
        assert copies[name] >= 1 or name in held, name                        # lost
        assert copies[name] <= 1 + len(doubts[name]), (name, copies[name])    # repeated, and nothing says so
    assert any(doubts.values()), "no kill hit anything: the test tests nothing"
    # what the counters say, the contacts say too
    ended = [contacts[name][-1]["state"] for name in load.ids]
    for state in ("sent", "delivered", "in_doubt"):
        assert numbers[state] == ended.count(state)


@pytest.mark.skipif(STORE != "sqlite", reason="several may write to PostgreSQL")
def test_another_process_cannot_open_the_store(heed):
    for command in ("gateway", "migrate"):
        second = heed.cli(command)
        assert second.returncode == 1 and f"heed.db: held by process {heed.process.pid} " in second.stderr, second.stderr
    assert heed.queue()["admitted"] == 0


def test_what_the_command_line_says_while_no_gateway_runs_is_not_lost(heed, receiver):
    put_customers(heed, receiver)
    heed.stop()
    heed.prefer("email-1", "card-alerts")
    heed.start()
    heed.wait_state(heed.send("email-1"), "suppressed")


# --- Redis ---

def test_redis_killed_under_load_loses_nothing(heed, receiver, sms, mail):
    put_customers(heed, receiver)
    with Load(heed, each=4, pause=0.01) as load:
        for _ in range(4):
            more_arrive(receiver, sms, mail)
            heed.redis.restart()
            more(load)
    all_arrived_once(heed, load, receiver, sms, mail)
    wait_for(lambda: heed.redis.client.xlen("heed:outbound") == 0, what="the stream to be empty")


def test_redis_that_lost_its_group_under_load_is_mended(heed, receiver, sms, mail):
    put_customers(heed, receiver)
    with Load(heed, each=4, pause=0.01) as load:
        for _ in range(4):
            more_arrive(receiver, sms, mail)
            heed.redis.client.xgroup_destroy("heed:outbound", "heed")
            more(load)
        heed.redis.stop()
        heed.redis.start()
        heed.redis.client.xgroup_destroy("heed:outbound", "heed")
        more_arrive(receiver, sms, mail)
    all_arrived_once(heed, load, receiver, sms, mail)


def test_webhooks_and_the_command_line_go_on_while_redis_is_gone(heed, receiver, mail):
    put_customers(heed, receiver)
    mail.down()
    message = heed.send("email-1")
    heed.wait_state(message, "deferred")
    heed.redis.kill()
    wait_for(lambda: heed.log_lines("waiting for it"), what="the log to say that Redis is gone")
    assert heed.queue()["waiting"] is None
    mail.up()
    heed.wait_state(message, "sent")
    heed.redis.start()
    wait_for(lambda: "heed.message.sent" in heed.event_types(message), what="its events, once Redis is back")


def test_a_start_takes_up_what_it_had_read_and_not_finished(heed, receiver):
    put_customers(heed, receiver)
    heed.stop()
    ids = [heed.send("webhook-1") for _ in range(5)]
    client = heed.redis.client
    assert len(client.xreadgroup("heed", "g1", {"heed:outbound": ">"})[0][1]) == 5
    heed.start()
    for message in ids:
        heed.wait_state(message, "delivered")
    wait_for(lambda: client.xlen("heed:outbound") == 0, what="the entries to be deleted")


def test_what_a_reader_that_is_gone_had_read_is_taken_over(make_gateway, receiver, sms, mail):
    heed = make_gateway({"webhook": harness.webhook_channel()}, config={"gateway": {"lease": "1s"}}, products={
        "card-alerts": {"title": {"en": "Card"}, "purpose": "service", "channels": ["webhook"], "default": ["webhook"]}}).start()
    heed.put({"id": "c-1", "addresses": {"webhook": receiver.url + "/hook"}})
    heed.stop()
    ids = [heed.send("c-1") for _ in range(5)]
    heed.redis.client.xreadgroup("heed", "who-is-gone", {"heed:outbound": ">"})
    heed.start()
    for message in ids:
        heed.wait_state(message, "delivered")
    assert len(receiver.requests) == 5
