import { useState } from "preact/hooks";
import { get } from "../api";
import { useLoad } from "../hooks";
import { t } from "../i18n";
import { Wait } from "../parts";
import type { Incident } from "../types";
import { IncidentList } from "./now";

export function Incidents() {
  const [all, setAll] = useState(false);
  const { value, error } = useLoad<{ incidents: Incident[] }>(
    (abort) => get(`/incidents?state=${all ? "all" : "open"}&limit=200`, abort), [all], 5000, ["incident"]);
  return (
    <>
      <h1>{t("incidents")}</h1>
      <label class="check"><input type="checkbox" checked={all} onChange={(e) => setAll(e.currentTarget.checked)} /> {t("allIncidents")}</label>
      {value ? value.incidents.length ? <IncidentList incidents={value.incidents} /> : <p class="muted">{t("noIncidents")}</p> : <Wait error={error} />}
    </>
  );
}
