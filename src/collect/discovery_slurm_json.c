/* What Slurm's programs say, as groups of targets. */
#include <stdio.h>

#include "base/alloc.h"
#include "codec/hostlist.h"
#include "codec/json.h"
#include "collect/discovery_priv.h"

enum { LABELS_MAX = 24, HOSTS_OF_JOB_MAX = 65536 };

struct reading {
    struct toc_arena *arena;
    uint16_t port;
    struct toc_err *err;
};

/* Labels of one group, in the arena. */
struct labels {
    struct toc_label *items;
    size_t count;
};

static int no_memory(struct toc_err *err) {
    return toc_errf(err, TOC_ELIMIT, "the list of Slurm needs too much memory");
}

static void add(struct labels *l, const char *name, struct toc_sv value) {
    if (l->items && l->count < LABELS_MAX && value.n)
        l->items[l->count++] = (struct toc_label){toc_sv_cstr(name), value};
}

/* ------------------------------------------------------------------------------------------------
 * values as several versions write them */

/* A number alone or {"set": …, "infinite": …, "number": …}; a text as it is. */
static struct toc_sv scalar(struct reading *r, const struct toc_json *j) {
    char text[32];
    if (j && j->type == TOC_JSON_OBJECT) {
        const struct toc_json *is_set = toc_json_get(j, "set");
        const struct toc_json *is_infinite = toc_json_get(j, "infinite");
        if (is_infinite && is_infinite->type == TOC_JSON_BOOL && is_infinite->boolean)
            return TOC_SV("infinite");
        if (is_set && is_set->type == TOC_JSON_BOOL && !is_set->boolean)
            return TOC_SV_NULL;
        j = toc_json_get(j, "number");
    }
    if (j && j->type == TOC_JSON_STRING)
        return j->string;
    if (!j || j->type != TOC_JSON_INT)
        return TOC_SV_NULL;
    snprintf(text, sizeof text, "%lld", (long long)j->integer);
    return toc_arena_dup_sv(r->arena, toc_sv_cstr(text));
}

static void append_lower(struct toc_buf *out, struct toc_sv s) {
    for (size_t i = 0; i < s.n; i++) {
        bool is_upper = s.p[i] >= 'A' && s.p[i] <= 'Z';
        toc_buf_append_char(out, is_upper ? (char)(s.p[i] | 0x20) : s.p[i]);
    }
}

/* A text or a list of texts, joined. */
static void append_list(struct toc_buf *out, const struct toc_json *j, char separator,
                        bool is_lower) {
    size_t n = !j ? 0 : j->type == TOC_JSON_ARRAY ? j->count : 1;
    for (size_t i = 0; i < n; i++) {
        const struct toc_json *item = j->type == TOC_JSON_ARRAY ? &j->items[i] : j;
        if (item->type != TOC_JSON_STRING || !item->string.n)
            continue;
        if (out->n)
            toc_buf_append_char(out, separator);
        if (is_lower)
            append_lower(out, item->string);
        else
            toc_buf_append_sv(out, item->string);
    }
}

static struct toc_sv take(struct reading *r, struct toc_buf *text) {
    struct toc_sv copy = toc_arena_dup_sv(r->arena, toc_buf_sv(text));
    toc_buf_fini(text);
    return copy;
}

static struct toc_sv list_of(struct reading *r, const struct toc_json *j) {
    struct toc_buf text = TOC_BUF_INIT;
    append_list(&text, j, ',', false);
    return take(r, &text);
}

/* "idle+drain": the state and its flags, in small letters. */
static struct toc_sv state_of(struct reading *r, const struct toc_json *state,
                              const struct toc_json *flags) {
    struct toc_buf text = TOC_BUF_INIT;
    append_list(&text, state, '+', true);
    append_list(&text, flags, '+', true);
    return take(r, &text);
}

static struct toc_sv text_of(const struct toc_json *j, const char *key) {
    const struct toc_json *member = toc_json_get(j, key);
    return member && member->type == TOC_JSON_STRING ? member->string : TOC_SV_NULL;
}

static struct toc_sv with_port(struct reading *r, struct toc_sv host) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_buf_printf(&text, toc_sv_find_char(host, ':') == SIZE_MAX ? "%.*s:%u" : "[%.*s]:%u",
                   TOC_SV_ARG(host), r->port);
    return take(r, &text);
}

/* ------------------------------------------------------------------------------------------------
 * the document */

/* The list `key`. A document without it says why under "errors". */
static int open_list(struct reading *r, struct toc_sv text, const char *key,
                     const struct toc_json **out) {
    const struct toc_json *root = NULL;
    int rc = toc_json_parse(text, r->arena, &root, r->err);
    if (rc)
        return rc;
    const struct toc_json *list = toc_json_get(root, key), *errors = toc_json_get(root, "errors");
    bool is_list = list && list->type == TOC_JSON_ARRAY;
    if (errors && errors->type == TOC_JSON_ARRAY && errors->count && (!is_list || !list->count)) {
        struct toc_sv why = text_of(&errors->items[0], "description");
        if (!why.n)
            why = text_of(&errors->items[0], "error");
        return toc_errf(r->err, TOC_EUNAVAILABLE, "Slurm says: %.*s",
                        TOC_SV_ARG(toc_sv_sub(why, 0, 300)));
    }
    if (!is_list)
        return toc_errf(r->err, TOC_EPARSE,
                        "no list \"%s\" in the answer: --json of Slurm 21.08 or newer is needed",
                        key);
    *out = list;
    return 0;
}

static int make_group(struct reading *r, struct labels *l, struct toc_sv source,
                      const struct toc_sv *targets, size_t count, const struct toc_labels *own,
                      struct toc_target_group *out) {
    *out = (struct toc_target_group){.source = source,
                                     .targets = targets,
                                     .target_count = count,
                                     .own = own,
                                     .labels = l->items,
                                     .label_count = l->count};
    return r->arena->overflowed ? no_memory(r->err) : 0;
}

/* ------------------------------------------------------------------------------------------------
 * nodes */

static int read_node(struct reading *r, const struct toc_json *node, size_t at,
                     struct toc_target_group *out) {
    struct toc_sv name = text_of(node, "name"), address = text_of(node, "address");
    struct labels l = {TOC_ARENA_NEW_ARRAY(r->arena, struct toc_label, LABELS_MAX), 0};
    struct toc_sv *target = TOC_ARENA_NEW(r->arena, struct toc_sv);
    if (!l.items || !target)
        return no_memory(r->err);
    if (!name.n)
        return toc_errf(r->err, TOC_EPARSE, "node %zu has no name", at);
    add(&l, "__meta_slurm_node_name", name);
    add(&l, "__meta_slurm_node_hostname", text_of(node, "hostname"));
    add(&l, "__meta_slurm_node_address", address);
    add(&l, "__meta_slurm_node_state",
        state_of(r, toc_json_get(node, "state"), toc_json_get(node, "state_flags")));
    add(&l, "__meta_slurm_node_partition", list_of(r, toc_json_get(node, "partitions")));
    add(&l, "__meta_slurm_node_features", list_of(r, toc_json_get(node, "features")));
    add(&l, "__meta_slurm_node_active_features", list_of(r, toc_json_get(node, "active_features")));
    add(&l, "__meta_slurm_node_gres", list_of(r, toc_json_get(node, "gres")));
    add(&l, "__meta_slurm_node_gres_used", list_of(r, toc_json_get(node, "gres_used")));
    add(&l, "__meta_slurm_node_reason", text_of(node, "reason"));
    add(&l, "__meta_slurm_node_architecture", text_of(node, "architecture"));
    add(&l, "__meta_slurm_node_cpus", scalar(r, toc_json_get(node, "cpus")));
    add(&l, "__meta_slurm_node_memory_mib", scalar(r, toc_json_get(node, "real_memory")));
    *target = with_port(r, address.n ? address : name);
    return make_group(r, &l, name, target, 1, NULL, out);
}

/* ------------------------------------------------------------------------------------------------
 * jobs */

static int read_hosts(struct reading *r, struct toc_sv nodes, const struct toc_sv **out_targets,
                      const struct toc_labels **out_own, size_t *out_count) {
    const struct toc_sv *hosts = NULL;
    int rc = toc_hostlist_expand(nodes, HOSTS_OF_JOB_MAX, r->arena, &hosts, out_count, r->err);
    size_t n = *out_count;
    struct toc_sv *targets = TOC_ARENA_NEW_ARRAY(r->arena, struct toc_sv, n + 1);
    struct toc_labels *own = TOC_ARENA_NEW_ARRAY(r->arena, struct toc_labels, n + 1);
    struct toc_label *labels = TOC_ARENA_NEW_ARRAY(r->arena, struct toc_label, 2 * n + 1);
    if (rc)
        return rc;
    if (!targets || !own || !labels)
        return no_memory(r->err);
    for (size_t i = 0; i < n; i++) {
        char index[24];
        snprintf(index, sizeof index, "%zu", i);
        labels[2 * i] = (struct toc_label){TOC_SV("__meta_slurm_job_node"), hosts[i]};
        labels[2 * i + 1] = (struct toc_label){TOC_SV("__meta_slurm_job_node_index"),
                                               toc_arena_dup_sv(r->arena, toc_sv_cstr(index))};
        own[i] = (struct toc_labels){&labels[2 * i], 2};
        targets[i] = with_port(r, hosts[i]);
    }
    *out_targets = targets;
    *out_own = own;
    return 0;
}

static void job_labels(struct reading *r, const struct toc_json *job, struct labels *l) {
    struct toc_sv array_job = scalar(r, toc_json_get(job, "array_job_id"));
    add(l, "__meta_slurm_job_id", scalar(r, toc_json_get(job, "job_id")));
    add(l, "__meta_slurm_job_name", text_of(job, "name"));
    add(l, "__meta_slurm_job_user", text_of(job, "user_name"));
    add(l, "__meta_slurm_job_group", text_of(job, "group_name"));
    add(l, "__meta_slurm_job_account", text_of(job, "account"));
    add(l, "__meta_slurm_job_qos", text_of(job, "qos"));
    add(l, "__meta_slurm_job_partition", text_of(job, "partition"));
    add(l, "__meta_slurm_job_state", state_of(r, toc_json_get(job, "job_state"), NULL));
    add(l, "__meta_slurm_job_nodes", text_of(job, "nodes"));
    add(l, "__meta_slurm_job_node_count", scalar(r, toc_json_get(job, "node_count")));
    add(l, "__meta_slurm_job_comment", text_of(job, "comment"));
    add(l, "__meta_slurm_job_tres", text_of(job, "tres_alloc_str"));
    if (!toc_sv_eq(array_job, TOC_SV("0"))) {
        add(l, "__meta_slurm_job_array_job_id", array_job);
        add(l, "__meta_slurm_job_array_task_id", scalar(r, toc_json_get(job, "array_task_id")));
    }
}

/* A job without nodes (it waits) is a group without targets. */
static int read_job(struct reading *r, const struct toc_json *job, size_t at,
                    struct toc_target_group *out) {
    struct labels l = {TOC_ARENA_NEW_ARRAY(r->arena, struct toc_label, LABELS_MAX), 0};
    struct toc_sv id = scalar(r, toc_json_get(job, "job_id"));
    const struct toc_sv *targets = NULL;
    const struct toc_labels *own = NULL;
    size_t count = 0;
    if (!l.items)
        return no_memory(r->err);
    if (!id.n)
        return toc_errf(r->err, TOC_EPARSE, "job %zu has no job_id", at);
    job_labels(r, job, &l);
    int rc = read_hosts(r, text_of(job, "nodes"), &targets, &own, &count);
    if (rc)
        return toc_err_prefix(r->err, "job %.*s: ", TOC_SV_ARG(id));
    return make_group(r, &l, id, targets, count, own, out);
}

/* ---------------------------------------------------------------------------------------------- */

typedef int read_item(struct reading *r, const struct toc_json *item, size_t at,
                      struct toc_target_group *out);

static int read_all(struct reading *r, struct toc_sv text, const char *key, read_item *fn,
                    const struct toc_target_group **out, size_t *out_count) {
    const struct toc_json *list = NULL;
    size_t targets = 0;
    *out_count = 0;
    int rc = open_list(r, text, key, &list);
    if (rc)
        return rc;
    struct toc_target_group *groups =
        TOC_ARENA_NEW_ARRAY(r->arena, struct toc_target_group, list->count + 1);
    if (!groups)
        return no_memory(r->err);
    for (size_t i = 0; rc == 0 && i < list->count; i++) {
        rc = fn(r, &list->items[i], i, &groups[i]);
        targets += groups[i].target_count;
        if (rc == 0 && targets > TOC_DISCOVERY_TARGETS_MAX)
            rc = toc_errf(r->err, TOC_ELIMIT, "more than %d targets", TOC_DISCOVERY_TARGETS_MAX);
    }
    *out = groups;
    *out_count = rc ? 0 : list->count;
    return rc;
}

int toc_slurm_nodes(struct toc_sv text, uint16_t port, struct toc_arena *a,
                    const struct toc_target_group **out, size_t *out_count, struct toc_err *err) {
    struct reading r = {a, port, err};
    return read_all(&r, text, "nodes", read_node, out, out_count);
}

int toc_slurm_jobs(struct toc_sv text, uint16_t port, struct toc_arena *a,
                   const struct toc_target_group **out, size_t *out_count, struct toc_err *err) {
    struct reading r = {a, port, err};
    return read_all(&r, text, "jobs", read_job, out, out_count);
}
