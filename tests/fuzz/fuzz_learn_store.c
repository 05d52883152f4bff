/* Oracle: whatever stands in the store of learning from verdicts, it opens; what it took can be
 * listed, an alert goes through the gate and comes out or is withheld with its record, and what was
 * written opens again with as many alerts and no damage. First byte: which record; the checksum of
 * the rest is repaired. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "incident/learn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BLOBS_MAX = 16, ROWS = 40 };
static const int64_t NOW = 1790000000000;

struct blob {
    char ns[16], key[64];
    struct toc_buf value;
};
struct store {
    struct toc_blob_store base;
    struct blob items[BLOBS_MAX];
    size_t count;
};

static struct blob *find(struct store *s, const char *ns, struct toc_sv key) {
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->items[i].ns, ns) == 0 && toc_sv_eq_cstr(key, s->items[i].key))
            return &s->items[i];
    return NULL;
}

static int put(struct toc_blob_store *base, const char *ns, struct toc_sv key, struct toc_sv value,
               struct toc_err *err) {
    struct store *s = (struct store *)base;
    struct blob *b = find(s, ns, key);
    (void)err;
    if (!b && s->count == BLOBS_MAX)
        return TOC_ENOSPC;
    if (!b) {
        b = &s->items[s->count++];
        *b = (struct blob){0};
        snprintf(b->ns, sizeof b->ns, "%s", ns);
        toc_sv_copy(key, b->key, sizeof b->key);
    }
    toc_buf_reset(&b->value);
    toc_buf_append_sv(&b->value, value);
    return 0;
}

static int get(struct toc_blob_store *base, const char *ns, struct toc_sv key, struct toc_buf *out,
               struct toc_err *err) {
    struct blob *b = find((struct store *)base, ns, key);
    (void)err;
    if (b)
        toc_buf_append_sv(out, toc_buf_sv(&b->value));
    return b ? 0 : TOC_ENOENT;
}

static int drop(struct toc_blob_store *base, const char *ns, struct toc_sv key,
                struct toc_err *err) {
    struct store *s = (struct store *)base;
    struct blob *b = find(s, ns, key);
    (void)err;
    if (!b)
        return 0;
    toc_buf_fini(&b->value);
    memmove(b, b + 1, (size_t)(s->items + s->count - b - 1) * sizeof *b);
    s->count--;
    return 0;
}

static int each(struct toc_blob_store *base, const char *ns, toc_on_blob *fn, void *ctx,
                struct toc_err *err) {
    struct store *s = (struct store *)base;
    (void)err;
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->items[i].ns, ns) == 0) {
            int rc = fn(ctx, toc_sv_cstr(s->items[i].key), toc_buf_sv(&s->items[i].value));
            if (rc)
                return rc;
        }
    return 0;
}

static int window(struct toc_learn_source *s, struct toc_labels alert, struct toc_ts start,
                  struct toc_ts now, struct toc_learn_window *out, struct toc_err *err) {
    (void)s, (void)alert, (void)start, (void)now, (void)err;
    *out = (struct toc_learn_window){TOC_NEW_ARRAY(double, ROWS),
                                     TOC_NEW_ARRAY(double, ROWS),
                                     TOC_NEW_ARRAY(double, ROWS),
                                     ROWS,
                                     ROWS - 2,
                                     6};
    for (size_t i = 0; i < ROWS; i++) {
        out->seconds[i] = 15.0 * (double)i;
        out->values[i] = (double)(i % 7) + (i >= ROWS - 2 ? 50 : 0);
        out->scores[i] = i >= ROWS - 2 ? 12 : 1;
    }
    return 0;
}

static size_t g_passed;
static void next(struct toc_alert_sink *s, const struct toc_alert *alerts, size_t count,
                 struct toc_ts now) {
    (void)s, (void)alerts, (void)now;
    g_passed += count;
}

static void offer_alert(struct toc_learn *l) {
    struct toc_label labels[] = {{TOC_SV("alertname"), TOC_SV("A")},
                                 {TOC_SV("detector"), TOC_SV("d")},
                                 {TOC_SV("job"), TOC_SV("train")}};
    const struct toc_evidence e = {.expr = TOC_SV("tocsin_anomaly_score")};
    const struct toc_finding f = {.kind = TOC_KIND_THRESHOLD, .evidence = &e, .evidence_count = 1};
    struct toc_alert a = {.labels = {labels, 3}, .starts_at = {NOW}, .finding = &f};
    struct toc_learn_stats before = toc_learn_stats(l);
    g_passed = 0;
    toc_learn_sink(l)->put(toc_learn_sink(l), &a, 1, (struct toc_ts){NOW});
    struct toc_learn_stats after = toc_learn_stats(l);
    if (g_passed + (after.withheld - before.withheld) != 1)
        abort(); /* it pages or is withheld, and counted */
}

static void list_all(struct toc_learn *l) {
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_json_writer w;
    toc_json_writer_init(&w, &out);
    toc_json_begin_array(&w);
    toc_learn_write_scopes(l, &w);
    toc_learn_write_alerts(l, false, 100, &w);
    toc_json_end_array(&w);
    if (toc_buf_error(&out))
        abort();
    toc_buf_fini(&out);
}

static void seed_scope(struct store *s) {
    struct toc_buf b = TOC_BUF_INIT;
    toc_buf_append_cstr(&b, "TLS1");
    toc_buf_append_varint(&b, 1);
    toc_buf_append_varint(&b, 1);
    toc_buf_append_u32(&b, toc_crc32c(0, b.p, b.n));
    (void)put(&s->base, "learn.scope", TOC_SV("train"), toc_buf_sv(&b), NULL);
    toc_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const ns[] = {"learn.alert", "learn.model", "learn.scope"};
    static const char *const keys[] = {"0000000000000001", "train/0000000001", "train"};
    if (size < 9)
        return 0;
    struct store s = {.base = {put, get, drop, each, NULL}};
    struct toc_learn_source source = {window};
    struct toc_alert_sink sink = {next};
    struct toc_learn *l;
    char *bytes = malloc(size - 1);
    memcpy(bytes, data + 1, size - 1);
    uint32_t crc = toc_crc32c(0, bytes, size - 5);
    for (size_t i = 0; i < 4; i++)
        bytes[size - 5 + i] = (char)(crc >> (8 * i));
    int which = data[0] % 3;
    if (which != 2)
        seed_scope(&s);
    (void)put(&s.base, ns[which], toc_sv_cstr(keys[which]), toc_sv_make(bytes, size - 1), NULL);
    free(bytes);
    const struct toc_learn_options o = {.next = &sink, .source = &source, .store = &s.base};
    if (toc_learn_new(&o, (struct toc_ts){NOW}, &l, NULL) != 0)
        abort();
    bool is_damaged = toc_learn_stats(l).store_failures > 0;
    list_all(l);
    offer_alert(l);
    size_t remembered = toc_learn_stats(l).remembered;
    toc_learn_free(&l);
    if (toc_learn_new(&o, (struct toc_ts){NOW}, &l, NULL) != 0)
        abort();
    if (toc_learn_stats(l).remembered != remembered ||
        (!is_damaged && toc_learn_stats(l).store_failures > 0))
        abort();
    list_all(l);
    toc_learn_free(&l);
    while (s.count)
        (void)drop(&s.base, s.items[0].ns, toc_sv_cstr(s.items[0].key), NULL);
    return 0;
}
