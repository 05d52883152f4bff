#include "diagnose/log_labels.h"

#include "base/buf.h"
#include "base/num.h"
#include "shim/regex.h"

enum { GROUPS_MAX = 5, PATTERN_BYTES_MAX = 1024 };

struct field {
    const char *name, *expression;
    int *group;
};

static int add_field(struct toc_sv name, struct field *fields, int *groups, struct toc_buf *out,
                     struct toc_err *err) {
    for (struct field *f = fields; f->name; f++) {
        if (!toc_sv_eq_cstr(name, f->name))
            continue;
        if (*f->group)
            return toc_errf(err, TOC_EPARSE, "{%s} is given twice", f->name);
        *f->group = ++*groups;
        toc_buf_append_cstr(out, f->expression);
        return 0;
    }
    return toc_errf(err, TOC_EPARSE, "{%.*s} is none of {run}, {host}, {rank}", TOC_SV_ARG(name));
}

static void add_literal(char c, struct toc_buf *out) {
    bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '/' || c == '_' || (unsigned char)c >= 0x80;
    if (!is_plain)
        toc_buf_append_char(out, '\\');
    toc_buf_append_char(out, c);
}

static int translate(struct toc_sv text, struct field *fields, struct toc_buf *out,
                     struct toc_err *err) {
    int groups = 0, rc = 0;
    for (size_t i = 0; i < text.n && rc == 0; i++) {
        if (text.p[i] == '*') {
            toc_buf_append_cstr(out, "[^/]*");
        } else if (text.p[i] == '?') {
            toc_buf_append_cstr(out, "[^/]");
        } else if (text.p[i] == '{') {
            struct toc_sv rest = toc_sv_sub(text, i + 1, SIZE_MAX);
            size_t end = toc_sv_find_char(rest, '}');
            if (end == SIZE_MAX)
                return toc_errf(err, TOC_EPARSE, "a brace is open");
            rc = add_field(toc_sv_sub(rest, 0, end), fields, &groups, out, err);
            i += end + 1;
        } else {
            add_literal(text.p[i], out);
        }
    }
    return rc;
}

int toc_log_pattern_parse(struct toc_sv text, struct toc_log_pattern *out, struct toc_err *err) {
    struct toc_buf expression = TOC_BUF_INIT;
    struct field fields[] = {{"run", "([^/]+?)", &out->job},
                             {"job", "([^/]+?)", &out->job},
                             {"host", "([^/]+?)", &out->host},
                             {"rank", "([0-9]{1,7})", &out->rank},
                             {0}};
    *out = (struct toc_log_pattern){0};
    if (!text.n || text.n > PATTERN_BYTES_MAX)
        return toc_errf(err, TOC_EPARSE, "expected 1 to %d bytes", (int)PATTERN_BYTES_MAX);
    toc_buf_append_cstr(&expression, text.p[0] == '/' ? "" : "(?:.*/)?");
    int rc = translate(text, fields, &expression, err);
    if (rc == 0)
        rc = toc_regex_new(toc_buf_sv(&expression), TOC_REGEX_ANCHORED, &out->regex, err);
    toc_buf_fini(&expression);
    return rc;
}

void toc_log_pattern_fini(struct toc_log_pattern *p) {
    toc_regex_free(&p->regex);
}

bool toc_log_pattern_match(const struct toc_log_pattern *p, struct toc_sv path,
                           struct toc_log_labels *out) {
    struct toc_sv groups[GROUPS_MAX] = {0};
    *out = TOC_LOG_LABELS_NONE;
    if (!toc_regex_capture(p->regex, path, groups, GROUPS_MAX))
        return false;
    out->job = p->job ? groups[p->job] : TOC_SV_NULL;
    out->host = p->host ? groups[p->host] : TOC_SV_NULL;
    if (p->rank && toc_parse_i64(groups[p->rank], &out->rank) < 0)
        out->rank = -1;
    return true;
}

/* -------------------------------------------------------------------------------------- guessing
 */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_word(char c) {
    return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* The number behind a word that stands alone, with _, - or = between; -1. */
static int64_t number_behind(struct toc_sv path, struct toc_sv word) {
    for (size_t i = 0; i + word.n < path.n; i++) {
        if (!toc_sv_eq_nocase(toc_sv_sub(path, i, word.n), word) ||
            (i > 0 && is_word(path.p[i - 1])))
            continue;
        size_t at = i + word.n, end;
        at += at < path.n && (path.p[at] == '_' || path.p[at] == '-' || path.p[at] == '=');
        for (end = at; end < path.n && is_digit(path.p[end]); end++)
            continue;
        int64_t n;
        if (end > at && end - at < 8 && (end == path.n || !is_word(path.p[end])) &&
            toc_parse_i64(toc_sv_sub(path, at, end - at), &n) == 0)
            return n;
    }
    return -1;
}

/* "node17" out of "logs/node17.kernel.log". */
static struct toc_sv host_in(struct toc_sv path) {
    static const char *const words[] = {"node", "host", "gpu", "worker"};
    struct toc_sv part;
    while (toc_sv_split(&path, '/', &part)) {
        size_t n = 0;
        while (n < part.n && (is_word(part.p[n]) || part.p[n] == '-'))
            n++;
        struct toc_sv name = toc_sv_sub(part, 0, n);
        for (size_t i = 0; n && is_digit(name.p[n - 1]) && i < TOC_ARRAY_LEN(words); i++)
            if (toc_sv_starts_with(name, toc_sv_cstr(words[i])))
                return name;
    }
    return TOC_SV_NULL;
}

struct toc_log_labels toc_log_labels_guess(struct toc_sv path) {
    struct toc_log_labels l = TOC_LOG_LABELS_NONE;
    l.rank = number_behind(path, TOC_SV("rank"));
    l.host = host_in(path);
    return l;
}
