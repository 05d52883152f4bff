/* Checks of configuration and rule files, with the exit codes and lints of promtool. */
#include "app/check_command.h"

#include <stdio.h>
#include <string.h>

#include "app/check_metrics.h"
#include "app/command.h"
#include "app/config.h"
#include "app/options.h"
#include "app/read_input.h"
#include "app/test_command.h"
#include "base/time.h"
#include "sys/vfs.h"

const char toc_check_usage[] =
    "usage: tocsin check config FILE… [--syntax-only] [--lint LIST] [--lint-fatal]\n"
    "                                [--query.lookback-delta 5m]\n"
    "       tocsin check rules [FILE…] [--lint LIST] [--lint-fatal] [--ignore-unknown-fields]\n"
    "                                [--features LIST]\n"
    "       tocsin check metrics [FILE…] [--format openmetrics|text] [--lint LIST] [--lint-fatal]\n"
    "\n"
    "Reads the files and everything they refer to; prints what is wrong as FILE: LINE:COLUMN.\n"
    "Rules and metrics come from standard input when no file is named.\n"
    "\n"
    "  --syntax-only  does not look at the files that a configuration names\n"
    "  --lint LIST    duplicate-rules, metric-names (these are the default),\n"
    "                 too-long-scrape-interval, all, none\n"
    "  --format       of metrics: the whole rule book of OpenMetrics 1.0 (the default), or the\n"
    "                 older text format\n"
    "  --lint-fatal   findings of lint give exit code 3\n"
    "  --query.lookback-delta  a scrape interval as long as this is too long\n"
    "  --ignore-unknown-fields  in rule files\n"
    "  --features LIST  of expressions, as in tocsin test\n"
    "\n"
    "Exit code 1 when something is wrong.\n";

enum { RULES_MAX_BYTES = 16 << 20 };
enum lint { LINT_DUPLICATES = 1, LINT_SCRAPE_INTERVAL = 2, LINT_NAMES = 4 };

struct check {
    bool is_syntax_only, is_lint_fatal, ignores_unknown_keys;
    unsigned lints; /* enum lint */
    unsigned features;
    int64_t lookback_ms;
    bool has_findings;
    struct toc_check_metrics metrics;
};

static int parse_lints(const char *list, unsigned *out) {
    static const struct {
        const char *name;
        unsigned bits;
    } lints[] = {{"all", LINT_DUPLICATES | LINT_SCRAPE_INTERVAL | LINT_NAMES},
                 {"duplicate-rules", LINT_DUPLICATES},
                 {"too-long-scrape-interval", LINT_SCRAPE_INTERVAL},
                 {"metric-names", LINT_NAMES},
                 {"none", 0}};
    struct toc_sv rest = toc_sv_cstr(list), name;
    bool is_none = false;
    while (toc_sv_split(&rest, ',', &name)) {
        size_t i = 0;
        while (i < TOC_ARRAY_LEN(lints) && !toc_sv_eq_cstr(toc_sv_trim(name), lints[i].name))
            i++;
        if (i == TOC_ARRAY_LEN(lints)) {
            fprintf(stderr, "tocsin check: unknown lint \"%.*s\"\n", TOC_SV_ARG(name));
            return TOC_EXIT_USAGE;
        }
        is_none |= lints[i].bits == 0;
        *out |= lints[i].bits;
    }
    if (is_none)
        *out = 0;
    return 0;
}

/* ------------------------------------------------------------------------------------------------
 * rules */

static void print_duplicate(void *ctx, const struct toc_rule *r) {
    size_t *count = ctx;
    printf("  duplicate rule: %.*s", TOC_SV_ARG(r->name));
    for (size_t i = 0; i < r->label_count; i++)
        printf("%s%.*s=\"%.*s\"", i ? ", " : " {", TOC_SV_ARG(r->labels[i].name),
               TOC_SV_ARG(r->labels[i].text));
    printf("%s\n", r->label_count ? "}" : "");
    ++*count;
}

static void lint_rules(struct check *c, const struct toc_rule_file *f) {
    size_t count = 0;
    if (!(c->lints & LINT_DUPLICATES))
        return;
    toc_rule_file_each_duplicate(f, print_duplicate, &count);
    if (!count)
        return;
    printf("%zu duplicate rule(s) found: their samples contradict each other or are refused\n",
           count);
    c->has_findings = true;
}

static void print_problem(void *ctx, const struct toc_err *problem) {
    (void)ctx;
    printf("  %s\n", problem->message);
}

static int check_rule_text(struct check *c, const char *name, struct toc_sv text) {
    const struct toc_rule_file_options o = {.ignores_unknown_keys = c->ignores_unknown_keys,
                                            .features = c->features,
                                            .on_problem = print_problem};
    struct toc_rule_file *f = NULL;
    struct toc_err err = {0};
    size_t rules = 0;
    printf("Checking %s\n", name);
    if (toc_rule_file_parse_with(toc_sv_cstr(name), text, &o, &f, &err) < 0) {
        printf("  FAILED\n");
        return TOC_EXIT_FAILED;
    }
    for (size_t i = 0; i < f->group_count; i++)
        rules += f->groups[i].rule_count;
    if (f->has_more_documents)
        printf("  only the first YAML document is read\n");
    lint_rules(c, f);
    printf("  ok: %zu rules in %zu groups\n", rules, f->group_count);
    toc_rule_file_free(&f);
    return 0;
}

static int check_rules(struct check *c, const char *path) {
    struct toc_buf text = TOC_BUF_INIT;
    int rc = toc_read_input(path, RULES_MAX_BYTES, &text);
    if (rc < 0) {
        printf("Checking %s\n  FAILED\n  cannot read it: %s\n", toc_input_name(path),
               toc_strerror(rc));
        rc = TOC_EXIT_FAILED;
    } else {
        rc = check_rule_text(c, toc_input_name(path), toc_buf_sv(&text));
    }
    toc_buf_fini(&text);
    return rc;
}

/* ------------------------------------------------------------------------------------------------
 * configuration */

static int check_file(struct toc_sv path, const char *what) {
    if (!path.n || toc_vfs_exists(toc_vfs_system(), path.p))
        return 0;
    printf("  FAILED: error checking %s file \"%.*s\": it is not there\n", what, TOC_SV_ARG(path));
    return TOC_EXIT_FAILED;
}

static int check_http_files(const struct toc_http_settings *s) {
    int rc = check_file(s->ca_file, "CA certificate");
    rc |= check_file(s->cert_file, "client cert");
    rc |= check_file(s->key_file, "client key");
    rc |= check_file(s->password_file, "password");
    return rc | check_file(s->credentials_file, "authorization credentials or bearer token");
}

/* The files that a scrape config names. */
static int check_scrape_files(const struct toc_scrape_config *s) {
    int rc = check_http_files(&s->http);
    for (size_t i = 0; i < s->discovery_count; i++) {
        const struct toc_http_settings *http = toc_discovery_config_http(&s->discoveries[i]);
        if (http)
            rc |= check_http_files(http);
    }
    return rc;
}

static void lint_scrape(struct check *c, const struct toc_scrape_config *s) {
    struct toc_buf interval = TOC_BUF_INIT;
    if (!(c->lints & LINT_SCRAPE_INTERVAL) || s->interval_ms < c->lookback_ms)
        return;
    toc_duration_format(s->interval_ms, &interval);
    printf("  long scrape interval found: values of job %.*s, scraped every %s, are stale before "
           "the next ones come\n",
           TOC_SV_ARG(s->job_name), toc_buf_cstr(&interval));
    toc_buf_fini(&interval);
    c->has_findings = true;
}

static int check_parts(struct check *c, const struct toc_config *config) {
    int rc = 0;
    for (size_t i = 0; i < toc_scrape_set_count(config->scrape); i++) {
        rc |= check_scrape_files(toc_scrape_set_get(config->scrape, i));
        lint_scrape(c, toc_scrape_set_get(config->scrape, i));
    }
    for (size_t i = 0; i < config->rule_file_count; i++)
        if (!toc_sv_starts_with(config->rule_files[i]->name, TOC_SV("builtin/")))
            lint_rules(c, config->rule_files[i]);
    return rc;
}

static int check_config(struct check *c, const char *path) {
    struct toc_config *config = NULL;
    struct toc_err err = {0};
    printf("Checking %s\n", path);
    int rc = c->is_syntax_only ? toc_config_load_syntax(path, &config, &err)
                               : toc_config_load(path, &config, &err);
    if (rc < 0) {
        printf("  FAILED\n  %s\n", err.message);
        return TOC_EXIT_FAILED;
    }
    rc = c->is_syntax_only ? 0 : check_parts(c, config);
    if (!rc)
        printf("  ok: %zu scrape configs, %zu rule files, %zu receivers\n",
               toc_scrape_set_count(config->scrape), config->rule_file_count,
               config->receivers ? config->receivers->count : 0);
    toc_config_free(&config);
    return rc;
}

static int usage_error(const char *text) {
    fprintf(stderr, "tocsin check: %s (see tocsin check --help)\n", text);
    return TOC_EXIT_USAGE;
}

static int check_metrics(struct check *c, const char *path) {
    return toc_check_metrics(&c->metrics, path);
}

/* What can be checked, and whether standard input is when no file is named. */
static const struct {
    const char *name;
    int (*check)(struct check *c, const char *path);
    bool reads_input;
} g_kinds[] = {{"config", check_config, false},
               {"rules", check_rules, true},
               {"metrics", check_metrics, true}};

static int check_all(struct check *c, char **arguments, int count) {
    size_t kind = 0;
    while (kind < TOC_ARRAY_LEN(g_kinds) && (!count || strcmp(arguments[0], g_kinds[kind].name)))
        kind++;
    if (kind == TOC_ARRAY_LEN(g_kinds) || (count == 1 && !g_kinds[kind].reads_input))
        return usage_error("expected config FILE…, rules FILE… or metrics FILE…");
    int rc = count == 1 ? g_kinds[kind].check(c, "-") : 0;
    for (int i = 1; i < count; i++)
        rc |= g_kinds[kind].check(c, arguments[i]);
    if (!rc && (c->has_findings || c->metrics.has_findings) && c->is_lint_fatal)
        return TOC_EXIT_LINT;
    return rc;
}

int toc_check_command(int argc, char **argv) {
    const char *lint = "duplicate-rules,metric-names", *features = "default";
    const char *format = "openmetrics";
    struct check c = {.lookback_ms = 300000};
    const struct toc_option options[] = {
        {"syntax-only", 0, TOC_OPTION_FLAG, &c.is_syntax_only},
        {"lint", 0, TOC_OPTION_STRING, &lint},
        {"lint-fatal", 0, TOC_OPTION_FLAG, &c.is_lint_fatal},
        {"query.lookback-delta", 0, TOC_OPTION_DURATION, &c.lookback_ms},
        {"ignore-unknown-fields", 0, TOC_OPTION_FLAG, &c.ignores_unknown_keys},
        {"format", 0, TOC_OPTION_STRING, &format},
        {"features", 0, TOC_OPTION_STRING, &features},
        {"enable-feature", 0, TOC_OPTION_STRING, &features},
        {0},
    };
    int count, rc = toc_options_parse(argc, argv, options, toc_check_usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    if ((rc = parse_lints(lint, &c.lints)) ||
        (rc = toc_features_parse("check", features, &c.features)))
        return rc;
    c.metrics.is_text = strcmp(format, "text") == 0;
    if (!c.metrics.is_text && strcmp(format, "openmetrics") != 0)
        return usage_error("--format is openmetrics or text");
    c.metrics.has_lint = c.lints & LINT_NAMES;
    return check_all(&c, argv + 1, count);
}
