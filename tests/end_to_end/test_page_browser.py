"""The customers' page as people use it: in Chromium, at several widths, light and dark, with JavaScript and without, by
keyboard, and held against the rules of accessibility (axe-core). HEED_SHOTS=FOLDER keeps a picture of every page."""
import os
import pathlib
import subprocess
import threading

import pytest
from selenium.webdriver.common.keys import Keys

import harness
from browser import AXE, Browser
from http_receiver import Answer
from page import chosen, code_sent, expired, link

SHOTS = os.environ.get("HEED_SHOTS")
WIDTHS = (320, 375, 1440)
# What can be tapped and is less than 44 pixels wide or high; a box or radio is as large as its label.
TOO_SMALL = """return [...document.querySelectorAll("a:not(.skip), button, input:not([type=hidden]), select, summary")]
    .filter(e => e.offsetParent).map(e => [e.outerHTML.slice(0, 80), (e.closest("label.tick") || e).getBoundingClientRect()])
    .filter(([, at]) => at.width < 44 || at.height < 44).map(([words, at]) => `${words}: ${at.width} x ${at.height}`)"""


@pytest.fixture(scope="module")
def windows():
    """One with JavaScript and one without, for all tests here."""
    made = {True: Browser(), False: Browser(javascript=False)}
    yield made
    for browser in made.values():
        browser.close()


@pytest.fixture
def browser(windows):
    return windows[True]


@pytest.fixture
def heed(page_heed):
    return page_heed


@pytest.fixture(scope="module")
def axe():
    """Skips, and says so, where axe-core is not there and can't be had: a registry out of reach is no fault of heed."""
    done = subprocess.run(["sh", str(harness.ROOT / "tests/peers/install")], capture_output=True, text=True, timeout=300)
    if not AXE.exists():
        pytest.skip(f"axe-core is not there: {done.stderr.strip()[-200:]}")


def looks_right(browser, name, widths=WIDTHS):
    """Nothing is wider than the window at any width, in either scheme, and axe-core finds no violation."""
    for dark in (False, True):
        for width in WIDTHS if SHOTS else widths:
            browser.size(width, 900, dark)
            assert browser.width_needed() <= width, f"{name} at {width}"
            if SHOTS:
                browser.screenshot(pathlib.Path(SHOTS) / f"{name}-{width}{'-dark' if dark else ''}.png")
        assert browser.axe("color-contrast" if dark else None) == [], f"{name}, {'dark' if dark else 'light'}"
    browser.size(320, 900)
    assert browser.execute(TOO_SMALL) == [], name
    browser.size(1280, 900)


@pytest.mark.parametrize("javascript", (True, False))
def test_choose_reorder_and_save(heed, windows, javascript):
    browser = windows[javascript].open(link(heed).url)
    line = browser.line("Card alerts")
    browser.tick("Text message", line).choose("place-sms", "1", line).choose("place-email", "2", line)
    browser.tick("Monday to Friday", line).choose("digest", "daily", line)
    browser.press("Save", line)
    assert "Saved" in browser.notice() and "This is confirmed: from now on, nothing leaves against it." in browser.notice()
    assert "You get it by text message; if that is not possible, by e-mail." in browser.notice()
    assert "notice" in browser.focused().get_attribute("class") and browser.driver.title.startswith("Saved")
    now = chosen(heed)
    assert (now["channels"], now["hours"], now["digest"]) == (["sms", "email"], "mon-fri 09:00-18:00", "daily 08:00")
    line = browser.line("Card alerts")
    browser.choose("place-email", "1", line).choose("place-sms", "2", line).press("Save", line)
    assert chosen(heed)["channels"] == ["email", "sms"]


def test_the_first_screen_is_the_messages_product_and_one_tap_stops_or_moves_it(heed, browser):
    page = link(heed, product="card-alerts")
    browser.size(375, 667)
    browser.open(page.url)
    for words in ("Stop “Card alerts”", "Send it by text message instead"):
        assert browser.button(words).rect["y"] + browser.button(words).rect["height"] < 667     # without scrolling
    browser.press("Send it by text message instead")
    assert chosen(heed)["channels"] == ["sms"]
    browser.open(page.url).press("Stop “Card alerts”")
    assert "Stopped" in browser.notice() and chosen(heed)["channels"] == []
    browser.size(1280, 900)


def test_pause_and_resume_without_javascript(heed, windows):
    browser = windows[False].open(link(heed, product="card-alerts").url)
    browser.press("A week", browser.find("section.focus"))
    assert "Paused until" in browser.notice() and chosen(heed)["paused_until"]
    line = browser.line("Card alerts")
    browser.press("End the pause", line)
    assert "The pause is over" in browser.notice() and not chosen(heed)["paused_until"]
    line = browser.line("Card alerts")
    browser.press("Pause until then", line)     # no day was given
    assert "We need a day in the future" in browser.notice()


def test_a_second_window_is_told_what_was_changed_meanwhile(heed, windows):
    page = link(heed)
    old, new = windows[False].open(page.url), windows[True].open(page.url)
    line = new.line("Card alerts")
    new.tick("Text message", line).tick("E-mail", line, on=False).press("Save", line)
    line = old.line("Card alerts")
    old.tick("Text message", line).press("Save", line)
    assert "Not saved: this was changed meanwhile" in old.notice()
    assert "You get it by text message." in old.notice() and "on this page" in old.notice()
    assert chosen(heed)["channels"] == ["sms"]
    mine = old.find("section.card")
    assert [box.is_selected() for box in old.all(".channels input", mine)] == [True, True]
    old.press("Save my choice all the same", mine)
    assert "Saved" in old.notice() and sorted(chosen(heed)["channels"]) == ["email", "sms"]


def test_the_language_can_be_changed_and_stays(heed, browser):
    browser.open(link(heed).url).press("Deutsch")
    assert browser.text("h1") == "Ihre Nachrichten von Example Bank" and browser.find("html").get_attribute("lang") == "de"
    line = browser.line("Card alerts")
    browser.tick("SMS", line).press("Speichern", line)
    assert "Gespeichert" in browser.notice()
    for language, words in (("Español", "Sus mensajes"), ("Français", "Vos messages"), ("English", "Your messages")):
        assert words in browser.press(language).text("h1")


def test_the_keyboard_alone_is_enough(heed, browser):
    browser.open(link(heed, product="card-alerts").url).keys(Keys.TAB)
    assert browser.focused().text == "Skip to the content"
    browser.keys(Keys.ENTER)
    for _ in range(20):
        browser.keys(Keys.TAB)
        if browser.focused().text == "Send it by text message instead":
            break
    with browser.next_page():
        browser.keys(Keys.ENTER)
    assert "Changed" in browser.notice() and chosen(heed)["channels"] == ["sms"]


def test_stop_everything_asks_first(heed, browser):
    browser.open(link(heed).url).press("Stop everything")
    assert browser.text("h1") == "Do you really want to stop everything?"
    browser.press("No, go back").press("Stop everything").press("Yes, stop everything")
    assert "Everything is stopped" in browser.notice() and chosen(heed, "*")["channels"] == []


def test_every_page_is_accessible_and_fits_its_window(heed, browser, sms, axe):
    heed.send("ana", product="offers")
    heed.wait_state(heed.send("ana"), "sent")
    browser.open(link(heed, product="card-alerts").url)
    for title in ("Card alerts", "Fraud warnings", "Offers", "Everything else"):
        browser.line(title)
    looks_right(browser, "choices")
    line = browser.line("Card alerts")
    browser.tick("At other times", line).type("hours_own", "never", line).press("Save", line)
    looks_right(browser, "problem")
    browser.press("Send me a code")
    looks_right(browser, "code")
    browser.type("code", code_sent(sms)).press("Continue")
    browser.press("Addresses")
    looks_right(browser, "addresses")
    browser.press("What we sent")
    looks_right(browser, "history")
    browser.press("Your data")
    looks_right(browser, "data")
    browser.press("Erase everything")
    looks_right(browser, "erase")


def test_what_answers_and_what_refuses_is_accessible_too(heed, browser, sms, mail, axe):
    page = link(heed, product="card-alerts")
    browser.open(page.url)
    answers = threading.Event()
    sms.script(harness.TWILIO_PATH, lambda request: (answers.wait(60), Answer(201, {"sid": "SM1"}))[1])
    heed.prefer("ana", "card-alerts", "sms")
    line = browser.line("Card alerts")
    browser.tick("Text message", line).press("Save", line)
    looks_right(browser, "conflict", (320,))
    heed.wait_state(heed.send("ana"), "sending", "in_doubt")
    browser.open(page.url).press("Stop “Card alerts”")
    assert "had already left and may still arrive" in browser.notice()
    answers.set()
    looks_right(browser, "saved", (320,))
    browser.press("Stop everything")
    looks_right(browser, "ask", (320,))
    heed.prefer("ana", "statements", "email")
    heed.wait_state(heed.send("ana", product="statements"), "sent")
    browser.open(mail.mails[-1].message["List-Unsubscribe"][1:-1])
    looks_right(browser, "unsubscribe", (320,))
    browser.press("Yes, stop it")
    looks_right(browser, "unsubscribed", (320,))
    for name, token in (("forged", "nothing"), ("expired", expired(page.path[3:], "ana"))):
        browser.open(f"{heed.config['http']['public_url']}/p/{token}")
        looks_right(browser, name, (320,))


def test_a_language_keeps_the_part_of_the_page(heed, browser):
    browser.open(link(heed, level="full").url + "?view=history").press("Français")
    assert browser.text("h1") == "Ce que nous vous avons envoyé"


@pytest.mark.parametrize("language", ("de", "es", "fr"))
def test_no_word_of_a_language_is_wider_than_a_small_window(heed, browser, language):
    page = link(heed, product="card-alerts", level="full").url
    browser.size(320, 900)
    for view in ("", "&view=addresses", "&view=history", "&view=data", "&view=erase", "&ask=stop"):
        browser.open(f"{page}?lang={language}{view}")
        for line in browser.all("summary"):
            line.click()
        assert browser.width_needed() <= 320, view
        assert browser.execute(TOO_SMALL) == [], view
    browser.size(1280, 900)
