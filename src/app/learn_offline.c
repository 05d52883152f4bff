#include <math.h>
#include <stdio.h>

#include "app/command.h"
#include "app/learn_command.h"
#include "app/learn_rows.h"
#include "base/alloc.h"
#include "base/num.h"
#include "codec/json_writer.h"
#include "incident/learn_forecast.h"
#include "sys/vfs.h"

enum { MODEL_BYTES_MAX = 64 << 20 };

static int complain(const char *path, const struct toc_err *err) {
    if (err->line > 0)
        fprintf(stderr, "tocsin learn: %s:%d: %s\n", path, err->line, err->message);
    else
        fprintf(stderr, "tocsin learn: %s: %s\n", path, err->message);
    return err->code == TOC_ENODATA ? TOC_EXIT_FAILED : TOC_EXIT_USAGE;
}

static int print(struct toc_buf *out) {
    int rc = toc_buf_error(out);
    if (rc == 0 && out->n)
        fwrite(out->p, 1, out->n, stdout);
    if (fflush(stdout) != 0 || ferror(stdout))
        rc = TOC_EIO;
    if (rc < 0)
        fprintf(stderr, "tocsin learn: cannot write the result: %s\n", toc_strerror(rc));
    toc_buf_fini(out);
    return rc < 0 ? TOC_EXIT_FAILED : TOC_EXIT_OK;
}

static int read_labelled(const char *path, struct toc_learn_rows *rows, struct toc_err *err) {
    int rc = toc_learn_rows_read(rows, path, err);
    if (rc == 0 && !rows->has_labels)
        rc =
            toc_errf(err, TOC_EPARSE, "there is no column \"label\" (1 true alert, 0 false alarm)");
    return rc;
}

int toc_learn_fit(const struct toc_learn_offline *o) {
    struct toc_learn_rows rows;
    struct toc_classifier *c = NULL;
    struct toc_buf bytes = TOC_BUF_INIT;
    struct toc_err err = {0};
    int rc = read_labelled(o->rows_path, &rows, &err);
    struct toc_examples e = toc_learn_rows_examples(&rows);
    if (rc == 0)
        rc = toc_classifier_fit(&e, &c, &err);
    if (rc == 0) {
        toc_classifier_encode(c, &bytes);
        rc = toc_buf_error(&bytes);
        if (rc == 0)
            rc = toc_vfs_write_file(toc_vfs_system(), o->model_path, toc_buf_sv(&bytes));
        if (rc < 0)
            rc = toc_errf(&err, rc, "cannot write %s: %s", o->model_path, toc_strerror(rc));
    }
    int code = rc < 0 ? complain(o->rows_path, &err) : TOC_EXIT_OK;
    if (rc == 0)
        printf("%s from %u alerts: %s, %zu bytes\n",
               toc_classifier_type_text(toc_classifier_type(c)), rows.groups[rows.rows - 1] + 1,
               o->model_path, bytes.n);
    toc_classifier_free(&c);
    toc_buf_fini(&bytes);
    toc_learn_rows_fini(&rows);
    return code;
}

static int read_model(const char *path, struct toc_classifier **out, struct toc_err *err) {
    struct toc_buf bytes = TOC_BUF_INIT;
    *out = NULL;
    int rc = toc_vfs_read_file(toc_vfs_system(), path, MODEL_BYTES_MAX, &bytes);
    rc = rc < 0 ? toc_errf(err, rc, "cannot read %s: %s", path, toc_strerror(rc))
                : toc_classifier_decode(toc_buf_sv(&bytes), out, err);
    toc_buf_fini(&bytes);
    return rc;
}

int toc_learn_score(const struct toc_learn_offline *o) {
    struct toc_learn_rows rows;
    struct toc_classifier *c = NULL;
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_err err = {0};
    int rc = toc_learn_rows_read(&rows, o->rows_path, &err);
    if (rc == 0)
        rc = read_model(o->model_path, &c, &err);
    if (rc == 0 && toc_classifier_columns(c) != rows.columns)
        rc = toc_errf(&err, TOC_EINVAL, "%zu features, but the model was trained on %zu",
                      rows.columns, toc_classifier_columns(c));
    toc_buf_append_cstr(&out, "probability\n");
    for (size_t r = 0; rc == 0 && r < rows.rows; r++)
        toc_buf_printf(&out, "%.9f\n",
                       toc_classifier_probability(c, rows.values + r * rows.columns));
    toc_classifier_free(&c);
    toc_learn_rows_fini(&rows);
    if (rc == 0)
        return print(&out);
    toc_buf_fini(&out);
    return complain(o->rows_path, &err);
}

int toc_learn_validate(const struct toc_learn_offline *o) {
    struct toc_learn_rows rows;
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_json_writer w;
    struct toc_err err = {0};
    int rc = read_labelled(o->rows_path, &rows, &err);
    struct toc_examples e = toc_learn_rows_examples(&rows);
    double *p = toc_try_calloc(rows.rows + 1, sizeof *p);
    if (rc == 0 && !p)
        rc = toc_errf(&err, TOC_ENOMEM, "no memory for %zu rows", rows.rows);
    struct toc_gate_question q = {o->keep, rows.series, rows.score};
    struct toc_gate_forecast f;
    if (rc == 0)
        rc = toc_gate_foretell(&e, &q, p, &f, &err);
    if (rc == 0) {
        toc_json_writer_init(&w, &out);
        toc_json_begin_object(&w);
        toc_json_kv_double(&w, "level", f.level);
        toc_json_key(&w, "effect");
        toc_learn_write_effect(&w, &f.effect);
        toc_json_key(&w, "forecast");
        toc_learn_write_forecast(&w, &f);
        toc_json_end_object(&w);
        toc_buf_append_char(&out, '\n');
    }
    toc_free(p);
    toc_learn_rows_fini(&rows);
    if (rc == 0)
        return print(&out);
    toc_buf_fini(&out);
    return complain(o->rows_path, &err);
}
