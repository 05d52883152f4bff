// Thresholds: a suggestion from history and a budget with its back-test, proposed as a change, decided by somebody.
import { useState } from "preact/hooks";
import { get, post, prometheusGet } from "../api";
import { number, seconds, time, toNumber } from "../format";
import { useLoad } from "../hooks";
import { t, tValue } from "../i18n";
import { Panel, Wait } from "../parts";
import type { Num, Review, Suggestion, Trial } from "../types";

const DAY_S = 86400;
const PERIODS: [string, number][] = [["perDay", DAY_S], ["perWeek", 7 * DAY_S], ["perMonth", 30 * DAY_S]];

interface RuleGroups { groups: { rules: { type: string; name: string; query: string }[] }[] }

function useRules(): { name: string; query: string }[] {
  const { value } = useLoad<RuleGroups>(() => prometheusGet("rules?type=alert"), []);
  const all = (value?.groups ?? []).flatMap((g) => g.rules).filter((r) => /[<>]=?\s*-?[\d.]/.test(r.query));
  return all.filter((r, i) => all.findIndex((x) => x.name === r.name) === i).sort((a, b) => a.name.localeCompare(b.name));
}

function TrialRow(p: { name: string; trial: Trial }) {
  const { trial } = p;
  return <tr><th scope="row">{p.name}</th><td>{time(trial.from)} – {time(trial.to)}</td><td>{trial.result.pages}</td>
    <td>{number(trial.budget)}</td><td>{trial.result.alerts}</td><td>{seconds(trial.result.firing_s ?? null)}</td></tr>;
}

function Found(p: { suggestion: Suggestion; rule: string; onPropose: (threshold: number) => void }) {
  const s = p.suggestion;
  if (!s.available) return <p role="status">{t("noSuggestion")}: {s.reason}</p>;
  return (
    <div role="status">
      <p><code>{s.expr}</code></p>
      <p>{t("threshold")} <strong>{number(s.level!.threshold)}</strong> (95 %: {number(s.level!.low)} … {number(s.level!.high)}){s.for_s ? ` · for ${seconds(s.for_s)}` : ""} · {s.reason}</p>
      <div class="scroll" tabIndex={0} role="region" aria-label={t("backtest")}><table class="effect">
        <caption>{t("backtest")}</caption>
        <thead><tr><th scope="col" /><th scope="col">{t("range")}</th><th scope="col">{t("pages")}</th><th scope="col">{t("budget")}</th><th scope="col">{t("alertsCount")}</th><th scope="col">{t("firingTime")}</th></tr></thead>
        <tbody>{s.held_out && <TrialRow name={t("heldOut")} trial={s.held_out} />}<TrialRow name={t("allHistory")} trial={s.whole!} /></tbody>
      </table></div>
      {p.rule && <button type="button" data-action="propose" onClick={() => p.onPropose(Number(toNumber(s.level!.threshold).toPrecision(4)))}>{t("proposeChange")}</button>}
    </div>
  );
}

function Suggest(p: { onProposed: () => void }) {
  const rules = useRules();
  const [rule, setRule] = useState("");
  const [count, setCount] = useState(1);
  const [period, setPeriod] = useState(7 * DAY_S);
  const [days, setDays] = useState(30);
  const [found, setFound] = useState<Suggestion | null>(null);
  const [busy, setBusy] = useState(false);
  const [message, setMessage] = useState("");
  const run = (work: () => Promise<void>) => {
    setBusy(true);
    setMessage("");
    work().catch((e: Error) => setMessage(e.message)).finally(() => setBusy(false));
  };
  const budget = { budget_count: count, budget_period_s: period, history_s: days * DAY_S };
  const suggest = () => run(async () => setFound(await post<Suggestion>("/threshold-suggestions", { rule, static: true, ...budget })));
  const propose = (threshold: number) => run(async () => {
    await post("/threshold-reviews", { rule, threshold, reason: found?.reason ?? "", ...budget });
    setFound(null);
    p.onProposed();
  });
  return (
    <Panel title={t("suggestThreshold")}>
      <form class="row" onSubmit={(e) => { e.preventDefault(); suggest(); }}>
        <label>{t("rule")} <select name="rule" required value={rule} onChange={(e) => { setRule(e.currentTarget.value); setFound(null); }}>
          <option value="">–</option>{rules.map((r) => <option key={r.name} value={r.name}>{r.name}</option>)}</select></label>
        <label>{t("atMost")} <input name="count" type="number" min={1} max={1000} required value={count} onInput={(e) => setCount(Number(e.currentTarget.value))} /></label>
        <label>{t("pages")} <select name="period" value={String(period)} onChange={(e) => setPeriod(Number(e.currentTarget.value))}>
          {PERIODS.map(([name, s]) => <option key={s} value={String(s)}>{tValue("budget", name)}</option>)}</select></label>
        <label>{t("daysOfHistory")} <input name="days" type="number" min={1} max={365} required value={days} onInput={(e) => setDays(Number(e.currentTarget.value))} /></label>
        <button data-action="suggest" disabled={busy}>{t(busy ? "loading" : "suggest")}</button>
      </form>
      {rule && <p class="muted"><code>{rules.find((r) => r.name === rule)?.query}</code></p>}
      {message && <p class="error" role="alert">{message}</p>}
      {found && <Found suggestion={found} rule={rule} onPropose={propose} />}
    </Panel>
  );
}

function Diff(p: { review: Review }) {
  const r = p.review;
  const row = (sign: string, kind: string, name: string, threshold: Num, e: Review["effect_before"]) =>
    <tr class={`diff-${kind}`}><th scope="row">{sign} {name}</th><td>{number(threshold)}</td><td>{e.pages}</td><td>{e.night_pages}</td><td>{e.alerts}</td><td>{seconds(e.firing_s)}</td></tr>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={`${t("change")} ${r.id}`}><table class="effect">
      <caption>{t("proposalEffect")} ({seconds(r.history_s)})</caption>
      <thead><tr><th scope="col" /><th scope="col">{t("threshold")}</th><th scope="col">{t("pages")}</th><th scope="col">{t("nightPages")}</th><th scope="col">{t("alertsCount")}</th><th scope="col">{t("firingTime")}</th></tr></thead>
      <tbody>{row("−", "old", t("currentValue"), r.before, r.effect_before)}{row("+", "new", t("proposedValue"), r.after, r.effect_after)}</tbody>
    </table></div>
  );
}

function ReviewPanel(p: { review: Review; reload: () => void }) {
  const r = p.review;
  const [comment, setComment] = useState("");
  const [message, setMessage] = useState("");
  const decide = (what: "accept" | "reject") => post(`/threshold-reviews/${r.id}/${what}`, { comment })
    .then(p.reload).catch((e: Error) => setMessage(e.message));
  return (
    <Panel title={`${r.id} · ${r.rule}`} id={r.id}>
      <p class="meta">{t(`review_${r.state}`)} · {t("createdBy")} {r.proposed_by} {time(r.proposed_at)}{r.decided_by && ` → ${r.decided_by} ${time(r.decided_at)}`}</p>
      {r.reason && <p>{r.reason}</p>}
      <Diff review={r} />
      {r.comment && <p class="muted">{r.comment}</p>}
      {r.note && <p class={r.is_over_budget ? "error" : "muted"}>{r.note}</p>}
      {r.state === "proposed" && <div class="row">
        <label>{t("comment")} <input name="decision" maxLength={1000} value={comment} onInput={(e) => setComment(e.currentTarget.value)} /></label>
        <button type="button" data-action="accept" onClick={() => decide("accept")}>{t("accept")}</button>
        <button type="button" class="quiet" data-action="reject" onClick={() => decide("reject")}>{t("reject")}</button>
      </div>}
      {message && <p class="error" role="alert">{message}</p>}
    </Panel>
  );
}

export function Thresholds() {
  const { value, error, reload } = useLoad<{ reviews: Review[] }>((abort) => get("/threshold-reviews", abort), [], 10000);
  const newest = [...(value?.reviews ?? [])].reverse().slice(0, 50);
  return (
    <>
      <h1>{t("thresholds")}</h1>
      <p class="muted">{t("thresholdsHelp")}</p>
      <Suggest onProposed={reload} />
      <h2>{t("changes")}</h2>
      {!value ? <Wait error={error} /> : !newest.length && <p class="muted">{t("noChanges")}</p>}
      {newest.map((r) => <ReviewPanel key={r.id + r.state} review={r} reload={reload} />)}
    </>
  );
}
