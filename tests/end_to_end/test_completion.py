"""Completion in real shells: what is offered when TAB is pressed, from the tables that parse the words."""
import os
import pty
import select
import subprocess
import time

import pytest

import harness

COMMANDS = {"gateway", "check", "send", "customer", "prefer", "log", "history", "explain", "queue", "dead", "settle", "retry", "render", "captured",
            "migrate", "hold", "release", "cancel", "link", "token", "audit", "inbound", "prune", "help", "version"}


@pytest.fixture
def place(folder):
    """A folder with heed in the path, its completion for each shell, and two files."""
    (folder / "bin").mkdir()
    (folder / "bin/heed").symlink_to(harness.HEED)
    for shell in ("bash", "zsh", "fish"):
        text = subprocess.run([harness.HEED, "help", "completion", shell], text=True, capture_output=True, check=True).stdout
        (folder / f"heed.{shell}").write_text(text)
    (folder / "my heed.yaml").write_text("")
    (folder / "letters").mkdir()
    return folder


def run(words, place, **more):
    return subprocess.run(words, cwd=place, text=True, capture_output=True, check=True, timeout=harness.PATIENCE,
                          env={**os.environ, "PATH": f"{place}/bin:{os.environ['PATH']}", "HOME": str(place), "TERM": "dumb"}, **more).stdout


def bash(line, place):
    """`line` is cut into words as bash does it for completion: = stands alone."""
    words = line.replace("=", " = ").split(" ")
    words = [word for word in words[:-1] if word] + [words[-1]]
    script = ('. ./heed.bash; compopt() { :; }; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _heed; printf "%s\\n" "${COMPREPLY[@]}"')
    return [word for word in run(["bash", "--norc", "-c", script, "-", *words], place).splitlines() if word]


def fish(line, place):
    done = run(["fish", "--no-config", "-c", "source heed.fish; complete -C \"$argv[1]\"", "--", line], place)
    return [offered.split("\t")[0] for offered in done.splitlines()]


def zsh(line, place, *wanted):
    """Zsh completes at a terminal only: TAB twice, and what it shows is read until all that is wanted is there."""
    ours, theirs = pty.openpty()
    script = ("autoload -U compinit; compinit -u -D; . ./heed.zsh; zstyle ':completion:*' list-separator '#'; PS1='> '; LISTMAX=0; "
              "setopt no_beep; stty cols 200; print rea''dy\n")
    shell = subprocess.Popen(["zsh", "-f", "-i"], cwd=place, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                             env={**os.environ, "PATH": f"{place}/bin:{os.environ['PATH']}", "HOME": str(place), "TERM": "dumb"})
    os.close(theirs)
    try:
        os.write(ours, script.encode())
        read(ours, ["ready"])
        os.write(ours, line.encode() + b"\t\t")
        return read(ours, wanted)
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)


def read(terminal, wanted):
    text, end = b"", time.monotonic() + 3 * harness.PATIENCE
    while any(word not in text.decode(errors="replace").replace("\b", "") for word in wanted) and time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            text += os.read(terminal, 65536)
    return text.decode(errors="replace").replace("\b", "")


@pytest.mark.parametrize("shell", [bash, fish])
@pytest.mark.parametrize("line, offered", [
    ("heed ", COMMANDS),
    ("heed se", {"send", "settle"}),
    ("heed log --fo", {"--follow"}),
    ("heed send --la", {"--lane"}),
    ("heed send --lane ", {"urgent", "normal", "bulk"}),
    ("heed send --lane u", {"urgent"}),
    ("heed log --customer send --state in", {"in_doubt"}),
    ("heed customer ", {"put", "import", "show", "find", "export", "erase"}),
    ("heed settle m-1 ", {"sent", "failed", "resend"}),
    ("heed help config m", {"man"}),
    ("heed help completion ", {"bash", "zsh", "fish"}),
    ("heed send --lane bulk --purpose cr", {"critical"}),
    ("heed prefer c-1 card-alerts --st", {"--stop"}),
    ("heed --config x.yaml dead re", {"retry"}),
])
def test_words_options_and_values_are_offered(shell, line, offered, place):
    assert set(shell(line, place)) == offered


@pytest.mark.parametrize("shell", [bash, fish])
@pytest.mark.parametrize("line", ["heed --config my", "heed log --config my", "heed send --file my", "heed customer put my",
                                  "heed render --mustache my"])
def test_files_are_offered_where_one_is_wanted(shell, line, place):
    assert [name.replace("\\", "") for name in shell(line, place)] == ["my heed.yaml"]


@pytest.mark.parametrize("shell", [bash, fish])
def test_folders_are_offered_where_one_is_wanted(shell, place):
    assert sorted(name.rstrip("/") for name in shell("heed render --partials ", place) if not name.startswith(".")) == ["bin", "letters"]


@pytest.mark.parametrize("shell", [bash, fish])
def test_every_option_of_every_command_is_offered(shell, place):
    for command in COMMANDS:
        told = subprocess.run([harness.HEED, command, "--help"], text=True, capture_output=True, check=True).stdout
        options = {line.split()[0] for line in told.splitlines() if line.startswith("  --")}
        offered = {word for word in shell(f"heed {command} --", place)}
        assert offered == options | {"--config", "--help"}, command


@pytest.mark.parametrize("line, offered", [("heed send --lane u", "urgent"), ("heed cust", "customer"), ("heed log --fol", "--follow"),
                                           ("heed --config my", "my\\ heed.yaml"), ("heed settle m-1 res", "resend")])
def test_zsh_completes_what_is_the_only_one(line, offered, place):
    completed = line.rsplit(" ", 1)[0] + " " + offered
    assert completed in zsh(line, place, completed)


def test_zsh_shows_what_each_is_for(place):
    wanted = ["put", "import", "show", "find", "Who has it, on any channel."]
    shown = zsh("heed customer ", place, *wanted)
    for word in wanted:
        assert word in shown
