/* The header of a CSV body: what its columns mean. */
#include "collect/run_csv_priv.h"

static size_t layer_index(struct toc_run_columns *c, struct toc_sv name) {
    const struct toc_sv *known = toc_map_get(&c->by_name, name);
    if (known)
        return (size_t)(known - c->layers);
    c->layers[c->layer_count] = name;
    toc_map_put(&c->by_name, name, &c->layers[c->layer_count]);
    return c->layer_count++;
}

/* "layers.head.w.grad_norm": the last dot separates the statistic. */
static bool parse_stat_column(struct toc_run_columns *c, struct toc_sv rest,
                              struct toc_run_column *out) {
    size_t dot = rest.n;
    while (dot > 0 && rest.p[dot - 1] != '.')
        dot--;
    if (dot < 2 || dot == rest.n)
        return false;
    *out = (struct toc_run_column){.kind = TOC_RUN_COLUMN_STAT,
                                   .name = toc_sv_sub(rest, dot, SIZE_MAX),
                                   .layer = layer_index(c, toc_sv_sub(rest, 0, dot - 1))};
    return true;
}

static int parse_column(const struct toc_run_decoder *d, struct toc_run_columns *c,
                        struct toc_sv name, int number) {
    struct toc_run_column *column = &c->items[c->count++];
    if (toc_sv_starts_with(name, TOC_SV("labels."))) {
        *column = (struct toc_run_column){.kind = TOC_RUN_COLUMN_LABEL,
                                          .name = toc_sv_sub(name, 7, SIZE_MAX)};
        return 0;
    }
    if (!toc_sv_starts_with(name, TOC_SV("layers."))) {
        *column = (struct toc_run_column){.kind = TOC_RUN_COLUMN_FIELD,
                                          .name = name,
                                          .meaning = toc_run_meaning_of(d->arena, name)};
        column->meaning.value.memo = &column->memo;
        return 0;
    }
    if (!parse_stat_column(c, toc_sv_sub(name, 7, SIZE_MAX), column))
        return toc_run_fail(d, number, "column \"%.*s\": write layers.<layer>.<statistic>",
                            TOC_SV_ARG(toc_sv_sub(name, 0, 100)));
    return 0;
}

static int refuse_twins(const struct toc_run_decoder *d, const struct toc_sv *names, size_t count,
                        int number) {
    struct toc_map seen = TOC_MAP_INIT;
    int rc = 0;
    for (size_t i = 0; !rc && i < count; i++)
        if (names[i].n && toc_map_put(&seen, names[i], d->arena))
            rc = toc_run_fail(d, number, "column \"%.*s\" appears twice",
                              TOC_SV_ARG(toc_sv_sub(names[i], 0, 100)));
    toc_map_fini(&seen);
    return rc;
}

/* Columns whose series no other column has. */
static void find_only(struct toc_run_columns *c) {
    for (size_t k = 0; k < c->count && c->count <= TOC_RUN_VALUES_MAX; k++) {
        struct toc_sv metric = toc_run_meaning_metric(&c->items[k].meaning);
        bool is_only = metric.n > 0;
        for (size_t i = 0; is_only && i < c->count; i++)
            is_only = i == k || c->items[i].kind != TOC_RUN_COLUMN_FIELD ||
                      !toc_sv_eq(metric, toc_run_meaning_metric(&c->items[i].meaning));
        c->items[k].meaning.is_only = is_only;
    }
}

int toc_run_columns_parse(const struct toc_run_decoder *d, const struct toc_sv *names, size_t count,
                          int number, struct toc_run_columns **out) {
    struct toc_run_columns *c = TOC_ARENA_NEW(d->arena, struct toc_run_columns);
    if (c) {
        c->items = TOC_ARENA_NEW_ARRAY(d->arena, struct toc_run_column, count + 1);
        c->layers = TOC_ARENA_NEW_ARRAY(d->arena, struct toc_sv, count + 1);
        c->values = TOC_ARENA_NEW_ARRAY(d->arena, struct toc_run_value,
                                        TOC_MIN(count + 1, (size_t)TOC_RUN_VALUES_MAX));
    }
    if (!c || !c->items || !c->layers || !c->values)
        return toc_errf(d->err, TOC_ENOMEM, "line %d: out of memory", number);
    int rc = refuse_twins(d, names, count, number);
    for (size_t i = 0; !rc && i < count; i++)
        rc = parse_column(d, c, toc_sv_trim(names[i]), number);
    if (!rc && c->layer_count > TOC_RUN_LAYERS_MAX)
        rc = toc_run_fail(d, number, "more than %d layers", TOC_RUN_LAYERS_MAX);
    toc_map_fini(&c->by_name);
    find_only(c);
    *out = c;
    return rc;
}
