"""The demo's live view: who the customers are and what they choose now, and below it each message as it arrives. Drawn on
the terminal's second screen, so that the first one is there again afterwards. Knows nothing of heed."""
import collections
import shutil
import sys
import threading
import time

FRESH_SECONDS = 4      # a choice that changed is shown so for this long
DRAW_SECONDS = 0.1     # between two drawings at the least
LINES_KEPT = 200
NARROW = 90            # columns under which why a message went there is left out


def cut(words, width):
    words = "".join(c if c.isprintable() else " " for c in words)
    return words.ljust(width) if len(words) <= width else words[:max(width - 1, 0)] + "…"


class View:
    def __init__(self, products, commands, colours):
        """`products`: the columns, [(name, heading)]; `commands`: lines to try in another terminal."""
        self.products, self.commands, self.colours = products, commands, colours
        self.customers = {}            # id: (name, {product: words})
        self.changed = {}              # (id, product): when
        self.lines = collections.deque(maxlen=LINES_KEPT)
        self.totals = ""
        self.dirty = threading.Event()
        self.lock = threading.Lock()

    # --- what is shown: any thread ---

    def customer(self, id, name, choices):
        with self.lock:
            before = self.customers.get(id)
            for product, words in choices.items():
                if before and before[1].get(product) != words:
                    self.changed[id, product] = time.monotonic()
            if before != (name, choices):
                self.customers[id] = (name, choices)
                self.dirty.set()

    def arrived(self, cells, why, good):
        with self.lock:
            self.lines.append((cells, why, good))
        self.dirty.set()

    def sums(self, words):
        if words != self.totals:
            self.totals = words
            self.dirty.set()

    # --- drawing: one thread ---

    def __enter__(self):
        sys.stdout.write("\033[?1049h\033[?25l")
        return self

    def __exit__(self, *trouble):
        sys.stdout.write("\033[?25h\033[?1049l")
        sys.stdout.flush()

    def paint(self, code, words):
        return f"\033[{code}m{words}\033[0m" if self.colours else words

    def customer_lines(self, width):
        name_width = 18
        each = max(8, (width - name_width - 1) // max(len(self.products), 1))
        yield self.paint("1", cut("CUSTOMER", name_width) + "".join(cut(heading, each - 1) + " " for _, heading in self.products))
        now = time.monotonic()
        for id, (name, choices) in self.customers.items():
            line = cut(name, name_width - 1) + " "
            for product, _ in self.products:
                words = choices.get(product, "")
                fresh = now - self.changed.get((id, product), -FRESH_SECONDS) < FRESH_SECONDS
                own = words and not words.startswith("(")
                line += self.paint("7" if fresh else "" if own else "2", cut(words, each - 1)) + " "
            yield line

    def arrival_lines(self, width, room):
        widths = [16, 20, 30, 0] if width >= NARROW else [14, 18, 0, 0]
        rest = max(width - sum(widths) - 4, 10)
        widths = [w or rest // 2 for w in widths]
        yield self.paint("1", "".join(cut(heading, w) + " " for heading, w in zip(("FOR", "ABOUT", "ARRIVED AT", "READS"), widths))[:width])
        for (cells, why, good) in list(self.lines)[-max(room - 1, 1):]:
            words = [cut(cell, w) for cell, w in zip(cells, widths)]
            words[2] = self.paint("32" if good else "33", words[2])
            used = sum(widths) + 4
            yield " ".join(words) + (" " + self.paint("2", cut(why, width - used)) if width - used > 10 else "")

    def draw(self):
        width, height = shutil.get_terminal_size()
        with self.lock:
            top = [self.paint("1", cut("heed, and the choices of its customers", width)), "", *self.customer_lines(width), ""]
            bottom = ["", cut(self.totals, width), *(cut(line, width) for line in self.commands)]
            room = max(height - len(top) - len(bottom), 2)
            middle = list(self.arrival_lines(width, room))
        middle += [""] * (room - len(middle))
        lines = (top + middle + bottom)[:height]
        sys.stdout.write("\033[H" + "\033[K\r\n".join(lines) + "\033[K\033[J")
        sys.stdout.flush()

    def run(self, goes_on):
        """Draws whatever changes, while goes_on() says so."""
        while goes_on():
            self.dirty.wait(0.5)
            self.dirty.clear()
            self.draw()
            time.sleep(DRAW_SECONDS)
