#include "diagnose/xid.h"

#include "base/alloc.h"
#include "base/num.h"
#include "codec/table_text.h"

enum { CODE, DESCRIPTION, ACTION, SEVERITY, OWNER, COLUMNS };

struct toc_xid_table {
    char *text; /* the views point here */
    struct toc_xid rows[TOC_XID_CODE_MAX + 1];
    bool is_known[TOC_XID_CODE_MAX + 1];
};

extern const unsigned char toc_xid_table_bytes[];
extern const unsigned long toc_xid_table_size;

static int bad(struct toc_err *err, int row, int column, const char *what, struct toc_sv got) {
    static const char *const names[COLUMNS] = {"code", "description", "action", "severity",
                                               "owner"};
    return toc_table_bad(err, row, column, names[column], what, got);
}

#define X(name, text) text,
static const char *const g_owners[] = {TOC_XID_OWNER_TABLE(X)};
#undef X

const char *toc_xid_owner_name(enum toc_xid_owner owner) {
    return g_owners[owner];
}

static int find_owner(struct toc_sv word) {
    return toc_table_word(g_owners, TOC_ARRAY_LEN(g_owners), word);
}

static int find_severity(struct toc_sv word) {
    for (int i = TOC_SIGNATURE_INFO; i <= TOC_SIGNATURE_BY_TEXT; i++)
        if (i != TOC_SIGNATURE_BY_CODE &&
            toc_sv_eq_cstr(word, toc_signature_severity_name((enum toc_signature_severity)i)))
            return i;
    return -1;
}

static int add_row(void *table, struct toc_sv line, int row, struct toc_err *err) {
    struct toc_xid_table *t = table;
    struct toc_sv f[COLUMNS];
    uint64_t code;
    int rc = toc_table_fields(line, row, f, COLUMNS, err);
    if (rc < 0)
        return rc;
    if (toc_parse_u64(f[CODE], &code) < 0 || code > TOC_XID_CODE_MAX)
        return bad(err, row, CODE, "expected a code up to 511", f[CODE]);
    if (t->is_known[code])
        return bad(err, row, CODE, "this code is there already", f[CODE]);
    int severity = find_severity(f[SEVERITY]), owner = find_owner(f[OWNER]);
    if (severity < 0)
        return bad(err, row, SEVERITY, "unknown severity", f[SEVERITY]);
    if (owner < 0)
        return bad(err, row, OWNER, "expected nobody, job, operator or hardware", f[OWNER]);
    t->is_known[code] = true;
    t->rows[code] =
        (struct toc_xid){(unsigned)code, f[DESCRIPTION], f[ACTION],
                         (enum toc_signature_severity)severity, (enum toc_xid_owner)owner};
    return 0;
}

int toc_xid_table_parse(struct toc_sv text, struct toc_xid_table **out_table, struct toc_err *err) {
    struct toc_xid_table *t = TOC_NEW(struct toc_xid_table);
    t->text = toc_sv_dup_cstr(text);
    int rc = toc_table_each(toc_sv_make(t->text, text.n), add_row, t, err);
    if (rc < 0)
        toc_xid_table_free(&t);
    *out_table = t;
    return rc;
}

int toc_xid_table_builtin(struct toc_xid_table **out_table, struct toc_err *err) {
    return toc_xid_table_parse(toc_sv_make((const char *)toc_xid_table_bytes, toc_xid_table_size),
                               out_table, err);
}

void toc_xid_table_free(struct toc_xid_table **table) {
    if (!table || !*table)
        return;
    toc_free((*table)->text);
    toc_free(*table);
    *table = NULL;
}

const struct toc_xid *toc_xid_find(const struct toc_xid_table *t, uint64_t code) {
    return code <= TOC_XID_CODE_MAX && t->is_known[code] ? &t->rows[code] : NULL;
}

bool toc_xid_pages_hardware(const struct toc_xid *x, bool is_fatal_text) {
    bool is_critical = x->severity == TOC_SIGNATURE_CRITICAL ||
                       (x->severity == TOC_SIGNATURE_BY_TEXT && is_fatal_text);
    return x->owner == TOC_XID_HARDWARE && is_critical;
}
