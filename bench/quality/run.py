#!/usr/bin/env python3
"""Detection quality on the labelled development series: the scorers' suite over `tocsin detect --stream`.

usage: bench/quality/run.py [--build build] [further options of run_suite.py, such as --sets nab,msft]
The series and scorers lie beside the source tree (../shared/data, ../shared/quality); without them it says so.
"""
import os, subprocess, sys

root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
shared = os.path.join(os.path.dirname(root), "shared")
suite = os.path.join(shared, "quality", "run_suite.py")
args = sys.argv[1:]
build = "build"
if "--build" in args:
    at = args.index("--build")
    build = args[at + 1]
    del args[at:at + 2]
if not os.path.exists(suite):
    sys.exit("no labelled series: " + suite + " is not there")
tocsin = os.path.join(root, build, "tocsin")
command = tocsin + " detect {csv} --stream --output scores"
sys.exit(subprocess.call([sys.executable, suite, "--data", os.path.join(shared, "data"), "--command", command] + args))
