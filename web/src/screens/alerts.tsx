import { useState } from "preact/hooks";
import { alertmanager, prometheusGet, session } from "../api";
import { number, since, time } from "../format";
import { useLoad } from "../hooks";
import { t } from "../i18n";
import { Labels, Panel, StateBadge, Wait } from "../parts";
import type { PromAlert, Silence } from "../types";

const SILENCE_MS = 2 * 3600 * 1000;

function silenceOf(a: PromAlert): unknown {
  const now = Date.now();
  return {
    matchers: Object.entries(a.labels).map(([name, value]) => ({ name, value, isRegex: false, isEqual: true })),
    startsAt: new Date(now).toISOString(), endsAt: new Date(now + SILENCE_MS).toISOString(),
    createdBy: session.value?.user ?? "web", comment: `silenced from the alert list: ${a.labels.alertname}`,
  };
}

export function Alerts() {
  const alerts = useLoad<{ alerts: PromAlert[] }>(() => prometheusGet("alerts"), [], 3000, ["alert"]);
  const silences = useLoad<Silence[]>(() => alertmanager("GET", "/silences"), [], 10000);
  const [message, setMessage] = useState("");
  const report = (work: Promise<unknown>) => work.then(() => { setMessage(t("done")); silences.reload(); }).catch((e: Error) => setMessage(e.message));
  const rows = [...(alerts.value?.alerts ?? [])].sort((a, b) => a.state.localeCompare(b.state) || a.activeAt.localeCompare(b.activeAt));
  const active = (silences.value ?? []).filter((s) => s.status.state !== "expired");
  return (
    <>
      <h1>{t("alerts")}</h1>
      <p role="status">{message}</p>
      {!alerts.value ? <Wait error={alerts.error} /> : !rows.length ? <p class="muted">{t("noAlerts")}</p> : (
        <div class="scroll" tabIndex={0} role="region" aria-label={t("alerts")}><table>
          <thead><tr><th scope="col">{t("state")}</th><th scope="col">{t("alert")}</th><th scope="col">{t("value")}</th><th scope="col">{t("since")}</th><th scope="col">{t("labels")}</th><th scope="col">{t("actions")}</th></tr></thead>
          <tbody>{rows.map((a) => <tr key={JSON.stringify(a.labels)}>
            <td><StateBadge state={a.state} /></td><td>{a.labels.alertname}<div class="muted">{a.annotations.summary}</div></td>
            <td>{number(a.value)}</td><td>{since(a.activeAt)}</td><td><Labels labels={a.labels} /></td>
            <td><button type="button" class="quiet" onClick={() => report(alertmanager("POST", "/silences", silenceOf(a)))}>{t("silence")}</button></td></tr>)}</tbody>
        </table></div>)}
      <Panel title={t("silences")}>
        {!active.length ? <p class="muted">{t("noSilences")}</p> : <ul>{active.map((s) => <li key={s.id}>
          <Labels labels={Object.fromEntries(s.matchers.map((m) => [m.name, m.value]))} /> {t("until")} {time(s.endsAt)} · {t("createdBy")} {s.createdBy} · {s.comment}{" "}
          <button type="button" class="quiet" onClick={() => report(alertmanager("DELETE", `/silence/${encodeURIComponent(s.id)}`))}>{t("expire")}</button></li>)}</ul>}
      </Panel>
    </>
  );
}
