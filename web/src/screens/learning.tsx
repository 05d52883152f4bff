// Learning from verdicts: what each scope has learnt, the effect before anything is applied, versions and the way back.
import { useState } from "preact/hooks";
import { get, post } from "../api";
import { number, time, toNumber } from "../format";
import { useLoad } from "../hooks";
import { t, tValue } from "../i18n";
import { Panel, Wait } from "../parts";
import type { LearnEffect, LearnForecast, LearnPreview, LearnScope, Num } from "../types";

function percent(v: Num): string {
  const n = toNumber(v);
  return Number.isFinite(n) ? `${Math.round(n * 1000) / 10} %` : "–";
}

function times(v: Num): string {
  const n = toNumber(v);
  return Number.isFinite(n) ? `× ${n.toFixed(2)}` : "–";
}

function Range(p: { title: string; of: LearnForecast["lift"]; text: (v: Num) => string }) {
  return <div><dt>{p.title}</dt><dd>{t("rangeText", { value: p.text(p.of.value), low: p.text(p.of.low), high: p.text(p.of.high) })}</dd></div>;
}

function Effect(p: { effect: LearnEffect; forecast: LearnForecast }) {
  const e = p.effect, f = p.forecast;
  return (
    <dl class="counts">
      <div><dt>{t("alertsCount")}</dt><dd>{e.alerts}</dd></div>
      <Range title={t("withheld")} of={f.withheld} text={percent} />
      <div><dt>{t("trueWithheld")}</dt><dd>{e.true_withheld ? <strong class="error">{e.true_withheld}</strong> : 0}</dd></div>
      <div><dt>{t("precision")}</dt><dd>{t("precisionRange", { before: percent(e.precision_before), low: percent(f.precision.low), high: percent(f.precision.high) })}</dd></div>
      <Range title={t("precisionTimes")} of={f.lift} text={times} />
      <Range title={t("recall")} of={f.recall} text={percent} />
    </dl>
  );
}

function Preview(p: { scope: string; reload: () => void }) {
  const path = `/learn/scopes/${encodeURIComponent(p.scope)}/`;
  const [preview, setPreview] = useState<LearnPreview | null>(null);
  const [message, setMessage] = useState("");
  const show = () => get<LearnPreview>(path + "preview").then((x) => { setPreview(x); setMessage(""); }).catch((e: Error) => setMessage(e.message));
  const apply = (mode: string) => post(path + "apply", { mode })
    .then(() => { setPreview(null); setMessage(t("applied")); p.reload(); }).catch((e: Error) => setMessage(e.message));
  return (
    <>
      <button type="button" data-action="preview" onClick={show}>{t("previewEffect")}</button>
      {preview && <div class="confirm" role="group" aria-label={t("previewEffect")}>
        <p>{t("previewText", { days: preview.days, labels: preview.labels })}</p>
        {preview.forecast.verdict !== "unknown" && <Effect effect={preview.effect} forecast={preview.forecast} />}
        {preview.notes.map((n) => <p key={n} class="muted">{n}</p>)}
        {preview.forecast.verdict !== "shown" && <p class="muted">{t("notInForce")}</p>}
        <div class="row">
          {preview.forecast.verdict === "shown" && <button type="button" data-action="apply-learning" onClick={() => apply("enforce")}>{t("putInForce")}</button>}
          <button type="button" class="quiet" data-action="shadow-learning" onClick={() => apply("shadow")}>{t("onlyWatch")}</button>
          <button type="button" class="quiet" onClick={() => setPreview(null)}>{t("cancel")}</button>
        </div>
      </div>}
      <p role="status" class="muted">{message}</p>
    </>
  );
}

function Versions(p: { scope: LearnScope; reload: () => void }) {
  const [message, setMessage] = useState("");
  const { scope: s } = p;
  const back = (version: number) => post(`/learn/scopes/${encodeURIComponent(s.scope)}/rollback`, version ? { version } : {})
    .then(p.reload).catch((e: Error) => setMessage(e.message));
  if (!s.versions.length) return null;
  return (
    <>
      <div class="scroll" tabIndex={0} role="region" aria-label={`${t("versions")} ${s.scope}`}><table>
        <caption>{t("versions")}</caption>
        <thead><tr><th scope="col">{t("version")}</th><th scope="col">{t("state")}</th><th scope="col">{t("createdBy")}</th><th scope="col">{t("precisionTimes")}</th><th scope="col">{t("withheldForetold")}</th><th scope="col" /></tr></thead>
        <tbody>{[...s.versions].reverse().map((v) => <tr key={v.version}>
          <th scope="row">{v.version}{v.version === s.version && ` (${t("inForce")})`}</th>
          <td>{tValue("mode", v.mode)}</td><td>{v.actor} {time(v.made_at)}</td>
          <td>{times(toNumber(v.foretold.precision_after) / toNumber(v.foretold.precision_before))}</td><td>{percent(v.foretold.withheld / v.foretold.alerts)}, {v.judged ? `${percent(v.judged_withheld / v.judged)} (${v.judged_withheld} / ${v.judged})` : "–"}</td>
          <td>{v.version < s.version && <button type="button" class="quiet" onClick={() => back(v.version)}>{t("backTo", { version: v.version })}</button>}</td></tr>)}</tbody>
      </table></div>
      {s.version > 0 && <p><button type="button" class="quiet" data-action="roll-back" onClick={() => back(0)}>{t("rollBack")}</button></p>}
      {message && <p class="error" role="alert">{message}</p>}
    </>
  );
}

function Scope(p: { scope: LearnScope; reload: () => void }) {
  const s = p.scope, given = s.true + s.false;
  return (
    <Panel title={s.scope}>
      <p>{tValue("mode", s.mode)}{s.version > 0 && ` · ${t("version")} ${s.version}`}</p>
      <dl class="counts">
        <div><dt>{t("alertsCount")}</dt><dd>{number(s.alerts)}</dd></div>
        <div><dt>{t("verdict_true")}</dt><dd>{s.true}</dd></div><div><dt>{t("verdict_false")}</dt><dd>{s.false}</dd></div>
        <div><dt>{t("withheld")}</dt><dd>{s.withheld}</dd></div>
      </dl>
      {given < s.needed ? <p class="muted">{t("verdictsNeeded", { have: given, needed: s.needed })}</p> : <Preview scope={s.scope} reload={p.reload} />}
      <Versions scope={s} reload={p.reload} />
    </Panel>
  );
}

export function Learning() {
  const { value, error, reload } = useLoad<{ scopes: LearnScope[] }>((abort) => get("/learn", abort), [], 10000);
  return (
    <>
      <h1>{t("learning")}</h1>
      <p class="muted">{t("learningHelp")}</p>
      {!value ? <Wait error={error} /> : !value.scopes.length && <p class="muted">{t("noScopes")}</p>}
      {value?.scopes.map((s) => <Scope key={s.scope} scope={s} reload={reload} />)}
    </>
  );
}
