/*
 * Error signatures: what known failures write into logs. The table (packs/signatures.tsv, built in)
 * gives each a class, a severity, a causal role, the sources it applies to, literals of which one
 * must occur, and an expression that decides. A table is immutable: any number of threads may match
 * and scan with it. No files, no clock. docs/design/diagnose.md has the format.
 */
#ifndef TOC_DIAGNOSE_SIGNATURE_H
#define TOC_DIAGNOSE_SIGNATURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/sv.h"

/* X(name, text) */
#define TOC_SIGNATURE_ROLE_TABLE(X)                                         \
    X(ROOT, "root")       /* may open a failure */                          \
    X(CASCADE, "cascade") /* only ever follows one */                       \
    X(EITHER, "either")   /* root when nothing came before, else cascade */ \
    X(CONFIRM, "confirm") /* raises the confidence of another */            \
    X(CONTEXT, "context")                                                   \
    X(ENRICH, "enrich")                                                     \
    X(METRIC, "metric")                                                     \
    X(FALLBACK, "fallback") /* root, where the line shows nothing else */   \
    X(ATTEMPT, "attempt")   /* the job starts anew: what follows is another failure */

#define TOC_SIGNATURE_SEVERITY_TABLE(X)                                    \
    X(INFO, "info")                                                        \
    X(WARNING, "warning")                                                  \
    X(ERROR, "error")                                                      \
    X(CRITICAL, "critical")                                                \
    X(BY_CODE, "by_code") /* the catalogue of the captured code decides */ \
    X(BY_TEXT, "by_text") /* the captured word (Fatal, Nonfatal) decides */

/* X(NAME, "name"): what a group of an expression may be captured as (column fields). */
#define TOC_SIGNATURE_FIELD_TABLE(X)                                 \
    X(RANK, "rank")                                                  \
    X(LOCAL_RANK, "local_rank")                                      \
    X(HOST, "host")                                                  \
    X(PID, "pid")                                                    \
    X(PROCESS, "process")                                            \
    X(DEVICE, "device")   /* PCI address, NIC, disk */               \
    X(CODE, "code")       /* XID, exit code, status */               \
    X(ADDRESS, "address") /* the other end */                        \
    X(WORD, "word")       /* Fatal, Nonfatal, SIGKILL */             \
    X(UNIT, "unit")                                                  \
    X(LINK, "link")                                                  \
    X(COUNT, "count")                                                \
    X(SEQUENCE, "sequence")   /* of a collective */                  \
    X(OPERATION, "operation") /* the collective */                   \
    X(SECONDS, "seconds")     /* it had lasted when the line came */ \
    X(MILLISECONDS, "milliseconds")

#define X(name, text) TOC_FIELD_##name,
enum toc_signature_field { TOC_SIGNATURE_FIELD_TABLE(X) TOC_FIELD_KINDS };
#undef X

#define X(name, text) TOC_SIGNATURE_##name,
enum toc_signature_role { TOC_SIGNATURE_ROLE_TABLE(X) };
enum toc_signature_severity { TOC_SIGNATURE_SEVERITY_TABLE(X) };
#undef X

enum toc_log_source {
    TOC_LOG_KERNEL = 1,
    TOC_LOG_JOB = 2,
    TOC_LOG_SERVING = 4,
    TOC_LOG_SCHEDULER = 8,
    TOC_LOG_ANY = 15,
};

enum {
    TOC_SIGNATURES_MAX = 256,
    TOC_SIGNATURE_GROUPS_MAX = 16,        /* with group 0 */
    TOC_SIGNATURE_FIELD_GROUPS_MAX = 3,   /* groups that one field may come from */
    TOC_SIGNATURE_LINE_BYTES_MAX = 16384, /* longer lines are cut */
};

struct toc_regex;
struct toc_signature {
    struct toc_sv id, class_name, prefilter, pattern;
    struct toc_sv positive, negative; /* samples that must and must not match */
    enum toc_signature_severity severity;
    enum toc_signature_role role;
    unsigned sources; /* enum toc_log_source */
    bool ignores_case;
    /* Groups a field is taken from, the first that is not empty; 0 = none. */
    unsigned char fields[TOC_FIELD_KINDS][TOC_SIGNATURE_FIELD_GROUPS_MAX];
    struct toc_regex *regex;
};

struct toc_signature_table; /* opaque */

/* Checks everything: columns, words, unique ids, literals, expressions, and that the samples are
 * told apart. Errors carry row and column of the table. */
int toc_signature_table_parse(struct toc_sv text, struct toc_signature_table **out_table,
                              struct toc_err *err) TOC_MUST_CHECK;
/* The table of packs/signatures.tsv. A test parses its text, so what is dear is left out here:
 * expressions are compiled when a line needs them, and the samples are not tried. */
int toc_signature_table_builtin(struct toc_signature_table **out_table,
                                struct toc_err *err) TOC_MUST_CHECK;
struct toc_sv toc_signature_table_text(void);
void toc_signature_table_free(struct toc_signature_table **table);
size_t toc_signature_table_count(const struct toc_signature_table *t);
/* Borrowed from the table; i < count. */
const struct toc_signature *toc_signature_table_get(const struct toc_signature_table *t, size_t i);
const char *toc_signature_role_name(enum toc_signature_role role);
const char *toc_signature_severity_name(enum toc_signature_severity severity);

struct toc_signature_hit {
    const struct toc_signature *signature;
    uint64_t line_number; /* 1-based; 0 from toc_signature_match */
    struct toc_sv line;   /* as judged: without line ending, cut when too long; borrowed */
    struct toc_sv groups[TOC_SIGNATURE_GROUPS_MAX]; /* 0: whole match; borrowed from line */
    int group_count;
};
typedef void toc_signature_fn(void *ctx, const struct toc_signature_hit *hit);
/* What the hit captured as that field; empty when nothing. Borrowed from the line. */
struct toc_sv toc_signature_field(const struct toc_signature_hit *hit,
                                  enum toc_signature_field field);
const char *toc_signature_field_name(enum toc_signature_field field);

/* Every signature of those sources that one line shows, in the order of the table; returns how
 * many. */
size_t toc_signature_match(const struct toc_signature_table *t, struct toc_sv line,
                           unsigned sources, toc_signature_fn *fn, void *ctx);

/* Signatures of a table by their places. */
struct toc_signature_set {
    uint64_t words[TOC_SIGNATURES_MAX / 64];
};
/* Those of a class. */
struct toc_signature_set toc_signature_table_class(const struct toc_signature_table *t,
                                                   struct toc_sv class_name);
/* The same, but a line that shows only signatures of the set shows nothing: they count beside
 * others alone, and mostly need not be looked for. NULL: as toc_signature_match. */
size_t toc_signature_match_beside(const struct toc_signature_table *t, struct toc_sv line,
                                  unsigned sources, const struct toc_signature_set *beside,
                                  toc_signature_fn *fn, void *ctx);

/*
 * Scans a log that comes in pieces of any size; the hits do not depend on how it is cut. Memory is
 * bounded by the longest line judged. One thread.
 */
struct toc_log_scan {
    const struct toc_signature_table *table; /* borrowed */
    unsigned sources;
    toc_signature_fn *fn;
    void *ctx;
    uint64_t lines, bytes, hits;
    uint64_t cut_lines; /* longer than TOC_SIGNATURE_LINE_BYTES_MAX: their tail was not looked at */
    void (*end_line)(void *ctx); /* NULL, or called after the hits of a line that has any */
    struct toc_buf partial;      /* the line begun */
    bool is_in_line;             /* a line has begun */
    const struct toc_signature_set *beside; /* NULL, or those that count beside others alone */
};

void toc_log_scan_init(struct toc_log_scan *s, const struct toc_signature_table *table,
                       unsigned sources, toc_signature_fn *fn, void *ctx);
void toc_log_scan_feed(struct toc_log_scan *s, struct toc_sv bytes);
/* Judges a last line without line ending. */
void toc_log_scan_finish(struct toc_log_scan *s);
void toc_log_scan_fini(struct toc_log_scan *s);

#endif
