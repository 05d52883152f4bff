#include "collect/report_batch.h"

#include <string.h>

void toc_report_batch_fini(struct toc_report_batch *b) {
    TOC_VEC_FINI(&b->entries);
    TOC_VEC_FINI(&b->numbers);
    TOC_VEC_FINI(&b->layers);
    toc_arena_fini(&b->texts);
}

void toc_report_batch_reset(struct toc_report_batch *b) {
    b->entries.count = b->numbers.count = b->layers.count = 0;
    toc_arena_reset(&b->texts);
}

static void add_numbers(struct toc_report_batch *b, const struct toc_report_value *values,
                        size_t count) {
    if (!count)
        return;
    TOC_VEC_RESERVE(&b->numbers, b->numbers.count + count);
    memcpy(b->numbers.items + b->numbers.count, values, count * sizeof *values);
    b->numbers.count += count;
}

void toc_report_batch_add(struct toc_report_batch *b, const struct toc_run_report *report) {
    struct toc_report_entry e = {*report, b->numbers.count, b->layers.count};
    add_numbers(b, report->values, report->value_count);
    add_numbers(b, report->scalars, report->scalar_count);
    for (size_t i = 0; i < report->layer_count; i++) {
        TOC_VEC_PUSH(&b->layers, report->layers[i]);
        add_numbers(b, report->layers[i].stats, report->layers[i].count);
    }
    if (report->message.n)
        e.report.message = toc_arena_dup_sv(&b->texts, report->message);
    TOC_VEC_PUSH(&b->entries, e);
}

struct toc_run_report toc_report_batch_at(struct toc_report_batch *b, size_t i) {
    const struct toc_report_entry *e = &b->entries.items[i];
    struct toc_run_report r = e->report;
    const struct toc_report_value *at = b->numbers.items + e->numbers;
    r.values = at;
    r.scalars = at + r.value_count;
    r.layers = b->layers.items + e->layers;
    at = r.scalars + r.scalar_count;
    for (size_t k = 0; k < r.layer_count; k++) {
        b->layers.items[e->layers + k].stats = at;
        at += r.layers[k].count;
    }
    return r;
}
