// Explore: an expression as a chart or a table; the whole state is in the URL.
import { useEffect, useState } from "preact/hooks";
import { prometheusGet, queryInstant } from "../api";
import { Chart, type ChartData } from "../chart";
import { number, seriesName } from "../format";
import { useLoad } from "../hooks";
import { t } from "../i18n";
import { Wait } from "../parts";
import { go } from "../router";
import { load } from "../series";
import type { Sample } from "../types";

const RANGES: [string, number][] = [["1 min", 60], ["5 min", 300], ["15 min", 900], ["1 h", 3600], ["6 h", 21600], ["24 h", 86400], ["7 d", 604800]];
const EXAMPLE = 'rate(node_cpu_seconds_total{mode!="idle"}[1m])';
const HISTORY_MAX = 20;

function history(): string[] {
  try { return JSON.parse(localStorage.getItem("tocsin.history") ?? "[]"); } catch { return []; }
}

function remember(expr: string): void {
  const list = [expr, ...history().filter((x) => x !== expr)].slice(0, HISTORY_MAX);
  localStorage.setItem("tocsin.history", JSON.stringify(list));
}

function Graph(p: { expr: string; from: number; to: number | null }) {
  const windowS = p.from;
  const { value, error } = useLoad<ChartData>((abort) =>
    load(p.expr, windowS, Math.max(1, Math.ceil(windowS / 600)), abort, seriesName, p.to ?? Date.now() / 1000),
  [p.expr, p.from, p.to], p.to ? 0 : Math.max(1000, windowS * 5));
  if (!value || error) return <Wait error={error} />;
  if (!value.lines.length) return <p class="muted">{t("noData")}</p>;
  return <><p class="muted">{t("resultCount", { n: value.lines.length })}</p><Chart title={p.expr} data={value} height={320} /></>;
}

function Table(p: { expr: string }) {
  const { value, error } = useLoad((abort) => queryInstant(p.expr, abort), [p.expr], 5000);
  if (!value || error) return <Wait error={error} />;
  if (value.resultType === "scalar" || value.resultType === "string") return <p class="number">{String((value.result as [number, string])[1])}</p>;
  const rows = value.result as Sample[];
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t("table")}><table>
      <thead><tr><th scope="col">{t("series")}</th><th scope="col">{t("value")}</th></tr></thead>
      <tbody>{rows.slice(0, 1000).map((s, i) => <tr key={i}><td><code>{seriesName(s.metric)}</code></td>
        <td>{s.value ? number(s.value[1]) : ""}</td></tr>)}</tbody>
    </table></div>
  );
}

function useMetricNames(): string[] {
  const { value } = useLoad<string[]>(() => prometheusGet("label/__name__/values"), []);
  return value ?? [];
}

export function Explore(p: { query: URLSearchParams }) {
  const expr = p.query.get("expr") ?? "";
  const view = p.query.get("view") ?? "graph";
  const from = Number(p.query.get("from") ?? 0), to = Number(p.query.get("to") ?? 0);
  const windowS = to > from && from > 0 ? (to - from) / 1000 : Number(p.query.get("range") ?? 900);
  const [text, setText] = useState(expr);
  const names = useMetricNames();
  useEffect(() => setText(expr), [expr]);
  const show = (changes: Record<string, string>) => go("explore", { expr, view, range: String(windowS), ...changes });
  const isMatrix = /\]\s*(offset\s+\S+)?$/.test(expr);
  return (
    <>
      <h1>{t("explore")}</h1>
      <form class="query" onSubmit={(e) => { e.preventDefault(); remember(text); show({ expr: text }); }}>
        <label for="expr">{t("expression")}</label>
        <input id="expr" list="metrics" spellcheck={false} autocomplete="off" value={text} placeholder={EXAMPLE} onInput={(e) => setText(e.currentTarget.value)} />
        <datalist id="metrics">{[...history(), ...names].map((n) => <option key={n} value={n} />)}</datalist>
        <label>{t("range")} <select value={String(windowS)} onChange={(e) => show({ range: e.currentTarget.value })}>
          {!RANGES.some(([, s]) => s === windowS) && <option value={String(windowS)}>{Math.round(windowS)} s</option>}
          {RANGES.map(([name, s]) => <option key={s} value={String(s)}>{name}</option>)}</select></label>
        <button data-action="run">{t("run")}</button>
      </form>
      <div class="row" role="group" aria-label={t("explore")}>
        {(["graph", "table"] as const).map((v) => <button key={v} type="button" class="quiet" aria-pressed={view === v} onClick={() => show({ view: v })}>{t(v)}</button>)}
      </div>
      {!expr ? <p class="muted">{t("exploreHelp", { example: EXAMPLE })}</p>
        : view === "table" || isMatrix ? <Table expr={expr} /> : <Graph expr={expr} from={windowS} to={to ? to / 1000 : null} />}
    </>
  );
}
