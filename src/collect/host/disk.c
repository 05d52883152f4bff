#include "collect/host/host_priv.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/num.h"
#include "shim/regex.h"

/* X(metric, type, scale): the columns of /proc/diskstats behind the device name, in order.
 * Kernels before 4.18 lack the discards, before 5.5 the flushes. */
#define DISK_COLUMNS(X)                                                      \
    X("node_disk_reads_completed_total", TOC_METRIC_COUNTER, 1)              \
    X("node_disk_reads_merged_total", TOC_METRIC_COUNTER, 1)                 \
    X("node_disk_read_bytes_total", TOC_METRIC_COUNTER, 512)                 \
    X("node_disk_read_time_seconds_total", TOC_METRIC_COUNTER, 0.001)        \
    X("node_disk_writes_completed_total", TOC_METRIC_COUNTER, 1)             \
    X("node_disk_writes_merged_total", TOC_METRIC_COUNTER, 1)                \
    X("node_disk_written_bytes_total", TOC_METRIC_COUNTER, 512)              \
    X("node_disk_write_time_seconds_total", TOC_METRIC_COUNTER, 0.001)       \
    X("node_disk_io_now", TOC_METRIC_GAUGE, 1)                               \
    X("node_disk_io_time_seconds_total", TOC_METRIC_COUNTER, 0.001)          \
    X("node_disk_io_time_weighted_seconds_total", TOC_METRIC_COUNTER, 0.001) \
    X("node_disk_discards_completed_total", TOC_METRIC_COUNTER, 1)           \
    X("node_disk_discards_merged_total", TOC_METRIC_COUNTER, 1)              \
    X("node_disk_discarded_sectors_total", TOC_METRIC_COUNTER, 1)            \
    X("node_disk_discard_time_seconds_total", TOC_METRIC_COUNTER, 0.001)     \
    X("node_disk_flush_requests_total", TOC_METRIC_COUNTER, 1)               \
    X("node_disk_flush_requests_time_seconds_total", TOC_METRIC_COUNTER, 0.001)

static const struct {
    const char *metric;
    enum toc_metric_type type;
    double scale;
} columns[] = {
#define X(metric, type, scale) {metric, type, scale},
    DISK_COLUMNS(X)
#undef X
};

/* X(member, udev property): what /run/udev/data says of a block device. */
#define UDEV_PROPERTIES(X)                                   \
    X(path, "ID_PATH")                                       \
    X(wwn, "ID_WWN")                                         \
    X(model, "ID_MODEL")                                     \
    X(scsi_serial, "SCSI_IDENT_SERIAL")                      \
    X(short_serial, "ID_SERIAL_SHORT")                       \
    X(revision, "ID_REVISION")                               \
    X(fs_type, "ID_FS_TYPE")                                 \
    X(fs_usage, "ID_FS_USAGE")                               \
    X(fs_uuid, "ID_FS_UUID")                                 \
    X(fs_version, "ID_FS_VERSION")                           \
    X(dm_name, "DM_NAME")                                    \
    X(dm_uuid, "DM_UUID")                                    \
    X(dm_vg_name, "DM_VG_NAME")                              \
    X(dm_lv_name, "DM_LV_NAME")                              \
    X(dm_lv_layer, "DM_LV_LAYER")                            \
    X(ata, "ID_ATA")                                         \
    X(ata_write_cache, "ID_ATA_WRITE_CACHE")                 \
    X(ata_write_cache_enabled, "ID_ATA_WRITE_CACHE_ENABLED") \
    X(ata_rotation, "ID_ATA_ROTATION_RATE_RPM")

struct toc_udev_info {
#define X(member, property) char *member;
    UDEV_PROPERTIES(X)
#undef X
};

/* Properties change when a disk is swapped; reading them each second would cost more than all
 * counters. */
enum { UDEV_REFRESH_CYCLES = 60 };

static void udev_free(struct toc_udev_info *u) {
#define X(member, property) toc_free(u->member);
    UDEV_PROPERTIES(X)
#undef X
    toc_free(u);
}

void toc_host_disk_fini(struct toc_host *h) {
    const struct toc_map_entry *e;
    for (size_t cursor = 0; (e = toc_map_next(&h->udev, &cursor));)
        udev_free(e->value);
    toc_map_fini(&h->udev);
}

static void udev_line(struct toc_udev_info *u, struct toc_sv line) {
    if (!toc_sv_starts_with(line, TOC_SV("E:")))
        return;
    line = toc_sv_sub(line, 2, SIZE_MAX);
    size_t at = toc_sv_find_char(line, '=');
    if (at == SIZE_MAX)
        return;
    struct toc_sv key = toc_sv_sub(line, 0, at), value = toc_sv_sub(line, at + 1, 1024);
#define X(member, property)                          \
    if (!u->member && toc_sv_eq_cstr(key, property)) \
        u->member = toc_sv_dup_cstr(value);
    UDEV_PROPERTIES(X)
#undef X
}

/* Cached properties of the device; an empty set when udev is not there. */
static const struct toc_udev_info *udev_get(struct toc_host *h, struct toc_sv major,
                                            struct toc_sv minor) {
    char key[64], path[128];
    snprintf(key, sizeof key, "%.*s:%.*s", TOC_SV_ARG(major), TOC_SV_ARG(minor));
    struct toc_udev_info *u = toc_map_get(&h->udev, toc_sv_cstr(key));
    if (u)
        return u;
    u = TOC_NEW(struct toc_udev_info);
    toc_map_put(&h->udev, toc_sv_cstr(key), u);
    struct toc_sv text, line;
    snprintf(path, sizeof path, "/run/udev/data/b%s", key);
    if (toc_procfs_read_once(&h->fs, path, &text) == 0)
        while (toc_text_line(&text, &line))
            udev_line(u, line);
    return u;
}

static struct toc_sv or_empty(const char *s) {
    return toc_sv_cstr(s);
}

static void put_ata(struct toc_host *h, struct toc_sv device, const char *metric,
                    const char *text) {
    double value;
    if (text && toc_parse_f64(toc_sv_cstr(text), &value) == 0)
        toc_host_put1(h, metric, TOC_METRIC_GAUGE, TOC_SV("device"), device, value);
}

static void put_udev_parts(struct toc_host *h, struct toc_sv device,
                           const struct toc_udev_info *u) {
    struct toc_label fs[] = {
        {TOC_SV("device"), device},
        {TOC_SV("type"), or_empty(u->fs_type)},
        {TOC_SV("usage"), or_empty(u->fs_usage)},
        {TOC_SV("uuid"), or_empty(u->fs_uuid)},
        {TOC_SV("version"), or_empty(u->fs_version)},
    };
    struct toc_label dm[] = {
        {TOC_SV("device"), device},
        {TOC_SV("name"), or_empty(u->dm_name)},
        {TOC_SV("uuid"), or_empty(u->dm_uuid)},
        {TOC_SV("vg_name"), or_empty(u->dm_vg_name)},
        {TOC_SV("lv_name"), or_empty(u->dm_lv_name)},
        {TOC_SV("lv_layer"), or_empty(u->dm_lv_layer)},
    };
    if (u->fs_type && u->fs_type[0])
        toc_emitter_put(&h->out, "node_disk_filesystem_info", TOC_METRIC_GAUGE, fs,
                        TOC_ARRAY_LEN(fs), 1);
    if (u->dm_name && u->dm_name[0])
        toc_emitter_put(&h->out, "node_disk_device_mapper_info", TOC_METRIC_GAUGE, dm,
                        TOC_ARRAY_LEN(dm), 1);
    if (!u->ata || !u->ata[0])
        return;
    put_ata(h, device, "node_disk_ata_write_cache", u->ata_write_cache);
    put_ata(h, device, "node_disk_ata_write_cache_enabled", u->ata_write_cache_enabled);
    put_ata(h, device, "node_disk_ata_rotation_rate_rpm", u->ata_rotation);
}

static void put_disk_info(struct toc_host *h, struct toc_sv device, struct toc_sv major,
                          struct toc_sv minor, const struct toc_udev_info *u) {
    const char *serial = u->scsi_serial && u->scsi_serial[0] ? u->scsi_serial : u->short_serial;
    struct toc_label labels[] = {
        {TOC_SV("device"), device},
        {TOC_SV("major"), major},
        {TOC_SV("minor"), minor},
        {TOC_SV("path"), or_empty(u->path)},
        {TOC_SV("wwn"), or_empty(u->wwn)},
        {TOC_SV("model"), or_empty(u->model)},
        {TOC_SV("serial"), or_empty(serial)},
        {TOC_SV("revision"), or_empty(u->revision)},
    };
    toc_emitter_put(&h->out, "node_disk_info", TOC_METRIC_GAUGE, labels, TOC_ARRAY_LEN(labels), 1);
}

static void put_disk_line(struct toc_host *h, struct toc_sv line) {
    struct toc_sv major, minor, device;
    double value;
    if (!toc_text_word(&line, &major) || !toc_text_word(&line, &minor) ||
        !toc_text_word(&line, &device) || major.n > 16 || minor.n > 16 ||
        toc_regex_matches(h->disk_exclude, device))
        return;
    for (size_t i = 0; i < TOC_ARRAY_LEN(columns) && toc_text_number(&line, &value); i++)
        toc_host_put1(h, columns[i].metric, columns[i].type, TOC_SV("device"), device,
                      value * columns[i].scale);
    const struct toc_udev_info *u = udev_get(h, major, minor);
    put_disk_info(h, device, major, minor, u);
    put_udev_parts(h, device, u);
}

int toc_host_diskstats(struct toc_host *h) {
    struct toc_sv text, line;
    int rc = toc_procfs_read(&h->fs, "/proc/diskstats", &text);
    if (rc)
        return rc;
    if (h->cycle - h->udev_cycle >= UDEV_REFRESH_CYCLES) {
        toc_host_disk_fini(h);
        h->udev_cycle = h->cycle;
    }
    struct toc_buf table = TOC_BUF_INIT; /* udev data goes through the reader's one buffer */
    toc_buf_append_sv(&table, text);
    text = toc_buf_sv(&table);
    while (toc_text_line(&text, &line))
        put_disk_line(h, line);
    toc_buf_fini(&table);
    return 0;
}
