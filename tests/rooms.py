"""The check of the rooms: tests -> adapters -> gateway -> libc. Reads the includes and names every breach."""
import pathlib
import re
import sys

LIBC = {"assert", "arpa/inet", "ctype", "dirent", "endian", "errno", "fcntl", "fnmatch", "getopt", "inttypes", "limits", "locale",
        "math", "netdb", "netinet/in", "netinet/tcp", "poll", "pthread", "regex", "signal", "stdarg", "stdatomic", "stdbool",
        "stddef", "stdint", "stdio", "stdlib", "string", "strings", "sys/epoll", "sys/eventfd", "sys/file", "sys/ioctl",
        "sys/mman", "sys/random", "sys/resource", "sys/socket", "sys/stat", "sys/time", "sys/syscall", "sys/types", "sys/un",
        "sys/uio", "sys/wait", "sysexits", "termios", "time", "unistd"}
# Which outside libraries an adapter may use; http_client is the one adapter that others may include.
ADAPTER_LIBRARIES = {
    "queue_redis": {"hiredis/hiredis"}, "channel_email": set(),
    "channel_email_plain": {"libesmtp", "auth-client"}, "channel_email_tls": {"curl/curl"}, "http_client": {"curl/curl"},
    "channel_http": {"curl/curl"}, "channel_webhook": {"curl/curl"}, "channel_capture": set(), "store_sqlite": {"sqlite3"}, "store_postgres": {"libpq-fe"}, "store_memory": set(),
    "web_server": {"microhttpd"}, "config_yaml": {"yaml"}, "mail_parse": {"gmime/gmime"}, "mail_imap": {"curl/curl"},
    "sign": {"openssl/evp", "openssl/hmac", "openssl/rand", "openssl/crypto", "openssl/sha", "openssl/core_names",
             "openssl/params", "openssl/err", "openssl/pem"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)


def is_own(name, header):
    """Is it the private header of the adapter, or of the one that it is a part of?"""
    return header.endswith("_private.h") and (name + "_").startswith(header.removesuffix("private.h"))


def breaches(root: pathlib.Path):
    gateway = {p.name for p in (root / "gateway").glob("*.h")} | {"commands/" + p.name for p in (root / "gateway/commands").glob("*.h")}
    for room in ("gateway", "adapters"):
        for path in sorted((root / room).rglob("*.[ch]")):
            # An adapter may be split: store_sqlite_read.c is of store_sqlite, with its library and its header.
            name = max((a for a in ADAPTER_LIBRARIES if (path.stem + "_").startswith(a + "_")), key=len,
                       default=re.sub(r"_private$", "", path.stem))
            for kind, what in INCLUDE.findall(path.read_text()):
                stem = what[:-2]
                if kind == "<":
                    if stem in LIBC or stem == "jansson":
                        continue
                    if room == "adapters" and stem in ADAPTER_LIBRARIES.get(name, ()):
                        continue
                    yield f"{path.relative_to(root)}: may not include <{what}>"
                elif what.replace("../", "") in gateway or (room == "gateway" and (path.parent / what).exists()):
                    continue
                elif room == "adapters" and (what in (name + ".h", "http_client.h") or is_own(name, what)):
                    continue
                else:
                    yield f'{path.relative_to(root)}: may not include "{what}"'
            if room == "gateway" and re.search(r"\b(sqlite3_|PQ[a-z]|redis(Command|Connect)|curl_easy|smtp_create|MHD_|yaml_parser_|g_mime_)", path.read_text()):
                yield f"{path.relative_to(root)}: names an adapter's library"


if __name__ == "__main__":
    found = list(breaches(pathlib.Path(__file__).resolve().parent.parent))
    print("\n".join(found) or "the rooms are in order")
    sys.exit(1 if found else 0)
