#!/usr/bin/env python3
"""Learning from verdicts, measured on the labelled development series.

usage: bench/quality/feedback.py [--build build] [--threshold 2.0] [--level 3.3] [--keep 0.8,0.9,0.95,0.98] [--sets nab,msft,smd,asd,jumpstarter]
       [--cut 0.5] [--series all|odd|even] [--work DIR]

The labelled part of every series is cut in two by time (--cut: where, for other pairs of before and after). `tocsin detect --stream --output features` gives the candidate
alerts at a low threshold with their features at each look; a verdict is whether the alert overlaps a labelled event.
Verdicts of the first halves train one classifier over all sets (`tocsin learn fit`), the second halves judge it:

  detector   alerts whose peak so far passes a threshold: what raising the detector's own threshold gives
  learnt     alerts whose probability at one of their looks passes a level
  unseen     the same, every series judged by a classifier that saw no verdict of that series (five folds of series)

Precision = right alerts / alerts, recall = events found / events, as the scorers count. They are compared at equal
recall: that of the detector at a surprise of --level. The preview is what `tocsin learn validate` foretells from the first halves
alone; beside it what then happens on the second halves at the same level, with one standard error of that (1,000 draws
of whole series), and the precision that the same forecast gives when the share of true alerts among those to come is known.
tsbad_u and tsbad_m hold the series of nab and smd again and are left out.
"""
import argparse, csv, json, os, random, statistics, subprocess, sys, tempfile

root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
shared = os.path.join(os.path.dirname(root), "shared")
if not os.path.isdir(shared):
    shared = os.path.join(os.path.dirname(os.path.dirname(root)), "shared")
GAP, FOLDS = 10, 5
META = ("alert", "first_row", "row", "last_row")


class Labelled:
    """One series: labelled events, the row that cuts its labelled part in two, its looks at alerts."""

    def __init__(self, set_name, path, protocol, cut=0.5):
        s = Series(path)
        rows = s.labelled()
        rows = rows[int(len(rows) * float(protocol["burn"])):]
        self.set, self.name, self.path = set_name, s.name, path
        self.first, self.cut, self.end = rows[0], rows[int(len(rows) * cut)], rows[-1] + 1
        self.tol = int(protocol["tol"])
        self.events = merged([x or 0 for x in s.label], int(protocol["gap"]))
        self.weeks = (self.end - self.cut) * s.step() / 604800.0
        self.text = ",".join(s.head[:-1]) + "\n" + "".join(
            t + "," + ",".join(c) + "\n" for t, c in zip(s.time, s.cells))

    def hits(self, first, end):
        return [e for e in self.events if first < e[1] + self.tol and end > e[0]]

    def read_looks(self, text):
        """Alerts of the two halves: lists of (right, events hit, looks)."""
        self.halves = ([], [])
        looks = {}
        for r in csv.DictReader(text.splitlines()):
            looks.setdefault(r["alert"], []).append(r)
        self.names = [n for n in csv.DictReader(text.splitlines()).fieldnames if n not in META]
        for group in looks.values():
            first, end = int(group[0]["first_row"]) - 1, int(group[0]["last_row"])
            if end <= self.first or first >= self.end or first < self.cut < end:
                continue  # not labelled, or across the cut
            hit = self.hits(first, end)
            self.halves[first >= self.cut].append(Alert(self, hit, group))

    def test_events(self):
        return [e for e in self.events if e[0] >= self.cut and e[0] < self.end]


class Alert:
    def __init__(self, series, hit, looks):
        self.series, self.hit, self.right, self.looks = series, hit, bool(hit), looks
        self.peak = max(float(r["peak"]) for r in looks)
        self.p = None
        self.place = (int(looks[0]["first_row"]) - series.first) / (series.cut - series.first)


def read_protocols():
    with open(os.path.join(shared, "quality", "sets.csv")) as f:
        return {r["set"]: r for r in csv.DictReader(f)}


def files_of(name):
    folder = os.path.join(shared, "data", name)
    return [os.path.join(folder, x) for x in sorted(os.listdir(folder)) if x.endswith(".csv.gz")]


def run(command, **more):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, universal_newlines=True, **more).stdout


def write_rows(path, alerts, names):
    with open(path, "w", newline="") as f:
        w = csv.writer(f)
        w.writerow(["alert", "series", "label"] + names)
        for n, a in enumerate(alerts):
            for look in a.looks:
                w.writerow([n, a.series.number, int(a.right)] + [look[k] for k in names])


class Learner:
    def __init__(self, tocsin, names, work):
        self.tocsin, self.names, self.work = tocsin, names, work

    def path(self, name):
        return os.path.join(self.work, name)

    def train_and_judge(self, train, test):
        """Sets p of the test alerts: the highest probability of their looks."""
        write_rows(self.path("train.csv"), train, self.names)
        write_rows(self.path("test.csv"), test, self.names)
        said = run([self.tocsin, "learn", "fit", self.path("train.csv"), "--model", self.path("model")])
        p = run([self.tocsin, "learn", "score", self.path("test.csv"), "--model", self.path("model")]).split()[1:]
        at = 0
        for a in test:
            a.p = max(float(x) for x in p[at:at + len(a.looks)])
            at += len(a.looks)
        return said.split(":")[0]

    def validate(self, train, keep):
        """What is foretold, or why nothing is (text)."""
        write_rows(self.path("train.csv"), train, self.names)
        p = subprocess.run([self.tocsin, "learn", "validate", self.path("train.csv"), "--keep", str(keep)],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
        return json.loads(p.stdout) if p.returncode == 0 else p.stderr.strip().rsplit(": ", 1)[-1]


def figures(alerts, events):
    right = sum(a.right for a in alerts)
    found = len({(a.series.path, e) for a in alerts for e in a.hit if e[0] >= a.series.cut})
    return (right / len(alerts) if alerts else float("nan")), (found / events if events else float("nan")), len(alerts)


def precision_at(alerts, key, recall, events):
    """The best precision at at least this recall, over all levels of the key."""
    order, best, right, found = sorted(alerts, key=key, reverse=True), 0.0, 0, set()
    for n, a in enumerate(order):
        right += a.right
        found |= {(a.series.path, e) for e in a.hit if e[0] >= a.series.cut}
        is_last_of_level = n + 1 == len(order) or key(order[n + 1]) < key(a)
        if is_last_of_level and len(found) >= recall * events - 1e-9:
            best = max(best, right / (n + 1))
    return best


def table(title, series, alerts, unseen):
    print("\n%s" % title)
    print("| set | series | alerts | true | events | recall | detector | learnt | gain | unseen series | gain |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    sets = sorted({s.set for s in series})
    for name in sets + ["pooled"]:
        mine = [a for a in alerts if name in ("pooled", a.series.set)]
        events = sum(len(s.test_events()) for s in series if name in ("pooled", s.set))
        at_default = [a for a in mine if a.peak > figures.level]
        _, recall, _ = figures(at_default, events)
        before = precision_at(mine, lambda a: a.peak, recall, events)
        after = precision_at(mine, lambda a: a.p, recall, events)
        other = precision_at(mine, lambda a: unseen[id(a)], recall, events)
        count = sum(1 for s in series if name in ("pooled", s.set))
        print("| %s | %d | %d | %d | %d | %.3f | %.3f | %.3f | %+.3f | %.3f | %+.3f |" % (
            name, count, len(mine), sum(a.right for a in mine), events, recall, before, after, after - before, other,
            other - before))
    return recall, before, after


def came_of(test, level):
    """What then happened at the level: withheld, lift, recall, precision."""
    paged = [a for a in test if a.p >= level]
    true, right = sum(a.right for a in test), sum(a.right for a in paged)
    precision = right / max(1, len(paged))
    return {"withheld": 1 - len(paged) / len(test), "lift": precision * len(test) / max(1, true), "recall": right / max(1, true),
            "precision": precision}


QUANTITIES = ("withheld", "lift", "recall", "precision")
DRAWS = 1000


def errors_of(test, level):
    """One standard error of each number of came_of, alerts of one series being no independent witnesses."""
    by_series, rng, seen = {}, random.Random(1), []
    for a in test:
        by_series.setdefault(a.series.path, []).append(a)
    groups = list(by_series.values())
    for _ in range(DRAWS):
        drawn = [a for g in rng.choices(groups, k=len(groups)) for a in g]
        if any(a.right for a in drawn):
            seen.append(came_of(drawn, level))
    return {q: statistics.pstdev([x[q] for x in seen]) for q in QUANTITIES}


def with_known_base(forecast, train, test):
    """Precision foretold, had the share of true alerts among those to come been known."""
    base = sum(a.right for a in train) / len(train)
    kept, pages = forecast["recall"]["value"], 1 - forecast["withheld"]["value"]
    fallout = (pages - base * kept) / (1 - base)
    known = sum(a.right for a in test) / len(test)
    return known * kept / (known * kept + (1 - known) * fallout)


def preview(name, learner, train, test, keep):
    """One row of the table of forecasts. Its verdict, and whether withheld, lift and recall came within a tenth."""
    told = learner.validate(train, keep)
    if isinstance(told, str):
        print("| %s | %.2f | not enough data: %s | | | | | |" % (name, keep, told))
        return "unknown", True
    came, f, cells, good = came_of(test, told["level"]), told["forecast"], [], True
    error = errors_of(test, told["level"])
    if f["verdict"] == "unknown":
        print("| %s | %.2f | not enough data | | | | | |" % (name, keep))
        return "unknown", True
    for what in QUANTITIES:
        x = f[what]
        off = x["value"] / came[what] - 1 if came[what] else 0.0 if x["value"] == 0 else float("inf")
        good &= what == "precision" or abs(off) <= 0.1
        cells.append("%.3f (%.3f to %.3f) / %.3f ± %.0f %%, %+.0f %%%s" % (
            x["value"], x["low"], x["high"], came[what], 100 * error[what] / came[what] if came[what] else 0, 100 * off,
            "" if x["low"] <= came[what] <= x["high"] else " !"))
    known = with_known_base(f, train, test)
    cells.append("%.3f, %+.0f %%" % (known, 100 * (known / came["precision"] - 1) if came["precision"] else 0))
    print("| %s | %.2f | %s | %s |" % (name, keep, f["verdict"], " | ".join(cells)))
    return f["verdict"], good


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build")
    ap.add_argument("--tocsin")
    ap.add_argument("--threshold", type=float, default=2.0, help="of surprise for a candidate")
    ap.add_argument("--level", type=float, default=3.3, help="of surprise for an alert: one a week of rows 5 minutes apart")
    ap.add_argument("--keep", default="0.8,0.9,0.95,0.98")
    ap.add_argument("--sets", default="nab,msft,smd,asd,jumpstarter")
    ap.add_argument("--cut", type=float, default=0.5, help="share of the labelled part before the cut")
    ap.add_argument("--series", choices=("all", "odd", "even"), default="all")
    ap.add_argument("--work")
    o = ap.parse_args()
    tocsin = o.tocsin or os.path.join(root, o.build, "tocsin")
    work = o.work or tempfile.mkdtemp(prefix="feedback-")
    os.makedirs(work, exist_ok=True)
    protocols = read_protocols()
    series = [Labelled(name, path, protocols[name], o.cut) for name in o.sets.split(",") for path in files_of(name)]
    first, step = {"all": (0, 1), "even": (0, 2), "odd": (1, 2)}[o.series]
    series = series[first::step]
    for number, s in enumerate(series):
        s.number = number
        kept = os.path.join(work, "%s-%s.features" % (s.set, s.name))
        if not os.path.exists(kept):
            csv_path = os.path.join(work, "series.csv")
            with open(csv_path, "w") as f:
                f.write(s.text)
            text = run([tocsin, "detect", csv_path, "--stream", "--threshold", str(o.threshold), "--output", "features"],
                       stderr=subprocess.DEVNULL)
            with open(kept, "w") as f:
                f.write(text)
        with open(kept) as f:
            s.read_looks(f.read())
    import math
    figures.level = math.log(o.level / o.threshold)
    train = sorted((a for s in series for a in s.halves[0]), key=lambda a: a.place)  # as time goes, side by side
    test = [a for s in series for a in s.halves[1]]
    learner = Learner(tocsin, series[0].names, work)
    unseen = {}
    for fold in range(FOLDS):
        out = [s for n, s in enumerate(series) if n % FOLDS == fold]
        rest = [a for n, s in enumerate(series) if n % FOLDS != fold for a in s.halves[0]]
        judged = [a for s in out for a in s.halves[1]]
        if judged:
            learner.train_and_judge(rest, judged)
            unseen.update((id(a), a.p) for a in judged)
    said = learner.train_and_judge(train, test)
    print("%d series, %d verdicts of the first halves (%d true) -> %s" % (
        len(series), len(train), sum(a.right for a in train), said))
    recall, before, after = table("Precision at equal recall, second halves:", series, test, unseen)
    print("\nPreview from the first halves: foretold (90 % interval) / what then happened ± one standard error, how far off; "
          "! outside the interval.")
    print("| scope | keep | verdict | withheld | precision, times | true alerts that still page | precision | with the later base |\n"
          "|---|---|---|---|---|---|---|---|")
    keeps = [float(k) for k in o.keep.split(",")]
    told = [preview("all", learner, train, test, k) for k in keeps]
    for name in sorted({s.set for s in series}):
        mine = [[a for a in part if a.series.set == name] for part in (train, test)]
        kept = {id(a): a.p for a in mine[1]}
        try:
            learner.train_and_judge(*mine)
        except subprocess.CalledProcessError:
            print("| %s | | not enough verdicts | | | | | |" % name)
        else:
            for k in keeps:
                preview(name, learner, mine[0], mine[1], k)
        for a in mine[1]:
            a.p = kept[id(a)]
    events = sum(len(s.test_events()) for s in series)
    weeks = sum(s.weeks for s in series)
    print("\nThe whole curve, pooled (%.1f series-weeks):" % weeks)
    print("| alerts per series-week | detector P / R | learnt P / R | unseen P / R |\n|---|---|---|---|")
    for budget in (0.5, 1, 2, 3, 5):
        n = max(1, int(budget * weeks))
        cells = []
        for key in (lambda a: a.peak, lambda a: a.p, lambda a: unseen[id(a)]):
            p, r, _ = figures(sorted(test, key=key, reverse=True)[:n], events)
            cells.append("%.3f / %.3f" % (p, r))
        print("| %g | %s |" % (budget, " | ".join(cells)))
    print("\ngain at equal recall %.3f: %+.3f" % (recall, after - before))
    shown = [good for verdict, good in told if verdict == "shown"]
    print("forecast of the pooled gates within a tenth (withheld, lift, recall): %d of %d that are shown, %d of %d in all" % (
        sum(shown), len(shown), sum(good for _, good in told), len(told)))
    sys.exit(0 if after - before >= 0.08 else 1)


if not os.path.isdir(os.path.join(shared, "data")):
    print("no labelled series: %s is not there" % shared)
    sys.exit(77)
sys.path.insert(0, os.path.join(shared, "quality"))
from common import Series, merged

if __name__ == "__main__":
    main()
