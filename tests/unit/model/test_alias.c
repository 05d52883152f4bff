#include "../cmocka_prelude.h"

#include "model/alias.h"

static struct toc_alias_table *builtin(void) {
    struct toc_alias_table *t;
    struct toc_err err = {0};
    if (toc_alias_table_builtin(&t, &err))
        fail_msg("line %d: %s", err.line, err.message);
    return t;
}

static void assert_tag(const struct toc_alias_table *t, const char *tag, bool is_validation,
                       const char *want) {
    const struct toc_alias *a = toc_alias_of_tag(t, toc_sv_cstr(tag), is_validation);
    if (!a && want)
        fail_msg("%s has no meaning, expected %s", tag, want);
    if (a && (!want || !toc_sv_eq_cstr(a->canonical, want)))
        fail_msg("%s is %.*s, expected %s", tag, TOC_SV_ARG(a->canonical), want ? want : "none");
}

static void tags_are_found_whatever_their_case_separators_phase_and_frequency(void **state) {
    (void)state;
    struct toc_alias_table *t = builtin();
    static const struct {
        const char *tag, *want;
    } rows[] = {
        {"loss", "train_loss"},
        {"train/loss", "train_loss"},
        {"Loss/train", "train_loss"},
        {"lm loss", "train_loss"},
        {"train_loss_step", "train_loss"},
        {"loss/train_epoch", "train_loss"},
        {"Train/Samples/train_loss", "train_loss"},
        {"epoch_loss", "train_loss"},
        {"eval/loss", "train_val_loss"},
        {"Loss/val", "train_val_loss"},
        {"val_loss_epoch", "train_val_loss"},
        {"validation/loss", "train_val_loss"},
        {"Accuracy/test", "train_val_accuracy"},
        {"Grad-Norm", "train_grad_norm"},
        {"grad norm", "train_grad_norm"},
        {"train/grad_norm", "train_grad_norm"},
        {"train/learning_rate", "train_learning_rate"},
        {"lr-AdamW", "train_learning_rate"},
        {"elapsed time per iteration (ms)", "train_step_seconds"},
        {"megatron.training.step_duration_ms", "train_step_seconds"},
        {"critic/loss", NULL},
        {"loss_weight", NULL},
        {"eval/learning_rate", NULL},
        {"train", NULL},
        {"/", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(rows); i++)
        assert_tag(t, rows[i].tag, false, rows[i].want);
    assert_tag(t, "epoch_loss", true, "train_val_loss");
    assert_tag(t, "train/loss", true, "train_loss");
    assert_true(toc_alias_of_tag(t, TOC_SV("megatron.training.step_duration_ms"), false)->scale ==
                0.001);
    toc_alias_table_free(&t);
}

static void the_layer_is_the_tag_without_what_it_shows(void **state) {
    (void)state;
    struct toc_alias_table *t = builtin();
    static const struct {
        const char *tag, *layer, *what;
    } rows[] = {
        {"gradients/blocks.0.attn.weight", "blocks.0.attn.weight", "grad"},
        {"parameters/blocks.0.attn.weight", "blocks.0.attn.weight", "param"},
        {"fc1.weight.grad", "fc1.weight", "grad"},
        {"activations/relu1", "relu1", "activation"},
        {"dense/kernel/histogram", "dense/kernel", "param"},
        {"dense/kernel_0", "dense/kernel_0", "param"},
        {"gradients/", "gradients/", "param"},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(rows); i++) {
        struct toc_sv what, layer = toc_alias_layer_of_tag(t, toc_sv_cstr(rows[i].tag), &what);
        assert_true(toc_sv_eq_cstr(layer, rows[i].layer));
        assert_true(toc_sv_eq_cstr(what, rows[i].what));
    }
    toc_alias_table_free(&t);
}

static void a_bad_table_is_refused_with_row_and_column(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
        int row, column;
    } rows[] = {
        {"tag\ttrain_loss\tloss\tx", "4 columns", 1, 1},
        {"#\n\nwhat\ttrain_loss\tloss\tx\t1", "unknown kind", 3, 1},
        {"tag\tloss\tloss\tx\t1", "begins with train_", 1, 2},
        {"phase\tother\tdev\tx\t1", "expected train or val", 1, 2},
        {"prefix\tweights\tw/\tx\t1", "expected grad, param or activation", 1, 2},
        {"series\tserve it\ta\tx\t1", "expected letters", 1, 2},
        {"tag\ttrain_loss\t\tx\t1", "expected 1 to 512 bytes", 1, 3},
        {"tag\ttrain_loss\tLoss\tx\t1\ntag\ttrain_loss\tloss\tx\t1", "there already", 2, 3},
        {"tag\ttrain_loss\tloss\t\t1", "expected a word", 1, 4},
        {"tag\ttrain_loss\tloss\tx\tms", "above 0", 1, 5},
        {"tag\ttrain_loss\tloss\tx\t0", "above 0", 1, 5},
        {"tag\ttrain_loss\tloss\tx\tinf", "above 0", 1, 5},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(rows); i++) {
        struct toc_alias_table *t;
        struct toc_err err = {0};
        assert_int_equal(toc_alias_table_parse(toc_sv_cstr(rows[i].text), &t, &err), TOC_EPARSE);
        assert_null(t);
        if (!strstr(err.message, rows[i].message))
            fail_msg("row %zu: %s", i, err.message);
        assert_int_equal(err.line, rows[i].row);
        assert_int_equal(err.column, rows[i].column);
    }
}

/* Series of servers stand in packs/servers.tsv, and only there. */
static void programs_and_former_names_are_in_the_table(void **state) {
    (void)state;
    struct toc_alias_table *t = builtin();
    size_t programs = 0, renames = 0;
    for (size_t i = 0; i < toc_alias_table_count(t); i++) {
        const struct toc_alias *a = toc_alias_table_at(t, i);
        if (a->kind == TOC_ALIAS_SERIES) {
            assert_true(toc_sv_starts_with(a->canonical, TOC_SV("train_")));
            programs++;
        }
        renames += a->kind == TOC_ALIAS_RENAME;
    }
    assert_true(programs >= 8 && renames >= 20);
    assert_null(toc_alias_table_at(t, toc_alias_table_count(t)));
    toc_alias_table_free(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_are_found_whatever_their_case_separators_phase_and_frequency),
        cmocka_unit_test(the_layer_is_the_tag_without_what_it_shows),
        cmocka_unit_test(a_bad_table_is_refused_with_row_and_column),
        cmocka_unit_test(programs_and_former_names_are_in_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
