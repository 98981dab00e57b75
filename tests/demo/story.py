"""Who the demo's customers are, what each chose, what they are sent, and where that has to arrive."""
import base64
from dataclasses import dataclass, field

WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"a secret of Delta and the bank!!").decode()


@dataclass
class Customer:
    id: str
    name: str
    locale: str
    addresses: dict
    chose: dict = field(default_factory=dict)  # product: channels in order; [] is a stop
    timezone: str = ""

    def record(self, webhook_base):
        """As `heed customer import` reads it."""
        addresses = dict(self.addresses)
        if "webhook" in addresses:
            addresses["webhook"] = {"url": webhook_base + addresses["webhook"], "secret": WEBHOOK_SECRET}
        return {"id": self.id, "name": self.name, "locale": self.locale, "timezone": self.timezone, "addresses": addresses,
                "preferences": [{"product": product, "channels": channels, "source": "branch"}
                                for product, channels in self.chose.items()]}


@dataclass
class Message:
    id: str
    customer: str
    product: str
    template: str
    data: dict
    arrives: str  # the channel, or "" where the customer's choice says no
    shows: str = ""  # what the customer reads there, in their language

    def record(self):
        """As `heed send --file` reads it."""
        return {"id": self.id, "customer": self.customer, "product": self.product, "template": self.template, "data": self.data}


PRODUCTS = ["card-alerts", "card-alerts/fraud", "accounts", "accounts/statements", "offers"]

CUSTOMERS = [
    # One channel for one product; the other stays with its default.
    Customer("ana", "Ana Díaz", "es-AR", {"email": "ana@example.com", "sms": "+5491155550100"}, {"card-alerts": ["email"]}),
    # Chose nothing.
    Customer("ben", "Ben Carter", "en", {"email": "ben@example.com", "sms": "+447700900123"}),
    # Her mailbox does not exist any more: the next of her channels is used.
    Customer("clara", "Clara Vogel", "de", {"email": "gone@example.com", "sms": "+4915155501234"},
             {"card-alerts": ["email", "sms"]}),
    # A company that reads by program.
    Customer("delta", "Delta Logistics", "en", {"email": "office@delta.example", "webhook": "/hooks/delta"}, {"*": ["webhook"]}),
    # Stopped everything; what the law wants her to have comes all the same, as its default says.
    Customer("eva", "Eva Lindner", "de", {"email": "eva@example.com", "sms": "+4915155505678"}, {"*": []}),
    # Card alerts by mail, but fraud warnings to the phone.
    Customer("felix", "Felix Brandt", "de", {"email": "felix@example.com", "sms": "+4915155509012"},
             {"card-alerts": ["email"], "card-alerts/fraud": ["sms", "email"]}),
    # Wants to hear of offers, and her statements by text message. Where she lives is known, so the offers need not wait for
    # the hours that are kept for everybody else.
    Customer("gloria", "Gloria Peña", "es", {"email": "gloria@example.com", "sms": "+34600550111"},
             {"offers": ["email"], "accounts/statements": ["sms"]}, "Europe/Madrid"),
    # Wants all by text message, but never said yes to advertising.
    Customer("hugo", "Hugo Marsh", "en", {"email": "hugo@example.com", "sms": "+447700900456"}, {"*": ["sms"]}),
]


# Whose page is shown: what it opens with, as `heed link` is asked for it.
PAGES = [
    ("ana", "about card alerts", ["--product", "card-alerts"]),
    ("hugo", "about offers", ["--product", "offers"]),
    ("felix", "with everything", ["--level", "full"]),
]


def payment(id, customer, amount, currency, arrives, shows):
    return Message(id, customer, "card-alerts", "payment-received", {"amount": amount, "currency": currency}, arrives, shows)


def fraud(id, customer, amount, arrives, shows):
    return Message(id, customer, "card-alerts/fraud", "fraud-warning",
                   {"amount": amount, "currency": "EUR", "merchant": "Gadget World"}, arrives, shows)


def statement(id, customer, period, arrives, shows):
    return Message(id, customer, "accounts/statements", "statement-ready", {"period": period}, arrives, shows)


def offer(id, customer, offer, arrives, shows=""):
    return Message(id, customer, "offers", "welcome-offer", {"offer": offer}, arrives, shows)


MESSAGES = [
    payment("demo-1", "ana", "12.50", "EUR", "email", "Ha recibido 12.50 EUR"),
    payment("demo-2", "ben", "80.00", "GBP", "sms", "80.00 GBP received"),
    payment("demo-3", "clara", "41.90", "EUR", "sms", "41.90 EUR eingegangen"),
    payment("demo-4", "delta", "990.00", "EUR", "webhook", "payment-received"),
    payment("demo-5", "eva", "7.25", "EUR", "", ""),
    statement("demo-6", "eva", "Oktober 2026", "email", "Ihr Kontoauszug für Oktober 2026"),
    payment("demo-7", "felix", "19.99", "EUR", "email", "Zahlungseingang: 19.99 EUR"),
    fraud("demo-8", "felix", "349.00", "sms", "Haben Sie eben 349.00 EUR bei Gadget World bezahlt?"),
    fraud("demo-9", "ana", "120.00", "email", "¿Ha sido usted? 120.00 EUR en Gadget World"),
    statement("demo-10", "gloria", "octubre", "sms", "su extracto de octubre"),
    offer("demo-11", "gloria", "2 % en su cuenta de ahorro", "email", "Para usted: 2 % en su cuenta de ahorro"),
    offer("demo-12", "hugo", "2 % on your savings", ""),
    statement("demo-13", "hugo", "October", "sms", "your statement for October"),
    statement("demo-14", "delta", "October 2026", "webhook", "statement-ready"),
]

# Then a customer changes his mind: `heed prefer CUSTOMER PRODUCT --channels CHANNELS`.
CHANGE = ("ben", "card-alerts", "email")
AFTER_CHANGE = [
    payment("demo-15", "ben", "15.00", "GBP", "email", "You received 15.00 GBP"),
    # A part follows the choice for its product.
    fraud("demo-16", "ben", "60.00", "email", "Was this you? 60.00 EUR at Gadget World"),
]
