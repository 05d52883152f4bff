#include "collect/report_line_priv.h"

void toc_report_line_begin(struct toc_report_line *l, struct toc_ts t, const int64_t *step,
                           bool is_partial) {
    toc_buf_reset(&l->buf);
    toc_json_writer_init(&l->json, &l->buf);
    toc_json_begin_object(&l->json);
    toc_json_kv_double(&l->json, "t", (double)t.ms / 1000);
    if (step)
        toc_json_kv_int(&l->json, "step", *step);
    if (is_partial)
        toc_json_kv_bool(&l->json, "partial", true);
    l->report = (struct toc_run_report){.t = t, .has_step = step != NULL, .step = step ? *step : 0};
}

void toc_report_line_give(struct toc_report_line *l, struct toc_report_taker *taker) {
    toc_json_end_object(&l->json);
    l->report.json = toc_buf_sv(&l->buf);
    taker->on_run(taker, &l->report);
}

void toc_report_line_fini(struct toc_report_line *l) {
    toc_buf_fini(&l->buf);
}

struct toc_sv toc_report_field(struct toc_sv canonical) {
    struct toc_sv prefix = TOC_SV("train_");
    return toc_sv_starts_with(canonical, prefix) ? toc_sv_sub(canonical, prefix.n, SIZE_MAX)
                                                 : canonical;
}
