"""Signatures of callbacks: heed against the providers' own public libraries (npm: twilio, nexmo, @vonage/jwt,
messagebird, plivo), over random requests, as they are and changed by a little."""
import json
import os
import pathlib
import random
import shutil
import subprocess
import urllib.parse

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HEED = ROOT / "build/tests/peers/callback_check"
PEERS = ROOT / "build/peers"
CASES = 200
NOW = 1763805600
FORM = "application/x-www-form-urlencoded"
SETTINGS = {"twilio": "auth_token", "vonage": "signature_secret", "messagebird": "signing_key", "plivo": "auth_token"}
ALPHABETS = ["abcxyz019", "aZ &=+%/?#[]", "áñçßœ", "日本語🎉", " .-_~*'()!,;:@"]


@pytest.fixture(scope="module", autouse=True)
def peers():
    """Skips, and says so, where the packages are not there and can't be had: a registry out of reach is no fault of heed."""
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("nodejs and npm are not installed")
    made = subprocess.run([ROOT / "tests/peers/install"], capture_output=True, text=True, timeout=300)
    if made.returncode:
        pytest.skip("the npm packages are not in build/peers and could not be fetched: " + made.stderr.strip()[-300:])


def answers(command, lines, **options):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=300, **options)
    return done.stdout.splitlines()


def libraries(lines):
    return [json.loads(line) for line in
            answers(["node", ROOT / "tests/peers/callbacks.js"], lines, env=os.environ | {"NODE_PATH": str(PEERS / "node_modules")})]


def heed(provider, requests):
    settings = {SETTINGS[provider]: None} if provider in SETTINGS else {}
    return answers([HEED], [{"provider": str(ROOT / f"config/providers/{provider}.yaml") if provider in SETTINGS else provider,
                             "settings": {name: one["key"] for name in settings} or {"key": one["key"]}, "method": "POST", "now": NOW,
                             **{k: one[k] for k in ("url", "headers", "body")}} for one in requests])


def word(dice, most=12, least=0):
    alphabet = dice.choice(ALPHABETS)
    return "".join(dice.choice(alphabet) for _ in range(dice.randint(least, most)))


def fields(dice):
    return {"F" + word(dice): word(dice, 40) for _ in range(dice.randint(0, 9))}


def cases(seed):
    dice = random.Random(seed)
    for _ in range(CASES):
        params = fields(dice)
        query = urllib.parse.urlencode(fields(dice)) if dice.random() < .5 else ""
        yield {"url": "https://m.example.com/in/sms/x" + ("?" + query if query else ""), "params": params, "key": "k" + word(dice, 20),
               "body": urllib.parse.urlencode(params), "now": NOW, "nonce": word(dice, 20, 1), "shown": ""}, dice


def changed(dice, signature):
    """By one character: what stands there now is another one."""
    if not signature:
        return "x"
    at = dice.randrange(len(signature))
    return signature[:at] + ("A" if signature[at] != "A" else "B") + signature[at + 1:]


def test_twilio():
    made = [one | {"kind": "twilio"} for one, _ in cases(1)]
    for one, theirs in zip(made, libraries(made)):
        one["headers"] = {"Content-Type": FORM, "X-Twilio-Signature": theirs["signature"]}
    assert heed("twilio", made) == ["fine"] * CASES
    for one, (_, dice) in zip(made, cases(1)):
        one["shown"] = one["headers"]["X-Twilio-Signature"] = changed(dice, one["headers"]["X-Twilio-Signature"])
    assert [theirs["valid"] for theirs in libraries(made)] == [False] * CASES
    assert heed("twilio", made) == ["unsigned"] * CASES


def test_vonage_signed_parameters():
    made = [one | {"kind": "vonage", "url": "https://m.example.com/in/sms/x"} for one, _ in cases(2)]
    theirs = libraries(made)
    for one, signed in zip(made, theirs):
        one["body"] = urllib.parse.urlencode(one["params"] | {"timestamp": str(NOW), "sig": signed["signature"]})
        one["headers"] = {"Content-Type": FORM}
    assert heed("vonage", made) == ["fine"] * CASES
    for one in made:
        one["body"] += "&more=1"
    assert heed("vonage", made) == ["unsigned"] * CASES


def test_vonage_and_generic_jwt(tmp_path):
    file = tmp_path / "vonage-messages.yaml"
    file.write_text('name: vonage-messages\ncallbacks:\n  signature: { type: jwt, key: "{{settings.key}}" }\n'
                    "  reply: { from: from, text: text }\n")
    made = [one | {"kind": "vonage-jwt", "body": json.dumps(one["params"])} for one, _ in cases(3)]
    for one, theirs in zip(made, libraries(made)):
        assert theirs["valid"]
        one["headers"] = {"Content-Type": "application/json", "Authorization": "Bearer " + theirs["signature"]}
    assert heed(str(file), made) == ["fine"] * CASES
    for one in made:
        one["body"] += " "
    assert heed(str(file), made) == ["unsigned"] * CASES


@pytest.mark.parametrize("empty", [False, True])
def test_messagebird(empty):
    made = [one | {"kind": "messagebird"} | ({"body": ""} if empty else {}) for one, _ in cases(4)]
    for one, theirs in zip(made, libraries(made)):
        assert theirs["valid"]
        one["headers"] = {"Content-Type": FORM, "MessageBird-Signature-JWT": theirs["signature"]}
    assert heed("messagebird", made) == ["fine"] * CASES
    for one in made:
        one["shown"], one["url"] = one["headers"]["MessageBird-Signature-JWT"], one["url"] + "&x"
    assert [theirs["valid"] for theirs in libraries(made)] == [False] * CASES
    assert heed("messagebird", made) == ["unsigned"] * CASES


def test_plivo():
    made = [one | {"kind": "plivo", "nonce": str(i) + "n", "key": f"key{i}"} for i, (one, _) in enumerate(cases(5))]
    for one, theirs in zip(made, libraries(made)):
        assert theirs["valid"]
        one["headers"] = {"Content-Type": FORM, "X-Plivo-Signature-V2": theirs["signature"], "X-Plivo-Signature-V2-Nonce": one["nonce"]}
    assert heed("plivo", made) == ["fine"] * CASES
    for one in made:
        one["headers"]["X-Plivo-Signature-V2-Nonce"] += "x"
    assert heed("plivo", made) == ["unsigned"] * CASES
