/* The headers cmocka wants in this order; include this instead of <cmocka.h>. */
#ifndef TOC_TESTS_CMOCKA_PRELUDE_H
#define TOC_TESTS_CMOCKA_PRELUDE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/sv.h"

/* Views compared with a literal. */
#define assert_sv_equal(view, literal)                                 \
    do {                                                               \
        struct toc_sv toc_got_ = (view);                               \
        assert_int_equal(toc_got_.n, sizeof(literal) - 1);             \
        assert_memory_equal(toc_got_.p, literal, sizeof(literal) - 1); \
    } while (0)

#endif
