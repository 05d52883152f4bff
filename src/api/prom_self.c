/* status/self_metrics: the daemon's own metrics as JSON (the form that protobuf's JSON mapping
 * gives io.prometheus.client.MetricFamily). */
#include <ctype.h>
#include <math.h>

#include "api/prom_priv.h"
#include "shim/regex.h"

struct families {
    struct toc_json_writer *w;
    const struct toc_regex *pattern; /* NULL: all */
    const char *open;                /* the family that is being written */
};

static void end_family(struct families *f) {
    if (!f->open)
        return;
    toc_json_end_array(f->w);
    toc_json_end_object(f->w);
    f->open = NULL;
}

static void begin_family(struct families *f, const char *name, const char *type, const char *help) {
    char upper[16];
    size_t n = 0;
    for (; type[n] && n + 1 < sizeof upper; n++)
        upper[n] = (char)toupper((unsigned char)type[n]);
    upper[n] = 0;
    toc_json_begin_object(f->w);
    toc_json_kv_cstr(f->w, "name", name);
    toc_json_kv_cstr(f->w, "help", help);
    toc_json_kv_cstr(f->w, "type", upper);
    toc_json_key(f->w, "metric");
    toc_json_begin_array(f->w);
    f->open = name;
}

static void write_metric(void *ctx, const char *name, const char *type, const char *help,
                         const char *label, const char *label_value, double value) {
    struct families *f = ctx;
    if (f->pattern && !toc_regex_matches(f->pattern, toc_sv_cstr(name)))
        return;
    if (!f->open || strcmp(f->open, name) != 0) {
        end_family(f);
        begin_family(f, name, type, help);
    }
    toc_json_begin_object(f->w);
    if (label) {
        toc_json_key(f->w, "label");
        toc_json_begin_array(f->w);
        toc_json_begin_object(f->w);
        toc_json_kv_cstr(f->w, "name", label);
        toc_json_kv_cstr(f->w, "value", label_value);
        toc_json_end_object(f->w);
        toc_json_end_array(f->w);
    }
    toc_json_key(f->w, type);
    toc_json_begin_object(f->w);
    toc_json_kv_double(f->w, "value", value);
    toc_json_end_object(f->w);
    toc_json_end_object(f->w);
}

void toc_api_prom_self_metrics(struct toc_api_call *c) {
    const struct toc_api_parts *p = &c->api->parts;
    struct toc_sv pattern = toc_api_param(c, "metric_name_pattern");
    struct toc_regex *regex = NULL;
    struct toc_err err = {0};
    if (pattern.n && toc_regex_new(pattern, TOC_REGEX_ANCHORED, &regex, &err) < 0) {
        toc_prom_bad(c, "metric_name_pattern", "%s", err.message);
        return;
    }
    struct families f = {.w = &c->json, .pattern = regex};
    toc_prom_begin(c);
    toc_json_begin_array(&c->json);
    p->each_metric(p->daemon, write_metric, &f);
    end_family(&f);
    toc_json_end_array(&c->json);
    toc_prom_end(c);
    toc_regex_free(&regex);
}
