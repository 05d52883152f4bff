#include "base/arena.h"
#include "codec/csv.h"
#include "collect/run_line_priv.h"
#include "collect/run_receiver.h"

enum { LINES_MAX = 32, ARENA_BYTES = 8 << 20 };

static bool is_report(const struct toc_run_line *line) {
    bool is = line->has_step || line->has_loss || line->has_state || line->has_event;
    for (size_t i = 0; !is && i < line->value_count; i++)
        is = !line->values[i].is_unknown;
    return is || line->layer_count;
}

/* True once there is nothing more to learn. */
static bool learn(struct toc_run_look *look, const struct toc_run_line *line) {
    look->is_report |= is_report(line);
    if (line->has_t && !look->has_t) {
        look->has_t = true;
        look->t.ms = line->t_ms;
    }
    return look->is_report && look->has_t;
}

static void look_at_json(const struct toc_run_decoder *d, struct toc_sv rest,
                         struct toc_run_look *look) {
    struct toc_sv text;
    struct toc_run_line line;
    bool is_done = false;
    for (int i = 0; !is_done && i < LINES_MAX && toc_sv_split(&rest, '\n', &text); i++) {
        text = toc_sv_trim(text);
        if (text.n && toc_run_line_json(d, text, i + 1, &line) == 0)
            is_done = learn(look, &line);
    }
}

static void look_at_csv(const struct toc_run_decoder *d, struct toc_sv text,
                        struct toc_run_look *look) {
    struct toc_csv_reader csv;
    struct toc_run_columns *columns = NULL;
    struct toc_run_line line;
    const struct toc_sv *cells;
    size_t count;
    toc_csv_reader_init(&csv, text);
    csv.max_field_bytes = TOC_RUN_LINE_MAX_BYTES;
    int rc = toc_csv_read(&csv, d->arena, &cells, &count, NULL);
    if (!rc)
        rc = toc_run_columns_parse(d, cells, count, csv.line, &columns);
    bool is_done = rc != 0;
    for (int i = 0; !is_done && i < LINES_MAX; i++) {
        if (toc_csv_read(&csv, d->arena, &cells, &count, NULL))
            return;
        if (toc_run_line_csv(d, columns, cells, count, csv.line, &line) == 0)
            is_done = learn(look, &line);
    }
}

struct toc_run_look toc_run_look_at(const struct toc_run_body *body) {
    struct toc_run_look look = {0};
    struct toc_arena arena;
    toc_arena_init(&arena, ARENA_BYTES);
    struct toc_run_decoder d = {&arena, NULL, body->is_file, body->run, NULL};
    if (body->format == TOC_RUN_CSV)
        look_at_csv(&d, body->bytes, &look);
    else
        look_at_json(&d, body->bytes, &look);
    toc_arena_fini(&arena);
    return look;
}
