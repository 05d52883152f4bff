#!/usr/bin/python3
"""Laboratory of the gate's forecast: pairs of past and future, all within the first halves of the labelled series.

usage: bench/quality/forecast_lab.py --work DIR [--build build] [--intervals] [--keep 0.8,0.9,0.95,0.98]

DIR is the one given to bench/quality/feedback.py --work before: it holds the looks at the alerts. A pair is a cut at
40, 50 or 60 % of the first half of each series, with all series, without one set, or with one of four draws of 70
series: 30 pairs, which overlap. Nothing of a second half is read.

Without --intervals: ways of foretelling, made from what build/bench/gate_material prints. Per share kept: the share of
true alerts that came to page (mean of the pairs); of the share withheld the median error with its sign, without it, and
the share of pairs within a tenth; the median error of the lift and of the share that pages. Then the share of true
alerts, foretold by all verdicts and by ones that weigh more the newer they are.
With --intervals: what `tocsin learn validate` says of each pair, how often its 90 % intervals hold what came, and one
standard error of what came. Needs numpy.
"""
import argparse, os, random, sys

import numpy as np

import feedback

SETS = ("nab", "msft", "smd", "asd", "jumpstarter")
CUTS, DRAWS, DRAWN = (0.4, 0.5, 0.6), 4, 70
COMPARED, LEVEL_MAX = (0.8, 0.85, 0.9, 0.95), 0.5  # as src/detect/gate.c
CLASS_MIN = 5


def load(work):
    protocols = feedback.read_protocols()
    series = []
    for name in SETS:
        for path in feedback.files_of(name):
            s = feedback.Labelled(name, path, protocols[name])
            s.number = len(series)
            with open(os.path.join(work, "%s-%s.features" % (s.set, s.name))) as f:
                s.read_looks(f.read())
            series.append(s)
    return series


def pairs(series):
    """Name, past, future: of first halves only."""
    groups = [("all", series)]
    groups += [("no " + x, [s for s in series if s.set != x]) for x in sorted({s.set for s in series})]
    groups += [("draw %d" % n, random.Random(n).sample(series, DRAWN)) for n in range(DRAWS)]
    for name, some in groups:
        alerts = sorted((a for s in some for a in s.halves[0]), key=lambda a: a.place)
        for cut in CUTS:
            yield "%s %.1f" % (name, cut), [a for a in alerts if a.place < cut], [a for a in alerts if a.place >= cut]


class Judged:
    """Alerts: which are true, P of each, what each weighs."""

    def __init__(self, rows, weights=None):
        self.true = np.array([r[0] for r in rows], bool)
        self.p = np.array([r[1] for r in rows], float)
        self.weights = np.ones(len(rows)) if weights is None else weights

    def log_odds(self, kind, level):
        mine = self.true == kind
        pages = self.weights[mine & (self.p >= level)].sum()
        return np.log((pages + 0.5) / (self.weights[mine & (self.p < level)].sum() + 0.5))

    def has_both(self):
        return min(self.true.sum(), (~self.true).sum()) >= CLASS_MIN


class Material:
    def __init__(self, program, names, past, future, work):
        paths = [os.path.join(work, x) for x in ("past.csv", "future.csv")]
        for path, alerts in zip(paths, (past, future)):
            feedback.write_rows(path, alerts, names)
        rows = {}
        for line in feedback.run([program] + paths).splitlines():
            kind, moment, _, true, p = line.split(",")
            rows.setdefault((kind, float(moment)), []).append((int(true), float(p)))
        self.all, self.future = Judged(rows["all", 1.0]), Judged(rows["future", 1.0])
        self.promised = {m: Judged(r) for (kind, m), r in rows.items() if kind == "promised"}
        self.came = {m: Judged(r) for (kind, m), r in rows.items() if kind == "came"}
        self.rows = rows

    def slip(self, kind, moments, compared=COMPARED, bounded=True):
        seen = []
        for m in moments:
            if m not in self.came or not (self.promised[m].has_both() and self.came[m].has_both()):
                continue
            p = np.sort(self.promised[m].p[self.promised[m].true])
            levels = [p[int((1 - c) * len(p))] for c in compared]
            seen.append(np.mean([self.promised[m].log_odds(kind, l) - self.came[m].log_odds(kind, l) for l in levels]))
        mean = np.mean(seen) if seen else 0.0
        return mean if not bounded else max(mean, 0.0) if kind else min(mean, 0.0)

    def chain(self, first):
        """Each alert judged by the classifier of the last moment before it."""
        moments, rows, n = [m for m in sorted(self.came) if m >= first], [], len(self.all.p)
        for at, m in enumerate(moments):
            end = int(moments[at + 1] * n) - int(m * n) if at + 1 < len(moments) else None
            rows += self.rows["came", m][:end]
        return Judged(rows)

    def recent(self, share):
        n = len(self.all.p)
        return Judged(self.rows["all", 1.0], (np.arange(n) >= n * (1 - share)).astype(float))


# A way of foretelling: for a kind of alert, log odds of paging as a function of the level.
def validated(m, kind):
    return lambda level: m.all.log_odds(kind, level)


def corrected(moments=(0.4, 0.5, 0.6), **how):
    def way(m, kind):
        by = m.slip(kind, moments, **how)
        return lambda level: m.all.log_odds(kind, level) - by
    return way


def chained(first):
    def way(m, kind):
        o = m.chain(first)
        return lambda level: o.log_odds(kind, level)
    return way


def came_at(*moments):
    def way(m, kind):
        seen = [m.came[x] for x in moments if x in m.came]
        return lambda level: np.mean([o.log_odds(kind, level) for o in seen])
    return way


def recent(share):
    def way(m, kind):
        o = m.recent(share)
        return lambda level: o.log_odds(kind, level)
    return way


def mean_of(*ways):
    def way(m, kind):
        each = [w(m, kind) for w in ways]
        return lambda level: np.mean([f(level) for f in each])
    return way


NOW = corrected()
# Name: (of true alerts, of false ones)
WAYS = {
    "in use: cross-validation, corrected at .4 .5 .6": (NOW, NOW),
    "cross-validation alone": (validated, validated),
    "corrected at .3 to .7": (corrected((0.3, 0.4, 0.5, 0.6, 0.7)),) * 2,
    "corrected at .5 to .8": (corrected((0.5, 0.6, 0.7, 0.8)),) * 2,
    "corrected, .98 compared too": (corrected(compared=COMPARED + (0.98,)),) * 2,
    "corrected either way": (corrected(bounded=False),) * 2,
    "forward chain from .2": (chained(0.2),) * 2,
    "forward chain from .3": (chained(0.3),) * 2,
    "all that came after .4 .5 .6": (came_at(0.4, 0.5, 0.6),) * 2,
    "mean of in use and chain": (mean_of(NOW, chained(0.3)),) * 2,
    "mean of in use and came": (mean_of(NOW, came_at(0.4, 0.5, 0.6)),) * 2,
    "in use; false ones: chain": (NOW, chained(0.3)),
    "in use; false ones: came": (NOW, came_at(0.4, 0.5, 0.6)),
    "in use; false ones: newest half": (NOW, recent(1 / 2)),
    "in use; false ones: newest third": (NOW, recent(1 / 3)),
}


def share(log_odds):
    return 1 / (1 + np.exp(-log_odds))


def errors(m, way, keep):
    """Of withheld, lift, recall; and the recall that came."""
    true, false = way[0](m, True), way[1](m, False)
    level = min(max([l for l in np.unique(m.all.p[m.all.true]) if share(true(l)) >= keep - 1e-9], default=0), LEVEL_MAX)
    kept, fallout = (share(true(level)), share(false(level))) if level > 0 else (1.0, 1.0)
    base = m.all.true.mean()
    pages = base * kept + (1 - base) * fallout
    came, came_pages = (m.future.p[m.future.true] >= level).mean(), (m.future.p >= level).mean()
    off = (1 - pages) / (1 - came_pages) - 1 if came_pages < 1 else 0.0 if pages > 0.99 else 1.0
    return [off, (kept / pages) / (came / came_pages) - 1, kept / came - 1, came]


def compare(materials, keeps):
    print("| way | " + " | ".join("%.2f: kept; withheld; lift, recall" % k for k in keeps) + " |\n|---|" + "---|" * len(keeps))
    for name, way in WAYS.items():
        cells = []
        for keep in keeps:
            e = np.array([errors(m, way, keep) for m in materials])
            a = np.abs(e)
            cells.append("%.3f; %+.2f, %.2f, %.2f; %.3f, %.3f" % (
                e[:, 3].mean(), np.median(e[:, 0]), np.median(a[:, 0]), (a[:, 0] <= 0.1).mean(), np.median(a[:, 1]),
                np.median(a[:, 2])))
        print("| %s | %s |" % (name, " | ".join(cells)), flush=True)


def compare_bases(materials):
    print("\n| share of true alerts, verdicts weigh | mean error without sign | with it |\n|---|---|---|")
    for power in (0, 1, 3):
        off = []
        for m in materials:
            w = ((np.arange(len(m.all.p)) + 0.5) / len(m.all.p)) ** power
            off.append((w * m.all.true).sum() / w.sum() / m.future.true.mean() - 1)
        print("| place^%d | %.3f | %+.3f |" % (power, np.abs(off).mean(), np.mean(off)))


def try_intervals(learner, found, keeps):
    held = {q: [] for q in feedback.QUANTITIES}
    print("| pair | keep | verdict | " + " | ".join(feedback.QUANTITIES) + " |\n|---|---|---|---|---|---|---|")
    for name, past, future in found:
        learner.train_and_judge(past, future)
        for keep in keeps:
            told = learner.validate(past, keep)
            if isinstance(told, str) or told["forecast"]["verdict"] == "unknown":
                print("| %s | %.2f | not enough data |" % (name, keep))
                continue
            came, error, cells = feedback.came_of(future, told["level"]), feedback.errors_of(future, told["level"]), []
            for q in feedback.QUANTITIES:
                x = told["forecast"][q]
                held[q].append(x["low"] <= came[q] <= x["high"])
                cells.append("%.3f (%.3f to %.3f) / %.3f ± %.3f" % (x["value"], x["low"], x["high"], came[q], error[q]))
            print("| %s | %.2f | %s | %s |" % (name, keep, told["forecast"]["verdict"], " | ".join(cells)), flush=True)
    print("\nintervals that hold what came: " + ", ".join("%s %d of %d" % (q, sum(h), len(h)) for q, h in held.items()))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build")
    ap.add_argument("--work", required=True)
    ap.add_argument("--keep", default="0.8,0.9,0.95,0.98")
    ap.add_argument("--intervals", action="store_true")
    o = ap.parse_args()
    keeps = [float(k) for k in o.keep.split(",")]
    series = load(o.work)
    names, build = series[0].names, os.path.join(feedback.root, o.build)
    if o.intervals:
        return try_intervals(feedback.Learner(os.path.join(build, "tocsin"), names, o.work), pairs(series), keeps)
    program = os.path.join(build, "bench", "gate_material")
    materials = [Material(program, names, past, future, o.work) for _, past, future in pairs(series)]
    compare(materials, keeps)
    compare_bases(materials)


if __name__ == "__main__":
    sys.exit(main())
