/* The section `job_state`: schedulers that are asked for the state of jobs. */
#include "app/config_priv.h"

struct section {
    const struct toc_yaml *slurm, *kubernetes;
    int64_t interval_ms;
};

#define AT(member) offsetof(struct section, member)
static const struct toc_schema_key g_job_state[] = {
    {"interval", TOC_SCHEMA_DURATION, AT(interval_ms), false, "15s", 0, 0,
     "how often each is asked; 1s to 10m"},
    {"slurm", TOC_SCHEMA_NODE, AT(slurm), false, NULL, 0, 0,
     "clusters of Slurm: program squeue and its timeout"},
    {"kubernetes", TOC_SCHEMA_NODE, AT(kubernetes), false, NULL, 0, 0,
     "clusters of Kubernetes, with the keys of kubernetes_sd_configs and role pod"},
    {0},
};
#undef AT

int toc_config_job_state_read(const struct toc_yaml *node, struct toc_config *c,
                              struct toc_err *err) {
    static const struct toc_yaml empty = {.type = TOC_YAML_MAPPING};
    struct section s = {0};
    const struct toc_config_reader r = {&c->arena, c->base_dir, err};
    node = node ? node : &empty;
    int rc = toc_schema_read(node, g_job_state, &s, err);
    if (rc == 0 && (s.interval_ms < 1000 || s.interval_ms > 600000))
        rc = toc_err_at(err, TOC_EINVAL, node->line, node->column,
                        "job_state.interval must be 1s to 10m");
    if (rc == 0)
        rc = toc_job_sources_read(s.slurm, s.kubernetes, &r, &c->job_state);
    c->job_state.interval_ms = s.interval_ms;
    return rc;
}
