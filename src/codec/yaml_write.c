#include "codec/yaml_write.h"

#include <string.h>

static void append_quoted(struct toc_buf *out, struct toc_sv s) {
    toc_buf_append_char(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char byte = (unsigned char)s.p[i];
        if (byte == '"' || byte == '\\')
            toc_buf_append(out, (char[]){'\\', s.p[i]}, 2);
        else if (byte == '\n')
            toc_buf_append_cstr(out, "\\n");
        else if (byte < 0x20 || byte == 0x7f)
            toc_buf_printf(out, "\\x%02x", byte);
        else
            toc_buf_append_char(out, s.p[i]);
    }
    toc_buf_append_char(out, '"');
}

void toc_yaml_append_scalar(struct toc_buf *out, struct toc_sv s) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_/.";
    static const char *const words[] = {"true", "false", "null", "yes", "no",
                                        "on",   "off",   "y",    "n"};
    bool is_plain = s.n > 0 && s.p[0] != '.';
    for (size_t i = 0; i < s.n && is_plain; i++)
        is_plain = s.p[i] != 0 && strchr(plain, s.p[i]) != NULL;
    for (size_t i = 0; i < sizeof words / sizeof words[0] && is_plain; i++)
        is_plain = !toc_sv_eq_nocase(s, toc_sv_cstr(words[i]));
    if (is_plain)
        toc_buf_append_sv(out, s);
    else
        append_quoted(out, s);
}

/* Does the last part of a key (`smtp_auth_password`) name something secret? */
static bool is_secret_key(struct toc_sv key) {
    static const char *const words[] = {"password", "credentials", "token", "secret", "key"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t n = strlen(words[i]);
        if (toc_sv_ends_with(key, toc_sv_cstr(words[i])) &&
            (key.n == n || key.p[key.n - n - 1] == '_'))
            return true;
    }
    return false;
}

bool toc_yaml_append_masked_url(struct toc_buf *out, struct toc_sv s) {
    size_t start = toc_sv_find(s, TOC_SV("://"));
    if (start == SIZE_MAX)
        return false;
    struct toc_sv rest = toc_sv_sub(s, start + 3, s.n);
    size_t at = toc_sv_find_char(rest, '@'), slash = toc_sv_find_char(rest, '/');
    size_t colon = toc_sv_find_char(rest, ':');
    if (at == SIZE_MAX || at > slash || colon > at)
        return false;
    struct toc_buf text = TOC_BUF_INIT;
    toc_buf_printf(&text, "%.*s:<secret>%.*s", (int)(start + 3 + colon), s.p, (int)(rest.n - at),
                   rest.p + at);
    toc_yaml_append_scalar(out, toc_buf_sv(&text));
    toc_buf_fini(&text);
    return true;
}

static void append_value(struct toc_buf *out, const struct toc_yaml *n) {
    if (n->is_plain && n->scalar.n)
        toc_buf_append_sv(out, n->scalar); /* as it was: a number stays one */
    else if (n->is_plain)
        toc_buf_append_cstr(out, "null");
    else
        toc_yaml_append_scalar(out, n->scalar);
}

static void append_node(struct toc_buf *out, const struct toc_yaml *n, int indent);

/* Behind `key:` or `-`. */
static void append_child(struct toc_buf *out, const struct toc_yaml *n, int indent,
                         bool is_secret) {
    if (is_secret && n->scalar.n) {
        toc_buf_append_cstr(out, " <secret>\n");
    } else if (n->type == TOC_YAML_SCALAR) {
        toc_buf_append_char(out, ' ');
        if (!toc_yaml_append_masked_url(out, n->scalar))
            append_value(out, n);
        toc_buf_append_char(out, '\n');
    } else if (n->count == 0) {
        toc_buf_append_cstr(out, n->type == TOC_YAML_MAPPING ? " {}\n" : " []\n");
    } else {
        toc_buf_append_char(out, '\n');
        append_node(out, n, indent);
    }
}

/* The depth of a parsed document is limited, so recursion is. */
static void append_node(struct toc_buf *out, const struct toc_yaml *n, int indent) {
    for (size_t i = 0; i < n->count; i++) {
        const struct toc_yaml *child = &n->items[i];
        toc_buf_printf(out, "%*s", indent, "");
        if (n->type == TOC_YAML_MAPPING) {
            toc_yaml_append_scalar(out, child->key);
            toc_buf_append_char(out, ':');
        } else {
            toc_buf_append_char(out, '-');
        }
        append_child(out, child, indent + 2,
                     n->type == TOC_YAML_MAPPING && child->type == TOC_YAML_SCALAR &&
                         is_secret_key(child->key));
    }
}

void toc_yaml_format(const struct toc_yaml *root, struct toc_buf *out) {
    if (root->type != TOC_YAML_SCALAR)
        append_node(out, root, 0);
}
