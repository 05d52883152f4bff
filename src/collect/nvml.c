#include "collect/nvml.h"

#include <stdio.h>

#include "base/alloc.h"
#include "collect/emitter.h"
#include "collect/nvml_api_priv.h"
#include "sys/env.h"

enum { DEVICES_MAX = 64, LABELS = 7, RETRY_MS = 60000, EVENTS_PER_CYCLE_MAX = 1000, XIDS_MAX = 64 };

/* X(code, what dcgm-exporter calls it): the codes that matter for training and serving. */
#define XID_TEXTS(X)                                               \
    X(0, "No Error")                                               \
    X(13, "Graphics Engine Exception")                             \
    X(31, "GPU memory page fault")                                 \
    X(32, "Invalid or corrupted push buffer stream")               \
    X(38, "Driver firmware error")                                 \
    X(43, "GPU stopped processing")                                \
    X(45, "Preemptive cleanup, due to previous errors")            \
    X(48, "Double Bit ECC Error")                                  \
    X(61, "Internal micro-controller breakpoint/warning")          \
    X(62, "Internal micro-controller halt")                        \
    X(63, "ECC page retirement or row remapping recording event")  \
    X(64, "ECC page retirement or row remapper recording failure") \
    X(68, "NVDEC0 Exception")                                      \
    X(69, "Graphics Engine class error")                           \
    X(74, "NVLINK Error")                                          \
    X(79, "GPU has fallen off the bus")                            \
    X(92, "High single-bit ECC error rate")                        \
    X(94, "Contained ECC error")                                   \
    X(95, "Uncontained ECC error")                                 \
    X(119, "GSP RPC Timeout")                                      \
    X(120, "GSP Error")

static struct toc_sv xid_text(uint64_t code) {
    static const struct {
        uint64_t code;
        const char *text;
    } texts[] = {
#define X(code, text) {code, text},
        XID_TEXTS(X)
#undef X
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(texts); i++)
        if (texts[i].code == code)
            return toc_sv_cstr(texts[i].text);
    return TOC_SV("Unknown Error");
}

struct xid_count {
    uint64_t code, count;
    bool is_written;
};

struct device {
    toc_nvml_device handle;
    char gpu[12], uuid[96], pci[32], node[24], model[96];
    bool is_lost;
    uint64_t last_xid;
    struct xid_count xids[XIDS_MAX];
    size_t xid_count;
};

struct toc_nvml {
    char library[256];
    char hostname[256];
    char driver[96];
    struct toc_emitter out;
    struct toc_nvml_api api;
    bool is_open;
    int64_t retry_at_ms;
    void *events;
    struct device devices[DEVICES_MAX];
    unsigned count;
};

struct toc_nvml *toc_nvml_new(const struct toc_nvml_options *o) {
    struct toc_nvml *n = TOC_NEW(struct toc_nvml);
    toc_hostname(n->hostname, sizeof n->hostname);
    snprintf(n->library, sizeof n->library, "%s", o->library ? o->library : "libnvidia-ml.so.1");
    struct toc_label base[] = {
        {TOC_SV("instance"), toc_sv_cstr(o->instance ? o->instance : n->hostname)},
        {TOC_SV("job"), toc_sv_cstr(o->job ? o->job : "dcgm")},
    };
    toc_emitter_init(&n->out, (struct toc_labels){base, 2});
    return n;
}

static void close_library(struct toc_nvml *n) {
    if (!n->is_open)
        return;
    if (n->events && n->api.event_set_free)
        n->api.event_set_free(n->events);
    n->api.shutdown();
    toc_nvml_api_close(&n->api);
    n->events = NULL;
    n->count = 0;
    n->is_open = false;
}

void toc_nvml_free(struct toc_nvml **n) {
    if (!n || !*n)
        return;
    close_library(*n);
    toc_emitter_fini(&(*n)->out);
    toc_free(*n);
    *n = NULL;
}

unsigned toc_nvml_device_count(const struct toc_nvml *n) {
    return n->count;
}

/* What identifies the GPU is asked once; a missing answer leaves the label away. */
static void identify(struct toc_nvml *n, unsigned index) {
    struct device *d = &n->devices[index];
    struct nvml_pci pci = {0};
    unsigned minor = index;
    snprintf(d->gpu, sizeof d->gpu, "%u", index);
    if (n->api.uuid && n->api.uuid(d->handle, d->uuid, sizeof d->uuid - 1))
        d->uuid[0] = '\0';
    if (n->api.name && n->api.name(d->handle, d->model, sizeof d->model - 1))
        d->model[0] = '\0';
    if (n->api.pci && n->api.pci(d->handle, &pci) == NVML_OK)
        snprintf(d->pci, sizeof d->pci, "%.31s", pci.bus_id);
    if (n->api.minor && n->api.minor(d->handle, &minor))
        minor = index;
    snprintf(d->node, sizeof d->node, "nvidia%u", minor);
}

static void register_events(struct toc_nvml *n) {
    if (!n->api.event_set_new || !n->api.event_register || !n->api.event_wait ||
        n->api.event_set_new(&n->events))
        return;
    for (unsigned i = 0; i < n->count; i++)
        (void)n->api.event_register(n->devices[i].handle, NVML_EVENT_XID, n->events);
}

static void find_devices(struct toc_nvml *n) {
    unsigned count = 0;
    if (n->api.count(&count))
        count = 0;
    for (unsigned i = 0; i < count && n->count < DEVICES_MAX; i++) {
        struct device *d = &n->devices[n->count];
        *d = (struct device){0};
        if (n->api.by_index(i, &d->handle))
            continue;
        identify(n, n->count);
        n->count++;
    }
    register_events(n);
}

/* True when there is something to ask. */
static bool open_library(struct toc_nvml *n, struct toc_ts now) {
    if (n->is_open)
        return true;
    if (now.ms < n->retry_at_ms)
        return false;
    n->retry_at_ms = now.ms + RETRY_MS;
    if (toc_nvml_api_open(n->library, &n->api))
        return false;
    if (n->api.init()) {
        toc_nvml_api_close(&n->api);
        return false;
    }
    n->is_open = true;
    if (n->api.driver_version && n->api.driver_version(n->driver, sizeof n->driver - 1))
        n->driver[0] = '\0';
    find_devices(n);
    return true;
}

/* Where one GPU's samples go. */
struct gpu_writer {
    struct toc_nvml *n;
    struct device *d;
    struct toc_label labels[LABELS + 2];
};

static void writer_init(struct gpu_writer *w, struct toc_nvml *n, struct device *d) {
    *w = (struct gpu_writer){n,
                             d,
                             {{TOC_SV("gpu"), toc_sv_cstr(d->gpu)},
                              {TOC_SV("UUID"), toc_sv_cstr(d->uuid)},
                              {TOC_SV("pci_bus_id"), toc_sv_cstr(d->pci)},
                              {TOC_SV("device"), toc_sv_cstr(d->node)},
                              {TOC_SV("modelName"), toc_sv_cstr(d->model)},
                              {TOC_SV("Hostname"), toc_sv_cstr(n->hostname)},
                              {TOC_SV("DCGM_FI_DRIVER_VERSION"), toc_sv_cstr(n->driver)}}};
}

static void put(struct gpu_writer *w, const char *name, enum toc_metric_type type, double value) {
    toc_emitter_put(&w->n->out, name, type, w->labels, LABELS, value);
}

/* Writes the value when the call succeeded; remembers a lost GPU; anything else means "absent". */
static bool answered(struct gpu_writer *w, int rc) {
    if (rc == NVML_GPU_IS_LOST)
        w->d->is_lost = true;
    return rc == NVML_OK;
}

/* X(function, metric, type, scale): one unsigned or unsigned long long. */
#define UNSIGNED_METRICS(X)                                                                      \
    X(power, unsigned, "DCGM_FI_DEV_POWER_USAGE", TOC_METRIC_GAUGE, 0.001)                       \
    X(power_limit, unsigned, "DCGM_FI_DEV_POWER_MGMT_LIMIT", TOC_METRIC_GAUGE, 0.001)            \
    X(energy, unsigned long long, "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", TOC_METRIC_COUNTER, 1) \
    X(pcie_replay, unsigned, "DCGM_FI_DEV_PCIE_REPLAY_COUNTER", TOC_METRIC_COUNTER, 1)           \
    X(reasons, unsigned long long, "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS", TOC_METRIC_GAUGE, 1)

static void put_simple(struct gpu_writer *w) {
    const struct toc_nvml_api *api = &w->n->api;
#define X(fn, value_type, metric, type, scale)        \
    if (api->fn) {                                    \
        value_type v = 0;                             \
        if (answered(w, api->fn(w->d->handle, &v)))   \
            put(w, metric, type, (double)v *(scale)); \
    }
    UNSIGNED_METRICS(X)
#undef X
}

/* X(function, argument, metric) */
#define SELECTED_METRICS(X)                           \
    X(clock, NVML_CLOCK_SM, "DCGM_FI_DEV_SM_CLOCK")   \
    X(clock, NVML_CLOCK_MEM, "DCGM_FI_DEV_MEM_CLOCK") \
    X(temperature, NVML_TEMPERATURE_GPU, "DCGM_FI_DEV_GPU_TEMP")

static void put_selected(struct gpu_writer *w) {
    const struct toc_nvml_api *api = &w->n->api;
#define X(fn, argument, metric)                               \
    if (api->fn) {                                            \
        unsigned v = 0;                                       \
        if (answered(w, api->fn(w->d->handle, argument, &v))) \
            put(w, metric, TOC_METRIC_GAUGE, v);              \
    }
    SELECTED_METRICS(X)
#undef X
}

static void put_utilization(struct gpu_writer *w) {
    const struct toc_nvml_api *api = &w->n->api;
    struct nvml_utilization u = {0};
    unsigned percent = 0, period = 0;
    if (api->utilization && answered(w, api->utilization(w->d->handle, &u))) {
        put(w, "DCGM_FI_DEV_GPU_UTIL", TOC_METRIC_GAUGE, u.gpu);
        put(w, "DCGM_FI_DEV_MEM_COPY_UTIL", TOC_METRIC_GAUGE, u.memory);
    }
    if (api->encoder && answered(w, api->encoder(w->d->handle, &percent, &period)))
        put(w, "DCGM_FI_DEV_ENC_UTIL", TOC_METRIC_GAUGE, percent);
    if (api->decoder && answered(w, api->decoder(w->d->handle, &percent, &period)))
        put(w, "DCGM_FI_DEV_DEC_UTIL", TOC_METRIC_GAUGE, percent);
}

static void put_memory(struct gpu_writer *w) {
    static const double mib = 1024.0 * 1024.0;
    const struct toc_nvml_api *api = &w->n->api;
    /* The version field carries the size of the struct, so that the library can tell callers
     * apart. */
    struct nvml_memory_v2 m2 = {.version = (unsigned)sizeof m2 | 2u << 24};
    struct nvml_memory m = {0};
    if (api->memory_v2 && answered(w, api->memory_v2(w->d->handle, &m2))) {
        put(w, "DCGM_FI_DEV_FB_FREE", TOC_METRIC_GAUGE, (double)m2.free / mib);
        put(w, "DCGM_FI_DEV_FB_USED", TOC_METRIC_GAUGE, (double)m2.used / mib);
        put(w, "DCGM_FI_DEV_FB_RESERVED", TOC_METRIC_GAUGE, (double)m2.reserved / mib);
    } else if (api->memory && answered(w, api->memory(w->d->handle, &m))) {
        put(w, "DCGM_FI_DEV_FB_FREE", TOC_METRIC_GAUGE, (double)m.free / mib);
        put(w, "DCGM_FI_DEV_FB_USED", TOC_METRIC_GAUGE, (double)m.used / mib);
    }
}

/* X(error type, counter, metric) */
#define ECC_METRICS(X)                                                          \
    X(NVML_ECC_CORRECTED, NVML_ECC_VOLATILE, "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL")   \
    X(NVML_ECC_UNCORRECTED, NVML_ECC_VOLATILE, "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL") \
    X(NVML_ECC_CORRECTED, NVML_ECC_AGGREGATE, "DCGM_FI_DEV_ECC_SBE_AGG_TOTAL")  \
    X(NVML_ECC_UNCORRECTED, NVML_ECC_AGGREGATE, "DCGM_FI_DEV_ECC_DBE_AGG_TOTAL")

/* In the order of NVML's performance policies. */
static const char *const violations[] = {
    "DCGM_FI_DEV_POWER_VIOLATION",      "DCGM_FI_DEV_THERMAL_VIOLATION",
    "DCGM_FI_DEV_SYNC_BOOST_VIOLATION", "DCGM_FI_DEV_BOARD_LIMIT_VIOLATION",
    "DCGM_FI_DEV_LOW_UTIL_VIOLATION",   "DCGM_FI_DEV_RELIABILITY_VIOLATION",
};

static void put_errors(struct gpu_writer *w) {
    const struct toc_nvml_api *api = &w->n->api;
    unsigned long long v = 0;
#define X(type, counter, metric)                                            \
    if (api->ecc && answered(w, api->ecc(w->d->handle, type, counter, &v))) \
        put(w, metric, TOC_METRIC_COUNTER, (double)v);
    ECC_METRICS(X)
#undef X
    unsigned corrected = 0, uncorrected = 0, pending = 0, failed = 0;
    if (api->remapped &&
        answered(w, api->remapped(w->d->handle, &corrected, &uncorrected, &pending, &failed))) {
        put(w, "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", TOC_METRIC_COUNTER, corrected);
        put(w, "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", TOC_METRIC_COUNTER, uncorrected);
        put(w, "DCGM_FI_DEV_ROW_REMAP_PENDING", TOC_METRIC_GAUGE, pending);
        put(w, "DCGM_FI_DEV_ROW_REMAP_FAILURE", TOC_METRIC_GAUGE, failed);
    }
    for (size_t i = 0; api->violation && i < TOC_ARRAY_LEN(violations); i++) {
        struct nvml_violation t = {0};
        if (answered(w, api->violation(w->d->handle, (int)i, &t)))
            put(w, violations[i], TOC_METRIC_COUNTER, (double)t.violation_ns);
    }
}

static void put_memory_temperature(struct gpu_writer *w) {
    struct nvml_field f = {.field = NVML_FIELD_MEMORY_TEMP};
    /* The value's type says which member is set; for a temperature it is one of the unsigned
     * ones. */
    if (w->n->api.fields && answered(w, w->n->api.fields(w->d->handle, 1, &f)) &&
        f.result == NVML_OK && f.type != 0)
        put(w, "DCGM_FI_DEV_MEMORY_TEMP", TOC_METRIC_GAUGE, f.value.u32);
}

/* The last code as a gauge, because dashboards expect it, and a counter per code, because a
 * gauge that never resets hides the second error of a kind. */
static void put_xids(struct gpu_writer *w) {
    char code[24];
    snprintf(code, sizeof code, "%llu", (unsigned long long)w->d->last_xid);
    w->labels[LABELS] = (struct toc_label){TOC_SV("err_code"), toc_sv_cstr(code)};
    w->labels[LABELS + 1] = (struct toc_label){TOC_SV("err_msg"), xid_text(w->d->last_xid)};
    toc_emitter_put(&w->n->out, "DCGM_FI_DEV_XID_ERRORS", TOC_METRIC_GAUGE, w->labels, LABELS + 2,
                    (double)w->d->last_xid);
    for (size_t i = 0; i < w->d->xid_count; i++) {
        struct xid_count *x = &w->d->xids[i];
        snprintf(code, sizeof code, "%llu", (unsigned long long)x->code);
        w->labels[LABELS] = (struct toc_label){TOC_SV("xid"), toc_sv_cstr(code)};
        /* The first sample of a counter is 0, one cycle before the count, so that increase()
         * sees it. */
        toc_emitter_put(&w->n->out, "tocsin_gpu_xid_errors_total", TOC_METRIC_COUNTER, w->labels,
                        LABELS + 1, x->is_written ? (double)x->count : 0);
        x->is_written = true;
    }
}

static void count_xid(struct device *d, uint64_t code) {
    d->last_xid = code;
    for (size_t i = 0; i < d->xid_count; i++)
        if (d->xids[i].code == code) {
            d->xids[i].count++;
            return;
        }
    if (d->xid_count < XIDS_MAX)
        d->xids[d->xid_count++] = (struct xid_count){.code = code, .count = 1};
}

static void take_events(struct toc_nvml *n) {
    struct nvml_event e = {0};
    for (int i = 0; n->events && i < EVENTS_PER_CYCLE_MAX; i++) {
        if (n->api.event_wait(n->events, &e, 0))
            return;
        for (unsigned j = 0; j < n->count; j++)
            if (n->devices[j].handle == e.device && (e.type & NVML_EVENT_XID))
                count_xid(&n->devices[j], e.data);
    }
}

static void collect_device(struct toc_nvml *n, struct device *d) {
    struct gpu_writer w;
    writer_init(&w, n, d);
    d->is_lost = false;
    put_utilization(&w);
    if (!d->is_lost) { /* each further call on a lost GPU may wait for a time-out */
        put_memory(&w);
        put_simple(&w);
        put_selected(&w);
        put_errors(&w);
        put_memory_temperature(&w);
    }
    put_xids(&w);
    put(&w, "tocsin_gpu_lost", TOC_METRIC_GAUGE, d->is_lost);
}

int toc_nvml_collect(struct toc_nvml *n, struct toc_ts now, struct toc_sink *sink,
                     struct toc_err *err) {
    if (!open_library(n, now))
        return 0;
    if (!n->count) { /* a driver without a GPU: look again later */
        close_library(n);
        return 0;
    }
    toc_emitter_begin(&n->out, now);
    toc_emitter_group(&n->out, 0);
    take_events(n);
    for (unsigned i = 0; i < n->count; i++)
        collect_device(n, &n->devices[i]);
    return toc_emitter_flush(&n->out, sink, err);
}
