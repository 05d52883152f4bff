#!/usr/bin/env python3
"""Tables (Markdown) of results files of bench/peers/run.sh; of several rows of one measurement the best counts.
usage: results.py RESULTS.jsonl…"""
import json
import sys

SERVERS = ['tocsin', 'victoriametrics', 'prometheus']


def rows(paths):
    for path in paths:
        for line in open(path):
            if line.startswith('{'):
                yield json.loads(line)


def best(found, what, server, value, **wanted):
    values = [v for r in found if r['what'] == what and r['server'] == server and all(r.get(k) == w for k, w in wanted.items())
              for v in [value(r)] if v is not None]
    return min(values) if values else None


def table(head, lines):
    print('| ' + ' | '.join(head) + ' |\n|---|' + '---:|' * (len(head) - 1))
    for line in lines:
        print('| ' + ' | '.join('–' if v is None else v if isinstance(v, str) else f'{v:.3g}' if v < 100 else f'{v:.0f}' for v in line) + ' |')
    print()


def ingest(found):
    lines = []
    for dataset in dict.fromkeys(r['dataset'] for r in found if r['what'] == 'ingest'):
        series = next(r['series'] for r in found if r['what'] == 'ingest' and r['dataset'] == dataset)
        for name, what, value in [('CPU s/M samples', 'ingest', lambda r: r['cpu_s_per_M']),
                                  ('written bytes/sample', 'ingest', lambda r: r['written_bytes_per_sample'])]:
            lines.append([f'{dataset} ({series} series): {name}'] + [best(found, what, s, value, dataset=dataset) for s in SERVERS])
        lines.append([f'{dataset}: memory (anonymous) MiB'] + [best(found, 'rss', s, lambda r: r['after_settle']['RssAnon'], series=series) for s in SERVERS])
    lines.append(['ready after kill -9, CPU s'] + [best(found, 'restart_after_kill9', s, lambda r: r['cpu_s']) for s in SERVERS])
    table(['ingest'] + SERVERS, lines)


def queries(found):
    names = list(dict.fromkeys(r['q'] for r in found if r['what'] == 'query'))
    cpu, wall = lambda r: None if r['err'] else r['cpu_ms_mean'], lambda r: None if r['err'] else r['ms']['min']
    lines, slower = [], []
    for q in names:
        values = [[best(found, 'query', s, f, q=q) for f in (cpu, wall)] for s in SERVERS]
        peers = [v[0] for v in values[1:] if v[0] is not None]
        if values[0][0] is None or peers and values[0][0] > min(peers) and values[0][1] > min(v[1] for v in values[1:] if v[1] is not None):
            slower.append(q)
        lines.append([q] + [v for pair in values for v in pair])
    table(['query'] + [f'{s} {unit}' for s in SERVERS for unit in ('CPU ms', 'ms')], lines)
    print(f'Slower than the faster peer in CPU and in wall time: {", ".join(slower) or "none"}.\n')
    lines = [['load, CPU s/M samples'] + [best(found, 'query_load', s, lambda r: r['cpu_s_per_M']) for s in SERVERS],
             ['memory (anonymous) afterwards, MiB'] + [best(found, 'query_rss', s, lambda r: r['rss']['RssAnon']) for s in SERVERS],
             ['bytes on disk, M'] + [best(found, 'query_rss', s, lambda r: r['disk_bytes'] and r['disk_bytes'] / 1e6) for s in SERVERS]]
    table(['97.6 M samples'] + SERVERS, lines)


def scrape(found):
    lines = [['scrape, CPU s/M samples'] + [best(found, 'scrape', s, lambda r: r['cpu_s_per_M']) for s in SERVERS],
             ['memory (anonymous), MiB'] + [best(found, 'scrape', s, lambda r: r['rss']['RssAnon']) for s in SERVERS],
             ['1000 rules: server CPU ms per evaluation'] + [best(found, 'rules', s, lambda r: r['server_cpu_ms_per_rule_eval']) for s in SERVERS]]
    table(['scrape and rules'] + SERVERS, lines)


def main():
    found = list(rows(sys.argv[1:]))
    kinds = {r['what'] for r in found}
    for kind, show in ('ingest', ingest), ('query', queries), ('scrape', scrape):
        if kind in kinds:
            show(found)


main()
