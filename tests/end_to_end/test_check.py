"""heed check: what is unsafe is named."""
import stat

import pytest

from harness import STORE


def test_a_configuration_that_everybody_may_read_or_write_is_named(heed):
    readable, writable = "everybody on this machine may read the configuration", "everybody may write to the configuration"
    heed.config_file.chmod(0o644)
    assert readable in heed.cli("check").stdout
    heed.config_file.chmod(0o666)
    assert writable in heed.cli("check").stdout
    heed.config_file.chmod(0o600)
    said = heed.cli("check").stdout
    assert readable not in said and writable not in said


def test_digests_without_a_template_for_them_are_named(heed):
    assert "there is no messages/digest" in heed.cli("check").stdout
    heed.templates = {**heed.templates, "digest/email.text": "{{#items}}{{summary}}\n{{/items}}"}
    heed.write()
    assert "messages/digest" not in heed.cli("check").stdout


def test_the_folder_of_the_socket_is_made_and_what_is_in_its_way_is_named(heed):
    heed.stop()
    heed.socket = str(heed.folder / "run/heed/s")
    heed.config["http"]["socket"] = heed.socket
    heed.write()
    assert "http.socket" not in heed.cli_ok("check")
    heed.start()
    assert stat.S_IMODE((heed.folder / "run/heed").stat().st_mode) == 0o700
    heed.config["http"]["socket"] = str(heed.folder / "products.yaml/s")
    heed.write()
    done = heed.cli("check")
    assert done.returncode == 1 and "http.socket: " in done.stderr and "products.yaml is not a folder" in done.stderr
    heed.config["http"]["socket"] = heed.socket


@pytest.mark.skipif(STORE != "sqlite", reason="the server keeps its files")
def test_what_heed_makes_is_for_its_owner_alone(heed):
    assert stat.S_IMODE((heed.folder / "heed.db").stat().st_mode) == 0o600
