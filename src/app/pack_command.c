#include "app/pack_command.h"

#include <stdio.h>
#include <string.h>

#include "app/client.h"
#include "app/command.h"
#include "app/table.h"
#include "app/test_rules.h"
#include "codec/json_writer.h"
#include "codec/text.h"
#include "rules/builtin_packs.h"

const char toc_pack_usage[] =
    "usage: tocsin pack list [OPTIONS]\n"
    "       tocsin pack show NAME [--prometheus | --tests]\n"
    "       tocsin pack enable|disable|auto NAME [OPTIONS]\n"
    "       tocsin pack test [NAME…] [--run REGEX]… [--junit FILE] [--diff]\n"
    "\n"
    "Built-in rule packs. A pack for a kind of server or device sleeps until one of its metrics "
    "is\n"
    "seen; enable and disable overrule that, auto takes it back.\n"
    "\n"
    "show prints the rules (--prometheus: without the keys that Prometheus does not know; "
    "--tests:\n"
    "their unit tests). test runs those tests: all, or of the packs named.\n"
    "\n" TOC_CLIENT_OPTIONS_HELP;

static int usage_error(const char *text) {
    fprintf(stderr, "tocsin pack: %s (see tocsin pack --help)\n", text);
    return TOC_EXIT_USAGE;
}

static const struct toc_builtin_pack *find(const char *name) {
    const struct toc_builtin_pack *p = toc_builtin_pack(toc_sv_cstr(name));
    size_t count;
    if (p)
        return p;
    const struct toc_builtin_pack *all = toc_builtin_packs(&count);
    fprintf(stderr, "tocsin pack: there is no pack \"%s\". There are:", name);
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, " %s", all[i].name);
    fputc('\n', stderr);
    return NULL;
}

static void print_packs(const struct toc_json *packs, enum toc_output output) {
    static const char *const titles[] = {"name",        "mode",     "set_by", "awake",
                                         "seen_metric", "prefixes", "rules",  "title"};
    enum { COLUMNS = sizeof titles / sizeof titles[0] };
    struct toc_table t;
    if (output == TOC_OUTPUT_JSON) {
        toc_json_print(packs);
        return;
    }
    toc_table_init(&t, titles, COLUMNS);
    for (size_t i = 0; i < packs->count; i++)
        for (size_t c = 0; c < COLUMNS; c++)
            toc_table_add_json(&t, toc_json_get(&packs->items[i], titles[c]));
    toc_table_print(&t, output);
    toc_table_fini(&t);
}

static int list(const struct toc_client_options *o, enum toc_output output) {
    struct toc_answer a;
    int rc = toc_client_call(o, "GET", "/api/tocsin/v1/packs", NULL, &a);
    const struct toc_json *packs = rc == 0 ? toc_json_get(a.json, "packs") : NULL;
    if (packs)
        print_packs(packs, output);
    toc_answer_fini(&a);
    return rc;
}

static int show(const char *name, bool is_prometheus, bool has_tests) {
    const struct toc_builtin_pack *p = find(name);
    if (!p)
        return TOC_EXIT_FAILED;
    struct toc_sv text = is_prometheus ? p->prometheus : p->yaml;
    if (!has_tests)
        printf("%.*s", TOC_SV_ARG(text));
    for (size_t i = 0; has_tests && i < p->test_count; i++)
        printf("%s%.*s", i ? "---\n" : "", TOC_SV_ARG(p->tests[i].tests));
    return 0;
}

static int set(const struct toc_client_options *o, const char *name, const char *mode) {
    struct toc_buf path = TOC_BUF_INIT, body = TOC_BUF_INIT;
    struct toc_answer a = {0};
    if (!find(name))
        return TOC_EXIT_FAILED;
    toc_buf_append_cstr(&path, "/api/tocsin/v1/packs/");
    toc_percent_encode(toc_sv_cstr(name), &path);
    toc_buf_printf(&body, "{\"mode\": \"%s\"}", mode);
    int rc = toc_client_call(o, "POST", toc_buf_cstr(&path), &body, &a);
    if (rc == 0)
        printf("%s: %s\n", name, mode);
    toc_answer_fini(&a);
    toc_buf_fini(&path);
    toc_buf_fini(&body);
    return rc;
}

static int test(char **names, int count, const struct toc_test_rules_options *o) {
    enum { PACKS_MAX = 64 };
    const struct toc_builtin_pack *packs[PACKS_MAX];
    size_t n = 0, all_count;
    const struct toc_builtin_pack *all = toc_builtin_packs(&all_count);
    for (int i = 0; i < count && n < PACKS_MAX; i++)
        if (!(packs[n++] = find(names[i])))
            return TOC_EXIT_FAILED;
    for (size_t i = 0; !count && i < all_count && n < PACKS_MAX; i++)
        packs[n++] = &all[i];
    return toc_test_packs(packs, n, o);
}

int toc_pack_command(int argc, char **argv) {
    static const struct {
        const char *word, *mode;
    } switches[] = {{"enable", "on"}, {"disable", "off"}, {"auto", "auto"}};
    struct toc_client_options o = {0};
    struct toc_test_rules_options t = {0};
    bool is_prometheus = false, has_tests = false;
    const struct toc_option options[] = {
        TOC_CLIENT_OPTIONS(&o),
        {"prometheus", 0, TOC_OPTION_FLAG, &is_prometheus},
        {"tests", 0, TOC_OPTION_FLAG, &has_tests},
        {"run", 0, TOC_OPTION_LIST, &t.run},
        {"junit", 0, TOC_OPTION_STRING, &t.junit},
        {"diff", 0, TOC_OPTION_FLAG, &t.has_diff},
        {0},
    };
    enum toc_output output;
    int count, rc = toc_options_parse(argc, argv, options, toc_pack_usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    if ((rc = toc_client_output("pack", &o, &output)) != 0)
        return rc;
    const char *word = count ? argv[1] : "";
    if (count == 1 && strcmp(word, "list") == 0)
        return list(&o, output);
    if (count == 2 && strcmp(word, "show") == 0)
        return show(argv[2], is_prometheus, has_tests);
    if (strcmp(word, "test") == 0)
        return test(argv + 2, count - 1, &t);
    for (size_t i = 0; count == 2 && i < sizeof switches / sizeof switches[0]; i++)
        if (strcmp(word, switches[i].word) == 0)
            return set(&o, argv[2], switches[i].mode);
    return usage_error("expected list, show NAME, enable NAME, disable NAME, auto NAME or test");
}
