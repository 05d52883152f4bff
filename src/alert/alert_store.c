/* What is to be stored of alerts and groups is gathered and committed at the ends of the steps that
 * a restart must find whole: a storm of alerts costs one commit, not one each. */
#include "alert/manager_priv.h"
#include "base/alloc.h"
#include "base/assert.h"

enum { KEY_BYTES = 16 };

static char *hex_key(uint64_t id) {
    static const char digits[] = "0123456789abcdef";
    char *key = toc_xalloc(KEY_BYTES);
    for (int i = KEY_BYTES - 1; i >= 0; i--, id >>= 4)
        key[i] = digits[id & 15];
    return key;
}

void toc_alert_store_put(struct toc_alert_manager *m, const char *ns, uint64_t id,
                         struct toc_sv value) {
    if (!m->options.store)
        return;
    struct toc_blob_change c = {.ns = ns, .key = toc_sv_make(hex_key(id), KEY_BYTES)};
    if (value.n)
        c.value = toc_sv_make(toc_sv_dup_cstr(value), value.n);
    TOC_VEC_PUSH(&m->unsaved, c);
    TOC_VEC_PUSH(&m->unsaved_ids, id);
}

/* They are stored again when they are told again. */
static void note_failure(struct toc_alert_manager *m, size_t i) {
    m->stats.store_failures++;
    struct alert_entry *e = toc_map_get(&m->alerts, toc_map_u64(&m->unsaved_ids.items[i]));
    if (e)
        e->saved_ms = 0;
}

/* One that the store refuses must not cost the others. */
static void save_one_by_one(struct toc_alert_manager *m) {
    for (size_t i = 0; i < m->unsaved.count; i++)
        if (toc_blob_store_apply(m->options.store, &m->unsaved.items[i], 1, NULL))
            note_failure(m, i);
}

void toc_alert_store_commit(struct toc_alert_manager *m) {
    size_t n = m->unsaved.count;
    if (!n)
        return;
    int rc = toc_blob_store_apply(m->options.store, m->unsaved.items, n, NULL);
    if (rc == TOC_ELIMIT)
        save_one_by_one(m);
    for (size_t i = 0; i < n; i++) {
        if (rc && rc != TOC_ELIMIT)
            note_failure(m, i);
        toc_free((void *)(uintptr_t)m->unsaved.items[i].key.p);
        toc_free((void *)(uintptr_t)m->unsaved.items[i].value.p);
    }
    m->unsaved.count = m->unsaved_ids.count = 0;
}

void toc_alert_store_fini(struct toc_alert_manager *m) {
    TOC_ASSERT(!m->unsaved.count); /* every step ends with a commit */
    TOC_VEC_FINI(&m->unsaved);
    TOC_VEC_FINI(&m->unsaved_ids);
}
