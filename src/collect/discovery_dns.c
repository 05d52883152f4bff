/* dns_sd_configs: records of DNS name the targets. */
#include <stdio.h>

#include "base/alloc.h"
#include "collect/discovery_priv.h"
#include "sys/resolver.h"

enum { DEFAULT_INTERVAL_MS = 30000, ARENA_BYTES = 16 << 20, NAMES_MAX = 1000 };

struct dns_source {
    const struct toc_sv *names;
    size_t name_count;
    enum toc_dns_type type;
    int64_t port, interval_ms;
};

/* ------------------------------------------------------------------------------------------------
 * configuration */

static int read_type(const struct toc_yaml *n, enum toc_dns_type *out, struct toc_err *err) {
    struct toc_sv text = TOC_SV_NULL;
    *out = TOC_DNS_SRV;
    if (toc_yaml_is_null(n))
        return 0;
    int rc = toc_yaml_string(n, &text, err);
    for (int t = 0; rc == 0 && t < TOC_DNS_TYPE_COUNT; t++)
        if (toc_sv_eq_nocase(text, toc_sv_cstr(toc_dns_type_text((enum toc_dns_type)t)))) {
            *out = (enum toc_dns_type)t;
            return 0;
        }
    return rc ? rc
              : toc_err_at(err, TOC_EINVAL, n->line, n->column, "invalid DNS-SD records type %.*s",
                           TOC_SV_ARG(text));
}

static int check_dns(const struct toc_yaml *n, const struct dns_source *d, struct toc_err *err) {
    if (d->name_count == 0)
        return toc_err_at(err, TOC_EINVAL, n->line, n->column,
                          "DNS-SD config must contain at least one SRV record name");
    if (d->name_count > NAMES_MAX)
        return toc_err_at(err, TOC_ELIMIT, n->line, n->column, "%zu names, at most %d",
                          d->name_count, NAMES_MAX);
    if (d->type != TOC_DNS_SRV && d->port == 0)
        return toc_err_at(err, TOC_EINVAL, n->line, n->column,
                          "a port is required in DNS-SD configs for all record types except SRV");
    if (d->port < 0 || d->port > 65535)
        return toc_err_at(err, TOC_EINVAL, n->line, n->column, "port %lld is none",
                          (long long)d->port);
    return 0;
}

static struct toc_sv describe(const struct dns_source *d, struct toc_arena *a) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_buf_printf(&text, "%s ", toc_dns_type_text(d->type));
    for (size_t i = 0; i < d->name_count && text.n < 300; i++)
        toc_buf_printf(&text, "%s%.*s", i ? ", " : "", TOC_SV_ARG(toc_sv_sub(d->names[i], 0, 255)));
    struct toc_sv copy = toc_arena_dup_sv(a, toc_buf_sv(&text));
    toc_buf_fini(&text);
    return copy;
}

static int read_dns(const struct toc_yaml *n, const struct toc_config_reader *r,
                    struct toc_discovery_config *out) {
    static const char *const keys[] = {"names", "type", "port", "refresh_interval", NULL};
    struct dns_source *d = TOC_ARENA_NEW(r->arena, struct dns_source);
    const struct toc_yaml *port = toc_yaml_get(n, "port");
    if (!d)
        return toc_config_no_memory(r->err);
    int rc = toc_yaml_check_keys(n, keys, r->err);
    if (rc == 0)
        rc = toc_config_strings(toc_yaml_get(n, "names"), r->arena, &d->names, &d->name_count,
                                r->err);
    if (rc == 0)
        rc = read_type(toc_yaml_get(n, "type"), &d->type, r->err);
    if (rc == 0 && !toc_yaml_is_null(port))
        rc = toc_yaml_int(port, &d->port, r->err);
    if (rc == 0)
        rc = toc_discovery_read_interval(n, DEFAULT_INTERVAL_MS, &d->interval_ms, r->err);
    if (rc == 0)
        rc = check_dns(n, d, r->err);
    out->settings = d;
    if (rc == 0)
        out->where = describe(d, r->arena);
    return rc;
}

static void format_dns(const void *settings, struct toc_buf *out) {
    const struct dns_source *d = settings;
    toc_buf_append_cstr(out, "  names:\n");
    for (size_t i = 0; i < d->name_count; i++) {
        toc_buf_append_cstr(out, "  - ");
        toc_discovery_append_url(d->names[i], out);
        toc_buf_append_char(out, '\n');
    }
    toc_buf_printf(out, "  type: %s\n", toc_dns_type_text(d->type));
    if (d->port)
        toc_buf_printf(out, "  port: %lld\n", (long long)d->port);
    toc_discovery_format_duration("refresh_interval", d->interval_ms, out);
}

/* ------------------------------------------------------------------------------------------------
 * at work */

/* "host:port"; an IPv6 address gets brackets. */
static struct toc_sv address_of(const struct toc_dns_record *r, int64_t port, struct toc_arena *a) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_buf_printf(&text, r->type == TOC_DNS_AAAA ? "[%.*s]:%lld" : "%.*s:%lld",
                   TOC_SV_ARG(r->target),
                   (long long)(r->type == TOC_DNS_SRV ? (int64_t)r->port : port));
    struct toc_sv copy = toc_arena_dup_sv(a, toc_buf_sv(&text));
    toc_buf_fini(&text);
    return copy;
}

static struct toc_sv with_dot(struct toc_sv name, struct toc_arena *a) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_buf_printf(&text, "%.*s.", TOC_SV_ARG(name));
    struct toc_sv copy = toc_arena_dup_sv(a, toc_buf_sv(&text));
    toc_buf_fini(&text);
    return copy;
}

static struct toc_labels own_labels(const struct toc_dns_record *r, struct toc_arena *a) {
    struct toc_label *l = TOC_ARENA_NEW_ARRAY(a, struct toc_label, 2);
    size_t n = 0;
    if (!l)
        return TOC_LABELS_EMPTY;
    if (r->type == TOC_DNS_SRV) {
        char port[8];
        snprintf(port, sizeof port, "%u", r->port);
        l[n++] = (struct toc_label){TOC_SV("__meta_dns_srv_record_target"), with_dot(r->target, a)};
        l[n++] = (struct toc_label){TOC_SV("__meta_dns_srv_record_port"),
                                    toc_arena_dup_sv(a, toc_sv_cstr(port))};
    } else if (r->type == TOC_DNS_MX) {
        l[n++] = (struct toc_label){TOC_SV("__meta_dns_mx_record_target"), with_dot(r->target, a)};
    } else if (r->type == TOC_DNS_NS) {
        l[n++] = (struct toc_label){TOC_SV("__meta_dns_ns_record_target"), with_dot(r->target, a)};
    }
    return (struct toc_labels){l, n};
}

static int refresh_name(struct toc_discovery_source *s, const struct dns_source *d,
                        struct toc_sv name, struct toc_arena *a, struct toc_err *err) {
    const struct toc_dns_record *records = NULL;
    size_t count = 0;
    struct toc_label label = {TOC_SV("__meta_dns_name"), name};
    int rc = toc_dns_lookup(name.p, d->type, a, &records, &count, err);
    struct toc_sv *targets = rc ? NULL : TOC_ARENA_NEW_ARRAY(a, struct toc_sv, count + 1);
    struct toc_labels *own = rc ? NULL : TOC_ARENA_NEW_ARRAY(a, struct toc_labels, count + 1);
    if (rc || !targets || !own)
        return rc ? rc : toc_errf(err, TOC_ELIMIT, "%s: too many records", name.p);
    for (size_t i = 0; i < count; i++) {
        targets[i] = address_of(&records[i], d->port, a);
        own[i] = own_labels(&records[i], a);
    }
    if (a->overflowed)
        return toc_errf(err, TOC_ELIMIT, "%s: too many records", name.p);
    toc_discovery_put(s, &(struct toc_target_group){.source = name,
                                                    .targets = targets,
                                                    .own = own,
                                                    .target_count = count,
                                                    .labels = &label,
                                                    .label_count = 1});
    return 0;
}

/* A name that fails keeps its targets; the others are up to date. */
static int refresh(struct toc_discovery_source *s, void *ctx, struct toc_err *err) {
    const struct dns_source *d = ctx;
    struct toc_map names = TOC_MAP_INIT;
    int rc = 0;
    for (size_t i = 0; i < d->name_count && !toc_discovery_is_stopping(s); i++) {
        struct toc_arena a;
        struct toc_err why = {0};
        toc_arena_init(&a, ARENA_BYTES);
        toc_map_put(&names, d->names[i], s);
        int one = refresh_name(s, d, d->names[i], &a, &why);
        if (rc == 0 && one) {
            rc = one;
            *err = why;
        }
        toc_arena_fini(&a);
    }
    if (!toc_discovery_is_stopping(s))
        toc_discovery_keep_only(s, &names);
    toc_map_fini(&names);
    toc_discovery_publish(s); /* also when some name failed */
    if (rc == 0)
        toc_discovery_succeeded(s);
    return rc;
}

static void run(struct toc_discovery_source *s, const void *settings) {
    struct dns_source d = *(const struct dns_source *)settings;
    toc_discovery_repeat(s, d.interval_ms, refresh, &d);
}

const struct toc_discovery_kind toc_discovery_dns = {
    .mechanism = TOC_DISCOVERY_DNS,
    .key = "dns_sd_configs",
    .read = read_dns,
    .format = format_dns,
    .run = run,
};
