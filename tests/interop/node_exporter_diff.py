#!/usr/bin/env python3
"""Compares the host collector with Debian's prometheus-node-exporter on this machine.

Usage: node_exporter_diff.py HOST_DUMP        a program that prints exposition text
       node_exporter_diff.py --url URL        a running daemon: URL/api/v1/series and /api/v1/query

Names, types and label sets of the collectors below must be the same, or be explained in EXPLAINED; values must
agree within a tolerance. Exit code 1 when something is unexplained; a line says that it skipped when the
exporter is not installed.
"""
import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

EXPORTER = 'prometheus-node-exporter'
COLLECTORS = ['cpu', 'diskstats', 'filesystem', 'loadavg', 'meminfo', 'netdev', 'pressure', 'stat', 'uname',
              'vmstat']
# Metric families of these collectors; what matches none of them is outside the comparison.
FAMILIES = re.compile(
    r'^node_(cpu_|disk_|filesystem_|load\d|memory_|network_(receive|transmit)_(?!queue)|pressure_|intr_total|'
    r'context_switches_total|forks_total|boot_time_seconds|procs_|uname_info|vmstat_)')
# (pattern over `name{labels}`, side where it is missing, reason)
EXPLAINED = [
    (r'^node_cpu_(core|package)_throttles_total', 'ours',
     'thermal throttle counts are not read: one file per core and second for a counter of laptops'),
    (r'^node_cpu_isolated', 'ours', 'isolated cores are a boot parameter, not a signal'),
]
LINE = re.compile(r'^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
OUR_LABELS = {'job', 'instance'}


def parse(text):
    """{(name, labels): value}, {name: type}; empty labels are absent ones."""
    samples, types = {}, {}
    for line in text.splitlines():
        if line.startswith('# TYPE '):
            _, _, name, kind = line.split(' ', 3)
            types[name] = kind
        match = LINE.match(line)
        if not line.startswith('#') and match:
            labels = frozenset((k, v) for k, v in LABEL.findall(match[2] or '') if v and k not in OUR_LABELS)
            samples[match[1], labels] = float(match[3])
    return samples, types


def only_compared(samples):
    return {k: v for k, v in samples.items() if FAMILIES.match(k[0])}


def text_of(key):
    name, labels = key
    return name + '{' + ','.join(f'{k}="{v}"' for k, v in sorted(labels)) + '}'


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read().decode()


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def run_exporter():
    port = free_port()
    flags = [f'--collector.{name}' for name in COLLECTORS]
    process = subprocess.Popen([EXPORTER, f'--web.listen-address=127.0.0.1:{port}', '--collector.disable-defaults']
                               + flags, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return process, f'http://127.0.0.1:{port}/metrics'


def wait_for(url):
    for _ in range(100):
        try:
            return fetch(url)
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f'{EXPORTER} does not answer at {url}')


def daemon_text(url):
    """The daemon's current values of node_* as exposition text."""
    query = urllib.parse.urlencode({'query': '{__name__=~"node_.*",job="node"}'})
    result = json.loads(fetch(f'{url}/api/v1/query?{query}'))['data']['result']
    meta = json.loads(fetch(f'{url}/api/v1/metadata'))['data']
    lines = []
    for name, entries in meta.items():
        kind = entries[0]['type']
        lines.append(f'# TYPE {name} {"untyped" if kind == "unknown" else kind}')
    for series in result:
        labels = ','.join(f'{k}={json.dumps(v, ensure_ascii=False)}' for k, v in series['metric'].items()
                          if k != '__name__')
        lines.append(f'{series["metric"]["__name__"]}{{{labels}}} {series["value"][1]}')
    return '\n'.join(lines)


def our_text(arguments):
    if arguments[0] == '--url':
        return daemon_text(arguments[1].rstrip('/'))
    return subprocess.run([arguments[0]], check=True, capture_output=True, text=True).stdout


def reason_for(key, side):
    return next((reason for pattern, where, reason in EXPLAINED
                 if where == side and re.match(pattern, text_of(key))), None)


def is_close(name, before, ours, after):
    """The exporter was read before and after: a counter lies between, a gauge near them."""
    low, high = min(before, after), max(before, after)
    slack = max(abs(high), abs(low)) * 0.02 + 2 * (high - low)
    floor = {'node_memory': 256 << 20, 'node_vmstat': 50000, 'node_filesyste': 256 << 20, 'node_load': 2,
             'node_procs': 20, 'node_disk_': 64 << 20, 'node_network_': 4 << 20}
    slack += next((v for k, v in floor.items() if name.startswith(k)), 2)
    return low - slack <= ours <= high + slack


def compare(theirs_before, ours, theirs_after):
    problems, explained = [], []
    (before, their_types), (mine, my_types), (after, _) = theirs_before, ours, theirs_after
    before, mine = only_compared(before), only_compared(mine)
    for key in sorted(before.keys() - mine.keys(), key=text_of):
        reason = reason_for(key, 'ours')
        (explained if reason else problems).append(f'missing {text_of(key)}' + (f': {reason}' if reason else ''))
    for key in sorted(mine.keys() - before.keys(), key=text_of):
        reason = reason_for(key, 'theirs')
        (explained if reason else problems).append(f'extra {text_of(key)}' + (f': {reason}' if reason else ''))
    for name in sorted({key[0] for key in before.keys() & mine.keys()}):
        if their_types.get(name) != my_types.get(name):
            problems.append(f'type of {name}: exporter {their_types.get(name)}, ours {my_types.get(name)}')
    for key in sorted(before.keys() & mine.keys() & after.keys(), key=text_of):
        if not is_close(key[0], before[key], mine[key], after[key]):
            problems.append(f'value of {text_of(key)}: exporter {before[key]}…{after[key]}, ours {mine[key]}')
    return len(before.keys() & mine.keys()), problems, explained


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    if not shutil.which(EXPORTER):
        print(f'SKIP: {EXPORTER} is not installed')
        return 0
    process, url = run_exporter()
    try:
        before = wait_for(url)
        ours = our_text(sys.argv[1:])
        after = fetch(url)
    finally:
        process.terminate()
        process.wait()
    same, problems, explained = compare(parse(before), parse(ours), parse(after))
    for line in explained:
        print('explained:', line)
    for line in problems:
        print('DIFFERENT:', line)
    print(f'{same} series agree, {len(explained)} explained differences, {len(problems)} unexplained')
    return 1 if problems or not same else 0


if __name__ == '__main__':
    sys.exit(main())
