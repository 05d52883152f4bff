/* The section `statsd`: where packets of StatsD are listened for. */
#include "app/config_priv.h"
#include "base/num.h"

struct section {
    struct toc_sv udp, tcp;
    int64_t flush_ms, ttl_ms, max_series;
};

#define AT(member) offsetof(struct section, member)
static const struct toc_schema_key g_statsd[] = {
    {"listen_udp", TOC_SCHEMA_STRING, AT(udp), false, "", 0, 0,
     "address for packets, such as 127.0.0.1:8125; empty: off"},
    {"listen_tcp", TOC_SCHEMA_STRING, AT(tcp), false, "", 0, 0,
     "address for connections; empty: off"},
    {"flush_interval", TOC_SCHEMA_DURATION, AT(flush_ms), false, "10s", 0, 0,
     "how often a sample of each series is stored"},
    {"ttl", TOC_SCHEMA_DURATION, AT(ttl_ms), false, "5m", 0, 0,
     "a series without packets for so long is ended and forgotten"},
    {"max_series", TOC_SCHEMA_INT, AT(max_series), false, "100000", 1, 1e7,
     "series that are summed up; packets of further ones are refused"},
    {0},
};
#undef AT

static int read_address(struct toc_sv text, struct toc_statsd_address *out,
                        const struct toc_yaml *section, const char *key, struct toc_err *err) {
    size_t colon = text.n;
    uint64_t port;
    *out = (struct toc_statsd_address){.is_on = text.n > 0};
    while (colon > 0 && text.p[colon - 1] != ':')
        colon--;
    bool is_bad =
        text.n && (colon < 2 || toc_parse_u64(toc_sv_sub(text, colon, SIZE_MAX), &port) ||
                   port > UINT16_MAX ||
                   !toc_sv_copy(toc_sv_sub(text, 0, colon - 1), out->host, sizeof out->host));
    if (is_bad)
        return toc_err_at(err, TOC_EINVAL, section->line, section->column,
                          "statsd.%s must be ADDRESS:PORT with a numeric address, such as "
                          "127.0.0.1:8125, got \"%.*s\"",
                          key, TOC_SV_ARG(text));
    out->port = text.n ? (uint16_t)port : 0;
    return 0;
}

int toc_config_statsd_read(const struct toc_yaml *statsd, struct toc_config *c,
                           struct toc_err *err) {
    static const struct toc_yaml empty = {.type = TOC_YAML_MAPPING};
    struct section s = {0};
    statsd = statsd ? statsd : &empty;
    int rc = toc_schema_read(statsd, g_statsd, &s, err);
    if (rc == 0)
        rc = read_address(s.udp, &c->statsd.udp, statsd, "listen_udp", err);
    if (rc == 0)
        rc = read_address(s.tcp, &c->statsd.tcp, statsd, "listen_tcp", err);
    if (rc == 0 && s.flush_ms < 100)
        rc = toc_err_at(err, TOC_EINVAL, statsd->line, statsd->column,
                        "statsd.flush_interval must be 100ms or more");
    c->statsd.flush_ms = s.flush_ms;
    c->statsd.limits = (struct toc_statsd_limits){(size_t)s.max_series, s.ttl_ms};
    return rc;
}
