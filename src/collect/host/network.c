#include "collect/host/host_priv.h"

#include <stdio.h>

#include "shim/regex.h"

/* The columns of /proc/net/dev behind the device name, in order. */
#define NET_COLUMNS(X)                         \
    X("node_network_receive_bytes_total")      \
    X("node_network_receive_packets_total")    \
    X("node_network_receive_errs_total")       \
    X("node_network_receive_drop_total")       \
    X("node_network_receive_fifo_total")       \
    X("node_network_receive_frame_total")      \
    X("node_network_receive_compressed_total") \
    X("node_network_receive_multicast_total")  \
    X("node_network_transmit_bytes_total")     \
    X("node_network_transmit_packets_total")   \
    X("node_network_transmit_errs_total")      \
    X("node_network_transmit_drop_total")      \
    X("node_network_transmit_fifo_total")      \
    X("node_network_transmit_colls_total")     \
    X("node_network_transmit_carrier_total")   \
    X("node_network_transmit_compressed_total")

static const char *const columns[] = {
#define X(metric) metric,
    NET_COLUMNS(X)
#undef X
};

/* Packets for which no protocol handler was found are only in sysfs. */
static void put_nohandler(struct toc_host *h, struct toc_sv device) {
    char path[256];
    struct toc_sv text;
    double value;
    if (snprintf(path, sizeof path, "/sys/class/net/%.*s/statistics/rx_nohandler",
                 TOC_SV_ARG(device)) >= (int)sizeof path ||
        toc_procfs_read(&h->fs, path, &text))
        return;
    text = toc_sv_trim(text);
    if (toc_text_number(&text, &value))
        toc_host_put1(h, "node_network_receive_nohandler_total", TOC_METRIC_COUNTER,
                      TOC_SV("device"), device, value);
}

/* "  eth0: 1500 10 0 …"; the last colon separates, for names of aliases have one. */
static void put_device_line(struct toc_host *h, struct toc_sv line) {
    size_t colon = line.n;
    while (colon > 0 && line.p[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return;
    struct toc_sv device = toc_sv_trim(toc_sv_sub(line, 0, colon - 1));
    struct toc_sv rest = toc_sv_sub(line, colon, SIZE_MAX);
    double value;
    if (device.n == 0 || device.n > 64 || toc_sv_find_char(device, '/') != SIZE_MAX ||
        toc_regex_matches(h->net_exclude, device))
        return;
    for (size_t i = 0; i < TOC_ARRAY_LEN(columns) && toc_text_number(&rest, &value); i++)
        toc_host_put1(h, columns[i], TOC_METRIC_COUNTER, TOC_SV("device"), device, value);
    put_nohandler(h, device);
}

int toc_host_netdev(struct toc_host *h) {
    struct toc_sv text, line;
    int rc = toc_procfs_read(&h->fs, "/proc/net/dev", &text);
    if (rc)
        return rc;
    struct toc_buf table = TOC_BUF_INIT; /* sysfs goes through the reader's one buffer */
    toc_buf_append_sv(&table, text);
    text = toc_buf_sv(&table);
    while (toc_text_line(&text, &line))
        put_device_line(h, line);
    toc_buf_fini(&table);
    return 0;
}

/* "TCP: inuse 4 orphan 0 tw 0 alloc 4 mem 293"; mem counts pages. */
static void put_sockets_line(struct toc_host *h, struct toc_sv line) {
    struct toc_sv family, key;
    char name[160];
    double value;
    if (!toc_text_word(&line, &family) || family.p[family.n - 1] != ':' || family.n > 32)
        return;
    family.n--;
    while (toc_text_word(&line, &key) && key.n <= 32 && toc_text_number(&line, &value)) {
        snprintf(name, sizeof name, "node_sockstat_%.*s_%.*s", TOC_SV_ARG(family), TOC_SV_ARG(key));
        if (!toc_metric_name_is_classic(toc_sv_cstr(name)))
            return;
        toc_host_put(h, name, TOC_METRIC_GAUGE, value);
        if (!toc_sv_eq_cstr(key, "mem"))
            continue;
        snprintf(name, sizeof name, "node_sockstat_%.*s_mem_bytes", TOC_SV_ARG(family));
        toc_host_put(h, name, TOC_METRIC_GAUGE, value * (double)toc_page_size_bytes());
    }
}

int toc_host_sockstat(struct toc_host *h) {
    static const char *const paths[] = {"/proc/net/sockstat", "/proc/net/sockstat6"};
    int found = 0;
    for (size_t i = 0; i < TOC_ARRAY_LEN(paths); i++) {
        struct toc_sv text, line;
        if (toc_procfs_read(&h->fs, paths[i], &text))
            continue;
        found++;
        while (toc_text_line(&text, &line))
            put_sockets_line(h, line);
    }
    return found ? 0 : TOC_ENOENT;
}
