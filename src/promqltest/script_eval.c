/* `eval …` and what it expects. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "base/time.h"
#include "promqltest/script_priv.h"

bool toc_test_text_accepts(const struct toc_test_text *t, struct toc_sv message) {
    if (t->is_any)
        return true;
    return t->regex ? toc_regex_matches(t->regex, message) : toc_sv_eq(t->text, message);
}

static void texts_fini(struct toc_test_texts *t) {
    for (size_t i = 0; i < t->count; i++)
        toc_regex_free(&t->items[i].regex);
    TOC_VEC_FINI(t);
}

void eval_fini(struct toc_test_eval *e) {
    texts_fini(&e->fail);
    texts_fini(&e->warn);
    texts_fini(&e->info);
    TOC_VEC_FINI(&e->series);
}

static int add_text(struct toc_test_texts *to, struct toc_test_text t) {
    TOC_VEC_PUSH(to, t);
    return 0;
}

static int add_regex(struct lines *l, struct toc_test_texts *to, struct toc_sv pattern) {
    struct toc_err why = {0};
    struct toc_test_text t = {.text = pattern};
    if (toc_regex_new(pattern, TOC_REGEX_SEARCH, &t.regex, &why) < 0)
        return lines_fail(l, "invalid expression \"%.*s\": %s", TOC_SV_ARG(pattern), why.message);
    return add_text(to, t);
}

/* `msg:TEXT`, `regex:RE` or nothing. */
static int parse_text(struct lines *l, struct toc_sv rest, struct toc_test_texts *to) {
    static const struct toc_sv message = TOC_SV("msg:"), regex = TOC_SV("regex:");
    if (!rest.n)
        return add_text(to, (struct toc_test_text){.is_any = true});
    if (toc_sv_starts_with(rest, message)) {
        struct toc_sv text = toc_sv_trim(toc_sv_sub(rest, message.n, rest.n));
        return add_text(to, (struct toc_test_text){.text = text});
    }
    if (toc_sv_starts_with(rest, regex))
        return add_regex(l, to, toc_sv_trim(toc_sv_sub(rest, regex.n, rest.n)));
    return lines_fail(l, "expected msg:TEXT or regex:EXPRESSION, got \"%.*s\"", TOC_SV_ARG(rest));
}

static int parse_string(struct lines *l, struct toc_sv rest, struct toc_test_eval *e) {
    struct toc_err why = {0};
    size_t end = 0;
    e->has_string = true;
    if (toc_go_string_parse(rest, l->arena, &e->string, &end, &why) < 0)
        return lines_fail_with(l, &why);
    return end == rest.n ? 0 : lines_fail(l, "unexpected text behind the string");
}

static int parse_range_vector(struct lines *l, struct toc_sv rest, struct toc_test_eval *e) {
    if (!toc_sv_eq_cstr(take_word(&rest), "vector"))
        return lines_fail(l, "expected \"range vector from … to … step …\"");
    if (e->is_range)
        return lines_fail(l, "expect range vector is for instant queries");
    int rc = take_times(l, &rest, &e->range_vector);
    if (!rc && rest.n)
        return lines_fail(l, "unexpected text behind the step");
    e->has_range_vector = true;
    e->times.start_ms = e->range_vector.end_ms;
    return rc;
}

/* A line `expect …`, without its first word. */
static int parse_expect(struct lines *l, struct toc_sv rest, struct toc_test_eval *e) {
    struct toc_sv what = take_word(&rest);
    if (toc_sv_eq_cstr(what, "range"))
        return parse_range_vector(l, rest, e);
    if (toc_sv_eq_cstr(what, "string"))
        return parse_string(l, rest, e);
    if (toc_sv_eq_cstr(what, "warn"))
        return parse_text(l, rest, &e->warn);
    if (toc_sv_eq_cstr(what, "info"))
        return parse_text(l, rest, &e->info);
    if (toc_sv_eq_cstr(what, "fail")) {
        if (e->is_fail)
            return lines_fail(l, "expect fail is written twice");
        e->is_fail = true;
        return parse_text(l, rest, &e->fail);
    }
    if (rest.n)
        return lines_fail(l, "unexpected text behind \"%.*s\"", TOC_SV_ARG(what));
    if (toc_sv_eq_cstr(what, "ordered")) {
        e->is_ordered = true;
        return e->is_range ? lines_fail(l, "a range query has no order to expect") : 0;
    }
    if (toc_sv_eq_cstr(what, "no_warn"))
        e->no_warn = true;
    else if (toc_sv_eq_cstr(what, "no_info"))
        e->no_info = true;
    else
        return lines_fail(l, "unknown expectation \"%.*s\"", TOC_SV_ARG(what));
    return 0;
}

/* An integer with Go's prefixes or a float: the whole line. */
static bool parse_number(struct lines *l, struct toc_sv line, double *out) {
    struct toc_sv text = toc_arena_dup_sv(l->arena, line);
    if (!text.n || line.p[0] == '{')
        return false;
    size_t sign = text.p[0] == '+' || text.p[0] == '-';
    char *digits = (char *)(uintptr_t)text.p + sign, *end = NULL;
    bool has_prefix = digits[0] == '0' && digits[1] && strchr("xXbBoO", digits[1]);
    if (!has_prefix)
        return toc_parse_f64(line, out) == 0;
    int base = digits[1] == 'x' || digits[1] == 'X'   ? 16
               : digits[1] == 'b' || digits[1] == 'B' ? 2
                                                      : 8;
    errno = 0;
    long long value = strtoll(digits + 2, &end, base);
    if (errno || end == digits + 2 || *end)
        return toc_parse_f64(line, out) == 0;
    *out = text.p[0] == '-' ? -(double)value : (double)value;
    return true;
}

static int parse_result(struct lines *l, struct toc_sv line, struct toc_test_eval *e) {
    struct toc_err why = {0};
    struct toc_series_text series = {0};
    if (toc_series_text_parse(line, l->arena, &series, &why) < 0)
        return lines_fail_with(l, &why);
    if (series.count > 1 && !e->is_range && !e->has_range_vector)
        return lines_fail(l, "expecting multiple values in instant evaluation not allowed");
    TOC_VEC_PUSH(&e->series, series);
    return 0;
}

/* The forms before `expect`: they end the block. */
static int parse_legacy_fail(struct lines *l, struct toc_sv line, struct toc_test_eval *e,
                             bool *out_is_legacy) {
    static const struct toc_sv message = TOC_SV("expected_fail_message"),
                               regex = TOC_SV("expected_fail_regexp");
    *out_is_legacy = true;
    texts_fini(&e->fail);
    if (toc_sv_starts_with(line, message)) {
        struct toc_sv text = toc_sv_trim(toc_sv_sub(line, message.n, line.n));
        return add_text(&e->fail, (struct toc_test_text){.text = text});
    }
    return add_regex(l, &e->fail, toc_sv_trim(toc_sv_sub(line, regex.n, line.n)));
}

static int parse_block(struct lines *l, struct toc_test_eval *e) {
    struct toc_sv line;
    int rc = 0;
    bool is_last = false;
    while (!rc && !is_last && lines_next(l, &line)) {
        struct toc_sv rest = line;
        if (e->is_fail && toc_sv_starts_with(line, TOC_SV("expected_fail_")))
            rc = parse_legacy_fail(l, line, e, &is_last);
        else if (toc_sv_eq_cstr(take_word(&rest), "expect"))
            rc = parse_expect(l, rest, e);
        else if (parse_number(l, line, &e->scalar))
            e->has_scalar = is_last = true;
        else
            rc = parse_result(l, line, e);
    }
    if (!rc && ((e->warn.count && e->no_warn) || (e->info.count && e->no_info)))
        return lines_fail(l, "an annotation is both expected and forbidden");
    return rc;
}

/* `eval`, `eval_fail`, `eval_warn`, `eval_info`, `eval_ordered`. */
static int parse_mode(struct lines *l, struct toc_sv word, struct toc_test_eval *e) {
    struct toc_sv mode = toc_sv_sub(word, 4, word.n);
    if (!mode.n)
        return 0;
    if (toc_sv_eq_cstr(mode, "_ordered")) {
        e->is_ordered = true;
        return 0;
    }
    if (toc_sv_eq_cstr(mode, "_fail")) {
        e->is_fail = true;
        return parse_text(l, TOC_SV_NULL, &e->fail);
    }
    if (toc_sv_eq_cstr(mode, "_warn"))
        return parse_text(l, TOC_SV_NULL, &e->warn);
    if (toc_sv_eq_cstr(mode, "_info"))
        return parse_text(l, TOC_SV_NULL, &e->info);
    return lines_fail(l, "invalid command \"%.*s\"", TOC_SV_ARG(word));
}

int parse_eval(struct lines *l, struct toc_sv head, struct toc_test_eval *e) {
    int rc = parse_mode(l, take_word(&head), e);
    struct toc_sv form = rc ? TOC_SV_NULL : take_word(&head);
    if (rc)
        return rc;
    e->is_range = toc_sv_eq_cstr(form, "range");
    if (!e->is_range && !toc_sv_eq_cstr(form, "instant"))
        return lines_fail(l, "expected \"eval instant\" or \"eval range\"");
    rc = e->is_range ? take_times(l, &head, &e->times)
                     : take_time(l, &head, "at", &e->times.start_ms);
    if (rc)
        return rc;
    e->expr = head;
    return head.n ? parse_block(l, e) : lines_fail(l, "the expression is missing");
}
