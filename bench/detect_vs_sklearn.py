#!/usr/bin/python3
"""Isolation Forest beside scikit-learn in the same run: time to train and to score the same rows, and the area under
the ROC curve on real tables.

    bench/detect_vs_sklearn.py [--build build] [--rows 20000] [--columns 8] [--trees 100] [--data DIR] [--seeds 5]

Tables: those that scikit-learn ships, one class thinned to be the outliers, and labelled rows of DIR (default
../shared/data: smd, asd, jumpstarter) when it is there. Ends with status 1 when scoring is not at least --need times
faster, or the mean areas differ by more than --tolerance.
"""
import argparse
import csv
import glob
import gzip
import io
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
from sklearn import datasets
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score


def class_as_outliers(name, bunch, wanted, share=0.1):
    """All rows of the other classes, and a few of the wanted one: a tenth of the table."""
    rng = np.random.default_rng(0)
    inner, outer = bunch.data[bunch.target != wanted], bunch.data[bunch.target == wanted]
    count = max(5, min(len(outer), int(len(inner) * share / (1 - share))))
    outer = outer[rng.choice(len(outer), size=count, replace=False)]
    return f"{name}, class {wanted}", np.vstack([inner, outer]), np.r_[np.zeros(len(inner)), np.ones(count)]


def shipped_tables():
    for name, load, classes in (("breast_cancer", datasets.load_breast_cancer, [0]), ("wine", datasets.load_wine, [0, 1, 2]),
                                ("iris", datasets.load_iris, [0, 1, 2]), ("digits", datasets.load_digits, [0, 1, 4, 7])):
        for wanted in classes:
            yield class_as_outliers(name, load(), wanted)


def labelled_tables(folder, rows_max=8000):
    for path in sorted(glob.glob(f"{folder}/smd/*.csv.gz") + glob.glob(f"{folder}/asd/*.csv.gz") +
                       glob.glob(f"{folder}/jumpstarter/*.csv.gz")[:10]):
        with gzip.open(path, "rt") as f:
            rows = [r for r in csv.reader(f)][1:]
        rows = [r for r in rows if r[-1] != "" and "" not in r[1:-1]]
        rows = rows[::max(1, len(rows) // rows_max)]
        y = np.array([float(r[-1]) for r in rows])
        if len(rows) and 0 < y.sum() < len(y):
            name = "/".join(path.split("/")[-2:]).replace(".csv.gz", "")
            yield name, np.array([[float(v) for v in r[1:-1]] for r in rows]), y


def our_scores(tocsin, x, trees, seed):
    columns = ",".join(f"c{i}" for i in range(x.shape[1]))
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as f:
        np.savetxt(f, x, delimiter=",", header=columns, comments="", fmt="%.9g")
        f.flush()
        out = subprocess.run([tocsin, "detect", f.name, "--columns", columns, "--n-estimators", str(trees), "--seed", str(seed),
                              "--output", "csv", "--exit-zero"], check=True, capture_output=True, text=True).stdout
    return np.array([float(r["score"]) for r in csv.DictReader(io.StringIO(out))])


def compare_areas(o):
    """Prints the table; returns the difference of the means."""
    theirs_all, ours_all = [], []
    print(f"\n{'area under the ROC curve':34} {'rows':>6} {'cols':>5} {'scikit-learn':>13} {'tocsin':>8} {'difference':>11}"
          f"   (means of {o.seeds} seeds)")
    for name, x, y in [*shipped_tables(), *labelled_tables(o.data)]:
        theirs = np.mean([roc_auc_score(y, -IsolationForest(n_estimators=o.trees, random_state=s).fit(x).score_samples(x))
                          for s in range(o.seeds)])
        ours = np.mean([roc_auc_score(y, -our_scores(f"{o.build}/tocsin", x, o.trees, s)) for s in range(o.seeds)])
        theirs_all.append(theirs)
        ours_all.append(ours)
        print(f"{name:34} {len(x):6} {x.shape[1]:5} {theirs:13.4f} {ours:8.4f} {ours - theirs:+11.4f}", flush=True)
    difference = float(np.mean(ours_all) - np.mean(theirs_all))
    print(f"{'mean of ' + str(len(ours_all)) + ' tables':34} {'':12} {np.mean(theirs_all):13.4f} {np.mean(ours_all):8.4f} "
          f"{difference:+11.4f}")
    return difference


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--build", default="build", help="build directory")
    a.add_argument("--rows", type=int, default=20_000)
    a.add_argument("--columns", type=int, default=8)
    a.add_argument("--trees", type=int, default=100)
    a.add_argument("--repeats", type=int, default=20)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--need", type=float, default=10.0)
    a.add_argument("--seeds", type=int, default=5)
    a.add_argument("--data", default=os.path.join(os.path.dirname(__file__), "../../shared/data"))
    a.add_argument("--tolerance", type=float, default=0.005)
    o = a.parse_args()
    x = np.random.default_rng(o.seed).normal(size=(o.rows, o.columns))
    x[: o.rows // 100] *= 4
    fit = score = row = float("inf")
    for _ in range(min(o.repeats, 5)):
        forest = IsolationForest(n_estimators=o.trees, random_state=o.seed)
        start = time.perf_counter()
        forest.fit(x)
        fit = min(fit, time.perf_counter() - start)
        start = time.perf_counter()
        forest.score_samples(x[:1])
        row = min(row, time.perf_counter() - start)
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
                              ("  first", score, ours["score_first_s"]), ("  AVX2", score, ours["score_avx2_s"]),
                              ("  portable", score, ours["score_portable_s"]), ("one row us", row * 1e6, ours["row_s"] * 1e6)):
        print(f"{name:12} {theirs:14.5f} {our:14.5f} {theirs / our:8.1f}")
    print(f"{'rows/s':12} {o.rows / score:14.0f} {o.rows / ours['score_s']:14.0f}")
    is_slow = score / ours["score_s"] < o.need
    return 1 if is_slow or abs(compare_areas(o)) > o.tolerance else 0


if __name__ == "__main__":
    sys.exit(main())
