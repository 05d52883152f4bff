#include "app/test_command.h"

#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "app/options.h"
#include "app/test_rules.h"
#include "promqltest/runner.h"
#include "sys/vfs.h"

const char toc_test_usage[] =
    "usage: tocsin test rules FILE… [--run REGEX]… [--junit FILE] [--diff] [--debug]\n"
    "                              [--ignore-unknown-fields] [--features LIST]\n"
    "       tocsin test promql FILE… [--features LIST] [--run REGEX] [--verbose]\n"
    "\n"
    "rules   runs unit tests of rules, in the format of `promtool test rules`\n"
    "promql  runs test files in the language of Prometheus' promqltest\n"
    "\n"
    "  --run REGEX      only tests whose name matches; only expressions that match\n"
    "  --junit FILE     results as JUnit's XML\n"
    "  --diff           what was expected against what came, line by line\n"
    "  --debug          all samples after each test\n"
    "  --ignore-unknown-fields  in test files and rule files\n"
    "  --features LIST  default, all (what the conformance files of Prometheus need), or names as\n"
    "                   of --enable-feature, separated by commas (default: default)\n"
    "  --verbose        also what passed\n"
    "\n"
    "The last line says N passed, N failed. Exit code 1 when something failed.\n";

enum { TEST_FILE_MAX_BYTES = 16 << 20 };

static int usage_error(const char *text) {
    fprintf(stderr, "tocsin test: %s (see tocsin test --help)\n", text);
    return TOC_EXIT_USAGE;
}

struct printing {
    const char *path;
    bool is_verbose;
};

/* Every line of `text` indented. */
static void print_indented(struct toc_sv text) {
    struct toc_sv line;
    while (toc_sv_split(&text, '\n', &line))
        printf("    %.*s\n", TOC_SV_ARG(line));
}

static void print_result(void *ctx, int line, struct toc_sv expr, struct toc_sv why) {
    const struct printing *p = ctx;
    if (!why.n && !p->is_verbose)
        return;
    printf("%s %s:%d: %.*s\n", why.n ? "FAILED" : "ok", p->path, line, TOC_SV_ARG(expr));
    print_indented(why);
}

static unsigned feature_bit(struct toc_sv name) {
    static const struct {
        const char *name;
        unsigned bit;
    } features[] = {{"default", 0},
                    {"all", TOC_PROMQLTEST_FEATURES},
#define X(enum_name, feature, text) {text, feature},
                    TOC_PROMQL_FEATURE_TABLE(X)
#undef X
    };
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++)
        if (toc_sv_eq_cstr(name, features[i].name))
            return features[i].bit;
    return ~0u;
}

int toc_features_parse(const char *command, const char *list, unsigned *out) {
    struct toc_sv rest = toc_sv_cstr(list), name;
    while (toc_sv_split(&rest, ',', &name)) {
        unsigned bit = feature_bit(toc_sv_trim(name));
        if (bit == ~0u) {
            fprintf(stderr, "tocsin %s: unknown feature \"%.*s\"\n", command, TOC_SV_ARG(name));
            return TOC_EXIT_USAGE;
        }
        *out |= bit;
    }
    return 0;
}

static void run_promql_file(const char *path, struct toc_promqltest_options *o,
                            struct toc_promqltest_outcome *outcome) {
    struct toc_buf text = TOC_BUF_INIT;
    struct toc_test_script *script = NULL;
    struct toc_err err = {0};
    int rc = toc_vfs_read_file(toc_vfs_system(), path, TEST_FILE_MAX_BYTES, &text);
    if (rc < 0)
        (void)toc_errf(&err, rc, "cannot read it: %s", toc_strerror(rc));
    else
        rc = toc_test_script_parse(toc_buf_sv(&text), &script, &err);
    if (rc < 0) {
        outcome->failed++;
        printf("FAILED %s:%d: %s\n", path, err.line, err.message);
    } else {
        toc_promqltest_run(script, o, outcome);
    }
    toc_test_script_free(&script);
    toc_buf_fini(&text);
}

static int test_promql(char **files, int count, unsigned features, const char *run,
                       bool is_verbose) {
    struct printing printing = {.is_verbose = is_verbose};
    struct toc_promqltest_options o = {
        .features = features, .on_result = print_result, .ctx = &printing};
    struct toc_promqltest_outcome outcome = {0};
    struct toc_regex *regex = NULL;
    struct toc_err err = {0};
    int rc = 0;
    if (run && toc_regex_new(toc_sv_cstr(run), TOC_REGEX_SEARCH, &regex, &err) < 0) {
        fprintf(stderr, "tocsin test: --run: %s\n", err.message);
        rc = TOC_EXIT_USAGE;
    }
    o.run = regex;
    for (int i = 0; i < count && !rc; i++) {
        printing.path = files[i];
        run_promql_file(files[i], &o, &outcome);
    }
    toc_regex_free(&regex);
    if (rc)
        return rc;
    printf("%zu passed, %zu failed\n", outcome.passed, outcome.failed);
    return outcome.failed ? TOC_EXIT_FAILED : 0;
}

int toc_test_command(int argc, char **argv) {
    const char *features = "default";
    bool is_verbose = false;
    struct toc_test_rules_options rules = {0};
    const struct toc_option options[] = {
        {"features", 0, TOC_OPTION_STRING, &features},
        {"enable-feature", 0, TOC_OPTION_STRING, &features},
        {"run", 0, TOC_OPTION_LIST, &rules.run},
        {"junit", 0, TOC_OPTION_STRING, &rules.junit},
        {"diff", 0, TOC_OPTION_FLAG, &rules.has_diff},
        {"debug", 0, TOC_OPTION_FLAG, &rules.is_debug},
        {"ignore-unknown-fields", 0, TOC_OPTION_FLAG, &rules.ignores_unknown_keys},
        {"verbose", 'v', TOC_OPTION_FLAG, &is_verbose},
        {0},
    };
    int count, rc = toc_options_parse(argc, argv, options, toc_test_usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    if ((rc = toc_features_parse("test", features, &rules.features)) != 0)
        return rc;
    const char *run = rules.run.count ? rules.run.items[rules.run.count - 1] : NULL;
    if (count >= 2 && strcmp(argv[1], "promql") == 0)
        return test_promql(argv + 2, count - 1, rules.features, run, is_verbose);
    if (count >= 2 && strcmp(argv[1], "rules") == 0)
        return toc_test_rules(argv + 2, count - 1, &rules);
    return usage_error("expected rules FILE… or promql FILE…");
}
