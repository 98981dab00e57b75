"""The customers' page without a browser: its forms, and what is sent of them."""
import base64
import hashlib
import hmac
import html.parser
import re
import time
import urllib.parse

import harness
from harness import wait_for

PRODUCTS = {**harness.PRODUCTS,
            "statements": {"title": {"en": "Account statements", "de": "Kontoauszüge"}, "channels": ["email", "sms"], "default": ["email"]},
            "legal": {"title": {"en": "Changes to your contract"}, "channels": ["email", "sms"], "default": ["email"], "may_stop": False}}
TEMPLATES = {**harness.TEMPLATES, "payment-received/email.text": "You paid {{amount}}. Choose: {{preferences_url}} Stop: {{unsubscribe_url}}\n",
             "payment-received/sms": "You paid {{amount}} {{preferences_url}}"}
ANA = {"id": "ana", "name": "Ana Díaz", "locale": "en", "timezone": "Europe/Madrid",
       "addresses": {"email": "ana@example.com", "sms": "+34600000100"}}


class Form:
    def __init__(self, action):
        self.action, self.fields, self.buttons = action, {}, []


class _Forms(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.forms, self.select = [], None

    def handle_starttag(self, tag, attributes):
        about = dict(attributes)
        if tag == "form":
            self.forms.append(Form(about.get("action", "")))
        if not self.forms:
            return
        form, name, value = self.forms[-1], about.get("name"), about.get("value", "")
        if tag == "button":
            form.buttons.append(value)
        elif tag == "select":
            self.select = name
        elif tag == "option" and ("selected" in about or self.select not in form.fields):
            form.fields[self.select] = value
        elif tag == "input" and name and (about.get("type") not in ("checkbox", "radio") or "checked" in about):
            form.fields[name] = value


def forms(text):
    parser = _Forms()
    parser.feed(text)
    return parser.forms


class Page:
    """A link that is open: `path` is /p/TOKEN or /u/TOKEN."""

    def __init__(self, gateway, url):
        self.gateway, self.url, self.path = gateway, url, urllib.parse.urlsplit(url).path
        self.status, self.headers, self.text = 0, {}, ""

    def _take(self, answer):
        self.status, self.headers, data = answer
        self.text = data.decode()
        return self

    def get(self, query="", **headers):
        return self._take(self.gateway.http("GET", self.path + query, door="public", headers=headers))

    def post(self, fields, content_type="application/x-www-form-urlencoded", **headers):
        body = fields if isinstance(fields, bytes) else urllib.parse.urlencode(fields).encode()
        return self._take(self.gateway.http("POST", self.path, body, door="public", headers={"Content-Type": content_type, **headers}))

    def form(self, button, **fields):
        """The form with this button, of the product that `fields` names, as it would be sent."""
        for form in forms(self.text):
            if button in form.buttons and fields.get("product", form.fields.get("product")) == form.fields.get("product"):
                return {**form.fields, "do": button, **fields}
        raise AssertionError(f"there is no form with the button {button} ({fields}):\n{self.text}")

    def press(self, button, **fields):
        return self.post({name: value for name, value in self.form(button, **fields).items() if value is not None})


def link(heed, customer="ana", **more):
    status, answer = heed.http_json("POST", f"/v1/customers/{customer}/link", more)
    assert status == 200, answer
    return Page(heed, answer["url"])


def chosen(heed, product="card-alerts"):
    return heed.api("GET", f"/v1/customers/ana/preferences/{product.replace('*', '%2A')}")[1]


def codes(sms):
    """Those that went out by text message, oldest first."""
    return re.findall(r"code.{0,40}?%20is%20(\d{6})", " ".join(request.body.decode() for request in sms.requests))


def code_sent(sms, count=1):
    return wait_for(lambda: codes(sms) if len(codes(sms)) >= count else None, what="the code")[-1]


def expired(token, customer):
    """The same link, as it was made to end yesterday: signed as link.c does."""
    raw = base64.urlsafe_b64decode(token)
    minutes = int((time.time() - 86400 - 1735689600) // 60)
    payload = raw[:12] + minutes.to_bytes(3, "big")
    signed = b"".join(len(part).to_bytes(2, "big") + part for part in (b"heed link", payload, customer.encode()))
    return base64.urlsafe_b64encode(payload + hmac.new(harness.SECRET.encode(), signed, hashlib.sha256).digest()[:12]).decode()
