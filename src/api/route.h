/*
 * The one table of routes. Each row says who may call it (role), whether it changes state (then a
 * browser session needs its CSRF token and the call is audited), how large its body may be, and who
 * answers. A row without these fields does not compile.
 */
#ifndef TOC_API_ROUTE_H
#define TOC_API_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/sv.h"

struct toc_api_call;
typedef void toc_api_handler(struct toc_api_call *c);

/* What a route does; loopback.{read,ingest} may be open without a token (guard decides). */
enum toc_access {
    TOC_ACCESS_PUBLIC,  /* anybody: health, the UI's files, logging in */
    TOC_ACCESS_READ,    /* viewer */
    TOC_ACCESS_INGEST,  /* sends data */
    TOC_ACCESS_RESPOND, /* responder: handles incidents */
    TOC_ACCESS_EDIT,    /* editor: silences, thresholds, receivers */
    TOC_ACCESS_ADMIN
};

struct toc_route {
    const char *method;  /* "GET" also answers HEAD */
    const char *pattern; /* "{}" takes one path segment, "{*}" the rest */
    enum toc_access access;
    bool is_audited;
    size_t max_body_bytes;
    toc_api_handler *handler;
};

enum { TOC_ROUTE_PARAMS_MAX = 3 };

struct toc_route_match {
    const struct toc_route *route;              /* NULL: nothing there */
    bool is_method_wrong;                       /* the path exists, the method does not */
    struct toc_sv params[TOC_ROUTE_PARAMS_MAX]; /* borrowed from the path */
    size_t param_count;
};

void toc_route_find(struct toc_sv method, struct toc_sv path, struct toc_route_match *out);
/* All rows, for the documentation test. */
const struct toc_route *toc_routes(size_t *out_count);

#endif
