"""The requests that Grafana's Prometheus data source makes, to a Tocsin and to a live Prometheus with the same samples. Where
Debian's 2.42 speaks the same dialect the answers must be equal; for what came with 3.x the documented form is checked."""
import json

from twin_servers import Checks, Twins, sorted_result

# (path, parameters): answers equal as JSON, series in any order.
EQUAL_EXPRESSIONS = [
    '1+1', '1e-9', '0.1+0.2', '"a<b"', 'time()', 'vector(1e300)', 'vector(1e-7)', '-vector(0)', 'scalar(vector(NaN))',
    'twin_requests_total', 'twin_requests_total{path="/ü"}', 'twin_temperature', 'twin_odd', 'twin_odd{what="nan"}',
    'twin_temperature[5s]', 'sum by (code) (rate(twin_requests_total[4s]))', 'topk(2, twin_temperature)',
    'histogram_quantile(0.9, rate(twin_seconds_bucket[5s]))', 'count_values("v", twin_requests_total)',
    'label_replace(twin_temperature, "n", "<$1>", "sensor", "s(.*)")', 'absent(nothing{a="b"})', 'nothing',
    'twin_requests_total offset 2s', 'max_over_time(twin_temperature[6s:2s])', 'twin_temperature > 1e-3',
    'twin_requests_total / on (code) group_left sum by (code) (twin_requests_total)', 'sort_desc(twin_temperature)',
]
BAD_REQUESTS = [
    ('/api/v1/query', {}), ('/api/v1/query', {'query': 'sum('}), ('/api/v1/query', {'query': 'nosuch(1)'}),
    ('/api/v1/query', {'query': 'up', 'time': 'x'}), ('/api/v1/query', {'query': 'up', 'timeout': 'x'}),
    ('/api/v1/query_range', {'query': 'up', 'start': '', 'end': 1, 'step': 1}),
    ('/api/v1/query_range', {'query': 'up', 'start': 2, 'end': 1, 'step': 1}),
    ('/api/v1/query_range', {'query': 'up', 'start': 1, 'end': 2, 'step': 'x'}),
    ('/api/v1/query_range', {'query': 'up', 'start': 1, 'end': 2, 'step': '-1'}),
    ('/api/v1/query_range', {'query': 'up', 'start': 0, 'end': 20000, 'step': 1}),
    ('/api/v1/series', {}), ('/api/v1/labels', {'start': 'x'}), ('/api/v1/rules', {'type': 'x'}),
    ('/api/v1/metadata', {'limit': 'x'}), ('/api/v1/query_exemplars', {'query': 'up', 'start': 2, 'end': 1}),
]


def own(servers_answer):
    """Without what each server writes about its own scrapes."""
    return [s for s in servers_answer if not str(s.get('__name__', s) if isinstance(s, dict) else s).startswith(('scrape_', 'up'))]


def queries(checks, twins):
    at = twins.end_s - 0.7  # between two samples: 2.42 closes ranges on the left, 3.x does not
    for expr in EQUAL_EXPRESSIONS:
        for method in ('GET', 'POST'):
            (a, theirs), (b, ours) = twins.both('/api/v1/query', {'query': expr, 'time': at}, method)
            checks.equal((a, sorted_result(theirs)), (b, sorted_result(ours)), f'{method} query {expr}')
    for step in ('1', '0.5', '2s', '3.6'):
        for expr in EQUAL_EXPRESSIONS:
            if expr.startswith(('"', 'sort')) or expr.endswith('[5s]'):  # a sort of a range is a warning in 3.x
                continue
            span = {'query': expr, 'start': twins.start_s + 7.3, 'end': at, 'step': step, 'timeout': '30s'}
            (a, theirs), (b, ours) = twins.both('/api/v1/query_range', span, 'POST')
            checks.equal((a, sorted_result(theirs)), (b, sorted_result(ours)), f'query_range step {step} {expr}')


def bytes_on_the_wire(checks, twins):
    """Answers with one series have one order: their bytes must be the same."""
    at = twins.end_s - 0.75
    for expr in ('1+1', 'time()', '1e-9', 'vector(1e-7)', 'vector(1e21)', 'twin_temperature{sensor="s1"}',
                 'twin_odd{what="huge"}', 'twin_temperature{sensor="s2"}[3s]', '"text \\\\ \\" é"', 'nothing'):
        theirs, ours = twins.both('/api/v1/query', {'query': expr, 'time': at})
        checks.equal(theirs, ours, f'bytes of {expr}')
    theirs, ours = twins.both('/api/v1/query_range', {'query': 'twin_odd{what="nan"}', 'start': at - 3, 'end': at, 'step': 1})
    checks.equal(theirs, ours, 'bytes of a range with NaN')


def metadata(checks, twins):
    window = {'start': twins.start_s, 'end': twins.end_s}
    for method in ('GET', 'POST'):
        for extra in ({'match[]': '{job="twin"}'}, {'match[]': 'twin_requests_total'}, {'match[]': ['twin_odd', '{sensor=~"s.*"}']}):
            (_, theirs), (_, ours) = twins.both('/api/v1/labels', {**window, **extra}, method)
            checks.equal(json.loads(theirs), json.loads(ours), f'{method} labels {extra}')
        (_, theirs), (_, ours) = twins.both('/api/v1/series', {**window, 'match[]': ['twin_temperature', 'twin_odd']}, method)
        key = lambda s: sorted(s.items())
        checks.equal(sorted(json.loads(theirs)['data'], key=key), sorted(json.loads(ours)['data'], key=key), f'{method} series')
    for name in ('__name__', 'code', 'path', 'zone', 'none'):
        (_, theirs), (_, ours) = twins.both(f'/api/v1/label/{name}/values', {**window, 'match[]': '{job="twin"}'})
        checks.equal(own(json.loads(theirs)['data']), own(json.loads(ours)['data']), f'values of {name}')
    for parameters in ({'metric': 'twin_requests_total'}, {'metric': 'twin_seconds'}, {'metric': 'none'}):
        theirs, ours = [json.loads(b) for _, b in twins.both('/api/v1/metadata', parameters)]
        checks.equal(theirs, ours, f'metadata {parameters}')
    for path in ('/api/v1/rules', '/api/v1/alerts', '/api/v1/alertmanagers'):
        theirs, ours = [json.loads(b) for _, b in twins.both(path)]
        checks.equal(theirs, ours, path)
    theirs, ours = [json.loads(b) for _, b in twins.both('/api/v1/query_exemplars', {'query': 'twin_odd', **window})]
    checks.equal(theirs, ours, 'query_exemplars')


def errors(checks, twins):
    for path, parameters in BAD_REQUESTS:
        (a, theirs), (b, ours) = twins.both(path, parameters)
        t, o = json.loads(theirs), json.loads(ours)
        checks.equal((a, t['status'], t['errorType']), (b, o['status'], o['errorType']), f'{path} {parameters}')


def three(checks, twins):
    """What 2.42 has not: the forms of 3.x."""
    call = twins.tocsin.call
    build = json.loads(call('/api/v1/status/buildinfo')[1])['data']
    checks.check(build['version'].startswith('3.') and 'features' not in build, f'buildinfo {build}')
    names = json.loads(call('/api/v1/label/__name__/values', {'limit': 2})[1])
    checks.equal((2, ['results truncated due to limit']), (len(names['data']), names.get('warnings')), 'limit of values')
    series = json.loads(call('/api/v1/series', {'match[]': 'twin_temperature', 'limit': 3})[1])
    checks.equal((3, ['results truncated due to limit']), (len(series['data']), series.get('warnings')), 'limit of series')
    query = json.loads(call('/api/v1/query', {'query': 'twin_temperature', 'limit': 1, 'time': twins.end_s})[1])
    checks.equal((1, ['results truncated due to limit']), (len(query['data']['result']), query.get('warnings')), 'limit of query')
    status, body = call('/api/v1/label/U__p_61_th/values')  # "path"
    checks.equal(['/', '/api', '/ü'], json.loads(body)['data'], 'escaped label name')
    features = json.loads(call('/api/v1/features')[1])['data']
    checks.check(all(isinstance(v, dict) for v in features.values()), f'features {features}')
    noted = json.loads(call('/api/v1/query', {'query': 'quantile(2, twin_temperature)', 'time': twins.end_s})[1])
    checks.check(any('quantile value should be between 0 and 1, got 2' in w for w in noted.get('warnings', [])),
                 f'warnings {noted.get("warnings")}')
    stats = json.loads(call('/api/v1/query', {'query': 'twin_temperature', 'stats': 'all', 'time': twins.end_s})[1])['data']['stats']
    checks.check(set(stats) == {'timings', 'samples'} and stats['samples']['totalQueryableSamples'] >= 4, f'stats {stats}')


def main():
    checks = Checks()
    with Twins() as twins:
        for part in (queries, bytes_on_the_wire, metadata, errors, three):
            part(checks, twins)
    checks.finish()


if __name__ == '__main__':
    main()
