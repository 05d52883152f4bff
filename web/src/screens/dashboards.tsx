// Dashboards of rule packs: a few charts for each pack that is awake; the pack and the range are in the URL.
import { get } from "../api";
import { Chart, type ChartData } from "../chart";
import { seriesName } from "../format";
import { useLoad } from "../hooks";
import { language, t } from "../i18n";
import { Wait } from "../parts";
import { go } from "../router";
import { load } from "../series";

type Title = { en: string; zh: string };
interface DashboardName { name: string; title: Title; charts: number }
interface DashboardChart { title: Title; expr: string; unit: string; legend: string; threshold: number | null }
interface Dashboard { name: string; title: Title; charts: DashboardChart[] }

const RANGES: [string, number][] = [["15 min", 900], ["1 h", 3600], ["6 h", 21600], ["24 h", 86400], ["7 d", 604800]];
const POINTS = 240;

/** "{{instance}} GPU {{gpu}}" with the labels of a series; its usual name when that says nothing. */
export function legendOf(template: string, labels: Record<string, string>): string {
  const text = template.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name: string) => labels[name] ?? "").replace(/\s+/g, " ").trim();
  return text || seriesName(labels);
}

function PackChart(p: { chart: DashboardChart; windowS: number }) {
  const c = p.chart, stepS = Math.max(1, Math.ceil(p.windowS / POINTS));
  const { value, error } = useLoad<ChartData>((abort) => load(c.expr, p.windowS, stepS, abort, (l) => legendOf(c.legend, l)),
    [c.expr, p.windowS], Math.max(5000, stepS * 1000));
  const title = c.title[language.value];
  if (!value) return <figure class="chart"><figcaption>{title}</figcaption><Wait error={error} /></figure>;
  if (!value.lines.length) return <figure class="chart"><figcaption>{title}</figcaption><p class="muted">{t("noData")}</p></figure>;
  const data = c.threshold === null ? value : { ...value, thresholds: [{ value: c.threshold, label: t("threshold") }] };
  return <Chart title={title} data={data} unit={c.unit} />;
}

function Charts(p: { name: string; windowS: number }) {
  const { value, error } = useLoad<Dashboard>((abort) => get(`/dashboards/${encodeURIComponent(p.name)}`, abort), [p.name]);
  if (!value) return <Wait error={error} />;
  return <div class="charts" data-dashboard={p.name}>{value.charts.map((c) => <PackChart key={p.name + c.expr} chart={c} windowS={p.windowS} />)}</div>;
}

export function Dashboards(p: { query: URLSearchParams }) {
  const { value, error } = useLoad<{ dashboards: DashboardName[] }>((abort) => get("/dashboards", abort), [], 30000);
  const names = value?.dashboards ?? [];
  const chosen = names.find((d) => d.name === p.query.get("pack")) ?? names[0];
  const windowS = Number(p.query.get("range") ?? 3600) || 3600;
  const show = (pack: string, range: number) => go("dashboards", { pack, range: String(range) });
  return (
    <>
      <h1>{t("dashboards")}</h1>
      {!value ? <Wait error={error} /> : !chosen ? <p class="muted">{t("noDashboards")}</p> : <>
        <div class="row">
          <label>{t("pack")} <select name="pack" value={chosen.name} onChange={(e) => show(e.currentTarget.value, windowS)}>
            {names.map((d) => <option key={d.name} value={d.name}>{d.title[language.value]}</option>)}</select></label>
          <label>{t("range")} <select name="range" value={String(windowS)} onChange={(e) => show(chosen.name, Number(e.currentTarget.value))}>
            {!RANGES.some(([, s]) => s === windowS) && <option value={String(windowS)}>{windowS} s</option>}
            {RANGES.map(([name, s]) => <option key={s} value={String(s)}>{name}</option>)}</select></label>
        </div>
        <Charts key={chosen.name} name={chosen.name} windowS={windowS} />
      </>}
    </>
  );
}
