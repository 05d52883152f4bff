/* What people read of a failure. */
#include <math.h>
#include <stdarg.h>

#include "base/alloc.h"
#include "diagnose/failure.h"

enum { CASCADES_MAX = 32, CAUSES_MAX = 12 };

/* X(label of the vendor, what to do) */
#define XID_ACTION_TABLE(X)                                                                     \
    X("RESTART_BM", "Drain the node, power-cycle it, open a hardware ticket.")                  \
    X("RESET_GPU", "Drain the node and reset the GPU; open a ticket when it repeats.")          \
    X("RESTART_APP", "Tell the owner of the job: the program has to be restarted or mended.")   \
    X("RESTART_VM", "Restart the virtual machine.")                                             \
    X("UPDATE_SWFW", "Update driver and firmware.")                                             \
    X("CHECK_MECHANICALS", "Check the power cables and the seat of the GPU.")                   \
    X("CHECK_UVM", "Check the driver's memory manager: update the driver.")                     \
    X("CONTACT_SUPPORT", "Ask the vendor's support.")                                           \
    X("WORKFLOW_XID_45", "Look for the XID before it; alone: restart the fabric manager.")      \
    X("WORKFLOW_XID_48", "Drain the node, reset the GPU; see XIDs 63, 64, 171, 172 beside it.") \
    X("WORKFLOW_NVLINK_ERR", "Drain the node; follow the vendor's NVLink workflow.")            \
    X("WORKFLOW_NVLINK5_ERR", "Drain the node; follow the vendor's NVLink 5 workflow.")         \
    X("XID_154", "The line names the recovery action that is needed now.")                      \
    X("IGNORE", "Nothing: it is recorded.")

static struct toc_sv format(struct toc_arena *a, const char *fmt, ...) TOC_PRINTF(2, 3);
static struct toc_sv format(struct toc_arena *a, const char *fmt, ...) {
    struct toc_buf b = TOC_BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    toc_buf_vprintf(&b, fmt, ap);
    va_end(ap);
    struct toc_sv s = toc_arena_dup_sv(a, toc_buf_sv(&b));
    toc_buf_fini(&b);
    return s;
}

static void part(struct toc_buf *b, const char *fmt, ...) TOC_PRINTF(2, 3);
static void part(struct toc_buf *b, const char *fmt, ...) {
    va_list ap;
    if (b->n)
        toc_buf_append_cstr(b, ", ");
    va_start(ap, fmt);
    toc_buf_vprintf(b, fmt, ap);
    va_end(ap);
}

static bool is_gpu(const struct toc_failure_sign *s) {
    return toc_sv_starts_with(s->signature->id, TOC_SV("nv_")) ||
           toc_sv_starts_with(s->signature->id, TOC_SV("amd_"));
}

struct toc_sv toc_failure_place(const struct toc_failure_sign *s, struct toc_arena *a) {
    struct toc_buf b = TOC_BUF_INIT;
    if (s->rank >= 0)
        part(&b, "rank %lld", (long long)s->rank);
    if (s->device.n)
        part(&b, "%s%.*s", is_gpu(s) ? "GPU " : "", TOC_SV_ARG(s->device));
    if (s->process.n)
        part(&b, "process %.*s", TOC_SV_ARG(s->process));
    if (s->pid >= 0)
        part(&b, "pid %lld", (long long)s->pid);
    if (s->host.n)
        toc_buf_printf(&b, "%s%.*s", b.n ? " on " : "", TOC_SV_ARG(s->host));
    struct toc_sv text = toc_arena_dup_sv(a, toc_buf_sv(&b));
    toc_buf_fini(&b);
    return text;
}

struct toc_sv toc_failure_title(const struct toc_failure_sign *s, struct toc_arena *a) {
    if (s->xid)
        return format(a, "%.*s (XID %u: %.*s)", TOC_SV_ARG(s->rule->title), s->xid->code,
                      TOC_SV_ARG(s->xid->description));
    return s->rule->title;
}

struct toc_sv toc_failure_action(const struct toc_failure_sign *s) {
#define X(label, text)                                   \
    if (s->xid && toc_sv_eq_cstr(s->xid->action, label)) \
        return TOC_SV(text);
    XID_ACTION_TABLE(X)
#undef X
    return s->rule->action;
}

struct toc_sv toc_failure_owner(const struct toc_failure *f) {
    if (f->root && f->root->xid)
        return toc_sv_cstr(toc_xid_owner_name(f->root->xid->owner));
    return f->root ? f->root->rule->owner : TOC_SV("job");
}

static const struct toc_failure_echo *echo_of(const struct toc_failure *f,
                                              const struct toc_signature *s) {
    for (size_t i = 0; i < f->echoes.count; i++)
        if (f->echoes.items[i].signature == s)
            return &f->echoes.items[i];
    return NULL;
}

static struct toc_sv suspects(const struct toc_failure *f, struct toc_arena *a) {
    struct toc_buf b = TOC_BUF_INIT;
    for (size_t i = 0; i < f->suspect_count; i++) {
        part(&b, "rank %lld", (long long)f->suspects[i]);
        if (f->suspect_hosts[i].n)
            toc_buf_printf(&b, " on %.*s", TOC_SV_ARG(f->suspect_hosts[i]));
    }
    if (f->suspect_total > f->suspect_count)
        part(&b, "%zu more", f->suspect_total - f->suspect_count);
    struct toc_sv text = toc_arena_dup_sv(a, toc_buf_sv(&b));
    toc_buf_fini(&b);
    return text;
}

/* Where: one place, or how many when the root's signature shows at several hosts. */
static struct toc_sv where(const struct toc_failure *f, struct toc_arena *a) {
    const struct toc_failure_echo *e = echo_of(f, f->root->signature);
    if (f->suspect_total)
        return suspects(f, a);
    struct toc_sv place = toc_failure_place(f->root, a);
    if (e && e->hosts.count > 1 && f->root->signature->role != TOC_SIGNATURE_EITHER)
        return format(a, "%zu hosts, first %.*s", e->hosts.count, TOC_SV_ARG(place));
    return place;
}

static struct toc_sv title_of(const struct toc_failure *f, struct toc_arena *a) {
    struct toc_sv job = f->jobs.count ? f->jobs.items[0] : TOC_SV_NULL;
    const char *of = job.n ? ", run " : "";
    if (!f->root)
        return format(a, "Failed for an unknown reason%s%.*s", of, TOC_SV_ARG(job));
    struct toc_sv place = where(f, a), title = toc_failure_title(f->root, a);
    return format(a, "%.*s%s%.*s%s%.*s", TOC_SV_ARG(title), place.n ? ": " : "", TOC_SV_ARG(place),
                  of, TOC_SV_ARG(job));
}

static struct toc_sv summary_of(const struct toc_failure *f, struct toc_arena *a) {
    struct toc_buf b = TOC_BUF_INIT;
    if (f->root)
        toc_buf_printf(&b, "First sign: \"%.*s\".", TOC_SV_ARG(f->root->text));
    else
        toc_buf_printf(&b, "Only echoes were seen; what they echo is in none of these logs.");
    toc_buf_printf(&b, " %llu line%s", (unsigned long long)f->lines, f->lines == 1 ? "" : "s");
    if (f->ranks.count)
        toc_buf_printf(&b, " of %zu rank%s", f->ranks.count, f->ranks.count == 1 ? "" : "s");
    if (f->hosts.count)
        toc_buf_printf(&b, " on %zu host%s", f->hosts.count, f->hosts.count == 1 ? "" : "s");
    toc_buf_printf(&b, " belong%s to it.", f->lines == 1 ? "s" : "");
    if (f->suspect_total)
        toc_buf_printf(&b, " The ranks named %s while the others wait.",
                       f->are_suspects_silent ? "say nothing" : "are behind");
    struct toc_sv text = toc_arena_dup_sv(a, toc_buf_sv(&b));
    toc_buf_fini(&b);
    return text;
}

/* ----------------------------------------------------------------------------------------- causes
 */

struct causes {
    struct toc_cause *items;
    size_t count;
    struct toc_arena *a;
};

static void add_cause(struct causes *c, struct toc_sv text, double confidence,
                      struct toc_sv evidence) {
    if (c->count < CAUSES_MAX)
        c->items[c->count++] = (struct toc_cause){text, confidence, evidence};
}

static void add_sign(struct causes *c, const struct toc_failure_sign *s, double confidence) {
    struct toc_sv place = toc_failure_place(s, c->a), title = toc_failure_title(s, c->a);
    add_cause(c,
              format(c->a, "%.*s%s%.*s", TOC_SV_ARG(title), place.n ? ": " : "", TOC_SV_ARG(place)),
              confidence, s->text);
}

static void add_changes(struct causes *c, const struct toc_failure *f) {
    for (size_t i = 0; i < f->change_count; i++) {
        struct toc_buf b = TOC_BUF_INIT;
        toc_duration_format_human(f->began_ms - f->changes[i].at_ms, &b);
        add_cause(c,
                  format(c->a, "Changed %.*s before: %.*s", TOC_SV_ARG(toc_buf_sv(&b)),
                         TOC_SV_ARG(f->changes[i].text)),
                  0.2, TOC_SV("a change shortly before; nothing else links the two"));
        toc_buf_fini(&b);
    }
}

static void add_unknown(struct causes *c, const struct toc_failure *f) {
    const struct toc_failure_echo *first = NULL;
    for (size_t i = 0; i < f->echoes.count; i++)
        if (!first || f->echoes.items[i].first_ms < first->first_ms)
            first = &f->echoes.items[i];
    if (first)
        add_cause(c,
                  TOC_SV("Not known: nobody says why; look at the kernel logs of the hosts and "
                         "at ranks whose log ends early"),
                  0.1, first->text);
}

static void add_causes(struct causes *c, const struct toc_failure *f) {
    if (!f->root) {
        add_unknown(c, f);
        return;
    }
    if (f->suspect_total)
        add_cause(c,
                  format(c->a, "%.*s: %s", TOC_SV_ARG(suspects(f, c->a)),
                         f->are_suspects_silent ? "silent while all others wait"
                                                : "behind in the order of collectives"),
                  f->confidence, f->root->text);
    else
        add_sign(c, f->root, f->confidence);
    if (f->confirmed_by)
        add_sign(c, f->confirmed_by, f->confidence);
    for (size_t i = 0; i < f->other_count; i++)
        add_sign(c, f->others[i], f->other_confidence[i]);
    add_changes(c, f);
}

/* --------------------------------------------------------------------------------------- cascades
 */

/* Most lines first. */
static void insert(struct toc_finding_cascade *items, size_t *count, struct toc_finding_cascade c) {
    size_t at = *count;
    while (at > 0 && items[at - 1].count < c.count)
        at--;
    if (at == CASCADES_MAX)
        return;
    size_t last = TOC_MIN(*count, (size_t)CASCADES_MAX - 1);
    memmove(items + at + 1, items + at, (last - at) * sizeof *items);
    items[at] = c;
    *count = last + 1;
}

static size_t cascades_of(const struct toc_failure *f, struct toc_finding_cascade *items,
                          struct toc_arena *a) {
    size_t count = 0;
    for (size_t i = 0; i < f->echoes.count; i++) {
        const struct toc_failure_echo *e = &f->echoes.items[i];
        bool is_root = f->root && e->signature == f->root->signature;
        if (is_root && e->count <= f->root->count)
            continue;
        insert(
            items, &count,
            (struct toc_finding_cascade){
                .kind = e->rule->kind,
                .name = e->signature->id,
                .title = format(a, "%.*s (%zu ranks, %zu hosts): %.*s", TOC_SV_ARG(e->rule->title),
                                e->ranks.count, e->hosts.count, TOC_SV_ARG(e->text)),
                .started_at = {e->first_ms},
                .count = (int64_t)(e->count - (is_root ? f->root->count : 0)),
            });
    }
    return count;
}

struct toc_finding toc_failure_finding(const struct toc_failure *f, struct toc_arena *a) {
    struct causes causes = {TOC_ARENA_NEW_ARRAY(a, struct toc_cause, CAUSES_MAX), 0, a};
    struct toc_finding_cascade *cascades =
        TOC_ARENA_NEW_ARRAY(a, struct toc_finding_cascade, CASCADES_MAX);
    struct toc_evidence *evidence = TOC_ARENA_NEW_ARRAY(a, struct toc_evidence, 1);
    struct toc_finding out = {
        .kind = f->root ? f->kind : TOC_KIND_CRASH,
        .severity = f->severity,
        .title = title_of(f, a),
        .summary = summary_of(f, a),
        .action = f->root ? toc_failure_action(f->root) : TOC_SV_NULL,
        .first_seen = {f->root ? f->root->began_ms : f->began_ms},
        .names_cause = f->root && f->root->rule->strength >= 4,
    };
    if (!causes.items || !cascades || !evidence)
        return out;
    add_causes(&causes, f);
    out.causes = causes.items, out.cause_count = causes.count;
    out.cascades = cascades, out.cascade_count = cascades_of(f, cascades, a);
    if (f->root) {
        const struct toc_failure_echo *e = echo_of(f, f->root->signature);
        *evidence = (struct toc_evidence){
            .title = f->root->text,
            .expr = format(a, "sum(tocsin_log_signature_total{signature=\"%.*s\"})",
                           TOC_SV_ARG(f->root->signature->id)),
            .value = (double)(e ? e->count : f->root->count),
            .threshold = NAN,
            .expected_lower = NAN,
            .expected_upper = NAN};
        out.evidence = evidence, out.evidence_count = 1;
    }
    return out;
}
