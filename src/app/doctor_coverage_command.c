#include "app/doctor_coverage_command.h"

#include <stdio.h>

#include "app/client.h"
#include "app/command.h"
#include "app/table.h"
#include "codec/text.h"

const char toc_doctor_coverage_usage[] =
    "usage: tocsin doctor coverage RUN [OPTIONS]\n"
    "\n"
    "Which failure modes the doctor of a running daemon watches in a run, and which series are\n"
    "missing for the others. Of files, tocsin doctor DIR says the same.\n"
    "\n" TOC_CLIENT_OPTIONS_HELP;

static void add(struct toc_table *t, struct toc_sv kind, const char *state, struct toc_sv needs) {
    toc_table_add(t, kind);
    toc_table_add(t, toc_sv_cstr(state));
    toc_table_add(t, needs);
}

static struct toc_sv text_of(const struct toc_json *object, const char *key) {
    const struct toc_json *v = toc_json_get(object, key);
    return v ? v->string : TOC_SV_NULL;
}

/* Blind ones first: they are what somebody can change. */
static void print_coverage(const struct toc_json *coverage, enum toc_output output) {
    static const char *const titles[] = {"kind", "state", "needs"};
    const struct toc_json *blind = toc_json_get(coverage, "blind");
    const struct toc_json *watched = toc_json_get(coverage, "watched");
    struct toc_table t;
    if (output == TOC_OUTPUT_JSON) {
        toc_json_print(coverage);
        return;
    }
    toc_table_init(&t, titles, sizeof titles / sizeof titles[0]);
    for (size_t i = 0; blind && i < blind->count; i++)
        add(&t, text_of(&blind->items[i], "kind"), "blind", text_of(&blind->items[i], "missing"));
    for (size_t i = 0; watched && i < watched->count; i++)
        add(&t, watched->items[i].string, "watched", TOC_SV_NULL);
    toc_table_print(&t, output);
    toc_table_fini(&t);
}

static int show(const struct toc_client_options *o, const char *run, enum toc_output output) {
    struct toc_buf path = TOC_BUF_INIT;
    struct toc_answer a = {0};
    toc_buf_append_cstr(&path, "/api/tocsin/v1/runs/");
    toc_percent_encode(toc_sv_cstr(run), &path);
    toc_buf_append_cstr(&path, "/coverage");
    int rc = toc_client_call(o, "GET", toc_buf_cstr(&path), NULL, &a);
    const struct toc_json *coverage = rc == 0 ? toc_json_get(a.json, "coverage") : NULL;
    if (coverage)
        print_coverage(coverage, output);
    toc_answer_fini(&a);
    toc_buf_fini(&path);
    return rc;
}

int toc_doctor_coverage_command(int argc, char **argv) {
    struct toc_client_options o = {0};
    const struct toc_option options[] = {TOC_CLIENT_OPTIONS(&o), {0}};
    enum toc_output output;
    int count, rc = toc_options_parse(argc, argv, options, toc_doctor_coverage_usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    if ((rc = toc_client_output("doctor coverage", &o, &output)) != 0)
        return rc;
    if (count != 1) {
        fprintf(stderr,
                "tocsin doctor coverage: name one run (see tocsin doctor coverage --help)\n");
        return TOC_EXIT_USAGE;
    }
    return show(&o, argv[1], output);
}
