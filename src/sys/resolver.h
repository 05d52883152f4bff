/*
 * Records of DNS, asked for through the resolver of the C library: name servers and search list of
 * /etc/resolv.conf, read anew for each look-up. Blocks the caller for some seconds at most when no
 * name server answers.
 */
#ifndef TOC_SYS_RESOLVER_H
#define TOC_SYS_RESOLVER_H

#include <stdint.h>

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/sv.h"

/* X(enum, name, number of RFC 1035, 2782, 3596) */
#define TOC_DNS_TYPE_TABLE(X)   \
    X(TOC_DNS_SRV, "SRV", 33)   \
    X(TOC_DNS_A, "A", 1)        \
    X(TOC_DNS_AAAA, "AAAA", 28) \
    X(TOC_DNS_MX, "MX", 15)     \
    X(TOC_DNS_NS, "NS", 2)

enum toc_dns_type {
#define X(name, text, number) name,
    TOC_DNS_TYPE_TABLE(X)
#undef X
        TOC_DNS_TYPE_COUNT
};
const char *toc_dns_type_text(enum toc_dns_type t);

struct toc_dns_record {
    enum toc_dns_type type;
    struct toc_sv target; /* a name without its last dot, or a numeric address */
    uint16_t port;        /* of SRV */
};

/* All records of these types in the answer to a question for `type`; others (CNAME) are passed
 * over. The search list is used as upstream's discovery does: the first name that exists answers.
 * No such name anywhere: no records. An error when some server did not give a usable answer. */
int toc_dns_lookup(const char *name, enum toc_dns_type type, struct toc_arena *a,
                   const struct toc_dns_record **out, size_t *out_count,
                   struct toc_err *err) TOC_MUST_CHECK;
/* The same from one message as it came; *out_has_name is false for "no such name". */
int toc_dns_parse(struct toc_sv message, struct toc_arena *a, const struct toc_dns_record **out,
                  size_t *out_count, bool *out_has_name, struct toc_err *err) TOC_MUST_CHECK;

#endif
