"""What `make torture-cluster` says of a message: each way to end without having arrived, or with too many copies, is told apart."""
import pytest

from verdict import NEVER, Attempt, Message, Verdict

DELIVERED = Attempt("delivered", "chosen", False)
DOUBT = Attempt("in_doubt", "chosen", False)
AGAIN = Attempt("delivered", "doubt_resend", False)
LATE = Attempt("delivered", "chosen", True)
NOT_BEGUN = Attempt("called_back", "chosen", False)

ENDS = {    # what the store has, how often it arrived, what that is
    "it arrived": (Message("delivered", attempts=[DELIVERED]), 1, "arrived"),
    "put off first": (Message("delivered", attempts=[Attempt("retry", "chosen", False), DELIVERED]), 1, "arrived"),
    "stopped": (Message("suppressed", reasons=["stopped"]), 0, "suppressed"),
    "called back, then stopped": (Message("suppressed", reasons=["stopped"], attempts=[NOT_BEGUN]), 0, "suppressed"),
    "in doubt, then stopped": (Message("in_doubt", reasons=["stopped", "doubt_elsewhere"], attempts=[DOUBT]), 0, "left in doubt"),
    "in doubt, and had arrived": (Message("in_doubt", reasons=["stopped", "doubt_elsewhere"], attempts=[DOUBT]), 1, "arrived"),
    "in doubt, sent again": (Message("delivered", attempts=[DOUBT, AGAIN]), 1, "arrived"),
    "a second copy": (Message("delivered", attempts=[DOUBT, AGAIN]), 2, "arrived twice, in doubt"),
    "a second copy of a late one": (Message("delivered", attempts=[LATE, AGAIN]), 2, "arrived twice, in doubt"),
}
FAULTS = {
    "never admitted": (None, 0, "lost"),
    "said to be delivered": (Message("delivered", attempts=[DELIVERED]), 0, "lost"),
    "still waiting": (Message("queued", due=1), 0, "lost"),
    "still being sent": (Message("sending", attempts=[Attempt("sending", "chosen", False)]), 0, "lost"),
    "in doubt, and to be sent again": (Message("in_doubt", due=1, reasons=["in_doubt", "doubt_resend"], attempts=[DOUBT]), 0, "lost"),
    "in doubt, and forgotten": (Message("in_doubt", reasons=["in_doubt", "doubt_resend"], attempts=[DOUBT]), 0, "lost"),
    "in doubt without an attempt that is": (Message("in_doubt", reasons=["stopped"], attempts=[NOT_BEGUN]), 0, "lost"),
    "suppressed, and nobody had stopped it": (Message("suppressed", reasons=["address_stopped"]), 0, "lost"),
    "a doubt that was suppressed": (Message("suppressed", reasons=["stopped"], attempts=[DOUBT]), 0, "lost"),
    "failed": (Message("failed", reasons=["no_channel_left"]), 0, "lost"),
    "a second copy without a doubt": (Message("delivered", attempts=[DELIVERED, DELIVERED]), 2, "twice"),
    "a copy without an attempt": (Message("delivered", attempts=[DOUBT, AGAIN]), 3, "unrecorded"),
    "called back, and arrived": (Message("suppressed", reasons=["stopped"], attempts=[NOT_BEGUN]), 1, "unrecorded"),
    "arrived, and to be sent again": (Message("in_doubt", due=1, attempts=[DOUBT]), 1, "unrecorded"),
    "arrived, and not in the store": (None, 1, "unrecorded"),
}


def judged(message, copies, lost_by_redis=False):
    return Verdict({"m-1"}, {"m-1": copies} if copies else {}, {"m-1": message} if message else {}, lambda name: lost_by_redis)


@pytest.mark.parametrize("end", ENDS)
def test_what_is_accounted_for_is_no_fault(end):
    message, copies, kind = ENDS[end]
    verdict = judged(message, copies)
    assert verdict.accounted == {kind: ["m-1"]} and not verdict.faults


@pytest.mark.parametrize("end", FAULTS)
def test_what_is_not_is_a_fault_and_named_with_its_state_and_attempts(end):
    message, copies, kind = FAULTS[end]
    verdict = judged(message, copies)
    assert verdict.faults == {kind: ["m-1"]} and not verdict.accounted
    told = next(line for line in verdict.tell() if f"FAULT, {kind}: m-1, arrived {copies} times" in line)
    assert (message.state if message else "not in the store") in told


def test_what_a_failover_of_redis_took_along_is_counted_apart():
    assert judged(None, 0, lost_by_redis=True).accounted == {"lost by Redis": ["m-1"]}
    assert judged(Message("queued", due=1), 0, lost_by_redis=True).faults == {"lost": ["m-1"]}


def test_what_nobody_put_in_is_a_fault():
    verdict = Verdict({}, {}, {"m-2": Message("suppressed", due=NEVER, reasons=["stopped"])}, lambda name: False)
    assert verdict.faults == {"never put in": ["m-2"]}
