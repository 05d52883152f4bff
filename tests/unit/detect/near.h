/* cmocka compares in float; these tests need double. */
#ifndef TOC_TESTS_DETECT_NEAR_H
#define TOC_TESTS_DETECT_NEAR_H

#include <math.h>

#define assert_near(a, b, tolerance) assert_true(fabs((double)(a) - (double)(b)) <= (tolerance))

#endif
