"""A real Postfix takes the mail over TLS and delivers it to a mailbox, where it is read as its owner would."""
import email
import email.policy
import os
import pwd
import shutil
import socket
import subprocess

import dkim
import pytest
from certificates import relay_certificate, signing_key
from harness import PATIENCE, email_channel, end_with_us, wait_for

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
virtual_mailbox_domains = example.com
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{ ana@example.com=ana/ }}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
smtpd_tls_cert_file = {folder}/relay.pem
smtpd_tls_key_file = {folder}/relay.key
smtpd_tls_security_level = encrypt
smtpd_tls_session_cache_database =
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_client_connection_count_limit = 0
"""

MASTER_CF = """
127.0.0.1:{starttls} inet n - n - - smtpd
127.0.0.1:{smtps} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Postfix:
    """With a configuration, queue and ports of its own; its users read the folder."""

    def __init__(self, folder):
        self.folder = folder
        owner = pwd.getpwnam("postfix")
        self.ports = {"smtps": free_port(), "smtp+starttls": free_port()}
        folder.parent.chmod(0o755)
        for name in ("etc", "queue", "data", "mail", "log"):
            (folder / name).mkdir(parents=True)
        for name in ("data", "mail"):
            os.chown(folder / name, owner.pw_uid, owner.pw_gid)
        relay_certificate(folder)
        (folder / "etc/main.cf").write_text(MAIN_CF.format(folder=folder, uid=owner.pw_uid, gid=owner.pw_gid))
        (folder / "etc/master.cf").write_text(MASTER_CF.format(smtps=self.ports["smtps"], starttls=self.ports["smtp+starttls"]))
        with open(folder / "start.log", "wb") as log:
            self.process = subprocess.Popen(["postfix", "-c", str(folder / "etc"), "start-fg"], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, preexec_fn=end_with_us)
        wait_for(self._answers, what="Postfix to answer")

    def _answers(self):
        assert self.process.poll() is None, (self.folder / "start.log").read_text() + self.log()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.ports["smtp+starttls"])) == 0

    def log(self):
        log = self.folder / "log/mail.log"
        return log.read_text() if log.exists() else ""

    def url(self, scheme):
        return f"{scheme}://127.0.0.1:{self.ports[scheme]}"

    def mailbox(self, name):
        return [path.read_bytes() for path in sorted((self.folder / "mail" / name / "new").glob("*"))]

    def close(self):
        subprocess.run(["postfix", "-c", str(self.folder / "etc"), "stop"], capture_output=True, timeout=PATIENCE)
        self.process.wait(PATIENCE)


@pytest.fixture
def postfix(folder):
    if os.geteuid() != 0 or not shutil.which("postfix"):
        pytest.skip("Postfix is started by root")
    server = Postfix(folder / "p")
    yield server
    server.close()


ANA = {"id": "c-1", "name": "Ana Ñandú 🙂", "locale": "es", "addresses": {"email": "ana@example.com"}}
MAIL_ONLY = {"card-alerts": {"title": {"en": "Card alerts"}, "channels": ["email"], "default": ["email"]}}
WORDS = "¡Hola, Ana! Pagaste 12,50 € en «Café Ñandú» ☕🙂\n.\n..dos puntos\nFrom aquí"


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
def test_postfix_delivers_the_mail_as_it_was_written_and_signed(postfix, make_gateway, scheme):
    record = signing_key(postfix.folder, "ed", "ed25519")
    channel = email_channel(postfix, relay=postfix.url(scheme), ca=str(postfix.folder / "ca.pem"), timeout="10s",
                            dkim=[{"domain": "example.com", "selector": "s1", "key": f"${{file:{postfix.folder}/ed.pem}}"}])
    heed = make_gateway({"email": channel}, products=MAIL_ONLY)
    assert "channels.email" in heed.cli_ok("check")
    heed.start().put(ANA)
    message = heed.xadd({"customer": "c-1", "product": "card-alerts",
                         "content": {"subject": "Pago recibido: Café Ñandú ☕", "text": WORDS, "html": "<p>¡Hola, Ana! 🙂</p>"}})
    heed.wait_state(message, "sent")
    assert heed.contacts(message)[0]["provider_ref"]
    delivered = wait_for(lambda: postfix.mailbox("ana"), what="the mail in the mailbox")
    assert len(delivered) == 1
    mail = email.message_from_bytes(delivered[0], policy=email.policy.default)
    assert mail["Subject"] == "Pago recibido: Café Ñandú ☕"
    assert mail["To"].addresses[0].display_name == "Ana Ñandú 🙂" and mail["To"].addresses[0].addr_spec == "ana@example.com"
    assert mail["Return-Path"] == "<bounces@example.com>" and "with ESMTPS" in mail["Received"]
    assert mail.get_body(("plain",)).get_content().rstrip("\n") == WORDS
    assert mail.get_body(("html",)).get_content().rstrip("\n") == "<p>¡Hola, Ana! 🙂</p>"
    assert dkim.verify(delivered[0], dnsfunc=lambda name, timeout=5: record)


def test_what_postfix_refuses_is_recorded_in_its_words(postfix, make_gateway):
    channel = email_channel(postfix, relay=postfix.url("smtps"), ca=str(postfix.folder / "ca.pem"), timeout="10s")
    heed = make_gateway({"email": channel}, products=MAIL_ONLY).start()
    heed.put({**ANA, "addresses": {"email": "nobody@example.com"}})
    message = heed.send("c-1")
    heed.wait_state(message, "failed")
    contact = heed.contacts(message)[0]
    assert contact["state"] == "rejected" and heed.reasons(message)
    heed.put(ANA)
    heed.wait_state(heed.send("c-1"), "sent")
    wait_for(lambda: postfix.mailbox("ana"), what="the mail in the mailbox")


def test_a_relay_that_nobody_vouches_for_gets_nothing_and_the_message_waits(postfix, make_gateway):
    channel = email_channel(postfix, relay=postfix.url("smtp+starttls"), timeout="10s")
    heed = make_gateway({"email": channel}, products=MAIL_ONLY)
    checked = heed.cli("check")
    assert checked.returncode == 1 and "certificate" in checked.stdout + checked.stderr
    heed.start().put(ANA)
    message = heed.send("c-1")
    heed.wait_state(message, "deferred")
    assert "certificate" in str(heed.contacts(message)), (heed.contacts(message), heed.explain(message))
    heed.config["channels"]["email"]["ca"] = str(postfix.folder / "ca.pem")
    heed.write()
    heed.reload()
    heed.wait_state(message, "sent")
    wait_for(lambda: postfix.mailbox("ana"), what="the mail in the mailbox")
    assert len(postfix.mailbox("ana")) == 1
