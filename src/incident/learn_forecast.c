#include "incident/learn_forecast.h"

void toc_learn_write_effect(struct toc_json_writer *w, const struct toc_gate_effect *e) {
    toc_json_begin_object(w);
    toc_json_kv_int(w, "alerts", (int64_t)e->alerts);
    toc_json_kv_int(w, "true_alerts", (int64_t)e->true_alerts);
    toc_json_kv_int(w, "withheld", (int64_t)e->withheld);
    toc_json_kv_int(w, "true_withheld", (int64_t)e->true_withheld);
    toc_json_kv_double(w, "precision_before", e->precision_before);
    toc_json_kv_double(w, "precision_after", e->precision_after);
    toc_json_kv_double(w, "recall", e->recall);
    toc_json_end_object(w);
}

static void write_number(struct toc_json_writer *w, const char *key, double value,
                         struct toc_interval range) {
    toc_json_key(w, key);
    toc_json_begin_object(w);
    toc_json_kv_double(w, "value", value);
    toc_json_kv_double(w, "low", range.low);
    toc_json_kv_double(w, "high", range.high);
    toc_json_end_object(w);
}

void toc_learn_write_forecast(struct toc_json_writer *w, const struct toc_gate_forecast *f) {
    toc_json_begin_object(w);
    toc_json_kv_cstr(w, "verdict", toc_gate_verdict_text(f->verdict));
    write_number(w, "withheld", f->withheld_share, f->withheld);
    write_number(w, "lift", f->lift, f->lifted);
    write_number(w, "recall", f->effect.recall, f->recall);
    write_number(w, "precision", f->effect.precision_after, f->precision);
    toc_json_kv_int(w, "moments", (int64_t)f->moments);
    toc_json_kv_double(w, "slip_true", f->slip[true]);
    toc_json_kv_double(w, "slip_false", f->slip[false]);
    toc_json_kv_double(w, "learnt_precision", f->learnt_precision);
    toc_json_kv_double(w, "threshold_precision", f->threshold_precision);
    toc_json_end_object(w);
}

int toc_learn_check_forecast(const struct toc_gate_forecast *f, struct toc_err *err) {
    switch (f->verdict) {
    case TOC_GATE_SHOWN:
        return 0;
    case TOC_GATE_UNKNOWN:
        return toc_errf(err, TOC_ENODATA,
                        "not enough verdicts to foretell the effect: at least %d true and %d false "
                        "alerts are needed among the earlier and among the later ones",
                        TOC_CLASSIFIER_CLASS_MIN, TOC_CLASSIFIER_CLASS_MIN);
    case TOC_GATE_WORSE:
        return toc_errf(err, TOC_ECONFLICT,
                        "no effect shown: at the same share of true alerts a higher threshold of "
                        "the detector is more precise (%.3f, learnt %.3f)",
                        f->threshold_precision, f->learnt_precision);
    case TOC_GATE_UNCERTAIN:
        return toc_errf(err, TOC_ECONFLICT,
                        "the effect is uncertain: of the true alerts only %.0f %% may still page "
                        "(more verdicts, or a larger share kept, may settle it)",
                        100 * f->recall.low);
    default:
        return toc_errf(
            err, TOC_ECONFLICT,
            "no effect shown: precision times %.2f, but it may be %.2f to %.2f (a smaller "
            "share kept may show one)",
            f->lift, f->lifted.low, f->lifted.high);
    }
}
