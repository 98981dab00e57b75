"""What became of each message of a torture: a judgment of what was put in, what arrived, and what the store says. Every message is
either accounted for, or at fault; what did not arrive is told apart by the state that it ended in, and why."""
import collections
import dataclasses

NEVER = 2**63 - 1       # a due time: nothing is tried any more
ENDED_BY_CHOICE = {"stopped", "stopped_star"}
NAMED = 10              # of each kind


@dataclasses.dataclass
class Attempt:
    """A contact with an attempt."""
    state: str
    reason: str         # the code that it was claimed for: doubt_resend says that a second copy may come of it
    late: bool          # its gateway reported when others had taken it over

    def marked(self):
        return self.state == "in_doubt" or self.late or self.reason.startswith("doubt")

    def may_have_arrived(self):
        return self.state in ("sending", "sent", "delivered", "in_doubt")

    def __str__(self):
        return f"{self.state}{' (late)' if self.late else ''} for {self.reason}"


@dataclasses.dataclass
class Message:
    """As the store has it. `reasons`: the codes; only where it did not end as delivered."""
    state: str
    due: int = NEVER
    reasons: list = dataclasses.field(default_factory=list)
    attempts: list = dataclasses.field(default_factory=list)

    def __str__(self):
        why = f"; reasons: {', '.join(self.reasons)}" if self.reasons else ""
        return f"{self.state}{'' if self.due == NEVER else ', waiting'}{why}; attempts: {', '.join(map(str, self.attempts)) or 'none'}"


def without_arrival(message):
    """Why it may be that it did not arrive; "" where it may not be."""
    if message is None or message.due != NEVER:
        return ""
    stopped = ENDED_BY_CHOICE & set(message.reasons)
    doubts = any(attempt.state == "in_doubt" for attempt in message.attempts)
    if message.state == "suppressed" and stopped and not doubts:
        return "suppressed"
    if message.state == "in_doubt" and stopped and doubts:
        return "left in doubt"
    return ""


def with_arrival(message, copies):
    """What is wrong with a message that arrived so often; "" if nothing is."""
    if message is None:
        return "unrecorded"
    if copies - 1 > sum(attempt.marked() for attempt in message.attempts):
        return "twice"
    if copies > sum(attempt.may_have_arrived() for attempt in message.attempts):
        return "unrecorded"
    return "" if message.state in ("delivered", "in_doubt") and message.due == NEVER else "unrecorded"


class Verdict:
    """`accounted` and `faults`: {kind: [message, …]}. sent: ids; arrived: {id: copies}; messages: {id: Message};
    lost_by_redis(id): whether a failover may have taken it along."""

    def __init__(self, sent, arrived, messages, lost_by_redis):
        self.messages, self.arrived = messages, arrived
        self.accounted, self.faults = collections.defaultdict(list), collections.defaultdict(list)
        for name in sent:
            self.weigh(name, arrived.get(name, 0), messages.get(name), lost_by_redis)
        for name in messages.keys() | arrived.keys():
            if name not in sent:
                self.faults["never put in"].append(name)

    def weigh(self, name, copies, message, lost_by_redis):
        if message is None and not copies and lost_by_redis(name):
            self.accounted["lost by Redis"].append(name)
        elif copies:
            fault = with_arrival(message, copies)
            (self.faults[fault] if fault else self.accounted["arrived" if copies == 1 else "arrived twice, in doubt"]).append(name)
        else:
            why = without_arrival(message)
            (self.accounted[why] if why else self.faults["lost"]).append(name)

    def tell(self):
        """Lines: how many of each kind; how and why those ended that did not arrive just once; each message at fault."""
        yield "accounted for: " + "; ".join(f"{kind}: {len(names)}" for kind, names in sorted(self.accounted.items()))
        yield "at fault: " + ("; ".join(f"{kind}: {len(names)}" for kind, names in sorted(self.faults.items())) or "0")
        for kind in ("suppressed", "left in doubt", "arrived twice, in doubt"):
            ends = collections.Counter(str(self.messages[name]) for name in self.accounted.get(kind, []))
            for end, count in ends.most_common(NAMED):
                yield f"  {kind}: {count} {end}"
        for kind in ("lost by Redis", "left in doubt"):
            if names := self.accounted.get(kind):
                yield f"  {kind}: {', '.join(names[:NAMED])}"
        for kind, names in self.faults.items():
            for name in names[:NAMED]:
                yield f"  FAULT, {kind}: {name}, arrived {self.arrived.get(name, 0)} times: {self.messages.get(name, 'not in the store')}"
