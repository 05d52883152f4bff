#!/usr/bin/python3
"""Isolation Forest: time to train and to score, beside scikit-learn on the same rows in the same run.

    bench/detect_vs_sklearn.py [--build build] [--rows 100000] [--columns 8] [--trees 100] [--need 10]

Ends with status 1 when scoring is not at least --need times faster.
"""
import argparse
import json
import subprocess
import sys
import tempfile
import time

import numpy as np
from sklearn.ensemble import IsolationForest


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--build", default="build", help="build directory")
    a.add_argument("--rows", type=int, default=100_000)
    a.add_argument("--columns", type=int, default=8)
    a.add_argument("--trees", type=int, default=100)
    a.add_argument("--repeats", type=int, default=3)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--need", type=float, default=10.0)
    o = a.parse_args()
    x = np.random.default_rng(o.seed).normal(size=(o.rows, o.columns))
    x[: o.rows // 100] *= 4
    forest = IsolationForest(n_estimators=o.trees, random_state=o.seed)
    start = time.perf_counter()
    forest.fit(x)
    fit = time.perf_counter() - start
    score = float("inf")
    for _ in range(o.repeats):
        start = time.perf_counter()
        forest.score_samples(x)
        score = min(score, time.perf_counter() - start)
    with tempfile.NamedTemporaryFile() as f:
        f.write(x.tobytes())
        f.flush()
        out = subprocess.run([f"{o.build}/bench/detect_bench", f.name, str(o.columns), str(o.trees), str(o.repeats)],
                             check=True, capture_output=True, text=True).stdout
    ours = json.loads(out)
    print(f"{o.rows} rows x {o.columns} columns, {o.trees} trees, best of {o.repeats}, one thread")
    print(f"{'':12} {'scikit-learn':>14} {'tocsin':>14} {'ratio':>8}")
    for name, theirs, our in (("train s", fit, ours["fit_s"]), ("score s", score, ours["score_s"]),
                              ("  portable", score, ours["score_portable_s"])):
        print(f"{name:12} {theirs:14.4f} {our:14.4f} {theirs / our:8.1f}")
    print(f"{'rows/s':12} {o.rows / score:14.0f} {o.rows / ours['score_s']:14.0f}")
    return 0 if score / ours["score_s"] >= o.need else 1


if __name__ == "__main__":
    sys.exit(main())
