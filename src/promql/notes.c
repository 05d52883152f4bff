/* Annotations: what a person should know about a result, with the place in the expression. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/num.h"
#include "promql/eval_priv.h"

enum { NOTE_BYTES = 600 };

/* Line and column of a byte, counted from 1. */
static void place_of(struct toc_sv text, size_t at, size_t *out_line, size_t *out_column) {
    *out_line = 1;
    size_t line_start = 0;
    for (size_t i = 0; i < at && i < text.n; i++)
        if (text.p[i] == '\n') {
            (*out_line)++;
            line_start = i + 1;
        }
    *out_column = at - line_start + 1;
}

static bool is_known(const struct toc_notes *notes, enum toc_note_level level, struct toc_sv text) {
    for (size_t i = 0; i < notes->count; i++)
        if (notes->items[i].level == level && toc_sv_eq(notes->items[i].text, text))
            return true;
    return false;
}

static void add(struct toc_notes *notes, struct toc_arena *arena, enum toc_note_level level,
                struct toc_sv text) {
    if (is_known(notes, level, text))
        return;
    struct toc_note note = {level, toc_arena_dup_sv(arena, text)};
    if (note.text.p)
        TOC_VEC_PUSH(notes, note);
}

static void format_note(const struct toc_query *q, enum toc_note_level level,
                        const struct toc_node *at, const char *fmt, va_list ap, char *out) {
    size_t line, column;
    int n = snprintf(out, NOTE_BYTES, "PromQL %s: ", level == TOC_NOTE_INFO ? "info" : "warning");
    int more = vsnprintf(out + n, (size_t)(NOTE_BYTES - n), fmt, ap);
    n = more < 0 || n + more >= NOTE_BYTES ? NOTE_BYTES - 1 : n + more;
    if (!at)
        return;
    place_of(q->expr->text, at->at, &line, &column);
    snprintf(out + n, (size_t)(NOTE_BYTES - n), " (%zu:%zu)", line, column);
}

void toc_worker_note(struct toc_worker *w, enum toc_note_level level, const struct toc_node *at,
                     const char *fmt, ...) {
    char text[NOTE_BYTES];
    va_list ap;
    va_start(ap, fmt);
    format_note(w->eval->query, level, at, fmt, ap, text);
    va_end(ap);
    if (w->notes)
        add(w->notes, &w->arena, level, toc_sv_cstr(text));
}

void toc_eval_note(struct toc_eval *e, enum toc_note_level level, const struct toc_node *at,
                   const char *fmt, ...) {
    char text[NOTE_BYTES];
    va_list ap;
    va_start(ap, fmt);
    format_note(e->query, level, at, fmt, ap, text);
    va_end(ap);
    add(&e->query->notes, e->arena, level, toc_sv_cstr(text));
}

void toc_eval_note_quantiles(struct toc_eval *e, const struct toc_node *at, const double *q) {
    char text[TOC_F64_TEXT_MAX + 1];
    for (size_t i = 0; i < e->step_count; i++) {
        bool is_repeated = i && (q[i] == q[i - 1] || (isnan(q[i]) && isnan(q[i - 1])));
        if (!is_repeated && !(q[i] >= 0 && q[i] <= 1))
            toc_eval_note(e, TOC_NOTE_WARNING, at,
                          "quantile value should be between 0 and 1, got %s",
                          toc_f64_cstr(q[i], text));
    }
}

void toc_notes_join(struct toc_notes *into, const struct toc_notes *from) {
    for (size_t i = 0; i < from->count; i++)
        if (!is_known(into, from->items[i].level, from->items[i].text))
            TOC_VEC_PUSH(into, from->items[i]);
}
