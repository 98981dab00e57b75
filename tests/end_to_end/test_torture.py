"""The short forms of `make torture` and `make torture-redis`: each labelled step once, and as often at a random moment."""
import os

import pytest

import torture
from harness import STORE


@pytest.mark.skipif(STORE != "sqlite", reason="the steps are the same")
def test_kills_at_every_step_and_at_random_moments_lose_nothing():
    kills = torture.torture_gateway(2 * len(torture.LABELS) + 2, seed=1)
    assert set(torture.LABELS) <= set(kills), set(torture.LABELS) - set(kills)


def test_a_redis_that_is_killed_loses_nothing_that_it_confirmed():
    torture.torture_redis(6, seed=1)


def test_a_transaction_that_a_kill_tore_costs_nothing_that_was_confirmed_since(redis):
    redis.client.xadd("before", {"n": "1"})
    with redis.client.pipeline(transaction=True) as several:
        for n in range(20):
            several.xadd("torn", {"n": str(n)})
        several.execute()
    redis.kill()
    file = next(redis.folder.glob("appendonlydir/*.incr.aof"))
    os.truncate(file, file.stat().st_size - 100)
    redis.start()
    redis.client.xadd("since", {"n": "2"})
    redis.restart()
    assert [redis.client.xlen(key) for key in ("before", "torn", "since")] == [1, 0, 1]
