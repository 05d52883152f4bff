/* The syntax tree as JSON, in the form that Prometheus' /api/v1/parse_query gives to query
 * builders. */
#ifndef TOC_PROMQL_AST_JSON_H
#define TOC_PROMQL_AST_JSON_H

#include "promql/promql.h"

void toc_promql_write_ast(const struct toc_promql_expr *e, struct toc_buf *out);

#endif
