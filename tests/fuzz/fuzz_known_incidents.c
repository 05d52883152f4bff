/* Oracle: incidents that can be read are in order, none ends before it starts, and written as CSV
 * again they read back the same. What is refused is refused with its line. */
#include <inttypes.h>
#include <stdlib.h>

#include "codec/csv.h"
#include "replay/replay_labels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COLUMNS_MAX = 64 };

struct names {
    struct toc_sv items[COLUMNS_MAX];
    size_t count;
};

static bool note_name(struct names *n, struct toc_sv name) {
    for (size_t i = 0; i < n->count; i++)
        if (toc_sv_eq(n->items[i], name))
            return true;
    if (n->count == COLUMNS_MAX)
        return false;
    n->items[n->count++] = name;
    return true;
}

/* Whole seconds and thousandths: no float on the way. */
static void write_time(int64_t ms, struct toc_buf *out) {
    toc_buf_printf(out, "%s%" PRId64 ".%03d,", ms < 0 ? "-" : "", (ms < 0 ? -ms : ms) / 1000,
                   (int)((ms < 0 ? -ms : ms) % 1000));
}

static bool write_csv(const struct toc_known_incidents *k, struct toc_buf *out) {
    struct names names = {0};
    for (size_t i = 0; i < k->count; i++)
        for (size_t l = 0; l < k->items[i].labels.count; l++)
            if (!note_name(&names, k->items[i].labels.items[l].name))
                return false;
    toc_buf_append_cstr(out, "start,end,name");
    for (size_t n = 0; n < names.count; n++) {
        toc_buf_append_char(out, ',');
        toc_csv_write_field(out, names.items[n]);
    }
    for (size_t i = 0; i < k->count; i++) {
        if (llabs(k->items[i].start_ms) > 100000000000000 ||
            llabs(k->items[i].end_ms) > 100000000000000)
            return false; /* beyond what a double of seconds holds to the millisecond */
        toc_buf_append_char(out, '\n');
        write_time(k->items[i].start_ms, out);
        write_time(k->items[i].end_ms, out);
        toc_csv_write_field(out, k->items[i].name);
        for (size_t n = 0; n < names.count; n++) {
            toc_buf_append_char(out, ',');
            toc_csv_write_field(out, toc_labels_get(k->items[i].labels, names.items[n]));
        }
    }
    return true;
}

static void check_order(const struct toc_known_incidents *k) {
    for (size_t i = 0; i < k->count; i++) {
        if (k->items[i].end_ms < k->items[i].start_ms)
            abort();
        if (i && k->items[i].start_ms < k->items[i - 1].start_ms)
            abort();
    }
}

static void check_same(const struct toc_known_incidents *a, const struct toc_known_incidents *b) {
    if (a->count != b->count)
        abort();
    for (size_t i = 0; i < a->count; i++)
        if (a->items[i].start_ms != b->items[i].start_ms ||
            a->items[i].end_ms != b->items[i].end_ms ||
            !toc_sv_eq(a->items[i].name, b->items[i].name) ||
            !toc_labels_eq(a->items[i].labels, b->items[i].labels))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_known_incidents k = {0}, again = {0};
    struct toc_buf csv = TOC_BUF_INIT;
    struct toc_err err = {0};
    int rc = toc_known_incidents_parse(toc_sv_make((const char *)data, size), &k, &err);
    if (rc < 0 && !err.message[0])
        abort();
    if (rc == 0) {
        check_order(&k);
        if (write_csv(&k, &csv)) {
            if (toc_known_incidents_parse(toc_buf_sv(&csv), &again, &err) < 0)
                abort();
            check_same(&k, &again);
        }
    }
    toc_known_incidents_fini(&k);
    toc_known_incidents_fini(&again);
    toc_buf_fini(&csv);
    return 0;
}
