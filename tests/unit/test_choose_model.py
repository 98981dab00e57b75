"""10,000 random customers, choices, addresses and messages, decided by choose() and by a model of the contract's rules
("The customer's choice") that was written from the contract alone. HEED_SEED and HEED_CASES choose others."""
import collections
import json
import os
import pathlib
import random
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / os.environ.get("O", "build") / "tests/unit/test_choose_random"
SEED = int(os.environ.get("HEED_SEED", "1042"))
CASES = int(os.environ.get("HEED_CASES", "10000"))
CHANNELS = ["email", "sms", "webhook", "voice", "fax"]


# --- the model ---

def model(case):
    """What must come out: kind, channel, address, whose list it was, and each rule that spoke, with its channel."""
    product = case["product"]
    made_for = [("own", case["own"]), ("parent", case["parent"]), ("*", case["star"])]
    speaking = [(whose, p["channels"]) for whose, p in made_for if p is not None and p["channels"] is not None]
    whose, wanted = speaking[0] if speaking else ("default", product["default"])
    said = []

    def end(kind, *reasons, channel=None, address=None):
        if kind != "send" and case["doubt"]:
            kind, reasons = "stay_in_doubt", (*reasons, ("doubt_elsewhere", case["doubt"]))
        return {"kind": kind, "channel": channel, "address": address, "source": whose,
                "reasons": [list(r) for r in [*said, *reasons]]}

    # Marketing goes only to who asked for it, for this product or the one it is a part of.
    if case["purpose"] == "marketing":
        if whose not in ("own", "parent"):
            return end("suppress", ("no_opt_in", None))
        if not wanted:
            return end("suppress", ("stopped", None))
    # A legal notice can be moved, not stopped.
    if whose != "default" and not wanted and not product["may_stop"]:
        whose, wanted = "default", product["default"]
        said.append(("may_not_stop", None))
    if not wanted:
        return end("suppress", ({"*": "stopped_star", "default": "stopped_default"}.get(whose, "stopped"), None))

    def obstacles(channel):
        """Why the channel can't be used: nothing if it can."""
        if channel not in product["channels"]:
            return ["not_offered"]
        if channel not in case["configured"]:
            return ["not_configured"]
        if channel in case["rejected"].split(","):
            return ["channel_rejected"]
        if channel not in case["texts"]:
            return ["no_template"]
        states = {a["state"] for a in case["addresses"] if a["channel"] == channel}
        if "ok" in states:
            return []
        return ["address_" + s for s in ("dead", "stopped") if s in states] or ["no_address"]

    def first_address(channel):
        return next(a["value"] for a in case["addresses"] if a["channel"] == channel and a["state"] == "ok")

    # What may have arrived is sent again there or nowhere.
    if case["doubt"]:
        if case["doubt"] not in wanted:
            return end("fail")
        why = obstacles(case["doubt"])
        if why:
            return end("fail", *((w, case["doubt"]) for w in why))
        return end("send", ("doubt_resend", case["doubt"]), channel=case["doubt"], address=first_address(case["doubt"]))

    passed = {}
    for channel in wanted:
        passed[channel] = obstacles(channel)
        if not passed[channel]:
            code = {"own": "chosen", "parent": "chosen_parent", "*": "chosen_star", "default": "chosen_default"}[whose]
            return end("send", (code, channel), channel=channel, address=first_address(channel))
        said.extend((why, channel) for why in passed[channel])
    offered = {c: why for c, why in passed.items() if why != ["not_offered"]}
    if not offered:
        return end("fail", ("none_offered", None))
    # Only the owners' STOP stands in the way: they said no, nothing failed. The last word is theirs.
    if all(why == ["address_stopped"] for why in offered.values()):
        last = ("address_stopped", list(offered)[-1])
        return end("suppress", *([] if said[-1] == last else [last]))
    return end("fail", ("no_channel_left", None))


# --- the cases ---

def some(rng, of, at_least=0):
    return rng.sample(of, rng.randint(at_least, len(of)))


def random_case(rng):
    offered = some(rng, CHANNELS, 1)
    is_part = rng.random() < 0.5
    product_purpose = rng.choice(["service"] * 5 + ["marketing"] * 2 + ["critical"])

    def preference(likely):
        if rng.random() > likely:
            return None
        kind = rng.random()
        return {"channels": None if kind < 0.15 else [] if kind < 0.35 else
                some(rng, offered if kind < 0.8 else CHANNELS, 1)}

    addresses = []
    gloomy = rng.random() < 0.4  # customers of whom little is left to be reached by
    for channel in CHANNELS:
        for i in range(rng.choice([0, 1, 1, 1, 2, 3])):
            state = rng.choice(["stopped"] * 8 + ["dead", "ok"] if gloomy else ["ok", "ok", "ok", "dead", "stopped"])
            addresses.append({"channel": channel, "value": f"{channel}-{i}", "state": state})
    rng.shuffle(addresses)
    rejected = some(rng, CHANNELS) if rng.random() < 0.25 else []
    return {
        "product": {"name": "cards/fraud" if is_part else "cards", "part": is_part, "channels": offered,
                    "default": some(rng, offered), "may_stop": rng.random() < 0.75, "purpose": product_purpose},
        "purpose": "marketing" if product_purpose == "marketing" or rng.random() < 0.1 else product_purpose,
        "own": preference(0.5), "parent": preference(0.5) if is_part else None, "star": preference(0.4),
        "addresses": addresses,
        "configured": CHANNELS if rng.random() < 0.7 else some(rng, CHANNELS),
        "texts": CHANNELS if rng.random() < 0.6 else some(rng, CHANNELS),
        "rejected": ",".join(rejected),
        "doubt": rng.choice(CHANNELS) if rng.random() < 0.15 else "",
    }


def test_choose_decides_as_the_model_of_the_contract_does():
    print(f"seed {SEED}, {CASES} cases")
    rng = random.Random(SEED)
    cases = [random_case(rng) for _ in range(CASES)]
    ran = subprocess.run([TOOL, "cases"], input="".join(json.dumps(c) + "\n" for c in cases), text=True,
                         stdout=subprocess.PIPE, timeout=60, check=True)
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(answers) == len(cases)
    seen = collections.Counter()
    for i, (case, answer) in enumerate(zip(cases, answers)):
        assert answer == model(case), f"seed {SEED}, case {i}: {json.dumps(case)}"
        seen.update([answer["kind"]] + [code for code, _ in answer["reasons"]])
    # The cases reach every rule, or they prove little.
    rules = """send suppress fail stay_in_doubt chosen chosen_parent chosen_star chosen_default may_not_stop stopped stopped_star
        stopped_default no_opt_in not_offered not_configured no_address address_dead address_stopped no_template
        channel_rejected no_channel_left none_offered doubt_resend doubt_elsewhere""".split()
    if CASES >= 10000:
        assert {rule: seen[rule] for rule in rules if seen[rule] < 20} == {}
