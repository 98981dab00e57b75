"""Many peers that misbehave, tried at once: one gateway, and for each case a customer and a message of its own. The tests
then look at one case each, so that they cost one gateway's start and the longest case's time, all together."""
import contextlib
import dataclasses
import json
import re
import shutil

import harness
from harness import wait_for

PRODUCT = "card-alerts"
PATIENCE = 60    # seconds, on a machine that does other things


@dataclasses.dataclass
class Case:
    """What a peer does (`peer`: the module's own), and what becomes of the message: its state, and each of its contacts as
    (state, code as a regular expression, attempt). `dead`: the address is from then on."""
    peer: object
    state: str
    contacts: list
    dead: bool = False
    seen: int | None = None        # messages that arrived whole at the peer; None: not looked at
    text: str = "Hello"


class Stand:
    """`channels`: all of the gateway's; `places`: {case: (channel, address)}."""

    def __init__(self, cases):
        self.cases = cases
        self.folder = harness.short_folder()
        self.redis = harness.Redis(self.folder / "r").start()
        self.gateway = None
        self.messages = {}
        self.checked = {}

    def start(self, channels, places):
        products = {PRODUCT: {"title": {"en": "Card alerts"}, "purpose": "service", "channels": list(channels), "default": []}}
        self.gateway = harness.Gateway(self.folder / "g", self.redis, channels, products=products).start()
        customers = [{"id": name, "addresses": {channel: address}, "preferences": [{"product": PRODUCT, "channels": [channel]}]}
                     for name, (channel, address) in places.items()]
        file = self.folder / "customers.jsonl"
        file.write_text("".join(json.dumps(customer) + "\n" for customer in customers))
        self.gateway.cli_ok("customer", "import", file)
        for name, case in self.cases.items():
            self.messages[name] = self.gateway.xadd({"id": "m-" + name, "customer": name, "product": PRODUCT,
                                                     "content": {"subject": "Hi", "text": case.text}})
        return self

    def contacts(self, name):
        """Of a case's message, oldest first."""
        answer = self.gateway.api("GET", f"/v1/messages/m-{name}")
        return answer[1]["contacts"] if answer[0] == 200 else []

    def check(self, name):
        """Its message ended as the case says; its contacts, oldest first."""
        if name in self.checked:
            return self.checked[name]
        case = self.cases[name]
        wait_for(lambda: len(self.contacts(name)) >= len(case.contacts) and self.gateway.state("m-" + name) == case.state,
                 PATIENCE, f"{name}: {case.state} after {len(case.contacts)} contacts", pause=0.1)
        contacts = self.contacts(name)
        assert [c["state"] for c in contacts] == [state for state, _, _ in case.contacts]
        assert all(attempt in (None, c["attempt"]) for c, (_, _, attempt) in zip(contacts, case.contacts)), contacts
        for contact, (_, code, _) in zip(contacts, case.contacts):
            assert re.fullmatch(code, contact["code"]), (code, contact["code"], contact["detail"])
            assert contact["detail"] or contact["state"] in ("called_back", "sending"), contact
        states = self.gateway.cli_object("customer", "show", name)["states"]
        assert [entry["state"] for entry in states] == (["dead"] if case.dead else [])
        self.checked[name] = contacts
        return contacts

    def close(self):
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            stack.callback(self.redis.kill)
            if self.gateway:
                stack.callback(self.gateway.close)
