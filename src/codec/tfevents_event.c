#include "codec/protobuf.h"
#include "codec/tfevents_priv.h"

/* Field numbers of tensorflow/core/util/event.proto and framework/summary.proto. */
enum { EVENT_WALL_TIME = 1, EVENT_STEP = 2, EVENT_FILE_VERSION = 3, EVENT_SUMMARY = 5 };
enum { EVENT_SOURCE_METADATA = 10, SUMMARY_VALUE = 1 };
enum { VALUE_TAG = 1, VALUE_SIMPLE = 2, VALUE_HISTO = 5, VALUE_TENSOR = 8, VALUE_METADATA = 9 };
enum { METADATA_PLUGIN_DATA = 1, PLUGIN_DATA_NAME = 1 };

static const struct {
    const char *name;
    enum toc_tfevents_plugin plugin;
} plugins[] = {
    {"scalars", TOC_TFEVENTS_PLUGIN_SCALARS},
    {"histograms", TOC_TFEVENTS_PLUGIN_HISTOGRAMS},
    {"text", TOC_TFEVENTS_PLUGIN_TEXT},
};

struct raw_value {
    struct toc_sv tag, tensor, histo, metadata;
    bool has_simple, has_tensor, has_histo, has_metadata;
    double simple;
};

/* The last field of that number inside a message; "" when there is none. */
static struct toc_sv field_of(struct toc_sv message, uint32_t number) {
    struct toc_pb_reader r = toc_pb_reader_make(message);
    struct toc_sv found = TOC_SV_NULL;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);)
        if (f.number == number)
            found = toc_pb_bytes(&r, &f);
    return r.error ? TOC_SV_NULL : found;
}

static enum toc_tfevents_plugin plugin_named(struct toc_sv name) {
    for (size_t i = 0; i < TOC_ARRAY_LEN(plugins); i++)
        if (toc_sv_eq_cstr(name, plugins[i].name))
            return plugins[i].plugin;
    return name.n ? TOC_TFEVENTS_PLUGIN_OTHER : TOC_TFEVENTS_PLUGIN_UNKNOWN;
}

/* Metadata comes with the first value of a tag only. */
static enum toc_tfevents_plugin plugin_of(struct toc_tfevents *d, const struct raw_value *raw) {
    if (!raw->has_metadata)
        return (enum toc_tfevents_plugin)(uintptr_t)toc_map_get(&d->plugins, raw->tag);
    struct toc_sv data = field_of(raw->metadata, METADATA_PLUGIN_DATA);
    enum toc_tfevents_plugin plugin = plugin_named(field_of(data, PLUGIN_DATA_NAME));
    if (plugin == TOC_TFEVENTS_PLUGIN_UNKNOWN)
        return plugin;
    if (toc_map_has(&d->plugins, raw->tag) || d->plugins.count < d->limits.max_tags)
        toc_map_put(&d->plugins, raw->tag, (void *)(uintptr_t)plugin);
    else
        d->counters.tags_forgotten++;
    return plugin;
}

/* TOC_ETYPE: a value of another kind. Without a known plug-in the tensor's own form decides. */
static int tensor_value(struct toc_tfevents *d, struct toc_sv tensor,
                        enum toc_tfevents_plugin plugin, struct toc_tfevents_value *out) {
    int rc = TOC_ETYPE;
    if (plugin == TOC_TFEVENTS_PLUGIN_SCALARS || plugin == TOC_TFEVENTS_PLUGIN_UNKNOWN)
        rc = toc_tfevents_tensor_scalar(tensor, &out->scalar);
    out->kind = TOC_TFEVENTS_SCALAR;
    if (plugin == TOC_TFEVENTS_PLUGIN_HISTOGRAMS ||
        (plugin == TOC_TFEVENTS_PLUGIN_UNKNOWN && rc == TOC_ETYPE)) {
        rc = toc_tfevents_tensor_histogram(d, tensor, &out->histogram);
        out->kind = TOC_TFEVENTS_HISTOGRAM;
    }
    return rc;
}

static int decode_raw(struct toc_sv bytes, struct raw_value *out) {
    struct toc_pb_reader r = toc_pb_reader_make(bytes);
    *out = (struct raw_value){0};
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        switch (f.number) {
        case VALUE_TAG:
            out->tag = toc_pb_bytes(&r, &f);
            break;
        case VALUE_SIMPLE: {
            uint32_t bits = toc_pb_is(&r, &f, TOC_PB_I32) ? (uint32_t)f.scalar : 0;
            float simple;
            memcpy(&simple, &bits, sizeof simple);
            out->simple = (double)simple;
            out->has_simple = true;
            break;
        }
        case VALUE_HISTO:
            out->histo = toc_pb_bytes(&r, &f);
            out->has_histo = true;
            break;
        case VALUE_TENSOR:
            out->tensor = toc_pb_bytes(&r, &f);
            out->has_tensor = true;
            break;
        case VALUE_METADATA:
            out->metadata = toc_pb_bytes(&r, &f);
            out->has_metadata = true;
            break;
        default:
            break;
        }
    }
    return r.error;
}

static void give(struct toc_tfevents *d, const struct toc_tfevents_value *value,
                 struct toc_tfevents_visitor *v) {
    d->counters.scalars += value->kind == TOC_TFEVENTS_SCALAR;
    d->counters.histograms += value->kind == TOC_TFEVENTS_HISTOGRAM;
    v->on_value(v, value);
}

static bool is_tag_good(const struct toc_tfevents *d, struct toc_sv tag) {
    return tag.n && tag.n <= d->limits.max_tag_bytes && toc_sv_is_utf8(tag);
}

static void take_value(struct toc_tfevents *d, struct toc_sv bytes,
                       const struct toc_tfevents_value *event, struct toc_tfevents_visitor *v) {
    struct raw_value raw;
    struct toc_tfevents_value value = *event;
    int rc = decode_raw(bytes, &raw);
    if (rc || !is_tag_good(d, raw.tag)) {
        d->counters.values_malformed++;
        return;
    }
    /* Values without a tensor say by themselves what they are. */
    enum toc_tfevents_plugin plugin =
        raw.has_metadata || raw.has_tensor ? plugin_of(d, &raw) : TOC_TFEVENTS_PLUGIN_UNKNOWN;
    value.tag = raw.tag;
    if (raw.has_simple) {
        value.scalar = raw.simple;
    } else if (raw.has_histo) {
        value.kind = TOC_TFEVENTS_HISTOGRAM;
        rc = toc_tfevents_histo(d, raw.histo, &value.histogram);
    } else {
        rc = raw.has_tensor ? tensor_value(d, raw.tensor, plugin, &value) : TOC_ETYPE;
    }
    if (rc == 0)
        give(d, &value, v);
    else if (rc != TOC_ETYPE)
        d->counters.values_malformed++;
    else if (plugin == TOC_TFEVENTS_PLUGIN_TEXT ||
             (raw.has_tensor && toc_tfevents_tensor_is_text(raw.tensor)))
        d->counters.texts++;
    else
        d->counters.others++;
}

static void take_summary(struct toc_tfevents *d, struct toc_sv summary,
                         const struct toc_tfevents_value *event, struct toc_tfevents_visitor *v) {
    struct toc_pb_reader r = toc_pb_reader_make(summary);
    for (struct toc_pb_field f; toc_pb_next(&r, &f);)
        if (f.number == SUMMARY_VALUE && toc_pb_is(&r, &f, TOC_PB_LEN))
            take_value(d, f.bytes, event, v);
    d->counters.records_malformed += r.error != 0;
}

void toc_tfevents_event(struct toc_tfevents *d, struct toc_sv data,
                        struct toc_tfevents_visitor *v) {
    struct toc_pb_reader r = toc_pb_reader_make(data);
    struct toc_tfevents_value event = {.at = d->at};
    struct toc_sv summary = TOC_SV_NULL, version = TOC_SV_NULL;
    uint64_t others = 0;
    /* Time and step may follow the summary, so that it is read last. */
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        switch (f.number) {
        case EVENT_WALL_TIME:
            event.wall_time = toc_pb_double(&r, &f);
            break;
        case EVENT_STEP:
            event.step = toc_pb_i64(&r, &f);
            break;
        case EVENT_FILE_VERSION:
            version = toc_pb_bytes(&r, &f);
            break;
        case EVENT_SUMMARY:
            summary = toc_pb_bytes(&r, &f);
            break;
        case EVENT_SOURCE_METADATA:
            break;
        default:
            others++;
        }
    }
    if (r.error) {
        d->counters.records_malformed++;
        return;
    }
    d->counters.others += others;
    if (version.n && v->on_file_version)
        v->on_file_version(v, event.wall_time, version);
    take_summary(d, summary, &event, v);
}
