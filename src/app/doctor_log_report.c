#include "app/doctor_log_report.h"

#include "base/num.h"

enum { SHOWN_CASCADES = 8 };

static void print_time(int64_t ms, struct toc_buf *out) {
    toc_ts_format_rfc3339((struct toc_ts){ms}, out);
}

static void print_root(const struct toc_failure *f, struct toc_buf *out) {
    const struct toc_failure_sign *r = f->root;
    if (!r)
        return;
    toc_buf_append_cstr(out, "  root      ");
    print_time(r->first_ms, out);
    toc_buf_printf(out, "  %.*s:%llu  (%.*s)\n            \"%.*s\"\n", TOC_SV_ARG(r->file),
                   (unsigned long long)r->line_number, TOC_SV_ARG(r->signature->id),
                   TOC_SV_ARG(r->text));
}

static void print_causes(const struct toc_finding *finding, struct toc_buf *out) {
    for (size_t i = 0; i < finding->cause_count; i++)
        toc_buf_printf(out, "  %s  %3.0f %%  %.*s\n", i ? "         " : "causes   ",
                       100 * finding->causes[i].confidence, TOC_SV_ARG(finding->causes[i].text));
}

static void print_cascades(const struct toc_finding *finding, struct toc_buf *out) {
    for (size_t i = 0; i < finding->cascade_count && i < SHOWN_CASCADES; i++)
        toc_buf_printf(out, "  %s %7lld  %.*s  %.*s\n", i ? "          " : "followed by",
                       (long long)finding->cascades[i].count, TOC_SV_ARG(finding->cascades[i].name),
                       TOC_SV_ARG(toc_sv_sub(finding->cascades[i].title, 0, 100)));
    if (finding->cascade_count > SHOWN_CASCADES)
        toc_buf_printf(out, "              and %zu signatures more\n",
                       finding->cascade_count - SHOWN_CASCADES);
}

void toc_doctor_log_print(const struct toc_failure *f, size_t number, struct toc_buf *out) {
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_finding finding = toc_failure_finding(f, &a);
    struct toc_sv owner = toc_failure_owner(f);
    toc_buf_printf(out, "%zu. %.*s\n", number, TOC_SV_ARG(finding.title));
    toc_buf_printf(out, "  %s, %s; to be handled by: %.*s\n",
                   f->root ? toc_kind_info(finding.kind)->name : "unexplained",
                   toc_severity_text(finding.severity), TOC_SV_ARG(owner));
    toc_buf_append_cstr(out, "  when      ");
    print_time(f->began_ms, out);
    toc_buf_append_cstr(out, " to ");
    print_time(f->last_ms, out);
    toc_buf_printf(out, ", %llu lines, %zu ranks, %zu hosts\n", (unsigned long long)f->lines,
                   f->ranks.count, f->hosts.count);
    print_root(f, out);
    print_causes(&finding, out);
    print_cascades(&finding, out);
    if (finding.action.n)
        toc_buf_printf(out, "  do first  %.*s\n", TOC_SV_ARG(finding.action));
    toc_buf_append_char(out, '\n');
    toc_arena_fini(&a);
}

void toc_doctor_log_print_totals(const struct toc_doctor_log_totals *t, struct toc_buf *out) {
    if (!t->failures && !t->unexplained)
        toc_buf_append_cstr(out, "No failure found");
    else
        toc_buf_printf(out, "%llu failure%s found",
                       (unsigned long long)(t->failures + t->unexplained),
                       t->failures + t->unexplained == 1 ? "" : "s");
    toc_buf_printf(out, " in %llu lines of %zu file%s (", (unsigned long long)t->lines, t->files,
                   t->files == 1 ? "" : "s");
    toc_format_bytes((double)t->bytes, out);
    toc_buf_printf(out, "), %llu lines with a known signature.\n", (unsigned long long)t->hits);
    if (t->cut_lines)
        toc_buf_printf(out, "%llu lines were longer than 16 KiB: their rest was not looked at.\n",
                       (unsigned long long)t->cut_lines);
    if (t->undated)
        toc_buf_printf(out, "%llu of them have no time: they take that of their file.\n",
                       (unsigned long long)t->undated);
    if (t->hits_left_out)
        toc_buf_printf(out, "%llu hits were left out: more than are kept.\n",
                       (unsigned long long)t->hits_left_out);
}

/* ------------------------------------------------------------------------------------------- JSON
 */

static void json_number(struct toc_json_writer *w, const char *key, int64_t n) {
    toc_json_key(w, key);
    if (n < 0)
        toc_json_null(w);
    else
        toc_json_int(w, n);
}

static void json_root(const struct toc_failure_sign *r, struct toc_json_writer *w) {
    toc_json_key(w, "root");
    if (!r) {
        toc_json_null(w);
        return;
    }
    toc_json_begin_object(w);
    toc_json_kv_string(w, "signature", r->signature->id);
    toc_json_kv_string(w, "class", r->signature->class_name);
    toc_json_kv_string(w, "text", r->text);
    toc_json_kv_string(w, "file", r->file);
    toc_json_kv_int(w, "line", (int64_t)r->line_number);
    toc_json_kv_string(w, "host", r->host);
    json_number(w, "rank", r->rank);
    json_number(w, "pid", r->pid);
    toc_json_kv_string(w, "device", r->device);
    toc_json_kv_string(w, "code", r->code);
    toc_json_kv_time(w, "at", (struct toc_ts){r->first_ms});
    toc_json_end_object(w);
}

static void json_lists(const struct toc_failure *f, const struct toc_finding *finding,
                       struct toc_json_writer *w) {
    toc_json_key(w, "causes");
    toc_json_begin_array(w);
    for (size_t i = 0; i < finding->cause_count; i++) {
        toc_json_begin_object(w);
        toc_json_kv_string(w, "text", finding->causes[i].text);
        toc_json_kv_double(w, "confidence", finding->causes[i].confidence);
        toc_json_kv_string(w, "evidence", finding->causes[i].evidence);
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
    toc_json_key(w, "cascades");
    toc_json_begin_array(w);
    for (size_t i = 0; i < finding->cascade_count; i++) {
        toc_json_begin_object(w);
        toc_json_kv_string(w, "signature", finding->cascades[i].name);
        toc_json_kv_cstr(w, "kind",
                         finding->cascades[i].kind == TOC_KIND_COUNT
                             ? NULL
                             : toc_kind_info(finding->cascades[i].kind)->name);
        toc_json_kv_string(w, "title", finding->cascades[i].title);
        toc_json_kv_int(w, "count", finding->cascades[i].count);
        toc_json_kv_time(w, "started_at", finding->cascades[i].started_at);
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
    toc_json_key(w, "suspects");
    toc_json_begin_array(w);
    for (size_t i = 0; i < f->suspect_count; i++)
        toc_json_int(w, f->suspects[i]);
    toc_json_end_array(w);
}

void toc_doctor_log_json(const struct toc_failure *f, struct toc_json_writer *w) {
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_finding finding = toc_failure_finding(f, &a);
    toc_json_begin_object(w);
    toc_json_kv_cstr(w, "kind", f->root ? toc_kind_info(finding.kind)->name : NULL);
    toc_json_kv_cstr(w, "severity", toc_severity_text(finding.severity));
    toc_json_kv_cstr(w, "state", toc_failure_state_name(f->state));
    toc_json_kv_string(w, "title", finding.title);
    toc_json_kv_string(w, "summary", finding.summary);
    toc_json_kv_string(w, "action", finding.action);
    toc_json_kv_string(w, "owner", toc_failure_owner(f));
    toc_json_kv_double(w, "confidence", f->confidence);
    toc_json_kv_string(w, "job", f->jobs.count ? f->jobs.items[0] : TOC_SV_NULL);
    toc_json_kv_time(w, "started_at", finding.first_seen);
    toc_json_kv_time(w, "last_at", (struct toc_ts){f->last_ms});
    toc_json_kv_int(w, "lines", (int64_t)f->lines);
    toc_json_kv_int(w, "ranks", (int64_t)f->ranks.count);
    toc_json_kv_int(w, "hosts", (int64_t)f->hosts.count);
    json_root(f->root, w);
    json_lists(f, &finding, w);
    toc_json_end_object(w);
    toc_arena_fini(&a);
}

void toc_doctor_log_json_totals(const struct toc_doctor_log_totals *t, struct toc_json_writer *w) {
    toc_json_kv_cstr(w, "verdict", t->failures + t->unexplained ? "failed" : "healthy");
    toc_json_kv_int(w, "files", (int64_t)t->files);
    toc_json_kv_int(w, "bytes", (int64_t)t->bytes);
    toc_json_kv_int(w, "lines", (int64_t)t->lines);
    toc_json_kv_int(w, "hits", (int64_t)t->hits);
    toc_json_kv_int(w, "cut_lines", (int64_t)t->cut_lines);
    toc_json_kv_int(w, "undated_hits", (int64_t)t->undated);
    toc_json_kv_int(w, "redacted", (int64_t)t->redacted);
    toc_json_kv_int(w, "hits_left_out", (int64_t)t->hits_left_out);
}
