"""heed send and heed dead: they talk to Redis, whether a gateway runs or not."""
import datetime
import json
import os
import pty
import re
import subprocess

import pytest

import harness
from harness import wait_for, webhook_channel


@pytest.fixture
def idle(make_gateway):
    """A gateway that is set up and does not run."""
    return make_gateway({"webhook": webhook_channel()}, products={
        "card-alerts": {"title": {"en": "Card"}, "purpose": "service", "channels": ["webhook"], "default": ["webhook"]}})


def in_stream(heed, lane="normal"):
    return [(entry, json.loads(fields["message"])) for entry, fields in heed.redis.client.xrange(heed.stream(lane))]


MESSAGE = {"customer": "c-1", "product": "card-alerts", "template": "payment-received", "data": {"amount": "1"}}
WORDS = ["send", "--customer", "c-1", "--product", "card-alerts", "--template", "payment-received", "--data", '{"amount":"1"}']


# --- send ---

def test_send_puts_a_message_in_and_prints_the_id_that_it_will_have(idle):
    printed = idle.cli_ok(*WORDS).split()
    (entry, message), = in_stream(idle)
    assert message == MESSAGE
    assert printed == [f"heed:outbound:{entry}"]


def test_send_takes_every_key_of_a_message(idle):
    more = {"--id": "m-1", "--locale": "es-AR", "--purpose": "critical", "--campaign": "spring", "--meta": '{"a":"b"}',
            "--traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "--send-at": "2030-01-01T08:00:00Z", "--expires-at": "2030-01-01T09:00:00Z"}
    assert idle.cli_ok(*WORDS, *(word for pair in more.items() for word in pair)) == "m-1\n"
    assert in_stream(idle)[0][1] == {**MESSAGE, "id": "m-1", "locale": "es-AR", "purpose": "critical", "campaign": "spring",
                                     "meta": {"a": "b"}, "traceparent": more["--traceparent"], "send_at": more["--send-at"],
                                     "expires_at": more["--expires-at"]}


def test_a_time_may_be_said_from_now_on(idle):
    idle.cli_ok(*WORDS, "--send-at", "2h", "--expires-at", "3h")
    message = in_stream(idle)[0][1]
    at, end = (datetime.datetime.fromisoformat(message[key].replace("Z", "+00:00")) for key in ("send_at", "expires_at"))
    assert 3590 < (end - at).total_seconds() < 3660
    assert 7000 < (at - datetime.datetime.now(datetime.timezone.utc)).total_seconds() <= 7200
    assert idle.cli(*WORDS, "--send-at", "soon").returncode == 2


def test_send_takes_the_words_themselves(idle):
    idle.cli_ok("send", "--customer", "c-1", "--product", "p", "--text", "hi", "--subject", "S")
    idle.cli_ok("send", "--customer", "c-1", "--product", "p", "--content", '{"text":"hi","html":"<p>"}')
    assert [m["content"] for _, m in in_stream(idle)] == [{"subject": "S", "text": "hi"}, {"text": "hi", "html": "<p>"}]


@pytest.mark.parametrize("lane", ["urgent", "normal", "bulk"])
def test_send_picks_the_stream_by_the_lane(idle, lane):
    printed = idle.cli_object(*WORDS, "--lane", lane)
    (entry, message), = in_stream(idle, lane)
    assert printed == {"id": f"{idle.stream(lane)}:{entry}", "stream": idle.stream(lane), "entry": entry}
    assert "lane" not in message


@pytest.mark.parametrize("words, says", [
    (["send"], "--customer and --product"),
    (["send", "--customer", "c", "--product", "p"], "--template, --content or --text"),
    ([*WORDS, "--data", "{"], "twice"),
    ([*WORDS[:-1], "{"], "--data: is not JSON"),
    ([*WORDS[:-1], '{"a":1,"a":2}'], "--data: is not JSON"),
    ([*WORDS[:-1], "[1]"], "data"),
    ([*WORDS, "--lane", "slow"], "slow is not urgent, normal or bulk"),
    ([*WORDS, "--id", "a b"], "id"),
    ([*WORDS, "--purpose", "fun"], "purpose"),
    ([*WORDS, "--nonsense"], "--nonsense"),
    (["send", "--file", "x.jsonl", "--id", "m"], "--file"),
    (["send", "--customer", "c", "--product", "p", "--content", "{}", "--text", "x"], "--content"),
])
def test_send_refuses_what_is_wrong_and_puts_nothing_in(idle, words, says):
    done = idle.cli(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("heed: ") and says in done.stderr
    assert not idle.redis.client.exists("heed:outbound") or not in_stream(idle)


def test_a_file_is_sent_line_by_line_and_wrong_lines_are_named(idle):
    good = [{**MESSAGE, "id": "m-1"}, {**MESSAGE, "id": "m-2", "lane": "bulk"}, {**MESSAGE, "id": "m-3"}]
    lines = [json.dumps(good[0]), "not json", "", json.dumps(good[1]) + "\r", '{"customer":"c"}', "x" * 300_000, json.dumps(good[2])]
    done = idle.cli("send", "--file", "-", input="\n".join(lines))
    assert done.returncode == 1
    assert done.stdout.split() == ["m-1", "m-2", "m-3"]
    assert [line.split(": ")[3] for line in done.stderr.splitlines()] == ["line 2", "line 5", "line 6"]
    assert [m["id"] for _, m in in_stream(idle)] == ["m-1", "m-3"]
    assert [m["id"] for _, m in in_stream(idle, "bulk")] == ["m-2"]


def test_a_large_file_goes_in_batches_and_keeps_its_order(idle):
    path = idle.folder / "many.jsonl"
    path.write_text("".join(json.dumps({**MESSAGE, "id": f"m-{i}"}) + "\n" for i in range(5000)))
    assert idle.cli_ok("send", "--file", path).split() == [f"m-{i}" for i in range(5000)]
    assert [m["id"] for _, m in in_stream(idle)] == [f"m-{i}" for i in range(5000)]


def test_a_bar_shows_on_a_terminal_only(idle):
    path = idle.folder / "many.jsonl"
    path.write_text("".join(json.dumps(MESSAGE) + "\n" for _ in range(2000)))
    ours, theirs = pty.openpty()
    subprocess.run([harness.HEED, "--config", idle.config_file, "send", "--file", path], stdout=subprocess.DEVNULL, stderr=theirs,
                   timeout=harness.PATIENCE, check=True)
    os.close(theirs)
    assert b"100 %" in os.read(ours, 65536)
    os.close(ours)
    assert idle.cli("send", "--file", path).stderr == ""


def test_without_redis_send_and_dead_say_so_in_one_line(idle):
    idle.redis.stop()
    for words in (WORDS, ["send", "--file", "-"], ["dead", "list"], ["dead", "retry", "1-1"]):
        done = idle.cli(*words, input=json.dumps(MESSAGE) + "\n")
        assert done.returncode == 1 and done.stdout.splitlines()[1:] == []
        assert done.stderr.count("\n") == 1 and "could not connect" in done.stderr, done.stderr


def test_a_file_that_is_not_there_is_named(idle):
    done = idle.cli("send", "--file", "/nowhere/x")
    assert done.returncode == 1 and done.stderr == "heed: send: /nowhere/x: No such file or directory\n"


def test_render_of_a_mustache_file_never_reads_outside_the_folder_of_partials(idle):
    partials = idle.folder / "partials"
    (partials / "a").mkdir(parents=True)
    for path in (partials / "in.mustache", partials / "a" / "b.mustache", idle.folder / "out.mustache"):
        path.write_text("read")
    file = idle.folder / "file.mustache"
    file.write_text("[{{>in}}][{{>a/b}}][{{>../out}}][{{>missing}}]{{n}}")
    data = '{"n": 100000000000000000000}'
    assert idle.cli_ok("render", "--mustache", file, "--data", data, "--partials", partials) == "[read][][][]100000000000000000000"
    done = idle.cli("render", "--mustache", file, "--data", '{"n": 1e400}')
    assert done.returncode == 2 and "a number is too large" in done.stderr


@pytest.mark.parametrize("text", ["[1]", "7", '"c-1"'])
def test_a_customer_that_is_no_object_is_refused_in_plain_words(idle, text):
    done = idle.cli("customer", "put", "-", input=text)
    assert done.returncode == 1 and done.stderr.startswith("heed: -: an object is wanted, like "), done.stderr


def test_a_customer_without_an_id_is_told_which_key_is_wanted(idle):
    done = idle.cli("customer", "put", "-", input="{}")
    assert done.returncode == 1 and done.stderr.startswith("heed: -: id: is wanted"), done.stderr


def test_json_is_refused_where_there_is_none(idle):
    for words in (["help"], ["help", "log"], ["help", "config"], ["render", "--mustache", "/dev/null"]):
        done = idle.cli(*words, "--json")
        assert done.returncode == 2 and done.stderr.startswith("heed: --json: is ") and not done.stdout


def test_every_error_says_what_and_why(idle):
    idle.put({"id": "c-1"})
    for words in ([], ["fly"], ["log", "fly"], ["send"], ["cancel"], ["hold", "--why", "x"], ["explain"], ["link", "c-1"],
                  ["prefer", "c-1", "card-alerts", "--stop", "--channels", "sms"], ["customer", "find", ""]):
        done = idle.cli(*words)
        assert done.returncode in (1, 2) and re.match(r"heed: \S[^:]*: \S", done.stderr), (words, done.stderr)


# --- dead ---

def bury(heed, message, error="why", stream="heed:outbound", entry="17-0"):
    return heed.redis.client.xadd("heed:dead", {"message": message, "error": error, "stream": stream, "id": entry,
                                                "at": "2026-11-22T10:00:00.123Z"})


def test_dead_letters_are_listed_and_shown(idle):
    first, second = bury(idle, "a", "first"), bury(idle, b"\xff\0\x1b[2J", "second", "heed:outbound:bulk", "18-0")
    assert idle.cli_json("dead", "list") == [
        {"id": first, "at": "2026-11-22T10:00:00.123Z", "stream": "heed:outbound", "entry": "17-0", "error": "first", "message": "a"},
        {"id": second, "at": "2026-11-22T10:00:00.123Z", "stream": "heed:outbound:bulk", "entry": "18-0", "error": "second",
         "message": "\ufffd\0\x1b[2J"}]
    heading, *rows = idle.cli_ok("dead", "list").splitlines()
    assert heading.split()[0] == "ID" and [row.split()[0] for row in rows] == [first, second]
    assert idle.cli_object("dead", "show", first)["message"] == "a"
    shown = idle.cli_ok("dead", "show", second)
    assert "second" in shown and "\ufffd  [2J\n" in shown


def test_a_letter_that_is_not_there_is_an_error(idle):
    for what in ("show", "retry", "drop"):
        for name in ("1-1", "nonsense", "-"):
            done = idle.cli("dead", what, "--", name)
            assert done.returncode == 1 and "there is no dead letter" in done.stderr


@pytest.mark.parametrize("words", [[], ["bury"], ["show"], ["retry"], ["drop"], ["list", "1-1"], ["retry", "1-1", "--all"], ["drop", "--all"]])
def test_dead_refuses_words_that_do_not_fit(idle, words):
    done = idle.cli("dead", *words)
    assert done.returncode == 2 and done.stderr.startswith("heed: ")


@pytest.mark.parametrize("message, back, name", [
    (' {"customer":"c","data":{"n":12.50}}', ' {"id":"heed:outbound:17-0","customer":"c","data":{"n":12.50}}', "heed:outbound:17-0"),
    ("{}", '{"id":"heed:outbound:17-0"}', "heed:outbound:17-0"),
    ('{"id":"m-1","customer":"c"}', '{"id":"m-1","customer":"c"}', "m-1"),
    ('{"id":5}', '{"id":5}', None),
    ("not json", "not json", None),
    ("[1]", "[1]", None),
    (b"a\0b\xff", b"a\0b\xff", None),
    ("", "", None),
])
def test_a_retried_letter_keeps_the_id_that_it_had_or_would_have_had(idle, message, back, name):
    letter = bury(idle, message)
    printed = idle.cli_object("dead", "retry", letter)
    raw = harness.redis_client.Redis(unix_socket_path=idle.redis.socket)
    (entry, fields), = raw.xrange("heed:outbound")
    assert fields[b"message"] == (back if isinstance(back, bytes) else back.encode())
    assert printed == {"id": name or f"heed:outbound:{entry.decode()}", "stream": "heed:outbound", "entry": entry.decode()}
    assert idle.dead() == []


def test_the_id_of_a_partitioned_stream_has_no_braces(idle):
    assert idle.cli_ok("dead", "retry", bury(idle, "{}", stream="heed:outbound:urgent:{3}")) == "heed:outbound:urgent:3:17-0\n"


def test_all_are_retried_and_what_can_not_be_is_named(idle):
    for i in range(450):
        bury(idle, json.dumps({"n": i}), entry=f"{i}-0")
    stray = bury(idle, "{}", stream="shop:carts")
    done = idle.cli("dead", "retry", "--all")
    assert done.returncode == 1 and stray in done.stderr and "shop:carts" in done.stderr
    assert done.stdout.split() == [f"heed:outbound:{i}-0" for i in range(450)]
    assert [m["n"] for _, m in in_stream(idle)] == list(range(450))
    assert [letter["dead_id"] for letter in idle.dead()] == [stray]


def test_a_dropped_letter_is_gone(idle):
    letter = bury(idle, "{}")
    assert idle.cli_ok("dead", "drop", letter) == ""
    assert idle.dead() == []


# --- with a gateway ---

def test_a_dead_letter_is_sent_once_its_cause_is_mended(idle, receiver):
    idle.start()
    name = idle.send("c-9")
    letter, = wait_for(idle.dead)
    assert letter["id"] == name.rsplit(":", 1)[1] and letter["stream"] == "heed:outbound"
    idle.put({"id": "c-9", "addresses": {"webhook": {"url": receiver.url + "/hook"}}})
    assert idle.cli_ok("dead", "retry", "--all") == name + "\n"
    idle.wait_state(name, "delivered")
    assert idle.dead() == []
    request, = receiver.to("/hook")
    assert request.json["id"] == name


def test_redis_that_goes_away_and_comes_back_is_waited_for(idle, receiver):
    idle.put({"id": "c-1", "addresses": {"webhook": {"url": receiver.url + "/hook"}}})
    idle.start()
    before = [idle.send("c-1") for _ in range(50)]
    idle.redis.kill()
    wait_for(lambda: idle.log_lines("waiting for it"), what="the log to say that Redis is gone")
    idle.redis.start()
    after = [idle.send("c-1") for _ in range(50)]
    wait_for(lambda: len(receiver.to("/hook")) >= 100, what="all webhooks")
    idle.wait_settled()
    assert sorted(r.json["id"] for r in receiver.to("/hook")) == sorted(before + after)
    wait_for(lambda: idle.log_lines("answers again"), what="the log to say that Redis is back")    # others may have sent all
    assert len(idle.log_lines("waiting for it")) == 1 and len(idle.log_lines("answers again")) == 1


def test_redis_that_comes_back_empty_of_its_group_is_mended(idle, receiver):
    idle.put({"id": "c-1", "addresses": {"webhook": {"url": receiver.url + "/hook"}}})
    idle.start()
    idle.wait_state(idle.send("c-1"), "delivered")
    idle.redis.client.flushall()
    idle.wait_state(idle.send("c-1"), "delivered")
    assert len(receiver.to("/hook")) == 2
