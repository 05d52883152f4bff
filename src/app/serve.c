/* What the API gets to speak to. */
#include "app/daemon_priv.h"
#include "codec/yaml_write.h"
#include "shim/regex.h"
#include "sys/log.h"
#include "sys/zone.h"

void toc_daemon_note_config(struct toc_daemon *d, const struct toc_config *c) {
    d->config_loaded_at = toc_clock_now(d->clock);
    toc_buf_reset(&d->config_yaml);
    if (c->document)
        toc_yaml_format(c->document, &d->config_yaml);
    toc_buf_reset(&d->routing_text);
    toc_buf_append_sv(&d->routing_text, c->alerting_text);
}

static int reload(void *daemon, struct toc_err *err) {
    return toc_daemon_reload(daemon, err);
}

static void config_state(void *daemon, bool *out_is_good, struct toc_ts *out_loaded_at) {
    struct toc_daemon *d = daemon;
    toc_mutex_lock(&d->reload_mutex);
    *out_is_good = d->config_problem[0] == 0;
    *out_loaded_at = d->config_loaded_at;
    toc_mutex_unlock(&d->reload_mutex);
}

static void config_text(void *daemon, struct toc_buf *out) {
    struct toc_daemon *d = daemon;
    toc_mutex_lock(&d->reload_mutex);
    toc_buf_append_sv(out, toc_buf_sv(&d->config_yaml));
    toc_mutex_unlock(&d->reload_mutex);
}

static void routing_text(void *daemon, struct toc_buf *out) {
    struct toc_daemon *d = daemon;
    toc_mutex_lock(&d->reload_mutex);
    toc_buf_append_sv(out, toc_buf_sv(&d->routing_text));
    toc_mutex_unlock(&d->reload_mutex);
}

static void each_pack(void *daemon, toc_on_pack *fn, void *ctx) {
    toc_packs_each(((struct toc_daemon *)daemon)->packs, fn, ctx);
}

static int set_pack(void *daemon, struct toc_sv name, enum toc_pack_mode mode, struct toc_ts now,
                    struct toc_err *err) {
    return toc_packs_set(((struct toc_daemon *)daemon)->packs, name, mode, now, err);
}

void toc_daemon_routing(struct toc_daemon *d, struct toc_buf *out) {
    routing_text(d, out);
}

void toc_daemon_make_api(struct toc_daemon *d) {
    struct toc_err err = {0};
    /* The expression was checked when the file was loaded. */
    if (d->config->cors_origin.n &&
        toc_regex_new(d->config->cors_origin, TOC_REGEX_ANCHORED, &d->cors_origin, &err) < 0)
        toc_log(TOC_LOG_ERROR, "config", "%s", err.message);
    const struct toc_api_parts parts = {.clock = d->clock,
                                        .querier = toc_metricdb_querier(d->metrics),
                                        .sink = toc_metricdb_sink(d->metrics),
                                        .metrics = d->metrics,
                                        .state = d->state,
                                        .guard = d->guard,
                                        .rules = d->rules,
                                        .detectors = d->detectors,
                                        .series_watch = d->series_watch,
                                        .newest = d->series_watch ? &d->newest.base : NULL,
                                        .alerts = d->alerts,
                                        .incidents = d->incidents,
                                        .learn = d->learn,
                                        .thresholds = &d->thresholds.base,
                                        .blobs = &d->blobs.base,
                                        .notifier = d->notifier,
                                        .scraper = d->scraper,
                                        .discover = d->discover,
                                        .runs = d->runs,
                                        .doctor = d->doctor,
                                        .remote_write = d->remote_write,
                                        .remote_path = d->remote_path,
                                        .otlp = d->otlp,
                                        .spans = d->spans,
                                        .import = d->import,
                                        .ack_key = d->ack_key,
                                        .started_at = d->started_at,
                                        .config_path = d->options.config_path,
                                        .data_dir = d->data_dir,
                                        .external_url = d->link_base,
                                        .retention_ms = d->config->retention_ms,
                                        .has_admin_api = d->config->has_admin_api,
                                        .cors_origin = d->cors_origin,
                                        .cors_origin_text = d->config->cors_origin,
                                        .has_tls = d->config->tls_cert_file.n > 0,
                                        .query_limits = d->config->query,
                                        .features = d->config->features,
                                        .executor = toc_pool_executor(d->pool),
                                        .subquery_step_ms = d->config->evaluation_interval_ms,
                                        .daemon = d,
                                        .each_pack = each_pack,
                                        .set_pack = set_pack,
                                        .each_problem = toc_daemon_each_problem,
                                        .each_metric = toc_daemon_each_metric,
                                        .each_labelled_metric = toc_daemon_each_labelled_metric,
                                        .reload = reload,
                                        .config_state = config_state,
                                        .routing_text = routing_text,
                                        .zones = {toc_zone_offset, NULL},
                                        .config_text = config_text};
    d->api = toc_api_new(&parts);
    toc_api_set_external_labels(d->api, d->config->external_labels);
}
