#!/usr/bin/env python3
"""Spans over OTLP/HTTP in both encodings become metrics of operations; their content is counted and nowhere to be found."""
import gzip
import json
import struct
import time

from tocsin_test import Checks, Daemon, wait_for

T0 = time.time_ns() - 60 * 10**9
SECRET = 'my-secret-prompt-4711'


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def fixed64(number, value):
    return varint(number << 3 | 1) + struct.pack('<Q', value)


def double(number, value):
    return varint(number << 3 | 1) + struct.pack('<d', value)


def attribute(key, value):
    any_value = field(3, value) if isinstance(value, int) else double(4, value) if isinstance(value, float) else field(1, value)
    return field(1, key) + field(2, any_value)


def event(told):
    """(name, time, attributes); a name alone holds content."""
    return (told, T0, {'content': SECRET}) if isinstance(told, str) else (told[0], T0 + int(told[1] * 1e9), told[2])


def proto(service, spans):
    body = b''
    for attributes, seconds, error, events in spans:
        span = field(1, b'0' * 16) + field(2, b'0' * 8) + field(5, 'chat x')
        span += fixed64(7, T0) + fixed64(8, T0 + int(seconds * 1e9))
        span += b''.join(field(9, attribute(k, v)) for k, v in attributes.items())
        for name, at, more in map(event, events):
            span += field(11, fixed64(1, at) + field(2, name) + b''.join(field(3, attribute(k, v)) for k, v in more.items()))
        body += field(2, span + field(15, field(3, 2) if error else b''))
    return field(1, field(1, field(1, attribute('service.name', service))) + field(2, body))


def as_json(service, spans):
    def kv(k, v):
        return {'key': k, 'value': {'intValue': str(v)} if isinstance(v, int) else {'doubleValue': v} if isinstance(v, float) else {'stringValue': v}}
    return json.dumps({'resourceSpans': [{'resource': {'attributes': [kv('service.name', service)]}, 'scopeSpans': [{'spans': [
        {'traceId': '0' * 32, 'spanId': '0' * 16, 'name': 'chat x', 'startTimeUnixNano': str(T0), 'endTimeUnixNano': str(T0 + int(seconds * 1e9)),
         'attributes': [kv(k, v) for k, v in attributes.items()], 'status': {'code': 2} if error else {},
         'events': [{'name': name, 'timeUnixNano': str(at), 'attributes': [kv(k, v) for k, v in more.items()]}
                    for name, at, more in map(event, events)]}
        for attributes, seconds, error, events in spans]}]}]}).encode()


def chat(model='m1', **more):
    return {'gen_ai.operation.name': 'chat', 'gen_ai.provider.name': 'openai', 'gen_ai.request.model': model,
            'gen_ai.usage.input_tokens': 100, 'gen_ai.usage.output_tokens': 7, **more}


SPANS = [(chat(), .5, False, []), (chat(), 1.5, False, ['gen_ai.user.message']),
         (chat(**{'gen_ai.input.messages': SECRET, 'error.type': 'timeout'}), 30, True, []),
         ({'http.request.method': 'GET'}, .1, False, ['exception']),
         ({'gen_ai.system': 'vllm', 'gen_ai.response.model': 'm2', 'gen_ai.prompt.0.content': SECRET}, .02, True, [])]


def value(d, expression):
    found = d.query(expression)
    return found[0][1] if found else None


def send(d, body, kind='application/x-protobuf', **headers):
    return d.call('POST', '/v1/traces', body, token=d.token, headers={'Content-Type': kind, **headers})


def counted(d, c, service):
    at = f'{{service="{service}",model="m1",operation="chat",provider="openai"'
    wait_for(lambda: value(d, f'gen_ai_span_requests_total{at}}}') == 3, timeout=15)
    c.equal(value(d, f'gen_ai_span_errors_total{at},error_type="timeout"}}'), 1, f'{service}: errors')
    c.equal(value(d, f'gen_ai_span_tokens_total{at},direction="input"}}'), 300, f'{service}: tokens read')
    c.equal(value(d, f'gen_ai_span_tokens_total{at},direction="output"}}'), 21, f'{service}: tokens written')
    c.equal(value(d, f'gen_ai_span_duration_seconds_count{at}}}'), 3, f'{service}: durations')
    c.equal(value(d, f'gen_ai_span_duration_seconds_sum{at}}}'), 32, f'{service}: sum of durations')
    for le, n in (('0.32', 0), ('0.64', 1), ('2.56', 2), ('20.48', 2), ('40.96', 3), ('+Inf', 3)):
        c.equal(value(d, f'gen_ai_span_duration_seconds_bucket{at},le="{le}"}}'), n, f'{service}: le={le}')
    other = f'{{service="{service}",model="m2",operation="unknown",provider="vllm"'
    c.equal(value(d, f'gen_ai_span_errors_total{other},error_type="unknown"}}'), 1, f'{service}: names of earlier conventions')
    c.equal(value(d, f'increase(gen_ai_span_requests_total{at}}}[10m])') > 0, True, f'{service}: a new counter begins at zero')


def judged(score, label, **more):
    return ('gen_ai.evaluation.result', 1.0, {'gen_ai.evaluation.name': 'faithful', 'gen_ai.evaluation.score.value': score,
                                              'gen_ai.evaluation.score.label': label, 'gen_ai.evaluation.explanation': SECRET, **more})


FIRST = [(chat('f', **{'gen_ai.response.time_to_first_chunk': .3}), 2, False, []),
         (chat('f', **{'gen_ai.latency.time_to_first_token': .7, 'gen_ai.usage.cache_read.input_tokens': 60}), 2, False, []),
         (chat('f'), 2, False, [('First Token Stream Event', .05, {})]),
         (chat('f'), 2, False, [('llm.content.completion.chunk', 1.5, {}), ('llm.content.completion.chunk', .6, {})]),
         (chat('f'), 2, False, [('First Token Stream Event', 60, {})]),
         (chat('f'), 2, False, [judged(.5, 'pass'), judged(.9, 'pass'), judged(-1.0, 'fail')]),
         ({'service.part': 'judge'}, 2, False, [judged(.1, 'fail')])]


def first_tokens_and_evaluations(d, c, service, message, kind):
    c.equal(send(d, message(service, FIRST), kind).status, 200, f'{service}: taken')
    at = f'{{service="{service}",model="f",operation="chat",provider="openai"'
    wait_for(lambda: value(d, f'gen_ai_span_requests_total{at}}}') == 6, timeout=15)
    first = 'gen_ai_span_time_to_first_token_seconds'
    c.equal(value(d, f'{first}_count{at}}}'), 4, f'{service}: first tokens; one after the end is not believed')
    c.equal(round(value(d, f'{first}_sum{at}}}'), 6), .3 + .7 + .05 + .6, f'{service}: their sum')
    for le, n in (('0.04', 0), ('0.06', 1), ('0.5', 2), ('0.75', 4), ('+Inf', 4)):
        c.equal(value(d, f'{first}_bucket{at},le="{le}"}}'), n, f'{service}: first tokens, le={le}')
    c.equal(value(d, f'gen_ai_span_tokens_total{at},direction="input_cached"}}'), 60, f'{service}: tokens from the cache')
    c.equal(value(d, f'gen_ai_span_evaluations_total{at},evaluation="faithful",result="pass"}}'), 2, f'{service}: evaluations')
    c.equal(round(value(d, f'gen_ai_span_evaluation_score{at},evaluation="faithful",result="pass"}}'), 6), .7, f'{service}: mean score')
    c.equal(value(d, f'gen_ai_span_evaluation_score{at},evaluation="faithful",result="fail"}}'), -1, f'{service}: a score below zero')
    c.equal(value(d, f'gen_ai_span_evaluations_total{{service="{service}",model="unknown"}}'), 1, f'{service}: an evaluator of its own')
    c.equal(value(d, f'gen_ai_span_requests_total{{service="{service}",model="unknown"}}'), None, f'{service}: is no operation')
    packs = {p['name']: p['awake'] for p in d.call('GET', '/api/tocsin/v1/packs', token=d.token).json['packs']}
    c.check(wait_for(lambda: 'spans' in packs, 1), 'there is a pack for spans')


def answers(d, c):
    ok = send(d, proto('bin', SPANS))
    c.equal((ok.status, ok.body), (200, b''), 'protobuf: the empty response')
    ok = send(d, gzip.compress(as_json('text', SPANS)), 'application/json', **{'Content-Encoding': 'gzip'})
    c.equal((ok.status, ok.json), (200, {}), 'JSON: the empty response')
    whole = proto('cut', SPANS)
    c.equal(send(d, whole[:-3]).status, 400, 'a message that is cut off')
    c.equal(send(d, b'{"resourceSpans": [', 'application/json').status, 400, 'JSON that is cut off')
    c.equal(send(d, b'[]', 'application/json').status, 400, 'JSON that is no object')
    c.equal(send(d, whole, 'text/plain').status, 415, 'another content type')


def limits(d, c):
    """A label whose values never end costs no series."""
    many = [(chat(f'model-{i}'), .1, False, []) for i in range(400)] + [(chat('m1', **{'error.type': f'e{i}'}), .1, True, []) for i in range(60)]
    c.equal(send(d, proto('bin', many)).status, 200, 'many models')
    wait_for(lambda: (value(d, 'sum(gen_ai_span_requests_total{model="_overflow_"})') or 0) > 250, timeout=15)
    c.check(value(d, 'count(count by (model) (gen_ai_span_requests_total))') <= 101, 'models are limited')
    c.check(value(d, 'count(count by (error_type) (gen_ai_span_errors_total))') <= 20, 'types of errors are limited')
    c.check(value(d, 'sum(gen_ai_span_errors_total{error_type="_overflow_"})') >= 40, 'errors beyond are counted together')


def privacy(d, c):
    wait_for(lambda: value(d, 'tocsin_otlp_span_contents_dropped_total') == 6, timeout=15)
    c.check(value(d, 'tocsin_otlp_span_content_dropped_bytes_total') >= 6 * len(SECRET), 'bytes of content')
    c.equal(value(d, 'tocsin_otlp_spans_passed_over_total'), 2, 'spans of something else')
    found = [p for p in d.root.rglob('*') if p.is_file() and SECRET.encode() in p.read_bytes()]
    c.equal(found, [], 'no content reaches the disk')


def main():
    c = Checks()
    with Daemon() as d:
        answers(d, c)
        for service in ('bin', 'text'):
            counted(d, c, service)
        c.equal(d.query('gen_ai_span_requests_total{service="cut"}'), [], 'nothing of a broken message is counted')
        privacy(d, c)
        first_tokens_and_evaluations(d, c, 'bin2', proto, 'application/x-protobuf')
        first_tokens_and_evaluations(d, c, 'text2', as_json, 'application/json')
        c.equal(value(d, 'tocsin_otlp_spans_bad_first_tokens_total'), 2, 'first tokens that cannot be')
        kept = [p for p in d.root.rglob('*') if p.is_file() and SECRET.encode() in p.read_bytes()]
        c.equal(kept, [], 'no explanation reaches the disk')
        limits(d, c)
    c.finish()


if __name__ == '__main__':
    main()
