"""The customers' page without a browser: its forms, and what is sent of them."""
import html.parser
import urllib.parse


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
        self.gateway, self.path = gateway, urllib.parse.urlsplit(url).path
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
