"""Segments, counted and split: heed against an independent implementation (npm: split-sms) over 10,000 random texts."""
import json
import os
import pathlib
import random
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HEED = ROOT / "build/tests/peers/sms_split"
PEERS = ROOT / "build/peers"
TEXTS = 10_000
SEED = 23038

BASIC = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCXYZÄÖÑÜ§¿abcxyzäöñüà"
EXTENDED = "\f^{}\\[~]|€"
WIDE = "ábçłжя日本語☎—’`\t\u0301\u200d"
ASTRAL = "😀🎉🇦🇷👩𝒜"


def peer():
    """Skips, and says so, where the package is not there and can't be had: a registry out of reach is no fault of heed."""
    if shutil.which("npm") and shutil.which("node"):
        made = subprocess.run([ROOT / "tests/peers/install"], capture_output=True, text=True, timeout=120)
        if made.returncode == 0:
            return
        why = "the npm package split-sms is not in build/peers and could not be fetched: " + made.stderr.strip()[-300:]
    else:
        why = "nodejs and npm are not installed"
    pytest.skip(why)


def texts():
    dice = random.Random(SEED)
    for _ in range(TEXTS):
        alphabet = dice.choice([BASIC, BASIC + EXTENDED, BASIC[-10:] + EXTENDED, BASIC + WIDE, WIDE + ASTRAL, ASTRAL])
        # Most of them where a segment ends: there the mistakes are.
        length = dice.choice([dice.randint(0, 500), dice.choice([67, 70, 134, 140, 153, 160, 306, 459]) + dice.randint(-6, 6)])
        yield "".join(dice.choices(alphabet, k=max(length, 0)))


def answers(command, lines, **options):
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True, timeout=120, **options)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_ten_thousand_texts_are_split_where_an_independent_implementation_splits_them():
    peer()
    given = list(texts())
    lines = "".join(json.dumps(text) + "\n" for text in given)
    ours = answers([HEED], lines)
    theirs = answers(["node", ROOT / "tests/peers/split_sms.js"], lines, env=os.environ | {"NODE_PATH": str(PEERS / "node_modules")})
    assert len(ours) == len(theirs) == TEXTS
    for text, mine, other in zip(given, ours, theirs):
        assert mine == other, f"{text!r}"
    assert sum(not one["gsm"] for one in ours) > TEXTS / 5 and sum(len(one["parts"]) > 2 for one in ours) > TEXTS / 10
