#include "remote/otlp_name.h"

#include "base/buf.h"

struct unit_word {
    const char *unit, *word;
};

/* UCUM codes (ucum.org) that have a word in Prometheus' naming; others stand for themselves. */
static const struct unit_word g_units[] = {
    {"d", "days"},
    {"h", "hours"},
    {"min", "minutes"},
    {"s", "seconds"},
    {"ms", "milliseconds"},
    {"us", "microseconds"},
    {"ns", "nanoseconds"},
    {"By", "bytes"},
    {"KiBy", "kibibytes"},
    {"MiBy", "mebibytes"},
    {"GiBy", "gibibytes"},
    {"TiBy", "tibibytes"},
    {"KBy", "kilobytes"},
    {"MBy", "megabytes"},
    {"GBy", "gigabytes"},
    {"TBy", "terabytes"},
    {"m", "meters"},
    {"V", "volts"},
    {"A", "amperes"},
    {"J", "joules"},
    {"W", "watts"},
    {"g", "grams"},
    {"Cel", "celsius"},
    {"Hz", "hertz"},
    {"1", ""},
    {"%", "percent"},
};
/* Behind a '/', where 'm' is a minute. */
static const struct unit_word g_per_units[] = {
    {"s", "second"}, {"m", "minute"}, {"h", "hour"}, {"d", "day"},
    {"w", "week"},   {"mo", "month"}, {"y", "year"},
};

static bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
static bool is_token_char(char c) {
    return is_letter_or_digit(c) || c == ':';
}
static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_only_underscores(struct toc_sv s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '_')
            return false;
    return true;
}

/* The buffer's content in the arena; nothing when it is no name. */
static struct toc_sv keep_name(struct toc_buf *b, struct toc_arena *arena) {
    struct toc_sv s = toc_buf_sv(b);
    struct toc_sv kept = is_only_underscores(s) ? TOC_SV_NULL : toc_arena_dup_sv(arena, s);
    toc_buf_fini(b);
    return kept;
}

/* --- units --- */

/* The parts of a unit: a main one and one behind '/', both without annotations in braces. */
struct unit {
    struct toc_sv main, per;
};

static struct toc_sv word_of(const struct unit_word *words, size_t count, struct toc_sv unit) {
    unit = toc_sv_trim(unit);
    if (toc_sv_find_char(unit, '{') != SIZE_MAX || toc_sv_find_char(unit, '}') != SIZE_MAX)
        return TOC_SV_NULL;
    for (size_t i = 0; i < count; i++)
        if (toc_sv_eq_cstr(unit, words[i].unit))
            return toc_sv_cstr(words[i].word);
    return unit;
}

static struct unit split_unit(struct toc_sv text) {
    size_t slash = toc_sv_find_char(text, '/');
    struct toc_sv main = slash == SIZE_MAX ? text : toc_sv_sub(text, 0, slash);
    struct toc_sv per = slash == SIZE_MAX ? TOC_SV_NULL : toc_sv_sub(text, slash + 1, text.n);
    return (struct unit){
        word_of(g_units, sizeof g_units / sizeof *g_units, main),
        word_of(g_per_units, sizeof g_per_units / sizeof *g_per_units, per),
    };
}

/* Tokens of letters and digits, joined by one underscore. */
static void append_tokens(struct toc_buf *out, struct toc_sv s) {
    bool is_gap = false;
    size_t start = out->n;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_token_char(s.p[i])) {
            is_gap = true;
            continue;
        }
        if (is_gap && out->n > start)
            toc_buf_append_char(out, '_');
        is_gap = false;
        toc_buf_append_char(out, s.p[i]);
    }
}

static void append_unit_part(const struct toc_otlp_naming *n, struct toc_buf *out,
                             struct toc_sv part) {
    if (toc_otlp_is_escaping(n->strategy))
        append_tokens(out, part);
    else
        toc_buf_append_sv(out, part);
}

struct toc_sv toc_otlp_unit_name(const struct toc_otlp_naming *n, struct toc_sv unit,
                                 struct toc_arena *arena) {
    struct toc_buf b = TOC_BUF_INIT;
    struct unit u = split_unit(unit);
    append_unit_part(n, &b, u.main);
    if (u.per.n) {
        toc_buf_append_cstr(&b, b.n ? "_per_" : "per_");
        append_unit_part(n, &b, u.per);
    }
    struct toc_sv kept = b.n ? toc_arena_dup_sv(arena, toc_buf_sv(&b)) : TOC_SV("");
    toc_buf_fini(&b);
    return kept;
}

/* --- metric names --- */

/* Does one of the tokens of `name` (joined by '_') read `token`? A token of several words is never
 * one of them. */
static bool has_token(struct toc_sv name, struct toc_sv token) {
    struct toc_sv rest = name, part;
    while (toc_sv_split(&rest, '_', &part))
        if (toc_sv_eq(part, token))
            return true;
    return false;
}

static void append_token(struct toc_buf *b, struct toc_sv token) {
    if (b->n)
        toc_buf_append_char(b, '_');
    toc_buf_append_sv(b, token);
}

/* Moves a token to the end, or adds it. */
static void end_with_token(struct toc_buf *b, struct toc_sv token) {
    struct toc_buf old = *b;
    struct toc_sv rest = toc_buf_sv(&old), part;
    *b = TOC_BUF_INIT;
    while (toc_sv_split(&rest, '_', &part))
        if (part.n && !toc_sv_eq(part, token))
            append_token(b, part);
    append_token(b, token);
    toc_buf_fini(&old);
}

static void append_unit_tokens(struct toc_buf *b, struct toc_sv text) {
    struct unit u = split_unit(text);
    struct toc_buf main = TOC_BUF_INIT, per = TOC_BUF_INIT;
    append_tokens(&main, u.main);
    append_tokens(&per, u.per);
    bool has_main = main.n && !has_token(toc_buf_sv(b), toc_buf_sv(&main));
    if (has_main)
        append_token(b, toc_buf_sv(&main));
    if (per.n) {
        append_token(b, TOC_SV("per"));
        append_token(b, toc_buf_sv(&per));
    }
    toc_buf_fini(&main);
    toc_buf_fini(&per);
}

/* Underscores of the name itself stay when no suffixes are wanted; what is escaped joins. */
static void append_escaped(struct toc_buf *out, struct toc_sv name) {
    bool is_gap = false;
    size_t start = out->n;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!is_token_char(c) && c != '_') {
            is_gap = true;
            continue;
        }
        if (is_gap && out->n > start)
            toc_buf_append_char(out, '_');
        is_gap = false;
        toc_buf_append_char(out, c);
    }
}

static struct toc_sv escaped_name(const struct toc_otlp_naming *n, struct toc_sv name,
                                  struct toc_sv unit, enum toc_otlp_suffix suffix,
                                  struct toc_arena *arena) {
    struct toc_buf b = TOC_BUF_INIT;
    if (toc_otlp_has_suffixes(n->strategy)) {
        append_tokens(&b, name);
        append_unit_tokens(&b, unit);
        if (suffix == TOC_OTLP_SUFFIX_COUNTER)
            end_with_token(&b, TOC_SV("total"));
        /* Many senders say "1" for counts of things; only a gauge of it is a ratio. */
        if (suffix == TOC_OTLP_SUFFIX_GAUGE && toc_sv_eq(unit, TOC_SV("1")))
            end_with_token(&b, TOC_SV("ratio"));
    } else {
        append_escaped(&b, name);
    }
    if (b.n && is_digit(b.p[0])) {
        struct toc_buf with = TOC_BUF_INIT;
        toc_buf_append_char(&with, '_');
        toc_buf_append_sv(&with, toc_buf_sv(&b));
        toc_buf_fini(&b);
        b = with;
    }
    return keep_name(&b, arena);
}

/* Without the suffix and the one character before it. */
static struct toc_sv without_suffix(struct toc_sv name, struct toc_sv suffix) {
    if (toc_sv_ends_with(name, suffix) && name.n > suffix.n + 1)
        return toc_sv_sub(name, 0, name.n - suffix.n - 1);
    return name;
}

static struct toc_sv utf8_name(struct toc_sv name, struct toc_sv unit, enum toc_otlp_suffix suffix,
                               struct toc_arena *arena) {
    struct unit u = split_unit(unit);
    struct toc_buf b = TOC_BUF_INIT, per = TOC_BUF_INIT;
    bool is_ratio = suffix == TOC_OTLP_SUFFIX_GAUGE && toc_sv_eq(unit, TOC_SV("1"));
    if (is_ratio)
        name = without_suffix(name, TOC_SV("ratio"));
    if (suffix == TOC_OTLP_SUFFIX_COUNTER)
        name = without_suffix(name, TOC_SV("total"));
    if (u.per.n) {
        toc_buf_printf(&per, "per_%.*s", TOC_SV_ARG(u.per));
        name = without_suffix(name, toc_buf_sv(&per));
    }
    toc_buf_append_sv(&b, name);
    if (u.main.n && !toc_sv_ends_with(name, u.main))
        toc_buf_printf(&b, "_%.*s", TOC_SV_ARG(u.main));
    if (per.n)
        toc_buf_printf(&b, "_%.*s", TOC_SV_ARG(toc_buf_sv(&per)));
    if (suffix == TOC_OTLP_SUFFIX_COUNTER)
        toc_buf_append_cstr(&b, "_total");
    if (is_ratio)
        toc_buf_append_cstr(&b, "_ratio");
    toc_buf_fini(&per);
    struct toc_sv kept = toc_arena_dup_sv(arena, toc_buf_sv(&b));
    toc_buf_fini(&b);
    return kept;
}

struct toc_sv toc_otlp_metric_name(const struct toc_otlp_naming *n, struct toc_sv name,
                                   struct toc_sv unit, enum toc_otlp_suffix suffix,
                                   struct toc_arena *arena) {
    if (!name.n)
        return TOC_SV_NULL;
    if (n->strategy == TOC_OTLP_NO_TRANSLATION)
        return name;
    if (n->strategy == TOC_OTLP_UTF8_WITH_SUFFIXES)
        return utf8_name(name, unit, suffix, arena);
    return escaped_name(n, name, unit, suffix, arena);
}

/* --- label names --- */

static bool is_reserved(struct toc_sv s) {
    return s.n > 4 && toc_sv_starts_with(s, TOC_SV("__")) && toc_sv_ends_with(s, TOC_SV("__"));
}

static bool is_fine_label(const struct toc_otlp_naming *n, struct toc_sv key) {
    if (is_digit(key.p[0]) || key.p[0] == '_')
        return false;
    for (size_t i = 0; i < key.n; i++)
        if (!is_letter_or_digit(key.p[i]) &&
            (key.p[i] != '_' || (n->is_collapsing_underscores && key.p[i - 1] == '_')))
            return false;
    return true;
}

static void append_label(const struct toc_otlp_naming *n, struct toc_buf *b, struct toc_sv key) {
    bool is_collapsing = n->is_collapsing_underscores && !is_reserved(key);
    for (size_t i = 0; i < key.n; i++) {
        char c = is_letter_or_digit(key.p[i]) ? key.p[i] : '_';
        /* One character of several bytes is one underscore. */
        if (((unsigned char)key.p[i] & 0xc0) == 0x80)
            continue;
        if (is_collapsing && c == '_' && b->n && b->p[b->n - 1] == '_')
            continue;
        toc_buf_append_char(b, c);
    }
}

struct toc_sv toc_otlp_label_name(const struct toc_otlp_naming *n, struct toc_sv key,
                                  struct toc_arena *arena) {
    if (!key.n)
        return TOC_SV_NULL;
    if (!toc_otlp_is_escaping(n->strategy) || is_fine_label(n, key))
        return key;
    struct toc_buf b = TOC_BUF_INIT, named = TOC_BUF_INIT;
    append_label(n, &b, key);
    struct toc_sv s = toc_buf_sv(&b);
    if (is_only_underscores(s) && !toc_sv_eq(s, key)) {
        toc_buf_fini(&b);
        return TOC_SV_NULL;
    }
    if (s.n && is_digit(s.p[0]))
        toc_buf_append_cstr(&named, "key_");
    else if (!n->is_plain_underscore && toc_sv_starts_with(s, TOC_SV("_")) &&
             !toc_sv_starts_with(s, TOC_SV("__")))
        toc_buf_append_cstr(&named, "key");
    toc_buf_append_sv(&named, s);
    toc_buf_fini(&b);
    struct toc_sv kept = toc_arena_dup_sv(arena, toc_buf_sv(&named));
    toc_buf_fini(&named);
    return kept;
}
