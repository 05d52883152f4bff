#include "diagnose/coverage_list.h"

#include "base/alloc.h"

static void keep(void *ctx, const struct toc_coverage_row *row) {
    struct toc_coverage_list *list = ctx;
    struct toc_coverage_item item = {
        .kind = row->kind, .is_watched = row->is_watched, .missing = toc_sv_dup_cstr(row->missing)};
    list->watched += row->is_watched;
    TOC_VEC_PUSH(list, item);
}

int toc_coverage_collect(struct toc_doctor *d, struct toc_sv run, struct toc_coverage_list *out) {
    *out = (struct toc_coverage_list){0};
    return toc_doctor_coverage(d, run, keep, out);
}

void toc_coverage_fini(struct toc_coverage_list *list) {
    for (size_t i = 0; i < list->count; i++)
        toc_free(list->items[i].missing);
    TOC_VEC_FINI(list);
    *list = (struct toc_coverage_list){0};
}

void toc_coverage_json(const struct toc_coverage_list *list, struct toc_json_writer *w) {
    toc_json_begin_object(w);
    toc_json_kv_int(w, "modes", (int64_t)list->count);
    toc_json_key(w, "watched");
    toc_json_begin_array(w);
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].is_watched)
            toc_json_cstr(w, toc_kind_info(list->items[i].kind)->name);
    toc_json_end_array(w);
    toc_json_key(w, "blind");
    toc_json_begin_array(w);
    for (size_t i = 0; i < list->count; i++) {
        const struct toc_coverage_item *item = &list->items[i];
        if (item->is_watched)
            continue;
        toc_json_begin_object(w);
        toc_json_kv_cstr(w, "kind", toc_kind_info(item->kind)->name);
        toc_json_kv_cstr(w, "title", toc_kind_info(item->kind)->title);
        toc_json_kv_cstr(w, "missing", item->missing);
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
    toc_json_end_object(w);
}
