// Small pieces that several screens share.
import type { ComponentChildren } from "preact";
import { t, tValue } from "./i18n";
import type { Severity } from "./types";

const SHAPES: Record<Severity, string> = { critical: "▲", warning: "◆", info: "●" };

/** Severity by shape and text as well as colour. */
export function SeverityBadge(p: { severity: Severity }) {
  return <span class={`badge severity-${p.severity}`}><span aria-hidden="true">{SHAPES[p.severity] ?? "●"}</span> {tValue("severity", p.severity)}</span>;
}

export function StateBadge(p: { state: string }) {
  return <span class={`badge state state-${p.state}`}>{tValue("state", p.state)}</span>;
}

export function Labels(p: { labels: Record<string, string> }) {
  return <span class="labels">{Object.entries(p.labels).filter(([k]) => k !== "__name__").map(([k, v]) =>
    <code key={k}>{k}={v}</code>)}</span>;
}

export function Panel(p: { title: string; children: ComponentChildren; id?: string }) {
  return <section class="panel" id={p.id} aria-label={p.title}><h2>{p.title}</h2>{p.children}</section>;
}

export function Wait(p: { error: string | null }) {
  return p.error ? <p class="error" role="alert">{p.error}</p> : <p class="muted">{t("loading")}</p>;
}

/** Only http(s) and own paths become links: what comes from outside may hold anything. */
export function SafeLink(p: { href: string; children: ComponentChildren }) {
  const isSafe = /^https?:\/\//.test(p.href) || /^\/(?!\/)/.test(p.href);
  return isSafe ? <a href={p.href} rel="noreferrer">{p.children}</a> : <span>{p.children}</span>;
}
