#include "sys/resolver.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>

enum {
    MESSAGE_MAX = 65535,
    QUERY_MAX = 1024,
    NAME_MAX_BYTES = 1025, /* of the presentation form, with escapes */
    SERVER_TIMEOUT_S = 2,
};

static const struct {
    const char *text;
    int number;
} types[TOC_DNS_TYPE_COUNT] = {
#define X(name, text, number) {text, number},
    TOC_DNS_TYPE_TABLE(X)
#undef X
};

const char *toc_dns_type_text(enum toc_dns_type t) {
    return types[t].text;
}

/* ------------------------------------------------------------------------------------------------
 * one message */

static int find_type(int number) {
    for (int i = 0; i < TOC_DNS_TYPE_COUNT; i++)
        if (types[i].number == number)
            return i;
    return -1;
}

/* A name inside the data of a record, `skip` bytes in. */
static int read_name(const ns_msg *m, const ns_rr *rr, size_t skip, struct toc_arena *a,
                     struct toc_sv *out) {
    char name[NAME_MAX_BYTES];
    if (ns_rr_rdlen(*rr) <= skip ||
        dn_expand(ns_msg_base(*m), ns_msg_end(*m), ns_rr_rdata(*rr) + skip, name, sizeof name) < 0)
        return TOC_EPARSE;
    *out = toc_arena_dup_sv(a, toc_sv_cstr(name));
    return 0;
}

static int read_address(const ns_rr *rr, int family, size_t size, struct toc_arena *a,
                        struct toc_sv *out) {
    char text[INET6_ADDRSTRLEN];
    if (ns_rr_rdlen(*rr) != size || !inet_ntop(family, ns_rr_rdata(*rr), text, sizeof text))
        return TOC_EPARSE;
    *out = toc_arena_dup_sv(a, toc_sv_cstr(text));
    return 0;
}

static int read_record(const ns_msg *m, const ns_rr *rr, struct toc_arena *a,
                       struct toc_dns_record *out) {
    enum { SRV_NAME_AT = 6, SRV_PORT_AT = 4, MX_NAME_AT = 2 };
    switch (out->type) {
    case TOC_DNS_SRV:
        if (ns_rr_rdlen(*rr) <= SRV_NAME_AT)
            return TOC_EPARSE;
        out->port = (uint16_t)ns_get16(ns_rr_rdata(*rr) + SRV_PORT_AT);
        return read_name(m, rr, SRV_NAME_AT, a, &out->target);
    case TOC_DNS_MX:
        return read_name(m, rr, MX_NAME_AT, a, &out->target);
    case TOC_DNS_NS:
        return read_name(m, rr, 0, a, &out->target);
    case TOC_DNS_A:
        return read_address(rr, AF_INET, sizeof(struct in_addr), a, &out->target);
    case TOC_DNS_AAAA:
        return read_address(rr, AF_INET6, sizeof(struct in6_addr), a, &out->target);
    default:
        return TOC_EPARSE;
    }
}

static int check_code(const ns_msg *m, bool *out_has_name, struct toc_err *err) {
    int code = ns_msg_getflag(*m, ns_f_rcode);
    *out_has_name = code == ns_r_noerror;
    if (code == ns_r_noerror || code == ns_r_nxdomain)
        return 0;
    return toc_errf(err, TOC_EPROTOCOL, "the name server answered with code %d", code);
}

int toc_dns_parse(struct toc_sv message, struct toc_arena *a, const struct toc_dns_record **out,
                  size_t *out_count, bool *out_has_name, struct toc_err *err) {
    ns_msg m;
    ns_rr rr;
    *out_count = 0;
    *out_has_name = false;
    if (message.n > MESSAGE_MAX ||
        ns_initparse((const unsigned char *)message.p, (int)message.n, &m) < 0)
        return toc_errf(err, TOC_EPARSE, "the name server's answer is malformed");
    int rc = check_code(&m, out_has_name, err), count = ns_msg_count(m, ns_s_an);
    struct toc_dns_record *records =
        rc ? NULL : TOC_ARENA_NEW_ARRAY(a, struct toc_dns_record, (size_t)count + 1);
    if (!records)
        return rc ? rc : toc_errf(err, TOC_ENOMEM, "no memory for an answer of DNS");
    for (int i = 0; i < count; i++) {
        if (ns_parserr(&m, ns_s_an, i, &rr) < 0)
            return toc_errf(err, TOC_EPARSE, "record %d of the name server's answer is malformed",
                            i);
        int type = ns_rr_class(rr) == ns_c_in ? find_type(ns_rr_type(rr)) : -1;
        if (type < 0)
            continue;
        struct toc_dns_record *r = &records[*out_count];
        r->type = (enum toc_dns_type)type;
        if (read_record(&m, &rr, a, r) < 0 || a->overflowed)
            return toc_errf(err, TOC_EPARSE, "record %d (%s) of the name server's answer is bad", i,
                            types[type].text);
        ++*out_count;
    }
    *out = records;
    return 0;
}

/* ------------------------------------------------------------------------------------------------
 * asking */

struct lookup {
    struct __res_state state;
    enum toc_dns_type type;
    struct toc_arena *arena;
    const struct toc_dns_record *records;
    size_t count;
    unsigned char answer[MESSAGE_MAX];
};

/* TOC_ENOENT when there is no such name. */
static int ask(struct lookup *l, const char *name, struct toc_err *err) {
    unsigned char query[QUERY_MAX];
    bool has_name = false;
    int n = res_nmkquery(&l->state, ns_o_query, name, ns_c_in, types[l->type].number, NULL, 0, NULL,
                         query, sizeof query);
    if (n < 0)
        return toc_errf(err, TOC_EINVAL, "\"%s\" is no name that DNS can be asked for", name);
    int got = res_nsend(&l->state, query, n, l->answer, sizeof l->answer);
    if (got < 0)
        return toc_errf(err, errno == ETIMEDOUT ? TOC_ETIMEDOUT : TOC_EUNAVAILABLE,
                        "no name server gave a usable answer about %s %s: %s", types[l->type].text,
                        name, strerror(errno));
    size_t length = got > (int)sizeof l->answer ? sizeof l->answer : (size_t)got;
    int rc = toc_dns_parse(toc_sv_make((const char *)l->answer, length), l->arena, &l->records,
                           &l->count, &has_name, err);
    if (rc)
        return toc_err_prefix(err, "%s %s: ", types[l->type].text, name);
    return has_name ? 0 : TOC_ENOENT;
}

static int dots_of(const char *name) {
    int dots = 0;
    for (; *name; name++)
        dots += *name == '.';
    return dots;
}

/* Search list as upstream: a name with enough dots first as it is, others last; one that ends in a
 * dot is only what it is. */
static int search(struct lookup *l, const char *name, struct toc_err *err) {
    char full[NAME_MAX_BYTES];
    size_t n = strlen(name);
    bool is_rooted = n && name[n - 1] == '.', has_failed = false;
    bool is_first = is_rooted || dots_of(name) >= (int)l->state.ndots;
    int rc = is_first ? ask(l, name, err) : TOC_ENOENT;
    has_failed = rc < 0 && rc != TOC_ENOENT;
    for (int i = 0; rc < 0 && !is_rooted && i < MAXDNSRCH && l->state.dnsrch[i]; i++) {
        if (snprintf(full, sizeof full, "%s.%s", name, l->state.dnsrch[i]) >= (int)sizeof full)
            continue;
        rc = ask(l, full, err);
        has_failed = has_failed || (rc < 0 && rc != TOC_ENOENT);
    }
    if (rc < 0 && !is_first) {
        rc = ask(l, name, err);
        has_failed = has_failed || (rc < 0 && rc != TOC_ENOENT);
    }
    if (rc == 0)
        return 0;
    return has_failed ? TOC_EUNAVAILABLE : 0;
}

int toc_dns_lookup(const char *name, enum toc_dns_type type, struct toc_arena *a,
                   const struct toc_dns_record **out, size_t *out_count, struct toc_err *err) {
    struct toc_err why = {0};
    struct lookup *l = toc_arena_alloc(a, sizeof *l);
    *out_count = 0;
    if (!l)
        return toc_errf(err, TOC_ENOMEM, "no memory for a look-up");
    if (res_ninit(&l->state) != 0)
        return toc_errf(err, TOC_EUNAVAILABLE, "the resolver cannot read its configuration");
    l->type = type;
    l->arena = a;
    l->state.retrans = SERVER_TIMEOUT_S;
    l->state.retry = 1;
    l->state.options |= RES_USE_EDNS0;
    int rc = search(l, name, &why);
    res_nclose(&l->state);
    *out = l->records;
    *out_count = rc ? 0 : l->count;
    if (rc && err)
        *err = why;
    return rc;
}
