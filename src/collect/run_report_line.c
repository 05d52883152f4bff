/* A report of a feed as a line of the run protocol, without the detour of its text. */
#include "collect/report_field_priv.h"
#include "collect/run_report_line_priv.h"

/* A number whose series no other field of the report has: simply put. */
static bool put_plain(const struct toc_report_value *from, struct toc_run_line *line) {
    const struct toc_run_meaning *m = &from->field->meaning;
    if (m->row >= 0 || m->is_reserved || !m->value.metric.n ||
        line->value_count == TOC_RUN_VALUES_MAX)
        return false;
    for (size_t i = 0; i < line->value_count; i++)
        if (toc_sv_eq(line->values[i].metric, m->value.metric))
            return false;
    struct toc_run_value *v = &line->values[line->value_count++];
    *v = m->value;
    v->value = from->value;
    line->has_loss |= v->kind == TOC_RUN_VALUE_LOSS;
    return true;
}

static int put_values(const struct toc_run_decoder *d, const struct toc_run_report *r,
                      struct toc_run_line *line) {
    int rc = 0;
    for (size_t i = 0; !rc && i < r->value_count; i++) {
        const struct toc_report_field *f = r->values[i].field;
        if (put_plain(&r->values[i], line))
            continue;
        struct toc_run_raw raw = {.type = TOC_RUN_RAW_NUMBER, .number = r->values[i].value};
        rc = toc_run_set_meant(d, line, f->name, &f->meaning, &raw);
    }
    return rc;
}

static int put_scalars(const struct toc_run_decoder *d, const struct toc_run_report *r,
                       struct toc_run_line *line) {
    if (r->scalar_count > TOC_RUN_SCALARS_MAX)
        return toc_run_fail(d, line->number, "more than %d numbers in \"scalars\"",
                            TOC_RUN_SCALARS_MAX);
    if (!r->scalar_count)
        return 0;
    line->scalars = TOC_ARENA_NEW_ARRAY(d->arena, struct toc_run_scalar, r->scalar_count);
    if (!line->scalars)
        return toc_errf(d->err, TOC_ENOMEM, "line %d: out of memory", line->number);
    for (size_t i = 0; i < r->scalar_count; i++) {
        struct toc_report_field *f = r->scalars[i].field;
        line->scalars[line->scalar_count++] =
            (struct toc_run_scalar){f->name, r->scalars[i].value, &f->memo};
    }
    return 0;
}

static int put_layer(const struct toc_run_decoder *d, const struct toc_report_layer *from,
                     struct toc_run_line *line) {
    struct toc_run_layer *layer = toc_run_add_layer(d, line, from->name, from->count);
    if (!layer)
        return d->err->code;
    if (from->count > TOC_RUN_STATS_MAX)
        return toc_run_fail(d, line->number, "layer %.*s: more than %d statistics",
                            TOC_SV_ARG(from->name), TOC_RUN_STATS_MAX);
    for (size_t i = 0; i < from->count; i++) {
        struct toc_run_value v = from->stats[i].field->meaning.value;
        v.value = from->stats[i].value;
        layer->stats[layer->count++] = v;
    }
    return 0;
}

static int set_head(const struct toc_run_decoder *d, const struct toc_run_report *r,
                    struct toc_run_line *line) {
    static const int64_t step_max = INT64_C(9007199254740992); /* 2^53 */
    if (r->t.ms <= 0)
        return toc_run_fail(d, line->number, "a time before 1970");
    if (r->has_step && (r->step < 0 || r->step > step_max))
        return toc_run_fail(d, line->number, "\"step\" must be an integer from 0 on");
    line->has_t = true;
    line->t_ms = r->t.ms;
    line->has_step = r->has_step;
    line->step = r->step;
    line->is_partial = r->is_partial;
    line->has_event = r->is_restart;
    line->event = TOC_RUN_EVENT_RESTART;
    line->message = r->message;
    return 0;
}

/* Room for what the report holds; it has no labels. */
static int make_room(const struct toc_run_decoder *d, const struct toc_run_report *r,
                     struct toc_run_line *line) {
    size_t values = TOC_MIN(r->value_count, (size_t)TOC_RUN_VALUES_MAX);
    size_t layers = TOC_MIN(r->layer_count, (size_t)TOC_RUN_LAYERS_MAX);
    line->values = TOC_ARENA_NEW_ARRAY(d->arena, struct toc_run_value, values);
    if (layers)
        line->layers = TOC_ARENA_NEW_ARRAY(d->arena, struct toc_run_layer, layers);
    return line->values && (line->layers || !layers)
               ? 0
               : toc_errf(d->err, TOC_ENOMEM, "line %d: out of memory", line->number);
}

int toc_run_line_report(const struct toc_run_decoder *d, const struct toc_run_report *r, int number,
                        struct toc_run_line *out) {
    *out = (struct toc_run_line){.number = number};
    int rc = set_head(d, r, out);
    if (!rc)
        rc = make_room(d, r, out);
    if (!rc)
        rc = put_values(d, r, out);
    if (!rc)
        rc = put_scalars(d, r, out);
    for (size_t i = 0; !rc && i < r->layer_count; i++)
        rc = put_layer(d, &r->layers[i], out);
    return rc;
}
