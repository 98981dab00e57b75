"""Chromium, driven by WebDriver: a window of its own with a profile of its own, which talks to nobody but 127.0.0.1."""
import base64
import contextlib
import json
import os
import pathlib
import shutil
import tempfile

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from harness import wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
AXE = ROOT / "build/peers/node_modules/axe-core/axe.min.js"
SWITCHES = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--disable-dev-shm-usage", "--no-proxy-server", "--lang=en-GB")


class Browser:
    """`javascript=False`: the page's own may not run (WebDriver's still does)."""

    def __init__(self, javascript=True, width=1280, height=900, dark=False):
        self.profile = tempfile.mkdtemp(prefix="heed-browser-", dir="/tmp")
        options = Options()
        options.binary_location = shutil.which("chromium")
        for switch in (*SWITCHES, f"--user-data-dir={self.profile}"):
            options.add_argument(switch)
        if not javascript:
            options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
        self.driver = webdriver.Chrome(service=Service(shutil.which("chromedriver"), log_path=os.devnull), options=options)
        self.driver.set_page_load_timeout(60)
        self.size(width, height, dark)

    def close(self):
        with contextlib.suppress(Exception):
            self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    def size(self, width, height, dark=False):
        """Of the page itself, narrower than a window could be."""
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                    {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})

    # --- what a person does ---

    def open(self, url):
        self.driver.get(url)
        return self

    def find(self, css, inside=None):
        return (inside or self.driver).find_element(By.CSS_SELECTOR, css)

    def all(self, css, inside=None):
        return (inside or self.driver).find_elements(By.CSS_SELECTOR, css)

    def button(self, words, inside=None):
        """The one visible button or link of these words."""
        for element in self.all("button, a", inside):
            if element.is_displayed() and element.text.strip() == words:
                return element
        raise AssertionError(f"there is no button “{words}” on: {self.text()}")

    def press(self, words, inside=None):
        """And waits for the page that comes: each button and link here leads to one."""
        with self.next_page():
            self.button(words, inside).click()
        return self

    @contextlib.contextmanager
    def next_page(self):
        self.driver.execute_script("window.heedBefore = true")
        yield
        wait_for(self._has_come, 60, "the next page")

    def _has_come(self):
        try:
            return self.driver.execute_script("return !window.heedBefore && document.readyState === 'complete'")
        except WebDriverException:    # asked between the one page and the other
            return False

    def line(self, title):
        """The line of a product, opened."""
        for line in self.all("details"):
            if self.find(".title", line).text == title:
                if line.get_attribute("open") is None:
                    self.find("summary", line).click()
                return line
        raise AssertionError(f"there is no line “{title}”")

    def tick(self, label, inside, on=True):
        """A checkbox or radio by the beginning of its words."""
        for element in self.all("label.tick", inside):
            if element.text.startswith(label):
                box = self.find("input", element)
                if box.is_selected() != on:
                    box.click()
                return self
        raise AssertionError(f"there is nothing to tick “{label}”")

    def choose(self, name, value, inside=None):
        """In a list of choices."""
        Select(self.find(f"select[name='{name}']", inside)).select_by_value(value)
        return self

    def type(self, name, text, inside=None):
        field = self.find(f"input[name='{name}']", inside)
        field.clear()
        field.send_keys(text)
        return self

    def keys(self, *keys):
        """On the keyboard alone."""
        ActionChains(self.driver).send_keys(*keys).perform()
        return self

    # --- what a person sees ---

    def focused(self):
        return self.driver.switch_to.active_element

    def text(self, css="body"):
        return self.find(css).text

    def notice(self):
        return self.text(".notice")

    def width_needed(self):
        return self.driver.execute_script("return document.documentElement.scrollWidth")

    def execute(self, script):
        return self.driver.execute_script(script)

    def axe(self, only=None):
        """Violations that axe-core finds, in words; of all its rules, or one."""
        self.driver.execute_script(AXE.read_text())
        found = self.driver.execute_async_script("""const [only, done] = arguments;
            axe.run(only ? {runOnly: {type: "rule", values: [only]}} : {}).then(r => done(r.violations), e => done([{id: String(e)}]))""", only)
        return [f"{one['id']}: {one.get('help')}: {json.dumps([node['html'][:120] for node in one.get('nodes', [])])}" for one in found]

    def screenshot(self, path, whole=True):
        data = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole})
        pathlib.Path(path).write_bytes(base64.b64decode(data["data"]))
