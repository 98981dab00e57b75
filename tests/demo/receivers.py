"""The other side: a mail server, an SMS company that speaks Twilio's API, and a receiver of signed webhooks.
What arrives is put on one list, as it was seen there."""
import asyncio
import base64
import email
import email.policy
import hashlib
import hmac
import http.server
import json
import threading
import time
import urllib.parse
from dataclasses import dataclass

from aiosmtpd.smtp import SMTP

SIGNATURE_AGE_MAX = 300  # seconds; Standard Webhooks


@dataclass
class Arrival:
    channel: str
    address: str
    shows: str  # subject, text, or the kind of event
    text: str  # all of it


class Arrivals:
    """What was seen, in order. Any thread."""

    def __init__(self):
        self.changed = threading.Condition()
        self.list = []
        self.trouble = []  # what a receiver had to turn away

    def add(self, arrival):
        with self.changed:
            self.list.append(arrival)
            self.changed.notify_all()

    def complain(self, words):
        with self.changed:
            self.trouble.append(words)
            self.changed.notify_all()

    def take(self, fits, seconds):
        """The first that fits, taken off the list; None if there is none in that time."""
        end = time.monotonic() + seconds
        with self.changed:
            while True:
                for arrival in self.list:
                    if fits(arrival):
                        self.list.remove(arrival)
                        return arrival
                left = end - time.monotonic()
                if left <= 0:
                    return None
                self.changed.wait(left)


# --- mail ---

class MailSink:
    """Takes every mail but for gone@, which it says does not exist."""

    def __init__(self, arrivals):
        self.arrivals = arrivals
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(
            self.loop.create_server(lambda: SMTP(self, loop=self.loop, hostname="mail.example"), "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("gone@"):
            return "550 5.1.1 there is no such mailbox here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = mail.get_body(("plain",))
        for address in envelope.rcpt_tos:
            self.arrivals.add(Arrival("email", address, str(mail["Subject"]), body.get_content() if body else ""))
        return "250 2.0.0 taken"

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()


# --- SMS and webhooks ---

class HttpReceiver:
    """POST /2010-04-01/Accounts/SID/Messages.json is the SMS company, /hooks/… are the customers' own receivers."""

    def __init__(self, arrivals, account, token, secret):
        self.arrivals = arrivals
        self.account, self.token = account, token
        self.secret = base64.b64decode(secret.removeprefix("whsec_"))
        self.seen = set()  # webhook ids
        self.count = 0
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def handler(receiver):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.path == f"/2010-04-01/Accounts/{receiver.account}/Messages.json":
                    status, answer = receiver.sms(self.headers, body)
                elif self.path.startswith("/hooks/"):
                    status, answer = receiver.webhook(self.path, self.headers, body)
                else:
                    status, answer = 404, {"message": "there is nothing here"}
                reply = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *words):
                pass

        return Handler

    def sms(self, headers, body):
        wanted = "Basic " + base64.b64encode(f"{self.account}:{self.token}".encode()).decode()
        if not hmac.compare_digest(headers.get("Authorization", ""), wanted):
            self.arrivals.complain("a text message with wrong credentials")
            return 401, {"code": 20003, "message": "Authenticate"}
        form = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))
        self.count += 1
        self.arrivals.add(Arrival("sms", form.get("To", ""), form.get("Body", ""), form.get("Body", "")))
        return 201, {"sid": f"SM{self.count:032x}", "status": "queued"}

    def webhook(self, path, headers, body):
        """As Standard Webhooks says: the signature is over id, timestamp and body; a repeated id is taken once."""
        id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        signed = hmac.new(self.secret, f"{id}.{stamp}.".encode() + body, hashlib.sha256).digest()
        wanted = "v1," + base64.b64encode(signed).decode()
        fresh = stamp.isdigit() and abs(time.time() - int(stamp)) <= SIGNATURE_AGE_MAX
        if not fresh or not any(hmac.compare_digest(one, wanted) for one in headers.get("webhook-signature", "").split()):
            self.arrivals.complain(f"a webhook to {path} whose signature is wrong")
            return 401, {"message": "the signature is wrong"}
        if id not in self.seen:
            self.seen.add(id)
            text = body.decode()
            self.arrivals.add(Arrival("webhook", path, json.loads(text).get("type", "?"), text))
        return 200, {}

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
