#include "base/vec.h"

#include <stdint.h>

#include "base/assert.h"

size_t toc_vec_bytes(size_t count, size_t size) {
    TOC_ASSERT(size == 0 || count <= SIZE_MAX / size);
    return count * size;
}
