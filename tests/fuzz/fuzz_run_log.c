/* The first byte chooses: a table of aliases or of lines, which is refused or read; or a log.
 * Oracle for logs: cut anyhow, the reports are the same, each of them is taken by the receiver's
 * rules or refused for its time alone, and a reader that begins anew at what it saved goes on
 * alike. */
#include <stdlib.h>

#include "codec/json.h"
#include "collect/run_log_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct toc_run_log_table *g_table;
static struct toc_alias_table *g_aliases;
static const struct toc_ts NOW = {1700000000000};

struct digest {
    struct toc_report_taker taker;
    uint64_t hash, count;
};

static void add(struct digest *d, struct toc_sv s) {
    for (size_t i = 0; i < s.n; i++)
        d->hash = (d->hash ^ (uint8_t)s.p[i]) * 0x100000001b3u;
    d->count++;
}

static void on_run(struct toc_report_taker *taker, const struct toc_run_report *r) {
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_buf line = TOC_BUF_INIT;
    const struct toc_json *json;
    toc_run_report_write(r, &line);
    if (toc_json_parse(toc_buf_sv(&line), &arena, &json, NULL) < 0 || json->type != TOC_JSON_OBJECT)
        abort();
    const struct toc_json *step = toc_json_get(json, "step");
    if (step && (step->type != TOC_JSON_INT || step->integer < 0))
        abort();
    toc_arena_fini(&arena);
    add((struct digest *)taker, toc_buf_sv(&line));
    toc_buf_fini(&line);
}

static void on_serve(struct toc_report_taker *taker, const struct toc_serve_report *r) {
    for (size_t i = 0; i < r->count; i++)
        add((struct digest *)taker, r->samples[i].metric);
}

static struct toc_run_log_feed *feed_new(struct digest *d) {
    return toc_run_log_feed_new(&(struct toc_run_log_feed_options){
        .table = g_table, .aliases = g_aliases, .taker = &d->taker, .max_line_bytes = 256});
}

/* Bars give one report per push, so that only logs without one are compared. */
static struct digest run(struct toc_sv log, size_t chunk, bool is_restarted) {
    struct digest d = {.taker = {on_run, on_serve}};
    struct toc_run_log_feed *f = feed_new(&d);
    for (size_t at = 0; at < log.n; at += chunk) {
        toc_run_log_feed_push(f, toc_sv_sub(log, at, chunk), NOW);
        if (!is_restarted)
            continue;
        struct toc_buf saved = TOC_BUF_INIT;
        size_t end = TOC_MIN(at + chunk, log.n), back = toc_run_log_feed_unfinished(f);
        toc_run_log_feed_save(f, &saved);
        toc_run_log_feed_free(&f);
        f = feed_new(&d);
        if (back > end || toc_run_log_feed_restore(f, toc_buf_sv(&saved)) < 0)
            abort();
        toc_run_log_feed_push(f, toc_sv_sub(log, end - back, back), NOW);
        toc_buf_fini(&saved);
    }
    toc_run_log_feed_flush(f, NOW);
    toc_run_log_feed_free(&f);
    return d;
}

static void check_tables(struct toc_sv text) {
    struct toc_alias_table *aliases;
    struct toc_run_log_table *table;
    struct toc_err err = {0};
    if (toc_alias_table_parse(text, &aliases, &err) < 0 && !err.line)
        abort();
    for (size_t i = 0; aliases && i < toc_alias_table_count(aliases); i++) {
        struct toc_sv what;
        (void)toc_alias_of_tag(aliases, toc_alias_table_at(aliases, i)->name, i % 2);
        (void)toc_alias_layer_of_tag(aliases, toc_alias_table_at(aliases, i)->name, &what);
    }
    toc_alias_table_free(&aliases);
    err = (struct toc_err){0};
    if (toc_run_log_table_parse(text, &table, &err) < 0 && !err.line)
        abort();
    toc_run_log_table_free(&table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!g_table && (toc_run_log_table_builtin(&g_table, NULL) < 0 ||
                     toc_alias_table_builtin(&g_aliases, NULL) < 0))
        abort();
    if (!size)
        return 0;
    struct toc_sv rest = toc_sv_make((const char *)data + 1, size - 1), what;
    if (data[0] % 4 == 0) {
        check_tables(rest);
        return 0;
    }
    struct digest whole = run(rest, rest.n + 1, false);
    bool has_bar = toc_sv_find(rest, TOC_SV("it/s")) != SIZE_MAX ||
                   toc_sv_find(rest, TOC_SV("s/it")) != SIZE_MAX;
    struct digest cut = run(rest, 1 + data[0] % 31, false);
    if (!has_bar && (whole.hash != cut.hash || whole.count != cut.count))
        abort();
    struct digest again = run(rest, 1 + data[0] % 31, true);
    if (!has_bar && again.count != whole.count)
        abort();
    (void)toc_alias_of_tag(g_aliases, rest, false);
    (void)toc_alias_layer_of_tag(g_aliases, rest, &what);
    return 0;
}
