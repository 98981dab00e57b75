"""A Redis that is full refuses whatever needs memory. Reading and acknowledging need none: so the gateway empties it all the same."""
import pytest

from harness import stays, wait_for

MESSAGE = {"product": "card-alerts", "content": {"subject": "s", "text": "t"}}


@pytest.fixture
def full(heed, redis):
    """A gateway that ran, so that there are groups; one customer. Calling it leaves Redis no memory."""
    heed.put({"id": "c-1", "addresses": {"email": "c-1@example.com"}})
    heed.prefer("c-1", "card-alerts", "email")
    redis.client.config_set("maxmemory-policy", "noeviction")
    yield lambda: redis.client.config_set("maxmemory", 1)
    redis.client.config_set("maxmemory", 0)


def room(redis):
    redis.client.config_set("maxmemory", 0)


def waiting(redis):
    return redis.client.xlen("heed:outbound")


def test_a_full_redis_is_emptied_and_the_events_follow_once_there_is_room(heed, redis, mail, full):
    heed.stop()
    ids = [heed.xadd({**MESSAGE, "id": f"m-{i}", "customer": "c-1"}) for i in range(1000)]
    events = redis.client.xlen("heed:events")
    full()
    heed.start(ready=False)
    wait_for(lambda: waiting(redis) == 0, what="the queue to be emptied")
    wait_for(lambda: len(mail.mails) == len(ids), what="the mails")
    assert redis.client.xpending("heed:outbound", "heed")["pending"] == 0
    assert redis.client.xlen("heed:events") == events
    stays(lambda: len(heed.log_lines("events wait to be published")) == 1)
    assert "OOM" in heed.log_lines("events wait to be published")[0]
    room(redis)
    wait_for(lambda: heed.log_lines("publishing goes on"), what="the log to say that events go out")
    wait_for(lambda: len({e["subject"] for e in heed.events() if e["type"] == "heed.message.sent"}) == len(ids), what="all events")


def test_dead_letters_that_find_no_room_hold_up_nobody_and_are_there_once(heed, redis, mail, full):
    heed.stop()
    for _ in range(300):
        heed.xadd({**MESSAGE, "customer": "nobody"})
        heed.xadd({**MESSAGE, "customer": "c-1"})
    full()
    heed.start(ready=False)
    wait_for(lambda: len(mail.mails) == 300 and waiting(redis) == 300, what="the good ones to be acknowledged")
    assert len(heed.log_lines("waits to be acknowledged")) == 1
    room(redis)
    wait_for(lambda: waiting(redis) == 0, what="the dead letters")
    wait_for(lambda: heed.log_lines("acknowledging goes on"), what="the log to say so")
    dead = heed.dead()
    assert len(dead) == len({(d["stream"], d["id"]) for d in dead}) == 300


def test_events_that_cannot_be_published_do_not_keep_entries_from_being_acknowledged(heed, redis, mail, full):
    redis.client.delete("heed:events")
    redis.client.set("heed:events", "in the way")
    for i in range(30):
        heed.xadd({**MESSAGE, "customer": "c-1"})
        if i % 10 == 0:
            wait_for(lambda: waiting(redis) == 0, what="the entries to be acknowledged")
    wait_for(lambda: waiting(redis) == 0 and len(mail.mails) == 30, what="all mails")
    assert "WRONGTYPE" in heed.log_lines("events wait to be published")[0]
    checked = heed.cli("check")
    assert checked.returncode != 0 and "heed:events is a string" in checked.stdout + checked.stderr
    redis.client.delete("heed:events")
    wait_for(lambda: redis.client.exists("heed:events") and heed.log_lines("publishing goes on"), what="publishing to go on")


def test_a_gateway_that_cannot_publish_ends_in_time_and_the_next_one_publishes(heed, redis, mail, full):
    def changes():
        return {e["id"] for e in heed.events() if e["type"] == "heed.preference.changed"}

    wait_for(lambda: len(changes()) == 1, what="the first choice's event")
    full()
    heed.prefer("c-1", "card-alerts", "webhook", "email")
    wait_for(lambda: heed.log_lines("events wait to be published"), what="events to be refused")
    assert heed.stop() == 0
    assert len(changes()) == 1
    room(redis)
    heed.start()
    wait_for(lambda: len(changes()) == 2, what="the event that the store kept")
