"""Spans of the official OpenTelemetry SDK of Python (from PyPI, installed into a folder that is thrown away), as it sends them to a
daemon: requests, errors, durations and tokens are those that were recorded, and no prompt is kept.
python3 otlp_spans.py TOCSIN"""
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'e2e'))
os.environ.setdefault('TOCSIN_BINARY', os.path.abspath(sys.argv[1]))
from tocsin_test import Checks, Daemon, skip, wait_for  # noqa: E402

PIP = ['opentelemetry-sdk', 'opentelemetry-exporter-otlp-proto-http']
SENDER = r'''
import json, sys, time
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
provider = TracerProvider(resource=Resource({'service.name': 'assistant'}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=sys.argv[1], compression=Compression.Gzip)))
tracer = provider.get_tracer('interop')
seen = {'requests': 0, 'errors': 0, 'input': 0, 'output': 0, 'seconds': 0, 'contents': 0}
with tracer.start_as_current_span('GET /chat', kind=SpanKind.SERVER):
    for i in range(20):
        begin = time.time_ns()
        span = tracer.start_span('chat gpt', kind=SpanKind.CLIENT, start_time=begin, attributes={
            'gen_ai.operation.name': 'chat', 'gen_ai.provider.name': 'openai', 'gen_ai.request.model': 'gpt', 'gen_ai.usage.input_tokens': 10 + i,
            'gen_ai.usage.output_tokens': 3, 'gen_ai.input.messages': 'my-secret-prompt-4711'})
        span.add_event('gen_ai.choice', {'content': 'my-secret-prompt-4711'})
        if i % 5 == 0:
            span.set_attribute('error.type', 'rate_limit')
            span.set_status(Status(StatusCode.ERROR, 'my-secret-prompt-4711'))
            seen['errors'] += 1
        took = 0.05 * (i + 1)
        span.end(end_time=begin + int(took * 1e9))
        seen['requests'] += 1
        seen['input'] += 10 + i
        seen['output'] += 3
        seen['seconds'] += took
        seen['contents'] += 2
provider.shutdown()
print(json.dumps(seen))
'''


def install(folder):
    made = subprocess.run([sys.executable, '-m', 'venv', f'{folder}/venv'], capture_output=True, text=True)
    if made.returncode:
        return 'venv: ' + made.stdout.strip()[-300:]
    done = subprocess.run([f'{folder}/venv/bin/pip', 'install', '-q', '--retries', '1', *PIP], capture_output=True, text=True, timeout=150)
    return None if done.returncode == 0 else 'pip: ' + done.stderr.strip()[-300:]


def one(daemon, expression):
    found = daemon.query(expression)
    return found[0][1] if len(found) == 1 else found


def main():
    c = Checks()
    with tempfile.TemporaryDirectory(prefix='tocsin-otlp-') as folder:
        missing = install(folder)
        if missing:
            skip(missing)
        with Daemon() as d:
            sent = subprocess.run([f'{folder}/venv/bin/python', '-c', SENDER, d.url + '/v1/traces'], capture_output=True, text=True, timeout=120)
            c.equal(sent.returncode, 0, sent.stderr[-500:])
            seen = json.loads(sent.stdout)
            at = '{service="assistant",provider="openai",model="gpt",operation="chat"'
            wait_for(lambda: one(d, f'gen_ai_span_requests_total{at}}}') == seen['requests'], timeout=20)
            c.equal(one(d, f'gen_ai_span_errors_total{at},error_type="rate_limit"}}'), seen['errors'], 'errors')
            c.equal(one(d, f'gen_ai_span_tokens_total{at},direction="input"}}'), seen['input'], 'tokens read')
            c.equal(one(d, f'gen_ai_span_tokens_total{at},direction="output"}}'), seen['output'], 'tokens written')
            c.equal(one(d, f'gen_ai_span_duration_seconds_bucket{at},le="0.64"}}'), 12, 'durations up to 0.64 s')
            c.check(abs(one(d, f'gen_ai_span_duration_seconds_sum{at}}}') - seen['seconds']) < 1e-6, 'sum of durations')
            wait_for(lambda: one(d, 'tocsin_otlp_span_contents_dropped_total') == seen['contents'], timeout=15)
            c.equal(one(d, 'tocsin_otlp_spans_passed_over_total'), 1, 'the span of the web server')
            c.equal([p for p in d.root.rglob('*') if p.is_file() and b'my-secret-prompt-4711' in p.read_bytes()], [], 'no prompt on disk')
    c.finish()


if __name__ == '__main__':
    main()
