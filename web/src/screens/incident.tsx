// One incident: what is wrong, the evidence, what was done, and the buttons to handle it.
import { useState } from "preact/hooks";
import { get, getText, post } from "../api";
import { Chart, type ChartData } from "../chart";
import { number, seconds, since, time, toNumber } from "../format";
import { useLoad } from "../hooks";
import { t, tValue, type Key } from "../i18n";
import { Labels, Panel, SafeLink, SeverityBadge, StateBadge, Wait } from "../parts";
import { load } from "../series";
import type { Delivery, Evidence, Incident as IncidentData, Num } from "../types";
import { ProposalPanel } from "./proposal";

const BEFORE_S = 300;
const AFTER_S = 120;

function flat(times: number[], v: Num | undefined): (number | null)[] {
  const n = toNumber(v ?? "NaN");
  return times.map(() => (Number.isFinite(n) ? n : null));
}

function EvidenceChart(p: { evidence: Evidence; incident: IncidentData }) {
  const { evidence: e, incident: i } = p;
  const begin = Date.parse(i.started_at ?? i.detected_at ?? new Date().toISOString()) / 1000;
  const { value, error } = useLoad<ChartData>(async (abort) => {
    const end = i.resolved_at ? Date.parse(i.resolved_at) / 1000 + AFTER_S : Date.now() / 1000;
    const windowS = Math.max(60, end - begin + BEFORE_S);
    const step = Math.max(1, Math.ceil(windowS / 600));
    const data = await load(e.expr, windowS, step, abort, undefined, Math.min(end, Date.now() / 1000));
    const threshold = toNumber(e.threshold);
    if (Number.isFinite(threshold)) data.thresholds = [{ value: threshold, label: `${t("threshold")} ${number(e.threshold, e.unit)}` }];
    if (e.expected) data.band = { lower: flat(data.times, e.expected.lower), upper: flat(data.times, e.expected.upper) };
    return data;
  }, [e.expr, i.id, i.resolved_at], i.resolved_at ? 0 : 2000);
  return (
    <div class="evidence">
      <p><strong>{e.title}</strong> · {t("value")} <b>{number(e.value, e.unit)}</b>
        {e.threshold !== null && <> · {t("threshold")} {number(e.threshold, e.unit)}</>}
        {e.expected && <> · {t("expected")} {number(e.expected.lower, e.unit)} … {number(e.expected.upper, e.unit)}</>}
        {" · "}<SafeLink href={e.chart_url}>{t("openInExplore")}</SafeLink></p>
      {value ? value.lines.length ? <Chart title={e.expr} data={value} unit={e.unit} height={200} /> : <p class="muted">{t("noData")}</p> : <Wait error={error} />}
    </div>
  );
}

function useAction(id: string, reload: () => void) {
  const [message, setMessage] = useState<{ text: string; bad: boolean } | null>(null);
  const act = (path: string, body: unknown = {}) =>
    post(`/incidents/${encodeURIComponent(id)}/${path}`, body)
      .then(() => { setMessage({ text: t("done"), bad: false }); reload(); })
      .catch((e: Error) => setMessage({ text: e.message, bad: true }));
  return { act, message };
}

function Actions(p: { incident: IncidentData; reload: () => void }) {
  const { act, message } = useAction(p.incident.id, p.reload);
  const [comment, setComment] = useState("");
  const [assignee, setAssignee] = useState("");
  const [verdict, setVerdict] = useState("true");
  const [duplicateOf, setDuplicateOf] = useState("");
  const simple: [Key, string][] = [["acknowledge", "acknowledge"], ["mitigate", "mitigate"], ["resolve", "resolve"], ["review", "review"]];
  return (
    <Panel title={t("actions")}>
      <div class="row">{simple.map(([label, path]) =>
        <button key={path} type="button" data-action={path} onClick={() => act(path)}>{t(label)}</button>)}</div>
      <form class="row" onSubmit={(e) => { e.preventDefault(); act("comment", { text: comment }).then(() => setComment("")); }}>
        <label>{t("comment")} <input name="comment" required maxLength={4000} value={comment} onInput={(e) => setComment(e.currentTarget.value)} /></label>
        <button data-action="comment">{t("addComment")}</button>
      </form>
      <form class="row" onSubmit={(e) => { e.preventDefault(); act("assign", { assignee }); }}>
        <label>{t("assignTo")} <input name="assignee" required maxLength={128} value={assignee} onInput={(e) => setAssignee(e.currentTarget.value)} /></label>
        <button data-action="assign">{t("assign")}</button>
      </form>
      <form class="row" onSubmit={(e) => { e.preventDefault(); act("verdict", verdict === "duplicate" ? { verdict, duplicate_of: duplicateOf } : { verdict }); }}>
        <label>{t("verdict")} <select name="verdict" value={verdict} onChange={(e) => setVerdict(e.currentTarget.value)}>
          {["true", "false", "expected", "duplicate"].map((v) => <option key={v} value={v}>{tValue("verdict", v)}</option>)}</select></label>
        {verdict === "duplicate" && <label>{t("duplicateOf")} <input required value={duplicateOf} onInput={(e) => setDuplicateOf(e.currentTarget.value)} /></label>}
        <button data-action="verdict">{t("giveVerdict")}</button>
      </form>
      <p role="status" class={message?.bad ? "error" : "muted"}>{message?.text}</p>
    </Panel>
  );
}

function Durations(p: { incident: IncidentData }) {
  const d = p.incident.durations;
  const rows: [Key, number | null][] = [["detect", d.detect_s], ["notify", d.notify_s], ["acknowledgeTime", d.acknowledge_s], ["resolveTime", d.resolve_s]];
  return <dl class="counts">{rows.map(([k, v]) => <div key={k}><dt>{t(k)}</dt><dd>{seconds(v)}</dd></div>)}</dl>;
}

function Deliveries(p: { id: string }) {
  const { value, error } = useLoad<{ deliveries: Delivery[] }>((abort) => get(`/deliveries?incident=${encodeURIComponent(p.id)}`, abort), [p.id], 5000);
  if (!value) return <Wait error={error} />;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t("deliveries")}><table>
      <thead><tr><th scope="col">{t("receiver")}</th><th scope="col">{t("channel")}</th><th scope="col">{t("state")}</th><th scope="col">{t("attempts")}</th></tr></thead>
      <tbody>{value.deliveries.map((d) => <tr key={d.id}><td>{d.receiver}</td><td>{d.channel}</td><td>{tValue("delivery", d.state)}</td>
        <td>{d.attempts.map((a) => <div key={a.at}>{time(a.at)} {a.ok ? "✓" : "✗"} {a.detail}</div>)}</td></tr>)}</tbody>
    </table></div>
  );
}

function Summary(p: { id: string }) {
  const [text, setText] = useState<string | null>(null);
  return (
    <Panel title={t("summary")}>
      <button type="button" data-action="summary" onClick={() => getText(`/incidents/${encodeURIComponent(p.id)}/summary`).then(setText)}>{t("showSummary")}</button>
      {text !== null && <pre class="summary" tabIndex={0}>{text}</pre>}
    </Panel>
  );
}

export function Incident(p: { id: string }) {
  const { value: i, error, reload } = useLoad<IncidentData>((abort) => get(`/incidents/${encodeURIComponent(p.id)}`, abort), [p.id], 5000, ["incident"]);
  if (!i) return <Wait error={error} />;
  return (
    <>
      <h1><SeverityBadge severity={i.severity} /> {i.title}</h1>
      <p class="meta"><StateBadge state={i.state} /> {i.id} · {i.kind} · {t("started")} {time(i.started_at)}
        {!i.resolved_at && ` · ${t("since")} ${since(i.started_at)}`}{i.step !== null && ` · ${t("step")} ${i.step}`}
        {" · "}{t("assignee")} {i.assignee ?? t("nobody")}{i.verdict && ` · ${t("verdict")}: ${tValue("verdict", i.verdict)}`}</p>
      <p><Labels labels={i.subject} /></p>
      <p>{i.summary}</p>
      {i.action && <p><strong>{t("whatToDo")}:</strong> {i.action} {i.runbook_url && <SafeLink href={i.runbook_url}>{t("runbook")}</SafeLink>}</p>}
      {i.causes.length > 0 && <Panel title={t("likelyCause")}><ul>{i.causes.map((c) =>
        <li key={c.text}>{c.text} ({t("confidence")} {Math.round(c.confidence * 100)} %) <span class="muted">{c.evidence}</span></li>)}</ul></Panel>}
      <Panel title={t("evidence")}>{i.evidence.map((e) => <EvidenceChart key={e.title + e.expr} evidence={e} incident={i} />)}</Panel>
      <Actions incident={i} reload={reload} />
      {i.verdict === "false" && <ProposalPanel incident={i} reload={reload} />}
      {i.cascades.length > 0 && <Panel title={t("cascades")}><ul>{i.cascades.map((c) =>
        <li key={c.title}>{time(c.started_at)} {c.title} × {c.count} <Labels labels={c.subject} /></li>)}</ul></Panel>}
      <Panel title={t("timeline")}><ol class="timeline">{(i.timeline ?? []).map((e, k) =>
        <li key={k}><time dateTime={e.at}>{time(e.at)}</time> <b>{e.type}</b> <span class="muted">{e.actor}</span> {e.text}</li>)}</ol></Panel>
      <Panel title={t("durations")}><Durations incident={i} /></Panel>
      <Panel title={t("deliveries")}><Deliveries id={i.id} /></Panel>
      <Summary id={i.id} />
    </>
  );
}
