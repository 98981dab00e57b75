"""Hours, days, weeks, digests: random windows and instants in the zones of the system's database, half of them near a
transition, answered by heed and by a model on Python's zoneinfo that looks at the clock and tries candidates.
HEED_FULL=1 (`make hours-full`): 10,000 in every zone; else 500 in each of 24. HEED_SEED chooses others."""
import bisect
import datetime
import itertools
import multiprocessing
import operator
import os
import pathlib
import random
import subprocess
import zoneinfo

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / os.environ.get("O", "build") / "tests/unit/test_hours"
FULL = "HEED_FULL" in os.environ
SEED = int(os.environ.get("HEED_SEED", "1042"))
CASES = 10000 if FULL else 500
ALWAYS = ["America/New_York", "Europe/Paris", "Australia/Lord_Howe", "Africa/Casablanca", "Africa/Cairo", "Pacific/Apia",
          "America/St_Johns", "Europe/Dublin", "Asia/Gaza", "Africa/Monrovia", "Antarctica/Troll", "America/Nuuk"]
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
EPOCH = datetime.datetime(1970, 1, 1)
BEGIN, END = 0, 2303596800  # 1970 to 2043: tables end in 2037, and rules go on
DAY = 86400
MICRO = 1000000
NEVER = 2**63 - 1


class Zone:
    """All in whole seconds. A wall time is seconds since 1970 on the wall."""

    def __init__(self, name):
        self.zone = zoneinfo.ZoneInfo(name)
        self.transitions = []  # (instant, wall before it, wall at it)
        at, offset = BEGIN - 40 * DAY, self.offset(BEGIN - 40 * DAY)
        while at < END + 400 * DAY:
            step = at + DAY // 2
            if self.offset(step) != offset:
                low, high = at, step
                while high - low > 1:
                    middle = (low + high) // 2
                    low, high = (middle, high) if self.offset(middle) == offset else (low, middle)
                self.transitions.append((high, high + offset, high + self.offset(high)))
                offset = self.offset(step)
            at = step
        self.instants = [t[0] for t in self.transitions]
        self.step = 900 if all(wall % 900 == 0 for t in self.transitions for wall in t[1:]) else 30

    def offset(self, at):
        return int(datetime.datetime.fromtimestamp(at, self.zone).utcoffset().total_seconds())

    def wall(self, at):
        return at + self.offset(at)

    def shows(self, wall):
        """The instants that show a wall time, by zoneinfo's two folds and the way back."""
        naive = EPOCH + datetime.timedelta(seconds=wall)
        found = {int(naive.replace(tzinfo=self.zone, fold=fold).timestamp()) for fold in (0, 1)}
        return sorted(at for at in found if self.wall(at) == wall)

    def first_at_least(self, wall):
        shown = self.shows(wall)
        if shown:
            return shown[0]
        return next(at for at, before, after in self.transitions if before <= wall < after)

    def transitions_from(self, at, until):
        for i in range(bisect.bisect_right(self.instants, at), len(self.instants)):
            if self.instants[i] > until:
                return
            yield self.transitions[i]

    def days(self, at):
        """The number of the calendar day that `at` belongs to."""
        day = self.wall(at) // DAY
        return day + 1 if self.first_at_least((day + 1) * DAY) <= at else day


class Hours:
    """windows: (days, from, to) in minutes, `to` of the next day where it is not later."""

    def __init__(self, windows, quiet):
        self.windows, self.quiet = windows, quiet
        self.edges = sorted({m * 60 for _, start, end in windows for m in (start, end % 1440)})

        self.week = []  # by minute; between two edges nothing changes
        for weekday in range(7):
            for start, end in itertools.pairwise(sorted({0, 1440, *(edge // 60 for edge in self.edges)})):
                self.week += [self.opens(weekday, start)] * (end - start)

    def opens(self, weekday, minute):
        inside = any((weekday in days and start <= minute < (end if end > start else 1440)) or
                     (end <= start and (weekday - 1) % 7 in days and minute < end) for days, start, end in self.windows)
        return inside != self.quiet

    def on(self, wall):
        return self.week[(wall // 60 + 3 * 1440) % (7 * 1440)]

    def first(self, zone, at, wanted=True):
        """The first instant from `at` on that is open (or not): it is at an edge, or where the clock jumps."""
        if self.on(zone.wall(at)) == wanted:
            return at
        jumps = [t[0] for t in zone.transitions_from(at, at + 24 * DAY)]
        found = min((t for t in jumps if self.on(zone.wall(t)) == wanted), default=None)
        today = zone.wall(at) // DAY
        for day in range(today - bool(jumps), today + 24):
            if found is not None and day > zone.wall(found) // DAY + 1:
                break
            walls = [day * DAY + edge for edge in self.edges if self.on(day * DAY + edge) == wanted]
            later = [t for wall in walls for t in zone.shows(wall) if t > at]
            found = min([t for t in [found, *later] if t is not None], default=None)
            if found is not None and not jumps:
                break
        return found

    def text(self):
        def one(days, start, end):
            time = f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
            return time if days is None else f"{days} {time}"
        return ", ".join(one(self.names[i], start, end) for i, (_, start, end) in enumerate(self.windows))


def random_hours(rng, quiet=False):
    with_days = rng.random() < 0.7
    windows, names = [], []
    for _ in range(rng.choice([1, 1, 2, 2, 3, 4])):
        first = rng.randrange(7)
        length = rng.choice([1, 1, 2, 5, 7]) if with_days else 7
        days = {(first + i) % 7 for i in range(length)}
        last = (first + length - 1) % 7
        names.append(None if not with_days else DAYS[first] if length == 1 else f"{DAYS[first]}-{DAYS[last]}")
        small = rng.random() < 0.5  # at night, where clocks change
        start = rng.choice([0, 30, 45, 60, 61, 90, 119, 120, 135, 150, 179, 180, 1380, 1410, 1439]) if small else rng.randrange(1440)
        end = start + rng.choice([1, 15, 30, 45, 60, 120]) if small else rng.randrange(1, 1441)
        end = end if end <= 1440 else end - 1440
        if end == start:
            end = start + 1
        windows.append((days, start, end))
    hours = Hours(windows, quiet)
    hours.names = names
    return hours


def both(zone, a, b, at):
    for _ in range(400):
        t = a.first(zone, at)
        if t is None:
            return None
        at = b.first(zone, t)
        if at is None or at == t:
            return at
    return None


def next_hour(zone, at):
    steps = range(at // zone.step * zone.step + zone.step, at + 3 * 3600, zone.step)
    candidates = list(itertools.islice((t for t in steps if zone.wall(t) % 3600 == 0), 1))
    for t, before, after in zone.transitions_from(at, at + 3 * 3600):
        if after % 3600 == 0 or (after > before and after // 3600 > (before - 1) // 3600):
            candidates.append(t)
    return min(candidates)


def next_at(zone, at, time, weekday=None):
    for day in range(zone.wall(at) // DAY - 1, zone.wall(at) // DAY + 20):
        if weekday is not None and (day + 3) % 7 != weekday:
            continue
        found = zone.first_at_least(day * DAY + time * 60)
        if found > at and zone.first_at_least(day * DAY) != zone.first_at_least((day + 1) * DAY):
            return found
    return None


def model(zone, at, hours, channel, daily, weekly):
    opens = hours.first(zone, at)
    closes = None if all(hours.week) else hours.first(zone, opens, False)
    day = zone.days(at)
    monday = (day + 3) // 7 * 7 - 3
    return [opens, closes, both(zone, hours, channel, at) if any(map(operator.and_, hours.week, channel.week)) else None,
            zone.first_at_least(day * DAY), zone.first_at_least((day + 1) * DAY),
            zone.first_at_least(monday * DAY), zone.first_at_least((monday + 7) * DAY),
            next_hour(zone, at), next_at(zone, at, daily), next_at(zone, at, weekly[1], weekly[0]),
            len(zone.shows(zone.wall(at))), opens]


def random_instant(rng, zone):
    if zone.instants and rng.random() < 0.5:
        at = rng.choice(zone.instants) + rng.choice([0, -1, 1, rng.randint(-5000, 5000), rng.randint(-2 * DAY, 2 * DAY)])
        if BEGIN <= at < END:
            return at
    return rng.randrange(BEGIN, END)


def check_zone(name):
    """None, or the first case in which heed and the model differ."""
    zone, rng = Zone(name), random.Random(f"{SEED} {name}")
    cases, lines, texts = [], [], []
    for _ in range(100):  # each pair of hours at many instants
        quiet = rng.random() < 0.3
        hours, channel = random_hours(rng, quiet), random_hours(rng)
        if not any(hours.week):
            continue
        texts.append((hours, channel))
    for i in range(CASES):
        hours, channel = texts[i % len(texts)]
        at = random_instant(rng, zone)
        daily, weekly = rng.choice([0, 90, 120, 150, rng.randrange(1440)]), (rng.randrange(7), rng.choice([0, 150, rng.randrange(1440)]))
        cases.append((at, hours, channel, daily, weekly))
        lines.append("\t".join([name, str(at * MICRO), hours.text(), channel.text(), str(int(hours.quiet)),
                                f"daily {daily // 60:02}:{daily % 60:02}",
                                f"weekly {DAYS[weekly[0]]} {weekly[1] // 60:02}:{weekly[1] % 60:02}"]) + "\n")
    ran = subprocess.run([TOOL, "cases"], input="".join(lines), text=True, stdout=subprocess.PIPE, timeout=300, check=True)
    answers = ran.stdout.splitlines()
    if len(answers) != len(cases):
        return f"{name}: {len(answers)} answers"
    for line, answer, case in zip(lines, answers, cases):
        got = [int(n) for n in answer.split()] if answer != "refused" else answer
        expected = [NEVER if n is None else n * MICRO for n in model(zone, *case)]
        expected[10] //= MICRO
        if got != expected:
            return f"{line!r}\n  heed  {got}\n  model {expected}"
    return None


def zones():
    """Once each: many names are other names of the same file."""
    files = {}
    for name in sorted(zoneinfo.available_timezones()):
        path = pathlib.Path("/usr/share/zoneinfo") / name
        if path.exists():
            files.setdefault(path.read_bytes(), name)
    names = list(files.values())
    return names if FULL else ALWAYS + random.Random(SEED).sample([n for n in names if n not in ALWAYS], 12)


def test_hours_and_days_are_those_of_a_second_implementation():
    names = zones()
    with multiprocessing.Pool(2) as pool:
        differences = []
        for done, difference in enumerate(pool.imap_unordered(check_zone, names), 1):
            differences += [difference] if difference else []
            if FULL and done % 10 == 0:
                print(f"{done} of {len(names)} zones, {len(differences)} with a difference", flush=True)
    print(f"seed {SEED}: {len(names)} zones, {CASES} cases in each, {len(differences)} zones with a difference")
    assert not differences, "\n".join(differences[:5])
