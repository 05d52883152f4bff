/* Oracle: cut anyhow, the reports are the same; each is one JSON object whose step never is
 * negative, and none of them is longer than a line may be. */
#include <stdlib.h>

#include "codec/json.h"
#include "collect/tensorboard_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINE_BYTES = 64 << 10 };

static struct toc_alias_table *g_aliases;

struct digest {
    struct toc_report_taker taker;
    uint64_t hash, count;
};

static void on_run(struct toc_report_taker *taker, const struct toc_run_report *r) {
    struct digest *d = (struct digest *)taker;
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_buf line = TOC_BUF_INIT;
    const struct toc_json *json;
    toc_run_report_write(r, &line);
    if (toc_json_parse(toc_buf_sv(&line), &arena, &json, NULL) < 0 ||
        json->type != TOC_JSON_OBJECT || line.n > 2 * LINE_BYTES)
        abort();
    const struct toc_json *step = toc_json_get(json, "step");
    if (step && (step->type != TOC_JSON_INT || step->integer < 0))
        abort();
    toc_arena_fini(&arena);
    for (size_t i = 0; i < line.n; i++)
        d->hash = (d->hash ^ (uint8_t)line.p[i]) * 0x100000001b3u;
    d->count++;
    toc_buf_fini(&line);
}

static struct digest run(struct toc_sv file, size_t chunk) {
    struct digest d = {.taker = {.on_run = on_run}};
    struct toc_tensorboard_feed *f = toc_tensorboard_feed_new(
        &(struct toc_tensorboard_feed_options){.aliases = g_aliases,
                                               .taker = &d.taker,
                                               .max_tags = 16,
                                               .max_scalars = 4,
                                               .max_line_bytes = LINE_BYTES});
    struct toc_tensorboard_stream *s = toc_tensorboard_stream_open(f);
    size_t done = 0;
    for (size_t end = chunk;; end += chunk) {
        end = TOC_MIN(end, file.n);
        done += toc_tensorboard_stream_push(s, toc_sv_sub(file, done, end - done));
        if (end == file.n)
            break;
    }
    toc_tensorboard_stream_close(&s);
    toc_tensorboard_feed_free(&f);
    return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_sv file = toc_sv_make((const char *)data, size);
    if (!g_aliases && toc_alias_table_builtin(&g_aliases, NULL) < 0)
        abort();
    if (!size)
        return 0;
    struct digest whole = run(file, size), cut = run(file, 1 + data[size - 1] % 61);
    if (whole.hash != cut.hash || whole.count != cut.count)
        abort();
    return 0;
}
