"""Runs the fuzzers: `make fuzz SECONDS=60` for so long each, on top of what they found before (var/fuzz/NAME); `--inputs N`
for so many inputs each, from the seeds alone, which `make test` does. ONLY="smtp zone" chooses. A finding is kept under
var/fuzz/findings and told; mended, it becomes a test or a seed."""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/asan/tests/fuzz"
SEEDS = ROOT / "tests/fuzz/seeds"
FOUND = ROOT / "var/fuzz"
INPUT_MAX = 8192    # bytes
INPUT_SECONDS = 10  # for one input
MEMORY_MAX = 2048   # MB
OPTIONS = dict(os.environ, ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1", HEED_SECRET="s" * 40)


def fuzz(name, bound, seed, keep):
    """True if nothing was found; prints a line."""
    findings = FOUND / "findings"
    findings.mkdir(parents=True, exist_ok=True)
    corpus = FOUND / (name if keep else f"once/{name}")    # libFuzzer writes into the first folder: never into the seeds
    if not keep:
        shutil.rmtree(corpus, ignore_errors=True)
    corpus.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([str(BUILD / f"fuzz_{name}"), *bound, f"-seed={seed}", f"-max_len={INPUT_MAX}", f"-timeout={INPUT_SECONDS}",
                           f"-rss_limit_mb={MEMORY_MAX}", f"-artifact_prefix={findings}/{name}-", "-print_final_stats=1",
                           str(corpus), str(SEEDS / name)],
                          cwd=ROOT, env=OPTIONS, text=True, errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL)
    for left in (ROOT / "config").glob("fuzz-*.yaml"):    # of one that crashed
        left.unlink()
    inputs = re.search(r"number_of_executed_units: (\d+)", done.stdout)
    print(f"{'ok' if done.returncode == 0 else 'FAILED':6} {name}: {inputs[1] if inputs else '?'} inputs", flush=True)
    if done.returncode != 0:
        print("\n".join("    " + line for line in done.stdout.splitlines()[-60:]), flush=True)
    return done.returncode == 0


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--seconds", type=int, default=60)
    words.add_argument("--inputs", type=int, default=0)
    words.add_argument("--seed", type=int, default=0, help="0: another one each time")
    words.add_argument("names", nargs="*")
    given = words.parse_args()
    names = given.names or sorted(path.stem.removeprefix("fuzz_") for path in (ROOT / "tests/fuzz").glob("fuzz_*.c"))
    bound = [f"-runs={given.inputs}"] if given.inputs else [f"-max_total_time={given.seconds}"]
    sys.exit(0 if all([fuzz(name, bound, given.seed or (1 if given.inputs else 0), not given.inputs) for name in names]) else 1)


if __name__ == "__main__":
    main()
