/* Random series and random expressions over them, the same for the same seed. */
#ifndef TOC_TESTS_PROP_PROMQL_RANDOM_QUERY_H
#define TOC_TESTS_PROP_PROMQL_RANDOM_QUERY_H

#include "base/buf.h"
#include "base/rng.h"
#include "promql/memory_querier.h"
#include "promql/promql.h"

/* All times lie around this one, a multiple of a day. */
#define RANDOM_QUERY_BASE_MS 1700006400000

struct random_query {
    struct toc_rng rng;
    struct toc_memory_querier data;
    struct toc_buf text; /* of the expression */
    uint64_t round;
    uint64_t host_count; /* values of the label host */
};

void random_query_init(struct random_query *q, uint64_t seed, uint64_t host_count);
void random_query_fini(struct random_query *q);
/* Other series, about `count` of them. */
void random_query_data(struct random_query *q, size_t count);
/* Another expression, parsed. */
struct toc_promql_expr *random_query_expr(struct random_query *q);
uint64_t random_query_pick(struct random_query *q, uint64_t n);
/* Shows data and expression, and aborts. */
void random_query_die(const struct random_query *q, const char *why, int64_t t_ms,
                      struct toc_labels labels);

#define RANDOM_ONE_OF(q, list) ((list)[random_query_pick((q), sizeof(list) / sizeof *(list))])

#endif
