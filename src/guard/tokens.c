#include <sodium.h>
#include <string.h>

#include "guard/guard_priv.h"
#include "statedb/tokens.h"

enum { TOKEN_NAME_MAX = 64 };

/* Bit of a permission by name; 0 when unknown. */
static unsigned permission_bit(struct toc_sv name) {
#define X(e, text, what)               \
    if (toc_sv_eq(name, TOC_SV(text))) \
        return TOC_PERM_BIT(e);
    TOC_PERMISSION_TABLE(X)
#undef X
    return 0;
}

/* TOC_EINVAL names the unknown scope. */
static int parse_scopes(struct toc_sv scopes, unsigned *out, struct toc_err *err) {
    *out = scopes.n ? 0 : TOC_PERM_ALL;
    struct toc_sv rest = scopes, part;
    while (scopes.n && toc_sv_split(&rest, ',', &part)) {
        unsigned bit = permission_bit(toc_sv_trim(part));
        if (!bit)
            return toc_errf(err, TOC_EINVAL,
                            "scopes: \"%.*s\" is none of read, ingest, respond, edit, "
                            "admin, audit",
                            TOC_SV_ARG(part));
        *out |= bit;
    }
    return 0;
}

int toc_principal_of_token(const struct toc_token_row *row, struct toc_ts now,
                           struct toc_principal *out) {
    enum toc_role role = toc_role_parse(row->role);
    unsigned scopes = 0;
    bool has_expired = row->expires_at.ms && row->expires_at.ms <= now.ms;
    if (has_expired || role == TOC_ROLE_COUNT || parse_scopes(row->scopes, &scopes, NULL) != 0)
        return TOC_ENOENT;
    *out = (struct toc_principal){
        .method = TOC_AUTH_TOKEN,
        .role = role,
        .permissions = toc_role_permissions(role) & scopes,
        .token_id = row->id,
    };
    toc_sv_copy(row->name, out->name, sizeof out->name);
    return 0;
}

struct lookup {
    struct toc_sv hash;
    struct toc_ts now;
    struct toc_principal *out;
    bool is_touch_due;
};

static int take_token(void *ctx, const struct toc_token_row *row) {
    struct lookup *l = ctx;
    if (!toc_secret_equal(row->hash, l->hash))
        return TOC_ENOENT;
    int64_t unused_ms = l->now.ms - row->last_used_at.ms;
    l->is_touch_due = unused_ms >= TOC_TOUCH_EVERY_MS || unused_ms < 0;
    return toc_principal_of_token(row, l->now, l->out);
}

int toc_token_lookup(struct toc_guard *g, struct toc_sv secret, struct toc_ts now,
                     struct toc_principal *out, struct toc_err *err) {
    unsigned char hash[TOC_HASH_BYTES];
    toc_secret_hash(TOC_TOKEN_DOMAIN, secret, hash);
    struct lookup l = {
        .hash = toc_sv_make((const char *)hash, sizeof hash), .now = now, .out = out};
    int rc = toc_tokens_find(g->options.db, l.hash, take_token, &l, err);
    /* Best effort: a full disk must not lock people out. */
    if (rc == 0 && l.is_touch_due && toc_tokens_touch(g->options.db, out->token_id, now, NULL) != 0)
        return 0;
    return rc;
}

static bool is_name(struct toc_sv name) {
    if (!name.n || name.n > TOKEN_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool is_alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_alnum && c != '.' && c != '_' && c != '@' && c != '-')
            return false;
    }
    return true;
}

int toc_guard_token_add(struct toc_guard *g, const struct toc_token_request *r, struct toc_ts now,
                        char out_secret[TOC_SECRET_TEXT_MAX], int64_t *out_id,
                        struct toc_err *err) {
    unsigned scopes;
    if (!is_name(r->name))
        return toc_errf(err, TOC_EINVAL,
                        "name: 1 to %d characters of A-Z a-z 0-9 . _ @ - are needed",
                        TOKEN_NAME_MAX);
    if (r->role >= TOC_ROLE_COUNT)
        return toc_errf(err, TOC_EINVAL,
                        "role: one of viewer, responder, editor, admin, auditor is needed");
    if (r->expires_in_ms < 0)
        return toc_errf(err, TOC_EINVAL, "expires_in_s: must not be negative");
    int rc = parse_scopes(r->scopes, &scopes, err);
    if (rc)
        return rc;
    unsigned char hash[TOC_HASH_BYTES];
    toc_secret_new("toc_", out_secret);
    toc_secret_hash(TOC_TOKEN_DOMAIN, toc_sv_cstr(out_secret), hash);
    struct toc_token_row row = {
        .name = r->name,
        .role = toc_sv_cstr(toc_role_text(r->role)),
        .scopes = r->scopes,
        .hash = toc_sv_make((const char *)hash, sizeof hash),
        .created_at = now,
        .expires_at = {r->expires_in_ms ? now.ms + r->expires_in_ms : 0},
        .created_by = r->created_by,
    };
    rc = toc_tokens_add(g->options.db, &row, out_id, err);
    if (rc)
        sodium_memzero(out_secret, TOC_SECRET_TEXT_MAX);
    return rc;
}

struct census {
    size_t count, other_admins;
    int64_t id;
    bool is_admin; /* is the token `id` one? */
};

static int count_token(void *ctx, const struct toc_token_row *row) {
    struct census *c = ctx;
    bool is_admin = toc_sv_eq_cstr(row->role, toc_role_text(TOC_ROLE_ADMIN)) &&
                    !row->expires_at.ms && !row->scopes.n;
    c->count++;
    if (row->id == c->id)
        c->is_admin = is_admin;
    else
        c->other_admins += is_admin;
    return 0;
}

int toc_guard_first_token(struct toc_guard *g, struct toc_ts now, char out[TOC_SECRET_TEXT_MAX],
                          bool *out_is_new, struct toc_err *err) {
    struct census c = {0};
    *out_is_new = false;
    int rc = toc_tokens_each(g->options.db, count_token, &c, err);
    if (rc || c.count)
        return rc;
    struct toc_token_request r = {
        .name = TOC_SV("admin"), .role = TOC_ROLE_ADMIN, .created_by = TOC_SV("first start")};
    rc = toc_guard_token_add(g, &r, now, out, NULL, err);
    *out_is_new = rc == 0;
    return rc;
}

int toc_guard_token_remove(struct toc_guard *g, int64_t id, struct toc_err *err) {
    struct census c = {.id = id};
    int rc = toc_tokens_each(g->options.db, count_token, &c, err);
    if (rc)
        return rc;
    if (c.is_admin && c.other_admins == 0)
        return toc_errf(err, TOC_ECONFLICT,
                        "token %lld is the last admin token without expiry: make another one first",
                        (long long)id);
    return toc_tokens_remove(g->options.db, id, err);
}
