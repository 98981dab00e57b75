"""A real Postfix takes the mail, cannot deliver it, and pipes the bounce back into heed."""
import os
import pwd
import shutil
import socket
import subprocess

import pytest
from harness import HEED, PATIENCE, email_channel, end_with_us, wait_for
from smtp_servers import MailServer

# With a lifetime of 0 what is put off is bounced at once. The mail server's pipe may not run as root, so the
# gateway does not either: both are nobody.
MAIN_CF = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}/log
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = relay.test
mydestination =
mynetworks = 127.0.0.0/8
message_size_limit = 20000
virtual_mailbox_domains = here.test
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{ {{full@here.test=full}} }}
virtual_mailbox_limit = 30000
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
smtpd_reject_unlisted_recipient = no
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_client_connection_count_limit = 0
smtp_host_lookup = native
maximal_queue_lifetime = {lifetime}
bounce_queue_lifetime = {lifetime}
maximal_backoff_time = 1s
minimal_backoff_time = 1s
queue_run_delay = 1s
transport_maps = inline:{{ {{away.test = smtp:[127.0.0.1]:{peer}}}, {{bank.test = heed:}} }}
heed_destination_recipient_limit = 1
"""

MASTER_CF = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
virtual unix - n n - - virtual
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
heed unix - n n - 4 pipe
  flags=DRhu user=nobody argv={heed} --config {config} inbound email --recipient ${{original_recipient}} --sysexits
"""


class BouncingPostfix:
    def __init__(self, folder, peer, config, lifetime):
        self.folder = folder
        owner = pwd.getpwnam("postfix")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        for name in ("etc", "queue", "data", "mail", "log"):
            (folder / name).mkdir(parents=True)
        for name in ("data", "mail"):
            os.chown(folder / name, owner.pw_uid, owner.pw_gid)
        full = folder / "mail/full"
        full.write_bytes(b"x" * 29_990 + b"\n")
        os.chown(full, owner.pw_uid, owner.pw_gid)
        (folder / "etc/main.cf").write_text(MAIN_CF.format(folder=folder, uid=owner.pw_uid, gid=owner.pw_gid, peer=peer,
                                                              lifetime=lifetime))
        binary = shutil.copy(HEED, folder / "heed")     # the tree may be in a home that only its owner may enter
        (folder / "etc/master.cf").write_text(MASTER_CF.format(port=self.port, heed=binary, config=config))
        with open(folder / "start.log", "wb") as log:
            self.process = subprocess.Popen(["postfix", "-c", str(folder / "etc"), "start-fg"], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, preexec_fn=end_with_us)
        wait_for(self._answers, what="Postfix to answer")

    @property
    def url(self):
        return f"smtp://127.0.0.1:{self.port}"

    def _answers(self):
        assert self.process.poll() is None, (self.folder / "start.log").read_text() + self.log()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def log(self):
        log = self.folder / "log/mail.log"
        return log.read_text() if log.exists() else ""

    def close(self):
        subprocess.run(["postfix", "-c", str(self.folder / "etc"), "stop"], capture_output=True, timeout=PATIENCE)
        self.process.wait(PATIENCE)


@pytest.fixture
def peer():
    server = MailServer()
    server.refuse = {"nobody@away.test": "550 5.1.1 no such user", "spam@away.test": "554 5.7.1 identified as spam",
                     "full@away.test": "452 4.2.2 mailbox full"}
    yield server
    server.close()


@pytest.fixture
def heed(request, folder, redis, make_gateway, peer):
    """Its parameter: how long Postfix keeps what it cannot deliver."""
    if os.geteuid() != 0 or not shutil.which("postfix"):
        pytest.skip("Postfix is started by root")
    nobody = pwd.getpwnam("nobody")
    folder.chmod(0o755)
    heed = make_gateway({"email": {"adapter": "smtp", "relay": "smtp://127.0.0.1:9", "from": "x@bank.test"}},
                        products={"card-alerts": {"title": {"en": "Card alerts"}, "channels": ["email"], "default": ["email"]}})
    postfix = BouncingPostfix(folder / "p", peer.port, heed.config_file, getattr(request, "param", "0"))
    heed.config["channels"]["email"] = email_channel(postfix, envelope_from="bounces+{token}@bank.test", timeout="10s")
    heed.write()
    heed.postfix = postfix
    for path in (heed.folder, *heed.folder.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    os.chmod(redis.url.removeprefix("unix:"), 0o777)
    os.chmod(os.path.dirname(redis.url.removeprefix("unix:")), 0o755)
    heed.start(under=("setpriv", "--reuid=nobody", f"--regid={nobody.pw_gid}", "--clear-groups"))
    yield heed
    postfix.close()


CASES = {    # address: what becomes of the attempt, of the message, and of the address
    "unknown@here.test": ("rejected", "failed", ["dead"]),
    "nobody@away.test": ("rejected", "failed", ["dead"]),
    "full@here.test": ("rejected", "failed", []),
    "spam@away.test": ("rejected", "failed", []),
    "full@away.test": ("retry", "sent", []),
}


def test_what_postfix_could_not_deliver_comes_back_and_counts(heed, peer):
    for number, address in enumerate(CASES):
        heed.put({"id": f"c-{number}", "name": "Ana", "addresses": {"email": address}})
    messages = [heed.send(f"c-{number}") for number in range(len(CASES))]
    for number, (address, (attempt, state, states)) in enumerate(CASES.items()):
        message = messages[number]
        try:
            wait_for(lambda: [c["state"] for c in heed.contacts(message) if c["direction"] == "out"][:1] == [attempt],
                     what=f"{address}: {attempt}")
            if address == "full@away.test":
                peer.refuse.pop(address)     # there is room again, and it is sent again
            heed.wait_state(message, state)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{heed.postfix.log()[-3000:]}") from None
        shown = heed.cli_object("customer", "show", f"c-{number}")["states"]
        assert [entry["state"] for entry in shown] == states, address
        assert any(c["direction"] == "in" and message in c["messages"] for c in heed.cli_json("history", f"c-{number}"))
    wait_for(lambda: peer.to("full@away.test"), what="the mail that had no room")
    heed.sum_holds()


@pytest.mark.parametrize("heed", ["1d"], indirect=True)
def test_postfix_keeps_the_bounce_while_nobody_can_take_it(heed):
    heed.put({"id": "c-1", "name": "Ana", "addresses": {"email": "unknown@here.test"}})
    config, away = heed.config_file, heed.folder / "away.yaml"
    os.rename(config, away)          # the pipe finds no configuration
    message = heed.xadd({"customer": "c-1", "product": "card-alerts", "template": "payment-received", "data": {"amount": "1"}})
    wait_for(lambda: "status=deferred" in heed.postfix.log() and "relay=heed" in heed.postfix.log(), what="the bounce to be put off")
    os.rename(away, config)
    heed.wait_state(message, "failed")
    assert [entry["state"] for entry in heed.cli_object("customer", "show", "c-1")["states"]] == ["dead"]
