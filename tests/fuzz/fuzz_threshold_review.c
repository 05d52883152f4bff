/* Oracle: a stored review that can be read is written as JSON that reads back to the same JSON, and
 * a decision on it is taken exactly when none was taken before. */
#include <stdlib.h>
#include <string.h>

#include "replay/threshold_review.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write(const struct toc_threshold_review *r, struct toc_buf *out) {
    struct toc_json_writer w;
    toc_json_writer_init(&w, out);
    toc_review_json(&w, r);
}

static void check_decision(struct toc_threshold_review *r) {
    bool was_open = r->state == TOC_REVIEW_PROPOSED;
    struct toc_err err = {0};
    int rc = toc_review_decide(r, TOC_REVIEW_ACCEPTED, TOC_SV("ada"), TOC_SV(""),
                               (struct toc_ts){1700000000000}, &err);
    if ((rc == 0) != was_open || (rc < 0 && rc != TOC_ECONFLICT))
        abort();
    if (rc == 0 && r->state != TOC_REVIEW_ACCEPTED)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_threshold_review r, again;
    struct toc_buf first = TOC_BUF_INIT, second = TOC_BUF_INIT;
    struct toc_err err = {0};
    if (toc_review_parse(toc_sv_make((const char *)data, size), &a, &r, &err) == 0) {
        write(&r, &first);
        if (toc_review_parse(toc_buf_sv(&first), &a, &again, &err) < 0)
            abort();
        write(&again, &second);
        if (first.n != second.n || memcmp(first.p, second.p, first.n) != 0)
            abort();
        check_decision(&r);
    }
    toc_buf_fini(&first);
    toc_buf_fini(&second);
    toc_arena_fini(&a);
    return 0;
}
