// Now: is all well, what is open, what looks odd, and the live charts.
import { get, queryInstant, queryRange } from "../api";
import { Chart, type ChartData } from "../chart";
import { bytes, number, since, time } from "../format";
import { useLoad } from "../hooks";
import { t, tValue, type Key } from "../i18n";
import { Labels, Panel, SeverityBadge, StateBadge, Wait } from "../parts";
import { align } from "../series";
import type { Incident, Sample, Status } from "../types";

const WINDOW_S = 180;

interface LiveChart { title: Key; expr: string; unit: string; name?: string }
/** A chart appears when its expression has data. */
const CHARTS: LiveChart[] = [
  { title: "cpuBusy", unit: "ratio", expr: '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[10s]))', name: "instance" },
  { title: "memoryUsed", unit: "ratio", expr: "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes", name: "instance" },
  { title: "gpuUtilisation", unit: "ratio", expr: "DCGM_FI_DEV_GPU_UTIL / 100", name: "gpu" },
  { title: "gpuMemory", unit: "ratio", expr: "DCGM_FI_DEV_FB_USED / (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE)", name: "gpu" },
  { title: "loss", unit: "", expr: "train_loss", name: "run" },
  { title: "gradNorm", unit: "", expr: "train_grad_norm", name: "run" },
  { title: "stepTime", unit: "s", expr: "train_step_seconds", name: "run" },
  { title: "ttft", unit: "s", expr: "histogram_quantile(0.99, sum by (le, instance) (rate(vllm:time_to_first_token_seconds_bucket[30s])))", name: "instance" },
  { title: "diskIo", unit: "bytes", expr: "sum by (instance) (rate(node_disk_read_bytes_total[10s])) + sum by (instance) (rate(node_disk_written_bytes_total[10s]))", name: "instance" },
  { title: "network", unit: "bytes", expr: 'sum by (instance) (rate(node_network_receive_bytes_total{device!="lo"}[10s]))', name: "instance" },
];

function Live(p: { chart: LiveChart }) {
  const { value } = useLoad<ChartData>(async (abort) => {
    const end = Math.floor(Date.now() / 1000) - 1;
    const result = await queryRange(p.chart.expr, end - WINDOW_S, end, 1, abort);
    return align(result, end - WINDOW_S, end, 1, (l) => l[p.chart.name ?? ""] ?? t(p.chart.title));
  }, [p.chart.expr], 1000);
  if (!value || !value.lines.length) return null;
  return <Chart title={t(p.chart.title)} data={value} unit={p.chart.unit} />;
}

function Counts(p: { status: Status }) {
  const c = p.status.counts;
  const items: [Key, string][] = [
    ["firing", number(c.alerts_firing)], ["pending", number(c.alerts_pending)], ["series", number(c.series)],
    ["samples", number(c.samples_total)], ["targetsUp", number(c.targets_up)], ["targetsDown", number(c.targets_down)],
    ["runsRunning", number(c.runs_running)], ["memory", bytes(p.status.rss_bytes)],
  ];
  return <dl class="counts">{items.map(([k, v]) => <div key={k}><dt>{t(k)}</dt><dd>{v}</dd></div>)}</dl>;
}

export function IncidentList(p: { incidents: Incident[] }) {
  return (
    <ul class="incidents">{p.incidents.map((i) => (
      <li key={i.id}><a href={`#/incident/${encodeURIComponent(i.id)}`}>
        <SeverityBadge severity={i.severity} /> <strong>{i.title}</strong>
        <span class="meta"><StateBadge state={i.state} /> {i.id} · {time(i.started_at)}
          {!i.resolved_at && ` · ${since(i.started_at)}`} <Labels labels={i.subject} /></span>
      </a></li>))}</ul>
  );
}

function Anomalies() {
  const { value, error } = useLoad<Sample[]>(async (abort) =>
    (await queryInstant("topk(10, max_over_time(tocsin_anomaly_score[15m]) and max_over_time(tocsin_anomaly[15m]) == 1)", abort)).result as Sample[], [], 5000);
  if (!value) return <Wait error={error} />;
  if (!value.length) return <p class="muted">{t("noAnomalies")}</p>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t("anomalies")}><table>
      <thead><tr><th scope="col">{t("score")}</th><th scope="col">{t("labels")}</th></tr></thead>
      <tbody>{value.map((s, i) => <tr key={i}><td>{number(s.value[1])}</td><td><Labels labels={s.metric} /></td></tr>)}</tbody>
    </table></div>
  );
}

export function Now() {
  const status = useLoad<Status>((abort) => get("/status", abort), [], 2000, ["status", "incident", "alert"]);
  const incidents = useLoad<{ incidents: Incident[] }>((abort) => get("/incidents?state=open&limit=20", abort), [], 5000, ["incident"]);
  return (
    <>
      <h1>{t("now")}</h1>
      <div class="panel health" aria-live="polite">
        {status.value ? <>
          <p class={`health-${status.value.health}`}><strong>{tValue("health", status.value.health)}</strong></p>
          <ul>{status.value.problems.map((x) => <li key={x.kind + x.text}>{x.text} ({since(x.since)})</li>)}</ul>
          <Counts status={status.value} />
        </> : <Wait error={status.error} />}
      </div>
      <Panel title={t("openIncidents")}>
        {incidents.value ? incidents.value.incidents.length ? <IncidentList incidents={incidents.value.incidents} />
          : <p class="muted">{t("noIncidents")}</p> : <Wait error={incidents.error} />}
      </Panel>
      <Panel title={t("anomalies")}><Anomalies /></Panel>
      <Panel title={t("live")}><div class="charts">{CHARTS.map((c) => <Live key={c.title} chart={c} />)}</div></Panel>
    </>
  );
}
