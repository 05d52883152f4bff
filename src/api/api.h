/*
 * The HTTP face of Tocsin: routes, authorisation, and one handler file per resource.
 * `toc_api_handle` is the handler given to net/http_server.h; it may run on many threads at once.
 */
#ifndef TOC_API_API_H
#define TOC_API_API_H

#include <stdbool.h>

#include "model/labels.h"
#include "model/querier.h"
#include "model/sink.h"
#include "net/http_server.h"
#include "sys/clock.h"

struct toc_api;
struct toc_api_parts;
struct toc_query_limits;
struct toc_query_stats;

/* `parts` is copied; what it points to must outlive the api. */
struct toc_api *toc_api_new(const struct toc_api_parts *parts);
/* Ends event streams and frees. NULL is accepted. */
void toc_api_free(struct toc_api **api);
/* Refuses queries for want of memory, or accepts them again. */
void toc_api_refuse_queries(struct toc_api *api, bool refuses);

void toc_api_handle(void *api, const struct toc_http_request *req, struct toc_http_response *res);
/* Other limits and features for requests that come from now on. */
void toc_api_set_queries(struct toc_api *api, const struct toc_query_limits *limits,
                         unsigned features);
/* The labels that /federate adds where they are absent; copied. */
void toc_api_set_external_labels(struct toc_api *api, struct toc_labels labels);
/* How queries fared since the start. */
struct toc_query_stats toc_api_query_stats(struct toc_api *api);
/* Samples of native histograms that exports left out since the start. */
uint64_t toc_api_export_skipped(struct toc_api *api);
/* Tells every open event stream; json is one object on one line. Any thread. */
void toc_api_publish(struct toc_api *api, const char *type, struct toc_sv json);
/* Largest body for a path, for toc_http_server_options.body_limit. */
size_t toc_api_body_limit(void *api, struct toc_sv method, struct toc_sv path);

#endif
