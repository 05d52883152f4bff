/* The embedded web UI and run books. Unknown paths without an extension get the application (it
 * routes by itself). */
#include <stdio.h>

#include "api/api_priv.h"
#include "api/web_assets.h"
#include "codec/text.h"

static const struct toc_web_asset *find_exact(struct toc_sv path) {
    for (size_t i = 0; i < toc_web_asset_count; i++)
        if (toc_sv_eq_cstr(path, toc_web_assets[i].path))
            return &toc_web_assets[i];
    return NULL;
}

/* Run books are linked with and without their suffix. */
static const struct toc_web_asset *find_asset(struct toc_sv path) {
    const struct toc_web_asset *a = find_exact(path);
    char text[160];
    if (a || !toc_sv_starts_with(path, TOC_SV("/docs/runbooks/")) || path.n > 128)
        return a;
    snprintf(text, sizeof text, "%.*s.md", TOC_SV_ARG(path));
    return find_exact(toc_sv_cstr(text));
}

bool toc_api_has_ui(void) {
    return find_asset(TOC_SV("/index.html")) != NULL;
}

static const char g_no_ui[] =
    "<!doctype html><html lang=en><meta charset=utf-8><title>Tocsin</title>"
    "<h1>Tocsin is running</h1><p>This build has no web UI: npm could not be reached when it was "
    "built. "
    "Run <code>./dev build</code> again with network access. The API and the command line work: "
    "<code>tocsin incident list</code>, <a href=\"/metrics\">/metrics</a>.</p>";

static void answer_without_ui(struct toc_api_call *c) {
    c->res->content_type = "text/html; charset=utf-8";
    toc_buf_append_cstr(&c->res->body, g_no_ui);
}

static void serve(struct toc_api_call *c, const struct toc_web_asset *a) {
    toc_http_response_header(c->res, "ETag", "%s", a->etag);
    toc_http_response_header(c->res, "Cache-Control", "%s",
                             a->is_hashed ? "public, max-age=31536000, immutable" : "no-cache");
    c->res->content_type = a->content_type;
    if (toc_sv_eq_cstr(toc_http_header(c->req, "If-None-Match"), a->etag)) {
        c->res->status = 304;
        return;
    }
    c->res->static_body = toc_sv_make((const char *)a->gzip, a->gzip_bytes);
    c->res->is_static_gzip = true;
}

void toc_api_ui(struct toc_api_call *c) {
    struct toc_sv path = c->req->path;
    bool is_page =
        toc_sv_find_char(path, '.') == SIZE_MAX && !toc_sv_starts_with(path, TOC_SV("/docs/"));
    if (is_page && !toc_api_has_ui()) {
        answer_without_ui(c);
        return;
    }
    const struct toc_web_asset *a = find_asset(is_page ? TOC_SV("/index.html") : path);
    if (a)
        serve(c, a);
    else
        toc_api_problem(c, 404, "not_found", "nothing at %.*s", TOC_SV_ARG(path));
}

void toc_api_prom_openapi(struct toc_api_call *c) {
    const struct toc_web_asset *a = find_asset(TOC_SV("/docs/openapi.yaml"));
    if (a)
        serve(c, a);
    else
        toc_api_problem(c, 404, "not_found", "this build has no description of its API");
}

static void redirect(struct toc_api_call *c, const char *target) {
    c->res->status = 302;
    c->res->content_type = "text/plain; charset=utf-8";
    toc_http_response_header(c->res, "Location", "%s", target);
}

/* Links that were made for Prometheus' own pages keep working. */
void toc_api_old_graph(struct toc_api_call *c) {
    struct toc_sv expr = toc_api_param(c, "g0.expr");
    struct toc_buf target = TOC_BUF_INIT;
    toc_buf_append_cstr(&target, "/#/explore");
    if (expr.n) {
        toc_buf_append_cstr(&target, "?expr=");
        toc_percent_encode(expr, &target);
    }
    /* A header holds 255 bytes: a longer expression opens the page without it. */
    redirect(c, target.n < 250 ? toc_buf_cstr(&target) : "/#/explore");
    toc_buf_fini(&target);
}

void toc_api_old_alerts(struct toc_api_call *c) {
    redirect(c, "/#/alerts");
}
