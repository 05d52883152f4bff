/* Oracles: the exact scanner and simdjson agree on what JSON is; what is parsed, written and parsed
 * again is the same tree. */
#include <stdlib.h>

#include "codec/json.h"
#include "codec/json_scan_priv.h"
#include "codec/json_writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_tree(struct toc_json_writer *w, const struct toc_json *n) {
    switch (n->type) {
    case TOC_JSON_NULL:
        toc_json_null(w);
        return;
    case TOC_JSON_BOOL:
        toc_json_bool(w, n->boolean);
        return;
    case TOC_JSON_INT:
        toc_json_int(w, n->integer);
        return;
    case TOC_JSON_DOUBLE:
        toc_json_double(w, n->number);
        return;
    case TOC_JSON_STRING:
        toc_json_string(w, n->string);
        return;
    case TOC_JSON_ARRAY:
    case TOC_JSON_OBJECT:
        break;
    }
    bool is_object = n->type == TOC_JSON_OBJECT;
    is_object ? toc_json_begin_object(w) : toc_json_begin_array(w);
    for (size_t i = 0; i < n->count; i++) {
        if (is_object)
            toc_json_key_sv(w, n->items[i].key);
        write_tree(w, &n->items[i]);
    }
    is_object ? toc_json_end_object(w) : toc_json_end_array(w);
}

static bool is_same(const struct toc_json *a, const struct toc_json *b) {
    bool is_number = (a->type == TOC_JSON_INT || a->type == TOC_JSON_DOUBLE) &&
                     (b->type == TOC_JSON_INT || b->type == TOC_JSON_DOUBLE);
    if (is_number) /* 1.0 is written as 1 */
        return a->number == b->number && toc_sv_eq(a->key, b->key);
    if (a->type != b->type || a->count != b->count || a->boolean != b->boolean ||
        !toc_sv_eq(a->key, b->key) || !toc_sv_eq(a->string, b->string))
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!is_same(&a->items[i], &b->items[i]))
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_sv text = toc_sv_make((const char *)data, size);
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_err err = {0};
    const struct toc_json *tree, *again;
    int rc = toc_json_parse(text, &a, &tree, &err);
    struct toc_json_place place = toc_json_scan(text, 64, SIZE_MAX);
    bool is_duplicate = rc && strstr(err.message, "given twice");
    if ((rc == 0 || is_duplicate) != (place.what == NULL))
        abort();
    if (rc && (err.line < 1 || err.column < 1 || !err.message[0]))
        abort();
    struct toc_buf out = TOC_BUF_INIT;
    if (!rc) {
        struct toc_json_writer w;
        toc_json_writer_init(&w, &out);
        write_tree(&w, tree);
        if (toc_json_parse(toc_buf_sv(&out), &a, &again, NULL) || !is_same(tree, again))
            abort();
    }
    toc_buf_fini(&out);
    toc_arena_fini(&a);
    return 0;
}
