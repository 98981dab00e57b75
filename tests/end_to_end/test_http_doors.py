"""The listeners, from outside: which door shows what, and to whom."""
import contextlib
import http.client
import socket

import pytest

from harness import http_doors, wait_for, webhook_channel


@pytest.fixture
def doors(make_gateway, receiver):
    tokens = {"shop-token": {"name": "shop", "scopes": ["send", "read"], "products": ["card-alerts"]},
              "all": {"name": "all", "scopes": ["send", "read", "history", "write", "ops"]}}
    return make_gateway({"webhook": webhook_channel()}, config=http_doors(tokens=tokens)).start()


def test_the_api_answers_over_tcp_to_who_shows_a_token(doors):
    status, headers, _ = doors.http("GET", "/v1/queue", token=None)
    assert status == 401 and headers["WWW-Authenticate"].startswith("Bearer")
    assert headers["Content-Type"] == "application/problem+json"
    assert doors.http_json("GET", "/v1/queue")[1]["admitted"] == 0
    status, problem = doors.http_json("GET", "/v1/queue", token="shop-token")
    assert status == 403 and "has not ops" in problem["detail"]


def test_each_answer_says_that_nobody_may_guess_store_or_frame_it(doors):
    for door, path in (("internal", "/v1/queue"), ("internal", "/nothing"), ("public", "/nothing")):
        _, headers, _ = doors.http("GET", path, door=door)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_the_public_door_knows_nothing_of_the_api(doors):
    assert doors.http("GET", "/v1/queue", door="public")[0] == 404
    assert doors.http("GET", "/metrics", door="public")[0] == 404


def test_both_doors_open_on_ipv6(make_gateway, receiver):
    gateway = make_gateway({"webhook": webhook_channel()}, config=http_doors("::1")).start()
    assert gateway.http("GET", "/v1/queue")[0] == 200
    assert gateway.http("GET", "/p/x", door="public")[0] == 404


def test_a_reload_takes_tokens_over_and_leaves_the_listeners(doors):
    doors.config["http"]["tokens"] = []
    old = doors.config["http"]["internal"]
    doors.config["http"]["internal"] = "127.0.0.1:1"
    doors.write()
    doors.reload()
    doors.config["http"]["internal"] = old
    assert doors.http("GET", "/v1/queue")[0] == 401


def an_address_of_its_own():
    """Of this machine, and not its loopback; "" where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("192.0.2.1", 9))    # nothing is sent
            return one.getsockname()[0]
        except OSError:
            return ""


@pytest.mark.parametrize("trusted", (False, True))
def test_one_address_has_so_many_connections_at_most(make_gateway, receiver, trusted):
    host = an_address_of_its_own()
    if not host or host.startswith("127."):
        pytest.skip("this machine has no address but its loopback")
    gateway = make_gateway({"webhook": webhook_channel()}, config=http_doors(host, trusted_proxies=[host] if trusted else [])).start()
    port = int(gateway.config["http"]["internal"].rpartition(":")[2])
    with contextlib.ExitStack() as held:
        for _ in range(100):
            one = held.enter_context(socket.create_connection((host, port), timeout=60))
            one.sendall(b"GET /healthz HTTP/1.1\r\nHost: heed\r\n\r\n")
            assert one.recv(20).startswith(b"HTTP/1.1 200")
        if trusted:
            assert gateway.http("GET", "/healthz")[0] == 200
        else:
            with pytest.raises((OSError, http.client.HTTPException)):
                gateway.http("GET", "/healthz")
        assert gateway.api("GET", "/v1/queue")[0] == 200     # others are served
    wait_for(lambda: answers(gateway), what="those that ended to make room")


def answers(gateway):
    with contextlib.suppress(OSError, http.client.HTTPException):
        return gateway.http("GET", "/healthz")[0] == 200
    return False


def test_who_made_a_change_over_tcp_is_the_token(doors):
    doors.put({"id": "c-1", "addresses": {"webhook": "http://127.0.0.1:1/"}})
    status, _ = doors.http_json("PUT", "/v1/customers/c-1/preferences/card-alerts", {"channels": ["webhook"]})
    assert status == 200
    assert doors.http_json("GET", "/v1/customers/c-1/preferences/card-alerts")[1]["changed_by"] == "api:all"
