"""make install: what it puts where, and that what it puts there fits together."""
import os
import subprocess

import pytest
from harness import ROOT

PREFIX = "/usr/local"


@pytest.fixture
def system(folder):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    subprocess.run(["make", "-s", "install", f"PREFIX={PREFIX}", f"DESTDIR={folder}"], cwd=ROOT, env=environment, check=True,
                   timeout=300, stdout=subprocess.DEVNULL)
    return folder / PREFIX.lstrip("/")


def run(system, *words):
    return subprocess.run([system / "bin/heed", *words], text=True, capture_output=True, timeout=20)


def test_the_binary_the_unit_and_the_samples_are_there_and_etc_is_left_alone(system, folder):
    assert run(system, "--version").returncode == 0
    assert f"ExecStart={PREFIX}/bin/heed " in (system / "lib/systemd/system/heed.service").read_text()
    for room in ("providers", "templates"):
        ours = ROOT / ("config/providers" if room == "providers" else "templates")
        names = {path.relative_to(ours) for path in ours.rglob("*") if path.is_file()}
        there = {path.relative_to(system / "share/heed" / room) for path in (system / "share/heed" / room).rglob("*") if path.is_file()}
        assert there == names
    assert not (folder / "etc").exists()


def test_the_unit_is_confined(system, folder):
    unit = folder / "heed.service"
    unit.write_text((system / "lib/systemd/system/heed.service").read_text().replace(f"{PREFIX}/bin/heed", str(system / "bin/heed")))
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", unit],
                          text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_installed_sample_names_a_systems_folders_and_is_valid(system, folder):
    sample = system / "share/heed/config/heed.yaml"
    text = sample.read_text()
    for place in ('url: "sqlite:/var/lib/heed/heed.db"', "socket: /run/heed/heed.sock", f"templates: {PREFIX}/share/heed/templates"):
        assert place in text
    assert "../" not in "".join(line for line in text.splitlines(True) if not line.startswith("#"))
    # as if it were installed: the prefix is in the folder of this test
    sample.write_text(text.replace(f"{PREFIX}/", f"{folder}{PREFIX}/").replace("/var/lib/heed", str(folder)))
    assert "ok: configuration" in run(system, "--config", str(sample), "check").stdout


def test_the_man_pages_tell_every_command_every_option_and_every_key(system):
    manual = (system / "share/man/man1/heed.1").read_text()
    for line in run(system, "help").stdout.splitlines():
        if not line.startswith("  "):
            continue
        command = line.split()[0]
        assert f"\n.Ss {command}\n" in manual or f"\n.It Cm {command}\n" in manual
        for told in run(system, command, "--help").stdout.splitlines():
            if told.startswith("  --"):
                assert '"' + told.split()[0].replace("-", "\\-") + '"' in manual
    assert manual.isascii() and f"{PREFIX}/share/heed/providers" in manual
    keys = (system / "share/man/man5/heed.yaml.5").read_text()
    for line in run(system, "help", "config").stdout.splitlines():
        if line.endswith(")") and not line.startswith(" "):
            assert f'.It Cm "{line.split()[0]}"' in keys or line.startswith("products.yaml")


@pytest.mark.parametrize("page", ["man1/heed.1", "man5/heed.yaml.5"])
def test_the_man_pages_are_clean(system, page):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", system / "share/man" / page], text=True, capture_output=True, timeout=20)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    done = subprocess.run(["groff", "-ww", "-mdoc", "-Tutf8", system / "share/man" / page], text=True, capture_output=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")


def test_each_shell_finds_what_completes_heeds_words(system):
    for shell, place in (("bash", "bash-completion/completions/heed"), ("zsh", "zsh/site-functions/_heed"),
                         ("fish", "fish/vendor_completions.d/heed.fish")):
        assert (system / "share" / place).read_text() == run(system, "help", "completion", shell).stdout
