"""Fixtures for the end-to-end tests. Each test has its own folder, Redis and servers; HEED_KEEP=1 keeps the folders."""
import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

sys.dont_write_bytecode = True    # nothing is left in the tree

import harness
import page
from http_receiver import Answer, HttpReceiver
from smtp_servers import MailServer, ScriptedSmtp


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A test that failed shows the end of its gateways' logs."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and report.when != "teardown":
        for gateway in getattr(item, "heed_gateways", []):
            report.sections.append((f"log of {gateway.folder.name}", gateway.stderr()[-6000:]))


@pytest.fixture
def folder():
    path = harness.short_folder()
    yield path
    if not os.environ.get("HEED_KEEP"):
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def redis(folder):
    server = harness.Redis(folder / "r").start()
    yield server
    server.kill()


@pytest.fixture
def receiver():
    server = HttpReceiver()
    yield server
    server.close()


@pytest.fixture
def sms():
    """An SMS company that takes everything (Twilio's API)."""
    server = HttpReceiver()
    server.script(harness.TWILIO_PATH, lambda request: Answer(201, {"sid": f"SM{len(server.requests) + 1}", "status": "queued"}))
    yield server
    server.close()


@pytest.fixture
def mail():
    server = MailServer()
    yield server
    server.close()


@pytest.fixture
def smtp():
    """Makes scripted relays: smtp(Dialogue(…), …)."""
    servers = []

    def make(*dialogues):
        servers.append(ScriptedSmtp(*dialogues))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def make_gateway(request, folder, redis):
    """Makes gateways, not yet started: make_gateway({"webhook": webhook_channel()}, config={…}, …)."""
    gateways = request.node.heed_gateways = []

    def make(channels, **more):
        gateways.append(harness.Gateway(folder / f"g{len(gateways) + 1}", redis, channels, **more))
        return gateways[-1]

    yield make
    for gateway in gateways:
        gateway.close()
    for gateway in gateways:
        harness.forget_store(gateway.config["store"]["url"])


@pytest.fixture
def heed(make_gateway, receiver, sms, mail):
    """A gateway that runs with all three channels: webhooks to `receiver` (addresses are up to the test), SMS to `sms`,
    email to `mail`."""
    return make_gateway({"webhook": harness.webhook_channel(), "sms": harness.twilio_channel(sms),
                         "email": harness.email_channel(mail)}).start()


@pytest.fixture
def page_heed(make_gateway, sms, mail):
    """A gateway with the customers' page, which knows ana."""
    gateway = make_gateway({"sms": harness.twilio_channel(sms), "email": harness.email_channel(mail)},
                           config=harness.merged(harness.http_doors(), {"company": {"name": "Example Bank"}}),
                           products=page.PRODUCTS, templates=page.TEMPLATES).start()
    gateway.put(page.ANA)
    return gateway
