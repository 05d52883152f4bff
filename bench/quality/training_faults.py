#!/usr/bin/env python3
"""Faults injected into recorded training curves (nanogpt logs), found by `tocsin detect --stream`.

usage: bench/quality/training_faults.py [--build build] [--runs 20] [--seed 1] [--budget 1/week]

Per fault the runs that have the column are copied, the fault goes in at a random row of the second half, and the alerts are
read: found when one opens within the fault's rows and 200 more; the delay is in rows. False alarms are the alerts before
the fault (after the first 5 % of rows) and those of the same runs without a fault.
"""
import argparse, csv, glob, gzip, os, random, subprocess, sys, tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DATA = os.path.join(os.path.dirname(ROOT), "shared", "data", "nanogpt")
JOIN_ROWS, SLACK = 10, 200


def spike(rows, at, col, rnd):
    factor, length = rnd.uniform(1.5, 3), rnd.randint(1, 20)
    for r in rows[at:at + length]:
        if r[col]:
            r[col] = "%.9g" % (float(r[col]) * factor)
    return length


def each(rows, at, col, change):
    for k, r in enumerate(rows[at:]):
        if r[col] not in ("", "nan"):
            r[col] = change(float(r[col]), k)
    return len(rows) - at


def divergence(rows, at, col, rnd):
    return each(rows, at, col, lambda v, k: "%.9g" % (v + 0.01 * k))


def slow_divergence(rows, at, col, rnd):
    return each(rows, at, col, lambda v, k: "%.9g" % (v + 1e-4 * k))


def plateau(rows, at, col, rnd):
    level = next((r[col] for r in rows[at:] if r[col]), "0")
    return each(rows, at, col, lambda v, k: level)


def not_a_number(rows, at, col, rnd):
    return each(rows, at, col, lambda v, k: "nan")


def slower(share):
    def fault(rows, at, col, rnd):
        return each(rows, at, col, lambda v, k: "%.9g" % (v * (1 + share)))
    return fault


def drift(rows, at, col, rnd):
    return each(rows, at, col, lambda v, k: "%.9g" % (v * (1 + 2e-4 * k)))


FAULTS = [("spike", "train_loss", spike), ("divergence (+0.01 per step)", "train_loss", divergence),
          ("slow divergence (+1e-4 per step)", "train_loss", slow_divergence), ("plateau (loss stands still)", "train_loss", plateau),
          ("NaN", "train_loss", not_a_number), ("step time +10 %", "step_time", slower(0.10)),
          ("step time +25 %", "step_time", slower(0.25)), ("step time +50 %", "step_time", slower(0.50)),
          ("step time drift (+0.02 % per step)", "step_time", drift)]


def read(path):
    with gzip.open(path, "rt") as f:
        head, *rows = list(csv.reader(f))
    return head[:-1], [r[:-1] for r in rows]


def alerts(tocsin, head, rows, budget):
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as f:
        w = csv.writer(f)
        w.writerow(head)
        w.writerows(rows)
        f.flush()
        columns = ",".join(c for c in head if c not in ("timestamp", "step"))
        out = subprocess.run([tocsin, "detect", f.name, "--stream", "--columns", columns, "--budget", budget, "--output", "scores"],
                             stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()[1:]
    starts, last = [], -10**9
    for i, line in enumerate(out):
        if line.endswith(",1"):
            if i - last > JOIN_ROWS:
                starts.append(i)
            last = i
    return starts


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build")
    ap.add_argument("--runs", type=int, default=20)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--budget", default="1/week")
    o = ap.parse_args()
    paths = sorted(glob.glob(os.path.join(DATA, "*.csv.gz")))
    if not paths:
        sys.exit("no training curves at " + DATA)
    tocsin, rnd = os.path.join(ROOT, o.build, "tocsin"), random.Random(o.seed)
    logs = [(head, rows) for head, rows in map(read, paths)]
    false, quiet_runs, all_found, all_runs = 0, 0, 0, 0
    print("| fault | runs | found | median delay, rows | false alarms before it |\n|---|---|---|---|---|")
    for name, column, inject in FAULTS:
        fit = [(h, r) for h, r in logs if column in h and sum(bool(x[h.index(column)]) for x in r) > len(r) / 2]
        chosen = rnd.sample(fit, min(o.runs, len(fit)))
        found, delays, early = 0, [], 0
        for head, rows in chosen:
            rows = [list(r) for r in rows]
            at = rnd.randint(len(rows) // 2, len(rows) * 3 // 4)
            length = inject(rows, at, head.index(column), rnd)
            starts = alerts(tocsin, head, rows, o.budget)
            hits = [s for s in starts if at <= s < at + length + SLACK]
            early += sum(len(rows) * 0.05 <= s < at for s in starts)
            if hits:
                found += 1
                delays.append(hits[0] - at)
        delays.sort()
        print("| %s | %d | %d | %s | %d |" % (name, len(chosen), found, delays[len(delays) // 2] if delays else "–", early), flush=True)
        false, quiet_runs, all_found, all_runs = false + early, quiet_runs + len(chosen), all_found + found, all_runs + len(chosen)
    print("\nrecall %.3f, false alarms per 10 runs %.2f" % (all_found / all_runs, 10.0 * false / quiet_runs))


if __name__ == "__main__":
    main()
