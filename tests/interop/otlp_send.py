"""Sends metrics with the official OpenTelemetry SDK and prints what it recorded: one JSON object.
python3 otlp_send.py URL proto cumulative|delta gzip|none"""
import json
import sys
import time

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, ObservableCounter, UpDownCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

URL, ENCODING, TEMPORALITY, COMPRESSION = sys.argv[1:]
DELTA = {Counter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA, ObservableCounter: AggregationTemporality.DELTA}
failures = []


class Exporter(OTLPMetricExporter):
    def export(self, *args, **kwargs):
        result = super().export(*args, **kwargs)
        if result is not MetricExportResult.SUCCESS:
            failures.append(str(result))
        return result


exporter = Exporter(endpoint=URL, compression=Compression.Gzip if COMPRESSION == 'gzip' else Compression.NoCompression,
                    preferred_temporality=DELTA if TEMPORALITY == 'delta' else None)
reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3600000)
provider = MeterProvider(
    metric_readers=[reader],
    resource=Resource({'service.name': f'py-{ENCODING}-{TEMPORALITY}-{COMPRESSION}', 'service.namespace': 'interop', 'service.instance.id': '1',
                       'host.name': 'h'}),
    views=[View(instrument_name='fine', aggregation=ExponentialBucketHistogramAggregation()),
           View(instrument_name='wait', aggregation=ExplicitBucketHistogramAggregation([0.1, 0.5, 1, 5]))])
meter = provider.get_meter('interop', '1.0')
temperature, total = 20, 0
requests = meter.create_counter('requests', unit='{request}', description='Requests served.')
queue = meter.create_up_down_counter('queue.length')
wait = meter.create_histogram('wait', unit='s')
fine = meter.create_histogram('fine', unit='By')
meter.create_observable_gauge('temperature', [lambda _: [Observation(temperature, {'room': 'a'})]], unit='Cel')
meter.create_observable_counter('work.done', [lambda _: [Observation(total)]])

tracer = TracerProvider().get_tracer('interop')
seen = {'traces': [], 'requests': {}, 'queue': 0, 'wait': [], 'fine': []}
for turn in range(3):
    for code, n in (('200', 10 + turn), ('500', 1)):
        requests.add(n, {'http.code': code})
        seen['requests'][code] = seen['requests'].get(code, 0) + n
    step = -4 if turn == 1 else 7
    queue.add(step)
    seen['queue'] += step
    for v in (0.05, 0.1, 0.7 + turn, 9):
        # what is recorded within a sampled span becomes an exemplar
        with tracer.start_as_current_span('work') as span:
            wait.record(v, {})
            if v == 9:
                seen['traces'].append(f'{span.get_span_context().trace_id:032x}')
        seen['wait'].append(v)
    for v in (0, 1, 1.5 * (turn + 1), 1000, 123456):
        fine.record(v)
        seen['fine'].append(v)
    temperature = 20 + turn / 4
    total += 2.5
    reader.force_flush()
    time.sleep(0.03)
seen['temperature'], seen['total'] = temperature, total
provider.shutdown()
print(json.dumps({'seen': seen, 'failures': failures}))
