#include "incident/summary.h"

#include <math.h>
#include <string.h>

#include "base/num.h"
#include "incident/manager_priv.h"

/* Labels and comments come from outside: nothing in them may become markup or a link. */
static void put_text(struct toc_buf *out, struct toc_sv s) {
    for (size_t n = 0; n < s.n; n++) {
        unsigned char c = (unsigned char)s.p[n];
        if (c < 0x20 || c == 0x7f) {
            toc_buf_append_char(out, ' ');
            continue;
        }
        if (c == '<') {
            toc_buf_append_cstr(out, "&lt;");
            continue;
        }
        if (strchr("\\`*_{}[]>|#!~", c))
            toc_buf_append_char(out, '\\');
        toc_buf_append_char(out, (char)c);
    }
}

/* Inline code: back-ticks cannot be escaped inside, so they become quotes. */
static void put_code(struct toc_buf *out, struct toc_sv s) {
    toc_buf_append_char(out, '`');
    for (size_t n = 0; n < s.n; n++) {
        unsigned char c = (unsigned char)s.p[n];
        if (c == '|')
            toc_buf_append_char(out, '\\');
        toc_buf_append_char(out, c == '`' ? '\'' : c < 0x20 ? ' ' : (char)c);
    }
    toc_buf_append_char(out, '`');
}

static void put_number(struct toc_buf *out, double v) {
    if (isnan(v))
        toc_buf_append_cstr(out, "NaN");
    else
        toc_format_f64_g(v, out);
}

static void put_or_dash(struct toc_buf *out, double v) {
    if (isnan(v))
        toc_buf_append_cstr(out, "–");
    else
        put_number(out, v);
}

static void put_time(struct toc_buf *out, struct toc_ts t) {
    if (t.ms)
        toc_ts_format_rfc3339(t, out);
    else
        toc_buf_append_cstr(out, "–");
}

static void put_duration(struct toc_buf *out, double seconds) {
    if (isnan(seconds))
        toc_buf_append_cstr(out, "–");
    else
        toc_duration_format_human((int64_t)llround(seconds * 1000), out);
}

static void put_subject(struct toc_buf *out, struct toc_labels l) {
    for (size_t n = 0; n < l.count; n++) {
        if (n)
            toc_buf_append_cstr(out, ", ");
        put_text(out, l.items[n].name);
        toc_buf_append_cstr(out, "=");
        put_text(out, l.items[n].value);
    }
    if (!l.count)
        toc_buf_append_cstr(out, "–");
}

static void put_fact(struct toc_buf *out, const char *name, struct toc_sv value) {
    if (!value.n)
        return;
    toc_buf_printf(out, "- **%s**: ", name);
    put_text(out, value);
    toc_buf_append_char(out, '\n');
}

static void put_head(struct toc_buf *out, const struct toc_incident *i) {
    toc_buf_printf(out, "# %s: ", i->id);
    put_text(out, i->title);
    toc_buf_append_cstr(out, "\n\n");
    if (i->summary.n) {
        put_text(out, i->summary);
        toc_buf_append_cstr(out, "\n\n");
    }
    toc_buf_printf(out, "- **Kind**: %s\n- **Severity**: %s\n- **State**: %s\n",
                   toc_kind_info(i->kind)->name, toc_severity_text(i->severity),
                   toc_incident_state_text(i->state));
    toc_buf_append_cstr(out, "- **Subject**: ");
    put_subject(out, i->subject);
    toc_buf_append_char(out, '\n');
    if (i->has_step)
        toc_buf_printf(out, "- **Step**: %lld\n", (long long)i->step);
    put_fact(out, "Rule", i->rule);
    put_fact(out, "Assignee", i->assignee);
    put_fact(out, "Verdict",
             i->verdict ? toc_sv_cstr(toc_verdict_text(i->verdict)) : TOC_SV("none yet"));
    put_fact(out, "Duplicate of", i->duplicate_of);
    if (i->reopen_count)
        toc_buf_printf(out, "- **Re-opened**: %lld times\n", (long long)i->reopen_count);
    put_fact(out, "First action", i->action);
    put_fact(out, "Runbook", i->runbook_url);
}

static void put_stage(struct toc_buf *out, const char *name, struct toc_ts at, double seconds) {
    toc_buf_printf(out, "| %s | ", name);
    put_time(out, at);
    toc_buf_append_cstr(out, " | ");
    put_duration(out, seconds);
    toc_buf_append_cstr(out, " |\n");
}

static void put_durations(struct toc_buf *out, const struct toc_incident *i) {
    struct toc_incident_durations d = toc_incident_durations(i);
    toc_buf_append_cstr(out, "\n## Durations\n\n| Stage | At | Took |\n|---|---|---|\n");
    put_stage(out, "Started", i->started_at, NAN);
    put_stage(out, "Detected (since the start)", i->detected_at, d.detect_s);
    put_stage(out, "Notified (since detection)", i->notified_at, d.notify_s);
    put_stage(out, "Acknowledged (since detection)", i->acknowledged_at, d.acknowledge_s);
    put_stage(out, "Resolved (since detection)", i->resolved_at, d.resolve_s);
}

static void put_evidence(struct toc_buf *out, const struct toc_incident *i) {
    if (!i->evidence_count)
        return;
    toc_buf_append_cstr(out,
                        "\n## Evidence\n\n| What | Expression | Value | Threshold | Expected |\n"
                        "|---|---|---|---|---|\n");
    for (size_t n = 0; n < i->evidence_count; n++) {
        const struct toc_evidence *e = &i->evidence[n].shown;
        toc_buf_append_cstr(out, "| ");
        put_text(out, e->title);
        toc_buf_append_cstr(out, " | ");
        put_code(out, e->expr.n ? e->expr : TOC_SV("–"));
        toc_buf_append_cstr(out, " | ");
        put_number(out, e->value);
        if (e->unit.n) {
            toc_buf_append_char(out, ' ');
            put_text(out, e->unit);
        }
        toc_buf_append_cstr(out, " | ");
        put_or_dash(out, e->threshold);
        toc_buf_append_cstr(out, " | ");
        put_or_dash(out, e->expected_lower);
        toc_buf_append_cstr(out, " … ");
        put_or_dash(out, e->expected_upper);
        toc_buf_append_cstr(out, " |\n");
    }
}

static void put_causes(struct toc_buf *out, const struct toc_incident *i) {
    if (!i->cause_count)
        return;
    toc_buf_append_cstr(out, "\n## Likely causes\n\n");
    for (size_t n = 0; n < i->cause_count; n++) {
        toc_buf_printf(out, "- %.0f %%: ", i->causes[n].confidence * 100);
        put_text(out, i->causes[n].text);
        if (i->causes[n].evidence.n) {
            toc_buf_append_cstr(out, " (");
            put_text(out, i->causes[n].evidence);
            toc_buf_append_char(out, ')');
        }
        toc_buf_append_char(out, '\n');
    }
}

static void put_cascades(struct toc_buf *out, const struct toc_incident *i) {
    if (!i->cascade_count)
        return;
    toc_buf_append_cstr(out, "\n## What came along\n\n| Kind | Title | Subject | Since | Count |\n"
                             "|---|---|---|---|---|\n");
    for (size_t n = 0; n < i->cascade_count; n++) {
        const struct toc_cascade *c = &i->cascades[n];
        toc_buf_printf(out, "| %s | ", toc_kind_info(c->kind)->name);
        put_text(out, c->title);
        toc_buf_append_cstr(out, " | ");
        put_subject(out, c->subject);
        toc_buf_append_cstr(out, " | ");
        put_time(out, c->started_at);
        toc_buf_printf(out, " | %lld |\n", (long long)c->count);
    }
}

static int put_entry(void *ctx, const struct toc_timeline_entry *e) {
    struct toc_buf *out = ctx;
    toc_buf_append_cstr(out, "| ");
    put_time(out, e->at);
    toc_buf_append_cstr(out, " | ");
    put_text(out, e->actor);
    toc_buf_printf(out, " | %s | ", toc_timeline_text(e->type));
    put_text(out, e->text);
    toc_buf_append_cstr(out, " |\n");
    return toc_buf_error(out);
}

static int put_change(void *ctx, const struct toc_change *c) {
    struct toc_buf *out = ctx;
    toc_buf_append_cstr(out, "- ");
    put_time(out, c->at);
    toc_buf_append_cstr(out, ": ");
    put_text(out, c->kind);
    toc_buf_append_cstr(out, " of ");
    put_text(out, c->subject);
    toc_buf_append_cstr(out, " from ");
    put_text(out, c->before);
    toc_buf_append_cstr(out, " to ");
    put_text(out, c->after);
    toc_buf_append_cstr(out, " by ");
    put_text(out, c->actor);
    toc_buf_append_char(out, '\n');
    return toc_buf_error(out);
}

static int put_changes(struct toc_incident_store *s, struct toc_sv id, struct toc_buf *out,
                       struct toc_err *err) {
    struct toc_buf lines = TOC_BUF_INIT;
    int rc = s->changes(s, id, put_change, &lines, err);
    if (rc == 0 && lines.n) {
        toc_buf_append_cstr(out, "\n## Changes made\n\n");
        toc_buf_append_sv(out, toc_buf_sv(&lines));
    }
    toc_buf_fini(&lines);
    return rc;
}

int toc_incident_summary(struct toc_incident_manager *m, struct toc_sv id, struct toc_buf *out,
                         struct toc_err *err) {
    struct toc_incident_store *s = m->options.store;
    struct toc_incident i;
    int rc = toc_incident_get(m, id, &i, err);
    if (rc)
        return rc;
    put_head(out, &i);
    put_durations(out, &i);
    put_evidence(out, &i);
    put_causes(out, &i);
    put_cascades(out, &i);
    toc_buf_append_cstr(out, "\n## Timeline\n\n| At | Who | What | Text |\n|---|---|---|---|\n");
    rc = s->timeline(s, id, put_entry, out, err);
    if (rc == 0)
        rc = put_changes(s, id, out, err);
    toc_incident_fini(&i);
    return rc ? rc : toc_buf_error(out);
}
