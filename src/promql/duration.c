/* Arithmetic on durations: the numbers in `[5m * 2]`, in steps and in offsets. */
#include <math.h>
#include <string.h>

#include "promql/eval_priv.h"
#include "promql/lexer_priv.h"

struct duration {
    struct toc_sv text;
    const struct toc_query_times *times;
    struct toc_err *err;
};

static int fail(const struct duration *d, const struct toc_node *at, const char *what) {
    return toc_lexer_error(d->text, at->at, d->err, "%s", what);
}

static int value_of(const struct duration *d, const struct toc_node *n, double *out);

static int binary_value(const struct duration *d, const struct toc_node *n, double *out) {
    double a, b;
    int rc = value_of(d, n->left, &a);
    if (rc == 0)
        rc = value_of(d, n->right, &b);
    if (rc < 0)
        return rc;
    if (n->binary == TOC_BINARY_DIV && b == 0)
        return fail(d, n, "division by zero");
    if (n->binary == TOC_BINARY_MOD && b == 0)
        return fail(d, n, "modulo by zero");
    *out = toc_binary_apply(n->binary, a, b);
    return 0;
}

static int call_value(const struct duration *d, const struct toc_node *n, double *out) {
    const char *name = n->function->name;
    double a, b;
    if (strcmp(name, "step") == 0) {
        *out = (double)d->times->step_ms / 1000;
        return 0;
    }
    if (strcmp(name, "range") == 0) {
        *out = (double)(d->times->end_ms - d->times->start_ms) / 1000;
        return 0;
    }
    int rc = value_of(d, n->args[0], &a);
    if (rc == 0)
        rc = value_of(d, n->args[1], &b);
    if (rc == 0)
        *out = (strcmp(name, "min_of") == 0) == (a < b) ? a : b;
    return rc;
}

/* In seconds. */
static int value_of(const struct duration *d, const struct toc_node *n, double *out) {
    int rc;
    switch (n->kind) {
    case TOC_NODE_NUMBER:
        *out = n->number;
        return 0;
    case TOC_NODE_PAREN:
        return value_of(d, n->left, out);
    case TOC_NODE_NEGATE:
        rc = value_of(d, n->left, out);
        *out = -*out;
        return rc;
    case TOC_NODE_BINARY:
        return binary_value(d, n, out);
    case TOC_NODE_CALL:
        return call_value(d, n, out);
    default:
        return fail(d, n, "unexpected expression in a duration");
    }
}

int toc_duration_value(const struct toc_node *n, struct toc_sv text,
                       const struct toc_query_times *times, bool must_be_positive, int64_t *out_ms,
                       struct toc_err *err) {
    struct duration d = {text, times, err};
    double seconds = 0;
    int rc = value_of(&d, n, &seconds);
    if (rc < 0)
        return rc;
    if (!isfinite(seconds))
        return fail(&d, n, "duration is NaN or infinite");
    if (must_be_positive && seconds <= 0)
        return fail(&d, n, "duration must be greater than 0");
    if (fabs(seconds) >= TOC_DURATION_MAX_SECONDS)
        return fail(&d, n, "duration out of range");
    *out_ms = (int64_t)(seconds * 1000);
    return 0;
}
