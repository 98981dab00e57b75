"""What a person sees: lines that fit the terminal, colours there and nowhere else, errors that say what to do next."""
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

import pytest

import harness
from harness import webhook_channel
from http_receiver import Answer

PRODUCT = "a-product-with-a-name-that-is-long"
PRODUCTS = {name: {"purpose": "service", "channels": ["webhook"], "default": ["webhook"]} for name in ("card-alerts", PRODUCT)}
CUSTOMER = "a-customer-with-an-id-that-is-ñandú-long"
COLOUR = re.compile(r"\x1b\[\d+m")
SENT, FAILED = "\x1b[32mdelivered\x1b[0m", "\x1b[31mfailed\x1b[0m"


def on_terminal(heed, *words, width=80, env=None):
    """What a terminal of that width gets, as lines."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen([harness.HEED, "--config", heed.config_file, *words], stdin=subprocess.DEVNULL, stdout=theirs,
                               stderr=subprocess.PIPE, env={**environment, "TERM": "xterm", **(env or {})})
    os.close(theirs)
    text = b""
    while True:
        try:
            text += os.read(ours, 65536)
        except OSError:    # Linux: the last of the other side closed
            break
    os.close(ours)
    _, said = process.communicate(timeout=harness.PATIENCE)
    assert process.returncode == 0, said
    return text.decode().replace("\r\n", "\n").splitlines()


@pytest.fixture
def talkative(make_gateway, receiver):
    """A delivered message, and one that failed with a long answer; long names."""
    heed = make_gateway({"webhook": webhook_channel()}, products=PRODUCTS).start()
    receiver.script("/gone", lambda request: Answer(400, "no " * 100))
    heed.put({"id": "c-1", "addresses": {"webhook": {"url": receiver.url + "/hook"}}},
             {"id": CUSTOMER, "addresses": {"webhook": {"url": receiver.url + "/gone"}}})
    heed.wait_state(heed.send("c-1", PRODUCT, id="m-1"), "delivered")
    heed.wait_state(heed.send(CUSTOMER, PRODUCT, id="m-2"), "failed")
    return heed


@pytest.mark.parametrize("width", [60, 80, 100, 130, 160, 200])
def test_a_contact_is_one_line_that_fits_the_terminal(talkative, width):
    heading, *rows = [COLOUR.sub("", line) for line in on_terminal(talkative, "log", width=width)]
    assert len(rows) == len(talkative.cli_json("log"))
    assert all(len(line) <= width for line in (heading, *rows)), rows
    assert any("…" in line for line in rows)
    why = heading.index("WHY")
    assert all(row[why - 2:why] == "  " and row[why] != " " for row in rows), "the columns stand below their headings"
    assert ("MESSAGE" in heading) == (width >= 100)


def test_a_narrow_terminal_shows_what_went_wrong_before_why_it_was_tried(talkative):
    rejected, = [COLOUR.sub("", row) for row in on_terminal(talkative, "log", "--state", "rejected")[1:]]
    assert "  the receiver" in rejected
    assert "    the receiver answered 400: it refused the message" in on_terminal(talkative, "explain", "m-2"), "explain shows it whole"


def test_into_a_pipe_lines_are_whole_and_without_colours(talkative):
    plain = talkative.cli_ok("log")
    assert "\x1b" not in plain and CUSTOMER in plain and PRODUCT in plain


def test_states_have_colours_on_a_terminal(talkative):
    assert any(SENT in line for line in on_terminal(talkative, "log"))
    assert any(SENT in line for line in on_terminal(talkative, "history", "c-1"))
    assert FAILED in on_terminal(talkative, "explain", "m-2")[0]
    assert any(FAILED in line for line in on_terminal(talkative, "queue"))


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": ""}])
def test_nobody_gets_colours_who_does_not_want_them(talkative, env):
    assert not any("\x1b" in line for words in (("log",), ("history", "c-1"), ("explain", "m-2"), ("queue",))
                   for line in on_terminal(talkative, *words, env=env))


def test_an_empty_no_color_says_nothing(talkative):
    assert any(SENT in line for line in on_terminal(talkative, "log", env={"NO_COLOR": ""}))


def test_json_has_neither_colours_nor_cuts(talkative):
    assert not any("\x1b" in line or "…" in line.replace("…\"", "") for line in on_terminal(talkative, "queue", "--json"))


@pytest.mark.parametrize("words, status, step", [
    (["lgo"], 2, "did you mean `heed log`?"),
    (["log", "--folow"], 2, "did you mean --follow?"),
    (["customer", "show", "nobody"], 1, "heed customer find"),
    (["explain", "nothing"], 1, "heed dead list"),
    (["dead", "show", "1-1"], 1, "heed dead list"),
    (["prefer", "c-1", "cards"], 1, "products file"),
    (["render", "payment-recieved", "webhook"], 1, "did you mean payment-received?"),
    (["render", "payment-received", "fax"], 1, "it has webhook"),
    (["render", "payment-received", "webhook"], 1, "--data"),
    *([(["gateway"], 1, "end that one first"), (["migrate"], 1, "end that one first")] if harness.STORE == "sqlite" else
      [(["gateway"], 1, "each needs a gateway.name of its own")]),
])
def test_an_error_says_what_to_do_next(talkative, words, status, step):
    done = talkative.cli(*words)
    assert done.returncode == status and step in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("heed: ")], done.stderr


def test_without_a_configuration_it_is_said_how_to_begin(folder):
    environment = {name: value for name, value in os.environ.items() if name != "HEED_CONFIG"}
    done = subprocess.run([harness.HEED, "queue"], cwd=folder, text=True, capture_output=True, env=environment, timeout=harness.PATIENCE)
    assert done.returncode == 2 and "heed help config sample" in done.stderr


def test_dead_letters_need_no_store(make_gateway):
    heed = make_gateway({"webhook": webhook_channel()}, products=PRODUCTS, config={"store": {"url": "sqlite:/proc/nowhere/heed.db"}})
    heed.redis.client.xadd("heed:dead", {"message": "{}", "error": "why", "stream": "heed:outbound", "id": "1-0", "at": "2026-11-22T10:00:00Z"})
    letter, = heed.cli_json("dead", "list")
    assert heed.cli_ok("dead", "retry", letter["id"]) == "heed:outbound:1-0\n"
    assert heed.cli_json("dead", "list") == []
