/*
 * The lines of a target's last good answer in their order. A target says the same lines again, with
 * other values: comparing a line with the one expected next is all that is needed to know its
 * series, where looking it up would mean reading its labels and hashing its text.
 *
 * One answer: begin, for each line expect, then (when it was not the one expected) record, at last
 * end. Used by one thread at a time.
 */
#ifndef TOC_COLLECT_SCRAPE_SCRIPT_PRIV_H
#define TOC_COLLECT_SCRAPE_SCRIPT_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/sv.h"
#include "base/vec.h"
#include "model/sample.h"

struct scrape_series;

struct scrape_line {
    uint32_t at, n;               /* text: a sample's series, or a whole comment */
    struct scrape_series *series; /* NULL: a comment */
    uint32_t family_at, family_n; /* of a TYPE comment, part of its text; n = 0: another */
    enum toc_metric_type family_type;
    /* Digest of the family that a sample stands under, or that a TYPE comment begins: the same text
     * may be another series under another type (bounds of histograms are normalised). */
    uint32_t context;
};

struct scrape_lines {
    struct toc_buf text;
    TOC_VEC_FIELDS(struct scrape_line)
};

struct scrape_script {
    struct scrape_lines known, fresh; /* fresh: while an answer differs from the known lines */
    size_t next;                      /* in known */
    bool is_followed;                 /* every line so far was the one expected */
    uint32_t
        *slots; /* known samples by their text, made when one is looked for: from 1; 0: empty */
    size_t slot_count;
};

void toc_scrape_script_fini(struct scrape_script *s);
/* Series are about to be freed, or other rules make them. */
void toc_scrape_script_forget(struct scrape_script *s);

void toc_scrape_script_begin(struct scrape_script *s);
/* The known line that this one is: a comment word by word, or a series with a blank behind it,
 * under the same family. NULL: another. */
const struct scrape_line *toc_scrape_script_expect(struct scrape_script *s, struct toc_sv line,
                                                   uint32_t context);
struct toc_sv toc_scrape_script_text(const struct scrape_script *s, const struct scrape_line *l);
/* A sample that was not expected may be a known one in another place: its series. NULL: it is not
 * known. The first call in an answer makes an index, which goes with the end. */
struct scrape_series *toc_scrape_script_find(struct scrape_script *s, struct toc_sv text,
                                             uint32_t context);
/* A line that was not expected; `text` is copied. */
void toc_scrape_script_record(struct scrape_script *s, struct toc_sv text,
                              const struct scrape_line *line);
/* Was the answer good? Then what was recorded is known from now on. True when it was the known one,
 * line by line. */
bool toc_scrape_script_end(struct scrape_script *s, bool is_good);

#endif
