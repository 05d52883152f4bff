#!/usr/bin/env python3
"""The queries of the harness' bench_query.py, asked of tocsin, VictoriaMetrics and Prometheus in turn, request by request.

Queries of less than a millisecond differ by less than what one machine varies within minutes; asked in turn, each server meets the
same machine. usage: interleaved.py HARNESS_DIR DATA_DIR [--budget SECONDS] [--only TEXT] [--out FILE]
HARNESS_DIR holds hlib.py and bench_query.py, DATA_DIR what `perfload gen` wrote; PERF_SERVERS and PERF_WORK as for the harness, whose
work folder holds the loaded servers (bench_query.py KIND --load --keep). Prints a table; exit code 1 when a query's best time of tocsin is
behind the faster peer's."""
import argparse
import ast
import json
import os
import random
import statistics
import sys
import time
import urllib.parse

KINDS = ('tocsin', 'victoriametrics', 'prometheus')


def queries(harness, end):
    """The suite as bench_query.py defines it: its assignments from U to suite, nothing else of it is run."""
    tree = ast.parse(open(os.path.join(harness, 'bench_query.py')).read())
    wanted = {'U', 'one', 'I', 'R', 'suite'}
    picked = []
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        names = {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
        if names & wanted:
            picked.append(node)
    scope = {'end': end}
    exec(compile(ast.Module(picked, []), 'bench_query.py', 'exec'), scope)
    return scope['suite']


def ask_all(hlib, servers, path, params, budget_s):
    """Milliseconds and CPU milliseconds per server. The order is random, and after each answer there is as long a pause as it took:
    collecting garbage after an answer is not to slow down whoever is asked next."""
    tail = path + '?' + urllib.parse.urlencode(params, doseq=True)
    ms = {s.kind: [] for s in servers}
    cpu = {s.kind: hlib.cpu_s(s.pid) for s in servers}
    chance = random.Random(tail)
    order, begin = list(servers), time.time()
    while len(ms['tocsin']) < 3 or (time.time() - begin < budget_s and len(ms['tocsin']) < 200):
        chance.shuffle(order)
        for s in order:
            status, body, seconds = hlib.http(s.url + s.d['query'] + tail)
            if status != 200:
                raise SystemExit(f'{s.kind}: {status} {body[:200]!r}')
            ms[s.kind].append(seconds * 1e3)
            time.sleep(min(seconds, 1))
    rounds = len(ms['tocsin'])
    return ms, {s.kind: (hlib.cpu_s(s.pid) - cpu[s.kind]) * 1e3 / rounds for s in servers}


def row(name, ms, cpu):
    best = {k: min(v) for k, v in ms.items()}
    median = {k: statistics.median(v) for k, v in ms.items()}
    cells = ' | '.join(f'{best[k]:.3g} | {median[k]:.3g} | {cpu[k]:.2g}' for k in KINDS)
    faster = min(best[k] for k in KINDS if k != 'tocsin')
    print(f'| {name} | {cells} | {best["tocsin"] / faster:.2f} |', flush=True)
    return {'q': name, 'best_ms': best, 'median_ms': median, 'cpu_ms': cpu, 'ratio': best['tocsin'] / faster}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('harness')
    a.add_argument('data')
    a.add_argument('--budget', type=float, default=3, help='seconds for each query')
    a.add_argument('--only', default='')
    a.add_argument('--out')
    o = a.parse_args()
    sys.path.insert(0, o.harness)
    import hlib
    end = hlib.meta(o.data)['end_ms'] / 1000
    servers = [hlib.Server(k, name=k + '-query') for k in KINDS]
    for s in servers:
        s.start()
    print('| query | ' + ' | '.join(f'{k} best ms | median | CPU ms' for k in KINDS) + ' | best: tocsin / faster peer |')
    print('|---' + '|---:' * 10 + '|')
    rows = [row(name, *ask_all(hlib, servers, path, params, o.budget))
            for name, (path, params) in queries(o.harness, end) if o.only in name]
    for s in servers:
        s.stop()
    if o.out:
        with open(o.out, 'w') as f:
            f.writelines(json.dumps(r) + '\n' for r in rows)
    behind = [r['q'] for r in rows if r['ratio'] > 1]
    print(f'{len(rows) - len(behind)} of {len(rows)} queries not slower than the faster peer' + (f'; behind: {", ".join(behind)}' if behind else ''))
    sys.exit(1 if behind else 0)


if __name__ == '__main__':
    main()
