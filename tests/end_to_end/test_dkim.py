"""DKIM signatures are right: an independent verifier (dkimpy) says so, with the public keys as the DNS would give them."""
import re

import dkim
import pytest
from certificates import openssl, signing_key
from harness import email_channel, wait_for

ANA = {"id": "c-1", "name": "Ana Ñandú", "addresses": {"email": "ana@example.com"}}
MAIL_ONLY = {"card-alerts": {"title": {"en": "Card alerts"}, "channels": ["email"], "default": ["email"]}}


@pytest.fixture
def signed(make_gateway, mail, folder):
    """A mail signed by two keys, and who verifies its n-th signature."""
    records = {b"r2026._domainkey.example.com.": signing_key(folder, "rsa", "rsa"),
               b"e2026._domainkey.example.com.": signing_key(folder, "ed", "ed25519")}
    keys = [{"domain": "example.com", "selector": "r2026", "key": f"${{file:{folder}/rsa.pem}}"},
            {"domain": "example.com", "selector": "e2026", "key": f"${{file:{folder}/ed.pem}}"}]
    heed = make_gateway({"email": email_channel(mail, dkim=keys)}, products=MAIL_ONLY).start()
    heed.put(ANA)
    heed.wait_state(heed.xadd({"customer": "c-1", "product": "card-alerts",
                               "content": {"subject": "Café ☕", "text": "¡Hola!  \n.\n\n\n", "html": "<p>¡Hola!</p>"}}), "sent")
    content = wait_for(lambda: mail.mails)[0].content

    def verify(number, content=content):
        try:
            return dkim.DKIM(content).verify(idx=number, dnsfunc=lambda name, timeout=5: records[name])
        except dkim.ValidationError:
            return False
    return content, verify


def test_a_verifier_agrees_with_both_signatures(signed):
    content, verify = signed
    assert re.findall(rb"a=([a-z0-9-]+); c=([a-z/]+);", content) == [(b"rsa-sha256", b"relaxed/relaxed"), (b"ed25519-sha256", b"relaxed/relaxed")]
    assert verify(0) and verify(1)
    assert dkim.DKIM(content).present() and content.count(b"DKIM-Signature:") == 2


CHANGES = {b"<p>": b"<b>", b"Date: ": b"Date: x", b"To: ": b"To: x", b"Subject: ": b"Subject: x", b"Message-ID: <": b"Message-ID: <x",
           b"MIME-Version: 1.0": b"MIME-Version: 1.1", b"Auto-Submitted: ": b"Auto-Submitted: x",
           b"Content-Type: multipart": b"Content-Type: xmultipart"}
ADDED = [b"From: b@example.com", b"Subject: x", b"To: b@example.com", b"Date: Mon, 01 Jan 2029 00:00:00 +0000"]


def test_whatever_is_changed_or_added_breaks_them(signed):
    content, verify = signed
    changed = [content.replace(found, put, 1) for found, put in CHANGES.items()]
    added = [content.replace(b"\r\nFrom: ", b"\r\n" + line + b"\r\nFrom: ", 1) for line in ADDED]
    for other in changed + added:
        assert other != content and not verify(0, other) and not verify(1, other), other


def test_a_key_that_cannot_sign_is_named_and_not_shown(make_gateway, mail, folder):
    openssl(folder, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ec.pem")
    openssl(folder, "genrsa", "-out", "short.pem", "512")
    (folder / "text.pem").write_text("no key at all\n")
    for name in ("ec", "short", "text"):
        key = {"domain": "example.com", "selector": "s1", "key": f"${{file:{folder}/{name}.pem}}"}
        checked = make_gateway({"email": email_channel(mail, dkim=[key])}, products=MAIL_ONLY).cli("check")
        assert checked.returncode == 2 and "dkim.0.key: is not a key that can sign" in checked.stderr, checked.stderr
        assert (folder / f"{name}.pem").read_text().splitlines()[-1] not in checked.stderr
        assert len(checked.stderr.splitlines()) == 1
