// After a false alarm: the proposed threshold, what it would have done to stored history, and applying it.
import { useState } from "preact/hooks";
import { get, post } from "../api";
import { Chart, type ChartData } from "../chart";
import { number, seconds, toNumber } from "../format";
import { useLoad } from "../hooks";
import { t } from "../i18n";
import { Panel, Wait } from "../parts";
import type { Incident, Proposal } from "../types";

function chartOf(p: Proposal): ChartData {
  return {
    times: p.effect.buckets.map((b) => Date.parse(b.at) / 1000),
    lines: [{ name: p.expr, values: p.effect.buckets.map((b) => { const v = toNumber(b.max); return Number.isFinite(v) ? v : null; }) }],
    thresholds: [
      { value: toNumber(p.current_threshold), label: `${t("currentValue")} ${number(p.current_threshold)}` },
      { value: toNumber(p.proposed_threshold), label: `${t("proposedValue")} ${number(p.proposed_threshold)}` },
    ],
  };
}

function Effect(p: { proposal: Proposal }) {
  const { current, proposed } = p.proposal.effect;
  return (
    <table class="effect">
      <caption>{t("proposalEffect")} ({seconds(p.proposal.history_s)}, {number(p.proposal.samples)})</caption>
      <thead><tr><th scope="col" /><th scope="col">{t("threshold")}</th><th scope="col">{t("alertsCount")}</th><th scope="col">{t("firingTime")}</th></tr></thead>
      <tbody>
        <tr><th scope="row">{t("currentValue")}</th><td>{number(p.proposal.current_threshold)}</td><td>{current.alerts}</td><td>{seconds(current.firing_s)}</td></tr>
        <tr><th scope="row">{t("proposedValue")}</th><td>{number(p.proposal.proposed_threshold)}</td><td>{proposed.alerts}</td><td>{seconds(proposed.firing_s)}</td></tr>
      </tbody>
    </table>
  );
}

export function ProposalPanel(p: { incident: Incident; reload: () => void }) {
  const path = `/incidents/${encodeURIComponent(p.incident.id)}/proposal`;
  const { value: proposal, error } = useLoad<Proposal>((abort) => get(path, abort), [p.incident.id]);
  const [asking, setAsking] = useState(false);
  const [message, setMessage] = useState("");
  if (!proposal) return <Panel title={t("proposal")}><Wait error={error} /></Panel>;
  if (!proposal.available) return <Panel title={t("proposal")}><p>{proposal.reason}</p></Panel>;
  const apply = () => post(path + "/apply", { threshold: toNumber(proposal.proposed_threshold) })
    .then(() => { setMessage(t("applied")); setAsking(false); p.reload(); })
    .catch((e: Error) => setMessage(e.message));
  return (
    <Panel title={t("proposal")}>
      <p><code>{proposal.expr} {proposal.comparison} {number(proposal.proposed_threshold)}</code> · {t("method")}: {proposal.method}</p>
      <Effect proposal={proposal} />
      <Chart title={t("proposalEffect")} data={chartOf(proposal)} />
      {asking ? <div class="confirm" role="alertdialog" aria-label={t("applyThreshold")}>
        <p>{t("confirmApply", { rule: proposal.rule, old: number(proposal.current_threshold), new: number(proposal.proposed_threshold) })}</p>
        <div class="row"><button type="button" data-action="confirm-apply" onClick={apply}>{t("applyThreshold")}</button>
          <button type="button" class="quiet" onClick={() => setAsking(false)}>{t("cancel")}</button></div>
      </div> : <button type="button" data-action="apply" onClick={() => setAsking(true)}>{t("applyThreshold")}</button>}
      <p role="status">{message}</p>
    </Panel>
  );
}
