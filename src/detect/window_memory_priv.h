/* The search behind window_memory.h. */
#ifndef TOC_DETECT_WINDOW_MEMORY_PRIV_H
#define TOC_DETECT_WINDOW_MEMORY_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOC_WINDOW_LANES = 8 };

/* The unit of what is stored: mean * per_scale - center, so bounded that its square still is a
 * float. */
struct toc_window_unit {
    double per_scale, center;
};
/* Puts `current` (`dimensions` means) into the unit of what is stored; then the smallest sums of
 * squared and of absolute differences to the windows of `groups` groups:
 * windows[group][dimension][lane]. */
struct toc_window_nearest {
    float squared, absolute;
};
typedef struct toc_window_nearest toc_window_search(const struct toc_window_unit *unit,
                                                    float *current, const uint16_t *windows,
                                                    size_t groups, size_t dimensions);
toc_window_search toc_window_search_portable;
/* NULL where the machine cannot. Without wants_absolute that sum has no meaning. */
toc_window_search *toc_window_search_avx2(bool wants_absolute);

#endif
