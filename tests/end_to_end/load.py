"""A load: messages that keep coming in, to customers on each of the three channels, and what arrived of them."""
import collections
import json
import threading
import time

import harness
import redis as redis_client

CHANNELS = ("email", "sms", "webhook")
CUSTOMERS = 20      # on each channel


def customers(receiver):
    """{"email-0": …}: each has one channel, which its name begins with."""
    address = {"email": lambda i: f"c{i}@example.com", "sms": lambda i: f"+54911555501{i:02}", "webhook": lambda i: f"{receiver.url}/hook/{i}"}
    return [{"id": f"{channel}-{i}", "addresses": {channel: address[channel](i)},
             "preferences": [{"product": "card-alerts", "channels": [channel]}]} for channel in CHANNELS for i in range(CUSTOMERS)]


def put_customers(gateway, receiver):
    file = gateway.folder / "load.jsonl"
    file.write_text("".join(json.dumps(customer) + "\n" for customer in customers(receiver)))
    gateway.cli_ok("customer", "import", file)


class Load:
    """Enqueues `each` messages a channel, again and again, until it is stopped. The ids are the application's own, so that
    what Redis may have taken when it went away is said again, as an application would. `with Load(gateway) as load:`"""

    def __init__(self, gateway, each=2, pause=0.02, most=100000):
        self.gateway = gateway
        self.each, self.pause, self.most = each, pause, most
        self.ids = []
        self.error = None
        self._client = redis_client.Redis(unix_socket_path=gateway.redis.socket, decode_responses=True, socket_timeout=5)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """All ids."""
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive() and self.error is None, self.error
        return self.ids

    def of(self, channel):
        return [name for name in list(self.ids) if name.startswith(channel)]

    def _run(self):
        try:
            while not self._stop.is_set() and len(self.ids) < self.most:
                self._add()
                time.sleep(self.pause)
        except Exception as error:      # told by stop()
            self.error = error

    def _add(self):
        first = len(self.ids)
        names = [f"{channel}.{first + i}" for i in range(self.each) for channel in CHANNELS]
        until = time.monotonic() + 30
        while True:
            pipe = self._client.pipeline(transaction=False)
            for number, name in enumerate(names):
                customer = f"{name.split('.')[0]}-{(first + number) % CUSTOMERS}"
                pipe.xadd(self.gateway.stream(), {"message": json.dumps({
                    "id": name, "customer": customer, "product": "card-alerts", "content": {"subject": name, "text": name}})})
            try:
                pipe.execute()
                break
            except redis_client.RedisError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
        self.ids += names


def arrived(receiver, sms, mail):
    """How often each message did."""
    copies = collections.Counter(request.json["id"] for request in list(receiver.requests))
    copies.update(request.form["Body"] for request in list(sms.requests))
    copies.update(str(each.message["subject"]) for each in list(mail.mails))
    return copies


def contacts_by_message(gateway):
    """{message: [contact, …]} of all, oldest first."""
    found = collections.defaultdict(list)
    for contact in gateway.cli_json("log", "--limit", "100000", seconds=60):
        for name in contact["messages"]:
            found[name].append(contact)
    return found
