import { get } from "../api";
import { Chart, type ChartData } from "../chart";
import { number, time } from "../format";
import { useLoad } from "../hooks";
import { t } from "../i18n";
import { Labels, Panel, StateBadge, Wait } from "../parts";
import { load } from "../series";
import type { Run } from "../types";

const WINDOW_S = 900;

function RunChart(p: { run: string; metric: string; title: string; unit?: string }) {
  const expr = `${p.metric}{run=${JSON.stringify(p.run)}}`;
  const { value } = useLoad<ChartData>((abort) => load(expr, WINDOW_S, 3, abort, (l) => l.layer ?? l.rank ?? l.run), [expr], 3000);
  return value?.lines.length ? <Chart title={p.title} data={value} unit={p.unit} /> : null;
}

export function Runs() {
  const { value, error } = useLoad<{ runs: Run[] }>((abort) => get("/runs", abort), [], 2000);
  if (!value) return <><h1>{t("runs")}</h1><Wait error={error} /></>;
  return (
    <>
      <h1>{t("runs")}</h1>
      {!value.runs.length && <p class="muted">{t("noRuns")}</p>}
      {value.runs.map((r) => (
        <Panel key={r.run} title={r.run}>
          <p><StateBadge state={r.state} /> {t("step")} {r.step} · {t("lastStep")} {time(r.last_step_at)} <Labels labels={r.labels} /></p>
          <dl class="counts">
            <div><dt>{t("loss")}</dt><dd>{number(r.loss)}</dd></div><div><dt>{t("gradNorm")}</dt><dd>{number(r.grad_norm)}</dd></div>
            <div><dt>{t("stepTime")}</dt><dd>{number(r.step_seconds, "s")}</dd></div><div><dt>{t("tokensPerSecond")}</dt><dd>{number(r.tokens_per_second)}</dd></div>
            <div><dt>{t("memory")}</dt><dd>{number(r.memory_bytes, "bytes")}</dd></div><div><dt>{t("learningRate")}</dt><dd>{number(r.learning_rate)}</dd></div>
          </dl>
          <div class="charts">
            <RunChart run={r.run} metric="train_loss" title={t("loss")} />
            <RunChart run={r.run} metric="train_grad_norm" title={t("gradNorm")} />
            <RunChart run={r.run} metric="train_step_seconds" title={t("stepTime")} unit="s" />
            <RunChart run={r.run} metric="train_memory_bytes" title={t("memory")} unit="bytes" />
          </div>
        </Panel>))}
    </>
  );
}
