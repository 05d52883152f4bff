/* The items behind a series: numbers, ramps, gaps, histograms, start timestamps. */
#include "promqltest/series_text.h"

#include "base/time.h"
#include "model/histogram_math.h"
#include "model/sample.h"
#include "promqltest/cursor_priv.h"

struct items {
    TOC_VEC_FIELDS(struct toc_sequence_value)
};

/* `xN`: how many copies follow the first; 0 when there is no such suffix. */
static int read_times(struct cursor *c, uint64_t *out, bool *out_has) {
    *out = 0;
    *out_has = cursor_take(c, TOC_SV("x"));
    if (!*out_has)
        return 0;
    int rc = cursor_count(c, out);
    if (!rc && *out > TOC_SEQUENCE_MAX)
        return cursor_fail(c, "more than %d items in a series", TOC_SEQUENCE_MAX);
    return rc;
}

static int push(struct cursor *c, struct items *items, struct toc_sequence_value v) {
    if (items->count >= TOC_SEQUENCE_MAX)
        return cursor_fail(c, "more than %d items in a series", TOC_SEQUENCE_MAX);
    TOC_VEC_PUSH(items, v);
    return 0;
}

/* `_` or `_xN`. */
static int read_gap(struct cursor *c, struct items *items) {
    uint64_t times;
    bool has_times;
    c->at++;
    int rc = read_times(c, &times, &has_times);
    uint64_t count = has_times ? times : 1;
    for (uint64_t i = 0; !rc && i < count; i++)
        rc = push(c, items, (struct toc_sequence_value){.is_missing = true});
    return rc;
}

/* `V`, `VxN`, `V+DxN`, `V-DxN`; `stale` stands for a value. */
static int read_floats(struct cursor *c, struct items *items) {
    double value = toc_stale_nan(), step = 0;
    uint64_t times;
    bool has_times, has_step = false;
    int rc = cursor_take(c, TOC_SV("stale")) ? 0 : cursor_number(c, &value);
    if (!rc && (cursor_peek(c) == '+' || cursor_peek(c) == '-')) {
        has_step = true;
        rc = cursor_number(c, &step);
    }
    if (!rc)
        rc = read_times(c, &times, &has_times);
    if (!rc && has_step && !has_times)
        return cursor_fail(c, "expected \"x\" and a count behind a step");
    for (uint64_t i = 0; !rc && i <= times; i++) {
        rc = push(c, items, (struct toc_sequence_value){.value = value});
        if (has_step)
            value += step;
    }
    return rc;
}

/* The next one of a ramp of histograms. */
static int step_histogram(struct cursor *c, const struct toc_histogram **current,
                          const struct toc_histogram *step, bool is_minus) {
    struct toc_histogram_notes notes = {0};
    if ((*current)->schema > step->schema)
        return cursor_fail(c, "error combining histograms: cannot merge from schema %d to %d",
                           step->schema, (*current)->schema);
    *current = is_minus ? toc_histogram_sub(*current, step, c->arena, &notes)
                        : toc_histogram_add(*current, step, c->arena, &notes);
    if (!*current)
        return cursor_fail(c, "error combining histograms: %s",
                           notes.is_incompatible ? "exponential with custom buckets"
                                                 : "out of memory");
    return 0;
}

static int read_histograms(struct cursor *c, struct items *items) {
    struct toc_histogram *first = NULL, *step = NULL;
    bool has_hint = false, step_has_hint = false, has_times, is_minus = false;
    uint64_t times;
    int rc = cursor_histogram(c, &first, &has_hint);
    if (!rc && (cursor_has(c, TOC_SV("+{{")) || cursor_has(c, TOC_SV("-{{")))) {
        is_minus = cursor_peek(c) == '-';
        c->at++;
        rc = cursor_histogram(c, &step, &step_has_hint);
    }
    if (!rc)
        rc = read_times(c, &times, &has_times);
    if (!rc && step && !has_times)
        return cursor_fail(c, "expected \"x\" and a count behind a step");
    const struct toc_histogram *current = first;
    for (uint64_t i = 0; !rc && i <= times; i++) {
        rc = push(c, items,
                  (struct toc_sequence_value){.histogram = current,
                                              .has_hint = has_hint || step_has_hint});
        if (!rc && step && i < times)
            rc = step_histogram(c, &current, step, is_minus);
    }
    return rc;
}

static int read_item(struct cursor *c, struct items *items) {
    int rc = cursor_peek(c) == '_'         ? read_gap(c, items)
             : cursor_has(c, TOC_SV("{{")) ? read_histograms(c, items)
                                           : read_floats(c, items);
    if (!rc && !cursor_is_at_end(c) && !cursor_is_blank(cursor_peek(c)))
        return cursor_fail(c, "unexpected text \"%.*s\" in a series",
                           TOC_SV_ARG(toc_sv_sub(c->text, c->at, 40)));
    return rc;
}

static int read_items(struct cursor *c, struct toc_series_text *out) {
    struct items items = {0};
    int rc = 0;
    for (cursor_skip_blanks(c); !rc && !cursor_is_at_end(c); cursor_skip_blanks(c))
        rc = read_item(c, &items);
    out->count = items.count;
    out->values = TOC_ARENA_NEW_ARRAY(c->arena, struct toc_sequence_value, items.count + 1);
    if (!rc && !out->values)
        rc = TOC_ENOMEM;
    if (!rc && items.count)
        memcpy(out->values, items.items, items.count * sizeof *items.items);
    TOC_VEC_FINI(&items);
    return rc;
}

int toc_sequence_parse(struct toc_sv text, struct toc_arena *arena, struct toc_series_text *out,
                       struct toc_err *err) {
    struct cursor c = {toc_sv_trim(text), 0, arena, err};
    return read_items(&c, out);
}

int toc_series_text_parse(struct toc_sv text, struct toc_arena *arena, struct toc_series_text *out,
                          struct toc_err *err) {
    struct cursor c = {toc_sv_trim(text), 0, arena, err};
    int rc = cursor_labels(&c, &out->labels);
    if (!rc && !cursor_is_at_end(&c) && !cursor_is_blank(cursor_peek(&c)))
        rc = cursor_fail(&c, "expected a blank between labels and items");
    return rc ? rc : read_items(&c, out);
}

/* ------------------------------------------------------------------------------------------------
 * start timestamps */

struct starts {
    TOC_VEC_FIELDS(struct toc_start_value)
};

static int read_signed_duration(struct cursor *c, int64_t *out_ms) {
    struct toc_err why = {0};
    bool is_minus = cursor_take(c, TOC_SV("-"));
    if (!is_minus)
        (void)cursor_take(c, TOC_SV("+"));
    struct toc_sv word = cursor_word(c, "+-x");
    if (toc_duration_parse(word, out_ms, &why) < 0)
        return cursor_fail(c, "%s", why.message);
    *out_ms = is_minus ? -*out_ms : *out_ms;
    return 0;
}

static int read_start(struct cursor *c, struct starts *starts) {
    int64_t value_ms = 0, step_ms = 0;
    uint64_t times = 0;
    bool has_times = false, is_gap = cursor_take(c, TOC_SV("_"));
    int rc = is_gap ? 0 : read_signed_duration(c, &value_ms);
    if (!rc && !is_gap && (cursor_peek(c) == '+' || cursor_peek(c) == '-'))
        rc = read_signed_duration(c, &step_ms);
    if (!rc)
        rc = read_times(c, &times, &has_times);
    /* `_x3` are three gaps, `1mx3` four values. */
    for (uint64_t i = is_gap && has_times ? 1 : 0; !rc && i <= times; i++) {
        struct toc_start_value v = {is_gap, value_ms};
        TOC_VEC_PUSH(starts, v);
        value_ms += step_ms;
    }
    return rc;
}

int toc_start_text_parse(struct toc_sv text, struct toc_arena *arena, struct toc_start_text *out,
                         bool *out_is_start, struct toc_err *err) {
    struct cursor c = {toc_sv_trim(text), 0, arena, err};
    struct starts starts = {0};
    int rc = cursor_labels(&c, &out->labels);
    *out_is_start = !rc && cursor_take(&c, TOC_SV("@st"));
    if (!*out_is_start)
        return rc;
    for (cursor_skip_blanks(&c); !rc && !cursor_is_at_end(&c); cursor_skip_blanks(&c))
        rc = read_start(&c, &starts);
    out->count = starts.count;
    out->values = TOC_ARENA_NEW_ARRAY(arena, struct toc_start_value, starts.count + 1);
    if (!rc && !out->values)
        rc = TOC_ENOMEM;
    if (!rc && starts.count)
        memcpy(out->values, starts.items, starts.count * sizeof *starts.items);
    TOC_VEC_FINI(&starts);
    return rc;
}
