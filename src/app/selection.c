#include "app/selection.h"

#include <math.h>
#include <stdio.h>

#include "app/command.h"
#include "base/num.h"
#include "base/time.h"
#include "promql/promql.h"

static int read_time(const char *command, const char *name, const char *text, int64_t *io_ms) {
    struct toc_ts t;
    double seconds;
    if (!text)
        return 0;
    if (toc_ts_parse_rfc3339(toc_sv_cstr(text), &t, NULL) == 0) {
        *io_ms = t.ms;
        return 0;
    }
    if (toc_parse_f64(toc_sv_cstr(text), &seconds) == 0 && fabs(seconds) < 1e12) {
        *io_ms = llround(seconds * 1000);
        return 0;
    }
    fprintf(stderr, "tocsin %s: --%s \"%s\" is neither RFC 3339 nor seconds since the epoch\n",
            command, name, text);
    return TOC_EXIT_USAGE;
}

static void keep_matchers(void *ctx, const struct toc_matcher *m, size_t count) {
    struct toc_selection *s = ctx;
    s->matchers = m;
    s->matcher_count = count;
}

static int read_match(struct toc_selection *s, const char *command) {
    struct toc_err err = {0};
    if (!s->match)
        return 0;
    int rc = toc_promql_parse(toc_sv_cstr(s->match), &s->expr, &err);
    if (rc == 0 && !toc_promql_is_selector(s->expr))
        rc = toc_errf(&err, TOC_EPARSE, "it is an expression, not a series selector");
    if (rc) {
        fprintf(stderr, "tocsin %s: --match \"%s\": %s\n", command, s->match, err.message);
        return TOC_EXIT_USAGE;
    }
    toc_promql_visit_selectors(s->expr, keep_matchers, s);
    return 0;
}

int toc_selection_read(struct toc_selection *s, const char *command) {
    s->min_ms = INT64_MIN;
    s->max_ms = INT64_MAX;
    int rc = read_time(command, "from", s->from, &s->min_ms);
    if (!rc)
        rc = read_time(command, "to", s->to, &s->max_ms);
    return rc ? rc : read_match(s, command);
}

void toc_selection_fini(struct toc_selection *s) {
    toc_promql_expr_free(&s->expr);
}
