/* Oracle: decoded in pieces, a file gives the same values and counts as decoded whole. */
#include <stdlib.h>

#include "base/hash.h"
#include "codec/tfevents.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct digest {
    struct toc_tfevents_visitor base;
    uint64_t hash;
};

static void on_value(struct toc_tfevents_visitor *v, const struct toc_tfevents_value *value) {
    struct digest *d = (struct digest *)v;
    uint64_t h = toc_hash64(value->tag.p, value->tag.n, (uint64_t)value->step);
    double number = value->kind == TOC_TFEVENTS_SCALAR ? value->scalar : value->histogram.std;
    h = toc_hash_mix(h, toc_hash64(&number, sizeof number, value->kind));
    d->hash = toc_hash_mix(d->hash, h);
}

static struct toc_tfevents_counters run(struct toc_sv s, size_t chunk, struct digest *out) {
    const struct toc_tfevents_limits limits = {.max_record_bytes = 4096, .max_tags = 8};
    struct toc_tfevents *d = toc_tfevents_new(&limits);
    *out = (struct digest){.base = {on_value, NULL}};
    size_t done = 0;
    for (size_t end = 0; end < s.n;) {
        end = end + chunk < s.n ? end + chunk : s.n;
        size_t n = toc_tfevents_decode(d, toc_sv_sub(s, done, end - done), &out->base);
        if (n > end - done)
            abort();
        done += n;
    }
    struct toc_tfevents_counters c = toc_tfevents_counters(d);
    if (s.n - done >= toc_tfevents_wanted(d) || toc_tfevents_wanted(d) > 4096 + 16)
        abort();
    toc_tfevents_free(&d);
    return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct digest whole, part;
    struct toc_sv s = toc_sv_make((const char *)data, size);
    struct toc_tfevents_counters a = run(s, size ? size : 1, &whole);
    for (size_t chunk = 1; chunk <= 97; chunk += 32) {
        struct toc_tfevents_counters b = run(s, chunk, &part);
#define X(member, what)           \
    if ((a.member) != (b.member)) \
        abort();
        TOC_TFEVENTS_COUNTER_TABLE(X)
#undef X
        if (whole.hash != part.hash)
            abort();
    }
    return 0;
}
