/* Oracles: a tree has places inside the text, unique keys and bounded size; an error says why; the
 * typed readers either fill their result or give an error. */
#include <stdlib.h>

#include "codec/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t g_nodes;

static void visit(const struct toc_yaml *n, int lines, int depth) {
    int64_t i;
    double d;
    bool b;
    struct toc_sv s;
    if (++g_nodes > 200000 || depth > 64 * 64 || n->line < 1 || n->line > lines || n->column < 1)
        abort();
    struct toc_err err = {0};
    int codes[] = {toc_yaml_int(n, &i, NULL),   toc_yaml_double(n, &d, NULL),
                   toc_yaml_bool(n, &b, NULL),  toc_yaml_duration(n, &i, NULL),
                   toc_yaml_bytes(n, &i, &err), toc_yaml_string(n, &s, NULL)};
    if (codes[0] == 0 && codes[1] == 0 && i > (1LL << 53) && d < 0)
        abort();
    if ((codes[4] != 0) != (err.code != 0))
        abort();
    if (codes[5] != 0 && n->type == TOC_YAML_SCALAR)
        abort();
    for (size_t k = 0; k < n->count; k++) {
        if (n->type == TOC_YAML_MAPPING && n->count < 100)
            for (size_t j = 0; j < k; j++)
                if (toc_sv_eq(n->items[j].key, n->items[k].key))
                    abort();
        visit(&n->items[k], lines, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_err err = {0};
    const struct toc_yaml *root;
    int lines = 2; /* libyaml may end a cut text on a line of its own */
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n' || data[i] == '\r' || data[i] >= 0x80; /* NEL, LS, PS break too */
    int rc = toc_yaml_parse(toc_sv_make((const char *)data, size), &a, &root, &err);
    if (rc && (!err.message[0] || err.code != rc))
        abort();
    g_nodes = 0;
    if (!rc)
        visit(root, lines, 0);
    toc_arena_fini(&a);
    return 0;
}
