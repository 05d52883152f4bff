/* Scraping: what one answer becomes, and the scraper against a real server. */
#include "recording_sink.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/time.h"
#include "collect/scrape.h"
#include "collect/scrape_cache_priv.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "sys/clock.h"
#include "sys/env.h"
#include "sys/thread.h"
#include "sys/vfs.h"

/* ------------------------------------------------------------------------------------------- one
 * target's cache */

struct bench {
    struct scrape_cache cache;
    struct toc_scrape_set *set;
    struct recording_sink sink; /* of the last cycle only */
    struct scrape_counts counts;
    struct toc_err err;
};

static struct toc_scrape_set *read_set(const char *text) {
    struct toc_arena a = TOC_ARENA_INIT;
    const struct toc_yaml *doc;
    struct toc_scrape_set *set = NULL;
    struct toc_err err = {0};
    int rc = toc_yaml_parse(toc_sv_cstr(text), &a, &doc, &err);
    if (rc == 0)
        rc = toc_scrape_set_read(doc, NULL, &set, &err);
    if (rc)
        fail_msg("%s", err.message);
    toc_arena_fini(&a);
    return set;
}

static void bench_init(struct bench *b, const char *config) {
    const struct toc_label labels[] = {{TOC_SV("instance"), TOC_SV("h:1")},
                                       {TOC_SV("job"), TOC_SV("j")}};
    memset(b, 0, sizeof *b);
    b->set = read_set(config);
    toc_scrape_cache_init(&b->cache, (struct toc_labels){labels, 2});
    recording_init(&b->sink);
}

static void bench_fini(struct bench *b) {
    toc_scrape_cache_fini(&b->cache);
    toc_scrape_set_unref(&b->set);
    recording_fini(&b->sink);
}

static void record(struct bench *b) {
    struct toc_write_result result;
    recording_clear(&b->sink);
    assert_int_equal(toc_scrape_cache_write_sink(&b->cache, &b->sink.base, &result, &b->err), 0);
}

static int feed_as(struct bench *b, enum toc_exposition_format format, int64_t t_ms,
                   const char *text) {
    struct scrape_input in = {.config = toc_scrape_set_get(b->set, 0),
                              .format = format,
                              .body = toc_sv_cstr(text),
                              .t_ms = t_ms};
    toc_err_reset(&b->err);
    int rc = toc_scrape_cache_ingest(&b->cache, &in, &b->counts, &b->err);
    record(b);
    return rc;
}
static int feed(struct bench *b, int64_t t_ms, const char *text) {
    return feed_as(b, TOC_EXPOSITION_TEXT, t_ms, text);
}

static bool is_stale(const struct bench *b, const char *series) {
    const struct recorded *r = recorded_last(&b->sink, series);
    return r && toc_is_stale_nan(r->value);
}

static void vanished_series_get_a_marker(void **state) {
    (void)state;
    struct bench b;
    bench_init(&b, "- job_name: j\n");
    assert_int_equal(feed(&b, 1000, "a 1\nb{x=\"1\"} 2\n"), 0);
    assert_recorded(&b.sink, "a{instance=\"h:1\", job=\"j\"}", 1);
    assert_int_equal(b.counts.added, 2);
    assert_int_equal(feed(&b, 2000, "a 3\n"), 0);
    assert_int_equal(b.counts.added, 0);
    assert_true(is_stale(&b, "b{instance=\"h:1\", job=\"j\", x=\"1\"}"));
    assert_int_equal(b.sink.points.count, 2);
    assert_int_equal(feed(&b, 3000, "a 3\n"), 0);
    assert_int_equal(b.sink.points.count, 1); /* said once */
    assert_int_equal(feed(&b, 4000, "a 3\nb{x=\"1\"} 2\n"), 0);
    assert_int_equal(b.counts.added, 1); /* it is back */
    toc_scrape_cache_end_series(&b.cache, 5000);
    record(&b);
    assert_int_equal(b.sink.points.count, 2);
    assert_true(is_stale(&b, "a{instance=\"h:1\", job=\"j\"}"));
    bench_fini(&b);
}

static void other_spelling_is_the_same_series(void **state) {
    (void)state;
    struct bench b;
    bench_init(&b, "- job_name: j\n");
    assert_int_equal(feed(&b, 1000, "a{x=\"1\",y=\"2\"} 1\n"), 0);
    assert_int_equal(feed(&b, 2000, "a{y=\"2\", x=\"1\"} 2\na{x=\"1\",y=\"2\"} 3\n"), 0);
    assert_int_equal(b.sink.points.count, 1); /* no marker, the first one wins */
    assert_recorded(&b.sink, "a{instance=\"h:1\", job=\"j\", x=\"1\", y=\"2\"}", 2);
    assert_int_equal(b.cache.dropped_duplicate, 1);
    bench_fini(&b);
}

static void a_broken_answer_ends_all_series(void **state) {
    (void)state;
    struct bench b;
    bench_init(&b, "- job_name: j\n  sample_limit: 2\n  label_limit: 4\n");
    assert_int_equal(feed(&b, 1000, "a 1\nb 2\n"), 0);
    assert_true(feed(&b, 2000, "a 1\nnew 1\nb two\n") < 0);
    assert_int_equal(b.err.line, 3);
    assert_int_equal(b.sink.points.count, 2);
    assert_true(is_stale(&b, "a{instance=\"h:1\", job=\"j\"}"));
    assert_null(recorded_last(&b.sink, "new{instance=\"h:1\", job=\"j\"}"));
    assert_int_equal(feed(&b, 3000, "a 1\nb 2\n"), 0);
    assert_int_equal(feed(&b, 4000, "a 1\nb 2\nc 3\n"), TOC_ELIMIT);
    assert_non_null(strstr(b.err.message, "sample limit exceeded"));
    assert_int_equal(b.sink.points.count, 2);
    assert_int_equal(feed(&b, 5000, "a{p=\"1\",q=\"2\"} 1\n"), TOC_ELIMIT);
    assert_non_null(strstr(b.err.message, "label_limit exceeded"));
    bench_fini(&b);
}

static void clashing_labels_are_exported(void **state) {
    (void)state;
    struct bench b;
    bench_init(&b, "- job_name: j\n");
    assert_int_equal(feed(&b, 1, "a{job=\"own\",exported_job=\"x\"} 1\n"), 0);
    assert_recorded(
        &b.sink,
        "a{exported_exported_job=\"own\", exported_job=\"x\", instance=\"h:1\", job=\"j\"}", 1);
    bench_fini(&b);
    bench_init(&b, "- job_name: j\n  honor_labels: true\n");
    assert_int_equal(feed(&b, 1, "a{job=\"own\"} 1\nb{instance=\"\"} 2\n"), 0);
    assert_recorded(&b.sink, "a{instance=\"h:1\", job=\"own\"}", 1);
    assert_recorded(&b.sink, "b{job=\"j\"}", 2);
    bench_fini(&b);
}

static void metric_relabelling_drops_and_renames(void **state) {
    (void)state;
    struct bench b;
    bench_init(&b, "- job_name: j\n  metric_relabel_configs:\n  - {source_labels: [__name__], "
                   "regex: 'go_.*', action: drop}\n"
                   "  - {source_labels: [__name__], regex: 'old_(.*)', target_label: __name__, "
                   "replacement: 'new_$1'}\n");
    for (int i = 1; i < 3; i++) {
        assert_int_equal(feed(&b, i * 1000, "go_gc 1\nold_x 2\n"), 0);
        assert_int_equal(b.counts.scraped, 2);
        assert_int_equal(b.counts.post_relabel, 1);
        assert_int_equal(b.sink.points.count, 1);
        assert_recorded(&b.sink, "new_x{instance=\"h:1\", job=\"j\"}", 2);
    }
    bench_fini(&b);
}

static void timestamps_and_bounds(void **state) {
    (void)state;
    struct bench b;
    bench_init(&b, "- job_name: j\n");
    assert_int_equal(
        feed(&b, 1000000,
             "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1000000\"} 1\n"
             "h_bucket{le=\"+Inf\"} 2\nother{le=\"1\"} 1\nt 5 999000\nfar 1 99000000000\n"
             "n NaN\n"),
        0);
    assert_recorded(&b.sink, "h_bucket{instance=\"h:1\", job=\"j\", le=\"1.0\"}", 1);
    assert_recorded(&b.sink, "h_bucket{instance=\"h:1\", job=\"j\", le=\"1e+06\"}", 1);
    assert_recorded(&b.sink, "h_bucket{instance=\"h:1\", job=\"j\", le=\"+Inf\"}", 2);
    assert_recorded(&b.sink, "other{instance=\"h:1\", job=\"j\", le=\"1\"}", 1);
    assert_int_equal(recorded_last(&b.sink, "t{instance=\"h:1\", job=\"j\"}")->t_ms, 999000);
    assert_null(recorded_last(&b.sink, "far{instance=\"h:1\", job=\"j\"}"));
    assert_int_equal(b.cache.dropped_future, 1);
    assert_false(is_stale(&b, "n{instance=\"h:1\", job=\"j\"}"));
    assert_int_equal(feed_as(&b, TOC_EXPOSITION_OPENMETRICS, 1001000, "t 6\n# EOF\n"), 0);
    assert_true(is_stale(&b, "n{instance=\"h:1\", job=\"j\"}"));
    bench_fini(&b);
}

/* Series come and go: the cache stays of the size of what is alive. */
static void churn_does_not_grow_the_cache(void **state) {
    (void)state;
    struct bench b;
    char line[64];
    bench_init(&b, "- job_name: j\n");
    for (int i = 0; i < 6000; i++) {
        snprintf(line, sizeof line, "a 1\nb{i=\"%d\"} 1\n", i);
        assert_int_equal(feed(&b, 1000 + i, line), 0);
        assert_int_equal(b.counts.added, i ? 1 : 2);
    }
    assert_true(b.cache.series.count < 2500);
    assert_true(b.cache.texts.count < 6000);
    bench_fini(&b);
}

/* One of many possible lines, with a value of its own. */
static void put_random_line(struct toc_rng *rng, uint64_t which, struct toc_buf *out) {
    static const char *const lines[] = {
        "# TYPE h histogram\n",
        "# TYPE h gauge\n",
        "# HELP h one\n",
        "# HELP h two\n",
        "# nothing\n",
        "# TYPE s summary\n",
        "# TYPE \"q\" gauge\n",
        "{\"q\"} %u\n",
        "h{le=\"1\"} %u\n",
        "h{le=\"1.0\"} %u\n",
        "s{quantile=\"1\"} %u\n",
        "a %u\n",
        "a_b %u\n",
        "a{x=\"1\"} %u\n",
        "a{x=\"12\"} %u\n",
        "a{x=\"1\"}%u\n",
        "gone %u\n",
        "gone{y=\"z\"} %u\n",
        "late %u 99999999999\n",
        "a{instance=\"i\"} %u\n",
    };
    if (which < TOC_ARRAY_LEN(lines))
        toc_buf_printf(out, lines[which], (unsigned)toc_rng_below(rng, 1000));
    else
        toc_buf_printf(out, "more{n=\"%u\"} %u\n", (unsigned)which,
                       (unsigned)toc_rng_below(rng, 9));
}

enum { ANSWER_LINES_MAX = 60, LINE_KINDS = 50 };

/* The next answer is the last one, or nearly so. */
static void change_answer(struct toc_rng *rng, uint8_t *kinds, size_t *count) {
    uint64_t changes = toc_rng_below(rng, 3) ? 0 : 1 + toc_rng_below(rng, 8);
    while (changes--) {
        size_t at = *count ? toc_rng_below(rng, *count) : 0;
        if (*count && toc_rng_below(rng, 2)) {
            memmove(kinds + at, kinds + at + 1, --*count - at);
        } else if (*count < ANSWER_LINES_MAX) {
            memmove(kinds + at + 1, kinds + at, (*count)++ - at);
            kinds[at] = (uint8_t)toc_rng_below(rng, LINE_KINDS);
        }
    }
}

static void expect_same_cycle(struct bench *a, struct bench *b, const char *text) {
    bool is_same = a->sink.points.count == b->sink.points.count &&
                   a->counts.added == b->counts.added && a->counts.scraped == b->counts.scraped;
    for (size_t i = 0; is_same && i < a->sink.points.count; i++) {
        const struct recorded *x = &a->sink.points.items[i], *y = &b->sink.points.items[i];
        is_same = strcmp(x->series, y->series) == 0 && x->t_ms == y->t_ms &&
                  memcmp(&x->value, &y->value, sizeof x->value) == 0;
    }
    if (!is_same)
        fail_msg("%zu and %zu points of\n%s", a->sink.points.count, b->sink.points.count, text);
}

/* Whether lines are recognised by their place or read anew makes no difference. */
static void remembered_lines_change_nothing(void **state) {
    (void)state;
    struct bench with, without;
    struct toc_rng rng;
    uint8_t kinds[ANSWER_LINES_MAX];
    size_t count = 0;
    struct toc_buf text = TOC_BUF_INIT;
    static const char config[] = "- job_name: j\n  metric_relabel_configs: [{source_labels: "
                                 "[__name__], regex: gone, action: drop}]\n";
    toc_rng_seed(&rng, 11);
    bench_init(&with, config);
    bench_init(&without, config);
    for (int i = 0; i < 4000; i++) {
        toc_buf_reset(&text);
        change_answer(&rng, kinds, &count);
        for (size_t k = 0; k < count; k++)
            put_random_line(&rng, kinds[k], &text);
        if (toc_rng_below(&rng, 40) == 0)
            toc_buf_append_cstr(&text, "broken{\n");
        toc_scrape_script_forget(&without.cache.script);
        int rc = feed(&with, 1000 + i, toc_buf_cstr(&text));
        assert_int_equal(feed(&without, 1000 + i, toc_buf_cstr(&text)), rc);
        expect_same_cycle(&with, &without, toc_buf_cstr(&text));
        assert_int_equal(with.cache.alive_count, without.cache.alive_count);
    }
    toc_buf_fini(&text);
    bench_fini(&with);
    bench_fini(&without);
}

/* -------------------------------------------------------------------------------------------------
 * real scrapes */

static struct world {
    struct toc_sink sink; /* locks around the recording one */
    struct toc_mutex mutex;
    struct recording_sink recording;
    struct toc_http_server *server;
    atomic_int mode; /* 0 good, 1 status 500, 2 slow, 3 other type, 4 huge, 5 a little slow */
    atomic_int requests;
    char accept[500], timeout[32];
} w;

static int locked_write(struct toc_sink *s, const struct toc_point *points, size_t count,
                        struct toc_write_result *out, struct toc_err *err) {
    (void)s;
    toc_mutex_lock(&w.mutex);
    int rc = recording_write(&w.recording.base, points, count, out, err);
    toc_mutex_unlock(&w.mutex);
    return rc;
}

static void serve(void *ctx, const struct toc_http_request *req, struct toc_http_response *res) {
    (void)ctx;
    int n = atomic_fetch_add(&w.requests, 1);
    int mode = atomic_load(&w.mode);
    toc_mutex_lock(&w.mutex);
    toc_sv_copy(toc_http_header(req, "Accept"), w.accept, sizeof w.accept);
    toc_sv_copy(toc_http_header(req, "X-Prometheus-Scrape-Timeout-Seconds"), w.timeout,
                sizeof w.timeout);
    toc_mutex_unlock(&w.mutex);
    res->content_type = mode == 3 ? "text/html" : "text/plain; version=0.0.4";
    res->status = mode == 1 ? 500 : 200;
    if (mode == 2)
        toc_sleep_ms(700);
    if (mode == 5)
        toc_sleep_ms(150);
    toc_buf_printf(&res->body, "# HELP a help\n# TYPE a counter\na %d\nb{m=\"%.*s\"} 1\n", n,
                   TOC_SV_ARG(toc_http_param_get(req, "module")));
    for (int i = 0; mode == 4 && i < 10000; i++)
        toc_buf_printf(&res->body, "c{i=\"%d\"} 1\n", i);
}

static bool has(const char *series, double value) {
    toc_mutex_lock(&w.mutex);
    const struct recorded *r = recorded_last(&w.recording, series);
    bool found = r && (r->value == value || (isnan(value) && toc_is_stale_nan(r->value)));
    toc_mutex_unlock(&w.mutex);
    return found;
}

static void wait_for(const char *series, double value) {
    for (int i = 0; i < 500; i++) {
        if (has(series, value))
            return;
        toc_sleep_ms(10);
    }
    fail_msg("%s never became %g", series, value);
}

static struct toc_scrape_set *set_for(const char *extra) {
    char text[2000], address[64];
    snprintf(address, sizeof address, "127.0.0.1:%u", toc_http_server_port(w.server));
    snprintf(text, sizeof text,
             "- job_name: j\n  scrape_interval: 200ms\n  static_configs:\n"
             "  - {targets: ['%s'], labels: {instance: i}}\n%s",
             address, extra);
    return read_set(text);
}

static struct toc_scraper *new_limited_scraper(size_t max_in_flight) {
    const struct toc_scraper_options o = {
        .sink = &w.sink, .file_poll_ms = 100, .max_in_flight = max_in_flight};
    struct toc_scraper *s = toc_scraper_new(&o);
    struct toc_err err = {0};
    toc_mutex_lock(&w.mutex);
    recording_clear(&w.recording); /* of the scraper before: it left its series open */
    toc_mutex_unlock(&w.mutex);
    assert_int_equal(toc_scraper_start(s, &err), 0);
    return s;
}

static struct toc_scraper *new_scraper(void) {
    return new_limited_scraper(0);
}

static struct {
    char error[400], url[200];
    enum toc_target_health health;
    int count;
} g_seen;

static void see(void *ctx, const struct toc_target_info *info) {
    (void)ctx;
    g_seen.count++;
    g_seen.health = info->health;
    toc_sv_copy(info->last_error, g_seen.error, sizeof g_seen.error);
    toc_sv_copy(info->url, g_seen.url, sizeof g_seen.url);
}

static void look(struct toc_scraper *s) {
    memset(&g_seen, 0, sizeof g_seen);
    toc_scraper_list(s, see, NULL);
}

static void a_target_goes_up_down_and_away(void **state) {
    (void)state;
    struct toc_scraper *s = new_scraper();
    toc_scraper_load(s, set_for("  params: {module: [m1]}\n"));
    wait_for("up{instance=\"i\", job=\"j\"}", 1);
    wait_for("b{instance=\"i\", job=\"j\", m=\"m1\"}", 1);
    wait_for("scrape_samples_scraped{instance=\"i\", job=\"j\"}", 2);
    toc_mutex_lock(&w.mutex);
    assert_non_null(strstr(w.accept, "application/openmetrics-text"));
    assert_string_equal(w.timeout, "0.2");
    toc_mutex_unlock(&w.mutex);
    look(s);
    assert_int_equal(g_seen.count, 1);
    assert_int_equal(g_seen.health, TOC_TARGET_UP);
    assert_non_null(strstr(g_seen.url, "/metrics?module=m1"));
    assert_true(toc_scraper_has_local_port(s, toc_http_server_port(w.server)));
    assert_false(toc_scraper_has_local_port(s, 1));

    atomic_store(&w.mode, 1);
    wait_for("up{instance=\"i\", job=\"j\"}", 0);
    wait_for("b{instance=\"i\", job=\"j\", m=\"m1\"}", NAN);
    look(s);
    assert_string_equal(g_seen.error, "server returned HTTP status 500 Internal Server Error");
    atomic_store(&w.mode, 0);
    wait_for("up{instance=\"i\", job=\"j\"}", 1);

    atomic_store(&w.mode, 2); /* slower than the time-out */
    wait_for("up{instance=\"i\", job=\"j\"}", 0);
    atomic_store(&w.mode, 3);
    for (int i = 0; i < 200 && !strstr(g_seen.error, "unsupported Content-Type"); i++) {
        toc_sleep_ms(10);
        look(s);
    }
    assert_non_null(strstr(g_seen.error, "unsupported Content-Type \"text/html\""));
    atomic_store(&w.mode, 0);
    wait_for("up{instance=\"i\", job=\"j\"}", 1);

    toc_scraper_load(s, read_set("[]"));
    wait_for("up{instance=\"i\", job=\"j\"}", NAN);
    assert_true(has("b{instance=\"i\", job=\"j\", m=\"m1\"}", NAN));
    look(s);
    assert_int_equal(g_seen.count, 0);
    toc_scraper_free(&s);
}

static void limits_fail_the_scrape(void **state) {
    (void)state;
    struct toc_scraper *s = new_scraper();
    atomic_store(&w.mode, 4);
    toc_scraper_load(s, set_for("  body_size_limit: 10KB\n"));
    wait_for("up{instance=\"i\", job=\"j\"}", 0);
    look(s);
    assert_non_null(strstr(g_seen.error, "body size limit exceeded"));
    atomic_store(&w.mode, 0);
    wait_for("up{instance=\"i\", job=\"j\"}", 1);
    toc_scraper_free(&s);
    assert_true(has("up{instance=\"i\", job=\"j\"}", 1)); /* a stop is no end: a restart follows */
}

static void reload_keeps_what_stays(void **state) {
    (void)state;
    struct toc_scraper *s = new_scraper();
    toc_scraper_load(s, set_for(""));
    wait_for("b{instance=\"i\", job=\"j\"}", 1);
    toc_mutex_lock(&w.mutex);
    recording_clear(&w.recording);
    toc_mutex_unlock(&w.mutex);
    toc_scraper_load(
        s,
        set_for(
            "  metric_relabel_configs: [{source_labels: [__name__], regex: b, action: drop}]\n"));
    wait_for("b{instance=\"i\", job=\"j\"}", NAN); /* by the rules, at the next scrape */
    wait_for("up{instance=\"i\", job=\"j\"}", 1);
    toc_mutex_lock(&w.mutex);
    for (size_t i = 0; i < w.recording.points.count; i++)
        if (strstr(w.recording.points.items[i].series, "up{"))
            assert_false(toc_is_stale_nan(w.recording.points.items[i].value));
    toc_mutex_unlock(&w.mutex);
    toc_scraper_free(&s);
}

static void write_file(const char *path, const char *text) {
    assert_int_equal(toc_vfs_write_file(toc_vfs_system(), path, toc_sv_cstr(text)), 0);
}

static void files_are_followed(void **state) {
    (void)state;
    char folder[] = "/tmp/tocsin-sd-XXXXXX", path[64], text[300];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.json", folder);
    snprintf(
        text, sizeof text,
        "[{\"targets\": [\"127.0.0.1:%u\"], \"labels\": {\"instance\": \"f\", \"zone\": \"z\"}}]",
        toc_http_server_port(w.server));
    write_file(path, text);
    char config[400];
    snprintf(
        config, sizeof config,
        "- job_name: sd\n  scrape_interval: 200ms\n  file_sd_configs: [{files: ['%s/*.json']}]\n"
        "  relabel_configs: [{source_labels: [__meta_filepath], regex: '.*/(.*)', target_label: "
        "file}]\n",
        folder);
    struct toc_scraper *s = new_scraper();
    toc_scraper_load(s, read_set(config));
    const char *up = "up{file=\"a.json\", instance=\"f\", job=\"sd\", zone=\"z\"}";
    wait_for(up, 1);
    write_file(path, "[{\"targets\": [1"); /* broken: the last good targets stay */
    for (int i = 0; i < 300 && toc_scraper_counters(s).file_errors == 0; i++)
        toc_sleep_ms(10);
    assert_true(toc_scraper_counters(s).file_errors > 0);
    look(s);
    assert_int_equal(g_seen.count, 1);
    write_file(path, "[]");
    wait_for(up, NAN);
    toc_scraper_free(&s);
    assert_int_equal(toc_vfs_system()->remove(toc_vfs_system(), path), 0);
}

/* Many targets that hang do not delay one that answers. */
static void slow_targets_do_not_delay_others(void **state) {
    (void)state;
    struct toc_scraper *s = new_scraper();
    char text[4000];
    int n = snprintf(text, sizeof text,
                     "- job_name: slow\n  scrape_interval: 1s\n  static_configs:\n  - targets: [");
    for (int i = 0; i < 8; i++) /* TEST-NET-1: nobody answers */
        n += snprintf(text + n, sizeof text - (size_t)n, "%s'192.0.2.%d:1'", i ? "," : "", i + 1);
    snprintf(text + n, sizeof text - (size_t)n,
             "]\n- job_name: quick\n  scrape_interval: 200ms\n"
             "  static_configs: [{targets: ['127.0.0.1:%u'], labels: {instance: q}}]\n",
             toc_http_server_port(w.server));
    toc_scraper_load(s, read_set(text));
    wait_for("up{instance=\"q\", job=\"quick\"}", 1);
    int before = atomic_load(&w.requests);
    toc_sleep_ms(2000);
    assert_true(atomic_load(&w.requests) - before >= 7);
    toc_scraper_free(&s);
}

static void missed_turns_are_counted_with_their_reason(void **state) {
    (void)state;
    struct toc_scraper *s = new_scraper();
    atomic_store(&w.mode, 2); /* until the time-out, which is the interval */
    toc_scraper_load(s, set_for(""));
    for (int i = 0; i < 500 && toc_scraper_counters(s).missed_slow == 0; i++)
        toc_sleep_ms(10);
    assert_true(toc_scraper_counters(s).missed_slow > 0);
    assert_int_equal(toc_scraper_counters(s).missed_limit, 0);
    toc_scraper_free(&s);

    s = new_limited_scraper(1); /* three times 150 ms one after the other, every 200 ms */
    atomic_store(&w.mode, 5);
    char text[400];
    unsigned port = toc_http_server_port(w.server);
    snprintf(text, sizeof text,
             "- job_name: j\n  scrape_interval: 200ms\n  static_configs:\n"
             "  - {targets: ['127.0.0.1:%u'], labels: {instance: i}}\n"
             "  - {targets: ['127.0.0.1:%u'], labels: {instance: j}}\n"
             "  - {targets: ['127.0.0.1:%u'], labels: {instance: k}}\n",
             port, port, port);
    toc_scraper_load(s, read_set(text));
    for (int i = 0; i < 500 && toc_scraper_counters(s).missed_limit == 0; i++)
        toc_sleep_ms(10);
    assert_true(toc_scraper_counters(s).missed_limit > 0);
    atomic_store(&w.mode, 0);
    toc_scraper_free(&s);
}

static int set_up(void **state) {
    (void)state;
    struct toc_err err = {0};
    w.sink.write = locked_write;
    toc_mutex_init(&w.mutex, TOC_LOCK_LOG);
    recording_init(&w.recording);
    const struct toc_http_server_options o = {.handler = serve};
    return toc_net_init(&err) < 0 || toc_http_server_start(&o, &w.server, &err) < 0;
}

static int tear_down(void **state) {
    (void)state;
    toc_http_server_stop(&w.server);
    recording_fini(&w.recording);
    toc_mutex_fini(&w.mutex);
    toc_net_fini();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vanished_series_get_a_marker),
        cmocka_unit_test(other_spelling_is_the_same_series),
        cmocka_unit_test(a_broken_answer_ends_all_series),
        cmocka_unit_test(clashing_labels_are_exported),
        cmocka_unit_test(metric_relabelling_drops_and_renames),
        cmocka_unit_test(timestamps_and_bounds),
        cmocka_unit_test(churn_does_not_grow_the_cache),
        cmocka_unit_test(remembered_lines_change_nothing),
        cmocka_unit_test(a_target_goes_up_down_and_away),
        cmocka_unit_test(limits_fail_the_scrape),
        cmocka_unit_test(reload_keeps_what_stays),
        cmocka_unit_test(files_are_followed),
        cmocka_unit_test(slow_targets_do_not_delay_others),
        cmocka_unit_test(missed_turns_are_counted_with_their_reason),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
