/* Oracle: what is accepted has a type that rules may have, prints, parses back to the same text,
 * and a refusal says where. */
#include <stdlib.h>

#include "rules/rule_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_rule(const struct toc_rule *r) {
    struct toc_buf once = TOC_BUF_INIT, twice = TOC_BUF_INIT;
    struct toc_promql_expr *again = NULL;
    if (!r->name.n || !r->expr || toc_promql_expr_type(r->expr) > TOC_PROMQL_VECTOR)
        abort();
    toc_promql_format(r->expr, false, &once);
    if (toc_promql_parse(toc_buf_sv(&once), &again, NULL))
        abort();
    toc_promql_format(again, false, &twice);
    if (!toc_sv_eq(toc_buf_sv(&once), toc_buf_sv(&twice)))
        abort();
    if (r->recover != TOC_RECOVER_NONE && (!r->recover_expr || !r->is_alert))
        abort();
    toc_promql_expr_free(&again);
    toc_buf_fini(&once);
    toc_buf_fini(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_rule_file *f = NULL;
    struct toc_err err = {0};
    struct toc_sv text = {(const char *)data, size};
    if (toc_rule_file_parse(TOC_SV("f.yml"), text, false, &f, &err)) {
        if (!err.code || !err.message[0] || f)
            abort();
        return 0;
    }
    for (size_t g = 0; g < f->group_count; g++)
        for (size_t i = 0; i < f->groups[g].rule_count; i++)
            check_rule(&f->groups[g].rules[i]);
    toc_rule_file_free(&f);
    return 0;
}
