// From query results to chart columns.
import { queryRange } from "./api";
import type { ChartData, Line } from "./chart";
import { seriesName, toNumber } from "./format";
import type { Series } from "./types";

const LINES_MAX = 30;

export function align(result: Series[], startS: number, endS: number, stepS: number, name = seriesName): ChartData {
  const times: number[] = [];
  for (let at = startS; at <= endS + 1e-9; at += stepS) times.push(at);
  const lines: Line[] = result.slice(0, LINES_MAX).map((s) => {
    const values: (number | null)[] = new Array(times.length).fill(null);
    for (const [at, text] of s.values) {
      const i = Math.round((at - startS) / stepS);
      const value = toNumber(text);
      // A canvas cannot draw what is not finite: a gap shows it, the table and the value say it.
      if (i >= 0 && i < values.length) values[i] = Number.isFinite(value) ? value : null;
    }
    return { name: name(s.metric), values };
  });
  return { times, lines };
}

export async function load(expr: string, windowS: number, stepS: number, abort?: AbortSignal,
  name: (labels: Record<string, string>) => string = seriesName, endS = Date.now() / 1000): Promise<ChartData> {
  const end = Math.floor(endS / stepS) * stepS;
  const start = end - windowS;
  return align(await queryRange(expr, start, end, stepS, abort), start, end, stepS, name);
}
