#!/usr/bin/python3
"""A private PostgreSQL on a Unix socket, for tests. As a program: runs a command with HEED_TEST_POSTGRES set to it.

    tests/postgres.py build/tests/contract/test_store
"""
import contextlib
import ctypes
import glob
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time

_libc = ctypes.CDLL(None)
# What is committed need not outlive the machine here, only the server.
SETTINGS = {"fsync": "off", "listen_addresses": "", "max_connections": "200", "shared_buffers": "64MB", "max_wal_size": "1GB",
            "logging_collector": "off", "log_min_messages": "error", "autovacuum_naptime": "5s"}


def programs():
    """The newest version's folder of programs; None: not installed."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(path.split("/")[4]))
    return pathlib.Path(found[-1]).parent if found else None


def account():
    """Who runs it: it refuses root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError("there is no unprivileged user to run PostgreSQL")


class Postgres:
    def __init__(self, folder=None, settings=None):
        self.own_folder = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="heed-pg-", dir="/tmp"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.settings = {**SETTINGS, **(settings or {})}
        self.account = account()
        self.process = None
        if self.account:
            self.folder.chmod(0o755)
            os.chown(self.folder, self.account.pw_uid, self.account.pw_gid)

    def url(self, database="postgres"):
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def _prepare(self):
        """In a child: it ends with us, and is nobody in particular."""
        _libc.prctl(1, signal.SIGKILL if self.process else signal.SIGQUIT)
        if self.account:
            os.setgroups([])
            os.setgid(self.account.pw_gid)
            os.setuid(self.account.pw_uid)
            _libc.prctl(1, signal.SIGQUIT)

    def _run(self, *command):
        done = subprocess.run([str(programs() / command[0]), *command[1:]], preexec_fn=self._prepare, cwd=self.folder, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]}: {done.stdout}")
        return done.stdout

    def start(self):
        data = self.folder / "data"
        if not data.exists():
            self._run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N", "--no-instructions")
        words = [str(programs() / "postgres"), "-D", str(data), "-k", str(self.folder)]
        for name, value in self.settings.items():
            words += ["-c", f"{name}={value}"]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(words, preexec_fn=self._prepare, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until = time.monotonic() + 60
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("PostgreSQL did not start: " + (self.folder / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.02)
        return self

    def answers(self):
        return subprocess.run(["psql", "-qAt", "-c", "SELECT 1", self.url()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0

    def ask(self, sql, database="postgres", seconds=60):
        """The answer as psql prints it: a line a row, | between the columns."""
        done = subprocess.run(["psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-c", sql, self.url(database)], text=True, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=seconds)
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip("\n")

    def stop(self, with_signal=signal.SIGINT):
        """SIGINT: fast; SIGQUIT: as if it had crashed."""
        if self.process:
            self.process.send_signal(with_signal)
            self.process.wait(60)
            self.process = None

    def close(self):
        self.stop(signal.SIGQUIT)
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def main():
    if not programs():
        sys.exit("PostgreSQL is not installed (make deps)")
    server = Postgres().start()
    try:
        return subprocess.run(sys.argv[1:], env={**os.environ, "HEED_TEST_POSTGRES": server.url()}).returncode
    finally:
        server.close()


if __name__ == "__main__":
    sys.exit(main())
