/* Numbers as text with few digits, what printf writes, at a tenth of its cost: charts of many
 * points. */
#ifndef TOC_BASE_ROUNDED_H
#define TOC_BASE_ROUNDED_H

#include "base/buf.h"

enum { TOC_ROUNDED_TEXT_MAX = 352 };

/* "%.*f": up to nine decimals. Writes without a NUL and returns the length. */
size_t toc_fixed_text(double v, int decimals, char out[TOC_ROUNDED_TEXT_MAX]);
/* "%.*g": up to nine significant digits, without zeros behind them. The same. */
size_t toc_digits_text(double v, int digits, char out[TOC_ROUNDED_TEXT_MAX]);
/* The first one onto a buffer. */
void toc_format_fixed(double v, int decimals, struct toc_buf *out);

#endif
