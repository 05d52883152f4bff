/* The embedded web UI: a table generated at build time from web/dist (empty when the UI was not
 * built). */
#ifndef TOC_API_WEB_ASSETS_H
#define TOC_API_WEB_ASSETS_H

#include <stdbool.h>
#include <stddef.h>

struct toc_web_asset {
    const char *path; /* "/index.html" */
    const char *content_type;
    const unsigned char *gzip; /* gzip stream */
    size_t gzip_bytes;
    const char *etag; /* quoted */
    bool is_hashed;   /* the name holds a content hash: cache for ever */
};

extern const struct toc_web_asset toc_web_assets[];
extern const size_t toc_web_asset_count;

#endif
