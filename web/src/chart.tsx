// One time-series chart: uPlot with threshold line, expected band, and the same data as a table.
import uPlot from "uplot";
import { useEffect, useRef } from "preact/hooks";
import { number } from "./format";
import { t } from "./i18n";
import { colour, theme } from "./theme";

export interface Line { name: string; values: (number | null)[] }
export interface ChartData {
  times: number[]; // seconds
  lines: Line[];
  band?: { lower: (number | null)[]; upper: (number | null)[] };
  thresholds?: { value: number; label: string }[];
}

const PALETTE = ["series-1", "series-2", "series-3", "series-4", "series-5", "series-6"];
const TABLE_ROWS = 20;

function thresholdPlugin(thresholds: { value: number; label: string }[]): uPlot.Plugin {
  return {
    hooks: {
      draw: (u) => {
        const { ctx, bbox } = u;
        ctx.save();
        ctx.strokeStyle = ctx.fillStyle = colour("critical");
        ctx.setLineDash([6, 4]);
        ctx.textAlign = "left"; // uPlot leaves that of the axis drawn last
        for (const { value, label } of thresholds) {
          const y = u.valToPos(value, "y", true);
          if (!(y >= bbox.top && y <= bbox.top + bbox.height)) continue;
          ctx.beginPath();
          ctx.moveTo(bbox.left, y);
          ctx.lineTo(bbox.left + bbox.width, y);
          ctx.stroke();
          ctx.fillText(label, bbox.left + 4, y - 4);
        }
        ctx.restore();
      },
    },
  };
}

function scaleRange(data: ChartData): uPlot.Range.Function {
  const limits = (data.thresholds ?? []).map((x) => x.value).filter(Number.isFinite);
  return (_u, low, high) => {
    let [min, max] = [Math.min(low ?? 0, ...limits), Math.max(high ?? 1, ...limits)];
    if (min === max) [min, max] = [min - 1, max + 1];
    const pad = (max - min) * 0.08;
    return [min >= 0 && min - pad < 0 ? 0 : min - pad, max + pad];
  };
}

function options(data: ChartData, width: number, height: number, unit: string): uPlot.Options {
  const axis = { stroke: colour("muted"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line") } };
  const series: uPlot.Series[] = [{}];
  const bands: uPlot.Band[] = [];
  data.lines.forEach((l, i) => series.push({
    label: l.name, stroke: colour(PALETTE[i % PALETTE.length]), width: 1.5, points: { show: false }, spanGaps: false }));
  if (data.band) {
    const first = series.length;
    series.push({ label: "upper", stroke: colour("band"), width: 1, points: { show: false } },
      { label: "lower", stroke: colour("band"), width: 1, points: { show: false } });
    bands.push({ series: [first, first + 1], fill: colour("band-fill") });
  }
  return {
    width, height, series, bands,
    legend: { show: false },
    cursor: { y: false },
    scales: { y: { range: scaleRange(data) } },
    axes: [axis, { ...axis, size: 64, values: (_u, ticks) => ticks.map((v) => number(v, unit)) }],
    plugins: data.thresholds?.length ? [thresholdPlugin(data.thresholds)] : [],
  };
}

function columns(data: ChartData): uPlot.AlignedData {
  const all = [data.times, ...data.lines.map((l) => l.values)];
  if (data.band) all.push(data.band.upper as number[], data.band.lower as number[]);
  return all as uPlot.AlignedData;
}

export function Chart(p: { title: string; data: ChartData; unit?: string; height?: number }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const unit = p.unit ?? "";
  const shape = JSON.stringify([p.data.lines.map((l) => l.name), !!p.data.band, p.data.thresholds, theme.value, unit]);
  useEffect(() => {
    const element = box.current!;
    plot.current = new uPlot(options(p.data, element.clientWidth || 320, p.height ?? 160, unit), columns(p.data), element);
    const resize = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: p.height ?? 160 }));
    resize.observe(element);
    return () => { resize.disconnect(); plot.current?.destroy(); plot.current = null; };
  }, [shape]);
  useEffect(() => { plot.current?.setData(columns(p.data)); }, [p.data]);
  const last = p.data.lines.map((l) => `${l.name}: ${number(l.values.findLast((v) => v !== null) ?? undefined, unit)}`).join("; ");
  return (
    <figure class="chart">
      <figcaption>{p.title}</figcaption>
      <div ref={box} role="img" aria-label={`${p.title}. ${p.data.times.length ? last : t("noData")}`} />
      {p.data.lines.length > 1 && (
        <ul class="legend">{p.data.lines.slice(0, 12).map((l, i) => (
          <li key={l.name}><span class={`swatch swatch-${i % PALETTE.length}`} />{l.name}</li>))}</ul>)}
      <DataTable data={p.data} unit={unit} />
    </figure>
  );
}

function DataTable(p: { data: ChartData; unit: string }) {
  const from = Math.max(0, p.data.times.length - TABLE_ROWS);
  return (
    <details class="data">
      <summary>{t("asTable")}</summary>
      <div class="scroll" tabIndex={0} role="region" aria-label={t("asTable")}>
        <table>
          <thead><tr><th scope="col">t</th>{p.data.lines.map((l) => <th scope="col" key={l.name}>{l.name}</th>)}</tr></thead>
          <tbody>{p.data.times.slice(from).map((time, i) => (
            <tr key={time}><th scope="row">{new Date(time * 1000).toLocaleTimeString()}</th>
              {p.data.lines.map((l) => <td key={l.name}>{number(l.values[from + i] ?? undefined, p.unit)}</td>)}</tr>))}</tbody>
        </table>
      </div>
    </details>
  );
}
