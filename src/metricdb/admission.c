#include "metricdb/admission.h"

#include "metricdb/metricdb_priv.h"

void toc_admission_init(struct toc_admission *a) {
    toc_growth_init(&a->growth);
    toc_overflow_init(&a->overflow);
}

void toc_admission_fini(struct toc_admission *a) {
    toc_growth_fini(&a->growth);
    toc_overflow_fini(&a->overflow);
}

/* --- labels --- */

static bool has_metric_name(struct toc_labels l) {
    return l.count && toc_labels_get(l, TOC_METRIC_NAME).n > 0;
}

static bool are_labels_valid(struct toc_labels l) {
    for (size_t i = 0; i < l.count; i++) {
        const struct toc_label *x = &l.items[i];
        if (!x->name.n || !x->value.n || !toc_sv_is_utf8(x->name) || !toc_sv_is_utf8(x->value))
            return false;
        if (i && toc_sv_cmp(l.items[i - 1].name, x->name) >= 0)
            return false;
    }
    return has_metric_name(l);
}

static bool are_labels_within_limits(const struct toc_metricdb_limits *limits,
                                     struct toc_labels l) {
    size_t bytes = 0;
    if (l.count > limits->max_label_count)
        return false;
    for (size_t i = 0; i < l.count; i++) {
        if (l.items[i].name.n > limits->max_label_name_bytes ||
            l.items[i].value.n > limits->max_label_value_bytes)
            return false;
        bytes += l.items[i].name.n + l.items[i].value.n;
    }
    return bytes <= limits->max_labels_bytes;
}

/* --- numbers --- */

static bool is_source_full(struct toc_metricdb *db, struct toc_labels labels) {
    struct toc_label instance = {TOC_SV("instance"), toc_labels_get(labels, TOC_SV("instance"))};
    if (!instance.value.n)
        return false;
    toc_rwlock_read(&db->head.index_lock);
    size_t count = toc_index_series_count(&db->head.index, instance);
    toc_rwlock_unlock(&db->head.index_lock);
    return count >= db->limits.max_source_series;
}

static bool is_churn_over(struct toc_metricdb *db) {
    uint64_t created = atomic_load_explicit(&db->head.series_created, memory_order_relaxed);
    return created - atomic_load_explicit(&db->admission.created_before, memory_order_relaxed) >=
           db->limits.max_new_series;
}

/* Why no series is to be made for a sender; false when there is no reason against it. */
static bool is_against(struct toc_metricdb *db, struct toc_labels labels,
                       enum toc_reject_reason *out_reason) {
    unsigned shortage = atomic_load_explicit(&db->shortage, memory_order_relaxed);
    if (shortage & (TOC_SHORT_OF_MEMORY | TOC_NO_MEMORY_AT_ALL))
        *out_reason = TOC_REJECT_MEMORY;
    else if (is_churn_over(db))
        *out_reason = TOC_REJECT_CHURN;
    else if (is_source_full(db, labels))
        *out_reason = TOC_REJECT_SOURCE;
    else
        return false;
    return true;
}

/* Values that no series carries count as growth even though they were refused. */
static void note_refused(struct toc_metricdb *db, struct toc_labels labels,
                         enum toc_reject_reason reason) {
    toc_overflow_add(&db->admission.overflow, labels, reason);
    struct toc_sv metric = toc_labels_get(labels, TOC_METRIC_NAME);
    for (size_t i = 0; i < labels.count && reason != TOC_REJECT_INVALID_LABELS; i++) {
        toc_rwlock_read(&db->head.index_lock);
        size_t count = toc_index_series_count(&db->head.index, labels.items[i]);
        toc_rwlock_unlock(&db->head.index_lock);
        if (!count)
            toc_growth_add(&db->admission.growth, metric, labels.items[i].name,
                           labels.items[i].value);
    }
}

static struct toc_series *make(struct toc_metricdb *db, struct toc_labels labels, bool is_own,
                               struct toc_head_shard **out_shard,
                               enum toc_reject_reason *out_reason) {
    uint64_t most = db->limits.max_series + (is_own ? TOC_METRICDB_OWN_SERIES : 0);
    if (!are_labels_within_limits(&db->limits, labels))
        *out_reason = TOC_REJECT_LABEL_LIMIT;
    else if (!are_labels_valid(labels))
        *out_reason = TOC_REJECT_INVALID_LABELS;
    else if (is_own || !is_against(db, labels, out_reason)) {
        *out_reason = TOC_REJECT_SERIES_LIMIT;
        return toc_head_series_lock(&db->head, labels, most, out_shard);
    }
    return NULL;
}

struct toc_series *toc_admission_series_lock(struct toc_metricdb *db, struct toc_labels labels,
                                             bool is_own, struct toc_head_shard **out_shard,
                                             enum toc_reject_reason *out_reason) {
    /* Labels of a series that exists were looked at when it was made. */
    struct toc_series *s = toc_head_series_lock(&db->head, labels, 0, out_shard);
    if (!s)
        s = make(db, labels, is_own, out_shard, out_reason);
    if (!s)
        note_refused(db, labels, *out_reason);
    return s;
}

void toc_admission_tick(struct toc_metricdb *db) {
    struct toc_admission *a = &db->admission;
    int64_t now = toc_clock_mono(db->clock).ns;
    toc_growth_tick(&a->growth, now);
    if (now - a->window_ns < (int64_t)TOC_GROWTH_WINDOW_S * 1000000000 && a->window_ns)
        return;
    a->window_ns = now;
    atomic_store_explicit(&a->created_before,
                          atomic_load_explicit(&db->head.series_created, memory_order_relaxed),
                          memory_order_relaxed);
}

size_t toc_metricdb_overflow(struct toc_metricdb *db, struct toc_overflow_row *out) {
    return toc_overflow_list(&db->admission.overflow, out);
}

size_t toc_metricdb_growth(struct toc_metricdb *db, struct toc_label_growth *out, size_t max) {
    return toc_growth_list(&db->admission.growth, out, max);
}
