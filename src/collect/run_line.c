#include "collect/run_line_priv.h"

#include "codec/json.h"
#include "collect/run_shape_priv.h"

/* What the scan before the parser finds. */
struct scan {
    bool has_bare; /* NaN, Infinity, -Infinity outside strings */
    int depth;
};

static struct scan scan_line(struct toc_sv s) {
    struct scan r = {0};
    bool in_string = false;
    int depth = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
            continue;
        }
        in_string = c == '"';
        r.has_bare |= c == 'N' || c == 'I';
        depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        r.depth = TOC_MAX(r.depth, depth);
    }
    return r;
}

static const struct {
    const char *bare;
    const char *quoted;
} tokens[] = {{"NaN", "\"NaN\""}, {"Infinity", "\"+Inf\""}, {"-Infinity", "\"-Inf\""}};

/* Puts the bare tokens that Python's json module writes into quotes. */
static struct toc_sv quote_bare(struct toc_arena *a, struct toc_sv s) {
    char *out = toc_arena_alloc(a, s.n * 2 + 1); /* "NaN" grows from 3 to 5 bytes at most */
    size_t n = 0;
    bool in_string = false;
    for (size_t i = 0; out && i < s.n; i++) {
        struct toc_sv rest = toc_sv_sub(s, i, SIZE_MAX);
        size_t t = 0;
        while (!in_string && t < TOC_ARRAY_LEN(tokens) &&
               !toc_sv_starts_with(rest, toc_sv_cstr(tokens[t].bare)))
            t++;
        if (!in_string && t < TOC_ARRAY_LEN(tokens)) {
            size_t size = strlen(tokens[t].quoted);
            memcpy(out + n, tokens[t].quoted, size);
            n += size;
            i += strlen(tokens[t].bare) - 1;
            continue;
        }
        if (in_string && s.p[i] == '\\' && i + 1 < s.n)
            out[n++] = s.p[i++];
        else if (s.p[i] == '"')
            in_string = !in_string;
        out[n++] = s.p[i];
    }
    return out ? toc_sv_make(out, n) : TOC_SV_NULL;
}

static struct toc_run_raw raw_of(const struct toc_json *v) {
    struct toc_run_raw raw = {.type = TOC_RUN_RAW_OTHER};
    if (v->type == TOC_JSON_INT || v->type == TOC_JSON_DOUBLE)
        raw = (struct toc_run_raw){.type = TOC_RUN_RAW_NUMBER, .number = v->number};
    else if (v->type == TOC_JSON_STRING)
        raw = (struct toc_run_raw){.type = TOC_RUN_RAW_TEXT, .text = v->string};
    else if (v->type == TOC_JSON_BOOL)
        raw = (struct toc_run_raw){.type = TOC_RUN_RAW_BOOL, .boolean = v->boolean};
    return raw;
}

static int json_layer(const struct toc_run_decoder *d, struct toc_run_line *line,
                      const struct toc_json *v) {
    if (v->type == TOC_JSON_NULL)
        return 0;
    if (v->type != TOC_JSON_OBJECT)
        return toc_run_fail(d, line->number, "layer %.*s must be an object of statistics",
                            TOC_SV_ARG(toc_sv_sub(v->key, 0, 64)));
    struct toc_run_layer *layer = toc_run_add_layer(d, line, v->key, v->count);
    if (!layer)
        return d->err ? d->err->code : TOC_EPARSE;
    for (size_t i = 0; i < v->count; i++) {
        struct toc_run_raw raw = raw_of(&v->items[i]);
        int rc = v->items[i].type == TOC_JSON_NULL
                     ? 0
                     : toc_run_add_stat(d, line, layer, v->items[i].key, &raw);
        if (rc)
            return rc;
    }
    return 0;
}

static int json_label(const struct toc_run_decoder *d, struct toc_run_line *line,
                      const struct toc_json *v) {
    if (v->type == TOC_JSON_NULL)
        return 0;
    if (v->type != TOC_JSON_STRING)
        return toc_run_fail(d, line->number, "label \"%.*s\" must be a string: put it into quotes",
                            TOC_SV_ARG(toc_sv_sub(v->key, 0, 64)));
    return toc_run_add_label(d, line, v->key, v->string);
}

static int json_members(const struct toc_run_decoder *d, struct toc_run_line *line,
                        const struct toc_json *object,
                        int (*fn)(const struct toc_run_decoder *, struct toc_run_line *,
                                  const struct toc_json *)) {
    if (object->type != TOC_JSON_OBJECT)
        return toc_run_fail(d, line->number, "\"%.*s\" must be an object", TOC_SV_ARG(object->key));
    int rc = 0;
    for (size_t i = 0; !rc && i < object->count; i++)
        rc = fn(d, line, &object->items[i]);
    return rc;
}

static int json_scalar(const struct toc_run_decoder *d, struct toc_run_line *line,
                       const struct toc_json *v) {
    struct toc_run_raw raw = raw_of(v);
    return v->type == TOC_JSON_NULL ? 0 : toc_run_add_scalar(d, line, v->key, &raw);
}

static int json_scalars(const struct toc_run_decoder *d, struct toc_run_line *line,
                        const struct toc_json *v) {
    line->scalars = TOC_ARENA_NEW_ARRAY(d->arena, struct toc_run_scalar,
                                        TOC_MIN(v->count + 1, (size_t)TOC_RUN_SCALARS_MAX));
    return line->scalars ? json_members(d, line, v, json_scalar)
                         : toc_errf(d->err, TOC_ENOMEM, "line %d: out of memory", line->number);
}

static int json_field(const struct toc_run_decoder *d, struct toc_run_line *line,
                      const struct toc_json *v) {
    if (v->type == TOC_JSON_NULL)
        return 0;
    if (toc_sv_eq_cstr(v->key, "layers"))
        return json_members(d, line, v, json_layer);
    if (toc_sv_eq_cstr(v->key, "labels"))
        return json_members(d, line, v, json_label);
    if (toc_sv_eq_cstr(v->key, "scalars"))
        return json_scalars(d, line, v);
    struct toc_run_raw raw = raw_of(v);
    return toc_run_set_field(d, line, v->key, &raw);
}

/* By the parser; *out_root: the tree that was read. */
static int parse_line(const struct toc_run_decoder *d, struct toc_sv text, int number,
                      struct toc_run_line *out, const struct toc_json **out_root) {
    if (text.n > TOC_RUN_LINE_MAX_BYTES)
        return toc_run_fail(d, number, "%zu bytes: a line has at most %d", text.n,
                            TOC_RUN_LINE_MAX_BYTES);
    struct scan scan = scan_line(text);
    if (scan.depth > TOC_RUN_DEPTH_MAX)
        return toc_run_fail(d, number, "nested %d deep: at most %d", scan.depth, TOC_RUN_DEPTH_MAX);
    if (scan.has_bare)
        text = quote_bare(d->arena, text);
    const struct toc_json *root = NULL;
    struct toc_err why = {0};
    int rc = toc_json_parse(text, d->arena, &root, &why);
    if (rc == TOC_ENOMEM)
        return toc_errf(d->err, rc, "line %d: out of memory", number);
    if (rc)
        return toc_err_at(d->err, TOC_EPARSE, number, why.column,
                          "line %d: not JSON: %.300s; each line must be one JSON object", number,
                          why.message);
    if (root->type != TOC_JSON_OBJECT)
        return toc_run_fail(d, number,
                            "a line must be a JSON object such as {\"step\":1,\"loss\":2.3}");
    const struct toc_json *layers = toc_json_get(root, "layers");
    rc = toc_run_line_init(d, number, root->count, layers ? layers->count : 0, out);
    for (size_t i = 0; !rc && i < root->count; i++)
        rc = json_field(d, out, &root->items[i]);
    *out_root = root;
    return rc;
}

int toc_run_line_json(const struct toc_run_decoder *d, struct toc_sv text, int number,
                      struct toc_run_line *out) {
    const struct toc_json *root = NULL;
    if (d->shapes && text.n <= TOC_RUN_LINE_MAX_BYTES &&
        toc_run_shapes_read(d->shapes, d, text, number, out))
        return 0;
    int rc = parse_line(d, text, number, out, &root);
    if (!rc && d->shapes)
        toc_run_shapes_learn(d->shapes, text, root);
    return rc;
}
