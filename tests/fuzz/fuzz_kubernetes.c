/*
 * Each line is an event of a watch or a page of a list, of a kind by its first byte. Oracles: what
 * is refused has a reason; the group of every object that is kept can be made, and its texts are
 * UTF-8.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "collect/kubernetes/kubernetes_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void feed(struct kube_objects *o, struct toc_sv line) {
    char version[128];
    struct toc_err err = {0};
    struct toc_buf next = TOC_BUF_INIT;
    enum kube_kind kind = (enum kube_kind)((unsigned char)line.p[0] % KUBE_KIND_COUNT);
    struct toc_sv text = toc_sv_sub(line, 1, line.n);
    int rc = toc_kube_watch_event(o, kind, NULL, 1, text, version, &err);
    if (rc && !err.message[0])
        abort();
    toc_err_reset(&err);
    rc = toc_kube_watch_page(o, kind, NULL, 1, text, version, &next, &err);
    if (rc && !err.message[0])
        abort();
    toc_buf_fini(&next);
}

static void check_group(const struct toc_target_group *g) {
    for (size_t i = 0; i < g->label_count; i++)
        if (!toc_sv_is_utf8(g->labels[i].value) || !toc_sv_is_utf8(g->labels[i].name))
            abort();
    for (size_t i = 0; i < g->target_count; i++)
        for (size_t k = 0; k < g->own[i].count; k++)
            if (!toc_sv_is_utf8(g->own[i].items[k].value))
                abort();
}

static void make_all(struct kube_objects *o) {
    size_t at = 0;
    for (const struct toc_map_entry *e; (e = toc_map_next(&o->by_key[o->role], &at));) {
        struct toc_arena a;
        struct toc_target_group group;
        toc_arena_init(&a, 64 << 20);
        const struct toc_json *object = toc_kube_objects_get(o, o->role, e->key, &a);
        if (!object)
            abort();
        toc_kube_group_make(o, e->key, object, &a, &group);
        check_group(&group);
        toc_arena_fini(&a);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (int role = 0; role < KUBE_KIND_COUNT; role++) {
        struct kube_objects o = {.role = (enum kube_kind)role, .wants_node_metadata = true};
        struct toc_sv rest = toc_sv_make((const char *)data, size), line;
        while (toc_sv_split(&rest, '\n', &line))
            if (line.n)
                feed(&o, line);
        make_all(&o);
        toc_kube_objects_sweep(&o, (enum kube_kind)role, NULL, 2);
        if (o.by_key[role].count)
            abort();
        toc_kube_objects_fini(&o);
    }
    return 0;
}
