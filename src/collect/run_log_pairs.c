/* Names, numbers and times in the text of a log line. */
#include "base/num.h"
#include "collect/run_log_priv.h"

static bool is_word_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static struct toc_sv unquote(struct toc_sv s) {
    s = toc_sv_trim(s);
    bool is_quoted = s.n >= 2 && (s.p[0] == '\'' || s.p[0] == '"') && s.p[s.n - 1] == s.p[0];
    return is_quoted ? toc_sv_sub(s, 1, s.n - 2) : s;
}

/* The first element of "[[0.1], …]", what is inside "tensor(0.5, device='cuda:0')". */
static struct toc_sv unwrap(struct toc_sv s) {
    size_t open = 0;
    while (open < s.n && (is_word_char(s.p[open]) || s.p[open] == '.'))
        open++;
    bool is_call = open > 0 && open < s.n && s.p[open] == '(';
    size_t from = is_call ? open + 1 : 0;
    while (from < s.n && s.p[from] == '[')
        from++;
    if (!from)
        return s;
    size_t end = from;
    while (end < s.n && s.p[end] != ',' && s.p[end] != ')' && s.p[end] != ']')
        end++;
    return toc_sv_trim(toc_sv_sub(s, from, end - from));
}

/* 12.50 and 100, as most numbers of logs are: both parts of the quotient are exact, so it is
 * rounded once, rightly. */
static bool read_plain(struct toc_sv s, double *out) {
    enum { DIGITS_MAX = 15 };
    static const double powers[DIGITS_MAX + 1] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                  1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    uint64_t digits = 0;
    size_t point = s.n;
    if (!s.n || s.n > DIGITS_MAX + 1)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned char)s.p[i] - (unsigned)'0';
        if (digit < 10)
            digits = digits * 10 + digit;
        else if (s.p[i] == '.' && point == s.n && i && i + 1 < s.n)
            point = i;
        else
            return false;
    }
    if (point == s.n && s.n > DIGITS_MAX)
        return false;
    *out = (double)digits / powers[point < s.n ? s.n - point - 1 : 0];
    return true;
}

bool toc_run_log_number(struct toc_sv text, double *out) {
    if (read_plain(text, out))
        return true;
    bool is_plain = text.n && toc_read_json_number(text, out) == text.n; /* nothing around it */
    if (is_plain && (*out != 0 || text.p[0] != '-'))                     /* JSON has no -0 */
        return true;
    struct toc_sv s = unwrap(unquote(text));
    return s.n && toc_parse_f64(s, out) == 0;
}

/* --------------------------------------------------------------------------------------- pairs */

typedef void on_pair(void *ctx, struct toc_sv name, struct toc_sv number);

static const struct {
    char separator, assignment;
} g_styles[] = {
#define X(name, word, separator, assignment) {separator, assignment},
    TOC_RUN_LOG_PAIRS_TABLE(X)
#undef X
};

/* A dash parts pairs only between blanks: 1e-05 holds one, too. */
static bool is_separator(struct toc_sv s, size_t i, char separator) {
    if (s.p[i] != separator)
        return false;
    return separator != '-' ||
           ((i == 0 || s.p[i - 1] == ' ') && (i + 1 == s.n || s.p[i + 1] == ' '));
}

/* Up to the next separator outside brackets and quotes. */
static size_t part_end(struct toc_sv s, char separator, bool has_quotes) {
    int depth = 0;
    char quote = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (quote) {
            if (c == '\\')
                i++;
            else if (c == quote)
                quote = 0;
            continue;
        }
        if (has_quotes && (c == '\'' || c == '"'))
            quote = c;
        depth += (c == '[' || c == '(' || c == '{') - (c == ']' || c == ')' || c == '}');
        if (depth <= 0 && is_separator(s, i, separator))
            return i;
    }
    return s.n;
}

static void cut_pair(struct toc_sv part, char assignment, on_pair *fn, void *ctx) {
    part = toc_sv_trim(part);
    size_t at = 0;
    bool is_quoted = part.n && (part.p[0] == '\'' || part.p[0] == '"');
    if (is_quoted)
        for (at = 1; at < part.n && part.p[at] != part.p[0];)
            at++;
    while (at < part.n && part.p[at] != assignment)
        at++;
    if (at < part.n)
        fn(ctx, unquote(toc_sv_sub(part, 0, at)), toc_sv_trim(toc_sv_sub(part, at + 1, SIZE_MAX)));
}

static struct toc_sv without_braces(struct toc_sv s) {
    s = toc_sv_trim(s);
    return s.n >= 2 && s.p[0] == '{' && s.p[s.n - 1] == '}' ? toc_sv_sub(s, 1, s.n - 2) : s;
}

static bool is_break(char c) {
    static const bool breaks[256] = {
        [' '] = true, ['\t'] = true, ['='] = true, [':'] = true, [','] = true, [';'] = true,
        ['|'] = true, ['('] = true,  [')'] = true, ['['] = true, [']'] = true};
    return breaks[(unsigned char)c];
}

/* Most words are none: of those that begin with a letter only nan and inf are numbers. */
static bool may_be_number(struct toc_sv word) {
    char c = (char)(word.p[0] | 0x20);
    return c < 'a' || c > 'z' || c == 'n' || c == 'i';
}

/* Each word that may be a number, with the one and the two words before it. */
static void cut_words(struct toc_sv s, on_pair *fn, void *ctx) {
    struct toc_sv before[2] = {TOC_SV_NULL, TOC_SV_NULL};
    for (size_t i = 0; i < s.n;) {
        while (i < s.n && is_break(s.p[i]))
            i++;
        size_t end = i;
        while (end < s.n && !is_break(s.p[end]))
            end++;
        struct toc_sv word = toc_sv_sub(s, i, end - i);
        double number;
        if (before[1].n && word.n && may_be_number(word) && toc_run_log_number(word, &number)) {
            if (before[0].n && before[0].p + before[0].n + 1 == before[1].p)
                fn(ctx, toc_sv_make(before[0].p, before[0].n + 1 + before[1].n), word);
            fn(ctx, before[1], word);
            word = TOC_SV_NULL;
        }
        before[0] = word.n ? before[1] : TOC_SV_NULL;
        before[1] = word;
        i = end;
    }
}

void toc_run_log_pairs(enum toc_run_log_pairs style, struct toc_sv text, on_pair *fn, void *ctx) {
    if (style == TOC_RUN_LOG_WORDS) {
        cut_words(text, fn, ctx);
        return;
    }
    struct toc_sv rest = style == TOC_RUN_LOG_DICT ? without_braces(text) : text;
    while (rest.n) {
        size_t end = part_end(rest, g_styles[style].separator, style == TOC_RUN_LOG_DICT);
        cut_pair(toc_sv_sub(rest, 0, end), g_styles[style].assignment, fn, ctx);
        rest = toc_sv_sub(rest, end + 1, SIZE_MAX);
    }
}

/* ---------------------------------------------------------------------------------------- time */

enum { LOOK_BYTES = 48 };

/* "dddd-dd-dd dd:dd:dd", where d is a digit and a blank may be a T. */
static bool is_date(const char *p) {
    static const char form[] = "dddd-dd-dd dd:dd:dd";
    for (size_t i = 0; i < sizeof form - 1; i++) {
        bool is_digit = p[i] >= '0' && p[i] <= '9';
        if (form[i] == 'd'   ? !is_digit
            : form[i] == ' ' ? p[i] != ' ' && p[i] != 'T'
                             : p[i] != form[i])
            return false;
    }
    return true;
}

static int two(const char *p) {
    return (p[0] - '0') * 10 + (p[1] - '0');
}

static int fraction_ms(struct toc_sv s, size_t *at) {
    int ms = 0, weight = 100;
    if (*at >= s.n || (s.p[*at] != '.' && s.p[*at] != ','))
        return 0;
    for ((*at)++; *at < s.n && s.p[*at] >= '0' && s.p[*at] <= '9'; (*at)++, weight /= 10)
        ms += (s.p[*at] - '0') * weight;
    return ms;
}

/* Minutes of "Z", "+02:00", "+0200"; false when there is none. */
static bool zone_of(struct toc_sv s, size_t at, int *out_minutes) {
    if (at < s.n && s.p[at] == 'Z') {
        *out_minutes = 0;
        return true;
    }
    if (at + 5 > s.n || (s.p[at] != '+' && s.p[at] != '-'))
        return false;
    size_t minutes = s.p[at + 3] == ':' ? at + 4 : at + 3;
    const char *digits[] = {s.p + at + 1, s.p + minutes};
    for (int i = 0; i < 2; i++)
        if (digits[i] + 2 > s.p + s.n || digits[i][0] < '0' || digits[i][0] > '9' ||
            digits[i][1] < '0' || digits[i][1] > '9')
            return false;
    *out_minutes = (two(digits[0]) * 60 + two(digits[1])) * (s.p[at] == '-' ? -1 : 1);
    return true;
}

bool toc_run_log_time(struct toc_sv line, int utc_offset_minutes, struct toc_ts *out) {
    enum { DATE_BYTES = 19 };
    size_t at = 0, last = TOC_MIN(line.n, (size_t)LOOK_BYTES);
    while (at + DATE_BYTES <= last && !is_date(line.p + at))
        at++;
    if (at + DATE_BYTES > last)
        return false;
    const char *p = line.p + at;
    struct toc_civil c = {.year = two(p) * 100 + two(p + 2),
                          .month = two(p + 5),
                          .day = two(p + 8),
                          .hour = two(p + 11),
                          .minute = two(p + 14),
                          .second = two(p + 17)};
    if (c.month < 1 || c.month > 12 || c.day < 1 || c.day > 31 || c.hour > 23 || c.minute > 59 ||
        c.second > 60 || c.year < 1971)
        return false;
    size_t end = at + DATE_BYTES;
    int ms = fraction_ms(line, &end), minutes = utc_offset_minutes;
    (void)zone_of(line, end, &minutes);
    out->ms = toc_civil_ts(&c).ms + ms - (int64_t)minutes * 60000;
    return true;
}
