"""The demo ends with 0 when every message is where it belongs, and with 1 and the reason when one is not."""
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def demo(changes=""):
    """`changes`: Python that alters the story or the demo before it begins."""
    play = f"import sys; sys.path.insert(0, 'tests/demo'); import demo, story; {changes}; sys.exit(demo.main())"
    return subprocess.run(["/usr/bin/python3", "-X", "utf8", "-c", play], cwd=ROOT, env=dict(os.environ, DEMO="once"), text=True, timeout=120,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_each_message_arrives_where_its_customer_chose():
    done = demo("pass")
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert sum(" sms +" in line for line in lines) == 5, done.stdout
    assert sum(" webhook /" in line for line in lines) == 2, done.stdout
    assert sum(" email " in line and "@" in line for line in lines) == 7, done.stdout
    assert sum("nowhere (suppressed)" in line for line in lines) == 2, done.stdout
    assert sum("http://127.0.0.1:" in line and "/p/" in line for line in lines) == 3, done.stdout


def test_a_message_that_arrives_elsewhere_is_named_and_the_status_is_1():
    done = demo("story.MESSAGES[0].arrives = 'sms'; demo.ARRIVE_SECONDS = 3")
    assert done.returncode == 1
    assert "demo-1 for ana: should go to sms; it is sent" in done.stdout
    assert "“Ha recibido 12.50 EUR” arrived by email at ana@example.com, and should not have" in done.stdout


def test_nothing_of_it_runs_on():
    demo("pass")
    left = subprocess.run(["pgrep", "-f", str(ROOT / "var/demo")], text=True, capture_output=True).stdout
    assert left == ""
