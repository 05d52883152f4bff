/* `load STEP` and its series, each perhaps with a line of start timestamps before it. */
#include "base/time.h"
#include "promqltest/script_priv.h"

void toc_test_load_put(struct toc_test_load *load, const struct toc_test_series *series) {
    for (size_t i = 0; i < load->series.count; i++)
        if (toc_labels_eq(load->series.items[i].text.labels, series->text.labels)) {
            load->series.items[i] = *series;
            return;
        }
    TOC_VEC_PUSH(&load->series, *series);
}

static int check_starts(struct lines *l, const struct toc_start_text *starts,
                        const struct toc_series_text *series) {
    if (!toc_labels_eq(starts->labels, series->labels))
        return lines_fail(l, "@st metric does not match the following sample line metric");
    if (starts->count != series->count)
        return lines_fail(l, "@st line has %zu values but sample line has %zu", starts->count,
                          series->count);
    return 0;
}

static int parse_series(struct lines *l, struct toc_sv line, struct toc_test_load *out) {
    struct toc_err why = {0};
    struct toc_start_text starts = {0};
    struct toc_test_series series = {0};
    bool has_starts;
    if (toc_start_text_parse(line, l->arena, &starts, &has_starts, &why) < 0)
        return lines_fail_with(l, &why);
    if (has_starts && !lines_next(l, &line))
        return lines_fail(l, "@st line has no following sample line");
    if (toc_series_text_parse(line, l->arena, &series.text, &why) < 0)
        return lines_fail_with(l, &why);
    if (has_starts) {
        int rc = check_starts(l, &starts, &series.text);
        if (rc)
            return rc;
        series.starts = starts.values;
    }
    toc_test_load_put(out, &series);
    return 0;
}

int parse_load(struct lines *l, struct toc_sv head, struct toc_test_load *out) {
    struct toc_err why = {0};
    struct toc_sv word = take_word(&head), line;
    out->with_nhcb = toc_sv_eq_cstr(word, "load_with_nhcb");
    if (!out->with_nhcb && !toc_sv_eq_cstr(word, "load"))
        return lines_fail(l, "invalid load command, expected load or load_with_nhcb");
    if (toc_duration_parse(head, &out->step_ms, &why) < 0)
        return lines_fail(l, "invalid step \"%.*s\": %s", TOC_SV_ARG(head), why.message);
    while (lines_next(l, &line)) {
        int rc = parse_series(l, line, out);
        if (rc)
            return rc;
    }
    return 0;
}
