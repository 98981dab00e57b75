"""A scripted HTTP server: plays the receiver of webhooks and the API of an SMS company, well or badly, and
records each request with its time. It reads the wire itself, so that it can cut a connection at any point."""
import contextlib
import dataclasses
import json
import socket
import struct
import threading
import time
import urllib.parse

ENDLESS_SECONDS = 60      # the longest that an endless body goes on
IDLE_SECONDS = 60         # a connection that says nothing is closed
HEAD_MAX = 64 * 1024
BODY_MAX = 16 * 1024 * 1024
REASONS = {200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 302: "Found", 400: "Bad Request", 401: "Unauthorized",
           403: "Forbidden", 404: "Not Found", 408: "Request Timeout", 410: "Gone", 429: "Too Many Requests",
           500: "Internal Server Error", 503: "Service Unavailable"}


@dataclasses.dataclass
class Answer:
    """What is answered to one request. `cut`: "before" closes when the head was read and not the body, "after" when
    the whole request was read and nothing answered, "status" in the middle of the status line, "body" in the
    middle of the body. `reset`: a cut is a TCP reset. `close`: the connection ends after the answer, unannounced."""
    status: int = 200
    body: bytes | str | dict | list = b""
    headers: dict = dataclasses.field(default_factory=dict)
    delay: float = 0
    cut: str = ""
    reset: bool = False
    endless: bool = False
    byte_by_byte: float = 0     # seconds between the bytes of the answer
    raw: bytes | None = None    # sent in the place of an answer
    close: bool = False

    def content(self):
        if isinstance(self.body, (dict, list)):
            return json.dumps(self.body).encode()
        return self.body.encode() if isinstance(self.body, str) else self.body


def redirect(location, status=302):
    return Answer(status, headers={"Location": location})


def retry_after(seconds, status=429):
    return Answer(status, headers={"Retry-After": str(seconds)})


@dataclasses.dataclass
class Request:
    at: float              # time.monotonic() when its first byte was read
    time: float            # the wall clock then
    connection: int        # requests on one connection have the same number
    method: str
    target: str            # as it came, with the query
    headers: dict          # names in lower case; the last one counts
    header_list: list      # as they came
    body: bytes
    answer: Answer | None = None

    @property
    def path(self):
        return self.target.split("?")[0]

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def form(self):
        return dict(urllib.parse.parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def query(self):
        return dict(urllib.parse.parse_qsl(self.target.partition("?")[2], keep_blank_values=True))


class Gone(Exception):
    """The connection is to be closed, or is."""


class HttpReceiver:
    """`script(path, a, b, …)`: the requests to a path get a, then b, …; the last one stays. A step may be a function of
    the whole request (it can't say cut="before"). What has no script gets `default`. Safe to use while it serves."""

    def __init__(self, default=None):
        self.default = default or Answer()
        self.requests = []            # complete ones, in order of their end
        self.connections = 0          # that were accepted
        self._scripts = {}
        self._cut_next = 0
        self._lock = threading.Lock()
        self._open = set()
        self._listener = None
        self.port = 0
        self.up()

    # --- for tests ---

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def script(self, path, *answers):
        with self._lock:
            self._scripts[path] = list(answers)

    def cut_connections(self, count):
        """The next connections are closed at once, before a byte is read."""
        with self._lock:
            self._cut_next = count

    def to(self, path):
        with self._lock:
            return [r for r in self.requests if r.path == path]

    def clear(self):
        with self._lock:
            self.requests.clear()

    def up(self):
        """Listens, on the same port as before."""
        if self._listener:
            return
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(512)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def down(self):
        """From now on connections are refused; open ones are cut."""
        listener, self._listener = self._listener, None
        if listener:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)    # wakes the accept
            listener.close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    close = down

    # --- serving ---

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                cut = self._cut_next > 0
                self._cut_next -= cut
                self._open.add(connection)
            if cut:
                self._end(connection, False)
            else:
                threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _end(self, connection, reset):
        with self._lock:
            self._open.discard(connection)
        with contextlib.suppress(OSError):
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

    def _serve(self, connection, number):
        connection.settimeout(IDLE_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer, pending = Answer(), b""
        try:
            while not answer.close:
                head, pending, began = self._read_head(connection, pending)
                request = self._parse(head, number, began)
                step = self._step(request)
                answer = request.answer = Answer() if callable(step) else dataclasses.replace(step)
                if answer.cut == "before":
                    self._record(request)
                    raise Gone
                if request.headers.get("expect", "").lower() == "100-continue":
                    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                request.body, pending = self._read_body(connection, request, pending)
                if callable(step):
                    answer = request.answer = dataclasses.replace(step(request))
                self._record(request)
                if answer.cut == "after":
                    raise Gone
                self._answer(connection, answer)
        except (Gone, OSError, ValueError):
            pass
        self._end(connection, answer.reset)

    def _record(self, request):
        with self._lock:
            self.requests.append(request)

    def _step(self, request):
        with self._lock:
            steps = self._scripts.get(request.path) or [self.default]
            return steps.pop(0) if len(steps) > 1 else steps[0]

    @staticmethod
    def _more(connection):
        data = connection.recv(65536)
        if not data:
            raise Gone
        return data

    def _read_head(self, connection, data):
        began = None
        while b"\r\n\r\n" not in data:
            if len(data) > HEAD_MAX:
                raise Gone
            data += self._more(connection)
            began = began or (time.monotonic(), time.time())
        head, _, rest = data.partition(b"\r\n\r\n")
        return head, rest, began or (time.monotonic(), time.time())

    @staticmethod
    def _parse(head, number, began):
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        pairs = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        return Request(began[0], began[1], number, method, target, {n.lower(): v for n, v in pairs}, pairs, b"")

    def _read_body(self, connection, request, data):
        if request.headers.get("transfer-encoding", "").lower() == "chunked":
            return self._read_chunks(connection, data)
        length = int(request.headers.get("content-length", 0))
        if length > BODY_MAX:
            raise Gone
        while len(data) < length:
            data += self._more(connection)
        return data[:length], data[length:]

    def _read_chunks(self, connection, data):
        body = b""
        while len(body) <= BODY_MAX:
            while b"\r\n" not in data:
                data += self._more(connection)
            size, _, data = data.partition(b"\r\n")
            length = int(size.split(b";")[0], 16)
            while len(data) < length + 2:
                data += self._more(connection)
            body, data = body + data[:length], data[length + 2:]
            if length == 0:
                return body, data
        raise Gone

    def _answer(self, connection, answer):
        if answer.delay:
            time.sleep(answer.delay)
        if answer.raw is not None:
            connection.sendall(answer.raw)
            answer.close = True
            return
        body = answer.content()
        headers = {"Content-Type": "application/json" if isinstance(answer.body, (dict, list)) else "text/plain"}
        if not answer.endless:
            headers["Content-Length"] = str(len(body))
        headers.update(answer.headers)
        lines = [f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Answer')}", *(f"{n}: {v}" for n, v in headers.items())]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if answer.cut == "status":
            connection.sendall(head[:7])
            raise Gone
        if answer.cut == "body":
            connection.sendall(head + body[:len(body) // 2])
            raise Gone
        if answer.byte_by_byte:
            for byte in head + body:
                connection.sendall(bytes([byte]))
                time.sleep(answer.byte_by_byte)
        else:
            connection.sendall(head + body)
        if answer.endless:
            until = time.monotonic() + ENDLESS_SECONDS
            while time.monotonic() < until:
                connection.sendall(b"and on and on, ")
                time.sleep(0.001)
            raise Gone
