/* The pods of a cluster, asked for once. */
#ifndef TOC_COLLECT_JOB_PODS_PRIV_H
#define TOC_COLLECT_JOB_PODS_PRIV_H

#include "codec/yaml.h"
#include "collect/config_part.h"
#include "collect/job.h"
#include "net/http_client.h"

/* Reads an entry in the form of kubernetes_sd_configs whose role, if told, is pod. */
int toc_kube_pods_read(const struct toc_yaml *n, const struct toc_config_reader *r,
                       const void **out_settings, struct toc_sv *out_where) TOC_MUST_CHECK;

struct toc_kube_pods_call {
    const void *settings;
    struct toc_http_client *client;
    bool (*is_cancelled)(void *ctx);
    void *cancel_ctx;
};
/* All pages of all namespaces. */
int toc_kube_pods_get(const struct toc_kube_pods_call *c, struct toc_arena *a, struct toc_jobs *out,
                      struct toc_err *err) TOC_MUST_CHECK;

#endif
