/* NVIDIA XID codes: name, the vendor's action, severity, and who has to act (packs/xid.tsv). */
#ifndef TOC_DIAGNOSE_XID_H
#define TOC_DIAGNOSE_XID_H

#include "base/error.h"
#include "base/sv.h"
#include "diagnose/signature.h"

/* X(NAME, "name"): only HARDWARE can page the hardware team. */
#define TOC_XID_OWNER_TABLE(X) \
    X(NOBODY, "nobody")        \
    X(JOB, "job")              \
    X(OPERATOR, "operator")    \
    X(HARDWARE, "hardware")

#define X(name, text) TOC_XID_##name,
enum toc_xid_owner { TOC_XID_OWNER_TABLE(X) };
#undef X

enum { TOC_XID_CODE_MAX = 511 };

struct toc_xid {
    unsigned code;
    struct toc_sv description; /* "Unused" where the vendor says so */
    struct toc_sv action;      /* the vendor's label, NONE when there is none */
    enum toc_signature_severity severity;
    enum toc_xid_owner owner;
};

const char *toc_xid_owner_name(enum toc_xid_owner owner);

struct toc_xid_table; /* opaque, immutable: any number of threads */

/* Errors carry row and column. */
int toc_xid_table_parse(struct toc_sv text, struct toc_xid_table **out_table,
                        struct toc_err *err) TOC_MUST_CHECK;
int toc_xid_table_builtin(struct toc_xid_table **out_table, struct toc_err *err) TOC_MUST_CHECK;
void toc_xid_table_free(struct toc_xid_table **table);
/* NULL for a code that is not in the table; borrowed. */
const struct toc_xid *toc_xid_find(const struct toc_xid_table *t, uint64_t code);
/* `is_fatal_text`: the line itself says Fatal, which decides where the severity is by_text. */
bool toc_xid_pages_hardware(const struct toc_xid *x, bool is_fatal_text);

#endif
