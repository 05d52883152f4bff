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
export interface Detector {
  name: string; expr: string; method: string; state: string; built_in: boolean; interval_s: number; threshold: Num;
  features: { name: string; expr: string }[]; series: number; anomalies: number; last_error: string;
}
export interface Explanation {
  detector: string; from: string; to: string; anomaly: boolean; rows: number; enough_data: boolean;
  causes: { feature: string; expr: string; respect: "value" | "change" | "spread"; seen: Num; usual_lower: Num; usual_upper: Num; deviations: Num; at: string; since: string }[];
  similar: { from: string; to: string; distance: Num }[];
}
interface Level { threshold: Num; low: Num; high: Num; peaks: number }
export interface Trial { from: string; to: string; budget: number; result: { pages: number; alerts: number; firing_s?: number } }
export interface Suggestion {
  available: boolean; reason: string; level?: Level; for_s?: number; expr?: string; rule?: string; whole?: Trial; held_out?: Trial;
}
interface TrialEffect { alerts: number; pages: number; night_pages: number; firing_s: number }
export interface Review {
  id: string; state: "proposed" | "accepted" | "rejected"; rule: string; before: Num; after: Num; reason: string; history_s: number;
  effect_before: TrialEffect; effect_after: TrialEffect; proposed_by: string; proposed_at: string; decided_by: string; decided_at: string | null;
  comment: string; note: string; is_over_budget: boolean;
}
export interface LearnEffect {
  alerts: number; true_alerts: number; withheld: number; true_withheld: number; precision_before: Num; precision_after: Num; recall: Num;
}
export interface LearnScope {
  scope: string; mode: string; version: number; alerts: number; true: number; false: number; needed: number; withheld: number;
  versions: { version: number; mode: string; made_at: string; actor: string; foretold: LearnEffect; judged: number; judged_withheld: number }[];
}
interface Foretold { value: Num; low: Num; high: Num }
export interface LearnForecast { verdict: "shown" | "not_shown" | "threshold_better" | "uncertain" | "unknown"; withheld: Foretold; lift: Foretold; recall: Foretold; precision: Foretold }
export interface LearnPreview { scope: string; days: number; labels: number; effect: LearnEffect; forecast: LearnForecast; notes: string[] }
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
