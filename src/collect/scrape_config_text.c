/* A scrape config written back as YAML, with every default in force and without secrets. */
#include "base/time.h"
#include "codec/yaml_write.h"
#include "collect/scrape_config.h"

static void line(struct toc_buf *out, int indent, const char *key, struct toc_sv value) {
    toc_buf_printf(out, "%*s%s: ", indent, "", key);
    if (!toc_yaml_append_masked_url(out, value))
        toc_yaml_append_scalar(out, value);
    toc_buf_append_char(out, '\n');
}

/* Only when it is set. */
static void optional(struct toc_buf *out, int indent, const char *key, struct toc_sv value) {
    if (value.n)
        line(out, indent, key, value);
}

static void flag(struct toc_buf *out, int indent, const char *key, bool value) {
    toc_buf_printf(out, "%*s%s: %s\n", indent, "", key, value ? "true" : "false");
}

static void duration(struct toc_buf *out, const char *key, int64_t ms) {
    toc_buf_printf(out, "%s: ", key);
    toc_duration_format(ms, out);
    toc_buf_append_char(out, '\n');
}

static void list(struct toc_buf *out, int indent, const char *key, const struct toc_sv *items,
                 size_t count) {
    toc_buf_printf(out, "%*s%s:\n", indent, "", key);
    for (size_t i = 0; i < count; i++) {
        toc_buf_printf(out, "%*s- ", indent, "");
        toc_yaml_append_scalar(out, items[i]);
        toc_buf_append_char(out, '\n');
    }
}

static void params(struct toc_buf *out, const struct toc_scrape_config *c) {
    if (c->param_count)
        toc_buf_append_cstr(out, "params:\n");
    for (size_t i = 0; i < c->param_count; i++) {
        toc_buf_append_cstr(out, "  ");
        toc_yaml_append_scalar(out, c->params[i].name);
        toc_buf_append_cstr(out, ":\n");
        for (size_t k = 0; k < c->params[i].value_count; k++) {
            toc_buf_append_cstr(out, "  - ");
            toc_yaml_append_scalar(out, c->params[i].values[k]);
            toc_buf_append_char(out, '\n');
        }
    }
}

static void relabel(struct toc_buf *out, const char *key, const struct toc_relabel *r) {
    if (r->count)
        toc_buf_printf(out, "%s:\n", key);
    for (size_t i = 0; i < r->count; i++) {
        const struct toc_relabel_rule *rule = &r->rules[i];
        toc_buf_printf(out, "- action: %s\n", toc_relabel_action_text(rule->action));
        if (rule->source_count)
            list(out, 2, "source_labels", rule->source_labels, rule->source_count);
        line(out, 2, "separator", rule->separator);
        line(out, 2, "regex", rule->regex_text);
        optional(out, 2, "target_label", rule->target_label);
        line(out, 2, "replacement", rule->replacement);
        if (rule->modulus)
            toc_buf_printf(out, "  modulus: %llu\n", (unsigned long long)rule->modulus);
    }
}

static void targets(struct toc_buf *out, const struct toc_scrape_config *c) {
    if (c->group_count)
        toc_buf_append_cstr(out, "static_configs:\n");
    for (size_t i = 0; i < c->group_count; i++) {
        const struct toc_target_group *g = &c->groups[i];
        toc_buf_append_cstr(out, "- targets:\n");
        for (size_t k = 0; k < g->target_count; k++) {
            toc_buf_append_cstr(out, "  - ");
            toc_yaml_append_scalar(out, g->targets[k]);
            toc_buf_append_char(out, '\n');
        }
        if (g->label_count)
            toc_buf_append_cstr(out, "  labels:\n");
        for (size_t k = 0; k < g->label_count; k++) {
            toc_buf_append_cstr(out, "    ");
            toc_yaml_append_scalar(out, g->labels[k].name);
            toc_buf_append_cstr(out, ": ");
            toc_yaml_append_scalar(out, g->labels[k].value);
            toc_buf_append_char(out, '\n');
        }
    }
    if (c->file_sd_count)
        toc_buf_append_cstr(out, "file_sd_configs:\n");
    for (size_t i = 0; i < c->file_sd_count; i++) {
        toc_buf_append_cstr(out, "- files:\n");
        for (size_t k = 0; k < c->file_sds[i].file_count; k++) {
            toc_buf_append_cstr(out, "  - ");
            toc_yaml_append_scalar(out, c->file_sds[i].files[k]);
            toc_buf_append_char(out, '\n');
        }
    }
}

void toc_scrape_config_format(const struct toc_scrape_config *c, struct toc_buf *out) {
    line(out, 0, "job_name", c->job_name);
    flag(out, 0, "honor_labels", c->honor_labels);
    flag(out, 0, "honor_timestamps", c->honor_timestamps);
    flag(out, 0, "track_timestamps_staleness", c->track_timestamps_staleness);
    params(out, c);
    duration(out, "scrape_interval", c->interval_ms);
    duration(out, "scrape_timeout", c->timeout_ms);
    line(out, 0, "metrics_path", c->metrics_path);
    line(out, 0, "scheme", c->scheme);
    flag(out, 0, "enable_compression", c->enable_compression);
    flag(out, 0, "extra_scrape_metrics", c->extra_scrape_metrics);
#define X(member, fallback, what) \
    toc_buf_printf(out, "%s: %lld\n", #member, (long long)c->limits.member);
    TOC_SCRAPE_LIMIT_TABLE(X)
#undef X
    toc_http_settings_format(&c->http, 0, out);
    targets(out, c);
    toc_discovery_configs_format(c->discoveries, c->discovery_count, out);
    relabel(out, "relabel_configs", &c->relabel);
    relabel(out, "metric_relabel_configs", &c->metric_relabel);
}
