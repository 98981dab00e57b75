"""The customers' page and one-click unsubscribe as HTTP: what opens and what does not, what a form does, what it leaves."""
import base64
import concurrent.futures
import json
import re

import pytest

import harness
from harness import wait_for
from http_receiver import Answer
from page import ANA, TEMPLATES, Page, chosen, code_sent, codes, expired, forms, link

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def heed(page_heed):
    return page_heed


def mailed(heed, mail, **more):
    """The mail of a message to ana."""
    message = heed.send("ana", **more)
    heed.wait_state(message, "sent")
    return mail.mails[-1].message


def body(message):
    return message.get_body(("plain",)).get_content()


def changes(heed, product):
    """What the log of changes says of the choice, oldest first."""
    rows = heed.rows(f"SELECT changed_by, source, evidence FROM change_log WHERE kind = 0 AND subject = '{product}' ORDER BY seq")
    return [(by, source, json.loads(evidence) if evidence else None) for by, source, evidence in rows]


# --- links ---

def test_a_message_brings_a_short_link_to_its_product(heed, mail, sms):
    page = Page(heed, re.search(r"Choose: (\S+)", body(mailed(heed, mail)))[1])
    assert len(page.path) <= 40
    assert page.get().status == 200
    assert "The message that brought you here was about" in page.text and "<h2 id=\"focus\">Card alerts</h2>" in page.text
    heed.prefer("ana", "card-alerts", "sms")
    heed.wait_state(heed.send("ana"), "sent")
    assert "%2Fp%2F" in wait_for(lambda: sms.requests)[-1].body.decode()


def test_a_link_is_made_by_the_command_and_by_the_api(heed):
    assert Page(heed, heed.cli_ok("link", "ana").strip()).get().status == 200
    full = heed.cli_object("link", "ana", "--level", "full", "--product", "offers")
    assert full["level"] == "full" and full["product"] == "offers" and Page(heed, full["url"]).get().status == 200
    assert heed.http_json("POST", "/v1/customers/nobody/link", {})[0] == 404
    assert heed.http_json("POST", "/v1/customers/ana/link", {"level": "all"})[0] == 422
    assert heed.http_json("POST", "/v1/customers/ana/link", {"days": 3})[0] == 422
    heed.stop()
    assert "/p/" in heed.cli_ok("link", "ana")     # also while no gateway runs


def test_what_is_forged_cut_another_customers_or_another_levels_opens_nothing(heed):
    heed.put({"id": "bob", "name": "Bob Secret", "addresses": {"email": "bob@example.com"}})
    good, bob = link(heed), link(heed, "bob")
    token, other = good.path[3:], bob.path[3:]
    raw, raw_other = base64.urlsafe_b64decode(token), base64.urlsafe_b64decode(other)
    forged = [token[:-1], token + "A", token[:-1] + ("A" if token[-1] != "A" else "B"), "A" * 36, "x", "%2e%2e", "",
              base64.urlsafe_b64encode(raw[:1] + raw_other[1:6] + raw[6:]).decode(),       # bob's row, ana's MAC
              base64.urlsafe_b64encode(bytes([2]) + raw[1:]).decode(),                     # full in the place of choose
              base64.urlsafe_b64encode(raw[:12] + b"\xff\xff\xff" + raw[15:]).decode()]    # for ever
    answers = set()
    for one in forged:
        for door in ("p", "u"):
            status, headers, body = heed.http("GET", f"/{door}/{one}", door="public")
            assert status in (400, 404), one
            assert b"Bob" not in body and b"Ana" not in body and b"example.com" not in body
            if headers["Content-Type"].startswith("text/html"):
                answers.add(re.sub(rb"A*[\w%-]*\?lang=|action=\"[^\"]*\"", b"", body))
    assert len(answers) == 1     # and all of them say the same
    assert heed.http("GET", f"/u/{token}", door="public")[0] == 404
    assert heed.http("POST", f"/u/{token}", b"List-Unsubscribe=One-Click", door="public",
                     headers={"Content-Type": "application/x-www-form-urlencoded"})[0] == 404


def test_a_link_that_was_cut_short_is_a_page_for_people_and_a_problem_for_programs(heed):
    for path in ("/", "/p", "/p/", "/u/"):
        status, headers, text = heed.http("GET", path + "?lang=de", door="public", headers={"Accept": "text/html,*/*;q=0.8"})
        assert status == 404 and headers["Content-Type"].startswith("text/html") and "Dieser Link funktioniert nicht" in text.decode()
        assert heed.http("GET", path, door="public")[1]["Content-Type"] == "application/problem+json"
    assert heed.http("GET", "/p/", headers={"Accept": "text/html"})[1]["Content-Type"] == "application/problem+json"    # the API's door


def test_secrets_rotate_without_breaking_links(heed):
    old = link(heed)
    form = old.get().form("stop", product="card-alerts")
    heed.config["secrets"] = ["a newer secret of thirty-two bytes or more", harness.SECRET]
    heed.write()
    heed.reload()
    assert old.get().status == 200
    assert old.post(form).status == 200     # a form that stood open too
    assert link(heed).path[3 + 20:] != old.path[3 + 20:]
    heed.config["secrets"] = ["a newer secret of thirty-two bytes or more"]
    heed.write()
    heed.reload()
    assert old.get().status == 404


def test_the_pages_headers_keep_it_to_itself(heed):
    headers = link(heed).get().headers
    assert "script" not in headers["Content-Security-Policy"] and "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"] and "'unsafe-inline'" not in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer" and headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff" and "Set-Cookie" not in headers
    page = link(heed).get()
    assert "<script" not in page.text and " style=" not in page.text and " on" + "click" not in page.text


# --- forms ---

def test_a_form_from_elsewhere_changes_nothing(heed):
    page, other = link(heed), link(heed, product="offers")
    form = page.get().form("stop", product="card-alerts")
    assert page.post({**form, "form": ""}).status == 403
    assert page.post({**form, "form": "A" * 20}).status == 403
    assert page.post({**form, "product": "statements"}).status == 403       # a form's token is its own
    assert other.post(form).status == 403                                   # and its link's
    assert page.post(form, **{"Sec-Fetch-Site": "cross-site"}).status == 403
    assert page.post(b"\xff=%zz").status == 400
    assert page.post(json.dumps(form).encode(), "application/json").status == 400
    assert chosen(heed)["version"] == 0
    assert page.post(form).status == 200
    assert chosen(heed)["channels"] == []


def test_a_change_is_kept_with_what_was_shown_and_how_it_was_given(heed):
    page = link(heed, product="card-alerts").get("?lang=es")
    page.path += "?lang=es"
    page.press("move:sms", product="card-alerts")
    assert chosen(heed)["channels"] == ["sms"] and chosen(heed)["changed_by"] == "page"
    by, source, evidence = changes(heed, "card-alerts")[-1]
    assert (by, source, evidence["how"], evidence["locale"], evidence["link"]) == ("page", "page", "one tap", "es", "choose")
    (kept,) = heed.rows(f"SELECT name, source FROM template WHERE hash = '{evidence['wording']}'")
    assert kept[0] == "page es" and "Avisos" not in kept[1] and "Guardar" in kept[1]


def test_hours_that_cannot_be_read_are_answered_with_the_right_form_and_kept_as_typed(heed):
    page = link(heed).get()
    page.press("save", product="card-alerts", hours="other", hours_own="half past nine")
    assert page.status == 422 and "half past nine" in page.text and "mon-fri 09:00-20:00" in page.text
    assert chosen(heed)["version"] == 0
    page.press("save", product="card-alerts", hours="other", hours_own="Mon-Fri 9:00-20:00")
    assert page.status == 200 and chosen(heed)["hours"] in ("mon-fri 9:00-20:00", "mon-fri 09:00-20:00")


def test_a_time_that_cannot_be_read_is_not_taken_for_another(heed):
    page = link(heed).get()
    for typed in ("", "7pm", "25:00", "08:00:00x"):
        page.press("save", product="card-alerts", digest="daily", digest_time=typed)
        assert page.status == 422 and "We need a time of day, like 08:00." in page.text and chosen(heed)["version"] == 0, typed
    page.press("save", product="card-alerts", digest="daily", digest_time="07:30")
    assert page.status == 200 and chosen(heed)["digest"] == "daily 07:30"
    page.press("save", product="card-alerts", digest="immediate", digest_time="")     # where none is wanted
    assert page.status == 200 and chosen(heed)["digest"] == "immediate"


def test_the_days_are_those_of_the_language(heed):
    page = link(heed)
    page.path += "?lang=de"
    page.get().press("save", product="card-alerts", hours="other", hours_own="mo-fr 9:00-20:00, Sa 10:00-14:00")
    assert page.status == 200
    assert chosen(heed)["hours"] == "mon-fri 9:00-20:00, sat 10:00-14:00"
    assert "mo-fr 09:00-20:00, sa 10:00-14:00" in page.text


def test_what_may_not_be_stopped_has_no_button_for_it_and_refuses(heed):
    page = link(heed, product="legal").get()
    assert "We are obliged to send you this" in page.text
    with pytest.raises(AssertionError):
        page.form("stop", product="legal")
    form = {**page.form("save", product="legal"), "do": "stop"}
    assert page.post(form).status == 422
    page.get().press("save", product="legal", **{"on-email": None})
    assert page.status == 422 and "At least one way has to be ticked" in page.text
    assert chosen(heed, "legal")["version"] == 0


def test_a_save_that_changes_nothing_chooses_nothing(heed):
    page = link(heed).get().press("save", product="card-alerts")
    assert page.status == 200
    assert chosen(heed)["channels"] == ["email"] and chosen(heed)["source"] == "default"


def test_advertising_is_asked_for_on_the_page_and_by_nobody_else(heed):
    page = link(heed, product="offers").get()
    assert "This is advertising. You get it only if you ask for it here." in page.text
    page.press("move:email", product="offers")
    assert page.status == 200 and chosen(heed, "offers")["channels"] == ["email"]
    heed.wait_state(heed.send("ana", product="offers"), "sent", "deferred")


def test_a_part_follows_its_product_again(heed):
    page = link(heed).get().press("save", product="card-alerts/fraud", **{"on-sms": "yes", "on-email": None})
    assert chosen(heed, "card-alerts%2Ffraud")["channels"] == ["sms"]
    page.press("follow", product="card-alerts/fraud")
    assert page.status == 200 and chosen(heed, "card-alerts%2Ffraud")["source"] == "default"


def test_everything_else_has_a_line_of_its_own(heed):
    page = link(heed).get().press("save", product="*", **{"on-sms": "yes"})
    assert page.status == 200 and chosen(heed, "*")["channels"] == ["sms"]
    assert chosen(heed)["source"] == "*" and "It follows your choice for everything else." in page.text
    page.press("save", product="statements", **{"on-sms": "yes", "on-email": "yes", "place-email": "1", "place-sms": "2"})
    assert chosen(heed, "statements")["channels"] == ["email", "sms"]
    page.press("follow", product="statements")
    assert page.status == 200 and chosen(heed, "statements")["source"] == "*"


def test_everything_is_stopped_after_it_was_asked_once_more(heed):
    heed.prefer("ana", "offers", "email")
    heed.prefer("ana", "legal", "sms")
    page = link(heed).get("?ask=stop")
    assert "Do you really want to stop everything?" in page.text and "Changes to your contract" in page.text
    page.press("stop-all")
    assert page.status == 200 and "Everything is stopped" in page.text
    assert "This cannot be stopped" in page.text.split("<section")[0] and "Changes to your contract" in page.text
    assert chosen(heed, "*")["channels"] == [] and chosen(heed, "offers")["channels"] == []
    assert chosen(heed, "legal")["channels"] == ["sms"]
    assert changes(heed, "*")[-1][0] == "page"


def test_when_the_promise_cannot_be_kept_it_says_so(heed):
    """The store is held by somebody else for longer than a change may take."""
    page = link(heed).get()
    form = page.form("stop", product="card-alerts")
    with harness.store_held(heed.store):
        page.post(form)
        assert page.status == 503 and "nothing was changed" in page.text
        assert heed.http_json("PUT", "/v1/customers/ana/preferences/statements", {"channels": []})[0] == 503
    assert chosen(heed, "statements")["version"] == 0
    wait_for(lambda: page.post(form).status == 200, what="the store to be free again")


# --- one-click unsubscribe ---

def unsubscribe(message):
    return re.fullmatch(r"<(http\S+)>", message["List-Unsubscribe"])[1]


def test_a_mail_that_may_be_stopped_has_the_headers_for_it(heed, mail):
    message = mailed(heed, mail)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert unsubscribe(message).startswith(heed.config["http"]["public_url"] + "/u/")
    assert message["List-Id"] == "<card-alerts.example.com>"
    part = mailed(heed, mail, product="card-alerts/fraud")
    assert part["List-Id"] == "<fraud.card-alerts.example.com>"
    legal = mailed(heed, mail, product="legal")
    assert legal["List-Unsubscribe"] is None and legal["List-Id"] is None
    assert body(legal).rstrip("\r\n").endswith("Stop: ")


@pytest.mark.parametrize("multipart", (False, True))
def test_one_click_stops_the_product_on_all_its_channels_and_nothing_else(heed, mail, multipart):
    heed.prefer("ana", "card-alerts", "email", "sms")
    heed.prefer("ana", "statements", "email")
    page = Page(heed, unsubscribe(mailed(heed, mail)))
    if multipart:
        page.post(b"--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n", "multipart/form-data; boundary=b")
    else:
        page.post(ONE_CLICK)
    assert page.status == 200 and "Location" not in page.headers and "Set-Cookie" not in page.headers
    assert chosen(heed)["channels"] == [] and chosen(heed)["changed_by"] == "unsubscribe"
    assert chosen(heed, "statements")["channels"] == ["email"] and chosen(heed, "*")["version"] == 0
    assert changes(heed, "card-alerts")[-1][2]["how"] == "one-click (RFC 8058)"
    heed.wait_state(heed.send("ana"), "suppressed")
    assert page.post(ONE_CLICK).status == 200     # once more does no harm
    assert chosen(heed)["version"] == 2


def test_a_get_asks_first_and_a_post_without_the_word_does_nothing(heed, mail):
    page = Page(heed, unsubscribe(mailed(heed, mail))).get()
    assert page.status == 200 and "Stop “Card alerts”?" in page.text
    assert page.post({"List-Unsubscribe": "Maybe"}).status == 400
    assert chosen(heed)["version"] == 0
    page.get().press("stop")
    assert page.status == 200 and "“Card alerts” is stopped" in page.text
    assert changes(heed, "card-alerts")[-1][2]["how"] == "unsubscribe page"


def test_without_a_public_listener_there_are_no_links(make_gateway, mail):
    heed = make_gateway({"email": harness.email_channel(mail)}, products={"card-alerts": {"channels": ["email"], "default": ["email"]}},
                        templates=TEMPLATES).start()
    heed.put(ANA | {"addresses": {"email": "ana@example.com"}})
    message = mailed(heed, mail)
    assert message["List-Unsubscribe"] is None
    assert "Choose:  Stop: " in body(message)
    done = heed.cli("link", "ana")
    assert done.returncode == 1 and "http.public" in done.stderr


# --- with a code: addresses, history ---

def opened(heed, sms):
    """The page with everything, opened by a code."""
    page = link(heed).get().press("code", channel="sms")
    assert page.status == 200 and "We have sent a code by text message." in page.text
    page.press("open", code=code_sent(sms))
    assert page.status == 303, page.text
    page.path = "/p/" + page.headers["Location"]
    return page.get()


def test_a_code_opens_the_rest_once_and_is_no_message_of_a_product(heed, sms):
    page = link(heed).get()
    assert "+346" not in page.text and "ana@example.com" not in page.text and page.get("?view=history").text.count("<h1>What we sent") == 0
    page.get().press("code", channel="sms")
    form = page.form("open")
    code = code_sent(sms)
    assert page.post({**form, "code": "000000" if code != "000000" else "000001"}).status == 422
    assert "This code is not right" in page.text
    assert page.post({**form, "code": f"{code[:3]} {code[3:]}"}).status == 303
    full = Page(heed, "/p/" + page.headers["Location"]).get("?view=history")
    assert full.status == 200 and "Your access to this page" in full.text and code not in full.text
    assert page.post({**form, "code": code}).status == 422     # it is used up
    line = heed.cli_json("log")[-1]
    assert (line["channel"], line["product"], line["summary"], line["reason"]["code"]) == ("sms", "", "", "asked")
    assert heed.sum_holds()


def test_a_code_is_good_for_its_link_and_five_tries(heed, sms):
    page, other = link(heed).get(), link(heed, product="offers")
    page.press("code", channel="sms")
    form, code = page.form("open"), code_sent(sms)
    assert other.post({**form, "code": code}).status == 403
    for _ in range(5):
        assert page.post({**form, "code": "x"}).status == 422
    page.post({**form, "code": code})
    assert page.status == 422 and "not valid any more" in page.text
    assert page.post({**form, "ticket": "A" * 36, "code": code}).status == 422


def test_codes_are_sent_five_times_an_hour_and_not_oftener(heed, sms):
    page = link(heed)
    for _ in range(5):
        assert page.get().press("code", channel="sms").status == 200
    assert page.get().press("code", channel="sms").status == 429
    assert len(wait_for(lambda: codes(sms) if len(codes(sms)) == 5 else None)) == 5


def test_no_code_goes_where_somebody_said_stop(heed, sms):
    heed.stop()
    harness.change_store(heed.store, "UPDATE address SET state = 2, moved = 1 WHERE channel = 'sms'")
    heed.start()
    page = link(heed).get()
    form = page.form("code")
    assert form["channel"] == "email"
    assert page.post({**form, "channel": "sms"}).status == 422
    full = link(heed, level="full").get("?view=addresses")
    assert "you said STOP there" in full.text
    heed.put({"id": "bob", "addresses": {"email": "bob@example.com"}})
    bob = link(heed, "bob", level="full").get("?view=addresses").press("add", channel="sms", address="+34600000100")
    assert bob.status == 409 and "STOP" in bob.text


def test_a_new_address_is_confirmed_by_a_code_and_used_first(heed, sms):
    page = opened(heed, sms).get("?view=addresses")
    assert "+346…0100" in page.text and "a…@example.com" in page.text and "+34600000100" not in page.text
    page.press("add", channel="sms", address="no number")
    assert page.status == 422 and "Write it with + and the country code" in page.text
    page.get("?view=addresses").press("add", channel="sms", address="+34 600 000 200")
    assert page.status == 200
    assert heed.api("GET", "/v1/customers/ana")[1]["addresses"]["sms"] == "+34600000100"
    page.press("confirm", code=code_sent(sms, 2))
    assert page.status == 200 and "The new address is in use" in page.text
    assert heed.api("GET", "/v1/customers/ana")[1]["addresses"]["sms"] == ["+34600000200", "+34600000100"]
    assert "+34600000200" in sms.requests[-1].body.decode().replace("%2B", "+")
    page.press("remove", channel="sms")
    assert page.status == 200 and heed.api("GET", "/v1/customers/ana")[1]["addresses"]["sms"] in ("+34600000100", ["+34600000100"])
    kept = heed.rows("SELECT changed_by, source, evidence FROM change_log WHERE kind = 1 ORDER BY seq")
    assert [(by, source) for by, source, _ in kept[-2:]] == [("page", "page:full")] * 2
    assert json.loads(kept[-2][2])["how"] == "address, confirmed by a code"


def test_addresses_that_are_removed_in_two_windows_at_once_are_both_gone(heed):
    numbers = [f"+346000001{n:02}" for n in range(8)]
    heed.put({**ANA, "addresses": {"sms": numbers}})
    page = link(heed, level="full").get("?view=addresses")
    asked = [form for form in forms(page.text) if "remove" in form.buttons][:6]
    with concurrent.futures.ThreadPoolExecutor(len(asked)) as windows:
        done = list(windows.map(lambda form: Page(heed, page.url).post({**form.fields, "do": "remove"}).status, asked))
    assert done == [200] * 6 and heed.api("GET", "/v1/customers/ana")[1]["addresses"]["sms"] == numbers[6:]


def test_an_address_that_is_dead_stays_so_when_another_is_written(heed, sms):
    page = opened(heed, sms)
    sms.script(harness.TWILIO_PATH, lambda request: Answer(400, {"code": 21211, "message": "no such number"})
               if request.form["To"] == "+34600000100" else Answer(201, {"sid": f"SM{len(sms.requests)}"}))
    heed.prefer("ana", "card-alerts", "sms")
    heed.wait_state(heed.send("ana"), "failed")
    page.get("?view=addresses").press("add", channel="sms", address="+34600000200")
    page.press("confirm", code=code_sent(sms, 2))
    assert page.status == 200 and "The new address is in use" in page.text
    states = dict(heed.rows("SELECT value, state FROM address WHERE channel = 'sms'"))
    assert states == {"+34600000100": 1, "+34600000200": 0}


def test_what_hangs_on_a_link_does_no_harm(heed):
    for more in ("?utm_source=a&utm_source=b", "?x=%", "?" + "&".join(f"p{i}=1" for i in range(100))):
        assert link(heed).get(more).status == 200, more
    for before in ("x", "-1", "9" * 30):
        assert link(heed, level="full").get("?view=history&before=" + before).status == 200


def test_what_was_sent_and_what_was_not_is_told_with_the_reason(heed):
    heed.wait_state(heed.send("ana"), "sent")
    heed.wait_state(heed.send("ana", product="offers"), "suppressed")
    heed.cli_ok("prefer", "ana", "statements", "--pause-until", "3d")
    heed.wait_state(heed.send("ana", product="statements"), "deferred")
    page = link(heed, level="full").get("?view=history")
    assert "This has not left yet." in page.text and "You paused it until" in page.text
    assert "Payment of 12.50" in page.text and "a…@example.com" in page.text
    assert "not sent" in page.text and "It is advertising, and you had not asked for it." in page.text
    german = page.get("?view=history&lang=de")
    assert "Es ist Werbung, und Sie hatten sie nicht bestellt." in german.text and "<html lang=\"de\">" in german.text


def test_only_what_was_asked_for_on_the_page_is_called_access_to_it(heed):
    heed.http_json("POST", "/v1/contacts", {"customer": "ana", "channel": "voice", "text": "Asked for a new card."})
    page = link(heed, level="full").get("?view=history")
    assert "<strong>In general</strong>: Asked for a new card." in page.text and "Your access to this page" not in page.text


def test_a_line_says_that_it_is_paused_before_it_is_opened_and_not_once_it_is_stopped(heed):
    heed.api("PUT", "/v1/customers/ana/preferences/statements", {"channels": ["email"], "paused_until": "2099-01-01T12:00:00Z"})
    page = link(heed).get()
    assert "You get it by e-mail. Paused until 1 January 2099, 13:00.</span></span></summary>" in page.text
    page.press("stop", product="statements")
    assert page.status == 200 and "Paused until" not in page.text


def test_all_that_is_known_is_downloaded_and_erased(heed):
    page = link(heed, level="full").get("?view=data")
    assert "Download everything" in page.text
    page.press("export")
    assert page.status == 200 and "attachment" in page.headers["Content-Disposition"]
    assert "ana@example.com" in page.text and json.loads(page.text)
    page.get("?view=erase")
    assert "Do you really want to erase everything?" in page.text
    page.press("erase")     # without the tick
    assert page.status == 200 and "Do you really" in page.text
    page.press("erase", sure="yes")
    assert page.status == 200 and "Everything is erased" in page.text
    assert page.get().status == 404 and heed.api("GET", "/v1/customers/ana")[0] == 404


def test_an_expired_link_offers_a_new_one_to_the_same_address(heed, mail, sms):
    heed.prefer("ana", "card-alerts", "sms")
    heed.wait_state(heed.send("ana"), "sent")
    body_sent = wait_for(lambda: sms.requests)[-1].body.decode()
    token = re.search(r"%2Fp%2F([\w-]{36})", body_sent)[1]
    old = expired(token, "ana")
    page = Page(heed, "/p/" + old).get()
    assert page.status == 410 and "+346…0100" in page.text
    assert page.post({"do": "stop", "product": "card-alerts"}).status == 410     # nothing but a new link
    assert chosen(heed)["channels"] == ["sms"]
    page.get().press("new-link")
    assert page.status == 200 and "+346…0100" in page.text
    sent = wait_for(lambda: sms.requests[-1].body.decode() if len(sms.requests) > 1 else None)
    new = re.search(r"%2Fp%2F([\w-]{36})", sent)[1]
    assert "new%20link" in sent and Page(heed, "/p/" + new).get().status == 200
    heed.put(ANA | {"addresses": {"email": "ana@example.com"}})
    gone = Page(heed, "/p/" + old).get()
    assert gone.status == 410 and "+346" not in gone.text
    full = Page(heed, "/p/" + expired(link(heed, level="full").path[3:], "ana")).get()
    assert full.status == 410 and "view=history" not in full.text     # no links to what it does not open
