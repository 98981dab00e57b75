"""A mailbox of a real Dovecot is read: everything that is in it is recorded once, and nothing is lost between reading and
recording."""
import os
import pwd
import shutil
import signal
import socket
import subprocess

import pytest
from certificates import relay_certificate
from harness import PATIENCE, email_channel, end_with_us, wait_for

CONF = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{folder}/relay.pem
ssl_key = <{folder}/relay.key
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = maildir:{folder}/mail
mailbox_list_index = no
first_valid_uid = 1
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = nobody
passdb {{
  driver = static
  args = password=se%%cret
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Dovecot:
    def __init__(self, folder):
        self.folder = folder
        folder.parent.chmod(0o755)
        owner = pwd.getpwnam("nobody")
        self.owner = owner
        self.ports = {"imap": free_port(), "imaps": free_port()}
        self.ports["imap+starttls"] = self.ports["imap"]
        for name in ("mail/new", "mail/cur", "mail/tmp", "run"):
            (folder / name).mkdir(parents=True)
        for path in (folder / "mail", *(folder / "mail").iterdir()):
            os.chown(path, owner.pw_uid, owner.pw_gid)
        relay_certificate(folder)
        (folder / "dovecot.conf").write_text(CONF.format(folder=folder, uid=owner.pw_uid, gid=owner.pw_gid, **{
            name: port for name, port in self.ports.items() if "+" not in name}))
        self.process, self.count = None, 0
        self.up()

    def up(self):
        with open(self.folder / "start.log", "ab") as log:
            self.process = subprocess.Popen(["dovecot", "-F", "-c", str(self.folder / "dovecot.conf")], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, preexec_fn=end_with_us, start_new_session=True)
        wait_for(self._answers, what="Dovecot to answer")

    def _answers(self):
        assert self.process.poll() is None, (self.folder / "start.log").read_text() + self.log()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.ports["imaps"])) == 0

    def down(self):
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)     # its sessions as well
            self.process.wait(PATIENCE)
            self.process = None

    def log(self):
        log = self.folder / "dovecot.log"
        return log.read_text() if log.exists() else ""

    def url(self, scheme, password="se%25cret"):
        return f"{scheme}://bank:{password}@127.0.0.1:{self.ports[scheme]}/INBOX"

    def deliver(self, text):
        self.count += 1
        path = self.folder / f"mail/tmp/{self.count}.test"
        path.write_text(text)
        os.chown(path, self.owner.pw_uid, self.owner.pw_gid)
        path.rename(self.folder / f"mail/new/{self.count}.test")

    def unread(self):
        return len(list((self.folder / "mail/new").iterdir())) + sum(
            "S" not in path.name.rpartition(",")[2] for path in (self.folder / "mail/cur").iterdir())

    def there(self):
        return len(list((self.folder / "mail/new").iterdir())) + len(list((self.folder / "mail/cur").iterdir()))


@pytest.fixture
def dovecot(folder):
    if os.geteuid() != 0 or not shutil.which("dovecot"):
        pytest.skip("Dovecot is started by root")
    server = Dovecot(folder / "d")
    yield server
    server.down()


def channel(mail, dovecot, scheme="imaps", **more):
    inbound = {"imap": dovecot.url(scheme), "ca": str(dovecot.folder / "ca.pem"), "every": "1s", **more}
    return email_channel(mail, inbound=inbound, timeout="5s")


def letter(number):
    return f"From: Ana <ana@customer.test>\nTo: bank@bank.test\nMessage-ID: <{number}@customer.test>\nSubject: letter {number}\n\nHello {number}\n"


def came_in(heed):
    return [c for c in heed.cli_json("log", "--limit", "100000") if c["direction"] == "in"]


@pytest.mark.parametrize("scheme", ["imaps", "imap+starttls", "imap"])
def test_a_mail_in_the_mailbox_is_recorded_and_then_marked(dovecot, make_gateway, mail, scheme):
    dovecot.deliver(letter(1))
    heed = make_gateway({"email": channel(mail, dovecot, scheme)}).start()
    wait_for(lambda: came_in(heed), what="the mail to be recorded")
    wait_for(lambda: dovecot.unread() == 0, what="the mail to be marked")
    dovecot.deliver(letter(2))      # while it waits
    wait_for(lambda: len(came_in(heed)) == 2, what="the second one")
    wait_for(lambda: dovecot.unread() == 0, what="the mail to be marked")
    assert [c["summary"] for c in came_in(heed)] == ["Hello 1", "Hello 2"] and dovecot.there() == 2


def test_what_was_recorded_is_deleted_where_that_is_wanted(dovecot, make_gateway, mail):
    for number in range(5):
        dovecot.deliver(letter(number))
    heed = make_gateway({"email": channel(mail, dovecot, then="delete")}).start()
    wait_for(lambda: dovecot.there() == 0, what="the mailbox to be empty")
    assert len(came_in(heed)) == 5


def test_a_gateway_that_is_killed_loses_none_and_records_none_twice(dovecot, make_gateway, mail):
    for number in range(120):
        dovecot.deliver(letter(number))
    heed = make_gateway({"email": channel(mail, dovecot)}).start()
    for least in 10, 40:
        wait_for(lambda: len(came_in(heed)) >= least, what="some to be recorded", pause=0.001)
        heed.kill()
        heed.start()
    wait_for(lambda: dovecot.unread() == 0, what="all to be marked")
    assert sorted(c["summary"] for c in came_in(heed)) == sorted(f"Hello {number}" for number in range(120))


def test_a_server_that_is_away_is_tried_again_and_a_wrong_password_is_said(dovecot, make_gateway, mail):
    heed = make_gateway({"email": channel(mail, dovecot, imap=dovecot.url("imaps", "wrong"))}).start()
    checked = heed.cli("check")
    assert checked.returncode == 1 and "channels.email.inbound.imap" in checked.stderr and "wrong" not in checked.stderr
    wait_for(lambda: heed.log_lines("its mailbox cannot be read"), what="the warning")
    assert "wrong" not in heed.stderr()
    heed.config["channels"]["email"]["inbound"]["imap"] = dovecot.url("imaps")
    heed.write()
    heed.reload()
    dovecot.deliver(letter(1))
    wait_for(lambda: came_in(heed), what="the mail to be recorded")
    assert "channels.email.inbound.imap: answers" in heed.cli_ok("check")
    dovecot.down()
    wait_for(lambda: len(heed.log_lines("its mailbox cannot be read")) == 2, what="the warning")
    dovecot.up()
    dovecot.deliver(letter(2))
    wait_for(lambda: len(came_in(heed)) == 2, what="the second one")


def test_a_password_does_not_go_over_the_net_in_the_clear(make_gateway, mail):
    heed = make_gateway({"email": email_channel(mail, inbound={"imap": "imap://bank:secret@mail.example.com/INBOX"})})
    checked = heed.cli("check")
    assert checked.returncode == 2 and "in the clear" in checked.stderr and "secret" not in checked.stderr
    heed.config["channels"]["email"]["inbound"] = {"imap": "imaps://mail.example.com"}
    heed.write()
    assert heed.cli("check").returncode == 2
