#include "collect/report_field_priv.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "codec/json_writer.h"

void toc_report_fields_fini(struct toc_report_fields *f) {
    toc_map_fini(&f->values);
    toc_map_fini(&f->scalars);
    toc_arena_fini(&f->arena);
}

static struct toc_sv key_of(struct toc_report_fields *f, struct toc_sv name) {
    struct toc_buf key = TOC_BUF_INIT;
    toc_json_append_string(&key, name);
    toc_buf_append_char(&key, ':');
    struct toc_sv made = toc_arena_dup_sv(&f->arena, toc_buf_sv(&key));
    toc_buf_fini(&key);
    return made;
}

static struct toc_report_field *field_new(struct toc_report_fields *f, struct toc_sv name) {
    struct toc_report_field *field = TOC_ARENA_NEW(&f->arena, struct toc_report_field);
    TOC_ASSERT(field); /* the caller bounds how many there are */
    field->name = toc_arena_dup_sv(&f->arena, name);
    field->key = key_of(f, name);
    TOC_ASSERT(field->name.p && field->key.p);
    return field;
}

struct toc_report_field *toc_report_field_value(struct toc_report_fields *f, struct toc_sv name) {
    struct toc_report_field *field = toc_map_get(&f->values, name);
    if (field)
        return field;
    field = field_new(f, name);
    field->meaning = toc_run_meaning_of(&f->arena, field->name);
    field->meaning.value.memo = &field->memo;
    toc_map_put(&f->values, field->name, field);
    return field;
}

struct toc_report_field *toc_report_field_scalar(struct toc_report_fields *f, struct toc_sv name) {
    struct toc_report_field *field = toc_map_get(&f->scalars, name);
    if (field)
        return field;
    field = field_new(f, name);
    toc_map_put(&f->scalars, field->name, field);
    return field;
}

struct toc_report_field *toc_report_field_stat(struct toc_report_fields *f, struct toc_sv name) {
    struct toc_report_field *field = field_new(f, name);
    field->meaning.value = toc_run_stat_of(&f->arena, field->name);
    field->meaning.value.memo = &field->memo;
    return field;
}

struct toc_sv toc_report_name_of(struct toc_sv canonical) {
    struct toc_sv prefix = TOC_SV("train_");
    return toc_sv_starts_with(canonical, prefix) ? toc_sv_sub(canonical, prefix.n, SIZE_MAX)
                                                 : canonical;
}
