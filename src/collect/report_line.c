#include "collect/report_line_priv.h"

#include "base/num.h"

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

void toc_report_line_begin(struct toc_report_line *l, struct toc_ts t, const int64_t *step,
                           bool is_partial) {
    toc_buf_reset(&l->buf);
    toc_json_writer_init(&l->json, &l->buf);
    toc_json_begin_object(&l->json);
    toc_json_key(&l->json, "t");
    write_time(&l->json, t.ms);
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
