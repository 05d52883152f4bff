/*
 * The lines of a target's last good answer in their order. A target says the same lines again, with
 * other values: comparing a line with the one expected next is all that is needed to know its
 * series, where looking it up would mean reading its labels. A line is known by its length and a
 * digest of 64 bits under a secret of its own, not by its text: targets have millions of lines.
 *
 * One answer: begin, for each line expect, then (when it was not the one expected) record, at last
 * end. Used by one thread at a time.
 */
#ifndef TOC_COLLECT_SCRAPE_SCRIPT_PRIV_H
#define TOC_COLLECT_SCRAPE_SCRIPT_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sv.h"
#include "base/vec.h"
#include "model/sample.h"

struct scrape_series;

enum { SCRAPE_LINE_BYTES_MAX = 1 << 25 }; /* longer ones are not remembered */

struct scrape_line {
    uint64_t digest; /* of a sample's series, or of a whole comment */
    union {
        struct scrape_series *series; /* of a sample */
        struct {
            uint32_t at,
                n; /* place of the family's name in a TYPE comment; n = 0: another comment */
        } family;
    };
    uint32_t n : 25; /* bytes of what the digest is of */
    uint32_t is_comment : 1;
    uint32_t family_type : 6; /* enum toc_metric_type, of a TYPE comment */
    /* Digest of the family that a sample stands under, or that a TYPE comment begins: the same text
     * may be another series under another type (bounds of histograms are normalised). */
    uint32_t context;
};

struct scrape_lines {
    TOC_VEC_FIELDS(struct scrape_line)
};

struct scrape_script {
    struct scrape_lines known, fresh; /* fresh: while an answer differs from the known lines */
    uint64_t secret;                  /* of the digests */
    size_t next;                      /* in known */
    bool is_followed;                 /* every line so far was the one expected */
    /* Known samples by their text, made when one is looked for: from 1; 0: empty. */
    uint32_t *slots;
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
/* A sample that was not expected may be a known one in another place: its series. NULL: it is not
 * known. The first call in an answer makes an index, which goes with the end. */
struct scrape_series *toc_scrape_script_find(struct scrape_script *s, struct toc_sv text,
                                             uint32_t context);
/* A line that was not expected; digest and length are filled in. */
void toc_scrape_script_record(struct scrape_script *s, struct toc_sv text,
                              const struct scrape_line *line);
/* Was the answer good? Then what was recorded is known from now on. True when it was the known one,
 * line by line. */
bool toc_scrape_script_end(struct scrape_script *s, bool is_good);

#endif
