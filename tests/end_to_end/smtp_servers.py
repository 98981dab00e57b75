"""Two mail relays: one that takes everything and keeps it (aiosmtpd), and one that plays an exact dialogue, step by
step, and notes what was said."""
import asyncio
import contextlib
import dataclasses
import email
import email.policy
import socket
import struct
import threading
import time

import aiosmtpd.smtp

IDLE_SECONDS = 60       # a client that says nothing is left
LINE_MAX = 64 * 1024
BODY_MAX = 64 * 1024 * 1024


def listening_socket(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(512)
    return listener


# --- the one that records ---

@dataclasses.dataclass
class Mail:
    at: float                # time.monotonic() at its end
    session: int
    sender: str
    recipients: list
    options: list            # of MAIL FROM
    content: bytes           # as it came, dots unstuffed

    @property
    def message(self):
        return email.message_from_bytes(self.content, policy=email.policy.default)

    def text(self, kind="plain"):
        part = self.message.get_body((kind,))
        return part.get_content() if part else ""


class MailServer:
    """Takes every mail, but for recipients in `refuse` ({address: "550 5.1.1 no such user"}). `answer`, if set, is what
    follows each body."""

    def __init__(self):
        self.mails = []
        self.refuse = {}
        self.answer = None
        self.delay = 0
        self.port = 0
        self._sessions = {}
        self._lock = threading.Lock()
        self._loop = None
        self.up()

    @property
    def url(self):
        return f"smtp://127.0.0.1:{self.port}"

    def to(self, address):
        with self._lock:
            return [mail for mail in self.mails if address in mail.recipients]

    def up(self):
        if self._loop:
            return
        listener = listening_socket(self.port)
        self.port = listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._loop, listener, started), daemon=True)
        self._thread.start()
        started.wait(10)

    def down(self):
        """From now on connections are refused; open ones are cut."""
        loop, self._loop = self._loop, None
        if loop:
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join(10)

    close = down

    def _run(self, loop, listener, started):
        asyncio.set_event_loop(loop)
        loop.set_exception_handler(lambda *_: None)    # sessions that are cut by down()
        protocols = []

        def make():
            protocols.append(aiosmtpd.smtp.SMTP(self, enable_SMTPUTF8=False, decode_data=False, hostname="mail.test", loop=loop))
            return protocols[-1]

        server = loop.run_until_complete(loop.create_server(make, sock=listener))
        loop.call_soon(started.set)
        loop.run_forever()
        server.close()
        for protocol in protocols:
            if protocol.transport:
                protocol.transport.abort()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        with contextlib.suppress(Exception):
            loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(loop), return_exceptions=True))
        loop.close()

    # aiosmtpd's hooks

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.answer and not self.answer.startswith("2"):
            return self.answer
        with self._lock:
            number = self._sessions.setdefault(id(session), len(self._sessions) + 1)
            self.mails.append(Mail(time.monotonic(), number, envelope.mail_from, list(envelope.rcpt_tos),
                                   list(envelope.mail_options), envelope.original_content or envelope.content))
            return self.answer or f"250 2.0.0 queued as {len(self.mails)}"


# --- the one that plays a dialogue ---

CLOSE = object()       # in the place of an answer: the connection is closed
RESET = object()       # … reset
STALL = object()       # … nothing more is said, until the client goes


@dataclasses.dataclass
class Say:
    """An answer with more to it."""
    text: str
    delay: float = 0
    then_close: bool = False


USUAL = {"connect": "220 mail.test ESMTP", "EHLO": "250-mail.test\r\n250 ENHANCEDSTATUSCODES", "HELO": "250 mail.test",
         "MAIL": "250 2.1.0 ok", "RCPT": "250 2.1.5 ok", "DATA": "354 go on", "body": "250 2.0.0 queued", "RSET": "250 2.0.0 ok",
         "NOOP": "250 2.0.0 ok", "QUIT": "221 2.0.0 bye"}


class Dialogue:
    """What one connection hears: Dialogue(RCPT="550 5.1.1 no", body=[CLOSE], …). Keys are "connect", commands, and
    "body" (after the final dot); values an answer, CLOSE, RESET, STALL, Say, or a list of them, of which the last
    one stays. Lines may be joined by CRLF. `cut_in_body`: closes after so many bytes of a body.
    `byte_by_byte`: seconds between the bytes of every answer."""

    def __init__(self, cut_in_body=None, byte_by_byte=0, **answers):
        self.answers = {**USUAL, **answers}
        self.cut_in_body = cut_in_body
        self.byte_by_byte = byte_by_byte


@dataclasses.dataclass
class SmtpSession:
    number: int
    at: float
    said: list = dataclasses.field(default_factory=list)       # ("C" or "S", line)
    bodies: list = dataclasses.field(default_factory=list)     # complete ones, as on the wire without the final dot
    cut_body: bytes = b""
    ended: bool = False

    @property
    def commands(self):
        return [line for who, line in self.said if who == "C"]


class _End(Exception):
    def __init__(self, reset=False):
        self.reset = reset


class ScriptedSmtp:
    """The first connection gets the first dialogue, and so on; the last one stays."""

    def __init__(self, *dialogues):
        self.dialogues = list(dialogues) or [Dialogue()]
        self.sessions = []
        self.port = 0
        self._listener = None
        self._open = set()
        self._lock = threading.Lock()
        self.up()

    @property
    def url(self):
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def bodies(self):
        with self._lock:
            return [body for session in self.sessions for body in session.bodies]

    def play(self, *dialogues):
        """What the connections from now on hear."""
        with self._lock:
            self.dialogues = list(dialogues)

    def up(self):
        if not self._listener:
            self._listener = listening_socket(self.port)
            self.port = self._listener.getsockname()[1]
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def down(self):
        listener, self._listener = self._listener, None
        if listener:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    close = down

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
                dialogue = self.dialogues.pop(0) if len(self.dialogues) > 1 else self.dialogues[0]
                session = SmtpSession(len(self.sessions) + 1, time.monotonic())
                self.sessions.append(session)
            threading.Thread(target=self._serve, args=(connection, dialogue, session), daemon=True).start()

    def _serve(self, connection, dialogue, session):
        reset = False
        connection.settimeout(IDLE_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            _Player(connection, dialogue, session).play()
        except _End as end:
            reset = end.reset
        except OSError:
            pass
        with self._lock:
            self._open.discard(connection)
        session.ended = True
        with contextlib.suppress(OSError):
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()


class _Player:
    """One connection."""

    def __init__(self, connection, dialogue, session):
        self.connection = connection
        self.dialogue = dialogue
        self.session = session
        self.data = b""
        self.steps = {key: list(value) if isinstance(value, (list, tuple)) else [value]
                      for key, value in dialogue.answers.items()}

    def play(self):
        self.answer("connect")
        while True:
            line = self.line()
            self.session.said.append(("C", line))
            command = line.split(" ")[0].split(":")[0].upper()
            said = self.answer(command)
            if command == "DATA" and said.startswith("3"):
                self.body()
                self.answer("body")
            if command == "QUIT":
                raise _End

    def more(self):
        data = self.connection.recv(65536)
        if not data:
            raise _End
        self.data += data

    def line(self):
        while b"\r\n" not in self.data:
            if len(self.data) > LINE_MAX:
                raise _End
            self.more()
        line, _, self.data = self.data.partition(b"\r\n")
        return line.decode("utf-8", "replace")

    def body(self):
        limit = self.dialogue.cut_in_body
        self.data = b"\r\n" + self.data                # so that a lone dot at the start is seen too
        while b"\r\n.\r\n" not in self.data:
            if limit is not None and len(self.data) - 2 >= limit or len(self.data) > BODY_MAX:
                self.session.cut_body = self.data[2:]
                raise _End
            self.more()
        body, _, self.data = self.data.partition(b"\r\n.\r\n")
        if limit is not None:
            self.session.cut_body = body[2:]
            raise _End
        self.session.bodies.append(body[2:] + b"\r\n")

    def answer(self, key):
        steps = self.steps.get(key) or ["502 5.5.1 not known"]
        step = steps.pop(0) if len(steps) > 1 else steps[0]
        if step is CLOSE or step is RESET:
            raise _End(step is RESET)
        if step is STALL:
            while True:
                self.more()
        say = step if isinstance(step, Say) else Say(step)
        if say.delay:
            time.sleep(say.delay)
        self.session.said.append(("S", say.text))
        wire = say.text.encode("latin-1") + b"\r\n"
        if self.dialogue.byte_by_byte:
            for byte in wire:
                self.connection.sendall(bytes([byte]))
                time.sleep(self.dialogue.byte_by_byte)
        else:
            self.connection.sendall(wire)
        if say.then_close:
            raise _End
        return say.text
