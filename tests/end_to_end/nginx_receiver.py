"""A receiver that keeps up with any load: nginx answers every request with 200 and logs when it came, on the clock of this machine."""
import pathlib
import socket
import subprocess

import harness


class NginxReceiver:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = self.folder / "arrivals"
        self.process = None

    def start(self):
        config = self.folder / "nginx.conf"
        config.write_text(f"""
daemon off; master_process off; pid {self.folder}/nginx.pid; error_log {self.folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    log_format arrival '$msec $uri';
    access_log {self.log} arrival buffer=64k flush=100ms;
    client_body_temp_path {self.folder}; proxy_temp_path {self.folder}; fastcgi_temp_path {self.folder};
    uwsgi_temp_path {self.folder}; scgi_temp_path {self.folder};
    keepalive_requests 1000000;
    server {{ listen 127.0.0.1:{self.port} backlog=1024; location / {{ return 200; }} }}
}}
""")
        self.process = subprocess.Popen(["nginx", "-c", str(config), "-p", str(self.folder)], stdin=subprocess.DEVNULL,
                                        preexec_fn=harness.end_with_us)
        harness.wait_for(self._answers, what="nginx to answer")
        return self

    def _answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(harness.PATIENCE)
            self.process = None

    def count(self):
        with open(self.log, "rb") as log:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: log.read(1 << 20), b""))

    def arrivals(self, under="/"):
        """[(seconds since 1970, path), …] in the order of the log."""
        with open(self.log) as log:
            lines = (line.split() for line in log if line.endswith("\n"))
            return [(float(at), path) for at, path in lines if path.startswith(under)]
