// Detectors: what each finds now, and for one of its series the values in the expected band, the score, and why.
import { useState } from "preact/hooks";
import { get, queryInstant, queryRange } from "../api";
import { Chart, type ChartData } from "../chart";
import { number, seriesName, time, toNumber } from "../format";
import { useLoad } from "../hooks";
import { t } from "../i18n";
import { Labels, Panel, StateBadge, Wait } from "../parts";
import { go } from "../router";
import { align } from "../series";
import type { Detector, Explanation, Sample, Series } from "../types";

const RANGES: [string, number][] = [["15 min", 900], ["1 h", 3600], ["6 h", 21600], ["24 h", 86400]];
const POINTS = 400;

type LabelSet = Record<string, string>;

/** The labels of what a detector wrote without its own, which are those of the series that it judged. */
function ofSeries(labels: LabelSet): LabelSet {
  const { __name__: _, detector: __, feature: ___, ...rest } = labels;
  return rest;
}

function key(labels: LabelSet): string {
  return JSON.stringify(Object.entries(ofSeries(labels)).sort());
}

function selector(metric: string, detector: string): string {
  return `${metric}{detector=${JSON.stringify(detector)}}`;
}

function Row(p: { detector: Detector }) {
  const d = p.detector;
  return (
    <tr>
      <th scope="row"><a href={`#/detectors/${encodeURIComponent(d.name)}`}>{d.name}</a></th>
      <td>{d.method}</td>
      <td><StateBadge state={d.state} /> {d.last_error && <span class={d.state === "failing" ? "error" : "muted"}>{d.last_error}</span>}</td>
      <td>{d.series}</td>
      <td>{d.anomalies ? <strong class="error">{d.anomalies}</strong> : 0}</td>
    </tr>
  );
}

function List() {
  const { value, error } = useLoad<{ detectors: Detector[] }>((abort) => get("/detectors", abort), [], 5000);
  if (!value) return <><h1>{t("detectors")}</h1><Wait error={error} /></>;
  const sorted = [...value.detectors].sort((a, b) => b.anomalies - a.anomalies || b.series - a.series || a.name.localeCompare(b.name));
  return (
    <>
      <h1>{t("detectors")}</h1>
      <p class="muted">{t("detectorsHelp")}</p>
      <div class="scroll" tabIndex={0} role="region" aria-label={t("detectors")}><table>
        <thead><tr><th scope="col">{t("detector")}</th><th scope="col">{t("method")}</th><th scope="col">{t("state")}</th>
          <th scope="col">{t("series")}</th><th scope="col">{t("anomalous")}</th></tr></thead>
        <tbody>{sorted.map((d) => <Row key={d.name} detector={d} />)}</tbody>
      </table></div>
    </>
  );
}

/** The series of a query with the labels of the one that is shown. */
function only(result: Series[], wanted: string): Series[] {
  return result.filter((s) => key(s.metric) === wanted);
}

interface Charts { features: { title: string; data: ChartData }[]; score: ChartData }

async function loadCharts(d: Detector, wanted: string, windowS: number, abort: AbortSignal): Promise<Charts> {
  const step = Math.max(d.interval_s, Math.ceil(windowS / POINTS));
  const end = Math.floor(Date.now() / 1000 / step) * step, start = end - windowS;
  const ask = (expr: string) => queryRange(expr, start, end, step, abort);
  const [lower, upper, score, ...values] = await Promise.all([
    ask(selector("tocsin_expected_lower", d.name)), ask(selector("tocsin_expected_upper", d.name)),
    ask(selector("tocsin_anomaly_score", d.name)), ...d.features.map((f) => ask(f.expr))]);
  const features = d.features.map((f, i) => {
    const data = align(only(values[i], wanted), start, end, step, () => f.name || t("value"));
    const ofFeature = (r: Series[]) => only(r, wanted).filter((s) => !s.metric.feature || s.metric.feature === f.name);
    const [low] = align(ofFeature(lower), start, end, step).lines, [high] = align(ofFeature(upper), start, end, step).lines;
    if (low && high) data.band = { lower: low.values, upper: high.values };
    return { title: f.name ? `${f.name}: ${f.expr}` : f.expr, data };
  });
  const scores = align(only(score, wanted), start, end, step, () => t("score"));
  const threshold = toNumber(d.threshold);
  if (Number.isFinite(threshold)) scores.thresholds = [{ value: threshold, label: `${t("threshold")} ${number(d.threshold)}` }];
  return { features, score: scores };
}

function Why(p: { detector: string; labels: LabelSet }) {
  const query = `labels=${encodeURIComponent(JSON.stringify(p.labels))}`;
  const { value: e, error } = useLoad<Explanation>((abort) =>
    get(`/detectors/${encodeURIComponent(p.detector)}/explanation?${query}`, abort), [p.detector, query], 5000);
  if (!e) return <Wait error={error} />;
  if (!e.enough_data) return <p class="muted">{t("notEnoughData", { n: e.rows })}</p>;
  return (
    <>
      <p role="status">{e.anomaly ? t("anomalousSince", { at: time(e.from) }) : t("usualNow")}</p>
      {!e.causes.length && <p class="muted">{t("noCause")}</p>}
      <ul>{e.causes.map((c) => (
        <li key={c.feature + c.respect}><strong>{c.feature || t("value")}</strong> {t(`respect_${c.respect}`, { seen: number(c.seen) })} · {t("usual")} {number(c.usual_lower)} … {number(c.usual_upper)}
          {" · "}{t("deviations", { n: number(Math.abs(toNumber(c.deviations))) })} · {t("sinceWhen")} {time(c.since)}</li>))}</ul>
      {e.similar.length > 0 && <><h3>{t("similarWindows")}</h3><ul>{e.similar.map((s) => {
        const expr = e.causes[0]?.expr ?? "", from = Date.parse(s.from), to = Date.parse(s.to), margin = 4 * (to - from);
        const href = `#/explore?${new URLSearchParams({ expr, from: String(from - margin), to: String(to + margin) })}`;
        return <li key={s.from}><a href={href}>{time(s.from)}</a> <span class="muted">{t("distance", { n: number(s.distance) })}</span></li>;
      })}</ul></>}
    </>
  );
}

function SeriesView(p: { detector: Detector; labels: LabelSet; windowS: number }) {
  const wanted = key(p.labels);
  const { value, error } = useLoad<Charts>((abort) => loadCharts(p.detector, wanted, p.windowS, abort),
    [p.detector.name, wanted, p.windowS], 5000);
  return (
    <>
      <Panel title={t("why")}><Why detector={p.detector.name} labels={p.labels} /></Panel>
      <Panel title={t("valuesAndBand")}>{!value ? <Wait error={error} /> : <>
        {value.features.map((f) => f.data.lines.length
          ? <Chart key={f.title} title={f.title} data={f.data} height={200} /> : <p key={f.title} class="muted">{f.title}: {t("noData")}</p>)}
        {value.score.lines.length ? <Chart title={t("score")} data={value.score} height={120} /> : null}</>}</Panel>
    </>
  );
}

function One(p: { name: string; query: URLSearchParams }) {
  const { value: list, error } = useLoad<{ detectors: Detector[] }>((abort) => get("/detectors", abort), [p.name], 15000);
  const { value: found } = useLoad((abort) => queryInstant(selector("tocsin_anomaly_score", p.name), abort), [p.name], 10000);
  const [windowS, setWindow] = useState(900);
  const d = list?.detectors.find((x) => x.name === p.name);
  if (!d) return <><h1>{p.name}</h1>{list ? <p>{t("notFound")}</p> : <Wait error={error} />}</>;
  const samples = ((found?.resultType === "vector" ? found.result : []) as Sample[])
    .sort((a, b) => toNumber(b.value[1]) - toNumber(a.value[1])).slice(0, 100);
  const chosen = samples.find((s) => key(s.metric) === p.query.get("series")) ?? samples[0];
  return (
    <>
      <h1>{d.name}</h1>
      <p class="meta"><a href="#/detectors">{t("detectors")}</a> · {d.method} · <StateBadge state={d.state} /> {d.last_error}</p>
      {chosen && <div class="row">
        <label>{t("series")} <select name="series" value={key(chosen.metric)} onChange={(e) => go(`detectors/${encodeURIComponent(d.name)}`, { series: e.currentTarget.value })}>
          {samples.map((s) => <option key={key(s.metric)} value={key(s.metric)}>{seriesName(ofSeries(s.metric))} ({t("score")} {number(s.value[1])})</option>)}</select></label>
        <label>{t("range")} <select name="range" value={String(windowS)} onChange={(e) => setWindow(Number(e.currentTarget.value))}>
          {RANGES.map(([name, s]) => <option key={s} value={String(s)}>{name}</option>)}</select></label>
      </div>}
      {chosen ? <><p><Labels labels={ofSeries(chosen.metric)} /></p><SeriesView detector={d} labels={ofSeries(chosen.metric)} windowS={windowS} /></>
        : <p class="muted">{t(d.series ? "loading" : "noSeriesYet")}</p>}
    </>
  );
}

export function Detectors(p: { name: string; query: URLSearchParams }) {
  return p.name ? <One key={p.name} name={p.name} query={p.query} /> : <List />;
}
