/* The section `logs`: which logs are followed. */
#include "app/config_priv.h"

struct section {
    const struct toc_yaml *files, *directories;
    struct toc_sv kernel, kmsg;
    int64_t max_files;
};

#define AT(member) offsetof(struct section, member)
static const struct toc_schema_key g_logs[] = {
    {"files", TOC_SCHEMA_NODE, AT(files), false, NULL, 0, 0,
     "patterns of paths with *, ? and {run}, {host}, {rank}; or sections"},
    {"directories", TOC_SCHEMA_NODE, AT(directories), false, NULL, 0, 0,
     "folders whose files are followed"},
    {"kernel", TOC_SCHEMA_STRING, AT(kernel), false, "auto", 0, 0,
     "read the kernel's log: true, false, or auto: where it may be read"},
    {"kmsg", TOC_SCHEMA_STRING, AT(kmsg), false, "/dev/kmsg", 0, 0,
     "the device; another path where a container mounts it elsewhere"},
    {"max_files", TOC_SCHEMA_INT, AT(max_files), false, "4096", 1, 65536,
     "files followed at once; further ones are counted"},
    {0},
};
#undef AT

struct file {
    struct toc_sv path, source, run, host;
};

#define AT(member) offsetof(struct file, member)
static const struct toc_schema_key g_log_file[] = {
    {"path", TOC_SCHEMA_STRING, AT(path), true, NULL, 0, 0, "pattern of paths"},
    {"source", TOC_SCHEMA_STRING, AT(source), false, "any", 0, 0,
     "job, serving, kernel, scheduler or any: which signatures are looked for"},
    {"run", TOC_SCHEMA_STRING, AT(run), false, "", 0, 0, "run, when the path does not say it"},
    {"host", TOC_SCHEMA_STRING, AT(host), false, "", 0, 0, "host, when the path does not say it"},
    {0},
};
#undef AT

static int read_source(const struct toc_yaml *n, struct toc_sv text, unsigned *out,
                       struct toc_err *err) {
    static const struct {
        const char *name;
        unsigned sources;
    } names[] = {{"any", TOC_LOG_ANY},
                 {"job", TOC_LOG_JOB},
                 {"serving", TOC_LOG_SERVING},
                 {"kernel", TOC_LOG_KERNEL},
                 {"scheduler", TOC_LOG_SCHEDULER}};
    for (size_t i = 0; i < TOC_ARRAY_LEN(names); i++)
        if (toc_sv_eq_cstr(text, names[i].name)) {
            *out = names[i].sources;
            return 0;
        }
    return toc_err_at(err, TOC_EINVAL, n->line, n->column,
                      "logs.files[].source must be job, serving, kernel, scheduler or any, got "
                      "\"%.*s\"",
                      TOC_SV_ARG(text));
}

static int add(struct toc_config *c, const struct toc_yaml *n, const struct file *f,
               struct toc_err *err) {
    struct toc_log_pattern pattern;
    struct toc_err why = {0};
    if (c->logs.count == TOC_LOG_PATTERNS_MAX)
        return toc_err_at(err, TOC_ELIMIT, n->line, n->column, "logs: more than %d patterns",
                          (int)TOC_LOG_PATTERNS_MAX);
    struct toc_log_source_config *to = &c->logs.items[c->logs.count];
    int rc = toc_log_pattern_parse(f->path, &pattern, &why);
    toc_log_pattern_fini(&pattern);
    if (rc < 0)
        return toc_err_at(err, rc, n->line, n->column, "logs: the pattern \"%.*s\": %s",
                          TOC_SV_ARG(f->path), why.message);
    to->path = toc_arena_dup_sv(&c->arena, f->path).p;
    to->run = f->run, to->host = f->host;
    c->logs.count++;
    return read_source(n, f->source, &to->sources, err);
}

static int add_file(struct toc_config *c, const struct toc_yaml *n, struct toc_err *err) {
    struct file f = {.source = TOC_SV("any")};
    int rc = n->type == TOC_YAML_MAPPING ? toc_schema_read(n, g_log_file, &f, err)
                                         : toc_yaml_string(n, &f.path, err);
    return rc ? rc : add(c, n, &f, err);
}

/* All that is not hidden in the folder. */
static int add_directory(struct toc_config *c, const struct toc_yaml *n, struct toc_err *err) {
    struct file f = {.source = TOC_SV("any")};
    struct toc_sv dir;
    struct toc_buf path = TOC_BUF_INIT;
    int rc = toc_yaml_string(n, &dir, err);
    if (rc == 0) {
        while (dir.n > 1 && dir.p[dir.n - 1] == '/')
            dir.n--;
        toc_buf_append_sv(&path, dir);
        toc_buf_append_cstr(&path, "/*");
        f.path = toc_buf_sv(&path);
        rc = add(c, n, &f, err);
    }
    toc_buf_fini(&path);
    return rc;
}

static int read_list(struct toc_config *c, const struct toc_yaml *list, const char *what,
                     int (*take)(struct toc_config *, const struct toc_yaml *, struct toc_err *),
                     struct toc_err *err) {
    int rc = 0;
    if (list && list->type != TOC_YAML_SEQUENCE)
        return toc_err_at(err, TOC_ETYPE, list->line, list->column, "logs.%s must be a list", what);
    for (size_t i = 0; list && i < list->count && rc == 0; i++)
        rc = take(c, &list->items[i], err);
    return rc;
}

static int read_kernel(const struct toc_yaml *logs, struct toc_sv text, struct toc_config *c,
                       struct toc_err *err) {
    bool is_auto = toc_sv_eq_cstr(text, "auto"), is_on = toc_sv_eq_cstr(text, "true");
    if (!is_auto && !is_on && !toc_sv_eq_cstr(text, "false"))
        return toc_err_at(err, TOC_EINVAL, logs->line, logs->column,
                          "logs.kernel must be auto, true or false, got \"%.*s\"",
                          TOC_SV_ARG(text));
    c->logs.is_kernel_on = is_auto || is_on;
    c->logs.is_kernel_wanted = is_on;
    return 0;
}

int toc_config_logs_read(const struct toc_yaml *logs, struct toc_config *c, struct toc_err *err) {
    static const struct toc_yaml empty = {.type = TOC_YAML_MAPPING};
    struct section s = {0};
    logs = logs ? logs : &empty;
    int rc = toc_schema_read(logs, g_logs, &s, err);
    if (rc == 0)
        rc = read_kernel(logs, s.kernel, c, err);
    if (rc == 0)
        rc = read_list(c, s.files, "files", add_file, err);
    if (rc == 0)
        rc = read_list(c, s.directories, "directories", add_directory, err);
    c->logs.kmsg_path = toc_arena_dup_sv(&c->arena, s.kmsg).p;
    c->logs.max_files = s.max_files;
    return rc;
}
