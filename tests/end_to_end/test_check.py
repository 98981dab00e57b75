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


@pytest.mark.skipif(STORE != "sqlite", reason="the server keeps its files")
def test_what_heed_makes_is_for_its_owner_alone(heed):
    assert stat.S_IMODE((heed.folder / "heed.db").stat().st_mode) == 0o600
