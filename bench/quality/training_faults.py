#!/usr/bin/env python3
"""Faults injected into recorded training curves (nanogpt logs), found by `tocsin detect --stream` as it is.

usage: bench/quality/training_faults.py [--build build] [--half development|held-out|all] [--rounds 1] [--seed 1] [--budget 1/week] [--misses]

The runs are halved by a hash of their names: constants were chosen on the development half. A fault goes into every run of
the half that has the column, at a random row of its third quarter; a plateau between 40 and 75 % of the course, where the
fault-free curve would still have fallen by at least two standard deviations of its noise, and a slow divergence only where
the loss then rises (what is added is twice what the fault-free curve loses). Runs without such a place are counted as left out.
Found: an alert opens at or behind the fault (of a spike: within its rows and 20 more); the delay is in rows. Right: it also
names the kind. False alarms: alerts of the runs as recorded, from their first row on; and those before a fault.
"""
import argparse, collections, csv, glob, gzip, hashlib, json, os, random, statistics, subprocess, sys, tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SPIKE_SLACK, NOISES, TREND_ROWS = 20, 2, 101
RISING = {"rise", "spike"}


class Run:
    def __init__(self, path):
        self.name = os.path.basename(path)
        with gzip.open(path, "rt") as f:
            head, *rows = list(csv.reader(f))
        self.head, self.rows = head[:-1], [r[:-1] for r in rows]  # without the label
        self.is_held_out = hashlib.md5(self.name.encode()).digest()[-1] % 2 == 1

    def has(self, column):
        at = self.head.index(column)
        return sum(bool(r[at]) for r in self.rows) > len(self.rows) / 2

    def seconds(self):
        return float(self.rows[-1][0]) - float(self.rows[0][0])

    def copy(self, column, change, at):
        """Rows with the values of the column from row `at` on replaced by change(value, rows since at)."""
        c, rows = self.head.index(column), [list(r) for r in self.rows]
        for k, r in enumerate(rows[at:]):
            if r[c]:
                r[c] = "%.9g" % change(float(r[c]), k)
        return rows

    def trend(self, column):
        """Running median, the value of each row, and the deviation of a row from it."""
        c = self.head.index(column)
        v = [float(r[c]) if r[c] else None for r in self.rows]
        half = TREND_ROWS // 2
        line = []
        for i in range(len(v)):
            near = sorted(x for x in v[max(0, i - half):i + half + 1] if x is not None)
            line.append(near[len(near) // 2])
        apart = sorted(abs(x - t) for x, t in zip(v, line) if x is not None)
        return line, 1.4826 * apart[len(apart) // 2]


def third_quarter(run, rnd):
    return rnd.randint(len(run.rows) // 2, len(run.rows) * 3 // 4)


def multiply(column, factor_at):
    def fault(run, rnd):
        at = third_quarter(run, rnd)
        return at, run.copy(column, lambda v, k: v * factor_at(k), at)
    return fault


def spike(run, rnd):
    at, factor, length = third_quarter(run, rnd), rnd.uniform(1.5, 3), rnd.randint(1, 20)
    return at, run.copy("train_loss", lambda v, k: v * factor if k < length else v, at), at + length + SPIKE_SLACK


def divergence(run, rnd):
    at = third_quarter(run, rnd)
    return at, run.copy("train_loss", lambda v, k: v + 0.01 * k, at)


def slow_divergence(run, rnd):
    at, (line, _) = third_quarter(run, rnd), run.trend("train_loss")
    if 1e-4 * (len(line) - at) < 2 * (line[at] - line[-1]):
        return None
    return at, run.copy("train_loss", lambda v, k: v + 1e-4 * k, at)


def plateau(run, rnd):
    line, noise = run.trend("train_loss")
    n = len(line)
    places = [i for i in range(n * 2 // 5, n * 3 // 4) if line[i] - line[-1] >= NOISES * noise]
    if not places:
        return None
    at = rnd.choice(places)
    return at, run.copy("train_loss", lambda v, k: v + line[at] - line[at + k], at)


def standstill(run, rnd):
    at, c = third_quarter(run, rnd), run.head.index("train_loss")
    level = next(float(r[c]) for r in run.rows[at:] if r[c])
    return at, run.copy("train_loss", lambda v, k: level, at)


# name, column, injection, events that name it
FAULTS = [
    ("loss spike (× 1.5 to 3 for 1 to 20 rows)", "train_loss", spike, RISING),
    ("divergence (+0.01 per step)", "train_loss", divergence, RISING),
    ("slow divergence (+1e-4 per step, where the loss then rises)", "train_loss", slow_divergence, RISING | {"plateau"}),
    ("loss drift (+0.02 % per step)", "train_loss", multiply("train_loss", lambda k: 1.0002 ** k), RISING | {"plateau"}),
    ("plateau (the trend stops, the noise goes on)", "train_loss", plateau, {"plateau", "rise"}),
    ("the loss stands still", "train_loss", standstill, {"standstill"}),
    ("NaN", "train_loss", multiply("train_loss", lambda k: float("nan")), {"not_a_number"}),
    ("step time +10 %", "step_time", multiply("step_time", lambda k: 1.10), {"slower"}),
    ("step time +25 %", "step_time", multiply("step_time", lambda k: 1.25), {"slower"}),
    ("step time +50 %", "step_time", multiply("step_time", lambda k: 1.50), {"slower"}),
    ("step time drift (+0.02 % per step)", "step_time", multiply("step_time", lambda k: 1.0002 ** k), {"drift", "slower"}),
]
# Reported apart: nothing in these logs tells it from a schedule that doubles the batch.
APART = [("step time +100 %", "step_time", multiply("step_time", lambda k: 2.0), {"slower"})]


def alerts(tocsin, head, rows, budget):
    """(row from 0, event) of every alert."""
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as f:
        w = csv.writer(f)
        w.writerow(head)
        w.writerows(rows)
        f.flush()
        done = subprocess.run([tocsin, "detect", f.name, "--stream", "--budget", budget, "--exit-zero", "--output", "json"],
                              stdout=subprocess.PIPE, check=True, text=True)
    return [(a["first_row"] - 1, a.get("event", "")) for a in json.loads(done.stdout)["alerts"]]


class Count:
    def __init__(self):
        self.runs = self.found = self.right = self.early = self.left_out = 0
        self.delays = []

    def add(self, other):
        for k in ("runs", "found", "right", "early", "left_out"):
            setattr(self, k, getattr(self, k) + getattr(other, k))

    def row(self, name):
        delay = "%d" % statistics.median(self.delays) if self.delays else "–"
        longest = "%d" % sorted(self.delays)[int(len(self.delays) * 0.9)] if self.delays else "–"
        return "| %s | %d | %d | %.3f | %d | %s | %s | %d | %d |" % (
            name, self.runs, self.found, self.found / max(self.runs, 1), self.right, delay, longest, self.early, self.left_out)


def try_fault(o, tocsin, runs, fault):
    name, column, inject, wanted = fault
    c = Count()
    for run in runs:
        for k in range(o.rounds):
            if not run.has(column):
                continue
            injected = inject(run, random.Random("%d %d %s %s" % (o.seed, k, name, run.name)))
            if not injected:
                c.left_out += 1
                continue
            at, rows, *end = injected
            told = alerts(tocsin, run.head, rows, o.budget)
            hits = [(r, e) for r, e in told if at <= r < (end[0] if end else len(rows))]
            c.runs += 1
            c.found += bool(hits)
            c.right += any(e in wanted for _, e in hits)
            c.early += sum(r < at for r, _ in told)
            c.delays += [hits[0][0] - at] if hits else []
            if o.misses and not hits:
                print("missed: %s, %s at row %d of %d" % (name, run.name, at, len(rows)), file=sys.stderr)
    return c


def as_recorded(o, tocsin, runs):
    count, kinds = 0, collections.Counter()
    for run in runs:
        told = alerts(tocsin, run.head, run.rows, o.budget)
        count += len(told)
        kinds.update(e or "other columns" for _, e in told)
        if o.misses and told:
            print("false: %s %s" % (run.name, told), file=sys.stderr)
    hours = sum(r.seconds() for r in runs) / 3600
    print("as recorded: %d alerts in %d runs (%.1f h), %.2f per 10 runs %s" % (
        count, len(runs), hours, 10 * count / len(runs), dict(kinds) if kinds else ""))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build")
    ap.add_argument("--data", default=os.path.join(os.path.dirname(ROOT), "shared", "data", "nanogpt"))
    ap.add_argument("--half", choices=("development", "held-out", "all"), default="all")
    ap.add_argument("--rounds", type=int, default=1, help="faults of each kind per run")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--budget", default="1/week")
    ap.add_argument("--misses", action="store_true", help="name the faults missed and the false alarms")
    o = ap.parse_args()
    runs = [Run(p) for p in sorted(glob.glob(os.path.join(o.data, "*.csv.gz")))]
    if not runs:
        sys.exit("no training curves at " + o.data)
    runs = [r for r in runs if o.half == "all" or r.is_held_out == (o.half == "held-out")]
    tocsin, total = os.path.join(ROOT, o.build, "tocsin"), Count()
    as_recorded(o, tocsin, runs)
    print("| fault | faults | found | recall | right kind | median delay, rows | 90 % | alerts before it | left out |\n|---|---|---|---|---|---|---|---|---|")
    for fault in FAULTS:
        c = try_fault(o, tocsin, runs, fault)
        total.add(c)
        print(c.row(fault[0]), flush=True)
    print(total.row("all"))
    for fault in APART:
        print(try_fault(o, tocsin, runs, fault).row("apart: " + fault[0]), flush=True)


if __name__ == "__main__":
    main()
