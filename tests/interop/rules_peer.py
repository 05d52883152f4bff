"""The same rule file over the same exporter in a live Prometheus and in ours: at fixed points of a scenario, away from the moments at which
something changes, both show the same rules, alerts (labels, annotations, state, value, time) and series.
usage: rules_peer.py TOCSIN"""
import datetime
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

TOCSIN = os.path.abspath(sys.argv[1])
PHASE_S = 14
# Values of load{inst} in each phase; None: the series is gone.
PHASES = [
    dict(a=0.1, b=0.1, c=0.1),
    dict(a=0.6, b=0.2, c=0.1),
    dict(a=0.9, b=0.7, c=0.1),
    dict(a=0.3, b=0.95, c=0.1),
    dict(a=0.3, b=None, c=0.1),
    dict(a=0.95, b=0.92, c=0.91),
    dict(a=0.1, b=0.1, c=0.1),
]
# `for` and keep_firing_for end between 8 s and 10.5 s after a phase begins: one second each of scraping and evaluating.
CHECKS_S = [5, 12.5]
TIME_TOLERANCE_S = 2.6

RULES = r"""
groups:
- name: first
  interval: 1s
  rules:
  - record: job:load:sum
    expr: sum by (job) (load)
  - record: inst:load:scaled
    expr: load * 100
    labels: {unit: percent, inst: ''}
  - record: inst:load:percent
    expr: load * 100
    labels: {unit: percent}
  - alert: Warm
    expr: load > 0.5
    for: 8s
    labels:
      severity: '{{ if gt $value 0.8 }}page{{ else }}warn{{ end }}'
      where: '{{ $labels.inst | toUpper }}'
    annotations:
      summary: '{{ $labels.inst }} of {{ $labels.job }} is at {{ $value | humanizePercentage }} ({{ printf "%.2f" $value }})'
      total: '{{ with query "job:load:sum" }}{{ . | first | value | humanize }}{{ end }}'
      all: '{{ range query "load" | sortByLabel "inst" }}{{ .Labels.inst }}={{ .Value }} {{ end }}'
      link: '{{ graphLink "load > 0.5" }} {{ $externalLabels.cluster }}'
      broken: '{{ query "nope" | first | value }}'
  - alert: Hot
    expr: load > 0.8
    keep_firing_for: 8s
    annotations: {value: '{{ $value }}'}
  - alert: Total
    expr: job:load:sum > 1.2
    for: 1s
    labels: {alertname: other, job: ''}
- name: second
  interval: 1s
  limit: 2
  rules:
  - alert: Limited
    expr: load > 0.8
  - alert: Same
    expr: load > 0.05
    labels: {inst: x}
  - alert: Chained
    expr: ALERTS{alertname="Hot", alertstate="firing"}
    labels: {alertstate: '', of: '{{ $labels.alertname }}'}
  - alert: Gone
    expr: absent(load{inst="b"})
    for: 8s
    annotations: {text: '{{ $labels.inst }} is absent {{ humanizeDuration 90061 }} {{ "a b" | title }} {{ stripPort "h:1" }}'}
  - alert: Always
    expr: vector(1)
    annotations: {v: '{{ reReplaceAll "(.)b" "$1c" "abab" }} {{ match "^a" "abc" }} {{ len (query "load") }}'}
  - record: bad
    expr: load[5m]
- name: third
  interval: 1s
  rules:
  - alert: OfRecorded
    expr: inst:load:percent{unit="percent"} >= 90
    for: 8s
    annotations: {summary: '{{ .Labels.inst }} {{ .Value }}'}
"""
SERIES = ['job:load:sum', 'inst:load:percent', 'ALERTS']
failures = []


def check(ok, what):
    if not ok:
        failures.append(what)
        print('FAILED  ' + what)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Exporter(http.server.BaseHTTPRequestHandler):
    phase = 0

    def do_GET(self):
        values = PHASES[min(Exporter.phase, len(PHASES) - 1)]
        body = '# TYPE load gauge\n' + ''.join(f'load{{inst="{k}"}} {v}\n' for k, v in values.items() if v is not None)
        self.send_response(200)
        self.send_header('Content-Type', 'text/plain; version=0.0.4')
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


def config(root, port, extra=''):
    return (f'global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s, external_labels: {{cluster: c1}}}}\n'
            f"rule_files: ['{root}/rules.yml']\nscrape_configs:\n- job_name: peer\n  static_configs:\n  - targets: ['127.0.0.1:{port}']\n{extra}")


class Server:
    def __init__(self, name, command, port, log):
        self.name, self.port = name, port
        self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def get(self, path, **parameters):
        url = f'http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(parameters)}'
        return json.load(urllib.request.urlopen(url, timeout=5))['data']

    def wait(self, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                return self.get('/api/v1/query', query='1')
            except OSError:
                time.sleep(0.2)
        raise SystemExit(f'{self.name} never answered')

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


def seconds(text):
    whole, _, rest = text.rstrip('Z').partition('.')
    base = datetime.datetime.fromisoformat(whole + '+00:00').timestamp()
    return base + (float('0.' + rest) if rest else 0)


def rules_of(server):
    """What both should agree on: {group/index name: {...}}, and times apart."""
    shown, times = {}, {}
    for group in server.get('/api/v1/rules')['groups']:
        for i, rule in enumerate(group['rules']):
            key = f'{group["name"]}/{i} {rule["name"]}'
            alerts = {}
            for alert in rule.get('alerts', []):
                identity = json.dumps(alert['labels'], sort_keys=True)
                alerts[identity] = dict(state=alert['state'], value=rounded(alert['value']), annotations=alert['annotations'])
                times[key, identity] = seconds(alert['activeAt'])
            error = rule.get('lastError', '')
            shown[key] = dict(type=rule['type'], state=rule.get('state'), health=rule['health'], duration=rule.get('duration'),
                              error=error, alerts=alerts)
    return shown, times


def normalised(shown):
    """Texts of Go's template engine are its own: that there is an error is compared."""
    for rule in shown.values():
        for alert in rule['alerts'].values():
            for name, text in alert['annotations'].items():
                if text.startswith('<error expanding template:'):
                    check('first() called on vector with no elements' in text, f'reason in {text}')
                    alert['annotations'][name] = '<error>'
    return shown


def rounded(text):
    """Sums are compensated in 3.x and here, not in older servers."""
    return float(f'{float(text):.12g}')


def series_of(server, name):
    return {json.dumps(s['metric'], sort_keys=True): rounded(s['value'][1]) for s in server.get('/api/v1/query', query=name)['result']}


def compare(when, peer, ours):
    a, a_times = rules_of(peer)
    b, b_times = rules_of(ours)
    normalised(a), normalised(b)
    check(a.keys() == b.keys(), f'{when}: rules {sorted(a)} and {sorted(b)}')
    for key in a.keys() & b.keys():
        check(a[key] == b[key], f'{when}: {key}\n    theirs {json.dumps(a[key], sort_keys=True)}\n    ours   {json.dumps(b[key], sort_keys=True)}')
    for key in a_times.keys() & b_times.keys():
        check(abs(a_times[key] - b_times[key]) <= TIME_TOLERANCE_S, f'{when}: {key} active {b_times[key] - a_times[key]:+.1f} s apart')
    for name in SERIES:
        x, y = series_of(peer, name), series_of(ours, name)
        check(x == y, f'{when}: series {name}\n    theirs {x}\n    ours   {y}')
    return sum(len(r['alerts']) for r in a.values())


def run(root):
    ports = [free_port() for _ in range(3)]
    exporter = http.server.ThreadingHTTPServer(('127.0.0.1', ports[0]), Exporter)
    threading.Thread(target=exporter.serve_forever, daemon=True).start()
    open(f'{root}/rules.yml', 'w').write(RULES)
    open(f'{root}/prometheus.yml', 'w').write(config(root, ports[0]))
    open(f'{root}/tocsin.yml', 'w').write(config(root, ports[0], 'host: {enabled: false}\ngpu: {enabled: false}\ndiscovery: {enabled: false}\n'
                                                 'rules: {builtin: false}\n'))
    log = open(f'{root}/log', 'wb')
    peer = Server('prometheus', ['prometheus', f'--config.file={root}/prometheus.yml', f'--storage.tsdb.path={root}/prometheus',
                                 f'--web.listen-address=127.0.0.1:{ports[1]}', '--log.level=error'], ports[1], log)
    ours = Server('tocsin', [TOCSIN, 'run', '--config', f'{root}/tocsin.yml', '--data', f'{root}/tocsin', '--listen', f'127.0.0.1:{ports[2]}'],
                  ports[2], log)
    try:
        peer.wait(), ours.wait()
        alerts = checks = 0
        began = time.monotonic() + 2
        for phase in range(len(PHASES)):
            time.sleep(max(0, began + phase * PHASE_S - time.monotonic()))
            Exporter.phase = phase
            for at in CHECKS_S:
                time.sleep(max(0, began + phase * PHASE_S + at - time.monotonic()))
                alerts += compare(f'phase {phase} + {at} s', peer, ours)
                checks += 1
        print(f'{checks} comparisons of {len(RULES.split("expr:")) - 1} rules, {alerts} alerts seen, {len(failures)} differences')
        check(alerts > 40, f'only {alerts} alerts were seen')
    finally:
        peer.stop(), ours.stop()
        exporter.shutdown()
        if failures:
            sys.stdout.write(open(f'{root}/log', errors='replace').read()[-2000:])


def main():
    if not shutil.which('prometheus'):
        print('skipped: no prometheus on this machine')
        return 77
    root = tempfile.mkdtemp(prefix='tocsin-rules-peer-')
    try:
        run(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
