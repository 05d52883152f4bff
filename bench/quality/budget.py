#!/usr/bin/env python3
"""How many alerts `tocsin detect --stream --budget` makes where nothing is wrong, as a multiple of the budget.

usage: bench/quality/budget.py [--build build] [--seeds 3] [--only synthetic|nanogpt|clean]

Synthetic series (seeded): noise of several kinds with and without a daily season, 60 and 300 s apart, 80 to 400 days, so
that 1/month can be observed. nanogpt: training curves that all went well. clean: the development series of nab and msft
without any labelled anomaly. The realised rate should be 0.3 to 1.5 times the budget where enough time is observed; where
few alerts are allowed the exact 95 % interval of the ratio (Poisson) stands behind it.
"""
import argparse, csv, glob, gzip, math, os, random, subprocess, sys, tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DATA = os.path.join(os.path.dirname(ROOT), "shared", "data")
BUDGETS = {"1/day": 86400.0, "1/week": 604800.0, "1/month": 2592000.0}
JOIN_ROWS = 10
FEW = 25  # alerts allowed: below, chance decides much of a ratio


def ar1(rnd, share):
    x = 0.0
    while True:
        x = share * x + rnd.gauss(0, 1)
        yield x


def student(rnd):
    return rnd.gauss(0, 1) / math.sqrt(sum(rnd.gauss(0, 1) ** 2 for _ in range(3)) / 3)


def poisson(rnd, mean):
    limit, p, k = math.exp(-mean), rnd.random(), 0
    while p > limit:
        p *= rnd.random()
        k += 1
    return k


def series(kind, rnd, rows, step):
    slow, very_slow = ar1(rnd, 0.95), ar1(rnd, 0.995)
    for i in range(rows):
        day = 2 * math.pi * i * step / 86400
        if kind == "white noise":
            yield rnd.gauss(0, 1)
        elif kind == "AR(1) 0.95":
            yield next(slow)
        elif kind == "daily season":
            yield 100 + 20 * math.sin(day) + rnd.gauss(0, 3)
        elif kind == "Student t, 3":
            yield student(rnd)
        elif kind == "Poisson, daily":
            yield poisson(rnd, 5 + 2.5 * math.sin(day))
        elif kind == "log-normal, daily":
            yield math.exp(0.5 * rnd.gauss(0, 1) + math.sin(day))
        else:
            weekday = int(i * step / 86400) % 7 < 5
            yield 50 + next(very_slow) + (5 * math.sin(day) if weekday else 0)


KINDS = ["white noise", "AR(1) 0.95", "daily season", "Student t, 3", "Poisson, daily", "log-normal, daily", "workdays, AR(1) 0.995"]


def alerts_of(tocsin, path, budget):
    """(alerts, seconds) of one file."""
    out = subprocess.run([tocsin, "detect", path, "--stream", "--budget", budget, "--output", "scores"],
                         stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()[1:]
    count, last, first_t, last_t = 0, -10**9, None, 0.0
    for i, line in enumerate(out):
        t, _, alert = line.split(",")
        last_t = float(t)
        first_t = last_t if first_t is None else first_t
        if alert == "1":
            count += i - last > JOIN_ROWS
            last = i
    return count, last_t - (first_t or 0.0)


def write(path, rows, step):
    with open(path, "w") as f:
        f.write("timestamp,value\n")
        for i, v in enumerate(rows):
            f.write("%d,%.9g\n" % (1600000000 + i * step, v))


def unlabelled(source, target):
    """Without the label column; False when a row is labelled anomalous."""
    with gzip.open(source, "rt") as f, open(target, "w") as o:
        for line in f:
            row, _, label = line.rstrip("\r\n").rpartition(",")
            if label == "1":
                return False
            o.write(row + "\n")
    return True


def at_most(count, mean):
    """P(Poisson(mean) <= count)."""
    term = total = math.exp(-mean)
    for k in range(1, count + 1):
        term *= mean / k
        total += term
    return total


def crossing(is_below, high):
    """The number at which is_below, true of small ones, turns false."""
    low = 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return low


def exact_interval(count):
    """95 % interval of the mean of a Poisson count (Garwood 1936)."""
    high = 4.0 * count + 10
    low = crossing(lambda m: 1 - at_most(count - 1, m) < 0.025, high) if count else 0.0
    return low, crossing(lambda m: at_most(count, m) > 0.025, high)


def tell(name, found):
    """The ratio; of few alerts the exact interval of what the ratio can be."""
    cells = []
    for budget in BUDGETS:
        count, seconds = found[budget]
        allowed = seconds / BUDGETS[budget]
        text = "%.2f" % (count / allowed) if allowed else "-"
        if 0 < allowed < FEW:
            text += "; %.2f to %.2f" % tuple(x / allowed for x in exact_interval(count))
        cells.append("%d of %.1f (%s)" % (count, allowed, text))
    print("| %s | %s |" % (name, " | ".join(cells)), flush=True)


def measure(tocsin, name, paths):
    found = {}
    for budget in BUDGETS:
        parts = [alerts_of(tocsin, p, budget) for p in paths]
        found[budget] = (sum(c for c, _ in parts), sum(s for _, s in parts))
    tell(name, found)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build")
    ap.add_argument("--seeds", type=int, default=3)
    ap.add_argument("--only", default="")
    o = ap.parse_args()
    tocsin = os.path.join(ROOT, o.build, "tocsin")
    print("| series | 1/day: alerts of allowed (ratio) | 1/week | 1/month |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as tmp:
        for kind in KINDS if o.only in ("", "synthetic") else []:
            paths = []
            for seed in range(o.seeds):
                for step in (60, 300):
                    paths.append(os.path.join(tmp, "%d_%d.csv" % (seed, step)))
                    rnd = random.Random("%s %d %d" % (kind, seed, step))
                    write(paths[-1], series(kind, rnd, 115200, step), step)
            measure(tocsin, kind, paths)
        for name, pattern in (("nanogpt", "nanogpt/*"), ("clean", "nab/*"), ("clean", "msft/*")):
            if o.only not in ("", name):
                continue
            paths = []
            for source in sorted(glob.glob(os.path.join(DATA, pattern + ".csv.gz"))):
                target = os.path.join(tmp, os.path.basename(source)[:-3])
                if unlabelled(source, target):
                    paths.append(target)
            if paths:
                measure(tocsin, "%s, %d series" % (pattern.split("/")[0], len(paths)), paths)
            else:
                print("no series at %s" % os.path.join(DATA, pattern), file=sys.stderr)


if __name__ == "__main__":
    main()
