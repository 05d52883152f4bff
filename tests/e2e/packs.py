#!/usr/bin/env python3
"""Rule packs: what each kind of server and device exposes, as its documentation shows it, wakes exactly its own pack; people switch packs,
also over a restart; a woken pack raises alerts."""
import http.server
import json
import pathlib
import sys
import tempfile
import threading

from tocsin_test import Checks, Daemon, wait_for

EXPOSITIONS = pathlib.Path(__file__).parent / 'expositions'
CONFIG = '''
host: {enabled: false}
gpu: {enabled: false}
discovery: {enabled: false}
scrape_configs:
  - {job_name: shown, scrape_interval: 1s, file_sd_configs: [{files: [TARGETS], refresh_interval: 1s}]}
'''


class Handler(http.server.BaseHTTPRequestHandler):
    extra = {}

    def do_GET(self):
        name = self.path.strip('/')
        body = (EXPOSITIONS / (name + '.prom')).read_bytes() + self.extra.get(name, b'')
        self.send_response(200)
        self.send_header('Content-Type', 'text/plain; version=0.0.4')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def awake(d):
    packs = d.call('GET', '/api/tocsin/v1/packs', token=d.token).json['packs']
    return {p['name']: p for p in packs if p['awake']}


def set_mode(d, name, mode, token=True):
    return d.call('POST', f'/api/tocsin/v1/packs/{name}', body={'mode': mode}, token=d.token if token else None)


def groups(d):
    return {g['name'] for g in d.call('GET', '/api/v1/rules', token=d.token).json['data']['groups']}


def each_family_wakes_its_pack(d, c, port, targets):
    known, shown = set(awake(d)), []
    c.equal(known, {'host', 'self', 'targets'}, 'packs awake at the start')
    names = sorted(p.stem for p in EXPOSITIONS.glob('*.prom'))
    for batch in (names[i::4] for i in range(4)):
        shown += [{'targets': [f'127.0.0.1:{port}'], 'labels': {'__metrics_path__': '/' + n, 'job': n}} for n in batch]
        targets.write_text(json.dumps(shown))
        known |= set(batch)
        wait_for(lambda: set(batch) <= set(awake(d)), timeout=30)
        c.equal(set(awake(d)), known, f'packs awake after {", ".join(batch)} were seen')
        for name in batch:
            c.check(awake(d)[name]['seen_metric'] != '', f'{name} names the metric that woke it')
    c.check(any(g.startswith('sglang') for g in groups(d)), 'groups of a woken pack are listed')


def people_switch_packs(d, c):
    c.equal(set_mode(d, 'tgi', 'off').status, 200, 'a pack is switched off')
    c.check(not any(g.startswith('tgi') for g in groups(d)), 'its groups are gone')
    c.equal(set_mode(d, 'nothing', 'on').status, 404, 'an unknown pack')
    c.equal(set_mode(d, 'tgi', 'sometimes').status, 400, 'an unknown mode')
    c.equal(set_mode(d, 'tgi', 'on', token=False).status, 401, 'without a token nothing is switched')
    d.kill()
    d.start()
    wait_for(lambda: 'vllm' in awake(d), timeout=30)
    c.check('tgi' not in awake(d), 'what a person switched off stays off over a restart')
    c.equal(set_mode(d, 'tgi', 'auto').status, 200, 'auto takes it back')
    wait_for(lambda: 'tgi' in awake(d), timeout=30)


def a_woken_pack_alerts(d, c):
    Handler.extra['gpu'] = (b'DCGM_FI_DEV_ROW_REMAP_FAILURE{gpu="0",UUID="GPU-4f2c",Hostname="node1"} 1\n')
    wait_for(lambda: any(i['kind'] == 'row_remap' for i in d.incidents()), timeout=60)
    c.check(True, 'a row remap failure becomes an incident')
    set_mode(d, 'gpu', 'off')
    wait_for(lambda: not d.query('ALERTS{alertname="GpuRowRemapFailure"}'), timeout=60)
    c.check(True, 'the alert ends with its pack')


def main():
    c = Checks()
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        targets = pathlib.Path(folder) / 'targets.json'
        targets.write_text('[]')
        config = pathlib.Path(folder) / 'tocsin.yml'
        config.write_text(CONFIG.replace('TARGETS', str(targets)))
        with Daemon(config=config) as d:
            each_family_wakes_its_pack(d, c, server.server_address[1], targets)
            people_switch_packs(d, c)
            a_woken_pack_alerts(d, c)
    return c.finish()


if __name__ == '__main__':
    sys.exit(main())
