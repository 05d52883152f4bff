#!/usr/bin/python3
"""Anomaly bits, changes of level and peers on the development data.

    bench/quality/cheap_detectors.py [--build build] [--data ../shared/data] [--seed 1]

bits: share of set bits among normal and among anomalous rows, and events with one, each column by itself.
changes: step times of the nanogpt runs, as they are and made longer from a random step on.
peers: the recorded jobs with a straggler, all workers together and by stage.
"""
import argparse
import csv
import glob
import gzip
import os
import subprocess
import sys

import numpy as np


def load(path):
    with gzip.open(path, "rt") as f:
        rows = list(csv.reader(f))
    number = lambda x: float(x) if x != "" else np.nan
    return rows[0], np.array([[number(x) for x in r] for r in rows[1:]])


def run(o, arguments, numbers):
    text = "\n".join(repr(float(v)) for v in np.ravel(numbers))
    return subprocess.run([f"{o.build}/bench/cheap_detectors", *map(str, arguments)], input=text, check=True,
                          capture_output=True, text=True).stdout


def bits(o):
    print(f"{'bits':12} {'normal':>9} {'anomalous':>10} {'events':>14}")
    for name in ("tsbad_u", "msft", "asd", "jumpstarter", "nab"):
        normal = anomalous = set_normal = set_anomalous = events = hit = 0
        for path in sorted(glob.glob(f"{o.data}/{name}/*.csv.gz")):
            _, rows = load(path)
            label, times = rows[:, -1], np.floor(rows[:, 0]) * 1000
            got = np.array([[c == "1" for c in run(o, ["bits"], np.column_stack([times, rows[:, k]])).strip()]
                            for k in range(1, rows.shape[1] - 1)])
            for rows_of, is_anomalous in ((label == 0, False), (label == 1, True)):
                count, ones = rows_of.sum() * len(got), got[:, rows_of].sum()
                if is_anomalous:
                    anomalous, set_anomalous = anomalous + count, set_anomalous + ones
                else:
                    normal, set_normal = normal + count, set_normal + ones
            edges = np.flatnonzero(np.diff(np.r_[0, (label == 1).astype(int), 0]))
            for begin, end in zip(edges[::2], edges[1::2]):
                events += 1
                hit += got[:, begin:end + 3].any()
        print(f"{name:12} {set_normal / normal:9.4%} {set_anomalous / max(anomalous, 1):10.2%} {hit:6} of {events}", flush=True)


def changes(o):
    rng = np.random.default_rng(o.seed)
    runs, told = 0, []
    found, delays = {0.1: 0, 0.15: 0, 0.2: 0, 0.5: 0}, []
    for path in sorted(glob.glob(f"{o.data}/nanogpt/*.csv.gz")):
        header, rows = load(path)
        if "step_time" not in header:
            continue
        v = rows[:, header.index("step_time")]
        v = v[~np.isnan(v)][20:]
        if len(v) < 300:
            continue
        runs += 1
        lines = [line.split() for line in run(o, ["change", 0.05], v).splitlines()]
        told += [float(after) / float(before) - 1 for _, before, after in lines]
        for shift in found:
            longer, at = v.copy(), int(rng.integers(len(v) // 2, len(v) - 40))
            longer[at:] *= 1 + shift
            hits = [int(line.split()[0]) - at for line in run(o, ["change", 0.05], longer).splitlines()]
            hits = [h for h in hits if 0 <= h < 40]
            found[shift] += bool(hits)
            delays += hits[:1]
    print(f"\nchanges: {runs} runs; {len(told)} told without a fault, of which under 20 %: {sum(abs(x) < 0.2 for x in told)}; "
          f"found {', '.join(f'+{s:.0%}: {n}' for s, n in found.items())}; median delay {np.median(delays):.0f} values")


def peers(o):
    print("\npeers: who is named, slots")
    for path in sorted(glob.glob(f"{o.data}/straggler/*.csv.gz")):
        header, rows = load(path)
        workers = [i for i, name in enumerate(header) if name.startswith("dp")]
        groups = {"all": workers}
        for i in workers:
            groups.setdefault("stage " + header[i].split("_")[1], []).append(i)
        for group, columns in groups.items():
            named = [int(n) for n in run(o, ["peers", len(columns)], rows[:, columns]).split()]
            who = ", ".join(f"{header[c]} {n}" for c, n in zip(columns, named) if n) or "nobody"
            print(f"{os.path.basename(path).split('.')[0]} {group} ({len(columns)} workers, {len(rows)} slots): {who}")


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--build", default="build")
    a.add_argument("--data", default=os.path.join(os.path.dirname(__file__), "../../../shared/data"))
    a.add_argument("--seed", type=int, default=1)
    o = a.parse_args()
    if not os.path.isdir(o.data):
        print(f"skipped: there is no {o.data}")
        return 77
    bits(o)
    changes(o)
    peers(o)
    return 0


if __name__ == "__main__":
    sys.exit(main())
