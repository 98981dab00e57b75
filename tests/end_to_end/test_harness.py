"""The harness itself: what the other tests rely on when they script a peer that misbehaves."""
import http.client
import smtplib
import socket
import time

import pytest

import harness
from http_receiver import Answer, redirect, retry_after
from smtp_servers import CLOSE, RESET, STALL, Dialogue, Say


# --- waiting ---

def test_a_wait_in_vain_ends_and_says_for_what():
    with pytest.raises(AssertionError, match="the moon"):
        harness.wait_for(lambda: 0, seconds=0.1, what="the moon")


def test_configurations_are_merged_key_by_key():
    assert harness.merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 4}, "d": None}) == {"a": {"b": 4, "c": 2}}


# --- Redis ---

def test_redis_keeps_everything_when_it_is_killed(redis):
    redis.client.xadd("s", {"f": "v"})
    redis.restart()
    assert redis.client.xlen("s") == 1


# --- the receiver ---

def post(receiver, path="/hook", body=b"{}", connection=None):
    connection = connection or http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=5)
    connection.request("POST", path, body, {"X-Test": "ñ".encode().decode("latin-1")})
    answer = connection.getresponse()
    return answer.status, dict(answer.headers), answer.read()


def test_a_request_is_recorded_with_its_time(receiver):
    before = time.monotonic()
    assert post(receiver, "/a?b=c", b'{"d":1}')[0] == 200
    request, = receiver.to("/a")
    assert before <= request.at <= time.monotonic()
    assert (request.method, request.path, request.query, request.json) == ("POST", "/a", {"b": "c"}, {"d": 1})


def test_a_script_is_played_step_by_step_and_its_last_step_stays(receiver):
    receiver.script("/hook", Answer(500), retry_after(7), lambda request: Answer(201, {"len": len(request.body)}))
    assert [post(receiver)[0] for _ in range(2)] == [500, 429]
    assert post(receiver, body=b"1234")[2] == b'{"len": 4}'
    assert post(receiver)[0] == 201
    assert post(receiver, "/other")[0] == 200
    assert receiver.requests[1].answer.headers == {"Retry-After": "7"}


def test_requests_on_one_connection_have_its_number(receiver):
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=5)
    post(receiver, connection=connection)
    post(receiver, connection=connection)
    post(receiver)
    first, second, third = receiver.requests
    assert first.connection == second.connection != third.connection


def test_a_redirect_names_its_place(receiver):
    receiver.script("/hook", redirect("http://127.0.0.1/elsewhere"))
    status, headers, _ = post(receiver)
    assert (status, headers["Location"]) == (302, "http://127.0.0.1/elsewhere")


@pytest.mark.parametrize("cut, seen", [("before", 1), ("after", 1), ("status", 1), ("body", 1)])
@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_is_cut_where_the_script_says(receiver, cut, seen, reset):
    receiver.script("/hook", Answer(200, "0123456789", cut=cut, reset=reset))
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        post(receiver)
    harness.wait_for(lambda: len(receiver.requests) == seen)
    assert receiver.requests[0].body == (b"" if cut == "before" else b"{}")


def test_a_connection_is_cut_before_it_is_read(receiver):
    receiver.cut_connections(1)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        post(receiver)
    assert post(receiver)[0] == 200
    assert len(receiver.requests) == 1


def test_an_answer_is_late_or_comes_byte_by_byte(receiver):
    receiver.script("/hook", Answer(delay=0.2), Answer(204, byte_by_byte=0.002))
    for expected in (200, 204):
        before = time.monotonic()
        assert post(receiver)[0] == expected
        assert time.monotonic() - before > 0.1


def test_a_body_never_ends(receiver):
    receiver.script("/hook", Answer(endless=True))
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=5)
    connection.request("POST", "/hook", b"{}")
    answer = connection.getresponse()
    assert len(answer.read(1000)) == 1000
    connection.close()


def test_nonsense_is_sent_as_it_is(receiver):
    receiver.script("/hook", Answer(raw=b"what?\r\n\r\n"))
    with pytest.raises(http.client.BadStatusLine):
        post(receiver)


def test_a_receiver_that_is_down_refuses_and_comes_back_on_its_port(receiver):
    port = receiver.port
    receiver.down()
    with pytest.raises(ConnectionRefusedError):
        post(receiver)
    receiver.up()
    assert receiver.port == port
    assert post(receiver)[0] == 200


# --- mail ---

def send_mail(server, to="ana@example.com", session=None):
    client = session or smtplib.SMTP("127.0.0.1", server.port, timeout=5)
    client.sendmail("bounces@example.com", [to], b"Subject: hi\r\n\r\n.one dot\r\n")
    return client


def test_the_mail_server_keeps_what_it_takes(mail):
    client = send_mail(mail)
    send_mail(mail, "bo@example.com", client).quit()
    send_mail(mail).quit()
    first, second, third = mail.mails
    assert (first.sender, first.recipients) == ("bounces@example.com", ["ana@example.com"])
    assert first.message["subject"] == "hi" and first.content.endswith(b"\r\n.one dot\r\n")
    assert first.session == second.session != third.session
    assert len(mail.to("bo@example.com")) == 1


def test_the_mail_server_refuses_a_recipient_and_a_body(mail):
    mail.refuse["no@example.com"] = "550 5.1.1 no such user"
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send_mail(mail, "no@example.com")
    mail.answer = "451 4.3.0 later"
    with pytest.raises(smtplib.SMTPDataError):
        send_mail(mail)
    assert mail.mails == []


def test_the_mail_server_goes_down_and_comes_back_on_its_port(mail):
    client, port = send_mail(mail), mail.port
    mail.down()
    with pytest.raises((smtplib.SMTPException, OSError)):
        send_mail(mail, session=client)
    with pytest.raises(ConnectionRefusedError):
        send_mail(mail)
    mail.up()
    assert mail.port == port
    send_mail(mail)
    assert len(mail.mails) == 2


# --- the scripted dialogue ---

def test_a_dialogue_is_played_and_written_down(smtp):
    server = smtp(Dialogue())
    send_mail(server).quit()
    session, = server.sessions
    assert [c.split(" ")[0].split(":")[0].upper() for c in session.commands] == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]
    assert session.said[0] == ("S", "220 mail.test ESMTP")
    assert server.bodies == [b"Subject: hi\r\n\r\n..one dot\r\n"]


@pytest.mark.parametrize("step", ["connect", "EHLO", "MAIL", "RCPT", "DATA", "body"])
@pytest.mark.parametrize("how", [CLOSE, RESET])
def test_a_dialogue_is_closed_at_any_step(smtp, step, how):
    server = smtp(Dialogue(**{step: how, "HELO": how}))
    with pytest.raises((smtplib.SMTPException, OSError)):
        send_mail(server)
    harness.wait_for(lambda: server.sessions[0].ended)
    assert len(server.bodies) == (step == "body")


def test_a_dialogue_is_closed_in_the_middle_of_the_body(smtp):
    server = smtp(Dialogue(cut_in_body=10))
    with pytest.raises((smtplib.SMTPException, OSError)):
        send_mail(server)
    assert server.bodies == [] and len(server.sessions[0].cut_body) >= 10


def test_answers_change_from_command_to_command_and_from_connection_to_connection(smtp):
    server = smtp(Dialogue(RCPT=["550 5.1.1 no", "250 ok"]), Dialogue(connect="421 4.3.2 closing"))
    client = smtplib.SMTP("127.0.0.1", server.port, timeout=5)
    client.ehlo()
    client.mail("a@example.com")
    assert client.rcpt("b@example.com")[0] == 550
    assert client.rcpt("c@example.com")[0] == 250
    with pytest.raises(smtplib.SMTPConnectError):
        smtplib.SMTP("127.0.0.1", server.port, timeout=5)


def test_a_dialogue_goes_byte_by_byte_late_or_nowhere(smtp):
    server = smtp(Dialogue(byte_by_byte=0.001, MAIL=Say("250 ok", delay=0.1)), Dialogue(MAIL=STALL))
    before = time.monotonic()
    send_mail(server).quit()
    assert time.monotonic() - before > 0.15
    client = smtplib.SMTP("127.0.0.1", server.port, timeout=0.3)
    client.ehlo()
    with pytest.raises((smtplib.SMTPServerDisconnected, socket.timeout)):
        client.mail("a@example.com")


# --- the gateway ---

def test_a_gateway_starts_answers_and_stops(make_gateway, receiver):
    gateway = make_gateway({"webhook": harness.webhook_channel()},
                           products={"card-alerts": {"title": {"en": "Card"}, "purpose": "service", "channels": ["webhook"],
                                                     "default": ["webhook"]}}).start()
    assert gateway.api("GET", "/v1/queue")[0] == 200
    assert gateway.sum_holds()["admitted"] == 0
    assert gateway.cli("prefer").returncode == 2
    assert gateway.stop() == 0
    assert gateway.log_lines()


def test_the_path_from_xadd_to_all_three_channels(heed, receiver, sms, mail):
    heed.put({"id": "c-1", "name": "Ana", "locale": "es", "addresses": {"email": "ana@example.com", "sms": "+5491155550100",
                                                                       "webhook": {"url": receiver.url + "/hook"}}})
    sent = {}
    for channel in ("email", "sms", "webhook"):
        heed.prefer("c-1", "card-alerts", channel)
        sent[channel] = heed.send("c-1")
        heed.wait_state(sent[channel], "sent", "delivered")
    assert mail.to("ana@example.com")[0].message["subject"] == "Pagaste 12.50"
    assert sms.to(harness.TWILIO_PATH)[0].form["Body"] == "Pagaste 12.50"
    assert receiver.to("/hook")[0].json == {"id": sent["webhook"], "amount": "12.50"}
    assert harness.wait_for(lambda: heed.event_types(sent["sms"])[-1:] == ["heed.message.sent"])
    assert heed.wait_settled()["admitted"] == 3
    assert [c["channel"] for c in heed.contacts(sent["sms"])] == ["sms"]


def test_a_message_that_nobody_understands_is_dead(heed):
    heed.xadd("not json")
    letter, = harness.wait_for(heed.dead)
    assert letter["message"] == "not json" and letter["error"] and letter["stream"] == "heed:outbound"
