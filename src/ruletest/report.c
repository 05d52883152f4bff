/* What was expected and what came: side by side or as a difference; JUnit's XML. */
#include "base/alloc.h"
#include "ruletest/ruletest_priv.h"

enum { DIFF_LINES_MAX = 2000 };

struct texts {
    TOC_VEC_FIELDS(struct toc_sv)
};

static struct texts split(const struct toc_buf *b) {
    struct texts t = {0};
    struct toc_sv rest = toc_buf_sv(b), line;
    while (toc_sv_split(&rest, '\n', &line))
        if (line.n || rest.n)
            TOC_VEC_PUSH(&t, line);
    return t;
}

static void append_block(struct toc_buf *out, const char *title, const struct texts *t) {
    toc_buf_printf(out, "\n    %s:%s", title, t->count ? "" : "[]");
    for (size_t i = 0; i < t->count; i++)
        toc_buf_printf(out, "\n        %.*s", TOC_SV_ARG(t->items[i]));
}

/* Longest common subsequence from behind: cell (i, k) is its length for a[i…], b[k…]. */
static uint16_t *common_lengths(const struct texts *a, const struct texts *b) {
    size_t width = b->count + 1;
    uint16_t *cells = TOC_NEW_ARRAY(uint16_t, (a->count + 1) * width);
    for (size_t i = a->count; i-- > 0;)
        for (size_t k = b->count; k-- > 0;) {
            uint16_t down = cells[(i + 1) * width + k], right = cells[i * width + k + 1];
            bool same = toc_sv_eq(a->items[i], b->items[k]);
            cells[i * width + k] =
                same ? (uint16_t)(cells[(i + 1) * width + k + 1] + 1) : TOC_MAX(down, right);
        }
    return cells;
}

static void append_diff(struct toc_buf *out, const struct texts *want, const struct texts *got) {
    uint16_t *cells = common_lengths(want, got);
    size_t width = got->count + 1, i = 0, k = 0;
    toc_buf_append_cstr(out, "\n    diff (-expected +got):");
    while (i < want->count || k < got->count) {
        bool both = i < want->count && k < got->count;
        if (both && toc_sv_eq(want->items[i], got->items[k])) {
            toc_buf_printf(out, "\n          %.*s", TOC_SV_ARG(want->items[i]));
            i++;
            k++;
        } else if (k == got->count ||
                   (both && cells[(i + 1) * width + k] >= cells[i * width + k + 1])) {
            toc_buf_printf(out, "\n        - %.*s", TOC_SV_ARG(want->items[i]));
            i++;
        } else {
            toc_buf_printf(out, "\n        + %.*s", TOC_SV_ARG(got->items[k]));
            k++;
        }
    }
    toc_free(cells);
}

void run_compare(struct test_run *r, const struct toc_buf *want, const struct toc_buf *got) {
    struct texts a = split(want), b = split(got);
    if (r->options->has_diff && a.count <= DIFF_LINES_MAX && b.count <= DIFF_LINES_MAX) {
        append_diff(&r->failures, &a, &b);
    } else {
        append_block(&r->failures, "exp", &a);
        append_block(&r->failures, "got", &b);
    }
    TOC_VEC_FINI(&a);
    TOC_VEC_FINI(&b);
}

/* ------------------------------------------------------------------------------------------------
 * JUnit */

/* XML 1.0 has no other control characters than these three, however they are written. */
static void append_xml(struct toc_buf *out, struct toc_sv s) {
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '<' || c == '>' || c == '&' || c == '"')
            toc_buf_printf(out, "&#%d;", c);
        else if (c == '\n' || c == '\t' || c == '\r')
            toc_buf_printf(out, "&#x%x;", c);
        else
            toc_buf_append_char(out, c < 0x20 ? '?' : (char)c);
    }
}

static void append_suite(struct toc_buf *out, const struct toc_junit_suite *s) {
    size_t failures = 0;
    for (size_t i = 0; i < s->count; i++)
        failures += s->cases[i].failure.n > 0;
    toc_buf_append_cstr(out, "  <testsuite name=\"");
    append_xml(out, s->name);
    toc_buf_printf(out, "\" tests=\"%zu\" failures=\"%zu\" errors=\"0\">\n", s->count, failures);
    for (size_t i = 0; i < s->count; i++) {
        toc_buf_append_cstr(out, "    <testcase name=\"");
        append_xml(out, s->cases[i].name);
        if (s->cases[i].failure.n) {
            toc_buf_append_cstr(out, "\">\n      <failure>");
            append_xml(out, s->cases[i].failure);
            toc_buf_append_cstr(out, "</failure>\n    </testcase>\n");
        } else {
            toc_buf_append_cstr(out, "\"></testcase>\n");
        }
    }
    toc_buf_append_cstr(out, "  </testsuite>\n");
}

void toc_junit_write(const struct toc_junit_suite *suites, size_t count, struct toc_buf *out) {
    toc_buf_append_cstr(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (size_t i = 0; i < count; i++)
        append_suite(out, &suites[i]);
    toc_buf_append_cstr(out, "</testsuites>\n");
}
