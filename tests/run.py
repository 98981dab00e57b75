"""Runs every test, installs nothing, and ends with `N passed, M failed`. Called by `make check` and `make test`."""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

import postgres

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTEST_SECONDS = 1200
FUZZ_INPUTS = 10000
LIVES = 2000
SECONDS = 300  # the longest that one test program may take
ASAN = ["O=build/asan", "CC=clang", "SAN=-fsanitize=address,undefined,fuzzer-no-link -fno-omit-frame-pointer", "OPT=-O1 -g"]
TSAN = ["O=build/tsan", "SAN=-fsanitize=thread", "OPT=-O1 -g"]
# The threaded parts, which run under ThreadSanitizer as well.
THREADED = ["test_channel", "test_channel_email", "test_channel_capture", "test_channel_http", "test_webhook", "test_web_server", "test_turn_choice",
            "test_turn_store", "test_sign", "test_zone"]
ENVIRONMENT = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:abort_on_error=0", UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1",
                   TSAN_OPTIONS="halt_on_error=1", PYTHONDONTWRITEBYTECODE="1")

# What `make check` runs on PostgreSQL besides; `make check-postgres` runs everything.
ON_POSTGRES = ["several"], ["messages", "holds", "log"]

JOBS = ["-j", str(os.cpu_count() or 2)]
NICE = ["nice", "-n", "19"]

passed = failed = 0
counting = threading.Lock()


def run(command, seconds=SECONDS, env=None):
    try:
        done = subprocess.run(command, cwd=ROOT, env={**ENVIRONMENT, **(env or {})}, text=True, errors="replace", timeout=seconds,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        return 124, (late.stdout or b"").decode(errors="replace") + f"\nstopped after {seconds} s"


def say(name, good, bad, seconds, output=""):
    global passed, failed
    lines = [f"{'FAILED' if bad else 'ok':6} {name} ({good} passed{f', {bad} failed' if bad else ''}, {seconds:.1f} s)"]
    if bad:
        lines += ["    " + line for line in output.splitlines()[-80:]]
    with counting:
        passed += good
        failed += bad
        print("\n".join(lines), flush=True)


def step(name, command, seconds=SECONDS):
    """A command that passes or fails as a whole."""
    start = time.monotonic()
    status, output = run(command, seconds)
    say(name, int(status == 0), int(status != 0), time.monotonic() - start, output)
    return status == 0


def cmocka(binary):
    start = time.monotonic()
    status, output = run([str(binary)])
    good = sum(map(int, re.findall(r"^\[  PASSED  \] (\d+) test", output, re.M)))
    bad = sum(map(int, re.findall(r"^\[  FAILED  \] .*?(\d+) test\(s\)", output, re.M)))
    if status != 0 and bad == 0:
        bad = 1
    return good, bad, time.monotonic() - start, output


def programs(folder, only=None):
    found = sorted(p for p in (ROOT / folder / "tests").rglob("test_*") if os.access(p, os.X_OK) and p.is_file())
    found = [p for p in found if (only is None or p.name in only) and (ROOT / "tests" / p.parent.name / (p.name + ".c")).exists()]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for path, result in zip(found, pool.map(cmocka, found)):
            good, bad, seconds, output = result
            say(f"{folder}: {path.parent.name}/{path.name}", good, bad, seconds, output)
    if not found:
        say(f"{folder}: no test programs were built", 0, 1, 0)


def pytest_run(words, env=None):
    start = time.monotonic()
    status, output = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header", "-rfEs", *words],
                         PYTEST_SECONDS, env)
    good = sum(map(int, re.findall(r"\b(\d+) passed", output)))
    bad = sum(map(int, re.findall(r"\b(\d+) (?:failed|error)", output)))
    if status not in (0, 5) and bad == 0:
        bad = 1
    return good, bad, time.monotonic() - start, output


def pytest(name, *groups, env=None):
    """Each group in a process of its own, side by side: they mostly wait."""
    with concurrent.futures.ThreadPoolExecutor(len(groups)) as pool:
        for words, result in zip(groups, pool.map(lambda group: pytest_run(group, env), groups)):
            good, bad, seconds, output = result
            say(f"pytest {name} ({len(words)} of its files)" if len(groups) > 1 else f"pytest {name}", good, bad, seconds, output)
            for line in re.findall(r"^SKIPPED .*", output, re.M):
                print("       " + line, flush=True)


def end_to_end():
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests/end_to_end").glob("test_*.py"))


def on_postgres(gateways=1):
    return {"HEED_TEST_STORE": "postgresql", "HEED_TEST_GATEWAYS": str(gateways)}


def check_postgres():
    """All end-to-end tests on PostgreSQL: with one gateway, and with two for each that a test starts."""
    if step("build", ["make", "-s", *JOBS, "all", "unit"], 600):
        programs("build", ["test_store"])
        for gateways in (1, 2):
            files = end_to_end()
            pytest(f"tests/end_to_end on PostgreSQL with {gateways} gateways", files[0::2], files[1::2], env=on_postgres(gateways))


def unhurried():
    """What fills both cores: the analysis, the builds with sanitizers, the model. It gives way to the tests that run beside it."""
    step("clang-tidy", [*NICE, "make", "-k", "-s", *JOBS, "tidy"], 1200)
    if step("build with clang, ASan and UBSan, no warnings", [*NICE, "make", "-k", "-s", *JOBS, *ASAN, "all", "unit", "fuzzers"], 900):
        programs("build/asan")
        step(f"each fuzzer for {FUZZ_INPUTS} inputs", [sys.executable, "tests/fuzz/fuzz.py", "--inputs", str(FUZZ_INPUTS)])
    if step("build with TSan", [*NICE, "make", "-s", *JOBS, *TSAN, *(f"build/tsan/tests/unit/{name}" for name in THREADED)], 900):
        programs("build/tsan", THREADED)
    step("the model of the promise (spin, small)", [*NICE, sys.executable, "tests/model/model.py", "--small"])
    if step("build the simulator", ["make", "-s", *JOBS, "build/tests/simulate/simulate"], 300):
        step(f"the simulator, {LIVES} lives", ["build/tests/simulate/simulate", str(LIVES)])


def main():
    step("the check of the rooms", [sys.executable, "tests/rooms.py"])
    step("the layout (clang-format)", ["make", "-s", "format-check"])
    if not step("build with gcc, no warnings", ["make", "-s", *JOBS, "all", "unit", "crash"], 600):
        return
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        rest = beside.submit(unhurried)
        files = end_to_end()
        pytest("tests/end_to_end", files[0::2], files[1::2])
        pytest("tests/end_to_end on PostgreSQL", [f"tests/end_to_end/test_{name}.py" for name in ON_POSTGRES[0]],
               [f"tests/end_to_end/test_{name}.py" for name in ON_POSTGRES[1]], env=on_postgres())
        pytest("tests/unit", ["tests/unit"])
        pytest("tests/peers", ["tests/peers"])
        rest.result()


if __name__ == "__main__":
    server = postgres.Postgres().start()
    ENVIRONMENT["HEED_TEST_POSTGRES"] = server.url()
    try:
        check_postgres() if sys.argv[1:] == ["postgres"] else main()
    finally:
        server.close()
    print(f"{passed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed or not passed else 0)
