/* The section `nccl_ras`: where NCCL's RAS services listen. */
#include "app/config_priv.h"
#include "base/num.h"

struct section {
    const struct toc_yaml *addresses;
    int64_t interval_ms, timeout_ms;
};

#define AT(member) offsetof(struct section, member)
static const struct toc_schema_key g_nccl_ras[] = {
    {"addresses", TOC_SCHEMA_NODE, AT(addresses), false, NULL, 0, 0,
     "one ADDRESS:PORT of each job, numeric, such as 127.0.0.1:28028"},
    {"interval", TOC_SCHEMA_DURATION, AT(interval_ms), false, "15s", 0, 0,
     "how often each is asked; 5s to 30s"},
    {"timeout", TOC_SCHEMA_DURATION, AT(timeout_ms), false, "5s", 0, 0,
     "what the service is asked to stay within; it is given 6 s more"},
    {0},
};
#undef AT

static int read_address(const struct toc_yaml *item, struct toc_nccl_ras_address *out,
                        struct toc_err *err) {
    struct toc_sv text = item->type == TOC_YAML_SCALAR ? item->scalar : TOC_SV_NULL;
    size_t colon = text.n;
    uint64_t port = 0;
    while (colon > 0 && text.p[colon - 1] != ':')
        colon--;
    if (colon < 2 || toc_parse_u64(toc_sv_sub(text, colon, SIZE_MAX), &port) || port == 0 ||
        port > UINT16_MAX ||
        !toc_sv_copy(toc_sv_sub(text, 0, colon - 1), out->host, sizeof out->host))
        return toc_err_at(err, TOC_EINVAL, item->line, item->column,
                          "nccl_ras.addresses must hold ADDRESS:PORT with a numeric address, such "
                          "as 127.0.0.1:28028, got \"%.*s\"",
                          TOC_SV_ARG(text));
    out->port = (uint16_t)port;
    return 0;
}

static int read_addresses(const struct toc_yaml *list, struct toc_nccl_ras_options *out,
                          struct toc_err *err) {
    if (!list)
        return 0;
    if (list->type != TOC_YAML_SEQUENCE || list->count > TOC_NCCL_RAS_ADDRESSES_MAX)
        return toc_err_at(err, TOC_EINVAL, list->line, list->column,
                          "nccl_ras.addresses must be a list of at most %d addresses",
                          TOC_NCCL_RAS_ADDRESSES_MAX);
    for (size_t i = 0; i < list->count; i++) {
        int rc = read_address(&list->items[i], &out->addresses[i], err);
        if (rc)
            return rc;
    }
    out->count = list->count;
    return 0;
}

int toc_config_nccl_ras_read(const struct toc_yaml *node, struct toc_config *c,
                             struct toc_err *err) {
    static const struct toc_yaml empty = {.type = TOC_YAML_MAPPING};
    struct section s = {0};
    node = node ? node : &empty;
    int rc = toc_schema_read(node, g_nccl_ras, &s, err);
    if (rc == 0)
        rc = read_addresses(s.addresses, &c->nccl_ras, err);
    if (rc == 0 && (s.interval_ms < 5000 || s.interval_ms > 30000 || s.timeout_ms < 1000 ||
                    s.timeout_ms > 60000))
        rc = toc_err_at(err, TOC_EINVAL, node->line, node->column,
                        "nccl_ras.interval must be 5s to 30s and nccl_ras.timeout 1s to 60s");
    c->nccl_ras.interval_ms = s.interval_ms;
    c->nccl_ras.timeout_s = s.timeout_ms / 1000;
    return rc;
}
