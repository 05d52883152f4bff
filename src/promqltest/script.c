#include "promqltest/script.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/time.h"
#include "promqltest/script_priv.h"

int lines_fail(struct lines *l, const char *fmt, ...) {
    char text[TOC_ERR_MESSAGE_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return toc_err_at(l->err, TOC_EPARSE, (int)l->at, 0, "%s", text);
}

int lines_fail_with(struct lines *l, const struct toc_err *why) {
    return toc_err_at(l->err, TOC_EPARSE, (int)l->at, why->column, "%s", why->message);
}

bool lines_next(struct lines *l, struct toc_sv *out) {
    if (l->at >= l->count || !l->items[l->at].n)
        return false;
    *out = l->items[l->at++];
    return true;
}

struct toc_sv take_word(struct toc_sv *text) {
    size_t n = 0;
    *text = toc_sv_trim(*text);
    while (n < text->n && text->p[n] != ' ' && text->p[n] != '\t')
        n++;
    struct toc_sv word = toc_sv_sub(*text, 0, n);
    *text = toc_sv_trim(toc_sv_sub(*text, n, text->n));
    return word;
}

int take_time(struct lines *l, struct toc_sv *text, const char *keyword, int64_t *out_ms) {
    struct toc_err why = {0};
    if (!toc_sv_eq_cstr(take_word(text), keyword))
        return lines_fail(l, "expected \"%s TIME\"", keyword);
    struct toc_sv word = take_word(text);
    if (toc_duration_parse(word, out_ms, &why) < 0)
        return lines_fail(l, "invalid time \"%.*s\": %s", TOC_SV_ARG(word), why.message);
    return 0;
}

int take_times(struct lines *l, struct toc_sv *text, struct toc_test_times *out) {
    int rc = take_time(l, text, "from", &out->start_ms);
    if (!rc)
        rc = take_time(l, text, "to", &out->end_ms);
    if (!rc)
        rc = take_time(l, text, "step", &out->step_ms);
    if (!rc && out->end_ms < out->start_ms)
        return lines_fail(l, "the range ends before it starts");
    if (!rc && !out->step_ms)
        return lines_fail(l, "the step must be greater than 0");
    return rc;
}

static int split_lines(struct toc_sv text, struct lines *l) {
    size_t count = 1;
    for (size_t i = 0; i < text.n; i++)
        count += text.p[i] == '\n';
    l->items = TOC_ARENA_NEW_ARRAY(l->arena, struct toc_sv, count);
    if (!l->items)
        return TOC_ENOMEM;
    struct toc_sv rest = text, line;
    while (l->count < count && toc_sv_split(&rest, '\n', &line)) {
        line = toc_sv_trim(line);
        if (line.n && line.p[0] == '#')
            line = TOC_SV_NULL;
        l->items[l->count++] = line;
    }
    return 0;
}

static int parse_command(struct lines *l, struct toc_test_command *out) {
    struct toc_sv head = l->items[l->at++], rest = head, word = take_word(&rest);
    out->line = (int)l->at;
    if (toc_sv_eq_nocase(word, TOC_SV("clear"))) {
        out->kind = TOC_TEST_CLEAR;
        return 0;
    }
    if (toc_sv_eq_nocase(toc_sv_sub(word, 0, 4), TOC_SV("load"))) {
        out->kind = TOC_TEST_LOAD;
        return parse_load(l, head, &out->load);
    }
    if (toc_sv_eq_nocase(toc_sv_sub(word, 0, 4), TOC_SV("eval"))) {
        out->kind = TOC_TEST_EVAL;
        return parse_eval(l, head, &out->eval);
    }
    return lines_fail(l, "invalid command \"%.*s\"", TOC_SV_ARG(word));
}

int toc_test_script_parse(struct toc_sv text, struct toc_test_script **out, struct toc_err *err) {
    struct toc_test_script *s = TOC_NEW(struct toc_test_script);
    struct lines l = {.arena = &s->arena, .err = err};
    int rc = split_lines(text, &l);
    while (!rc && l.at < l.count) {
        if (!l.items[l.at].n) {
            l.at++;
            continue;
        }
        TOC_VEC_PUSH(s, ((struct toc_test_command){0}));
        rc = parse_command(&l, &s->items[s->count - 1]);
    }
    if (!rc)
        *out = s;
    else
        toc_test_script_free(&s);
    return rc;
}

void toc_test_script_free(struct toc_test_script **script) {
    struct toc_test_script *s = *script;
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++) {
        TOC_VEC_FINI(&s->items[i].load.series);
        eval_fini(&s->items[i].eval);
    }
    toc_arena_fini(&s->arena);
    TOC_VEC_FINI(s);
    toc_free(s);
    *script = NULL;
}
