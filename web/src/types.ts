// The JSON shapes of docs/design/api.md.
export type Num = number | "NaN" | "+Inf" | "-Inf" | null;
export type Severity = "critical" | "warning" | "info";

export interface TimelineEntry { at: string; actor: string; type: string; text: string }
export interface Evidence {
  title: string; expr: string; value: Num; threshold: Num;
  expected: { lower: Num; upper: Num } | null; unit: string; chart_url: string;
}
export interface Incident {
  id: string; kind: string; severity: Severity; state: string; subject: Record<string, string>;
  title: string; summary: string; started_at: string | null; detected_at: string | null;
  notified_at: string | null; acknowledged_at: string | null; resolved_at: string | null;
  step: number | null; assignee: string | null; evidence: Evidence[];
  causes: { text: string; confidence: number; evidence: string }[];
  action: string; runbook_url: string; verdict: string | null; duplicate_of: string | null;
  cascades: { kind: string; title: string; subject: Record<string, string>; started_at: string; count: number }[];
  rule: string | null;
  durations: { detect_s: number | null; notify_s: number | null; acknowledge_s: number | null; resolve_s: number | null };
  timeline?: TimelineEntry[];
}
export interface Proposal {
  available: boolean; reason: string; rule: string; expr: string; comparison: string;
  current_threshold: Num; proposed_threshold: Num; method: string; history_s: number; samples: number;
  effect: {
    current: { alerts: number; firing_s: number }; proposed: { alerts: number; firing_s: number };
    buckets: { at: string; max: Num }[];
  };
}
export interface Status {
  version: string; started_at: string; now: string; health: "ok" | "degraded" | "failing";
  problems: { kind: string; text: string; since: string }[];
  counts: Record<string, number>; rss_bytes: number;
}
export interface Run {
  run: string; state: string; step: number; loss: Num; grad_norm: Num; step_seconds: Num;
  tokens_per_second: Num; memory_bytes: Num; learning_rate: Num; last_step_at: string | null;
  started_at: string | null; labels: Record<string, string>;
}
export interface PromAlert {
  labels: Record<string, string>; annotations: Record<string, string>; state: string; activeAt: string; value: string;
}
export interface Delivery {
  id: number | string; incident_id: string; receiver: string; channel: string; state: string; subject: string;
  attempts: { at: string; ok: boolean; detail: string }[]; created_at: string; delivered_at: string | null;
}
export interface Silence {
  id: string; status: { state: string }; matchers: { name: string; value: string; isRegex: boolean; isEqual?: boolean }[];
  startsAt: string; endsAt: string; createdBy: string; comment: string;
}
export interface Series { metric: Record<string, string>; values: [number, string][] }
export interface Sample { metric: Record<string, string>; value: [number, string] }
