/* A report as a line of the run protocol. */
#include "base/num.h"
#include "codec/json_writer.h"
#include "collect/report_field_priv.h"

/* Seconds as toc_json_double writes them; times are written so often that it shows. */
static void write_time(struct toc_json_writer *w, int64_t ms) {
    enum { TEXT_MAX = TOC_U64_TEXT_MAX + 4 };
    static const int64_t most_ms =
        INT64_C(100000000000000); /* 15 digits: no double has two such texts */
    char text[TEXT_MAX];
    if (ms <= 0 || ms > most_ms) {
        toc_json_double(w, (double)ms / 1000);
        return;
    }
    size_t n = toc_u64_text((uint64_t)ms / 1000, text);
    int rest = (int)(ms % 1000);
    if (rest) {
        text[n++] = '.';
        for (int weight = 100; rest; rest %= weight, weight /= 10)
            text[n++] = (char)('0' + rest / weight);
    }
    toc_json_raw(w, toc_sv_make(text, n));
}

static void write_values(struct toc_json_writer *w, const struct toc_report_value *values,
                         size_t count) {
    for (size_t i = 0; i < count; i++) {
        toc_json_key_made(w, values[i].field->key);
        toc_json_double(w, values[i].value);
    }
}

static void write_layers(struct toc_json_writer *w, const struct toc_run_report *r) {
    toc_json_key(w, "layers");
    toc_json_begin_object(w);
    for (size_t i = 0; i < r->layer_count; i++) {
        toc_json_key_sv(w, r->layers[i].name);
        toc_json_begin_object(w);
        write_values(w, r->layers[i].stats, r->layers[i].count);
        toc_json_end_object(w);
    }
    toc_json_end_object(w);
}

void toc_run_report_write(const struct toc_run_report *r, struct toc_buf *out) {
    struct toc_json_writer w;
    toc_json_writer_init(&w, out);
    toc_json_begin_object(&w);
    toc_json_key(&w, "t");
    write_time(&w, r->t.ms);
    if (r->has_step)
        toc_json_kv_int(&w, "step", r->step);
    if (r->is_partial)
        toc_json_kv_bool(&w, "partial", true);
    if (r->is_restart) {
        toc_json_kv_cstr(&w, "event", "restart");
        toc_json_kv_string(&w, "message", r->message);
    }
    write_values(&w, r->values, r->value_count);
    if (r->scalar_count) {
        toc_json_key(&w, "scalars");
        toc_json_begin_object(&w);
        write_values(&w, r->scalars, r->scalar_count);
        toc_json_end_object(&w);
    }
    if (r->layer_count)
        write_layers(&w, r);
    toc_json_end_object(&w);
}
