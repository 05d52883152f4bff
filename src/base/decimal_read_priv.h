/*
 * Decimal digits to the nearest double, by one multiplication with a power of ten of 128 bits
 * (Daniel Lemire, "Number Parsing at a Gigabyte per Second", Software: Practice and Experience
 * 51/8, 2021). Where the lost bits leave open how to round, and outside the table, it says so.
 */
#ifndef TOC_BASE_DECIMAL_READ_PRIV_H
#define TOC_BASE_DECIMAL_READ_PRIV_H

#include <stdbool.h>
#include <stdint.h>

/* digits * 10^exponent, correctly rounded; false: ask somebody slower. */
bool toc_decimal_read(uint64_t digits, int exponent, double *out);

#endif
