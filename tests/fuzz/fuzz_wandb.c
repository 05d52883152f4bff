/*
 * Run files of Weights & Biases; when the first byte is odd, the rest is taken as the data of
 * records, which then have right checksums. Oracles: cut anyhow, the reports are the same; each is
 * one JSON object with a time that rises and a step that is not negative; no byte is taken twice.
 */
#include <stdlib.h>

#include "../wandb_writer.h"
#include "codec/json.h"
#include "collect/wandb_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct toc_alias_table *g_aliases;

struct digest {
    uint64_t hash, count;
};

static struct digest check_lines(struct toc_sv lines) {
    struct digest d = {0};
    double last_s = 0;
    for (struct toc_sv line; lines.n && toc_sv_split(&lines, '\n', &line); d.count++) {
        struct toc_arena arena = TOC_ARENA_INIT;
        const struct toc_json *json;
        if (toc_json_parse(line, &arena, &json, NULL) < 0 || json->type != TOC_JSON_OBJECT)
            abort();
        const struct toc_json *step = toc_json_get(json, "step"), *t = toc_json_get(json, "t");
        if ((step && (step->type != TOC_JSON_INT || step->integer < 0)) || !t || t->number < last_s)
            abort();
        last_s = t->number;
        toc_arena_fini(&arena);
        for (size_t i = 0; i < line.n; i++)
            d.hash = (d.hash ^ (uint8_t)line.p[i]) * 0x100000001b3u;
    }
    return d;
}

static struct digest run(struct toc_sv file, size_t chunk) {
    struct toc_buf lines = TOC_BUF_INIT;
    struct toc_wandb_feed *f = toc_wandb_feed_new(
        &(struct toc_wandb_feed_options){.aliases = g_aliases, .lines = &lines, .max_keys = 4});
    size_t done = 0;
    for (size_t end = 0; end < file.n;) {
        end = TOC_MIN(end + chunk, file.n);
        done += toc_wandb_feed_push(f, toc_sv_sub(file, done, end - done));
        if (done > end || done != toc_wandb_feed_at(f))
            abort();
    }
    toc_wandb_feed_free(&f);
    struct digest d = check_lines(toc_buf_sv(&lines));
    toc_buf_fini(&lines);
    return d;
}

/* Records of up to 255 bytes: each begins with its length. */
static void frame(struct toc_sv data, struct toc_buf *out) {
    wbw_begin(out);
    while (data.n) {
        size_t n = TOC_MIN((size_t)(uint8_t)data.p[0], data.n - 1);
        wbw_record(out, toc_sv_sub(data, 1, n));
        data = toc_sv_sub(data, 1 + n, SIZE_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_sv input = toc_sv_make((const char *)data, size);
    struct toc_buf framed = TOC_BUF_INIT;
    if (!g_aliases && toc_alias_table_builtin(&g_aliases, NULL) < 0)
        abort();
    if (!size)
        return 0;
    struct toc_sv file = toc_sv_sub(input, 1, SIZE_MAX);
    if (data[0] & 1) {
        frame(file, &framed);
        file = toc_buf_sv(&framed);
    }
    (void)toc_wandb_look_at(file);
    if (file.n) {
        struct digest whole = run(file, file.n), cut = run(file, 1 + data[size - 1] % 61);
        if (whole.hash != cut.hash || whole.count != cut.count)
            abort();
    }
    toc_buf_fini(&framed);
    return 0;
}
