#include "base/map.h"
#include "base/num.h"
#include "collect/run_line_priv.h"

enum column_kind { COLUMN_FIELD, COLUMN_LABEL, COLUMN_STAT };

struct column {
    enum column_kind kind;
    struct toc_sv name;             /* field, label or statistic */
    size_t layer;                   /* COLUMN_STAT: index into layers */
    struct toc_run_meaning meaning; /* COLUMN_FIELD */
    struct toc_run_memo memo;
};

struct toc_run_columns {
    struct column *items;
    size_t count;
    struct toc_sv *layers;
    size_t layer_count;
    struct toc_map by_name;       /* layer → its place in layers; only while the header is read */
    struct toc_run_value *values; /* room for those of one row */
};

static size_t layer_index(struct toc_run_columns *c, struct toc_sv name) {
    const struct toc_sv *known = toc_map_get(&c->by_name, name);
    if (known)
        return (size_t)(known - c->layers);
    c->layers[c->layer_count] = name;
    toc_map_put(&c->by_name, name, &c->layers[c->layer_count]);
    return c->layer_count++;
}

/* "layers.head.w.grad_norm": the last dot separates the statistic. */
static bool parse_stat_column(struct toc_run_columns *c, struct toc_sv rest, struct column *out) {
    size_t dot = rest.n;
    while (dot > 0 && rest.p[dot - 1] != '.')
        dot--;
    if (dot < 2 || dot == rest.n)
        return false;
    *out = (struct column){.kind = COLUMN_STAT,
                           .name = toc_sv_sub(rest, dot, SIZE_MAX),
                           .layer = layer_index(c, toc_sv_sub(rest, 0, dot - 1))};
    return true;
}

static int parse_column(const struct toc_run_decoder *d, struct toc_run_columns *c,
                        struct toc_sv name, int number) {
    struct column *column = &c->items[c->count++];
    if (toc_sv_starts_with(name, TOC_SV("labels."))) {
        *column = (struct column){.kind = COLUMN_LABEL, .name = toc_sv_sub(name, 7, SIZE_MAX)};
        return 0;
    }
    if (!toc_sv_starts_with(name, TOC_SV("layers."))) {
        *column = (struct column){
            .kind = COLUMN_FIELD, .name = name, .meaning = toc_run_meaning_of(d->arena, name)};
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
            is_only = i == k || c->items[i].kind != COLUMN_FIELD ||
                      !toc_sv_eq(metric, toc_run_meaning_metric(&c->items[i].meaning));
        c->items[k].meaning.is_only = is_only;
    }
}

int toc_run_columns_parse(const struct toc_run_decoder *d, const struct toc_sv *names, size_t count,
                          int number, struct toc_run_columns **out) {
    struct toc_run_columns *c = TOC_ARENA_NEW(d->arena, struct toc_run_columns);
    if (c) {
        c->items = TOC_ARENA_NEW_ARRAY(d->arena, struct column, count + 1);
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

/* Layers appear in the header's order; one without any value in this row is left out. */
static int row_layers(const struct toc_run_decoder *d, const struct toc_run_columns *c,
                      const struct toc_sv *cells, struct toc_run_line *line) {
    if (!c->layer_count)
        return 0;
    struct toc_run_layer **made =
        TOC_ARENA_NEW_ARRAY(d->arena, struct toc_run_layer *, c->layer_count + 1);
    if (!made)
        return toc_errf(d->err, TOC_ENOMEM, "line %d: out of memory", line->number);
    for (size_t i = 0; i < c->count; i++) {
        const struct column *column = &c->items[i];
        if (column->kind != COLUMN_STAT || !toc_sv_trim(cells[i]).n)
            continue;
        if (!made[column->layer])
            made[column->layer] =
                toc_run_add_layer(d, line, c->layers[column->layer], TOC_RUN_STATS_MAX);
        if (!made[column->layer])
            return d->err ? d->err->code : TOC_EPARSE;
        struct toc_run_raw raw = {.type = TOC_RUN_RAW_TEXT, .text = cells[i], .is_csv = true};
        int rc = toc_run_add_stat(d, line, made[column->layer], column->name, &raw);
        if (rc)
            return rc;
    }
    return 0;
}

/* A plain number of a column whose series no other column has: what row_cell would do with it. */
static bool put_plain(const struct column *column, struct toc_sv cell, struct toc_run_line *line) {
    double number;
    if (!column->meaning.is_only || !cell.n || toc_read_json_number(cell, &number) != cell.n)
        return false;
    if (number == 0 && cell.p[0] == '-') /* -0 is an integer of JSON, but not the same as 0 */
        return false;
    struct toc_run_value *v = &line->values[line->value_count++];
    *v = column->meaning.value;
    v->value = number;
    line->has_loss |= v->kind == TOC_RUN_VALUE_LOSS;
    return true;
}

static int row_cell(const struct toc_run_decoder *d, const struct column *column,
                    struct toc_sv cell, struct toc_run_line *line) {
    if (put_plain(column, cell, line))
        return 0;
    if (column->kind == COLUMN_STAT || !toc_sv_trim(cell).n)
        return 0;
    struct toc_run_raw raw = {.type = TOC_RUN_RAW_TEXT, .text = cell, .is_csv = true};
    if (column->kind == COLUMN_LABEL)
        return toc_run_add_label(d, line, column->name, cell);
    return toc_run_set_meant(d, line, column->name, &column->meaning, &raw);
}

/* A row is applied before the next one is read: without layers they share one room. */
static int begin_row(const struct toc_run_decoder *d, const struct toc_run_columns *c, int number,
                     struct toc_run_line *out) {
    if (c->layer_count)
        return toc_run_line_init(d, number, c->count, c->layer_count, out);
    *out = (struct toc_run_line){.number = number, .values = c->values};
    return 0;
}

int toc_run_line_csv(const struct toc_run_decoder *d, const struct toc_run_columns *columns,
                     const struct toc_sv *cells, size_t count, int number,
                     struct toc_run_line *out) {
    if (count != columns->count)
        return toc_run_fail(d, number, "%zu cells, but the header has %zu columns", count,
                            columns->count);
    int rc = begin_row(d, columns, number, out);
    for (size_t i = 0; !rc && i < count; i++)
        rc = row_cell(d, &columns->items[i], cells[i], out);
    return rc ? rc : row_layers(d, columns, cells, out);
}
