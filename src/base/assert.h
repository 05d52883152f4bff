/* Assertions stay on in release builds: a wrong alarm program that stops is better than one that
 * lies. */
#ifndef TOC_BASE_ASSERT_H
#define TOC_BASE_ASSERT_H

#include "base/attrs.h"

/* Prints what failed and where to stderr and aborts. */
TOC_NORETURN void toc_assert_failed(const char *what, const char *file, int line);

#define TOC_ASSERT(cond) ((cond) ? (void)0 : toc_assert_failed(#cond, __FILE__, __LINE__))
#define TOC_UNREACHABLE() toc_assert_failed("unreachable", __FILE__, __LINE__)

#endif
