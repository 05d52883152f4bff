#include "app/doctor_words.h"

#include <math.h>
#include <string.h>

#include "base/num.h"
#include "base/time.h"

void toc_doctor_append_time(int64_t ms, struct toc_buf *out) {
    struct toc_civil c = toc_ts_civil((struct toc_ts){ms});
    toc_buf_printf(out, "%04lld-%02d-%02d %02d:%02d:%02d UTC", (long long)c.year, c.month, c.day,
                   c.hour, c.minute, c.second);
}

void toc_doctor_append_number(double v, struct toc_sv unit, struct toc_buf *out) {
    if (isnan(v))
        toc_buf_append_cstr(out, "NaN");
    else if (isinf(v))
        toc_buf_append_cstr(out, v > 0 ? "+Inf" : "-Inf");
    else if (toc_sv_eq(unit, TOC_SV("bytes")))
        toc_format_bytes(v, out);
    else if (toc_sv_eq(unit, TOC_SV("ratio")))
        toc_buf_printf(out, "%.3g %%", 100 * v);
    else
        toc_buf_printf(out, "%.4g%s%.*s", v, unit.n ? " " : "", TOC_SV_ARG(unit));
}

void toc_doctor_append_band(const struct toc_evidence *e, struct toc_buf *out) {
    bool has_lower = !isnan(e->expected_lower), has_upper = !isnan(e->expected_upper);
    if (!has_lower && !has_upper)
        return;
    toc_buf_append_cstr(out, has_lower ? ", usual " : ", usual up to ");
    if (has_lower)
        toc_doctor_append_number(e->expected_lower, e->unit, out);
    if (has_lower)
        toc_buf_append_cstr(out, has_upper ? " to " : " and more");
    if (has_upper)
        toc_doctor_append_number(e->expected_upper, e->unit, out);
}

void toc_doctor_append_printable(struct toc_sv text, struct toc_buf *out) {
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        toc_buf_append_char(out, (c < 0x20 && c != '\n') || c == 0x7f ? '?' : (char)c);
    }
}

/* X(metric, text, unit): curves of a report, whoever comes first is shown first. */
#define METRICS(X)                                          \
    X("train_loss", "loss", "")                             \
    X("train_val_loss", "validation loss", "")              \
    X("train_grad_norm", "gradient norm", "")               \
    X("train_learning_rate", "learning rate", "")           \
    X("train_step_seconds", "time per step", "s")           \
    X("train_tokens_per_second", "tokens per second", "")   \
    X("train_samples_per_second", "samples per second", "") \
    X("train_data_seconds", "time waiting for data", "s")   \
    X("train_memory_bytes", "memory in use", "bytes")       \
    X("train_loss_scale", "loss scale", "")                 \
    X("train_accuracy", "accuracy", "ratio")                \
    X("train_val_accuracy", "validation accuracy", "ratio")

const char *toc_doctor_metric_text(const char *metric) {
#define X(name, text, unit)        \
    if (strcmp(metric, name) == 0) \
        return text;
    METRICS(X)
#undef X
    return strncmp(metric, "train_", 6) == 0 ? metric + 6 : metric;
}

struct toc_sv toc_doctor_metric_unit(const char *metric) {
#define X(name, text, unit)        \
    if (strcmp(metric, name) == 0) \
        return TOC_SV(unit);
    METRICS(X)
#undef X
    return TOC_SV_NULL;
}

bool toc_doctor_is_curve_shown(const char *metric) {
#define X(name, text, unit)        \
    if (strcmp(metric, name) == 0) \
        return true;
    METRICS(X)
#undef X
    return false;
}
