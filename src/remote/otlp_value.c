#include "remote/otlp_value.h"

#include <stdlib.h>

#include "base/num.h"
#include "codec/json_writer.h"
#include "codec/text.h"
#include "remote/otlp_message.h"

static struct toc_sv keep(struct toc_buf *b, struct toc_arena *arena) {
    struct toc_sv kept = toc_buf_error(b) ? TOC_SV_NULL : toc_arena_dup_sv(arena, toc_buf_sv(b));
    toc_buf_fini(b);
    return kept;
}

struct toc_sv otlp_base64(struct toc_sv bytes, struct toc_arena *arena) {
    struct toc_buf b = TOC_BUF_INIT;
    toc_base64_encode(bytes, &b);
    return keep(&b, arena);
}

struct toc_sv otlp_hex(struct toc_sv bytes, struct toc_arena *arena) {
    struct toc_buf b = TOC_BUF_INIT;
    bool is_zero = true;
    for (size_t i = 0; i < bytes.n && is_zero; i++)
        is_zero = bytes.p[i] == 0;
    if (is_zero)
        return TOC_SV("");
    toc_hex_encode(bytes, &b);
    return keep(&b, arena);
}

/* A number as itself, a number that JSON does not have as a string. */
static struct toc_sv double_text(double v, struct toc_arena *arena) {
    char text[TOC_F64_TEXT_MAX];
    return toc_arena_dup_sv(arena, toc_sv_make(text, toc_f64_text(v, TOC_F64_JSON, text)));
}

struct frame {
    const struct toc_json **items; /* children, maps by key */
    size_t count, at;
    bool is_map;
};

static int by_key(const void *a, const void *b) {
    const struct toc_json *const *x = a, *const *y = b;
    int order = toc_sv_cmp((*x)->key, (*y)->key);
    return order ? order : *x < *y ? -1 : *x > *y;
}

static bool open_frame(struct frame *f, const struct toc_json *v, struct toc_json_writer *w,
                       struct toc_arena *arena) {
    *f = (struct frame){.count = v->count, .is_map = v->type == TOC_JSON_OBJECT};
    f->items = TOC_ARENA_NEW_ARRAY(arena, const struct toc_json *, v->count + 1);
    if (!f->items)
        return false;
    for (size_t i = 0; i < v->count; i++)
        f->items[i] = &v->items[i];
    if (f->is_map) {
        qsort(f->items, f->count, sizeof *f->items, by_key);
        toc_json_begin_object(w);
    } else {
        toc_json_begin_array(w);
    }
    return true;
}

static void write_scalar(struct toc_json_writer *w, const struct toc_json *v) {
    if (v->type == TOC_JSON_BOOL)
        toc_json_bool(w, v->boolean);
    else if (v->type == TOC_JSON_INT)
        toc_json_int(w, v->integer);
    else if (v->type == TOC_JSON_DOUBLE)
        toc_json_double(w, v->number);
    else if (v->type == TOC_JSON_STRING)
        toc_json_string(w, v->string);
    else
        toc_json_null(w);
}

static bool is_composite(const struct toc_json *v) {
    return v->type == TOC_JSON_OBJECT || v->type == TOC_JSON_ARRAY;
}

static struct toc_sv composite_text(const struct toc_json *v, struct toc_arena *arena) {
    struct frame stack[TOC_OTLP_VALUE_DEPTH_MAX + 1];
    struct toc_buf b = TOC_BUF_INIT;
    struct toc_json_writer w;
    size_t depth = 1;
    toc_json_writer_init(&w, &b);
    bool is_good = open_frame(&stack[0], v, &w, arena);
    while (is_good && depth) {
        struct frame *f = &stack[depth - 1];
        if (f->at == f->count) {
            if (f->is_map)
                toc_json_end_object(&w);
            else
                toc_json_end_array(&w);
            depth--;
            continue;
        }
        const struct toc_json *child = f->items[f->at++];
        if (f->is_map)
            toc_json_key_sv(&w, child->key);
        if (is_composite(child))
            is_good =
                depth <= TOC_OTLP_VALUE_DEPTH_MAX && open_frame(&stack[depth++], child, &w, arena);
        else
            write_scalar(&w, child);
    }
    if (!is_good) {
        toc_buf_fini(&b);
        return TOC_SV_NULL;
    }
    return keep(&b, arena);
}

struct toc_sv otlp_value_text(const struct toc_json *v, struct toc_arena *arena) {
    struct toc_buf b = TOC_BUF_INIT;
    switch (v->type) {
    case TOC_JSON_STRING:
        return v->string;
    case TOC_JSON_BOOL:
        return v->boolean ? TOC_SV("true") : TOC_SV("false");
    case TOC_JSON_INT:
        toc_buf_printf(&b, "%lld", (long long)v->integer);
        return keep(&b, arena);
    case TOC_JSON_DOUBLE:
        return double_text(v->number, arena);
    case TOC_JSON_ARRAY:
    case TOC_JSON_OBJECT:
        return composite_text(v, arena);
    default:
        return TOC_SV("");
    }
}
