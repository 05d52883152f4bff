"""Every operation of Prometheus' HTTP API against a live daemon, good requests and bad ones: each answer is validated by
upstream's description (shared files) and by ours (docs/openapi.yaml), and the two offer the same operations and parameters."""
import json
import pathlib
import sys
import tempfile
import time
import urllib.parse

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'e2e'))
import remote_write_body as rw  # noqa: E402
from conformance_test import HERE, Checks, shared  # noqa: E402
from json_schema import Schemas  # noqa: E402
from tocsin_test import Daemon  # noqa: E402

CONFIG = '''
features: [search-api]
web: {enable_admin_api: true}
scrape_configs:
  - job_name: self
    scrape_interval: 300ms
    scrape_timeout: 200ms
    static_configs: [{targets: ['127.0.0.1:%d', 'dropped:1']}]
    relabel_configs: [{source_labels: [__address__], regex: 'dropped.*', action: drop}]
'''
# Not part of this interface's tests: they take bodies of other formats.
OTHERS = {('post', '/read'), ('post', '/write'), ('post', '/otlp/v1/metrics')}

# (path, method, parameters, status). GET parameters go into the query, POST ones into a form.
METRIC = 'tocsin_head_series'
REQUESTS = [
    *[(p, m, q, s) for m in ('get', 'post') for p, q, s in [
        ('/query', {'query': METRIC}, 200), ('/query', {'query': '1+1', 'time': '1700000000.5'}, 200),
        ('/query', {'query': f'{METRIC}[1m]', 'stats': 'all', 'limit': 1}, 200),
        ('/query', {'query': 'rate(up[5m])', 'time': '2026-01-02T13:37:00Z', 'timeout': '1s', 'lookback_delta': '1m'}, 200),
        ('/query', {'query': 'sum('}, 400), ('/query', {'query': 'up', 'time': 'x'}, 400), ('/query', {}, 400),
        ('/query', {'query': 'up', 'timeout': 'x'}, 400), ('/query', {'query': 'up', 'limit': '-1'}, 400),
        ('/query', {'query': 'up', 'limit': 'x'}, 400), ('/query', {'query': 'up', 'lookback_delta': 'x'}, 400),
        ('/query', {'query': 'label_replace(up, "a", "$1", "b", "(")'}, 422),
        ('/query_range', {'query': METRIC, 'start': '@-5', 'end': '@0', 'step': '1'}, 200),
        ('/query_range', {'query': '1', 'start': 0, 'end': 10, 'step': '1s', 'stats': 'true', 'limit': 5}, 200),
        ('/query_range', {'query': '1', 'start': 10, 'end': 0, 'step': 1}, 400),
        ('/query_range', {'query': '1', 'start': 0, 'end': 10, 'step': 0}, 400),
        ('/query_range', {'query': '1', 'start': 0, 'end': 20000, 'step': 1}, 400),
        ('/query_range', {'query': 'up[1m]', 'start': 0, 'end': 1, 'step': 1}, 400),
        ('/query_range', {'query': '1', 'end': 1, 'step': 1}, 400),
        ('/query_exemplars', {'query': 'up', 'start': 0, 'end': 1}, 200), ('/query_exemplars', {'query': '('}, 400),
        ('/query_exemplars', {'query': 'up', 'start': 2, 'end': 1}, 400),
        ('/format_query', {'query': 'sum(up)by(a)'}, 200), ('/format_query', {'query': 'sum('}, 400),
        ('/parse_query', {'query': 'sum by (a) (rate(up{b=~"c"}[5m] offset 1m @ end())) / on (a) group_left (d) x'}, 200),
        ('/parse_query', {'query': ')'}, 400),
        ('/labels', {}, 200), ('/labels', {'match[]': ['up', METRIC], 'limit': 1}, 200), ('/labels', {'match[]': '('}, 400),
        ('/labels', {'start': 'x'}, 400), ('/labels', {'match[]': '{a=""}'}, 400),
        ('/series', {'match[]': METRIC}, 200), ('/series', {'match[]': ['up', '{job=~".+"}'], 'limit': 2}, 200),
        ('/series', {}, 400), ('/series', {'match[]': 'sum(up)'}, 400), ('/series', {'match[]': 'up', 'end': 'x'}, 400),
        ('/search/metric_names', {'search[]': 'head', 'sort_by': 'score', 'include_score': 'true', 'include_metadata': 'true'}, 200),
        ('/search/metric_names', {'fuzz_threshold': 101}, 400), ('/search/label_names', {'limit': 1}, 200),
        ('/search/label_names', {'sort_dir': 'asc'}, 400), ('/search/label_values', {'label': 'job', 'batch_size': 1}, 200),
        ('/search/label_values', {}, 400)]],
    ('/label/{name}/values', 'get', {'name': 'job'}, 200),
    ('/label/{name}/values', 'get', {'name': 'U__http_2e_status', 'match[]': 'up', 'limit': 1}, 200),
    ('/label/{name}/values', 'get', {'name': 'job', 'limit': 'x'}, 400),
    ('/metadata', 'get', {}, 200), ('/metadata', 'get', {'metric': METRIC, 'limit': 1, 'limit_per_metric': 1}, 200),
    ('/metadata', 'get', {'limit': 'x'}, 400),
    ('/scrape_pools', 'get', {}, 200), ('/scrape_pools/config', 'get', {'scrapePool': 'self'}, 200),
    ('/scrape_pools/config', 'get', {'scrapePool': 'none'}, 404),
    ('/targets', 'get', {}, 200), ('/targets', 'get', {'state': 'active', 'scrapePool': 'self'}, 200),
    ('/targets', 'get', {'state': 'dropped'}, 200),
    ('/targets/metadata', 'get', {'match_target': '{job="self"}', 'limit': 3}, 200),
    ('/targets/metadata', 'get', {'metric': METRIC}, 200), ('/targets/metadata', 'get', {'metric': 'none'}, 404),
    ('/targets/metadata', 'get', {'match_target': '('}, 400),
    ('/targets/relabel_steps', 'get', {'scrapePool': 'self', 'labels': '{"__address__":"dropped:9"}'}, 200),
    ('/targets/relabel_steps', 'get', {'scrapePool': 'self', 'labels': '['}, 400),
    ('/targets/relabel_steps', 'get', {'scrapePool': 'self'}, 400),
    ('/rules', 'get', {}, 200), ('/rules', 'get', {'type': 'alert', 'exclude_alerts': 'true', 'group_limit': 1}, 200),
    ('/rules', 'get', {'type': 'record', 'rule_group[]': 'gpu', 'match[]': '{severity="critical"}'}, 200),
    ('/rules', 'get', {'type': 'x'}, 400), ('/rules', 'get', {'group_next_token': 'x'}, 400),
    ('/rules', 'get', {'group_limit': 1, 'group_next_token': 'x'}, 400), ('/rules', 'get', {'group_limit': 'x'}, 400),
    ('/rules', 'get', {'exclude_alerts': 'x'}, 400),
    ('/alerts', 'get', {}, 200), ('/alertmanagers', 'get', {}, 200),
    *[(f'/status/{p}', 'get', {}, 200) for p in ('config', 'runtimeinfo', 'buildinfo', 'flags', 'tsdb', 'tsdb/blocks',
                                                'walreplay', 'self_metrics')],
    ('/status/tsdb', 'get', {'limit': 1}, 200), ('/status/tsdb', 'get', {'limit': 0}, 400),
    ('/status/tsdb', 'get', {'limit': 10001}, 400), ('/status/self_metrics', 'get', {'metric_name_pattern': '('}, 400),
    ('/features', 'get', {}, 200), ('/notifications', 'get', {}, 200),
    *[(f'/admin/tsdb/{p}', m, q, s) for m in ('put', 'post') for p, q, s in [
        ('delete_series', {'match[]': 'none'}, 204), ('delete_series', {}, 400), ('clean_tombstones', {}, 204),
        ('snapshot', {'skip_head': 'true'}, 200), ('snapshot', {'skip_head': 'x'}, 400)]],
]


def operations(document, base):
    """(method, path below base) → operation, with the path's own parameters in it."""
    found = {}
    for path, item in document['paths'].items():
        if not path.startswith(base):
            continue
        for method in item.keys() & {'get', 'post', 'put', 'delete'}:
            operation = dict(item[method])
            operation['parameters'] = item.get('parameters', []) + operation.get('parameters', [])
            found[method, path[len(base):]] = operation
    return found


def response_schema(schemas, operation, status):
    responses = operation['responses']
    # Upstream lists 200 where it answers 204 without a body.
    response = schemas.resolve(responses.get(str(status)) or responses['default' if status >= 300 else '200'])
    content = response.get('content', {})
    return next(iter(content.items())) if content else (None, None)


def validate(checks, schemas, operation, answer, what):
    kind, content = response_schema(schemas, operation, answer.status)
    if answer.status == 204:
        checks.check(not answer.body, f'{what}: 204 has a body')
        return
    sent = (answer.headers.get('Content-Type') or '').split(';')[0]
    if not checks.check(sent == kind, f'{what}: {sent} was sent, {kind} was wanted'):
        return
    if kind.endswith('ndjson'):
        lines = [json.loads(l) for l in answer.body.splitlines()]
        checks.check(lines[-1].get('status') == 'success' and all('results' in l for l in lines[:-1]), f'{what}: {lines}')
        return
    errors = schemas.errors(json.loads(answer.body), content['schema'])
    checks.check(not errors, f'{what}: {errors[:3]}')


def send(daemon, path, method, parameters):
    parameters = dict(parameters)
    if '{name}' in path:
        path = path.replace('{name}', parameters.pop('name'))
    now = time.time()
    for key, value in parameters.items():
        if isinstance(value, str) and value.startswith('@'):
            parameters[key] = now + float(value[1:])
    text = urllib.parse.urlencode(parameters, doseq=True)
    url, body, headers = '/api/v1' + path, None, {}
    if method == 'get' or '/admin/' in path:
        url += '?' + text if text else ''
        body = b'' if method != 'get' else None
    else:
        body, headers = text.encode(), {'Content-Type': 'application/x-www-form-urlencoded'}
    return daemon.call(method.upper(), url, body, token=daemon.token, headers=headers)


def check_parity(checks, upstream, ours):
    """Every operation and parameter of upstream's is described by us."""
    for key, operation in upstream.items():
        if key in OTHERS or not checks.check(key in ours, f'{key} is not in docs/openapi.yaml'):
            continue
        wanted = {p['name'] for p in operation.get('parameters', [])}
        have = {p['name'] for p in ours[key]['parameters']}
        checks.check(wanted <= have, f'{key}: docs/openapi.yaml lacks the parameters {wanted - have}')


def send_histograms(checks, daemon, t_ms):
    """An exponential and a custom-bucket histogram, and a sample with an exemplar."""
    body = rw.series({'__name__': 'rw_exponential'}, histograms=[
        rw.histogram(t_ms, 10, 18.4, 1, 0.001, 2, [(0, 2)], [3, 5])])
    body += rw.series({'__name__': 'rw_custom'}, histograms=[
        rw.histogram(t_ms, 5, 60, -53, 0, 0, [(0, 1), (1, 1)], [1, 4], custom=[5.0, 10.0])])
    body += rw.series({'__name__': 'rw_total', 'a': 'b'}, samples=[rw.sample(t_ms, 1.5)],
                      exemplars=[rw.exemplar(t_ms, 0.25, {'trace_id': 'abc'})])
    answer = daemon.call('POST', '/api/v1/write', rw.snappy(body), token=daemon.token, headers=rw.HEADERS)
    checks.check(answer.status == 204, f'remote write: {answer.status} {answer.body[:200]}')


EXPONENTIAL = {'count': '10', 'sum': '18.4', 'buckets': [
    [3, '-0.001', '0.001', '2'], [0, '0.7071067811865475', '1', '3'], [0, '1', '1.414213562373095', '5']]}
CUSTOM = {'count': '5', 'sum': '60', 'buckets': [[3, '-Inf', '5', '1'], [0, '10', '+Inf', '4']]}


def is_like(have, wanted):
    """Equal but for the last digit of bounds: upstream takes them from a table that is not rounded everywhere."""
    rest = lambda h: (h['count'], h['sum'], [(b[0], b[3]) for b in h['buckets']])
    bounds = lambda h: [float(x) for b in h['buckets'] for x in b[1:3]]
    return rest(have) == rest(wanted) and all(
        a == b or abs(a - b) <= 4e-16 * abs(b) for a, b in zip(bounds(have), bounds(wanted)))


def check_histograms(checks, daemon, descriptions):
    t_ms = int(time.time()) * 1000 + 250
    send_histograms(checks, daemon, t_ms)
    at = t_ms / 1000
    for name, wanted in (('rw_exponential', EXPONENTIAL), ('rw_custom', CUSTOM)):
        requests = [('/query', {'query': name, 'time': at}), ('/query_range', {'query': name, 'start': at, 'end': at + 2, 'step': 1})]
        for path, parameters in requests:
            answer = send(daemon, path, 'get', parameters)
            result = answer.json['data']['result']
            first = result[0].get('histogram') or result[0]['histograms'][0]
            checks.check(first[0] == at and is_like(first[1], wanted), f'{path} {name}: {first}')
            for which, schemas, known in descriptions:
                validate(checks, schemas, known['get', path], answer, f'{path} {name} ({which})')
    answer = send(daemon, '/query_exemplars', 'get', {'query': 'rate(rw_total[1m])', 'start': at - 1, 'end': at + 1})
    wanted = [{'seriesLabels': {'__name__': 'rw_total', 'a': 'b'},
               'exemplars': [{'labels': {'trace_id': 'abc'}, 'value': '0.25', 'timestamp': at}]}]
    checks.check(answer.json['data'] == wanted, f'query_exemplars: {answer.json["data"]}')
    for which, schemas, known in descriptions:
        validate(checks, schemas, known['get', '/query_exemplars'], answer, f'query_exemplars ({which})')


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def main():
    checks = Checks()
    our_document = yaml.safe_load((HERE.parents[1] / 'docs/openapi.yaml').read_text())
    descriptions = [('ours', Schemas(our_document), operations(our_document, '/api/v1'))]
    folder = shared('prometheus-openapi')
    if folder:
        document = yaml.safe_load((folder / 'openapi_3.1_golden.yaml').read_text())
        descriptions.append(('upstream', Schemas(document), operations(document, '')))
        check_parity(checks, descriptions[1][2], descriptions[0][2])
        asked = {(m, p) for p, m, _, _ in REQUESTS}
        for key in descriptions[1][2].keys() - OTHERS - asked:
            checks.check(key not in descriptions[0][2], f'{key} is not tested')
    port = free_port()
    with tempfile.NamedTemporaryFile('w', suffix='.yml') as config:
        config.write(CONFIG % port)
        config.flush()
        daemon = Daemon(config=config.name)
        try:
            daemon.start(port=port)
            end = time.monotonic() + 20
            while time.monotonic() < end and not daemon.call(
                    'GET', f'/api/v1/query?query={METRIC}{{job="self"}}').json['data']['result']:
                time.sleep(0.1)
            for path, method, parameters, status in REQUESTS:
                answer = send(daemon, path, method, parameters)
                what = f'{method.upper()} {path} {parameters}'
                if not checks.check(answer.status == status, f'{what}: {answer.status}, wanted {status}: {answer.body[:200]}'):
                    continue
                for name, schemas, known in descriptions:
                    if (method, path) in known:
                        validate(checks, schemas, known[method, path], answer, f'{what} ({name})')
            check_histograms(checks, daemon, descriptions)
        finally:
            daemon.kill()
    checks.finish()


if __name__ == '__main__':
    main()
