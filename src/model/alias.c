#include "model/alias.h"

#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/num.h"
#include "base/vec.h"
#include "codec/table_text.h"

enum { COLUMN_KIND, COLUMN_CANONICAL, COLUMN_NAME, COLUMN_SOURCE, COLUMN_SCALE, COLUMNS };
enum { ROWS_MAX = 4096, TAG_MAX_BYTES = 512 };

struct toc_alias_table {
    char *text; /* all views point here */
    struct {
        TOC_VEC_FIELDS(struct toc_alias)
    } rows;
    struct toc_map tags;       /* normalised name → row number + 1 */
    struct toc_map canonicals; /* canonical name of a tag → row number + 1 */
};

extern const unsigned char toc_aliases_bytes[];
extern const unsigned long toc_aliases_size;

static const char *const g_columns[COLUMNS] = {"kind", "canonical", "name", "source", "scale"};
static const char *const g_kinds[] = {
#define X(name, word) word,
    TOC_ALIAS_KIND_TABLE(X)
#undef X
};

struct text {
    char p[TAG_MAX_BYTES];
    size_t n;
};

static struct toc_sv view(const struct text *t) {
    return toc_sv_make(t->p, t->n);
}

/* Lower case, with blanks, dots and hyphens as underscores: "Grad-Norm" is "grad_norm". Longer
 * names than any row has are empty. */
static struct text normalise(struct toc_sv name) {
    struct text t = {.n = name.n <= TAG_MAX_BYTES ? name.n : 0};
    for (size_t i = 0; i < t.n; i++) {
        char c = name.p[i];
        bool is_separator = c == ' ' || c == '-' || c == '.';
        t.p[i] = is_separator ? '_' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return t;
}

static int bad(struct toc_err *err, int row, int column, const char *what, struct toc_sv got) {
    return toc_table_bad(err, row, column, g_columns[column], what, got);
}

static bool is_word(struct toc_sv s, const char *extra) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        if (!is_plain && !strchr(extra, c))
            return false;
    }
    return s.n > 0;
}

/* A word from a list for what the kind means. */
static int check_canonical(enum toc_alias_kind kind, struct toc_sv canonical, int row,
                           struct toc_err *err) {
    static const char *const phases[] = {"train", "val"};
    static const char *const parts[] = {"grad", "param", "activation"};
    if (kind == TOC_ALIAS_PHASE && toc_table_word(phases, TOC_ARRAY_LEN(phases), canonical) < 0)
        return bad(err, row, COLUMN_CANONICAL, "expected train or val", canonical);
    bool is_part = kind == TOC_ALIAS_PREFIX || kind == TOC_ALIAS_SUFFIX;
    if (is_part && toc_table_word(parts, TOC_ARRAY_LEN(parts), canonical) < 0)
        return bad(err, row, COLUMN_CANONICAL, "expected grad, param or activation", canonical);
    if ((kind == TOC_ALIAS_TAG || kind == TOC_ALIAS_SUM) &&
        !toc_sv_starts_with(canonical, TOC_SV("train_")))
        return bad(err, row, COLUMN_CANONICAL, "expected a name that begins with train_",
                   canonical);
    return is_word(canonical, ":")
               ? 0
               : bad(err, row, COLUMN_CANONICAL, "expected letters, digits, underscores and colons",
                     canonical);
}

static int index_tag(struct toc_alias_table *t, const struct toc_alias *a, int row,
                     struct toc_err *err) {
    void *number = (void *)(uintptr_t)t->rows.count; /* of the row just added, from 1 */
    struct text name = normalise(a->name);
    if (toc_map_has(&t->tags, view(&name)))
        return bad(err, row, COLUMN_NAME, "this name is there already", a->name);
    toc_map_put(&t->tags, view(&name), number);
    if (!toc_map_has(&t->canonicals, a->canonical))
        toc_map_put(&t->canonicals, a->canonical, number);
    return 0;
}

static int add_row(void *table, struct toc_sv line, int row, struct toc_err *err) {
    struct toc_alias_table *t = table;
    struct toc_sv f[COLUMNS];
    int rc = toc_table_fields(line, row, f, COLUMNS, err);
    if (rc < 0)
        return rc;
    if (t->rows.count == ROWS_MAX)
        return toc_err_at(err, TOC_ELIMIT, row, 1, "more than %d rows", (int)ROWS_MAX);
    int kind = toc_table_word(g_kinds, TOC_ARRAY_LEN(g_kinds), f[COLUMN_KIND]);
    if (kind < 0)
        return bad(err, row, COLUMN_KIND, "unknown kind", f[COLUMN_KIND]);
    struct toc_alias a = {.kind = (enum toc_alias_kind)kind,
                          .canonical = f[COLUMN_CANONICAL],
                          .name = f[COLUMN_NAME],
                          .source = f[COLUMN_SOURCE],
                          .scale = 1};
    rc = check_canonical(a.kind, a.canonical, row, err);
    if (rc < 0)
        return rc;
    if (!a.name.n || a.name.n > TAG_MAX_BYTES)
        return bad(err, row, COLUMN_NAME, "expected 1 to 512 bytes", a.name);
    if (!is_word(a.source, "-"))
        return bad(err, row, COLUMN_SOURCE, "expected a word", a.source);
    if (toc_parse_f64(f[COLUMN_SCALE], &a.scale) < 0 || !isfinite(a.scale) || a.scale <= 0)
        return bad(err, row, COLUMN_SCALE, "expected a number above 0", f[COLUMN_SCALE]);
    TOC_VEC_PUSH(&t->rows, a);
    return a.kind == TOC_ALIAS_TAG || a.kind == TOC_ALIAS_SUM ? index_tag(t, &a, row, err) : 0;
}

int toc_alias_table_parse(struct toc_sv text, struct toc_alias_table **out_table,
                          struct toc_err *err) {
    struct toc_alias_table *t = TOC_NEW(struct toc_alias_table);
    t->text = toc_sv_dup_cstr(text);
    int rc = toc_table_each(toc_sv_make(t->text, text.n), add_row, t, err);
    if (rc < 0)
        toc_alias_table_free(&t);
    *out_table = t;
    return rc;
}

int toc_alias_table_builtin(struct toc_alias_table **out_table, struct toc_err *err) {
    return toc_alias_table_parse(toc_sv_make((const char *)toc_aliases_bytes, toc_aliases_size),
                                 out_table, err);
}

void toc_alias_table_free(struct toc_alias_table **table) {
    if (!table || !*table)
        return;
    toc_map_fini(&(*table)->tags);
    toc_map_fini(&(*table)->canonicals);
    TOC_VEC_FINI(&(*table)->rows);
    toc_free((*table)->text);
    toc_free(*table);
    *table = NULL;
}

size_t toc_alias_table_count(const struct toc_alias_table *t) {
    return t->rows.count;
}

const struct toc_alias *toc_alias_table_at(const struct toc_alias_table *t, size_t i) {
    return i < t->rows.count ? &t->rows.items[i] : NULL;
}

static const struct toc_alias *row_in(const struct toc_alias_table *t, const struct toc_map *m,
                                      struct toc_sv key) {
    uintptr_t number = (uintptr_t)toc_map_get(m, key);
    return number ? &t->rows.items[number - 1] : NULL;
}

/* "val", "train" or "" when the word names no phase. */
static struct toc_sv phase_of(const struct toc_alias_table *t, struct toc_sv word) {
    for (size_t i = 0; i < t->rows.count; i++)
        if (t->rows.items[i].kind == TOC_ALIAS_PHASE && toc_sv_eq(t->rows.items[i].name, word))
            return t->rows.items[i].canonical;
    return TOC_SV_NULL;
}

struct toc_sv toc_alias_phase(const struct toc_alias_table *t, struct toc_sv word) {
    struct text text = normalise(word);
    return phase_of(t, view(&text));
}

/* Cuts a phase off the start or the end of a tag, where `separator` parts it from the rest. */
static struct toc_sv cut_phase(const struct toc_alias_table *t, char separator,
                               struct toc_sv *tag) {
    size_t first = toc_sv_find_char(*tag, separator), last = tag->n;
    while (last > 0 && tag->p[last - 1] != separator)
        last--;
    if (first == SIZE_MAX)
        return TOC_SV_NULL;
    struct toc_sv phase = phase_of(t, toc_sv_sub(*tag, 0, first));
    if (phase.n) {
        *tag = toc_sv_sub(*tag, first + 1, SIZE_MAX);
        return phase;
    }
    phase = phase_of(t, toc_sv_sub(*tag, last, SIZE_MAX));
    if (phase.n)
        *tag = toc_sv_sub(*tag, 0, last - 1);
    return phase;
}

/* "train_val_loss" for "train_loss"; NULL when no row has that name. */
static const struct toc_alias *of_validation(const struct toc_alias_table *t,
                                             const struct toc_alias *a) {
    char name[TAG_MAX_BYTES];
    struct toc_sv rest = toc_sv_sub(a->canonical, sizeof "train_" - 1, SIZE_MAX);
    bool is_of_both = toc_sv_eq_cstr(rest, "epoch") || toc_sv_eq_cstr(rest, "step");
    if (is_of_both || toc_sv_starts_with(rest, TOC_SV("val_")))
        return a;
    int n = snprintf(name, sizeof name, "train_val_%.*s", TOC_SV_ARG(rest));
    return n < (int)sizeof name ? row_in(t, &t->canonicals, toc_sv_make(name, (size_t)n)) : NULL;
}

/* Lightning's "loss_step" and "loss_epoch". */
static struct toc_sv without_frequency(struct toc_sv tag) {
    static const char *const ends[] = {"_step", "_epoch"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(ends); i++)
        if (tag.n > strlen(ends[i]) && toc_sv_ends_with(tag, toc_sv_cstr(ends[i])))
            return toc_sv_sub(tag, 0, tag.n - strlen(ends[i]));
    return tag;
}

const struct toc_alias *toc_alias_of_tag(const struct toc_alias_table *t, struct toc_sv tag,
                                         bool is_validation) {
    struct text text = normalise(tag);
    struct toc_sv name = view(&text), phase = TOC_SV_NULL;
    const struct toc_alias *a = row_in(t, &t->tags, name);
    if (!a)
        a = row_in(t, &t->tags, name = without_frequency(name));
    if (!a) {
        phase = cut_phase(t, '/', &name);
        a = row_in(t, &t->tags, name);
    }
    if (!a) {
        struct toc_sv inner = cut_phase(t, '_', &name);
        phase = phase.n ? phase : inner;
        a = row_in(t, &t->tags, name);
    }
    if (!a)
        a = row_in(t, &t->tags, without_frequency(name));
    if (!a)
        return NULL;
    bool is_of_validation = toc_sv_eq_cstr(phase, "val") || (!phase.n && is_validation);
    return is_of_validation ? of_validation(t, a) : a;
}

struct toc_sv toc_alias_layer_of_tag(const struct toc_alias_table *t, struct toc_sv tag,
                                     struct toc_sv *out_what) {
    struct text text = normalise(tag); /* byte by byte: offsets are those of the tag */
    *out_what = TOC_SV("param");
    for (size_t i = 0; text.n && i < t->rows.count; i++) {
        const struct toc_alias *a = &t->rows.items[i];
        struct text part = normalise(a->name);
        bool is_prefix =
            a->kind == TOC_ALIAS_PREFIX && toc_sv_starts_with(view(&text), view(&part));
        bool is_suffix = a->kind == TOC_ALIAS_SUFFIX && toc_sv_ends_with(view(&text), view(&part));
        if ((!is_prefix && !is_suffix) || part.n >= tag.n)
            continue;
        *out_what = a->canonical;
        return is_prefix ? toc_sv_sub(tag, part.n, SIZE_MAX) : toc_sv_sub(tag, 0, tag.n - part.n);
    }
    return tag;
}
