// Sends metrics with the official OpenTelemetry SDK and prints what it recorded: one JSON object, name to value.
// node otlp_send.mjs MODULES URL proto|json cumulative|delta gzip|none
import { createRequire } from 'node:module';

const [modules, url, encoding, temporality, compression] = process.argv.slice(2);
const require = createRequire(modules + '/package.json');
const sdk = require('@opentelemetry/sdk-metrics');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const http = require('@opentelemetry/exporter-metrics-otlp-http');
const Exporter = encoding === 'json' ? http.OTLPMetricExporter : require('@opentelemetry/exporter-metrics-otlp-proto').OTLPMetricExporter;

const preference = temporality === 'delta' ? http.AggregationTemporalityPreference.DELTA : http.AggregationTemporalityPreference.CUMULATIVE;
const exporter = new Exporter({ url, temporalityPreference: preference, compression });
const failures = [];
const original = exporter.export.bind(exporter);
exporter.export = (metrics, done) => original(metrics, (result) => {
  if (result.code !== 0) failures.push(String(result.error));
  done(result);
});
const reader = new sdk.PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3600000 });
const provider = new sdk.MeterProvider({
  readers: [reader],
  resource: resourceFromAttributes({ 'service.name': `js-${encoding}-${temporality}-${compression}`, 'service.namespace': 'interop', 'service.instance.id': '1', 'host.name': 'h' }),
  views: [{ instrumentName: 'fine', aggregation: { type: sdk.AggregationType.EXPONENTIAL_HISTOGRAM, options: { maxSize: 160 } } }],
});
const meter = provider.getMeter('interop', '1.0');
const requests = meter.createCounter('requests', { description: 'Requests served.', unit: '{request}' });
const queue = meter.createUpDownCounter('queue.length');
const wait = meter.createHistogram('wait', { unit: 's', advice: { explicitBucketBoundaries: [0.1, 0.5, 1, 5] } });
const fine = meter.createHistogram('fine', { unit: 'By' });
let temperature = 20;
meter.createObservableGauge('temperature', { unit: 'Cel' }).addCallback((r) => r.observe(temperature, { room: 'a' }));
let total = 0;
meter.createObservableCounter('work.done').addCallback((r) => r.observe(total));

const seen = { requests: {}, queue: 0, wait: [], fine: [] };
for (let round = 0; round < 3; round++) {
  for (const [code, n] of [['200', 10 + round], ['500', 1]]) {
    requests.add(n, { 'http.code': code });
    seen.requests[code] = (seen.requests[code] ?? 0) + n;
  }
  queue.add(round === 1 ? -4 : 7);
  seen.queue += round === 1 ? -4 : 7;
  for (const v of [0.05, 0.1, 0.7 + round, 9]) { wait.record(v); seen.wait.push(v); }
  for (const v of [0, 1, 1.5 * (round + 1), 1000, 123456]) { fine.record(v); seen.fine.push(v); }
  temperature = 20 + round / 4;
  total += 2.5;
  await reader.forceFlush();
  await new Promise((wake) => setTimeout(wake, 30));
}
seen.temperature = temperature;
seen.total = total;
await provider.shutdown();
console.log(JSON.stringify({ seen, failures }));
