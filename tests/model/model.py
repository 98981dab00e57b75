"""The model of the promise, by spin: `make model` (two changes of mind, two crashes, two leases that run out);
`model.py --small` is the configuration that `make test` runs. Every fault that can be put in must be found."""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

MODEL = pathlib.Path(__file__).resolve().parent / "promise.pml"
DEPTH = 100000
SECONDS = 600
# Put in on purpose; each breaks "never".
FAULTS = ["FAULT_STALE_CHOICE", "FAULT_NO_EPOCH", "FAULT_NO_CALL_BACK", "FAULT_NOT_LISTED", "FAULT_TAKEN_OVER_NOT_LISTED"]


def check(defines, ends):
    """(errors, states) of a search through everything: assertions, or whether it ends."""
    with tempfile.TemporaryDirectory() as folder:
        run = lambda *words: subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True, timeout=SECONDS).stdout
        run("spin", *(f"-D{define}" for define in defines), "-a", str(MODEL))
        run("gcc", "-O2", "-w", *([] if ends else ["-DSAFETY", "-DNOCLAIM"]), "-o", "pan", "pan.c")
        said = run("./pan", f"-m{DEPTH}", *(["-a", "-f"] if ends else []))
    assert "max search depth too small" not in said, "the search was cut off: more DEPTH"
    return int(re.search(r"errors: (\d+)", said)[1]), int(re.search(r"(\d+) states, stored", said)[1])


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--small", action="store_true")
    bounds = ["CHANGES=1", "CRASHES=1", "EXPIRIES=1"] if words.parse_args().small else []
    bad = 0
    for name, ends in (("never: no hand-over against a confirmed choice but what was listed", False), ("ends: every admitted message", True)):
        errors, states = check(bounds, ends)
        bad += errors
        print(f"{'FAILED' if errors else 'ok':6} {name} ({states} states)")
    for fault in FAULTS:
        errors, states = check([*bounds, fault], False)
        bad += not errors
        print(f"{'ok' if errors else 'FAILED':6} {fault} is found")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
