"""Requests that nobody ought to send: mutated, oversize, ambiguous, slow. Nothing crashes, nothing leaks, nobody else waits,
and what can be answered is answered with a proper status.

`make http-full` sends 10,000 to a gateway built with the sanitizers; `make test` a part of them to the usual one."""
import contextlib
import json
import os
import random
import re
import socket
import threading
import time

import pytest

from described import OPERATIONS
from harness import http_doors, wait_for, webhook_channel

FULL = bool(os.environ.get("HEED_FULL"))
REQUESTS = 10_000 if FULL else 1_500
SLOW = 500
THREADS = 4
# 100 is on the way to another; 505 is HTTP/3.7; 501 and 503 say what they mean. Never 500.
PROPER = {100, 200, 201, 202, 204, 400, 401, 403, 404, 405, 406, 408, 409, 410, 411, 412, 413, 414, 415, 417, 422, 426, 431, 501, 503, 505}


@pytest.fixture
def gateway(make_gateway, receiver):
    gateway = make_gateway({"webhook": webhook_channel()}, config=http_doors()).start(seconds=60)
    gateway.put({"id": "c-1042", "addresses": {"webhook": receiver.url + "/c"}})
    gateway.prefer("c-1042", "card-alerts", "webhook")
    return gateway


def place(gateway, door="internal"):
    host, _, port = gateway.config["http"][door].rpartition(":")
    return host, int(port)


def raw(gateway, data, door="internal", seconds=30.0):
    """Sends the bytes as they are; what comes back until the other side closes, or falls silent."""
    with contextlib.closing(socket.create_connection(place(gateway, door), seconds)) as sock:
        with contextlib.suppress(OSError):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(OSError):
            while piece := sock.recv(65536):
                answer += piece
        return answer


def status_of(answer):
    """Of the last answer on the connection; None: there was none."""
    found = re.findall(rb"HTTP/1\.[01] (\d\d\d) ", answer)
    return int(found[-1]) if found else None


def request(method, path, body=b"", headers=()):
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: heed", b"Connection: close", b"Authorization: Bearer all"]
    lines += [line if isinstance(line, bytes) else line.encode() for line in headers]
    if body:
        lines += [b"Content-Type: application/json", b"Content-Length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def corpus():
    """Every documented request, as bytes."""
    for operation in OPERATIONS:
        query = operation.queries()[0]
        path = operation.address() + ("?" + query if query else "")
        for body in operation.bodies.values() or [None]:
            yield request(operation.method, path, json.dumps(body).encode() if body is not None else b"")


PIECES = [b"\x00", b"\xff\xfe", b"%00", b"%ff", b"%", b"%2F", b"../", b"//", b"\r\n", b"\n", b"\r", b" ", b"\t", b"?", b"&&", b"=", b"#",
          b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999999999999999\r\n", b"Host: other\r\n",
          b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n",
          b"Content-Encoding: gzip\r\n", b"X: " + b"a" * 5000 + b"\r\n", b"a" * 9000, b"[" * 3000, b'{"a":' * 300, b'"\\ud800"', b"1e999",
          b"-", b"9" * 400, b"HTTP/1.1", b"HTTP/9.9", b"ffffffff\r\n", b"0\r\n\r\n", b"{{", b"';--", b"${HEED}", "é☃".encode()]


def mutated(dice, seeds):
    data = bytearray(dice.choice(seeds))
    for _ in range(dice.randint(1, 4)):
        at, kind = dice.randrange(len(data) + 1), dice.randrange(6)
        if kind == 0 and data:
            data[at % len(data)] = dice.randrange(256)
        elif kind == 1:
            data[at:at] = dice.choice(PIECES)
        elif kind == 2:
            del data[at:at + dice.randint(1, 40)]
        elif kind == 3:
            end = at + dice.randint(1, 60)
            data[at:at] = data[at:end] * dice.randint(1, 3)
        elif kind == 4:
            other = dice.choice(seeds)
            data[at:] = other[dice.randrange(len(other)):]
        else:
            data[at:at] = bytes(dice.randrange(256) for _ in range(dice.randint(1, 30)))
    return bytes(data)


def rss(gateway):
    """KiB of memory in use."""
    text = open(f"/proc/{gateway.process.pid}/status").read()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))


def test_random_and_mutated_requests_are_answered_properly(gateway):
    seeds, wrong, seen, before = list(corpus()), [], {}, rss(gateway)
    lock = threading.Lock()

    def send(thread):
        dice = random.Random(f"heed {thread}")
        for _ in range(REQUESTS // THREADS):
            data = mutated(dice, seeds)
            answer = raw(gateway, data, dice.choice(["internal", "public"]))
            status = status_of(answer)
            with lock:
                seen[status] = seen.get(status, 0) + 1
                if status is not None and status not in PROPER:
                    wrong.append((status, data[:300], answer[:300]))

    threads = [threading.Thread(target=send, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sorted(seen.items(), key=str))
    assert not wrong, wrong[:3]
    assert gateway.running() and gateway.http_json("GET", "/healthz", token=None)[1]["status"] == "ok"
    assert seen.get(200, 0) > REQUESTS / 50 and seen.get(400, 0) > REQUESTS / 50, seen
    assert rss(gateway) - before < (400_000 if FULL else 60_000), (before, rss(gateway))    # a sanitizer keeps what was freed
    assert gateway.sum_holds()
    assert gateway.stop() == 0
    assert "Sanitizer" not in gateway.stderr(), gateway.stderr()[-4000:]


@pytest.mark.parametrize("door", ["internal", "public"])
def test_what_two_readers_could_understand_differently_is_refused(gateway, door):
    path = "/v1/queue" if door == "internal" else "/p/x"
    for headers in (["Host: other"], ["Content-Length: 0", "Content-Length: 0"], ["Content-Length: 3", "Transfer-Encoding: chunked"],
                    ["Transfer-Encoding: gzip"], ["Authorization: Bearer x"], ["Heed-Actor: a", "Heed-Actor: b"], [b"Heed-Actor: \xff"],
                    ["Content-Type: a/b", "Content-Type: c/d"], ["Content-Length: -1"], ["Content-Length: 1x"], ["Content-Length: 0x10"]):
        assert status_of(raw(gateway, request("GET", path, headers=headers), door)) == 400, headers
    assert status_of(raw(gateway, b"GET %s HTTP/1.1\r\nConnection: close\r\n\r\n" % path.encode(), door)) == 400    # no Host


def test_nul_and_what_is_not_utf8_are_400(gateway):
    for path in ("/v1/customers/a%00b", "/v1/customers/%ff%fe", "/v1/customers/%C3", "/v1/customers/%", "/v1/customers/%zz", "/v1/log?customer=%00",
                 "/v1/log?customer=%ff", "/v1/log?a=1&a=2", "/v1/log?" + "&".join(f"p{i}=1" for i in range(20))):
        assert status_of(raw(gateway, request("GET", path))) == 400, path
    assert status_of(raw(gateway, b"GET /v1/customers/\xff\xfe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")) == 400
    assert status_of(raw(gateway, b"GET /v1/\x00queue HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")) in (400, 404)


def test_heads_and_bodies_have_a_limit(gateway):
    assert status_of(raw(gateway, request("GET", "/v1/queue", headers=["X-Long: " + "a" * 20_000]))) == 200
    assert status_of(raw(gateway, request("GET", "/v1/queue", headers=["X-Long: " + "a" * 40_000]))) == 431
    assert status_of(raw(gateway, request("GET", "/v1/queue", headers=["X-Long: " + "a" * 500_000]))) == 431
    assert status_of(raw(gateway, request("GET", "/v1/queue", headers=[f"X-{i}: 1" for i in range(100)]))) == 431
    assert b'"title":"URI Too Long"' in raw(gateway, request("GET", "/v1/messages/" + "a" * 40_000))
    assert status_of(raw(gateway, request("GET", "/v1/" + "a" * 100_000))) in (414, 431)
    for size, door, path in ((9 << 20, "internal", "/v1/messages"), (2 << 20, "public", "/p/x")):
        answer = raw(gateway, request("POST", path, b" " * size), door)
        assert status_of(answer) == 413 and b"application/problem+json" in answer
        chunked = request("POST", path, headers=["Transfer-Encoding: chunked"]) + b"%x\r\n%b\r\n0\r\n\r\n" % (size, b" " * size)
        assert status_of(raw(gateway, chunked, door)) == 413


def test_a_large_body_of_a_stranger_is_not_read(gateway):
    head = (b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer forged\r\n"
            b"Content-Type: application/json\r\nContent-Length: 8000000\r\n\r\n")
    with contextlib.closing(socket.create_connection(place(gateway), 30)) as sock:
        sock.sendall(head)    # and nothing of the body
        assert b" 401 " in sock.recv(4096)
    with contextlib.closing(socket.create_connection(place(gateway), 30)) as sock:    # nor a small one, where the client asks first
        sock.sendall(head.replace(b"8000000\r\n", b"8\r\nExpect: 100-continue\r\n"))
        assert b" 401 " in sock.recv(4096)


def test_json_that_is_deep_is_refused(gateway):
    deep = b'{"customer":"c-1042","product":"card-alerts","template":"payment-received","data":' + b'{"a":' * 63 + b"1" + b"}" * 63 + b"}"
    assert status_of(raw(gateway, request("POST", "/v1/messages", deep))) in (400, 422)
    for depth in (1_000, 1_000_000):
        assert status_of(raw(gateway, request("POST", "/v1/messages", b"[" * depth))) == 400
        assert status_of(raw(gateway, request("POST", "/v1/messages", b"[" * depth + b"]" * depth))) == 400


def test_slow_clients_hear_408_and_nobody_waits_for_them(gateway):
    slow = [socket.create_connection(place(gateway, "internal" if i % 2 else "public"), 30) for i in range(SLOW)]
    begun = time.monotonic()
    try:
        for sock in slow:
            sock.sendall(b"GET /v1/queue HTTP/1.1\r\nHost: heed\r\nX: ")
        longest = 0.0
        while time.monotonic() < begun + 5:
            for door, path, wanted in (("internal", "/v1/queue", 200), ("public", "/p/x", 404)):
                asked = time.monotonic()
                assert gateway.http("GET", path, door=door)[0] == wanted or door == "public"
                longest = max(longest, time.monotonic() - asked)
            for sock in slow[:50]:
                sock.sendall(b"a")    # not idle, and never done
            time.sleep(0.1)
        assert longest < 5, longest
        for sock in slow:
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := sock.recv(4096):
                    answer += piece
            assert status_of(answer) == 408, answer
        assert time.monotonic() - begun < 60
    finally:
        for sock in slow:
            sock.close()
    wait_for(lambda: gateway.http("GET", "/v1/queue")[0] == 200, what="the doors to be open")


def test_head_is_answered_without_content_also_where_get_would_stream(gateway):
    for path, accept in (("/v1/customers/c-1042/export", "*/*"), ("/v1/log", "text/event-stream"), ("/v1/log", "*/*")):
        answer = raw(gateway, request("HEAD", path, headers=["Accept: " + accept]))
        assert status_of(answer) == 200 and answer.endswith(b"\r\n\r\n") and answer.count(b"\r\n\r\n") == 1, answer


def test_a_target_as_proxies_are_sent_it_means_the_same(gateway):
    assert status_of(raw(gateway, request("GET", "http://heed/v1/queue"))) == 200
    assert status_of(raw(gateway, request("GET", "HTTP://heed"))) == 404


def test_a_connection_carries_one_request_after_another(gateway):
    two = request("GET", "/healthz").replace(b"Connection: close\r\n", b"") + request("GET", "/v1/queue")
    assert raw(gateway, two).count(b"HTTP/1.1 200") == 2
