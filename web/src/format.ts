import { language } from "./i18n";
import type { Num } from "./types";

export function toNumber(v: Num | string | undefined): number {
  if (v === null || v === undefined || v === "NaN") return NaN;
  if (v === "+Inf") return Infinity;
  if (v === "-Inf") return -Infinity;
  return Number(v);
}

const SI: [number, string][] = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

export function number(v: Num | string | undefined, unit = ""): string {
  if (v === null || v === undefined) return "–";
  const n = toNumber(v);
  if (Number.isNaN(n)) return "NaN";
  if (!Number.isFinite(n)) return n > 0 ? "+Inf" : "−Inf";
  if (unit === "bytes") return bytes(n);
  if (unit === "s") return seconds(n);
  if (unit === "ratio") return `${trim(n * 100)} %`;
  const magnitude = Math.abs(n);
  for (const [size, suffix] of SI) if (magnitude >= size * 10) return trim(n / size) + suffix;
  if (magnitude !== 0 && magnitude < 1e-3) return n.toExponential(2);
  return trim(n);
}

function trim(n: number): string { return String(Number(n.toPrecision(4))); }

export function bytes(n: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let i = 0;
  while (Math.abs(n) >= 1024 && i < units.length - 1) { n /= 1024; i++; }
  return `${trim(n)} ${units[i]}`;
}

export function seconds(s: number | null): string {
  if (s === null) return "–";
  if (Math.abs(s) < 1e-3) return `${trim(s * 1e6)} µs`;
  if (Math.abs(s) < 1) return `${trim(s * 1e3)} ms`;
  if (s < 60) return `${trim(s)} s`;
  const m = Math.floor(s / 60);
  if (m < 60) return `${m} min ${Math.round(s % 60)} s`;
  const h = Math.floor(m / 60);
  return h < 48 ? `${h} h ${m % 60} min` : `${Math.floor(h / 24)} d ${h % 24} h`;
}

export function time(at: string | null): string {
  if (!at) return "–";
  return new Date(at).toLocaleString(language.value === "zh" ? "zh-CN" : "en-GB", { hour12: false });
}

export function since(at: string | null): string {
  return at ? seconds(Math.max(0, Math.round((Date.now() - Date.parse(at)) / 1000))) : "–";
}

export function seriesName(labels: Record<string, string>): string {
  const { __name__: name = "", ...rest } = labels;
  const pairs = Object.entries(rest).map(([k, v]) => `${k}="${v}"`).join(", ");
  return pairs ? `${name}{${pairs}}` : name || "{}";
}
